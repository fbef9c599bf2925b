"""The journal of a run: append-only, hash-chained JSON lines, on disk before and after each step.

Each line: `seq`, `at` (UTC), `monotonic` and `boot` (for durations), `event`, `step`, `data`,
`previous` (hash of the line before) and `hash`.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from ansible.module_utils.rollback import clock, durable, sealed
from ansible.module_utils.rollback.errors import RollbackError

FILE_NAME = "journal.jsonl"
EVENTS = ("opened", "resumed", "began", "done", "failed", "noted", "closed")


@dataclass(frozen=True)
class Entry:
    seq: int
    at: str
    monotonic: float
    boot: str
    event: str
    step: str
    data: Dict[str, Any] = field(default_factory=dict)
    previous: str = ""
    hash: str = ""

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    def expected_hash(self) -> str:
        content = {key: value for key, value in self.as_dict().items() if key != "hash"}
        return hashlib.sha256(durable.canonical_json(content)).hexdigest()


class Journal:
    """The journal kept in one run's directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = str(directory)
        self.path = Path(directory) / FILE_NAME

    def entries(self) -> List[Entry]:
        """Every entry, oldest first. A last line that a crash cut short never counted, and is left out.

        Raises RollbackError where a line is not what was written: somebody edited the file.
        """
        if not self.path.exists():
            return []
        entries: List[Entry] = []
        previous = ""
        for line in self._whole_lines():
            try:
                entry = Entry(**json.loads(line))
            except (TypeError, ValueError) as error:
                raise self._tampered(len(entries) + 1) from error
            if entry.previous != previous or entry.hash != entry.expected_hash():
                raise self._tampered(len(entries) + 1)
            previous = entry.hash
            entries.append(entry)
        return entries

    def append(self, event: str, step: str = "", **data: Any) -> Entry:
        """Write one entry and flush it. Raises RollbackError where the disk does not take it.

        One writer at a time: what a killed controller left running may still write while its successor does.
        """
        if event not in EVENTS:
            raise ValueError(f"unknown journal event {event!r}")
        try:
            durable.make_private_dirs(self.path.parent)
            with durable.exclusive(self.path.parent):
                return self._append(event, step, json.loads(json.dumps(data)))
        except OSError as error:
            raise RollbackError(
                f"The journal {self.path} cannot be written ({error.strerror}), so nothing further is done.",
                "Make room or give write access, then run the same command again.",
            ) from error

    def _append(self, event: str, step: str, data: Dict[str, Any]) -> Entry:
        self._drop_torn_line()
        known = self.entries()
        draft = Entry(
            seq=len(known) + 1,
            at=clock.iso(clock.utc_now()),
            monotonic=round(clock.monotonic(), 3),
            boot=clock.boot_id(),
            event=event,
            step=step,
            data=data,
            previous=known[-1].hash if known else "",
        )
        entry = Entry(**{**draft.as_dict(), "hash": draft.expected_hash()})
        durable.append(self.path, durable.canonical_json(entry.as_dict()) + b"\n")
        return entry

    @contextmanager
    def step(self, name: str, **data: Any) -> Iterator[Dict[str, Any]]:
        """Journal a step around its work; what the body puts into the yielded dict is kept as its result."""
        self.append("began", name, **data)
        result: Dict[str, Any] = {}
        try:
            yield result
        except BaseException as error:
            self.append("failed", name, error=sealed.redacted(str(error).strip()) or type(error).__name__)
            raise
        self.append("done", name, **result)

    def _whole_lines(self) -> List[bytes]:
        return self.path.read_bytes().split(b"\n")[:-1]

    def _drop_torn_line(self) -> None:
        """Cut off a line without its end, so that the next one starts at a line of its own."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            with self.path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)

    def _tampered(self, line: int) -> RollbackError:
        return RollbackError(
            f"Line {line} of {self.path} is not what was written there: the chain of hashes breaks.",
            "The journal no longer proves what happened; keep a copy of it and look at the databases by hand.",
        )


class NoJournal:
    """Stands in where a module is used outside a run."""

    directory = ""

    def append(self, event: str, step: str = "", **data: Any) -> None:
        pass

    @contextmanager
    def step(self, name: str, **data: Any) -> Iterator[Dict[str, Any]]:
        yield {}


def journal_in(directory: Optional[str]) -> "Journal | NoJournal":
    return Journal(Path(directory)) if directory else NoJournal()


@dataclass
class StepState:
    """What the journal knows of one step: `running`, `done` or `failed`.

    `began_s` counts seconds from the run's first entry; `seconds` is None while the step runs, or when a reboot lies between.
    """

    name: str
    status: str
    began_s: float = 0.0
    seconds: Optional[float] = None
    data: Dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def steps_of(entries: List[Entry]) -> List[StepState]:
    """The steps in the order in which they first began; a step begun again shows its last attempt."""
    states: Dict[str, StepState] = {}
    began: Dict[str, Entry] = {}
    for entry in entries:
        if entry.event == "began":
            began[entry.step] = entry
            states[entry.step] = StepState(entry.step, "running", _seconds(entries[0], entry), data=dict(entry.data))
        elif entry.event in ("done", "failed") and entry.step in states:
            state, start = states[entry.step], began[entry.step]
            state.status = entry.event
            state.error = str(entry.data.get("error", ""))
            state.data.update(entry.data)
            if entry.boot == start.boot:
                state.seconds = _seconds(start, entry)
    return list(states.values())


# Steps after whose begin the live name may stand for the old data, for the new, or for nothing; `down 8c1d2e3f4a5b` is a `down`.
_TOUCHES_LIVE = ("close", "safety", "drop", "swap", "down", "up", "bring_back")


def swapped_of(entries: List[Entry]) -> Optional[bool]:
    """Whether the live name stands for the data that the plan leads to; None where that was begun and nobody has looked since."""
    swapped: Optional[bool] = False
    for entry in entries:
        if entry.step.split(" ")[0] in _TOUCHES_LIVE and entry.event in ("began", "failed"):
            swapped = None
        elif entry.step == "swap" and entry.event == "done":
            swapped = True
        elif entry.event == "noted" and "swapped" in entry.data:
            seen = entry.data["swapped"]
            swapped = None if seen is None else bool(seen)
    return swapped


def problems_of(entries: List[Entry]) -> List[str]:
    """What went wrong in the last attempt, in order, each once."""
    last = max((index for index, entry in enumerate(entries) if entry.event in ("opened", "resumed")), default=0)
    return list(dict.fromkeys(str(entry.data["error"]) for entry in entries[last:] if entry.data.get("error")))


def _seconds(since: Entry, until: Entry) -> float:
    """Between two entries: by the monotonic clock, or by the calendar where a reboot lies between."""
    if since.boot == until.boot:
        return round(until.monotonic - since.monotonic, 3)
    return round((clock.parse_iso(until.at) - clock.parse_iso(since.at)).total_seconds(), 3)


def outcome_of(entries: List[Entry]) -> str:
    """What the last entry says of a closed run (see `outcome`), or `unfinished`."""
    if entries and entries[-1].event == "closed":
        return str(entries[-1].data.get("outcome", "incomplete"))
    return "unfinished"
