"""The routes of the page of `pipeline relabel`: what to look at, pictures, answers. Only pages of its own may post."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import PipelineError
from pipeline.relabelling.session import AnswerError, Session

PAGE = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
HOSTS = ["127.0.0.1", "localhost"]
SHOWN_PROBABILITIES = 5


class RelabelApp:
    """The application. picture, map_of: give the bytes of an image, and of it under a map, by sha256, or None; map_of is None if there are no maps.
    neighbour: sha256 and label of an image by its row in the packed arrays. about: a line above all, or empty.
    """

    def __init__(
        self,
        session: Session,
        picture: Callable[[str], bytes | None],
        neighbour: Callable[[int], tuple[str, str]],
        class_names: Sequence[str],
        about: str,
        map_of: Callable[[str], bytes | None] | None = None,
    ) -> None:
        self._session, self._picture, self._neighbour = session, picture, neighbour
        self._map_of = map_of
        self._class_names, self._about = list(class_names), about
        self.asgi = Starlette(
            routes=[
                Route("/", self._page),
                Route("/state", self._state),
                Route("/picture/{sha256}", self._show),
                Route("/map/{sha256}", self._show_map),
                Route("/answer", self._answer, methods=["POST"]),
                Route("/undo", self._undo, methods=["POST"]),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
            exception_handlers={HTTPException: _known, AnswerError: _refused, PipelineError: _refused},
        )

    async def _page(self, request: Request) -> Response:
        return FileResponse(PAGE, headers=HEADERS)

    async def _state(self, request: Request) -> Response:
        return JSONResponse(self._now(), headers={"Cache-Control": "no-store"})

    async def _show(self, request: Request) -> Response:
        content = await run_in_threadpool(self._picture, request.path_params["sha256"])
        if content is None:
            raise HTTPException(404)
        return _image(content)

    async def _show_map(self, request: Request) -> Response:
        content = await run_in_threadpool(self._map_of, request.path_params["sha256"]) if self._map_of else None
        return Response(status_code=204, headers=HEADERS) if content is None else _image(content)

    async def _answer(self, request: Request) -> Response:
        said = await _own_json(request)
        self._session.answer(*(str(said.get(name, "")) for name in ("sha256", "verdict", "label")))
        return JSONResponse(self._now())

    async def _undo(self, request: Request) -> Response:
        await _own_json(request)
        self._session.undo()
        return JSONResponse(self._now())

    def _now(self) -> dict[str, Any]:
        waiting, progress = self._session.waiting(), self._session.progress()
        return {
            "about": self._about,
            "classes": self._class_names,
            "left": len(waiting),
            "this_week": progress.this_week,
            "budget": progress.budget,
            "advice": progress.advice,
            "can_undo": bool(self._session.given),
            "has_maps": self._map_of is not None,
            "next": [suspect.sha256 for suspect in waiting[1:3]],
            "suspect": None if not waiting else {
                "sha256": (first := waiting[0]).sha256,
                "path": first.path,
                "label": first.label,
                "suggested": first.suggested,
                "probability": first.probability,
                "of_label": first.of_label,
                "choices": [name for name in first.choices if name != first.label],
                "neighbours": [dict(zip(("sha256", "label"), self._neighbour(row), strict=True)) for row in first.neighbours],
            },
        }  # fmt: skip


def _image(content: bytes) -> Response:
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "png"
    return Response(content, media_type=f"image/{kind}", headers={"Cache-Control": "private, max-age=3600", **HEADERS})


async def _own_json(request: Request) -> dict[str, Any]:
    """The JSON object that a page of this server has sent. Raises HTTPException for a page of another site, and for anything else."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is not None and origin != f"http://{host}":
        raise HTTPException(403, "Only the page of this server may send answers.")
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise HTTPException(415, "Expected application/json.")
    try:
        said = await request.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise HTTPException(400, "Expected a JSON object.")
    return said


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail}, error.status_code)


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 409)
