"""Fetch several pages at once, from a small server on loopback that this example starts.

python examples/fetch_data.py async              (or thread, process, serial)
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, build_opener

from unifexec import create_executor


class Page(BaseHTTPRequestHandler):
    """Answers each page after a tenth of a second."""

    def do_GET(self) -> None:
        time.sleep(0.1)
        body = f"page {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """For many at once: with the 5 that may wait by default, some connect only a second later."""

    request_queue_size = 64


def fetch_data(url: str) -> str:
    direct = build_opener(ProxyHandler({}))  # the server is on loopback: no proxy
    with direct.open(url, timeout=10) as answer:
        return answer.read().decode()


if __name__ == "__main__":
    kind = sys.argv[1] if len(sys.argv) > 1 else "thread"
    with Server(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        start = time.perf_counter()
        with create_executor(kind, max_workers=8) as executor:
            for page in executor.map(fetch_data, [f"{address}/{n}" for n in range(8)]):
                print(page)
        print(f"on {kind}: {time.perf_counter() - start:.1f} s")
        server.shutdown()
