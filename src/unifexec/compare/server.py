"""A small HTTP server on loopback, in a process of its own, that answers after 20 ms.

``python -m unifexec.compare.server`` prints its port and serves until its standard input
ends: so it goes with whoever started it, however that ends.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAY = 0.02  # seconds before each answer
BODY = b"hello from loopback\n" * 50


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the same page, late."""

    def do_GET(self) -> None:
        """Wait, then answer."""
        time.sleep(DELAY)
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left early is no news."""


def serve() -> None:
    """Serve until standard input ends."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.buffer.read()


@contextmanager
def running() -> Iterator[str]:
    """The server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "unifexec.compare.server"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.communicate()  # closes its standard input, and waits for its end


if __name__ == "__main__":
    serve()
