"""What may be said with -e, and catching what is misspelt: a variable that nobody reads would be obeyed by nobody."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import Iterable, List, Mapping, Optional

# Where Ansible keeps the words of `-e reason=the API is down` after the first: it splits at blanks that are not quoted twice.
_LEFT_OVER = "_raw_params"

# Inputs that are sentences: for them the whole of such an argument is meant.
FREE_TEXT = ("reason", "root_cause", "prevention")

# AWX and Ansible add these by themselves.
FOREIGN_PREFIXES = ("awx_", "tower_", "ansible_")


def unknown(given: Iterable[str], known: Mapping[str, str]) -> List[str]:
    """A sentence for each variable in `given` that is not one of `known` (name → what it is for)."""
    sentences = []
    for name in sorted(given):
        if name in known or name.startswith(FOREIGN_PREFIXES) or name == _LEFT_OVER:
            continue
        near = difflib.get_close_matches(name, list(known), n=1)
        advice = (
            f"Did you mean {near[0]}?"
            if near
            else f"Short ones are: {', '.join(sorted(k for k in known if '_' not in k))}."
        )
        sentences.append(f"Nothing reads the variable {name}. {advice}")
    return sentences


def free_text(name: str, arguments: Iterable[str]) -> Optional[str]:
    """The whole sentence of `-e name=a sentence`, which Ansible itself would cut at its first blank; None where there is none."""
    for argument in arguments:
        found = re.fullmatch(rf"{name}=(?P<text>[^'\"].*)", argument, re.DOTALL)
        if found and not re.search(r"\s\w+=", found.group("text")):
            return found.group("text")
    return None


def lost_words(arguments: Iterable[str], given: Mapping[str, object]) -> List[str]:
    """A sentence where words belong to no variable and cannot be put back."""
    if _LEFT_OVER not in given:
        return []
    plain = [argument for argument in arguments if not any(free_text(name, [argument]) for name in FREE_TEXT)]
    lost = [word for argument in plain if argument[:1] not in "@{[" for word in _words(argument) if "=" not in word]
    if not lost:
        return []
    return [
        f"The words {' '.join(lost)!r} belong to no variable. Quote a value with blanks twice: -e 'reason=\"the API is down\"'."
    ]


def _words(argument: str) -> List[str]:
    try:
        return shlex.split(argument)
    except ValueError:  # a quote without its end
        return argument.split()
