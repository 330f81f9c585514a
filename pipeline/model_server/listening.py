"""A socket that listens, and the server on it. Knows no model."""

import socket

import uvicorn
from starlette.applications import Starlette

from pipeline.errors import BusyError, ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LAST_ANSWERS_SECONDS = 30
WAITING = 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already: a port that is taken is an error before the model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--host {host}: {error.strerror}. Name an address of this machine.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(WAITING)
    except OSError as error:
        listener.close()
        raise BusyError(f"--port {port} on {host}: {error.strerror}. Choose another one, or stop the program that has it.") from None
    return listener


def address_of(host: str, port: int) -> str:
    """The address for a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def answer_until_stopped(app: Starlette, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being answered then are answered first."""
    server_of(app, LAST_ANSWERS_SECONDS).run(sockets=[listener])


def server_of(app: Starlette, last_answers_seconds: float) -> uvicorn.Server:
    """The server; for so long, it finishes requests after it was told to stop. The others get a 503."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=last_answers_seconds,  # type: ignore[arg-type]  # asyncio.wait_for gets it
        )
    )
