"""What the texts of users say apart from comments, so that a comment alone builds nothing anew.

Sources: POSIX shell command language, "Token Recognition" (a comment begins with `#` where a word could), and Apptainer
(pkg/build/types/parser/deffile.go): in its lists a comment is a line.
"""

from __future__ import annotations

import re
from typing import Final

from foundation.errors import Fault
from job_creator.definitions.epilogue import instructions
from job_creator.definitions.sections import sections

_SCRIPTS: Final = ("post", "setup", "pre", "test", "environment", "runscript", "startscript")
_SCRIPTS_OF_APPS: Final = ("appinstall", "appenv", "apprun", "apptest", "appstart")
_LISTS: Final = ("arguments", "files", "labels", "appfiles", "applabels")
_READ_OTHERWISE: Final = re.compile(r"<<|\$'|^#!(?!\s*/bin/sh\s*$)", re.MULTILINE)
"""Text within a script, and scripts for another shell: every character may count."""


def said_by_definition(text: str) -> list[list[str]]:
    """What a Singularity definition says besides the image: its sections, without the comments in them."""
    found: list[list[str]] = []
    for section in sections(text):
        body = "\n".join(section.body)
        if section.name in (*_SCRIPTS, *_SCRIPTS_OF_APPS):
            body = _without_comments_of_shell(body)
        elif section.name in _LISTS:
            lines = (line.strip() for line in section.body)
            body = "\n".join(line for line in lines if line and not line.startswith("#"))
        found.append([section.name, section.argument, body.strip("\n")])
    return found


def said_by_dockerfile(text: str) -> list[list[str]]:
    """What lines of a Dockerfile say: their instructions, and the texts within them."""
    return [[one.name, one.arguments, *one.texts] for one in instructions(text, "") if not isinstance(one, Fault)]


def _without_comments_of_shell(script: str) -> str:
    """A script for `/bin/sh` without its comments and empty lines; as it is where that cannot be told."""
    if _READ_OTHERWISE.search(script):
        return script
    kept: list[str] = []
    quote, index = "", 0
    while index < len(script):
        character = script[index]
        if character == "\\" and quote != "'":
            kept.append(script[index : index + 2])
            index += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character == "#" and (not kept or kept[-1][-1] in " \t\n;|&()"):
            end = script.find("\n", index)
            index = len(script) if end < 0 else end
            continue
        kept.append(character)
        index += 1
    if quote:
        return script
    return "\n".join(line.rstrip() for line in "".join(kept).split("\n") if line.strip())
