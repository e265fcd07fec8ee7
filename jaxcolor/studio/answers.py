"""What requests are answered: files, or a line that says why not."""

import contextlib
import json
import os
import traceback
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from jaxcolor.cli.common import describe

SHORT = 1 << 16  # bytes of a request that is no picture
PATIENCE = 1 << 26  # bytes of a refused upload that are taken nevertheless
TOLD = 4000  # bytes of remarks in a header


class Refused(Exception):
    """A request that is answered by a line.

    Attributes:
        code: of HTTP.
    """

    def __init__(self, code: int, line: str):
        super().__init__(line)
        self.code = code


def line(error: Exception) -> str:
    """An error for a person; the terminal gets all of it, if asked to."""
    if os.environ.get("JAXCOLOR_DEBUG"):
        traceback.print_exception(error)
    return describe(error)


async def body_of(request: Request) -> bytes:
    """What is short, for it is kept in memory."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > SHORT:
            raise Refused(413, "too long a request")
    return body


async def hear_out(request: Request) -> None:
    """Take what is still sent, within reason: many hear nothing before they have had their say."""
    heard = 0
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            heard += len(chunk)
            if heard > PATIENCE:
                break


def header(lines: list[str]) -> str:
    """As many lines as there is room for."""
    while len(json.dumps(lines)) > TOLD:
        lines = lines[:-1]
    return json.dumps(lines)


class Answer:
    """What a request is answered."""

    response: Response

    def set(self, response: Response) -> None:
        self.response = response


@contextlib.contextmanager
def answering() -> Iterator[Answer]:
    """Every failure as a line for the page."""
    answer = Answer()
    try:
        yield answer
    except ClientDisconnect:
        answer.set(Response(status_code=400))  # nobody hears it
    except Refused as error:
        answer.set(JSONResponse({"error": str(error)}, error.code))
    except Exception as error:
        answer.set(JSONResponse({"error": line(error)}, 422))
