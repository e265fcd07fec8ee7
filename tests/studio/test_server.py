"""The page's server, spoken to without a browser."""

import io
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jaxcolor.studio import Limits
from jaxcolor.studio.guard import Guard

from studio.pages import left, page_at, serving, wait_until  # isort: skip

pytest.importorskip("websockets")
server = pytest.importorskip("jaxcolor.studio.server")


def test_upload_preview_download(page, pair):
    """Preview and download are pictures, and the second is of full size."""
    source, reference = page.add(*pair)
    status, data, headers = page.request(f"sessions/{page.token}/pictures/{source}")
    before = np.asarray(Image.open(io.BytesIO(data)))
    assert (status, headers["content-type"], before.shape) == (200, "image/jpeg", (40, 60, 3))
    page.wish(1, source, reference, look="gentle")
    head, image = page.told()
    assert head["number"] == 1
    assert head["command"].startswith("jaxcolor transfer 'sea side.jpg' dusk.png -o ")
    after = np.asarray(Image.open(io.BytesIO(image)))
    assert abs(after.astype(int) - before).mean() > 10
    status, data, headers = page.result("picture", source, reference, look="gentle")
    assert status == 200
    assert "sea%20side_as_dusk.jpg" in headers["content-disposition"]
    assert json.loads(headers["x-told"]) == []
    assert abs(np.asarray(Image.open(io.BytesIO(data))).astype(int) - after).mean() < 6
    status, data, headers = page.result("cube", source, reference, look="gentle")
    assert data.startswith(b"TITLE") or b"LUT_3D_SIZE 33" in data
    assert "dB from the map" in headers["x-told"]


def test_of_many_wishes_the_last_is_shown(page, pair):
    source, reference = page.add(*pair)
    for number in range(1, 31):
        page.wish(number, source, reference, look="gentle", strength=number / 30)
    numbers = []
    while 30 not in numbers:
        numbers.append(page.told()[0]["number"])
    assert numbers == sorted(numbers)
    page.wish(31, source, reference, look="gentle", strength=0)
    _, image = page.told()
    assert len(numbers) < 30
    before = np.asarray(Image.open(pair[0]), int)
    assert abs(np.asarray(Image.open(io.BytesIO(image))) - before).mean() < 6


def test_a_fit_keeps_nobody_else_waiting(studio, pair, monkeypatch):
    served, address = studio
    goes_on = threading.Event()
    with page_at(address) as slow, page_at(address) as quick:
        waiting = served.sessions[slow.token]
        monkeypatch.setattr(waiting, "fit", lambda asked: goes_on.wait(60) and 1 / 0)
        for page in (slow, quick):
            page.wish(1, *page.add(*pair), look="gentle")
        for number in (2, 3):
            assert quick.told()[0]["number"] == number - 1
            quick.wish(number, "1", "2", look="gentle", strength=0.5)
        slow.wish(5, "1", "2", look="gentle")
        goes_on.set()
        told, _ = slow.told()
        assert (told["number"], told["error"][:18]) == (1, "ZeroDivisionError:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ("[" * 9999, ""),
        ("[]", "expected an object, got list"),
        ('{"number": 1, "source": "1", "references": []}', "choose a reference"),
        ('{"number": 1, "source": "99", "references": ["99"]}', "has been removed"),
        ('{"number": 1, "source": "1", "references": ["1"], "look": "x"}', "unknown look 'x'"),
    ],
)
def test_a_wish_that_is_none_is_answered(page, pair, text, message):
    page.socket.send(text)
    assert message in page.told()[0]["error"]
    source, reference = page.add(*pair)
    page.wish(2, source, reference, look="gentle")
    assert page.told()[0]["number"] == 2


def test_bad_uploads_are_answered_in_a_line(page, studio):
    noise = np.random.default_rng(0).integers(0, 256, (700, 800, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=50)
    for body, status, message in (
        (b"", 422, "is empty"),
        (b"no picture", 422, "not a picture"),
        (file.getvalue(), 422, "800x700 are 1 megapixels, and 0.5"),
        (bytes(1 << 21), 413, "larger than 1 MB"),
    ):
        code, told = page.put("a.jpg", body)
        assert (code, list(told)) == (status, ["error"])
        assert told["error"].startswith("a.jpg: ")
        assert message in told["error"]
        assert "\n" not in told["error"]
    [session] = studio[0].sessions.values()
    assert list(session.folder.iterdir()) == []
    assert page.request("sessions/nobody/pictures?name=a", "PUT", b"x")[0] == 410
    assert page.request(f"sessions/{page.token}/pictures/7")[0] == 422
    assert page.request(f"sessions/{page.token}/result", "POST", b"{")[0] == 422
    assert page.request(f"sessions/{page.token}/result", "POST", bytes(70_000))[0] == 413


def test_the_declared_length_is_not_trusted(page):
    """A body in chunks that says nothing of its size is cut off at the limit."""
    import http.client

    host = page.address.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=20)
    chunks = (bytes(1 << 16) for _ in range(40))
    try:
        line.request(
            "PUT", f"/sessions/{page.token}/pictures?name=b", chunks, encode_chunked=True,
            headers={"transfer-encoding": "chunked"},
        )  # fmt: skip
        status = line.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413
    line.close()
    assert status == 413


