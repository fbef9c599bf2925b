"""Restores in place under every fault: the live name has its data, or the sentence says where it is, and one command leads out."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from in_place_faults import AS_BEFORE, FAULTS, ONLY_DUMPED, Fault
from place import change_manifest
from servers import OWNER, Awkward

from ansible.module_utils.rollback.backups import create, proof, scan
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.postgres import beside, in_place, restore, sessions

pytestmark = [pytest.mark.long, pytest.mark.postgres]

INTO, ASIDE = "awkward__restore_20261122T031500Z", "awkward__before_20261122T031500Z"
COMMAND = "ansible-playbook rollback.yml -e method=restore"
one_version_tells = pytest.mark.parametrize("awkward", ["postgres"], indirect=True)


@dataclass
class Scene:
    """A database, its backup, and the restore that is about to happen."""

    awkward: Awkward
    directory: Path
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack
    request: in_place.Request | None = None
    kept: dict[str, Any] | None = None

    @property
    def journal(self) -> Journal:
        return Journal(self.directory / "run")

    def say(self, statements: Sequence[str]) -> None:
        for statement in statements:
            who, _, what = statement.partition(": ")
            with self.awkward.as_superuser("postgres" if who == "server" else "awkward") as connection:
                connection.execute("SET search_path = public")
                if who == "owner":
                    connection.execute(f"SET ROLE {OWNER}")
                for each in what.split("; ") if "BEGIN; CREATE" in what else [what]:
                    connection.execute(each)

    def perform(self) -> in_place.Replaced:
        with self.awkward.server.connect() as connection:
            return in_place.perform(self.awkward.server, connection, self.awkward.tools, self.request, self.journal)

    def once_dropped(self, act: Any) -> None:
        """Call `act` when the live database has just been dropped, the first time."""
        real, done = beside.drop, []

        def drop(connection: Any, name: str) -> bool:
            dropped = real(connection, name)
            if dropped and name == ASIDE and not done:
                done.append(act())
            return dropped

        self.monkeypatch.setattr(beside, "drop", drop)

    def fail(self, module: Any, name: str, times: int, sentence: str) -> None:
        """Let `module.name` fail so many times once the live database was dropped."""
        real, left = getattr(module, name), []

        def failing(*arguments: Any, **named: Any) -> Any:
            if left and INTO in arguments:
                left.pop()
                raise RollbackError(sentence)
            return real(*arguments, **named)

        self.monkeypatch.setattr(module, name, failing)
        self.once_dropped(lambda: left.extend([True] * times))

    def backup(self, path: Path, manifest: Any = None) -> None:
        self.request = replace(self.request, restore=replace(self.request.restore, backup=path, manifest=manifest))

    def dumped_by_hand(self, *options: str) -> Path:
        path = self.directory / "theirs.sql"
        argv = [
            self.awkward.tools.path("pg_dump"),
            f"--dbname={self.awkward.server.conninfo('awkward')}",
            f"--file={path}",
            *options,
        ]
        subprocess.run(argv, env=self.awkward.server.environment(), check=True)
        return path

    def judged(self, path: Path) -> None:
        found = proof.prove(path, "public.alembic_version", self.awkward.tools, proof.Terms(judge=True))
        self.backup(path, found.manifest)

    # What no statement can do: called after the backup was taken; what it returns takes the cause away -------------

    def invalid_index(self) -> Any:
        with self.awkward.as_superuser("awkward") as connection:
            connection.execute(
                f"SET ROLE {OWNER}; SET search_path = public; CREATE TABLE twice (a int); INSERT INTO twice VALUES (1), (1)"
            )
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("CREATE UNIQUE INDEX CONCURRENTLY twice_a ON twice (a)")

    def no_room(self) -> Any:
        enough = self.request
        self.request = replace(enough, safety=replace(enough.safety, room=1 << 60))
        return lambda: setattr(self, "request", enough)

    def superuser_stays(self) -> Any:
        self.monkeypatch.setattr(sessions, "LEAVE_S", 0.2)
        session = self.stack.enter_context(self.awkward.as_superuser("awkward"))
        return session.close

    def backup_of_superuser(self) -> Any:
        return None

    def unknown_extension(self) -> Any:
        good = self.request.restore.backup
        theirs = self.dumped_by_hand()
        text = theirs.read_text()
        name = 'CREATE SCHEMA "Sales Data";'
        assert name in text
        theirs.write_text(text.replace(name, f"CREATE EXTENSION nowhere;\n{name}", 1))
        manifests.path_for(theirs).write_text(
            json.dumps({**json.loads(manifests.path_for(good).read_text()), "backup": theirs.name})
        )
        change_manifest(theirs, format="plain", compression="none")
        self.backup(theirs)
        return lambda: self.backup(good)

    def foreign_dump(self) -> Any:
        self.kept = self.awkward.content("awkward")
        self.judged(self.dumped_by_hand("--no-owner"))

    def cut_off(self) -> Any:
        good = self.request.restore.backup
        theirs = self.directory / "theirs.dump"
        theirs.write_bytes(good.read_bytes()[:-4000])
        manifests.path_for(theirs).write_text(manifests.path_for(good).read_text().replace(good.name, theirs.name))
        self.backup(theirs)
        return lambda: self.backup(good)

    def other_rows(self) -> Any:
        return self._tampered(lambda content: content["census"]["tables"]["public.child"].update(rows=7))

    def other_definitions(self) -> Any:
        return self._tampered(lambda content: content["definitions"].update({"TABLE public.ghost": "0123456789ab"}))

    def _tampered(self, change: Any) -> Any:
        path = manifests.path_for(self.request.restore.backup)
        good = path.read_text()
        content = json.loads(good)
        change(content)
        path.write_text(json.dumps(content))
        return lambda: path.write_text(good)

    def load_fails(self) -> Any:
        self.fail(beside, "load", 1, "no load")

    def load_fails_twice(self) -> Any:
        self.fail(beside, "load", 2, "no load")

    def analyse_fails(self) -> Any:
        self.fail(beside, "analyse", 2, "no statistics")

    def journal_fails(self) -> Any:
        real, failed = Journal.append, []

        def append(journal: Journal, event: str, step: str = "", **data: Any) -> Any:
            if (event, step) == ("done", "drop") and not failed:
                failed.append(True)
                raise RollbackError("no room for a line")
            return real(journal, event, step, **data)

        self.monkeypatch.setattr(Journal, "append", append)

    def half_dropped(self) -> Any:
        real, died = beside.drop, []

        def drop(connection: Any, name: str) -> bool:
            if name == ASIDE and not died:
                died.append(True)
                self.say([f"server: UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{ASIDE}'"])
                raise psycopg.OperationalError("the server died")
            return real(connection, name)

        self.monkeypatch.setattr(beside, "drop", drop)


@contextmanager
def scene(awkward: Awkward, directory: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> Iterator[Scene]:
    """The live database has changed since the backup, and the fault is there."""
    with ExitStack() as stack:
        made = Scene(awkward, directory, monkeypatch, stack)
        for statement in fault.undo:
            stack.callback(_tried, made, statement)
        stack.enter_context(awkward.database())
        made.say(fault.before)
        by = awkward.superuser if fault.does == "backup_of_superuser" else awkward.server
        backup = (
            directory / create.create(by, awkward.tools, create.Request(directory, "awkward", "v1", "test", "1")).backup
        )
        with awkward.server.connect() as connection:
            made.request = in_place.Request(
                restore=restore.Request("awkward", INTO, backup),
                safety=create.Request(directory / "safety", "awkward", "safety", "test", "1", allow=scan.ALLOWABLE),
                aside=ASIDE,
                live_oid=beside.oid_of(connection, "awkward"),
            )
        made.journal.append("opened", plan={"command": COMMAND})
        yield made


def _tried(made: Scene, statement: str) -> None:
    with suppress(psycopg.Error):  # the role may be gone
        made.say([statement])


def left(awkward: Awkward) -> list[str]:
    return sorted(name for name in awkward.place.databases() if name.startswith("awkward"))


def open_to_all(awkward: Awkward) -> bool:
    with awkward.as_superuser() as connection:
        return connection.execute("SELECT datallowconn FROM pg_database WHERE datname = 'awkward'").fetchone() == (
            True,
        )


@pytest.fixture
def changed(awkward, tmp_path, monkeypatch):
    """Make the scene of a fault. It knows the content that the backup has."""

    @contextmanager
    def make(fault: Fault) -> Iterator[Scene]:
        with scene(awkward, tmp_path, monkeypatch, fault) as made:
            made.kept = awkward.content("awkward")
            made.say(['live: DELETE FROM "Sales Data"."Order ""Lines""" WHERE id > 1900'])
            yield made

    return make


