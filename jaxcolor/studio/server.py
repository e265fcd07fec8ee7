"""The page's server: one socket a page for wishes and previews, HTTP for files."""

import asyncio
import base64
import contextlib
import json
import secrets
import shutil
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from jaxcolor.cli.common import describe
from jaxcolor.studio import Limits, folder
from jaxcolor.studio.answers import Refused, answering, body_of, header, hear_out, line
from jaxcolor.studio.guard import Guard
from jaxcolor.studio.opened import Opened
from jaxcolor.studio.result import result
from jaxcolor.studio.session import Changes, Frame, Session, Wish, wish
from jaxcolor.studio.settings import plain_name
from jaxcolor.studio.warm import warm

PAGE = Path(str(resources.files("jaxcolor.studio").joinpath("page")))
FULL = 1013  # a socket's code for "try again later"
STRANGER = (
    "Open the address that the command printed: this one lacks its key, or has an older one\n"
)

T = TypeVar("T")


class Studio:
    """All open pages, and who works for them.

    Work is done by threads, so that no page keeps another from being heard: previews by some, fits
    and files by others, results at full size, which take the most memory, one at a time.

    Args:
        limits: what pages may ask.
        paths: files that each page begins with.

    Attributes:
        key: what the page's address holds, so that nobody else on this machine opens it.
    """

    def __init__(self, limits: Limits, paths: Sequence[str] = ()):
        self.limits, self.paths = limits, [Path(path).absolute() for path in paths]
        self.key = secrets.token_urlsafe(16)
        self.sessions: dict[str, Session] = {}
        self.folder: Path | None = None  # of uploads and results, while it serves
        self._coming = 0  # bytes that uploads under way may have
        self._warm, self._over = threading.Event(), threading.Event()
        self._changes = Changes()
        self._pools = {
            name: ThreadPoolExecutor(threads, f"studio-{name}")
            for name, threads in {"read": 2, "fit": 2, "frame": 2, "whole": 1, "warm": 1}.items()
        }

    def app(self, host: str) -> ASGIApp:
        """The server for an address."""
        routes = [
            Route("/", self.index),
            Route("/sessions/{token}/pictures", self.put, methods=["PUT"]),
            Route("/sessions/{token}/pictures/{key}", self.show, methods=["GET"]),
            Route("/sessions/{token}/pictures/{key}", self.drop, methods=["DELETE"]),
            Route("/sessions/{token}/result", self.give, methods=["POST"]),
            WebSocketRoute("/socket", self.talk),
            Mount("/page", StaticFiles(directory=PAGE)),
        ]
        return Guard(Starlette(routes=routes, lifespan=self.lifespan), host)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.folder = folder.made()
        self._pools["warm"].submit(warm, self._warm, self._over)
        try:
            yield
        finally:
            self._over.set()
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            for session in list(self.sessions.values()):
                session.close()
            self.tidy()

    def tidy(self) -> None:
        """Leave no files, whatever is still at work."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def knows(self, asking: HTTPConnection) -> bool:
        """Whether it comes from the address that was told."""
        given = asking.query_params.get("key", "").encode()
        return secrets.compare_digest(given, self.key.encode())

    async def run(self, pool: str, call: Callable[..., T], *args: Any) -> T:
        """A call in a thread of a pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pools[pool], call, *args)

    async def index(self, request: Request) -> Response:
        if not self.knows(request):
            return PlainTextResponse(STRANGER, 403)
        return FileResponse(PAGE / "index.html")

    async def put(self, request: Request) -> Response:
        """An upload: the body is the file, `name` its name."""
        name = plain_name(request.query_params.get("name", ""))
        with answering() as answer:
            session = self._session(request)
            key, path = session.place(name)
            try:
                with self._room_for(request, name):
                    await self._receive(request, name, path)
                    found = await self.run("read", session.add, key, path, name)
                if session.token not in self.sessions:
                    raise Refused(410, "this page is closed")
                answer.set(JSONResponse(as_json(found)))
            except BaseException as error:
                session.give_up(key)
                path.unlink(missing_ok=True)
                if isinstance(error, Refused):
                    await hear_out(request)
                raise
        return answer.response

    @contextlib.contextmanager
    def _room_for(self, request: Request, name: str) -> Iterator[None]:
        """Room on the disk, kept while an upload is under way."""
        most = self.limits.megabytes << 20
        size = int(request.headers.get("content-length", most))  # in chunks: nobody knows
        if size > most:
            raise self._too_large(name)
        held = self._coming + sum(one.held for one in self.sessions.values())
        if held + size > self.limits.gigabytes << 30:
            raise Refused(507, f"{name}: the studio holds {self.limits.gigabytes} GB of pictures "
                          "already, the most it takes: close other pages")  # fmt: skip
        self._coming += size
        try:
            yield
        finally:
            self._coming -= size

    def _too_large(self, name: str) -> Refused:
        return Refused(413, f"{name}: is larger than {self.limits.megabytes} MB, the most a file "
                       "may have here (--max-megabytes)")  # fmt: skip

    async def _receive(self, request: Request, name: str, path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self.limits.megabytes << 20:
                    raise self._too_large(name)
                file.write(chunk)

    async def show(self, request: Request) -> Response:
        """A picture as it was before."""
        with answering() as answer:
            found = self._session(request).get(request.path_params["key"])
            data, kind = await self.run("frame", lambda: found.file)
            answer.set(Response(data, media_type=kind))
        return answer.response

    async def drop(self, request: Request) -> Response:
        with answering() as answer:
            self._session(request).remove(request.path_params["key"])
            answer.set(Response(status_code=204))
        return answer.response

    async def give(self, request: Request) -> Response:
        """A result at full size: the body says of what, and how."""
        with answering() as answer:
            session = self._session(request)
            given = json.loads(await body_of(request))
            asked = wish(given)
            chosen = given.get("sources") or [asked.source]
            sources = [session.chosen(wish({**given, "source": key}))[0] for key in chosen]
            others = session.chosen(asked)[1]
            kind = str(given.get("kind"))
            path, lines = await self.run(
                "whole", result, session.folder, kind, sources, others, asked.asked
            )
            answer.set(
                FileResponse(
                    path,
                    filename=path.name,
                    headers={"x-told": header(lines)},
                    background=BackgroundTask(shutil.rmtree, path.parent, True),
                )
            )
        return answer.response

    def _session(self, request: Request) -> Session:
        found = self.sessions.get(request.path_params["token"])
        if found is None:
            raise Refused(410, "this page is closed")
        return found

    async def talk(self, socket: WebSocket) -> None:
        """A page, from when it opens until it leaves."""
        if not self.knows(socket):
            return await socket.send_denial_response(PlainTextResponse(STRANGER, 403))
        await socket.accept()
        if len(self.sessions) >= self.limits.pages:
            line = f"{self.limits.pages} pages are open, the most: close one and reload this"
            await socket.send_json({"error": line})
            return await socket.close(FULL)
        assert self.folder is not None
        session = Session(self.folder, self.limits, self._changes)
        self.sessions[session.token] = session
        wanted = asyncio.Event()
        painter = None
        try:
            await socket.send_json(await self._hello(session))
            painter = asyncio.create_task(self._paint(session, wanted, socket))
            async for text in socket.iter_text():
                await self._hear(session, wanted, socket, text)
        except (WebSocketDisconnect, RuntimeError):
            pass  # it left in the middle of a word
        finally:
            self.sessions.pop(session.token, None)
            if painter is not None:
                painter.cancel()
                await asyncio.gather(painter, return_exceptions=True)
            await self.run("read", session.close)

    async def _hello(self, session: Session) -> dict:
        opened, errors = [], []
        for path in self.paths:
            try:
                key, _ = session.place(path.name)
                add = lambda: session.add(key, path, path.name, own=False)  # noqa: B023, E731
                opened.append(as_json(await self.run("read", add)))
            except Exception as error:
                errors.append(line(error))
        most = {"megabytes": self.limits.megabytes, "pictures": self.limits.pictures}
        return {"hello": session.token, "limits": most, "pictures": opened, "errors": errors}

    async def _hear(
        self, session: Session, wanted: asyncio.Event, socket: WebSocket, text: str
    ) -> None:
        try:
            session.asked = wish(json.loads(text))
            wanted.set()
        except (ValueError, RecursionError) as error:
            await socket.send_json({"error": describe(ValueError(str(error)))})

    async def _paint(self, session: Session, wanted: asyncio.Event, socket: WebSocket) -> None:
        """Previews of what is wished, the newest wish only."""
        while True:
            await wanted.wait()
            wanted.clear()
            asked = session.asked
            try:
                made = session.ready(asked)
                if made is None:
                    note = {"number": asked.number, "busy": True, "first": not self._warm.is_set()}
                    await socket.send_json(note)
                    made = await self.run("fit", session.fit, asked)
                    if session.asked.fit != asked.fit:
                        continue  # something else is wanted by now
                    asked = session.asked
                    wanted.clear()
                frame = await self.run("frame", session.frame, made, asked)
            except Exception as error:
                await socket.send_json({"number": asked.number, "error": line(error)})
            else:
                await socket.send_bytes(as_bytes(frame, asked))


def as_json(found: Opened) -> dict:
    """A picture as the page is told of it."""
    return {
        "key": found.key,
        "name": found.name,
        "width": int(found.size[0]),
        "height": int(found.size[1]),
        "told": found.told,
        "cloud": base64.b64encode(found.cloud).decode(),
    }


def as_bytes(frame: Frame, asked: Wish) -> bytes:
    """A preview for the socket: the length of a JSON object, it, the cloud, the image."""
    told = {
        "number": asked.number,
        "kind": frame.kind,
        "cloud": len(frame.cloud),
        "command": frame.command,
    }
    head = json.dumps(told).encode()
    return struct.pack("<I", len(head)) + head + frame.cloud + frame.image
