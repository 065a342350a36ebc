"""The sections of a Singularity/Apptainer definition file, and the arguments that stand in it as `{{ NAME }}`.

Source: Apptainer 1.4, pkg/build/types/parser/deffile.go and internal/pkg/build/args (arguments since 1.2).
SingularityCE knows the same sections, and arguments since 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from foundation.errors import Fault
from foundation.validation import close_to

SECTIONS: Final = frozenset(
    {"arguments", "environment", "files", "help", "labels", "post", "pre", "runscript", "setup", "startscript", "test"}
)
APP_SECTIONS: Final = frozenset(
    {"appenv", "appfiles", "apphelp", "appinstall", "applabels", "apprun", "appstart", "apptest"}
)
"""Those of an app (SCIF), whose name follows: `%appinstall name`."""
_KNOWN: Final = SECTIONS | APP_SECTIONS
_ARGUMENT: Final = re.compile(r"{{\s*([0-9A-Za-z_]+)\s*}}")
_COMMENT: Final = re.compile(r"#[^!]")
_STAGE: Final = re.compile(r"bootstrap:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageSection:
    """A section: its first line as it was written, and the lines below."""

    title: str
    line: int
    """The number of the first line, from 1."""
    body: tuple[str, ...]

    @property
    def word(self) -> str:
        """The first word: `%post`."""
        return self.title.split()[0]

    @property
    def name(self) -> str:
        """The name that Apptainer reads: no `%`, lower case, up to a space. Nothing where the line is indented."""
        return self.title.lstrip("%").lower().partition(" ")[0]

    @property
    def argument(self) -> str:
        """What follows the name."""
        return self.title.lstrip("%").partition(" ")[2].strip()


def lines_of(text: str) -> list[str]:
    """The lines of a definition file, without their ends."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def begins_section(line: str) -> bool:
    """Whether Apptainer takes a line for the first one of a section, wherever it stands: also within a script."""
    return line.lstrip().startswith("%")


def sections(text: str) -> tuple[ImageSection, ...]:
    """All sections in their order."""
    lines = lines_of(text)
    starts = [index for index, line in enumerate(lines) if begins_section(line)]
    ends = [*starts[1:], len(lines)]
    return tuple(
        ImageSection(lines[start], start + 1, tuple(lines[start + 1 : end]))
        for start, end in zip(starts, ends, strict=False)
    )


def section_faults(text: str, path: str) -> Iterator[Fault]:
    """What Apptainer would refuse of the sections, and stages after the first."""
    for section in sections(text):
        message, hint = _wrong(section)
        if message:
            column = len(section.title) - len(section.title.lstrip()) + 1
            yield Fault(path, section.line, column, message, hint)
        for number, line in enumerate(section.body, start=section.line + 1):
            if _STAGE.match(line):
                message = "a second 'Bootstrap'; definitions with several stages wrap no single image"
                hint = "Apptainer takes every line that starts with this word for a new stage; keep one of them"
                yield Fault(path, number, 1, message, hint)


def default_arguments(text: str) -> dict[str, str]:
    """The defaults in `%arguments`: `NAME=value`, a line each."""
    found: dict[str, str] = {}
    for section in sections(text):
        if section.name == "arguments":
            for line in filter(_says_something, section.body):
                key, equals, value = line.partition("=")
                if equals and key.strip():
                    found[key.strip()] = value.strip()
    return found


def filled(text: str, arguments: Mapping[str, str]) -> str:
    """The text with its arguments replaced by their values; those may hold others, one level deep."""

    def known(match: re.Match[str]) -> str:
        return arguments.get(match[1], match[0])

    return _ARGUMENT.sub(lambda match: _ARGUMENT.sub(known, known(match)), text)


def line_of_arguments(text: str) -> int:
    """The line of the first section `%arguments`; 0 if there is none."""
    return min((section.line for section in sections(text) if section.name == "arguments"), default=0)


def argument_faults(text: str, path: str) -> Iterator[Fault]:
    """Arguments without a default, anywhere but in comments: Apptainer stops at them, and nobody gives them here."""
    known = default_arguments(text)
    done = 0
    for match in _ARGUMENT.finditer(text):
        start = text.rfind("\n", 0, match.start()) + 1
        if _COMMENT.search(text, max(start, done), match.start()):
            continue
        done = match.end()
        if match[1] not in known:
            close = close_to(match[1], known)
            hint = f"did you mean {close[0]!r}?" if close else f"add a line '{match[1]}=…' to a section %arguments"
            message = f"'{match[0]}' has no default, and nothing else gives it a value"
            yield Fault(path, text.count("\n", 0, start) + 1, match.start() - start + 1, message, hint)
    for section in sections(text):
        if section.name == "arguments":
            for number, line in enumerate(section.body, start=section.line + 1):
                if _says_something(line) and not line.partition("=")[1]:
                    yield Fault(path, number, 1, f"{line.strip()!r} is no argument", "write 'NAME=value'")


def _wrong(section: ImageSection) -> tuple[str, str]:
    """What is wrong with the first line of a section, and what to do about it."""
    if not section.title.startswith("%"):
        hint = "write it at the start of the line; in a script, let no line start with '%'"
        return f"{section.word!r} is indented, and Apptainer reads a section without a name", hint
    if section.name in _KNOWN:
        if section.name in APP_SECTIONS and not section.argument:
            return f"'%{section.name}' does not say of which app", f"write '%{section.name} name'"
        if section.name == "files" and section.argument:
            hint = "there is one image here and no other stage; leave out what follows '%files'"
            return f"'%files {section.argument}' takes files of a stage that is not there", hint
        return "", ""
    word = section.name.split("\t")[0]
    if word in _KNOWN:
        return f"a tab follows '%{word}', and Apptainer reads it as part of the name", "write a space"
    known = ", ".join(f"%{name}" for name in sorted(SECTIONS))
    close = close_to(word, _KNOWN)
    return f"'%{word}' is no section", f"did you mean '%{close[0]}'?" if close else f"there are {known}"


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")
