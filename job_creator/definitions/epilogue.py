"""The Dockerfile lines that a definition adds at the end of its container's Dockerfile, as far as their form goes.

Source: Docker's "Dockerfile reference", and openshift/imagebuilder (dockerfile/parser), whose reader buildah has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from foundation.errors import Fault, InvalidInputError
from foundation.validation import close_to
from foundation.written_text import read_text

INSTRUCTIONS: Final = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"}
    | {"ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_MAY_BE_BARE: Final = frozenset({"CMD", "ENTRYPOINT"})
"""Those that mean "none" where nothing follows."""
_WITH_HEREDOCS: Final = frozenset({"ADD", "COPY", "RUN"})
_CONTINUED: Final = re.compile(r"\\[ \t]*$")
_WORD: Final = re.compile(r"\S+")
_HEREDOC: Final = re.compile(r"(?:^|\s)\d*<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_.]*)\2(?=\s|$)")
_ELSEWHERE: Final = re.compile(r"<<|[a-z]+://|git@")
"""Sources that are texts, URLs or git repositories."""
_ESCAPE: Final = re.compile(r"#\s*escape\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction with its arguments, lines that it goes on in joined, and where it begins."""

    word: str
    """As it was written; case does not count."""
    arguments: str
    line: int
    column: int
    texts: tuple[str, ...] = ()
    """The lines of texts that stand below it (`<<END`), with their ends."""

    @property
    def name(self) -> str:
        """In capitals."""
        return self.word.upper()


def epilogue_faults(content: bytes, path: str) -> Iterator[Fault]:
    """What keeps the lines from being the end of a Dockerfile. `path` is for messages."""
    try:
        text = read_text(content, path)
    except InvalidInputError as error:
        yield from error.faults
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith("#"):
            break
        if _ESCAPE.match(line):
            message = "'escape' only counts at the top of a Dockerfile, and these lines are put at the end of one"
            yield Fault(path, number, 1, message, "let lines go on with \\")
    for found in instructions(text, path):
        if isinstance(found, Fault):
            yield found
        elif wrong := _wrong(found):
            yield Fault(path, found.line, found.column, *wrong)


def instructions(text: str, path: str) -> Iterator[Instruction | Fault]:
    """All of a Dockerfile, or of its end. A text that does not end (`<<END`) is a fault, and the last thing found."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    index = 0
    while index < len(lines):
        start, line = index, lines[index]
        index += 1
        if _says_nothing(line):
            continue
        joined = line
        while _CONTINUED.search(joined) and index < len(lines):
            if not _says_nothing(lines[index]):
                joined = _CONTINUED.sub("", joined) + lines[index]
            index += 1
        joined = _CONTINUED.sub("", joined)
        if not (word := _WORD.search(joined)):
            continue
        instruction = Instruction(word[0], joined[word.end() :].strip(), start + 1, word.start() + 1)
        heredocs = _HEREDOC.findall(instruction.arguments) if instruction.name in _WITH_HEREDOCS else []
        first = index
        for tabs, _, name in heredocs:
            ends = (at for at in range(index, len(lines)) if (lines[at].lstrip("\t") if tabs else lines[at]) == name)
            end = next(ends, None)
            if end is None:
                message = f"the text after '<<{tabs}{name}' does not end"
                yield instruction
                yield Fault(path, start + 1, word.start() + 1, message, f"end it by a line that is {name} alone")
                return
            index = end + 1
        yield replace(instruction, texts=tuple(lines[first:index]))


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _wrong(instruction: Instruction) -> tuple[str, str] | None:
    """What is wrong with an instruction, and what to do about it."""
    name = instruction.name
    if name not in INSTRUCTIONS:
        close = close_to(name, INSTRUCTIONS)
        hint = f"did you mean {close[0]}?" if close else "does the line before it lack a '\\' at its end?"
        return f"{instruction.word!r} is no instruction of a Dockerfile", hint
    if name == "FROM":
        hint = "take files from another image by 'COPY --from=IMAGE …'"
        return "'FROM' begins another image, and the container would be thrown away", hint
    if not instruction.arguments and name not in _MAY_BE_BARE:
        return f"nothing follows {instruction.word!r}", ""
    if name in ("ENV", "LABEL") and "=" not in instruction.arguments and len(instruction.arguments.split()) < 2:
        return f"{instruction.word!r} gives {instruction.arguments!r} no value", f"write '{name} NAME=value'"
    if name in ("ADD", "COPY"):
        return _taken_from_checkout(instruction)
    if name == "ONBUILD":
        inner, _, arguments = instruction.arguments.partition(" ")
        if inner.upper() in ("FROM", "MAINTAINER", "ONBUILD"):
            return f"'ONBUILD {inner}' is not allowed", ""
        return _wrong(Instruction(inner, arguments.strip(), instruction.line, instruction.column))
    return None


def _taken_from_checkout(instruction: Instruction) -> tuple[str, str] | None:
    """Nothing counts that a build takes from the checkout by itself, so it sees none."""
    words = instruction.arguments.split()
    if any(word.startswith("--from=") for word in words):
        return None
    arguments = " ".join(word for word in words if not word.startswith("--"))
    try:
        named = json.loads(arguments) if arguments.startswith("[") else arguments.split()
    except ValueError:
        named = arguments.split()
    here = [str(word) for word in named[:-1] if not _ELSEWHERE.match(str(word))]
    if not here:
        return None
    message = f"{instruction.word!r} takes {here[0]!r} from the checkout, which the build does not see"
    return message, "name it below 'spacktainer: files:' in the definition, which copies it"
