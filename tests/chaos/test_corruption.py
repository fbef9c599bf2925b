"""500 seeded corruptions of real dumps: none may reach the swap.

`make chaos TEST_ARGS="-k corruption -n0 -s"` prints by which step each kind is found; docs/corruption.md explains it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import real_parts
import zstandard
from place import ROOT, Place
from servers import OWNER, Awkward

from ansible.module_utils.rollback.backups import catalog, create, files, proof
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.backups.proof import Terms
from ansible.module_utils.rollback.census import DEFAULT_VERSION_TABLE
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import NoJournal
from ansible.module_utils.rollback.postgres import beside, restore

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.postgres16,
    pytest.mark.postgres15,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

SEED = 20261125
SERVERS = ("postgres", "postgres16", "postgres15")
COUNTS = {"cut short": 150, "a bit flipped": 150, "two blocks swapped": 120, "another file under its name": 80}
INTO = "awkward__restore_20261122T031500Z"
DOCS = ROOT / "docs" / "corruption.md"
BLOCK = 512

# What a sentence says of where damage was found, with and without a manifest.
PLACES = (
    ("its size", r"bytes, its manifest says"),
    ("its checksum", r"the checksum of .* is not the one|lacks the file|has a file too many"),
    (
        "its format",
        r"not recognisable|is empty|has no toc\.dat|is not a dump|There is no backup|is compressed|is text in|begins with nothing",
    ),
    (
        "its lines",
        r"mixes line ends|is not part of the dump|is a program's message|goes on behind the dump's end|and does not end there",
    ),
    ("its name or revision", r"is of database|expects revision"),
    ("its statements", r"^The backup \S+ reaches|makes no table"),
    ("its end", r"is truncated: it does not end"),
    (
        "reading it",
        r"cannot be read|written through a terminal|written by a newer pg_dump|holds more than one dump|no plain file inside",
    ),
    (
        "loading it",
        r"^Loading |would not load|failed with exit code|^The dump holds|do not come as COPY|is not pg_dump's",
    ),
    ("comparing what was loaded", r"What was restored is not"),
)
SAME, WORD = "harmless: the same is restored", "nowhere: it needs `accept_unproven`"


@dataclass(frozen=True)
class Dump:
    """One dump on disk, with the server that wrote it, and others that might lie under its name."""

    awkward: Awkward
    path: Path
    manifest: Manifest
    others: list[Path]
    content: dict[str, Any]


def where(error: RollbackError) -> str:
    return next(place for place, pattern in PLACES if re.search(pattern, error.message))


# The dumps ------------------------------------------------------------------------------------------------------------


@contextmanager
def servers() -> Iterator[list[Awkward]]:
    places = [Place(Path(tempfile.mkdtemp(prefix="rollback-place-")), real_parts.find(name).place) for name in SERVERS]
    try:
        for place in places:
            place.lab.up()
        yield [Awkward(place) for place in places]
    finally:
        for place in places:
            place.lab.destroy()


def pg_dump(awkward: Awkward, database: str, to: Path, *options: str) -> bytes:
    argv = [awkward.tools.path("pg_dump"), f"--dbname={awkward.server.conninfo(database)}", f"--file={to}", *options]
    subprocess.run(argv, env=awkward.server.environment(), check=True)
    return b"" if to.is_dir() else to.read_bytes()


def written(awkward: Awkward, database: str, directory: Path) -> dict[str, Path]:
    """One dump of `database` in each format and compression."""
    directory.mkdir()
    plain = pg_dump(awkward, database, directory / "plain")
    custom = pg_dump(awkward, database, directory / "custom.gzip", "--format=custom")
    pg_dump(awkward, database, directory / "custom.none", "--format=custom", "--compress=0")
    pg_dump(awkward, database, directory / "directory", "--format=directory")
    pg_dump(awkward, database, directory / "tar", "--format=tar")
    for name, content in {
        "plain.gzip": gzip.compress(plain, mtime=0),
        "plain.zstd": zstandard.ZstdCompressor(write_checksum=True).compress(plain),
        "plain.xz": lzma.compress(plain, preset=1),
        "plain.bzip2": bz2.compress(plain),
        "custom.xz": lzma.compress(custom, preset=1),
    }.items():
        (directory / name).write_bytes(content)
    with tarfile.open(directory / "directory.tar.gz", "w:gz") as archive:
        archive.add(directory / "directory", arcname="monday")
    return {path.name: path for path in sorted(directory.iterdir())}


def dumps(awkward: Awkward, directory: Path) -> list[Dump]:
    """The dumps of one server: of the database, of it one revision later, with other rows, and of another database."""
    major = awkward.place.facts["postgres_version"].split(".")[0]
    with awkward.as_superuser("awkward") as connection:
        connection.execute(f"SET search_path = public; SET ROLE {OWNER}; SELECT lo_unlink(4242)")
    request = create.Request(directory / f"own.{major}", "awkward", "v1", "test", "1")
    census = create.create(awkward.server, awkward.tools, request).census
    good = written(awkward, "awkward", directory / f"good.{major}")
    content = awkward.content("awkward")
    with awkward.as_superuser("awkward") as connection:
        connection.execute("INSERT INTO public.child (line) SELECT 7 FROM generate_series(1, 40)")
    written(awkward, "awkward", directory / f"rows.{major}")
    with awkward.as_superuser("awkward") as connection:
        connection.execute("UPDATE public.alembic_version SET version_num = 'fedcba987654'")
    written(awkward, "awkward", directory / f"revision.{major}")
    with awkward.as_superuser() as connection:
        connection.execute(f"CREATE DATABASE awkward_other OWNER {OWNER}")
    with awkward.as_superuser("awkward_other") as connection:
        connection.execute("CREATE TABLE public.bills AS SELECT n FROM generate_series(1, 3000) n")
        connection.execute(f"ALTER TABLE public.bills OWNER TO {OWNER}")
    written(awkward, "awkward_other", directory / f"other.{major}")
    others = [directory / f"{kind}.{major}" for kind in ("rows", "revision", "other")]
    return [
        Dump(awkward, path, described(path, census), [other / name for other in others], content)
        for name, path in good.items()
    ]


def described(path: Path, census: Any) -> Manifest:
    """The manifest that playbooks/backup.yml would have written for it."""
    backup_format, compression = files.sniff(path)
    return Manifest(path.name, backup_format, compression, "test", "2026-11-22T03:01:00.000Z", 1.0, "18", "1",
                    files.checksums(path), census)  # fmt: skip


# The corruptions ------------------------------------------------------------------------------------------------------


def spoil(dump: Dump, kind: str, dice: random.Random, to: Path) -> None:
    """A copy of `dump` at `to`, with one thing wrong with it."""
    source = dice.choice(dump.others) if kind == "another file under its name" else dump.path
    shutil.copytree(source, to) if source.is_dir() else shutil.copyfile(source, to)
    if source != dump.path:
        return
    parts = sorted(path for path in (to.iterdir() if to.is_dir() else [to]) if path.stat().st_size > 1)
    part = dice.choices(parts, [path.stat().st_size for path in parts])[0]
    part.write_bytes(SPOIL[kind](part.read_bytes(), dice))


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def flip(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << dice.randrange(8))]) + content[at + 1 :]


def swap(content: bytes, dice: random.Random) -> bytes:
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    first, second = dice.sample(range(len(blocks)), 2) if len(blocks) > 1 else (0, 0)
    blocks[first], blocks[second] = blocks[second], blocks[first]
    swapped = b"".join(blocks)
    return swapped if swapped != content else flip(content, dice)


SPOIL: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut short": cut,
    "a bit flipped": flip,
    "two blocks swapped": swap,
}


# Where it is found ----------------------------------------------------------------------------------------------------


def found_with_manifest(dump: Dump, backup: Path) -> str:
    """As a run goes: the catalogue, then the proof. Nothing may come through."""
    manifests.write(backup, replace(dump.manifest, backup=backup.name, files=renamed(dump, backup)))
    try:
        chosen = catalog.read(backup.parent, "awkward", "test")
        catalog.choose(chosen, backup.name, backup.parent)
        proof.prove(backup, DEFAULT_VERSION_TABLE, dump.awkward.tools, Terms(rows=False))
    except RollbackError as error:
        return where(error)
    finally:
        manifests.path_for(backup).unlink()
    raise AssertionError(f"{backup} came through with a manifest")


def renamed(dump: Dump, backup: Path) -> dict[str, Any]:
    return {backup.name if name == dump.path.name else name: entry for name, entry in dump.manifest.files.items()}


def found_without_manifest(dump: Dump, backup: Path) -> str:
    """Its content is all there is: proof, what the plan compares, loading, and comparing what was loaded."""
    awkward, expected = dump.awkward, dump.manifest.census
    try:
        catalog.choose(catalog.read(backup.parent, "awkward", "test"), backup.name, backup.parent, judge=True)
        shown = proof.prove(backup, DEFAULT_VERSION_TABLE, awkward.tools, Terms(judge=True))
        then = shown.manifest.census
        if then.database not in ("", "awkward") or then.alembic_heads != expected.alembic_heads:
            return "its name or revision"
        with awkward.server.connect() as connection:
            request = restore.Request("awkward", INTO, backup, manifest=shown.manifest)
            restore.beside(awkward.server, connection, awkward.tools, request, NoJournal())
            same = awkward.content(INTO) == dump.content
            beside.drop(connection, INTO)
    except RollbackError as error:
        return where(error)
    return SAME if same else WORD


def table(results: dict[str, tuple[Counter[str], Counter[str]]]) -> str:
    def said(counts: Counter[str]) -> str:
        return ", ".join(
            f"{place} {count}" for place, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
        )

    rows = [
        f"| {kind} | {COUNTS[kind]} | {said(proven)} | {said(judged)} |" for kind, (proven, judged) in results.items()
    ]
    head = [
        "| what is wrong | count | with a manifest, found by | judged from its content alone, found by |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def test_no_corruption_reaches_the_swap(tmp_path):
    dice = random.Random(SEED)  # noqa: S311 - the same every time, on purpose
    results: dict[str, tuple[Counter[str], Counter[str]]] = {kind: (Counter(), Counter()) for kind in COUNTS}
    with servers() as there, ExitStack() as databases:
        for awkward in there:
            databases.enter_context(awkward.database())
        every = [dump for awkward in there for dump in dumps(awkward, tmp_path)]
        for number, kind in enumerate(kind for kind, count in COUNTS.items() for _ in range(count)):
            dump = every[number % len(every)]
            place = tmp_path / str(number)
            place.mkdir()
            backup = place / "backup_v1_20261122_030100"
            spoil(dump, kind, dice, backup)
            proven, judged = results[kind]
            proven[found_with_manifest(dump, backup)] += 1
            judged[found_without_manifest(dump, backup)] += 1
            shutil.rmtree(place)
    shown = table(results)
    print(f"\n{shown}")
    Path(ROOT / ".tools" / "corruption.md").write_text(shown + "\n")
    for kind, (proven, judged) in results.items():
        assert sum(proven.values()) == sum(judged.values()) == COUNTS[kind]
        # With a manifest, whatever was changed is another file: nothing is left to reading, loading or anybody's word.
        assert set(proven) <= {"its size", "its checksum", "its format", "reading it"}, kind
        # Without one, some of it can be seen by nobody: then somebody's word is asked for, and that is all that is left.
        assert set(judged) <= {place for place, _ in PLACES} | {SAME, WORD}, kind
    # Archives carry the time of their dump and OIDs, so how many are found where may differ by a few from run to run.
    assert re.findall(r"^\| (.+?) \| (\d+) \|", DOCS.read_text(), re.MULTILINE) == [
        (kind, str(count)) for kind, count in COUNTS.items()
    ]
