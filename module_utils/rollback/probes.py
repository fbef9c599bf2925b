"""HTTP probes: does the application answer as it should, several times in a row?"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

_BODY_LIMIT = 256 * 1024


@dataclass(frozen=True)
class Endpoint:
    """`url` must answer with one of `status`; `contains` must stand in the body."""

    url: str
    status: List[int] = field(default_factory=lambda: [200])
    contains: str = ""
    timeout_s: float = 5.0


@dataclass
class Answers:
    """What an endpoint answered. `status` is of the last attempt, 0 where there was no answer; `reason` is of the last failure."""

    url: str
    attempts: int = 0
    failures: int = 0
    status: int = 0
    reason: str = ""
    version: str = ""
    seconds: float = 0.0

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    healthy: bool
    rounds: int
    seconds: float
    answers: List[Answers]

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def complaints(answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> List[str]:
    """What was wrong, from the answers by host: one sentence per endpoint that did not always answer well, and per reason."""
    found: Dict[Tuple[str, str], List[Tuple[str, Mapping[str, Any]]]] = {}
    for host, answered in answers.items():
        for answer in answered:
            if answer["failures"]:
                found.setdefault((answer["url"], answer["reason"]), []).append((host, answer))
    return [
        f"{url} {reason} ({sum(answer['failures'] for _, answer in said)} of {sum(answer['attempts'] for _, answer in said)},"
        f" asked on {listed(host for host, _ in said)})"
        for (url, reason), said in found.items()
    ]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect to a login page is no success."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def probe(
    endpoints: List[Endpoint],
    successes: int = 1,
    within_s: float = 0.0,
    interval_s: float = 0.5,
    version: str = "",
    version_header: str = "X-App-Version",
    rounds: int = 0,
) -> Verdict:
    """Ask all endpoints round after round, until `successes` rounds in a row were good.

    Gives up after `within_s` seconds or, where it is not 0, after `rounds` rounds. With `version`, the header
    `version_header` must name it: a good answer of the version that should be gone is a failure.
    """
    if not endpoints:
        raise RollbackError("No endpoint is given, so nothing would be proven.", "Set rollback_health_endpoints.")
    other = [endpoint.url for endpoint in endpoints if not endpoint.url.startswith(("http://", "https://"))]
    if other:
        raise RollbackError(f"{other[0]} is no HTTP address.", "Check rollback_base_url.")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))  # the application, not a proxy
    answers = [Answers(endpoint.url) for endpoint in endpoints]
    began, row, done = time.monotonic(), 0, 0
    while True:
        good = [_ask(opener, endpoint, answer, version, version_header) for endpoint, answer in zip(endpoints, answers)]
        done += 1
        row = row + 1 if all(good) else 0
        spent = time.monotonic() - began
        if row >= successes or done == rounds or (spent >= within_s and not rounds):
            return Verdict(row >= successes, done, round(spent, 3), answers)
        time.sleep(interval_s)


def _ask(
    opener: urllib.request.OpenerDirector, endpoint: Endpoint, answer: Answers, version: str, version_header: str
) -> bool:
    began = time.monotonic()
    status, body, said = _get(opener, endpoint, version_header)
    answer.attempts += 1
    answer.seconds, answer.status, answer.version = round(time.monotonic() - began, 3), status, said or ""
    if status == 0:
        answer.reason = body
    elif status not in endpoint.status:
        answer.reason = f"answered {status}"
    elif endpoint.contains and endpoint.contains not in body:
        answer.reason = f"answered without {endpoint.contains!r}"
    elif version and version_header and said != version:
        answer.reason = f"answered as version {said}" if said else f"answered without the header {version_header}"
    else:
        return True
    answer.failures += 1
    return False


def _get(
    opener: urllib.request.OpenerDirector, endpoint: Endpoint, version_header: str
) -> Tuple[int, str, Optional[str]]:
    request = urllib.request.Request(  # noqa: S310 - probe() takes http and https alone
        endpoint.url, headers={"Cache-Control": "no-cache", "User-Agent": "rollback-verify"}
    )
    try:
        try:
            response = opener.open(request, timeout=endpoint.timeout_s)
        except urllib.error.HTTPError as error:
            response = error  # an answer all the same
        with response:
            return (
                response.getcode(),
                response.read(_BODY_LIMIT).decode(errors="replace"),
                response.headers.get(version_header),
            )
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return 0, f"did not answer ({reason})", None