def rows(content: dict[str, Any]) -> Any:
    """Rows and sequences; of hash partitions, which others may have chosen, the sum."""
    tables: dict[str, Any] = {}
    for name, (count, digest) in content["tables"].items():
        root = re.sub(r"_\d$", "", name)
        if root == name:
            tables[name] = (count, digest)
        else:
            tables[root] = tables.get(root, 0) + count
    return tables, content["sequences"]


def refuses(made: Scene, fault: Fault) -> None:
    """As it was, whatever that was: nothing else is left, and clients get in."""
    before = made.awkward.content("awkward")
    with pytest.raises(RollbackError, match=fault.said):
        made.perform()
    assert left(made.awkward) == ["awkward"], fault.name
    assert open_to_all(made.awkward), fault.name
    found = made.awkward.content("awkward")
    if fault.dropped:  # a right is gone, and what needed it is what was said
        assert rows(found) == rows(before)
    else:
        assert found == before, fault.name


def succeeds(made: Scene) -> None:
    made.perform()
    assert left(made.awkward) == ["awkward"]
    assert open_to_all(made.awkward)
    assert rows(made.awkward.content("awkward")) == rows(made.kept)
    assert made.perform().changed is False


@pytest.mark.parametrize("awkward", sorted({fault.on for fault in FAULTS}), indirect=True)
def test_what_the_safety_dump_would_not_bring_back_is_refused_and_what_the_sentence_says_helps(
    awkward, changed, request
):
    """One after the other: each is seen alone, so what was said of the one before has cleared it."""
    faults = [fault for fault in FAULTS if fault.refused and fault.on == request.node.callspec.params["awkward"]]
    undo = [statement for fault in faults for statement in fault.undo]
    with changed(Fault("all", AS_BEFORE, undo=undo)) as made:
        for fault in faults:
            made.say(fault.after)
            refuses(made, fault)
            made.say(fault.clear)
        succeeds(made)