def test_whoever_lacks_the_key_is_told_where_to_go(studio, page):
    from websockets.exceptions import InvalidStatus

    served, address = studio
    site = page.address
    assert len(served.key) > 20
    for wrong in ("", "key=", "key=caf%C3%A9", f"key={served.key}x", f"kex={served.key}"):
        status, body, _ = page.request(f"?{wrong}")
        assert (status, body) == (403, server.STRANGER.encode())
        with pytest.raises(InvalidStatus) as failure, page_at(f"{site}/?{wrong}"):
            pass
        answer = failure.value.response
        assert (answer.status_code, answer.body) == (403, server.STRANGER.encode())
    assert page.request(address.partition("/")[2].rpartition("/")[2])[0] == 200


def test_uploads_under_way_are_counted(studio, page, pair, monkeypatch):
    """In chunks, of which nobody says how many there will be, and before the page has them."""
    import http.client

    served, _ = studio
    monkeypatch.setattr(served, "limits", replace(served.limits, megabytes=600, gigabytes=1))
    line = http.client.HTTPConnection(page.address.removeprefix("http://"), timeout=20)
    line.putrequest("PUT", f"/sessions/{page.token}/pictures?name=b")
    line.putheader("transfer-encoding", "chunked")
    line.endheaders()
    line.send(b"1\r\nx\r\n")
    wait_until(lambda: served._coming == 600 << 20)
    assert page.add(pair[0])  # there is room for what says how small it is
    chunks = iter([b"x"])  # urllib sends what has no length in chunks
    status, told = page.put("c.jpg", chunks)
    assert status == 507
    assert "c.jpg: the studio holds 1 GB" in told["error"]
    page.add(pair[0], pair[0])
    assert "4 pictures are open" in page.put("d.jpg", b"x")[1]["error"]
    line.close()
    wait_until(lambda: served._coming == 0)
    page.add(pair[0])


def test_pages_know_nothing_of_each_other_and_leave_nothing(studio, pair):
    served, address = studio
    left(served)
    with page_at(address) as one, page_at(address) as two, page_at(address) as three:
        assert len({one.token, two.token, three.token}) == 3
        [key] = one.add(pair[0])
        assert two.request(f"sessions/{two.token}/pictures/{key}")[0] == 422
        with page_at(address) as four:
            assert four.token == ""
        folders = [session.folder for session in served.sessions.values()]
        assert len(folders) == 3
    left(served)
    end = time.monotonic() + 20
    while any(folder.exists() for folder in folders):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert one.request(f"sessions/{one.token}/pictures/{key}")[0] == 410


def test_no_other_website_is_answered(studio, page):
    from websockets.exceptions import InvalidStatus

    served, address = studio
    port = page.address.rpartition(":")[2]
    for headers in (
        {"Host": f"rebound.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{int(port) + 1}"},
    ):
        assert page.request(f"?key={served.key}", **headers)[0] == 403
    for origin in ("http://evil.example", None):
        with pytest.raises(InvalidStatus, match="403"), page_at(address, origin=origin):
            pass
    status, body, headers = page.request(f"?key={served.key}", Origin=page.address)
    assert (status, "access-control-allow-origin" in headers) == (200, False)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"http" not in body


@pytest.mark.parametrize("path", ["page/../server.py", "page/%2e%2e/server.py", "page//etc/passwd"])
def test_only_the_pages_own_files_are_served(page, path):
    assert page.request("page/studio.js")[0] == 200
    assert page.request(path)[0] == 404


def test_whoever_opens_it_to_a_network_is_reached_by_address():
    assert not Guard(None, "127.0.0.1").trusts(["192.168.1.7:80"], [])
    wide = Guard(None, "0.0.0.0")
    assert wide.trusts(["192.168.1.7:80"], ["http://192.168.1.7:80"])
    assert not wide.trusts(["evil.example:80"], [])
    assert not wide.trusts(["[::1"], [])
    assert not wide.trusts(["localhost", "localhost"], [])


def test_files_named_on_the_command_line_are_there_at_once(pair, tmp_path):
    gone = tmp_path / "gone.jpg"
    with serving(Limits(), [*pair, gone]) as (studio, address):
        from websockets.sync.client import connect

        site, _, key = address.partition("/?")
        with connect(f"{site.replace('http', 'ws')}/socket?{key}", origin=site) as socket:
            told = json.loads(socket.recv(timeout=60))
        assert [one["name"] for one in told["pictures"]] == [path.name for path in pair]
        assert (told["pictures"][0]["width"], told["pictures"][0]["height"]) == (60, 40)
        assert told["errors"] == ["gone.jpg: No such file or directory"]
        folder = studio.folder
        assert folder is not None
        assert folder.exists()
    assert all(path.exists() for path in pair)
    assert not folder.exists()
