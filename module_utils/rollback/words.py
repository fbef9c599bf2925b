"""Numbers as people read them."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Union

Number = Union[int, float]


def duration(seconds: Number) -> str:
    """`42 ms`, `4.2 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if round(seconds, 3) < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: Number) -> str:
    """Bytes with a binary unit: `512 B`, `1.2 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def amount(count: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2,000 rows`; nouns that take a plain s need no `plural`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def count(number: Optional[int]) -> str:
    """`1,234`, or a dash for what cannot be told."""
    return "–" if number is None else f"{number:,}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """`a, b and 3 more`: a list that fits into a sentence."""
    known = list(names)
    if len(known) <= most:
        return ", ".join(known)
    return f"{', '.join(known[:most])} and {len(known) - most} more"


def by_value(values: Mapping[str, str], unknown: str = "unknown") -> str:
    """`1.0.0 on a, b; 1.0.1 on c`: who has which value; just `1.0.0` where all have the same."""
    holders: Dict[str, List[str]] = {}
    for name, value in sorted(values.items()):
        holders.setdefault(value or unknown, []).append(name)
    if len(holders) == 1:
        return next(iter(holders))
    return "; ".join(f"{value} on {listed(names)}" for value, names in sorted(holders.items()))


def table(rows: Sequence[Sequence[object]], align: str = "") -> List[str]:
    """Columns padded to their widest cell; `align` has one of `<` or `>` per column (default `<`)."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    sides = align.ljust(len(widths), "<")
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths)).rstrip() for row in cells
    ]
