"""Names of SQL as PostgreSQL's quote_ident() writes them, so that they can be compared with those of a census."""

from __future__ import annotations

import re
from typing import List

_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*")
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
# Words that a name may not be without quotes, as of PostgreSQL 18.
_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
    character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
    else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike
    in initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg json_exists
    json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left like
    limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset
    on only or order out outer overlaps overlay placing position precision primary real references returning right row
    select session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp to
    trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
_KEYWORDS = frozenset(_WORDS.split())


def quoted(name: str) -> str:
    """One name, in quotes where it needs them."""
    if _SIMPLE.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"{}"'.format(name.replace('"', '""'))


def parts(name: str) -> List[str]:
    """The parts of a qualified name, without their quotes."""
    return [bare if bare else within.replace('""', '"') for within, bare in _PART.findall(name)]


def canonical(name: str) -> str:
    """A qualified name without the quotes that it does not need: pg_dump --quote-all-identifiers has them everywhere."""
    return ".".join(bare or quoted(within.replace('""', '"')) for within, bare in _PART.findall(name))
