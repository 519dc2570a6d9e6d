"""``exp watch --web``: the live pages, served by the standard library to this machine alone unless told otherwise.

Requests read: a path of the URL is never a path on disk, but a key under which something is known. Whoever may not
read the cells' folder has no business here, so an address that others can reach asks for a token.
"""

import hmac
import ipaddress
import json
import secrets
import socket
import sys
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exp.options.errors import ConfigError
from exp.watch.live import Live
from exp.watch.text_files import PICTURES

PORT = 8650
"""Where the page is unless told otherwise; a free port where another program has this one."""
MOST_STREAMS = 64
PING_SECONDS = 15.0
ASSETS = Path(__file__).parent / "assets"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing is fetched from elsewhere, no script runs but ours, and the browser sees to it."""
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A picture opened by itself runs nothing; an SVG could otherwise."""


def assets() -> dict[str, tuple[str, bytes]]:
    """Returns the pages' own files: type and content by name."""
    return {path.name: (TYPES[path.suffix], path.read_bytes()) for path in ASSETS.iterdir() if path.suffix in TYPES}


class WatchServer(ThreadingHTTPServer):
    """Serves the pages.

    Args:
        live: What they show.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        token: What a browser has to bring; empty where none is asked for.
    """

    daemon_threads = True

    def __init__(self, live: Live, host: str, port: int, token: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.live = live
        self.token = token
        self.local = is_local(host)
        self.files = assets()
        self.streams = threading.Semaphore(MOST_STREAMS)
        super().__init__((host, port), WatchRequest)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of browsers that hang up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """What to open in a browser, the token included."""
        host, port = str(self.server_address[0]), self.server_address[1]
        if host in ("0.0.0.0", "::"):
            host = socket.gethostname()
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/" + (f"?token={self.token}" if self.token else "")


class WatchRequest(BaseHTTPRequestHandler):
    """Answers one request."""

    server: WatchServer
    protocol_version = "HTTP/1.1"
    server_version = "exp"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        """Finds what is asked for."""
        url = urlsplit(self.path)
        asked = {key: values[-1] for key, values in parse_qs(url.query).items()}
        if not self._host_is_ours():
            return self._send(403, "text/plain", b"this page is for this machine alone\n")
        if not self._may(asked):
            return self._send(403, "text/plain", b"open the link that exp watch has printed, with its token\n")
        if "token" in asked:
            return self._enter()
        live = self.server.live
        answers = {
            "/api/cell": lambda: live.cell(asked.get("id", "")),
            "/api/bands": lambda: live.bands(asked.get("metric", "")),
            "/api/table": lambda: live.table(asked.get("name", ""), asked.get("variant", "")),
        }
        if url.path in answers:
            answer = answers[url.path]()
            return self._send_json(answer) if answer is not None else self._nothing()
        if url.path == "/events":
            return self._stream()
        if url.path == "/picture":
            return self._picture(asked)
        name = "index.html" if url.path == "/" else url.path.removeprefix("/assets/")
        if name not in self.server.files:
            return self._nothing()
        kind, content = self.server.files[name]
        return self._send(200, kind, content)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing; the terminal is the user's."""

    def _host_is_ours(self) -> bool:
        """Whether the page was asked for by an address of this machine.

        A page elsewhere could otherwise let its own name point here and read along (DNS rebinding).
        """
        if not self.server.local:
            return True
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        return is_local(host)

    def _may(self, asked: dict[str, str]) -> bool:
        if not self.server.token:
            return True
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie)
        given = asked.get("token") or (cookie.value if cookie else "")
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    @property
    def _cookie(self) -> str:
        return f"exp-watch-{self.server.server_address[1]}"

    def _enter(self) -> None:
        """Puts the token into a cookie, so that it does not stay in the address."""
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", f"{self._cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _nothing(self) -> None:
        self._send(404, "text/plain", b"there is no such thing here\n")

    def _send_json(self, value: Any) -> None:
        self._send(200, "application/json", json.dumps(value, allow_nan=False).encode())

    def _send(self, code: int, kind: str, content: bytes, policy: str = POLICY) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self._protect(policy)
        self.end_headers()
        self.wfile.write(content)

    def _protect(self, policy: str) -> None:
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")

    def _picture(self, asked: dict[str, str]) -> None:
        path = self.server.live.picture(asked.get("id", ""), asked.get("name", ""))
        try:
            content = path.read_bytes() if path is not None else None
        except OSError:
            content = None
        if path is None or content is None:
            return self._nothing()
        return self._send(200, PICTURES[path.suffix], content, PICTURE_POLICY)

    def _stream(self) -> None:
        """Sends what changes as server-sent events, until the browser or the program ends."""
        if not self.server.streams.acquire(blocking=False):
            return self._send(503, "text/plain", b"too many pages are open\n")
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self._protect(POLICY)
            self.end_headers()
            self.close_connection = True
            version, looks, before = -1, -1, None
            while not self.server.live.stopped:
                version, looks, answer = self.server.live.news(version, looks, PING_SECONDS)
                seen = (answer["head"], answer["tables"])
                if answer["cells"] or answer["gone"] or seen != before:
                    self.wfile.write(b"data: " + json.dumps(answer, allow_nan=False).encode() + b"\n\n")
                else:
                    self.wfile.write(b": still here\n\n")
                before = seen
        finally:
            self.server.streams.release()


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(live: Live, host: str, port: int | None, token: bool) -> int:
    """Serves the pages until Ctrl-C.

    Args:
        live: What they show.
        host: Address to listen on.
        port: Port; None takes ``PORT``, or a free one where that is taken.
        token: Whether to ask for a token on a loopback address, too.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    secret = secrets.token_urlsafe(16) if token or not is_local(host) else ""
    try:
        server = listening(live, host, port, secret)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {host} --port {port or PORT}: cannot be listened on: {error}") from error
    live.start()
    print(f"{live.title}: {server.url}   (Ctrl-C ends)", flush=True)
    if not server.local:
        print("Whoever has this link can read the cells; the connection is not encrypted.", flush=True)
    try:
        server.serve_forever(poll_interval=0.5)
    except KeyboardInterrupt:
        print()
    finally:
        live.stop()
        server.server_close()
    return 0


def listening(live: Live, host: str, port: int | None, token: str) -> WatchServer:
    """Returns a server that listens."""
    if port is not None:
        return WatchServer(live, host, port, token)
    try:
        return WatchServer(live, host, PORT, token)
    except OSError:
        return WatchServer(live, host, 0, token)
