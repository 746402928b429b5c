"""The server of the page: its routes, the limits of uploads, and its error responses."""

from __future__ import annotations

import contextlib
import io
import socket
import urllib.parse
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import uvicorn
from msgspec import Meta
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from latentsearch.config import Metric
from latentsearch.data.memory import MemoryBudget
from latentsearch.errors import InputError
from latentsearch.page.api import Asked, Handlers, UnknownImageError
from latentsearch.page.code_map import CodeMap
from latentsearch.page.middleware import HOST, SecurityMiddleware
from latentsearch.search.corpus import Corpus

MAX_UPLOAD = 100_000_000  # bytes
_UPLOADS = MemoryBudget(2 * MAX_UPLOAD)  # files that are held at a time, beside what it takes to decode them
_NO_MEMORY = "There is too little memory for that now. Close other programs, or send a smaller file."
_MAX_LISTED = 10_000  # images of a list
_Id = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"^\d{1,19}$")]  # see `id_for_browser`
_Ids = Annotated[list[_Id], Meta(max_length=_MAX_LISTED)]
_STATIC = Path(__file__).parent / "static"

Number = TypeVar("Number", int, float)


def listen(port: int) -> socket.socket:
    """Open a socket of this machine alone, for `serve`.

    Raises:
        InputError: if the port is taken, or not a port.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--port {port}: {reason}. Give another --port, or 0 for any that is free.") from None
    return listener


def serve(corpus: Corpus, lines: Sequence[str], code_map: CodeMap, listener: socket.socket) -> None:
    """Serve the page until Ctrl-C.

    Args:
        corpus: The corpus.
        lines: Lines to show about it.
        code_map: Map of its codes; it is drawn now if there is none.
        listener: Socket of the server.

    Raises:
        InputError: if the corpus holds one image.
    """
    app = make_app(Handlers(corpus, lines, code_map), code_map)
    config = uvicorn.Config(
        app,
        log_config=None,  # its own would close the handlers of all other loggers
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    listener.listen()  # before the address is told: who asks at once waits until the page answers
    print(f"\nThe page: http://{HOST}:{listener.getsockname()[1]}/ (Ctrl-C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def make_app(handlers: Handlers, code_map: CodeMap) -> Starlette:
    """Make the application of the page.

    Args:
        handlers: Handlers of its requests.
        code_map: Map that is drawn while the application lives.
    """

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        code_map.start()
        yield
        code_map.stop()

    def about(request: Request) -> Response:
        return JSONResponse({**handlers.about(), "max_upload": MAX_UPLOAD})

    def examples(request: Request) -> Response:
        return JSONResponse(handlers.examples(_number(request, "seed", int, 0, 2**32 - 1)))

    def picture(request: Request) -> Response:
        return Response(handlers.picture(_image_id(request)), media_type="image/png")

    def large_picture(request: Request) -> Response:
        return Response(handlers.large_picture(_image_id(request)), media_type="image/png")

    def details(request: Request) -> Response:
        return JSONResponse(handlers.details(_image_id(request)))

    def original(request: Request) -> Response:
        found = handlers.original(_image_id(request))
        name = {"Content-Disposition": f"inline; filename*=UTF-8''{urllib.parse.quote(found.name, safe='')}"}
        return StreamingResponse(found.content, media_type=found.media_type, headers=name)

    async def images(request: Request) -> Response:
        async with _read(request) as content:
            ids = _ids(content)
        return JSONResponse(await run_in_threadpool(lambda: handlers.images(ids)))

    async def images_csv(request: Request) -> Response:
        async with _read(request) as content:
            ids = _ids(content)
        return Response(await run_in_threadpool(lambda: handlers.list_as_csv(ids)), media_type="text/csv")

    def map_of_codes(request: Request) -> Response:
        return JSONResponse(handlers.map())

    def duplicates(request: Request) -> Response:
        return JSONResponse(handlers.duplicates())

    async def neighbours(request: Request) -> Response:
        k, metric = _number(request, "k", int, 1, handlers.max_k), _metric(request, handlers.metrics)
        lowest = _number(request, "min_score", float, 0, 100)
        look = _look(request)
        return await respond(
            request,
            lambda asked: handlers.neighbours(asked, k=int(k), metric=metric, min_score=float(lowest), look=look),
        )

    async def explanation(request: Request) -> Response:
        metric, neighbour, look = _metric(request, handlers.metrics), _image_id(request, "neighbour"), _look(request)
        return await respond(request, lambda asked: handlers.explanation(asked, neighbour, metric=metric, look=look))

    async def respond(request: Request, reply: Callable[[Asked], dict[str, Any]]) -> Response:
        """Respond to a query by an image of the corpus (GET) or by an uploaded file (POST)."""
        if request.method == "POST":
            # A body, not a form: form parsers keep large files on disk.
            name = request.query_params.get("name") or "the file"
            async with _read(request) as content:
                return JSONResponse(await run_in_threadpool(lambda: reply(handlers.ask_about_file(content, name))))
        image_id = _image_id(request)
        return JSONResponse(await run_in_threadpool(lambda: reply(handlers.ask_about(image_id))))

    return Starlette(
        routes=[
            Route("/api/about", about),
            Route("/api/examples", examples),
            Route("/api/neighbours", neighbours, methods=["GET", "POST"]),
            Route("/api/explanation", explanation, methods=["GET", "POST"]),
            Route("/api/map", map_of_codes),
            Route("/api/duplicates", duplicates),
            Route("/api/picture", picture),
            Route("/api/large", large_picture),
            Route("/api/details", details),
            Route("/api/original", original),
            Route("/api/images", images, methods=["POST"]),
            Route("/api/images.csv", images_csv, methods=["POST"]),
            Mount("/", StaticFiles(directory=_STATIC, html=True)),
        ],
        middleware=[Middleware(SecurityMiddleware)],
        exception_handlers={
            UnknownImageError: lambda request, error: JSONResponse({"error": str(error)}, 404),
            ClientDisconnect: lambda request, error: Response(status_code=400),  # nobody reads it
            MemoryError: lambda request, error: JSONResponse({"error": _NO_MEMORY}, 503),
            OSError: lambda request, error: JSONResponse({"error": f"{error.strerror or error}"}, 500),
            InputError: lambda request, error: JSONResponse({"error": str(error)}, 400),
            HTTPException: lambda request, error: JSONResponse({"error": error.detail}, error.status_code),
        },
        lifespan=life,
    )


@contextlib.asynccontextmanager
async def _read(request: Request) -> AsyncIterator[bytes]:
    """Read the uploaded file, within the limits of one upload and of all together."""
    content, held = io.BytesIO(), 0
    try:
        async for part in request.stream():
            if held + len(part) > MAX_UPLOAD:
                raise HTTPException(413, f"The file is larger than {MAX_UPLOAD // 1_000_000} MB.")
            if not _UPLOADS.take(len(part)):
                raise HTTPException(503, "Too much is being sent at once. Send it again in a moment.")
            held += len(part)
            content.write(part)
        yield content.getvalue()  # no copy is made of it
    finally:
        _UPLOADS.free(held)


def _ids(content: bytes) -> list[int]:
    try:
        return list(map(int, msgspec.json.decode(content, type=_Ids)))
    except msgspec.MsgspecError as error:
        raise InputError(f"ids: expected a JSON list of at most {_MAX_LISTED:,} ids of images: {error}.") from None


def _image_id(request: Request, name: str = "id") -> int:
    return _number(request, name, int, 0, 2**63 - 1)


def _number(request: Request, name: str, kind: type[Number], least: Number, most: Number) -> Number:
    text = request.query_params.get(name, "")
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise InputError(f"{name}: expected a number from {least} to {most}, received {text[:40]!r}.")
    return value


def _look(request: Request) -> float | None:
    return _number(request, "look", float, 0, 1) if request.query_params.get("look") else None


def _metric(request: Request, metrics: Sequence[Metric]) -> Metric:
    text = request.query_params.get("metric", "")
    for metric in metrics:
        if metric == text:
            return metric
    raise InputError(f"metric: expected one of {', '.join(metrics)}, received {text[:40]!r}.")
