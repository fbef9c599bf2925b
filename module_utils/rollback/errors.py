"""The one error of this package."""

from __future__ import annotations


class RollbackError(Exception):
    """What went wrong and what to do about it, in words for the person on call."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message, self.hint = message, hint
