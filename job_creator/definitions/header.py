"""The header of a Singularity/Apptainer definition file, as far as it says which image is wrapped.

Source: Apptainer user guide, "Definition files", sections "Header" and "Docker bootstrap agent".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from foundation.errors import Fault, InvalidInputError
from foundation.registries.reference import ImageReference, parse_reference, scheme_fault
from foundation.written_text import read_text
from job_creator.definitions.sections import (
    argument_faults,
    begins_section,
    default_arguments,
    filled,
    lines_of,
    section_faults,
)

_HEADER_LINE = re.compile(r"\s*([A-Za-z]+)\s*:\s*(.*?)\s*")
_KEYWORDS = ("bootstrap", "from", "registry", "namespace", "includecmd", "fingerprints")


@dataclass(frozen=True, slots=True)
class _Entry:
    value: str
    line: int
    column: int


def read_imported_image(content: bytes, path: str) -> ImageReference:
    """The image that the definition starts from. Raises `InvalidInputError` with every fault of header and sections."""
    text = read_text(content, path)
    entries, faults = _header(text, path)
    faults += [*section_faults(text, path), *argument_faults(text, path)]
    bootstrap = entries.get("bootstrap")
    if bootstrap is None:
        faults.append(Fault(path, 1, 1, "'Bootstrap' is missing", "start the file with 'Bootstrap: docker'"))
    elif bootstrap.value.lower() != "docker":
        message = f"'Bootstrap: {bootstrap.value}' wraps no image of a registry"
        faults.append(
            Fault(path, bootstrap.line, bootstrap.column, message, "only 'Bootstrap: docker' can be built here")
        )
    image = entries.get("from")
    if image is None or not image.value:
        place = (image.line, image.column) if image else (1, 1)
        faults.append(Fault(path, *place, "'From' is missing", "write for example 'From: ubuntu:24.04'"))
    for key in ("registry", "namespace", "from"):
        if key in entries and (message := scheme_fault(entries[key].value)):
            faults.append(Fault(path, entries[key].line, entries[key].column, message))
    registry = entries.get("registry")
    if registry and image and image.value.startswith(f"{registry.value.strip('/')}/"):
        message = f"'From' begins with {registry.value} as well, and Apptainer puts one before the other"
        faults.append(Fault(path, registry.line, registry.column, message, "remove this line"))
    if faults or image is None:
        raise InvalidInputError(faults)
    prefix = "/".join(entries[key].value.strip("/") for key in ("registry", "namespace") if key in entries)
    try:
        return parse_reference(f"{prefix}/{image.value}" if prefix else image.value)
    except ValueError as error:
        raise InvalidInputError([Fault(path, image.line, image.column, str(error))]) from None


BUILD_DATE: Final = "org.label-schema.build-date Wednesday_2_January_1980_0:0:0_UTC"
"""Apptainer's label of when a SIF file was made, as it writes that (`addBuildLabels`), with the time of all images."""


def with_unpacked_image(text: str, folder: str) -> str:
    """The definition for an image that is unpacked already: a header of its own, and all sections as they are.

    One is added, so that two builds at different times have the same labels.
    """
    lines = text.rstrip("\n").split("\n")
    first = next((index for index, line in enumerate(lines) if begins_section(line)), len(lines))
    dated = ["%labels", f"    {BUILD_DATE}", ""]
    return "\n".join(["Bootstrap: localimage", f"From: {folder}", "", *lines[first:], *dated])


def _header(text: str, path: str) -> tuple[dict[str, _Entry], list[Fault]]:
    """The keywords before the first section, lower case and with their arguments, and what is wrong with them."""
    arguments = default_arguments(text)
    entries: dict[str, _Entry] = {}
    faults: list[Fault] = []
    for number, written in enumerate(lines_of(text), start=1):
        if begins_section(written):
            break
        line = written.partition("#")[0]
        if not line.strip():
            continue
        match = _HEADER_LINE.fullmatch(line)
        if not match or match[1].lower() not in _KEYWORDS:
            hint = "the header takes 'Bootstrap: docker' and 'From: image'"
            faults.append(Fault(path, number, 1, f"{line.strip()!r} is no keyword of a header", hint))
        elif match[1].lower() in entries:
            message = f"a second {match[1]!r}; definitions with several stages wrap no single image"
            faults.append(Fault(path, number, 1, message, "keep one 'Bootstrap' and one 'From'"))
        else:
            entries[match[1].lower()] = _Entry(filled(match[2], arguments), number, match.start(2) + 1)
    return entries, faults
