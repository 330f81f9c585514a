"""The routes: predictions, a page to drop a picture on, and what load balancers and Prometheus ask. A fault of a request is one line, never a trace."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.model_server.current_model import CurrentModel
from pipeline.model_server.metrics import Metrics
from pipeline.model_server.request_images import BadRequestError, images_in
from pipeline.model_server.shadow import Shadow
from pipeline.serving.answering import Answering, Prediction

LOG = logging.getLogger(__name__)
PAGE = Path(__file__).with_name("page.html")
MOST_IMAGES = 10_000
MOST_WAITING = 200
HUNG_UP = 499  # as nginx says it: nobody reads this answer
CODES = {400: "BAD_REQUEST", 503: "TEMPORARILY_UNAVAILABLE", 404: "ENDPOINT_NOT_FOUND", 500: "INTERNAL_ERROR"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; connect-src 'self'; frame-ancestors 'none'"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class ModelApp:
    """The application. most_bytes: of a request."""

    def __init__(self, current: CurrentModel, shadow: Shadow | None, most_bytes: int) -> None:
        self._current, self._shadow, self._most_bytes = current, shadow, most_bytes
        self._metrics = Metrics(current, shadow)
        self._waiting = 0
        self._slots = anyio.Semaphore(os.cpu_count() or 1)  # more at a time would share the same cores
        self.asgi = Starlette(
            routes=[
                Route("/", self._page),
                Route("/predict", self._predict, methods=["POST"]),
                Route("/invocations", self._predict, methods=["POST"]),  # MLflow's name for it
                Route("/health", self._health),
                Route("/ping", self._health),
                Route("/ready", self._ready),
                Route("/version", self._version),
                Route("/metrics", self._show_metrics),
            ],
            exception_handlers={HTTPException: _known, Exception: _unknown},
        )

    async def _predict(self, request: Request) -> Response:
        start = time.perf_counter()
        response = await self._answered(request)
        self._metrics.requests.labels(str(response.status_code)).inc()
        self._metrics.seconds.observe(time.perf_counter() - start)
        return response

    async def _answered(self, request: Request) -> Response:
        if self._waiting >= MOST_WAITING:
            return _fault(f"{MOST_WAITING} requests are waiting already. Try again in a second.", 503, {"Retry-After": "1"})
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            images = await images_in(request, self._most_bytes)
            if len(images) > MOST_IMAGES:
                raise BadRequestError(f"{len(images):,} images are more than {MOST_IMAGES:,}. Send fewer at a time.", 413)
            async with self._slots:
                return await run_in_threadpool(self._answer, images)
        except BadRequestError as error:
            return _fault(str(error), error.status)
        except ClientDisconnect:
            return Response(status_code=HUNG_UP)
        except asyncio.CancelledError:  # only a server that stops cancels requests
            return _fault("The server stops and did not finish this request. Send it again.", 503, {"Retry-After": "1"})
        finally:
            self._waiting -= 1
            self._metrics.waiting.set(self._waiting)

    def _answer(self, images: list[Any]) -> Response:
        classifier = self._current.classifier
        answers = classifier.answer(images)
        for row, answer in enumerate(answers):
            if answer.error:
                raise BadRequestError(f"image {row}: {answer.error}")
        for answer in answers:
            self._metrics.images.labels(answer.label).inc()
        if self._shadow:
            self._shadow.add(classifier.version, images, answers)
        return JSONResponse({"predictions": _values(classifier, answers), "model": classifier.name, "version": classifier.version})

    async def _page(self, request: Request) -> Response:
        return FileResponse(PAGE, headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        if self._waiting >= MOST_WAITING:
            return PlainTextResponse("busy\n", 503)
        return PlainTextResponse("ready\n")

    async def _version(self, request: Request) -> Response:
        classifier = self._current.classifier
        return JSONResponse({"model": classifier.name, "version": classifier.version, "class_names": classifier.class_names})

    async def _show_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=PROMETHEUS)


def _values(classifier: Answering, answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The answers as the registered model gives them under MLflow."""
    return [
        {
            "label": answer.label,
            "probability": answer.probability,
            "decision": answer.decision,
            "one_of": list(answer.one_of),
            "probabilities": dict(zip(classifier.class_names, map(float, answer.probabilities), strict=True)),
            "note": answer.note,
        }
        for answer in answers
    ]


def _fault(line: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error_code": CODES.get(status, "BAD_REQUEST"), "message": line}, status, headers)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    line = {404: f"There is nothing at {request.url.path}.", 405: f"{request.method} is not for {request.url.path}."}
    return _fault(line.get(error.status_code, error.detail), error.status_code, dict(error.headers or {}))


async def _unknown(request: Request, error: Exception) -> Response:
    LOG.error("A request failed.", exc_info=error)
    return _fault("The model failed on this request; the server's log says how.", 500)
