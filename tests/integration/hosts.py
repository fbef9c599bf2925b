"""A fleet of application hosts on this machine: each has releases, commands and an answer of its own.

Real directories, real commands, real HTTP, and by choice real SSH; only the application is a small one. It runs while
its file `running` is there, and a release that has a file `broken` answers 500.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from place import ROOT, Place

GOOD, BAD = "1.0.0", "1.0.1"


# How a host of that name is reached, and what else is special about it, as variables of an inventory.
Special = Callable[[str], dict[str, object]]


def locally(host: str) -> dict[str, object]:
    return {"ansible_connection": "local"}


class Fleet:
    """`hosts` by name, `app01` and so on; all of them run `BAD`, and have `GOOD` too."""

    def __init__(self, place: Place, size: int, special: Special = locally) -> None:
        self.directory = place.home / "fleet"
        self.hosts = [f"app{number:02d}" for number in range(1, size + 1)]
        for host in self.hosts:
            for version in (GOOD, BAD):
                (self.path(host) / "releases" / version).mkdir(parents=True)
        self.deploy(BAD)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.inventory = self.directory / "inventory"
        self._write_inventory(special)

    def path(self, host: str) -> Path:
        return self.directory / host

    def deploy(self, version: str, *hosts: str) -> None:
        """These hosts, or all of them, run it, whatever ran there."""
        for host in hosts or self.hosts:
            link = self.path(host) / "current"
            link.unlink(missing_ok=True)
            link.symlink_to(Path("releases") / version)
            (self.path(host) / "running").touch()

    def version(self, host: str) -> str:
        return (self.path(host) / "current").readlink().name

    def versions(self) -> dict[str, str]:
        return {host: self.version(host) for host in self.hosts}

    def spoil(self, host: str, version: str = GOOD) -> None:
        """That release does not work on that host."""
        (self.path(host) / "releases" / version / "broken").touch()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _write_inventory(self, special: Special) -> None:
        (self.inventory / "group_vars").mkdir(parents=True)
        groups = ROOT / "inventories" / "local" / "group_vars" / "all.yml"
        (self.inventory / "group_vars" / "all.yml").write_text(groups.read_text())
        address = f"http://127.0.0.1:{self._server.server_port}"
        app = {host: {**self._variables(host, address), **special(host)} for host in self.hosts}
        children = {"app": {"hosts": app}, "database": {"hosts": {"hunter-db": {}}}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": children}}))

    def _variables(self, host: str, address: str) -> dict[str, object]:
        path = self.path(host)
        return {
            "rollback_base_url": f"{address}/{host}",
            "rollback_endpoints": [],
            "app_rollback_path": str(path),
            "app_rollback_stop_command": ["rm", "-f", str(path / "running")],
            "app_rollback_start_command": ["touch", str(path / "running")],
        }


@contextlib.contextmanager
def fleet(place: Place, size: int, special: Special = locally) -> Iterator[Fleet]:
    made = Fleet(place, size, special)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(made.directory)


def _answering(fleet: Fleet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = fleet.path(self.path.split("/")[1])
            running = (path / "running").exists()
            well = running and not (path / "current" / "broken").exists()
            self.send_response(200 if well else 500 if running else 503)
            self.send_header("X-App-Version", (path / "current").readlink().name)
            self.end_headers()
            self.wfile.write(json.dumps({"well": well}).encode())

        def log_message(self, *_: object) -> None:
            pass

    return Handler
