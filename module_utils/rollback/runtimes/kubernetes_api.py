"""Asking a Kubernetes API through kubernetes.core's client, so that kubeconfig, context, host, api_key … mean what its users know.

Answers are plain dictionaries; whatever goes wrong is one sentence.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.rollback.errors import RollbackError

_CONNECT_S, _READ_S = 5, 30
_JSON_PATCH = "application/json-patch+json"
_CHECK_ACCESS = "Check app_rollback_kubernetes_access, and the way from here to the cluster."


class ApiError(RollbackError):
    """The API's own no. `status` is that of HTTP."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


class Api:
    """`client` is kubernetes.core's; `paths` are those of the API, such as `/api/v1/namespaces/hunter/pods`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, path: str) -> Optional[Dict[str, Any]]:
        """None where there is no such object."""
        try:
            return self._ask("get", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str, **query: str) -> List[Dict[str, Any]]:
        found = self._ask("get", path, query=list(query.items()))
        return [dict(item) for item in found.get("items") or ()]

    def create(self, path: str, content: Mapping[str, Any]) -> Dict[str, Any]:
        return self._ask("post", path, body=content)

    def patch(self, path: str, operations: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
        """A JSON patch: what it does not name stays as it is."""
        return self._ask("patch", path, body=list(operations), content_type=_JSON_PATCH)

    def delete(self, path: str, uid: str) -> None:
        """The object of that uid, and no other that took its name meanwhile."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            self._ask("delete", path, body=options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Sequence[Tuple[str, str]] = (),
        content_type: str = "application/json",
    ) -> Dict[str, Any]:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            answer = self._client.request(
                method,
                path,
                body=body,
                query_params=list(query),
                content_type=content_type,
                serialize=False,
                _request_timeout=(_CONNECT_S, _READ_S),
            )
        except ApiException as error:
            raise _refused(error.status or 0, error.body or "", str(error.reason)) from error
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(error) from error
        return dict(json.loads(answer.data))


def connect(access: Mapping[str, Any]) -> Api:
    """`access` holds kubernetes.core's options for authentication. Raises RollbackError where there is no way in."""
    try:
        import kubernetes  # noqa: F401
        import urllib3
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.exceptions import CoreException
        from kubernetes.client.exceptions import ApiException
        from kubernetes.config import ConfigException
    except ImportError as error:
        raise RollbackError(
            f"{sys.executable} has no Python package {error.name}.",
            "Install it, or let ansible_python_interpreter of this host be one that has it.",
        ) from error
    try:
        found = _within(_READ_S, lambda: get_api_client(**{k: v for k, v in access.items() if v is not None}))
    except (CoreException, ConfigException) as error:
        raise RollbackError(f"No way into the cluster is known: {error}.".replace("..", "."), _CHECK_ACCESS) from error
    except ApiException as error:
        raise _refused(error.status or 0, error.body or "", str(error.reason)) from error
    except urllib3.exceptions.HTTPError as error:
        raise _unreachable(error) from error
    return Api(found.client)


def _within(seconds: float, call: Any) -> Any:
    """What `call` returns. The client's first questions have no time limit of their own, and a firewall may never answer."""
    ended: List[Tuple[Any, Optional[BaseException]]] = []

    def run() -> None:
        try:
            ended.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            ended.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise RollbackError(f"The Kubernetes API did not answer within {seconds:g} s.", _CHECK_ACCESS)
    result, error = ended[0]
    if error:
        raise error
    return result


def _refused(status: int, body: Any, reason: str) -> ApiError:
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        said = reason
    said = said.rstrip(".")
    if status == 401:
        return ApiError(status, f"The cluster does not accept these credentials: {said}.", _CHECK_ACCESS)
    if status == 403:
        return ApiError(
            status, f"The cluster forbids it: {said}.", "docs/adopting.md lists the rights that are needed."
        )
    return ApiError(status, f"The cluster refused: {said}.")


def _unreachable(error: Exception) -> RollbackError:
    # The address that was tried: kubeconfig, context and environment decide it, and only the error always knows.
    pool = getattr(error, "pool", None)
    where = f" at {pool.scheme}://{pool.host}:{pool.port}" if pool else ""
    cause = getattr(error, "reason", None) or error
    said = str(cause).rpartition(": ")[2].rstrip(".") or type(cause).__name__
    return RollbackError(f"The Kubernetes API{where} cannot be reached: {said}.", _CHECK_ACCESS)
