import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible.module_utils.rollback import probes
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.probes import Endpoint


class Application:
    """An HTTP server on loopback; `script` holds its next answers, the last of which repeats."""

    def __init__(self):
        self.script = {}
        self.asked = []
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                application.asked.append((self.path, dict(self.headers)))
                answers = application.script.get(self.path, [(404, "", {})])
                status, body, headers = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                for name, value in {"X-App-Version": "1.0.0", "Content-Length": str(len(body)), **headers}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answers(self, *answers, path="/ready"):
        self.script[path] = [(*answer, *("", {})[len(answer) - 1 :]) for answer in answers]
        return Endpoint(self.url + path, timeout_s=2)


@pytest.fixture
def application():
    running = Application()
    thread = threading.Thread(target=running.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join()


def probe(*endpoints, **limits):
    return probes.probe(list(endpoints), **{"interval_s": 0.01, "within_s": 2, **limits})


def test_good_rounds_count_only_in_a_row(application):
    verdict = probe(application.answers((200,), (503,), (200,), (200,), (500,), (200,)), successes=3)
    (answer,) = verdict.answers
    assert (verdict.healthy, verdict.rounds) == (True, 8)
    assert (answer.attempts, answer.failures, answer.status, answer.reason) == (8, 2, 200, "answered 500")


def test_one_endpoint_that_is_not_well_spoils_the_round(application):
    verdict = probe(application.answers((200,), path="/live"), application.answers((503,)), rounds=3)
    assert not verdict.healthy
    assert [(answer.attempts, answer.failures) for answer in verdict.answers] == [(3, 0), (3, 3)]


@pytest.mark.parametrize(("limits", "rounds"), [({"rounds": 2}, 2), ({"within_s": 0, "successes": 3}, 1)])
def test_it_gives_up_in_time(application, limits, rounds):
    verdict = probe(application.answers((503,)), **limits)
    assert (verdict.healthy, verdict.rounds) == (False, rounds)


def test_rounds_left_over_are_not_asked(application):
    assert probe(application.answers((200,)), successes=2, rounds=5).rounds == 2


@pytest.mark.parametrize(
    ("answers", "wanted", "reason"),
    [
        ((302, "", {"Location": "/login"}), {}, "answered 302"),
        ((500, "no"), {}, "answered 500"),
        ((204,), {}, "answered 204"),
        ((200, "maintenance"), {"contains": "leads"}, "answered without 'leads'"),
    ],
)
def test_an_answer_that_is_not_the_wanted_one(application, answers, wanted, reason):
    application.answers((200,), path="/login")
    endpoint = application.answers(answers)
    verdict = probe(Endpoint(endpoint.url, **wanted), rounds=1)
    assert not verdict.healthy
    assert verdict.answers[0].reason == reason
    assert [path for path, _ in application.asked] == ["/ready"], "no redirect is followed"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ((401, "leads"), {"status": [200, 401]}),
        ((200, '{"leads": []}'), {"contains": "leads"}),
        ((301, "", {"Location": "/x"}), {"status": [301]}),
    ],
)
def test_an_answer_that_is_the_wanted_one(application, answer, wanted):
    assert probe(Endpoint(application.answers(answer).url, **wanted), rounds=1).healthy


@pytest.mark.parametrize(
    ("header", "asked", "reason"),
    [
        ("1.0.0", {"version": "1.0.0"}, ""),
        ("1.1.0", {"version": "1.0.0"}, "answered as version 1.1.0"),
        (None, {"version": "1.0.0"}, "answered without the header X-App-Version"),
        (None, {}, ""),
        (None, {"version": "1.0.0", "version_header": ""}, ""),
        ("1.0.0", {"version": "1.0.0", "version_header": "X-Other"}, "answered without the header X-Other"),
    ],
)
def test_a_good_answer_of_the_wrong_version_is_a_failure(application, header, asked, reason):
    verdict = probe(application.answers((200, "", {"X-App-Version": header})), rounds=1, **asked)
    assert (verdict.healthy, verdict.answers[0].reason) == (not reason, reason)


def test_a_refused_connection_is_an_answer_too():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        verdict = probe(Endpoint(url), rounds=1)
    assert (verdict.healthy, verdict.answers[0].status) == (False, 0)
    assert "did not answer" in verdict.answers[0].reason
    assert "refused" in verdict.answers[0].reason
    (complaint,) = probes.complaints({"app1": [verdict.answers[0].as_dict()]})
    assert complaint.startswith(f"{url} did not answer")
    assert complaint.endswith("(1 of 1, asked on app1)")


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
        b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    ],
)
def test_whatever_breaks_off_or_speaks_no_http_is_a_failure_and_no_crash(said):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        verdict = probe(Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/", contains="x", timeout_s=2), rounds=1)
        thread.join()
    assert not verdict.healthy
    assert verdict.answers[0].failures == 1


def test_an_endpoint_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        verdict = probe(Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_s=0.05), rounds=1)
    assert "timed out" in verdict.answers[0].reason


def test_the_application_is_asked_and_no_proxy_or_cache(application, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert probe(application.answers((200,)), rounds=1).healthy
    assert application.asked[0][1]["Cache-Control"] == "no-cache"


def test_asking_nothing_proves_nothing():
    with pytest.raises(RollbackError, match="No endpoint is given"):
        probe()


def test_hosts_that_say_the_same_are_named_in_one_sentence():
    def answer(reason, failures):
        return {"url": "http://127.0.0.1:8000/x", "reason": reason, "failures": failures, "attempts": 3}

    said = {f"app{number}": [answer("answered 500", 3)] for number in range(1, 8)}
    assert probes.complaints({**said, "app8": [answer("", 0)], "app9": [answer("timed out", 1)]}) == [
        "http://127.0.0.1:8000/x answered 500 (21 of 21, asked on app1, app2, app3, app4, app5 and 2 more)",
        "http://127.0.0.1:8000/x timed out (1 of 3, asked on app9)",
    ]
