"""`jaxcolor studio`: a local page on which looks are chosen by eye.

`settings` and `session` know of no page and no network; `server` speaks HTTP, `page` holds what a
browser shows. What is downloaded is made by the command's own functions (`result`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a page may ask of this machine.

    Attributes:
        megabytes: of one file.
        megapixels: of one picture.
        pictures: that a page holds.
        pages: that are open at a time.
        gigabytes: of files that all pages hold together.
    """

    megabytes: int = 100
    megapixels: int = 100
    pictures: int = 32
    pages: int = 64
    gigabytes: int = 8
