"""Backups in a bucket of S3, or of anything that speaks S3. Credentials come by boto3's usual chain, unless they are named.

An object is brought in parts over several connections. Its ETag says whether it is still the same object, and never what is
in it: of an upload in parts it is no MD5.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set

from ansible.module_utils.rollback.backups.sources.source import (
    SMALL,
    Entry,
    Interrupted,
    Pace,
    Room,
    Sink,
    Source,
    Unreachable,
)

with suppress(ImportError):  # what needs it says so
    import boto3
    from boto3.exceptions import Boto3Error
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

_PART = 8 * 1024 * 1024
_BLOCK = 1024 * 1024
_CONNECTIONS = 8
_TRIES = 5
_ANSWER_WITHIN_S = 30
_PAUSE_S = 0.25  # before the second try; twice as long before each one after it
_BUSY = (500, 502, 503, 504, 429)


@dataclass(frozen=True)
class Bucket:
    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool = False
    profile: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    ca_file: str = ""


class S3Source(Source):
    def __init__(self, name: str, pace: Pace, bucket: Bucket) -> None:
        super().__init__(name, pace)
        self._said = bucket
        self._prefix = bucket.prefix.strip("/") + "/" if bucket.prefix.strip("/") else ""
        self._made: Optional[Any] = None

    @property
    def where(self) -> str:
        at = f" at {self._said.endpoint}" if self._said.endpoint else ""
        return f"s3://{self._said.bucket}/{self._prefix}{at}"

    def list(self) -> List[Entry]:
        """Objects right below the prefix; those further below count as one directory, as a dump in that format is."""
        found: Dict[str, Entry] = {}
        with self._asking(self._said.bucket):
            pages = (
                self._client().get_paginator("list_objects_v2").paginate(Bucket=self._said.bucket, Prefix=self._prefix)
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    name = item["Key"][len(self._prefix) :].split("/")[0]
                    before = found.get(name, Entry(name, 0, 0.0))
                    modified = max(before.modified_at, item["LastModified"].timestamp())
                    found[name] = Entry(name, before.bytes + item["Size"], modified)
        return [entry for name, entry in found.items() if name]

    def read(self, name: str) -> bytes:
        with self._asking(name):
            answer = self._client().get_object(**self._key(name), Range=f"bytes=0-{SMALL - 1}")
            with answer["Body"] as body:
                return bytes(body.read())

    def size(self, name: str) -> int:
        with self._asking(name):
            return int(self._client().head_object(**self._key(name))["ContentLength"])

    def bring(self, name: str, start: int, size: int, sink: Sink, room: Room) -> None:
        with self._asking(name):
            etag = self._client().head_object(**self._key(name))["ETag"]
        stop = threading.Event()
        ask = {**self._key(name), "IfMatch": etag}
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            under_way: Set["Future[None]"] = set()
            try:
                for offset in range(start, size, _PART):
                    end = min(offset + _PART, size)
                    while len(under_way) >= _CONNECTIONS or not room(end):
                        under_way = _less(under_way)
                    under_way.add(threads.submit(self._bring_part, name, ask, offset, end, sink, stop))
                while under_way:
                    under_way = _less(under_way)
            finally:
                stop.set()

    def put(self, path: Path, name: str) -> None:
        """An object appears when it is whole; a part that came damaged is refused by the server, which gets its checksum."""
        settings: Dict[str, Any] = {"max_concurrency": _CONNECTIONS, "multipart_chunksize": _PART}
        if self.pace.bytes_per_s:
            settings["max_bandwidth"] = self.pace.bytes_per_s
        with self._asking(name):
            self._client().upload_file(
                str(path), self._said.bucket, self._prefix + name,
                ExtraArgs={"ChecksumAlgorithm": "SHA256"}, Config=TransferConfig(**settings),
            )  # fmt: skip
        there, sent = self.size(name), path.stat().st_size
        if there != sent:
            raise Interrupted(f"{self.where} has {there:,} bytes of {name}, and was sent {sent:,}.")

    def _bring_part(
        self, name: str, ask: Dict[str, Any], offset: int, end: int, sink: Sink, stop: threading.Event
    ) -> None:
        """What breaks off goes on where it was; _TRIES in a row without a byte are the end."""
        failures = 0
        buffer = memoryview(bytearray(_BLOCK))
        while offset < end and not stop.is_set():
            try:
                with self._asking(name):
                    body = self._client().get_object(**ask, Range=f"bytes={offset}-{end - 1}")["Body"]
                    with body:
                        while offset < end and not stop.is_set():
                            self.pace.take(min(_BLOCK, end - offset))
                            came = body.readinto(buffer[: end - offset])
                            if not came:
                                raise Interrupted(f"{self.where} ends {name} before its end.")
                            sink(offset, buffer[:came])
                            offset, failures = offset + came, 0
            except Interrupted:
                failures += 1
                if failures >= _TRIES:
                    raise
                stop.wait(_pause(failures))

    def _key(self, name: str) -> Dict[str, str]:
        return {"Bucket": self._said.bucket, "Key": self._prefix + name}

    def _client(self) -> Any:
        if self._made is None:
            _require_boto3()
            said = self._said
            session = boto3.session.Session(
                aws_access_key_id=said.access_key or None,
                aws_secret_access_key=said.secret_key or None,
                aws_session_token=said.session_token or None,
                region_name=said.region or None,
                profile_name=said.profile or None,
            )
            self._made = session.client(
                "s3",
                endpoint_url=said.endpoint or None,
                verify=said.ca_file or None,
                region_name=session.region_name or "us-east-1",
                config=Config(
                    connect_timeout=_ANSWER_WITHIN_S,
                    read_timeout=_ANSWER_WITHIN_S,
                    max_pool_connections=_CONNECTIONS,
                    retries={"mode": "standard", "total_max_attempts": _TRIES},
                    s3={"addressing_style": "path" if said.path_style else "auto"},
                ),
            )
        return self._made

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """boto3's errors in the words that every source has."""
        _require_boto3()
        try:
            yield
        except ClientError as error:
            raise self._refused(error, what) from error
        except NoCredentialsError as error:
            raise Unreachable(
                f"There are no credentials for {self.where}.",
                "Set access_key and secret_key, or give the host a role or a profile.",
            ) from error
        except (BotoCoreError, Boto3Error) as error:
            if _is_of_settings(error):
                raise Unreachable(f"{self.where} cannot be asked: {_said(error)}.") from error
            raise Interrupted(f"{self.where} does not answer, or breaks off: {_said(error)}.") from error
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise Interrupted(f"{self.where} does not answer, or breaks off: {_said(error)}.") from error

    def _refused(self, error: Any, what: str) -> Exception:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code == "NoSuchBucket":
            return Unreachable(f"There is no bucket {self._said.bucket} for {self.where}.")
        if status == 404:
            return FileNotFoundError(2, "there is no such object", what)
        if status == 412:
            return Unreachable(
                f"{what} in {self.where} was replaced while it was brought.", "Run the same command again."
            )
        if status in _BUSY:
            return Interrupted(f"{self.where} answers {status} ({code}).")
        return Unreachable(
            f"{self.where} refuses {what}: {status} ({code}).", "Check the credentials and what they may do."
        )


def _less(under_way: "Set[Future[None]]") -> "Set[Future[None]]":
    """Those that are left when at least one has ended. Raises what it failed with."""
    done, left = wait(under_way, return_when=FIRST_COMPLETED)
    for part in done:
        part.result()
    return left


def _require_boto3() -> None:
    if "boto3" not in globals():
        raise Unreachable("S3 needs the Python package boto3.", "Run playbooks/prepare.yml, or install boto3.")


def _is_of_settings(error: Exception) -> bool:
    """Whether asking again cannot help: a profile that is not there, a certificate that is not believed."""
    return type(error).__name__ in (
        "ProfileNotFound", "SSLError", "ParamValidationError", "PartialCredentialsError", "InvalidEndpointError",
        "InvalidConfigError", "ConfigParseError", "UnknownEndpointError",
    )  # fmt: skip


def _pause(failures: int) -> float:
    return float(_PAUSE_S * 2 ** (failures - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - it is no secret


def _said(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
