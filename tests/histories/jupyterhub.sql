-- The tables of JupyterHub 0.6.1, as its orm.py declares them: its first migration is empty and finds them there.
CREATE TABLE servers (
    id serial PRIMARY KEY,
    proto varchar(15),
    ip varchar(255),
    port integer,
    base_url varchar(255),
    cookie_name varchar(255)
);
CREATE TABLE proxies (
    id serial PRIMARY KEY,
    _public_server_id integer REFERENCES servers,
    _api_server_id integer REFERENCES servers
);
CREATE TABLE hubs (id serial PRIMARY KEY, _server_id integer REFERENCES servers);
CREATE TABLE users (
    id serial PRIMARY KEY,
    name varchar(1023),
    _server_id integer REFERENCES servers,
    admin boolean,
    last_activity timestamp,
    cookie_id varchar(1023),
    state text
);
CREATE TABLE api_tokens (id serial PRIMARY KEY, user_id integer REFERENCES users, hashed varchar(1023), prefix varchar(1023));
