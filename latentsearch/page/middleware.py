"""Middleware that refuses requests of other pages and other machines, and limits what the page may load."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
# By other names a page elsewhere could reach this server: its owner lets the name of his server point to 127.0.0.1.
_NAMES = (HOST, "localhost")
# Pictures of a response come inside of it, as data: URLs.
_POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # an id is another image when another corpus is served at this port
}


class SecurityMiddleware:
    """Middleware that answers the page alone, and has the browser hold it to that.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        problem = _problem(Headers(scope=scope), scope["path"])
        app = JSONResponse({"error": problem}, 403) if problem else self.app
        await app(scope, receive, guarded_send)


def _problem(headers: Headers, path: str) -> str | None:
    """Return the reason to refuse a request; None if there is none."""
    host = headers.get("host", "")
    if host.rsplit(":", 1)[0] not in _NAMES:
        return f"This server answers to the names {' and '.join(_NAMES)} only."
    # Browsers tell who asks. A link to the page itself may be anywhere.
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return "Another page may not ask this server."
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and path != "/":
        return "Another page may not ask this server."
    return None
