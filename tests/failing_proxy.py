"""A proxy before a real server that lets chosen calls fail in the ways in which servers and proxies fail."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["503", "403", "429", "401", "login page", "garbage", "cut off", "hangs", "closed", "answer lost"]
FAULTS: tuple[Fault, ...] = ("503", "403", "429", "401", "login page", "garbage", "cut off", "hangs", "closed", "answer lost")
LOGIN_PAGE = b"<!doctype html><title>Sign in</title><form><input name=user></form>"
HANG_SECONDS = 6.0
NOT_PASSED_ON = ("host", "connection", "accept-encoding", "content-length", "transfer-encoding")


class FailingProxy(ThreadingHTTPServer):
    """Passes calls on to `upstream`, and counts them from 1 in `asked`. `fault_of(number)`: how a call fails, None if it does not."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.url = f"http://127.0.0.1:{self.server_port}{urlsplit(upstream).path}"
        self.asked: list[str] = []
        self.fault_of: Callable[[int], Fault | None] = lambda _: None
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def fail(self, fault_of: Callable[[int], Fault | None]) -> None:
        """Start counting anew, with these faults."""
        self.asked, self.fault_of = [], fault_of


class _Handler(BaseHTTPRequestHandler):
    server: FailingProxy

    def answer(self) -> None:
        body = self.read_body()
        with self.server.lock:
            self.server.asked.append(f"{self.command} {self.path}")
            fault = self.server.fault_of(len(self.server.asked))
        if fault == "hangs":
            time.sleep(HANG_SECONDS)
        if fault in ("closed", "hangs"):
            self.connection.close()
        elif fault is not None and fault.isdigit():
            self.send(int(fault), b"<html>not now</html>")
        elif fault == "login page":
            self.send(200, LOGIN_PAGE)
        elif fault == "garbage":
            self.send(200, b'{"registered_model": {"na')
        else:
            status, answer = self.pass_on(body)
            if fault == "answer lost":
                self.connection.close()
            else:
                self.send(status, answer[: len(answer) // 2] if fault == "cut off" else answer, len(answer))

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size + 2)[:size]
        self.rfile.readline()
        return body

    def pass_on(self, body: bytes) -> tuple[int, bytes]:
        address = urlsplit(self.server.upstream)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def send(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client waits no longer
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