OTHERS = [fault for fault in FAULTS if not fault.refused]


@one_version_tells
@pytest.mark.parametrize("fault", [fault for fault in OTHERS if fault.on == "postgres"], ids=lambda fault: fault.name)
def test_the_live_name_has_its_data_or_one_command_leads_there(changed, fault):
    goes(changed, fault)


@pytest.mark.parametrize("awkward", ["postgres15"], indirect=True)
@pytest.mark.parametrize("fault", [fault for fault in OTHERS if fault.on == "postgres15"], ids=lambda fault: fault.name)
def test_it_has_where_extensions_are_there(changed, fault):
    goes(changed, fault)


def goes(changed, fault: Fault) -> None:
    with changed(fault) as made:
        made.say(fault.after)
        clear = getattr(made, fault.does)() if fault.does else None
        if fault.dropped:
            made.once_dropped(lambda: made.say(fault.dropped))
        if fault.state == AS_BEFORE:
            refuses(made, fault)
        elif fault.state == ONLY_DUMPED:
            with pytest.raises(RollbackError, match=fault.said):
                made.perform()
            assert "awkward" not in left(made.awkward)
        if clear:
            clear()
        made.say(fault.clear)
        succeeds(made)


TWICE = next(fault for fault in FAULTS if fault.does == "load_fails_twice")


@one_version_tells
def test_the_sentence_names_the_command_of_the_plan(awkward, changed):
    said = f"run the same command again: {COMMAND}$"
    with changed(TWICE) as made:
        made.load_fails_twice()
        with pytest.raises(RollbackError, match=said):
            made.perform()


@one_version_tells
def test_a_database_that_was_made_by_hand_of_the_safety_dump_is_what_the_next_attempt_begins_with(awkward, changed):
    with changed(TWICE) as made:
        made.load_fails_twice()
        before = awkward.content("awkward")
        with pytest.raises(RollbackError):
            made.perform()
        (safety,) = made.request.safety.directory.glob("*.dump")
        with awkward.server.connect() as connection:
            connection.execute(f"CREATE DATABASE awkward OWNER {OWNER} TEMPLATE template0")
        argv = [awkward.tools.path("pg_restore"), f"--dbname={awkward.server.conninfo('awkward')}", str(safety)]
        subprocess.run(argv, env=awkward.server.environment(), check=True)
        assert rows(awkward.content("awkward")) == rows(before)
        succeeds(made)


@one_version_tells
def test_an_empty_database_that_was_made_by_hand_is_not_taken_for_what_was_there(awkward, changed):
    with changed(TWICE) as made:
        made.load_fails_twice()
        with pytest.raises(RollbackError):
            made.perform()
        with awkward.server.connect() as connection:
            connection.execute(f"CREATE DATABASE awkward OWNER {OWNER} TEMPLATE template0")
            with pytest.raises(
                RollbackError, match=r"is empty.*DROP DATABASE awkward, then run the same command again"
            ):
                made.perform()
            connection.execute("DROP DATABASE awkward")
        succeeds(made)
