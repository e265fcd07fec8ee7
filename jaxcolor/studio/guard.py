"""Who may speak to the server: its own page, and no other website.

A website may make a browser send requests to this machine, and by a name that it lets point here
(DNS rebinding) may even read the answers. So requests must be addressed to this machine by a name
that no stranger can own, and come from the page itself.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# what a browser lets the page do: nothing that leaves this server, so it works without a network
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def names_of(host: str) -> frozenset[str]:
    """The names by which a server that listens at `host` is known.

    Example:
        >>> sorted(names_of("127.0.0.1"))
        ['127.0.0.1', 'localhost']
    """
    if is_loopback(host):
        return frozenset({host.lower(), "localhost"})
    own = socket.gethostname().lower()
    return frozenset({host.lower(), "localhost", own, f"{own}.local"})


def is_loopback(host: str) -> bool:
    """Whether nobody else's machine reaches that address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """An ASGI application that lets through what the page itself sends.

    Args:
        app: behind it.
        host: where the server listens.
    """

    def __init__(self, app: ASGIApp, host: str):
        self._app, self._names, self._open = app, names_of(host), not is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        socket_alone = scope["type"] == "websocket" and "origin" not in headers
        if socket_alone or not self.trusts(headers.getlist("host"), headers.getlist("origin")):
            return await _refuse(scope, receive, send)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)

    def trusts(self, hosts: Iterable[str], origins: Iterable[str]) -> bool:
        """Whether a request with these headers is from the page, and to this machine.

        Example:
            >>> guard = Guard(None, "127.0.0.1")
            >>> guard.trusts(["localhost:80"], ["http://localhost:80"])
            True
            >>> guard.trusts(["evil.example:80"], []), guard.trusts(["localhost"], ["null"])
            (False, False)
        """
        hosts, origins = [one.lower() for one in hosts], [one.lower() for one in origins]
        if len(hosts) != 1 or len(origins) > 1:
            return False
        try:
            name = urlsplit(f"//{hosts[0]}").hostname or ""
        except ValueError:
            return False
        return self._knows(name) and origins in ([], [f"http://{hosts[0]}"])

    def _knows(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # an address is no name that could be made to point here
        return self._open or address.is_loopback


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await PlainTextResponse("jaxcolor: not from its own page\n", 403)(scope, receive, send)
