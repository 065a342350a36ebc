"""The text of the one note of a merge request, in which each job has a part of its own. Pure.

What tells the parts apart are comments, which GitLab does not show.
"""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "<!-- spacktainers report -->"
"""The first line of the note."""
PART_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
"""What a part may be called."""
_PART: Final = re.compile(r"<!-- part: (?P<name>[^\n]*?) -->\n(?P<text>.*?)\n<!-- end: (?P=name) -->", re.DOTALL)
_COMMENT: Final = "<!--"


def with_part(body: str, name: str, text: str) -> str:
    """The note with a part that says this, whatever it said before; all others stay as they are.

    A text that holds a comment of HTML does not end the part that it stands in. `body` is empty for a new note.
    """
    parts = parts_of(body) | {name: text.replace(_COMMENT, "&lt;!--").strip("\n")}
    told = (f"<!-- part: {key} -->\n{parts[key]}\n<!-- end: {key} -->" for key in sorted(parts))
    return "\n\n".join((MARK, *told)) + "\n"


def parts_of(body: str) -> dict[str, str]:
    """The parts of a note by their names."""
    return {found["name"]: found["text"] for found in _PART.finditer(body)}


def is_ours(body: str) -> bool:
    """Whether a note is the one of reports."""
    return body.startswith(MARK)
