"""The HTTP server: marketplaces and control API on one loopback port, in process or on its own."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .aws.endpoint import AwsMarketplace
from .azure.endpoint import AzureMarketplace
from .client import SandboxControl
from .clock import SandboxClock
from .control import PREFIX, ControlApi
from .exchange import BadControlRequestError, Json, Marketplace, Request
from .gcp.endpoint import GcpMarketplace
from .sandbox import Delivery, MarketplaceSandbox

# Larger bodies are not read at all; every marketplace's own limit is far below.
_MOST_BYTES = 16_000_000


class SandboxServer(ThreadingHTTPServer):
    """Serves a sandbox; closing it ends every open connection and waits for its thread."""

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, sandbox: MarketplaceSandbox, port: int = 0) -> None:
        self.sandbox = sandbox
        self.control = ControlApi(sandbox)
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The address to point clients at."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remembers the connection, so that closing the server can end it."""
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forgets and closes the connection."""
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event here; anything else is reported as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Stops listening, wakes held-back answers, and ends open connections."""
        self.stopping.set()
        with self._connections_lock:
            for connection in self._connections:
                _end(connection)
        super().server_close()


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The peer ended it already; the thread that serves it closes the socket.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "marketplace-sandbox"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: SandboxServer

    def handle_expect_100(self) -> bool:
        """Sends the interim answer at once; the buffered writer would hold it back."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            return
        url = urlsplit(self.path)
        if url.path.startswith(PREFIX):
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            self._serve_control(url.path, query, body)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, url.path, headers, body, url.query)
        delivery = self.server.sandbox.serve(request)
        if delivery is None:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "no marketplace serves this path"})
        else:
            self._deliver(delivery)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isascii() or not length.isdigit():
            self._give_up(HTTPStatus.LENGTH_REQUIRED, "a Content-Length is required")
            return None
        if int(length) > _MOST_BYTES:
            self._give_up(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
            return None
        return self.rfile.read(int(length))

    def _give_up(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._send_json(status, {"error": reason})

    def _serve_control(self, path: str, query: dict[str, str], body: bytes) -> None:
        try:
            answer = self.server.control.serve(self.command, path, query, body)
        except BadControlRequestError as exc:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(exc)})
        else:
            self._send_json(HTTPStatus.OK, answer)

    def _deliver(self, delivery: Delivery) -> None:
        delay = float(delivery.delay_seconds)
        # Whoever is held back when the server stops gets no answer before its time.
        cut_short = delay > 0 and self.server.stopping.wait(delay)
        if cut_short or delivery.answer is None:
            self._break_connection()
        else:
            answer = delivery.answer
            self._send(answer.status, dict(answer.headers), answer.body)

    def _break_connection(self) -> None:
        """Closes without an answer, and as a reset rather than an orderly end."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _send_json(self, status: HTTPStatus, body: Json) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Writes nothing; `/_sandbox/calls` is the log."""


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that serves.

    Attributes:
        url: Where, for clients of the marketplaces.
        control: The control API's client.
    """

    url: str
    control: SandboxControl
    sandbox: MarketplaceSandbox


@contextmanager
def running_sandbox(
    *,
    port: int = 0,
    marketplaces: Sequence[Marketplace] | None = None,
    clock: SandboxClock | None = None,
    seed: int = 0,
    state: Path | None = None,
) -> Iterator[RunningSandbox]:
    """Runs a sandbox in a thread of this process.

    Args:
        port: On 127.0.0.1; 0 takes a free one.
        marketplaces: What to serve; all of them by default.
        clock: The time the marketplaces see; real time by default.
        seed: Of the random draws of faults.
        state: A file to keep registrations and the bill in.
    """
    sandbox = MarketplaceSandbox(
        [AwsMarketplace(), AzureMarketplace(), GcpMarketplace()]
        if marketplaces is None
        else marketplaces,
        clock=clock,
        seed=seed,
        state=state,
    )
    server = SandboxServer(sandbox, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield RunningSandbox(server.url, SandboxControl(server.url), sandbox)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
