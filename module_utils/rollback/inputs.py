"""What may be said with -e, and catching what is misspelt: a variable that nobody reads would be obeyed by nobody."""

from __future__ import annotations

import difflib
from typing import Iterable, List, Mapping

# AWX and Ansible add these by themselves.
FOREIGN_PREFIXES = ("awx_", "tower_", "ansible_")


def unknown(given: Iterable[str], known: Mapping[str, str]) -> List[str]:
    """A sentence for each variable in `given` that is not one of `known` (name → what it is for)."""
    sentences = []
    for name in sorted(given):
        if name in known or name.startswith(FOREIGN_PREFIXES):
            continue
        near = difflib.get_close_matches(name, list(known), n=1)
        advice = f"Did you mean {near[0]}?" if near else f"Short ones are: {', '.join(sorted(k for k in known if '_' not in k))}."
        sentences.append(f"Nothing reads the variable {name}. {advice}")
    return sentences
