"""`jaxcolor studio`: where the page is, and what keeps it from being there."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from jaxcolor.cli import studio

from studio.pages import page_at  # isort: skip

pytest.importorskip("uvicorn")


@pytest.fixture
def unserved(monkeypatch):
    """The command ends where it would serve; the addresses that a browser was sent to."""
    import uvicorn

    opened = []

    class AtOnce:
        def __init__(self, seconds, call, words):
            self.start = lambda: call(*words)

    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    monkeypatch.setattr(studio.webbrowser, "open", opened.append)
    monkeypatch.setattr(studio.threading, "Timer", AtOnce)
    return opened


def test_it_says_where_the_page_is_and_opens_it(done, unserved, pair):
    told = done("studio", *pair)
    address = told.split()[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=[\w-]{22}", address)
    assert unserved == [address]
    done("studio", "--no-browser")
    assert unserved == [address]


def test_a_network_is_a_deliberate_choice(cli, unserved):
    answer = cli("studio", "--host", "0.0.0.0")
    assert answer.code == 0
    assert "warning: --host 0.0.0.0: everybody on the network" in answer.err
    assert unserved == [answer.out.split()[0]]
    assert unserved[0].startswith("http://127.0.0.1:")


def test_a_port_in_use(cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = cli("studio", "--no-browser", "--port", port)
    assert answer.code == 1
    assert f"cannot listen at 127.0.0.1, port {port} (Address already in use)" in answer.line
    assert "--port 0 takes a free one" in answer.line


def test_an_address_of_no_machine(cli):
    answer = cli("studio", "--no-browser", "--host", "192.0.2.1")
    assert answer.code == 1
    assert "cannot listen at 192.0.2.1" in answer.line


def test_as_many_megapixels_as_pillow_takes():
    from jaxcolor.image.limits import check_pixels

    check_pixels("a.png", studio.MOST * 1000, 1000)
    with pytest.raises(ValueError, match=r"a\.png"):
        check_pixels("a.png", (studio.MOST + 1) * 1000, 1000)


@pytest.mark.parametrize("name", ["uvicorn", "starlette", "websockets"])
def test_without_the_extra(cli, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    answer = cli("studio")
    assert answer.code == 1
    assert f"the page needs {name}: pip install 'jaxcolor[studio]'" in answer.line


def test_a_misspelt_picture_is_told_at_once(cli, tmp_path):
    answer = cli("studio", tmp_path / "holiday.jpg")
    assert answer.code == 1
    assert "holiday.jpg: No such file or directory" in answer.line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--port", "65536"), "within 0..65535"),
        (("--max-megabytes", "0"), "--max-megabytes"),
        (("--max-megapixels", "many"), "got 'many'"),
        (("--max-megapixels", "179"), "within 1..178"),
    ],
)
def test_wrong(cli, words, message):
    answer = cli("studio", *words)
    assert answer.code == 2
    assert message in answer.line


BUSY = """
import sys, time
from jaxcolor.__main__ import main
from jaxcolor.studio.session import Session
Session.fit = lambda self, asked: time.sleep(100)
sys.exit(main())
"""


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_it_ends_at_once_while_it_computes_and_leaves_nothing(
    tmp_path, interruptible, number, pair
):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, "studio", "--no-browser", *pair],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert b"jaxcolor studio" in answer.read()
    with page_at(address) as page:
        page.wish(1, "1", "2")
        assert "busy" in page.socket.recv(timeout=60)
        [folder] = tmp_path.iterdir()
        assert folder.name.startswith(f"jaxcolor-studio-{process.pid}-")
        begin = time.monotonic()
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert time.monotonic() - begin < 10  # 2 or so, where nobody else is at work
    assert told == "jaxcolor: stopped\n"
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
