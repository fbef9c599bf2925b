"""Commands in emulated pods, over WebSockets as kubectl asks for them since 1.31 (`v5.channel.k8s.io`; before, it was SPDY).

A pod runs nothing by itself, so its command runs on this machine, with the variables of the container and nothing else
but PATH. Limits: no terminal, no resizing, and the whole of standard input is read before the command begins.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import urllib.parse
from http.server import BaseHTTPRequestHandler
from typing import Any

from websocket import ABNF, frame_buffer

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS = range(4)
CLOSE_CHANNEL = 255  # followed by the number of the channel that ends
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
_TIMEOUT_S = 120


def serve(handler: BaseHTTPRequestHandler, pod: dict[str, Any]) -> None:
    """Answer a request for `exec` from beginning to end; the connection is used up by it."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
    containers = pod["spec"]["containers"]
    wanted = query.get("container", [containers[0]["name"]])[0]
    container = next(one for one in containers if one["name"] == wanted)
    variables = {one["name"]: one["value"] for one in container.get("env", ())}
    _shake_hands(handler)
    given = _standard_input(handler) if query.get("stdin") == ["true"] else b""
    done = subprocess.run(
        query["command"],
        input=given,
        env={"PATH": os.environ["PATH"], **variables},
        cwd="/",
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    for channel, content in ((STDOUT, done.stdout), (STDERR, done.stderr), (STATUS, _status(done.returncode))):
        if content:
            _send(handler, ABNF.OPCODE_BINARY, bytes([channel]) + content)
    _send(handler, ABNF.OPCODE_CLOSE, (1000).to_bytes(2, "big"))
    handler.close_connection = True


def _shake_hands(handler: BaseHTTPRequestHandler) -> None:
    key = handler.headers["Sec-WebSocket-Key"].encode()
    handler.send_response(101)
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    handler.send_header(
        "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    )
    handler.send_header("Sec-WebSocket-Protocol", PROTOCOL)
    handler.end_headers()


def _standard_input(handler: BaseHTTPRequestHandler) -> bytes:
    frames = frame_buffer(handler.rfile.read, skip_utf8_validation=True)
    given = b""
    while True:
        frame = frames.recv_frame()
        if frame.opcode == ABNF.OPCODE_CLOSE or frame.data == bytes([CLOSE_CHANNEL, STDIN]):
            return given
        if frame.opcode == ABNF.OPCODE_PING:
            _send(handler, ABNF.OPCODE_PONG, frame.data)
        elif frame.data[:1] == bytes([STDIN]):
            given += frame.data[1:]


def _send(handler: BaseHTTPRequestHandler, opcode: int, content: bytes) -> None:
    frame = ABNF.create_frame(content, opcode)
    frame.mask_value = 0  # servers do not mask
    handler.wfile.write(frame.format())
    handler.wfile.flush()


def _status(code: int) -> bytes:
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    causes = [{"reason": "ExitCode", "message": str(code)}]
    failed = {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": causes},
    }
    return json.dumps(failed).encode()
