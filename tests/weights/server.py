"""A web server on this machine, for downloads that need no network."""

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Callable
from collections.abc import Iterator

from keras_twins.weights.registry import Source

CONTENT = bytes(range(256)) * 4096


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.pages.get(self.path, not_found)(self)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.pages: dict[str, Callable] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass  # clients that hang up are part of the tests


@contextlib.contextmanager
def run_server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def not_found(handler: Handler) -> None:
    handler.send_error(404)


def send(content: bytes, length: int | None = None) -> Callable:
    """Returns a page; `length` is what it claims to send."""

    def page(handler: Handler) -> None:
        handler.send_response(200)
        claimed = len(content) if length is None else length
        handler.send_header("Content-Length", str(claimed))
        handler.end_headers()
        handler.wfile.write(content)

    return page


def send_without_length(content: bytes) -> Callable:
    def page(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return page


def redirect(url: str) -> Callable:
    def page(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.end_headers()

    return page


def source_of(url: str, name: str = "weights-1.bin", **pins) -> Source:
    """Returns a source; pinned to `CONTENT` if no other pin is given."""
    pins = pins or {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    return Source(url=url, file_name=name, container="safetensors", **pins)
