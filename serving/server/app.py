"""The application: what is asked, what is answered, and with which status."""

import asyncio
import gc
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serving.predict import ranked
from serving.server import metrics
from serving.server.batching import QueueFull, Row
from serving.server.errors import Refused
from serving.server.guard import Guard
from serving.server.log import set_up_log
from serving.server.openapi import DESCRIPTION, PREDICT
from serving.server.page import add_page
from serving.server.service import Holder, Service
from serving.server.settings import MAX_TOP_K, Settings
from serving.server.uploads import Budget, Upload, body_of, files_in
from serving.server.watchdog import Watchdog
from trainer.data.images import BadImage, Pixels, quiet_pillow

Watching = Callable[[Holder], AbstractContextManager[None]]
DIGITS = 6  # of a probability


@dataclass(frozen=True, slots=True)
class Factory:
    """Makes the application in a worker."""

    settings: Settings

    def __call__(self) -> FastAPI:
        """Return the application, and have its process watched from its start on."""
        set_up_log()
        return make_app(self.settings, watching=lambda holder: Watchdog(holder).watching())


def make_app(settings: Settings, *, watching: Watching = lambda _: nullcontext()) -> FastAPI:
    """Return an application whose model is loaded when it starts.

    Args:
        settings: Of the server.
        watching: Surrounds the time in which it serves.
    """
    holder = Holder(settings)
    life = _life_of(holder, watching)
    app = FastAPI(title="autoclf", description=DESCRIPTION, docs_url=None, redoc_url=None, lifespan=life)
    app.add_middleware(Guard)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_parameter)
    app.add_exception_handler(Exception, _our_fault)
    _add_predict(app, holder)
    _add_state(app, holder)
    add_page(app, holder)
    return app


def _life_of(holder: Holder, watching: Watching) -> Any:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        with quiet_pillow():
            await holder.open()
            gc.collect()
            gc.freeze()  # what has been loaded stays: going through it again and again would hold requests up
            watch = asyncio.create_task(holder.watch(), name="watch")
            with watching(holder):
                yield
            watch.cancel()
            await holder.close()

    return life


def _add_predict(app: FastAPI, holder: Holder) -> None:
    settings = holder.settings
    budget = Budget(settings.max_bodies)

    @app.post("/predict", openapi_extra=PREDICT, summary="Classify images")
    async def predict(request: Request, top_k: Annotated[int, Query(ge=1, le=MAX_TOP_K)] = 5) -> Response:
        began = time.perf_counter()
        _check_token(request, settings.token)
        with budget.share() as share:
            body = await body_of(request, share, limit=settings.max_body, seconds=settings.body_seconds)
            uploads = files_in(request.headers.get("content-type", ""), body)
            with holder.in_use() as service:
                images = await holder.decode(service, [upload.content for upload in uploads])
                rows = await _answers(service, images, settings.answer_seconds)
        answer, status = _answer(service, uploads, images, rows, top_k), 200 if rows else 422
        metrics.REQUESTS.labels(str(status)).inc()
        metrics.REQUEST_SECONDS.observe(time.perf_counter() - began)
        return Response(json.dumps(answer, ensure_ascii=False), status, media_type="application/json")


async def _answers(service: Service, images: Sequence[Pixels | BadImage], seconds: float) -> Sequence[Row]:
    good = [image for image in images if not isinstance(image, BadImage)]
    metrics.IMAGES.labels("bad").inc(len(images) - len(good))
    if not good:
        return ()
    try:
        async with asyncio.timeout(seconds):
            rows = await service.batcher.probabilities(good)
    except QueueFull as full:
        raise Refused(
            503, "queue_full", "Too many images wait for the model.", retry_seconds=full.retry_seconds
        ) from None
    except TimeoutError:
        raise Refused(504, "slow_model", f"The model did not answer within {seconds:g} s.", retry_seconds=1.0) from None
    finally:
        metrics.WAITING.set(service.batcher.num_waiting)
    metrics.IMAGES.labels("answered").inc(len(good))
    return rows


def _answer(
    service: Service, uploads: Sequence[Upload], images: Sequence[Pixels | BadImage], rows: Sequence[Row], top_k: int
) -> dict[str, Any]:
    left = iter(rows)
    found: list[dict[str, Any]] = []
    for upload, image in zip(uploads, images, strict=True):
        if isinstance(image, BadImage):
            found.append({"file": upload.name, "error": {"code": "bad_image", "message": f"The image {image.reason}."}})
            continue
        labels, confidences = ranked(next(left), service.predictor.manifest.class_names, top_k)
        classes = [
            {"label": label, "probability": round(value, DIGITS)}
            for label, value in zip(labels, confidences, strict=True)
        ]
        found.append(
            {"file": upload.name, "label": labels[0], "confidence": classes[0]["probability"], "classes": classes}
        )
    return {"model": service.package.model, "version": service.package.version, "predictions": found}


def _add_state(app: FastAPI, holder: Holder) -> None:
    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", summary="Whether it answers now: 503 if not", response_model=None)
    async def readyz() -> JSONResponse:
        now = holder.now
        if now is None:
            return JSONResponse({"status": "loading"}, 503)
        busy = now.batcher.busy_seconds
        if busy > holder.settings.answer_seconds:
            return JSONResponse({"status": "stuck"}, 503)
        if now.batcher.num_waiting >= holder.settings.capacity:
            return JSONResponse({"status": "full"}, 503)
        return JSONResponse({"status": "ready", "model": now.package.model, "version": now.package.version})

    @app.get("/metrics", summary="Figures for Prometheus")
    async def prometheus(request: Request) -> Response:
        _check_token(request, holder.settings.token)
        content, kind = metrics.exposition()
        return Response(content, headers={"Content-Type": kind})


def _check_token(request: Request, token: str | None) -> None:
    if token is None:
        return
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Refused(401, "unauthorized", "Send the server's token as `Authorization: Bearer TOKEN`.")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    if request.url.path == "/predict":
        metrics.REQUESTS.labels(str(error.status)).inc()
    headers = {}
    if error.retry_seconds is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_seconds)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _error(error.status, error.code, error.message, headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    return _error(error.status_code, codes.get(error.status_code, "refused"), f"{error.detail}.", error.headers)


async def _bad_parameter(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    metrics.REQUESTS.labels("422").inc()
    return _error(422, "bad_parameter", told)


async def _our_fault(_: Request, error: Exception) -> Response:
    metrics.REQUESTS.labels("500").inc()
    return _error(500, "internal", "Something went wrong on our side; the server's log says what.")


def _error(status: int, code: str, message: str, headers: Any = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)
