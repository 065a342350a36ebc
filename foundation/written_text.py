"""Text that people wrote, before anything is made of it: its encoding, and what git may have left in it."""

from __future__ import annotations

import re

from foundation.errors import Fault, InvalidInputError

_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


def read_text(content: bytes, path: str) -> str:
    """The text of a file; `path` only names it. Raises `InvalidInputError` where it is no UTF-8 or not merged yet."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise InvalidInputError([Fault(path, *place, "not UTF-8 text", "save the file as UTF-8")]) from None
    if conflict := _CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        hint = "keep what is right of both sides, and remove the lines of <<<<<<<, ======= and >>>>>>>"
        raise InvalidInputError([Fault(path, line, 1, "git could not merge this by itself", hint)])
    return text
