"""Messages that the documentation shows, held against the texts that the code is made of."""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

import botocore.exceptions

from tests.documentation import DOCS, SOURCES, inline_code, table
from tests.samples import REPOSITORY

LEFT_OUT: Final = "…"
"""Stands in a message for what the code puts in there."""
_HOLE: Final = "\0"
"""Stands in a text of the code for what it puts in there."""
_IN_TEMPLATES: Final = re.compile(r"\$?\{\{.*?\}\}|\$\{\w+\}|\$\w+")
_IN_STRINGS: Final = re.compile(r"\{\w*\}|%[sdr]")


def documented_messages() -> list[str]:
    """The messages of this project that its page about them shows."""
    text = (DOCS / "troubleshooting.md").read_text()
    ours = text[: text.index("## What GitLab says")] + text[text.index("## What Spack and Apptainer say") :]
    return [message for row in table(ours) if len(row) == 3 for message in inline_code(row[0])]


class Texts:
    """All texts of some code, in each of which `_HOLE` stands for what the code puts in."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(texts)
        self._joined = "\n\n".join(self._texts)
        self._parts = {text: text.split(_HOLE) for text in self._texts if text.strip(f"{_HOLE} \n")}

    def say(self, message: str) -> bool:
        """Whether one of them reads so, or is longer and has this in it, letter for letter.

        `…` stands for what is put in, and for nothing else. Where the whole message is shown, a text of its own may be
        named instead: `there is no container …` for `there is no {kind} {name}`, if "container" is such a text.
        """
        shown = [re.escape(part.strip()) for part in message.split(LEFT_OUT)]
        if not any(shown):
            return False
        found = re.search(rf"[^\S\n]*{_HOLE}[^\S\n]*".join(shown), self._joined)
        return bool(found) or any(self._fill(parts, message) for parts in self._parts.values())

    def _fill(self, parts: list[str], message: str) -> bool:
        if not all(part in message for part in parts):
            return False
        filled = re.fullmatch("(.+?)".join(map(re.escape, parts)), message)
        return filled is not None and all(one == LEFT_OUT or one in self._texts for one in filled.groups())


@cache
def texts_of_the_code() -> Texts:
    """Of the modules and the scripts of this project, and those of others that they pass on."""
    found = {text for path in SOURCES for text in python_texts(path.read_text())}
    scripts = [*(REPOSITORY / "job_creator" / "scripts" / "templates").glob("*.j2")]
    scripts += (REPOSITORY / "spacktainer" / "image").glob("*.sh")
    found |= {text for path in scripts for text in script_texts(path.read_text())}
    of_others = {str(botocore.exceptions.NoCredentialsError.fmt), *map(os.strerror, errno.errorcode)}
    return Texts(found | of_others)


def python_texts(source: str) -> Iterator[str]:
    """The string literals of a module."""
    tree = ast.parse(source)
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in formatted for part in node.values}
    for node in formatted:
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else _HOLE for part in node.values)
    for one in ast.walk(tree):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in inside:
            yield _IN_STRINGS.sub(_HOLE, one.value)


def script_texts(source: str) -> Iterator[str]:
    """The lines of a script or of a template of one, and the texts that a template appends something to."""
    for line in source.splitlines():
        yield _IN_TEMPLATES.sub(_HOLE, line)
        yield from (f"{text}{_HOLE}" for text in re.findall(r'"([^"]+)" ~ \w+', line))
