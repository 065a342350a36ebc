"""The documentation as tests read it: pages, blocks of code, the commands in them, links and tables.

A block of shell is either run by a test or starts with the line `# needs a site: what`, for readers to see. A block of
text right below a block of shell is what that prints; `…` stands for what is left out, a line or a part of one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from foundation.command_line import Group
from get_artifacts.__main__ import main as ga
from job_creator.__main__ import main as jc
from spackitor.__main__ import main as spackitor
from tests.samples import REPOSITORY

PAGES: Final = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
DOCS: Final = REPOSITORY / "docs"
SOURCES: Final = tuple(
    path
    for name in ("foundation", "job_creator", "get_artifacts", "spackitor")
    for path in (REPOSITORY / name).rglob("*.py")
)
MARK: Final = "# needs a site: "
PROGRAMS: Final[dict[str, click.Command]] = {"jc": jc, "ga": ga, "spackitor": spackitor}

_FENCE: Final = re.compile(r"( *)(`{3,})(.*)")
_INLINE: Final = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK: Final = re.compile(r"!?\[[^]\[]*\]\(([^)\s]+)\)")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*")
_HERE_DOCUMENT: Final = re.compile(r"<<-?'?(\w+)'?.*?\n(?:.*?\n)??\1(?=\n|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    page: Path
    line: int
    """Of its first line, counted from 1."""
    language: str
    text: str
    output: str | None = None
    """What the page says that it prints."""

    @property
    def is_shell(self) -> bool:
        """Whether these are commands."""
        return self.language == "sh"

    @property
    def needs_a_site(self) -> bool:
        """Whether the page says that this only works at a site."""
        return self.text.startswith(MARK)

    def __str__(self) -> str:
        """Where it is."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order; a block of output is part of the one that prints it."""
    found: list[Block] = []
    opened: tuple[int, str, str] | None = None
    inner: list[str] = []
    is_next = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence = _FENCE.fullmatch(line)
        if fence and opened is None:
            opened, inner = (number + 1, fence[3], fence[1]), []
        elif fence and opened is not None:
            text = "".join(f"{one.removeprefix(opened[2])}\n" for one in inner)
            if opened[1] == "text" and is_next:
                last = found.pop()
                found.append(Block(page, last.line, last.language, last.text, text))
            else:
                found.append(Block(page, opened[0], opened[1], text))
            is_next, opened = opened[1] == "sh", None
        elif opened is not None:
            inner.append(line)
        elif line.strip():
            is_next = False
    assert opened is None, f"{page}: a block without an end"
    return found


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    text: list[str] = []
    inside = False
    for line in page.read_text().splitlines():
        if _FENCE.fullmatch(line):
            inside = not inside
        elif not inside:
            text.append(line)
    return "\n".join(text)


def inline_code(text: str) -> list[str]:
    """What stands between backquotes, in one line."""
    return [" ".join(found[2].split()) for found in _INLINE.finditer(text)]


def links(page: Path) -> list[str]:
    """The targets of all links and pictures."""
    return _LINK.findall(_INLINE.sub("", prose(page)))


def anchors(page: Path) -> set[str]:
    """What links to places of a page may name, as GitLab and GitHub make it of headings."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(plain) == len(set(plain)), f"{page}: two headings are the same"
    return set(plain)


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next one of its rank or above."""
    found = re.search(
        rf"^(#+) {re.escape(heading)}$\n(.*?)(?=^#{{1,6}} |\Z)", page.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page}: no heading {heading!r}"
    return found[2]


def table(text: str) -> list[list[str]]:
    """The rows of all tables in a text, without heading."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    ruled = [index for index, row in enumerate(cells) if all(set(cell) <= set("-:") and cell for cell in row)]
    return [row for index, row in enumerate(cells) if index not in ruled and index + 1 not in ruled]


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands of a script as words, without assignments and redirections."""
    text = _HERE_DOCUMENT.sub("", script).replace("\\\n", " ")
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        redirected = False
        for token in lexer:
            if set(token) <= set("<>"):
                redirected = True
            elif set(token) <= set("();|&"):
                yield from [words] if words else []
                words = []
            elif redirected:
                redirected = False
            elif words or not _ASSIGNMENT.fullmatch(token):
                words.append(token)
        yield from [words] if words else []


def program_of(words: list[str]) -> str:
    """The name of the program that a command starts."""
    return Path(words[0]).name


def sub_command(words: list[str]) -> str:
    """The name of the command in the click tree: `jc mirror plan`."""
    names = [program_of(words)]
    with suppress(click.BadOptionUsage):
        for name, _ in _path(words):
            names.append(name)
    return " ".join(names)


def usage_fault(words: list[str], *, is_whole: bool = True) -> str:
    """What click has against the names in a command; empty if nothing.

    One that is not whole may end with an option that still wants a value.
    """
    try:
        list(_path(words))
    except click.BadOptionUsage as error:
        return error.format_message() if is_whole else ""
    except click.UsageError as error:
        return error.format_message()
    return ""


def _path(words: list[str]) -> Iterator[tuple[str, click.Command]]:
    """Down the click tree. Raises `click.UsageError` for a name that is not there."""
    command, arguments = PROGRAMS[program_of(words)], words[1:]
    while True:
        context = click.Context(command, info_name=command.name)
        _, rest, _ = command.make_parser(context).parse_args(list(arguments))
        if not isinstance(command, click.Group) or not rest:
            return
        default = command.default_command if isinstance(command, Group) else ""
        if default and rest[0] not in command.commands:
            rest = [default, *rest]
        found = command.get_command(context, rest[0])
        if found is None:
            raise click.UsageError(f"no such command: {rest[0]}")
        yield rest[0], found
        command, arguments = found, rest[1:]
