"""Which functions of a SELECT only read."""

from __future__ import annotations

# What a SELECT may call without changing a table, by how it begins and by name. Anything else may do whatever it likes.
_READING = (
    "array_", "bit_", "bool_", "current_", "date_", "gen_random_", "has_", "inet_", "json", "justify_", "make_",
    "percent", "pg_", "quote_", "regexp_", "regr_", "row_", "set", "st_", "string_", "to_", "ts_", "txid_", "uuid_",
    "xml",
)  # fmt: skip
_READING_NAMES = {
    "abs", "age", "avg", "btrim", "cardinality", "ceil", "ceiling", "char_length", "clock_timestamp",
    "col_description", "concat", "concat_ws", "corr", "count", "cume_dist", "currval", "decode", "dense_rank",
    "digest", "encode", "enum_first", "enum_last", "enum_range", "every", "exists", "exp", "first_value", "floor", "format", "format_type", "generate_series",
    "generate_subscripts", "greatest", "hstore", "initcap", "lag", "last_value", "lastval", "lead", "least", "left",
    "length", "ln", "log", "lower", "lpad", "ltrim", "max", "md5", "min", "mod", "mode", "nextval", "now",
    "nth_value", "ntile", "obj_description", "octet_length", "overlay", "position", "power", "random", "rank",
    "repeat", "replace", "reverse", "right", "round", "rpad", "rtrim", "sha256", "shobj_description", "sign",
    "split_part", "sqrt", "statement_timestamp", "stddev", "strpos", "substr", "substring", "sum", "timezone",
    "transaction_timestamp", "translate", "trim", "trunc", "unnest", "upper", "variance", "version", "width_bucket",
}  # fmt: skip


def acts(function: str) -> bool:
    """Whether a function may be called for what it does, and not for what it yields."""
    # It may set the search_path, after which names mean other tables.
    return function == "set_config" or (not function.startswith(_READING) and function not in _READING_NAMES)
