"""The server in a thread, and a page without a browser."""

import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from jaxcolor.studio import Limits


@dataclass
class Client:
    """What a page does, without a browser."""

    address: str  # without its key
    token: str = ""
    socket: object = None

    def request(self, path: str, method: str = "GET", body: bytes | None = None, **headers):
        """Status, body and headers of an answer."""
        request = urllib.request.Request(f"{self.address}/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def put(self, name: str, body: bytes) -> tuple[int, dict]:
        status, answer, _ = self.request(
            f"sessions/{self.token}/pictures?name={quote(name)}", "PUT", body
        )
        return status, json.loads(answer)

    def add(self, *paths: Path) -> list[str]:
        """The keys of pictures."""
        keys = []
        for path in paths:
            status, told = self.put(path.name, path.read_bytes())
            assert status == 200, told
            keys.append(told["key"])
        return keys

    def wish(self, number: int, source: str, *others: str, **settings) -> None:
        given = {"number": number, "source": source, "references": others, **settings}
        self.socket.send(json.dumps(given))

    def told(self) -> tuple[dict, bytes]:
        """The next thing that is no note that work goes on."""
        while True:
            data = self.socket.recv(timeout=120)
            if isinstance(data, bytes):
                (size,) = struct.unpack("<I", data[:4])
                head = json.loads(data[4 : 4 + size])
                return head, data[4 + size + head["cloud"] :]
            told = json.loads(data)
            if "busy" not in told:
                return told, b""

    def result(self, kind: str, source: str, *others: str, **settings):
        body = {"number": 1, "source": source, "references": others, "kind": kind, **settings}
        return self.request(f"sessions/{self.token}/result", "POST", json.dumps(body).encode())


@contextmanager
def serving(limits: Limits, paths=(), port: int = 0, key: str = ""):
    """A server in a thread: its studio and its address."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    from jaxcolor.cli.studio import configured
    from jaxcolor.studio import server

    with (
        socket.create_server(("127.0.0.1", port)) as listening,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(server, "warm", lambda done, over: done.set())
        studio = server.Studio(limits, paths)
        studio.key = key or studio.key
        running = uvicorn.Server(configured(studio.app("127.0.0.1")))
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            yield studio, f"http://127.0.0.1:{listening.getsockname()[1]}/?key={studio.key}"
        finally:
            running.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def left(studio) -> None:
    """Wait until the server has heard that every page has gone."""
    wait_until(lambda: not studio.sessions)


@contextmanager
def page_at(address: str, **options):
    from websockets.sync.client import connect

    site, _, key = address.partition("/?")
    url = f"{site.replace('http', 'ws')}/socket?{key}"
    with connect(url, origin=options.pop("origin", site), max_size=None, **options) as one:
        yield Client(site, json.loads(one.recv(timeout=60)).get("hello", ""), one)
