"""Who may ask a server of a run: whoever means it, and no web page that a browser of its operator happens to show.

A page of anybody's can send requests to any address that the browser reaches. It can't read an answer of another origin
unless that answer allows it, or a name of its own is made to lead to our address (DNS rebinding).
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

_REFUSAL: Final = b"Ask for the run by a name of its own; others are given with --served-as NAME.\n"
_HEADERS: Final = (
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
)

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""


def meant_only(app: App, *, bound: str, served_as: Iterable[str] = ()) -> App:
    """`app`, for requests that name this machine or one of these names, and for pages of its own alone.

    `bound`: address or name that the server listens at. One that listens everywhere is also meant by any address: no
    name is rebound to lead to it then. `served_as`: names besides, such as that of a service in front of it.
    """
    known = {name.lower().rstrip(".") for name in (bound or "*", *served_as)}

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_meant(environ, known):
            body = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_REFUSAL)))]
            start_response("403 Forbidden", [*body, *_HEADERS])
            return [_REFUSAL]

        def start(status: str, headers: Iterable[tuple[str, str]], *more: Any) -> Any:
            kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
            ours = {name.lower() for name, _ in kept}
            return start_response(status, [*kept, *(each for each in _HEADERS if each[0].lower() not in ours)], *more)

        return app(environ, start)

    return answer


def _is_meant(environ: dict[str, Any], known: set[str]) -> bool:
    host = environ.get("HTTP_HOST", "")
    origin = environ.get("HTTP_ORIGIN")
    try:
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return False
        named = urlsplit(f"//{host}")
        name, _ = named.hostname or "", named.port
    except ValueError:  # half a bracket, a port that is none
        return False
    if named.netloc != host or named.username is not None or any(sign in host for sign in "/?#\\,"):
        return False
    return name.rstrip(".") == "localhost" or name.rstrip(".") in known or _is_own_address(name, known)


def _is_own_address(name: str, known: set[str]) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or bool(known & {"0.0.0.0", "::", "*"})  # noqa: S104  # asks, doesn't bind
