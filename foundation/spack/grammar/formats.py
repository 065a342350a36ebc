"""Paths with fields of specs, as `{name}/{version}-{hash:7}`, which projections of views and install trees are.

Source: `format` and `format_path` in lib/spack/spack/spec.py (v0.21 to v1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from foundation.spack.grammar.spec import Misspelt
from foundation.validation import did_you_mean

_PARTS: Final = re.compile(r"\\.|\{(?P<field>[^}]*)(?P<closed>\})?|(?P<unopened>\})")
_OLD: Final = re.compile(r"\$\{[A-Z]+\}")
_FIELD: Final = re.compile(r"(?P<sigil> ?[%@/]|[\w ][\w -]*=)?(?:\^[^.]+\.)?(?P<attribute>.*)", re.DOTALL)
_HASH: Final = re.compile(r"hash(?::\d+)?", re.IGNORECASE)
_ATTRIBUTES: Final = frozenset(
    [
        *(
            "abstract_hash",
            "anonymous",
            "arch",
            "architecture",
            "build_spec",
            "compiler",
            "compiler_flags",
            "compilers",
        ),
        *("concrete", "external", "external_modules", "external_path", "extra_attributes", "fullname", "installed"),
        *("is_develop", "name", "namespace", "namespace_if_anonymous", "os", "package", "patches", "platform"),
        *("prefix", "root", "short_spec", "spack_install", "spack_root", "specfile_version", "spliced", "target"),
        *("variants", "version", "versions"),
    ]
)
"""What a spec has that is no function, on any line."""
_OF_ARCHITECTURE: Final = frozenset({"concrete", "os", "platform", "target", "target_concrete"})
_OF_SIGILS: Final = {
    "@": ("version", "versions"),
    "%": ("compiler", "compiler.name"),
}
"""What may follow the marks that are printed with a value; after `@` it is the last part that counts."""


def format_problems(text: str) -> Iterator[Misspelt]:
    """What Spack would refuse of a path with fields, and what would lead out of the folder that it is a path in."""
    if old := _OLD.search(text):
        yield Misspelt(old.start() + 1, f"{old[0]!r} is an old way to write a field", "write it as in {name}/{version}")
        return
    for part in _PARTS.finditer(text):
        column = part.start() + 1
        if part["unopened"]:
            yield Misspelt(column, "this brace closes nothing", "write '\\}' for the brace itself")
        elif part["field"] is not None:
            yield from _of_field(part["field"], column, is_closed=bool(part["closed"]))
    if text.startswith("/"):
        yield Misspelt(1, f"{text!r} leads to another folder", "leave out the '/' at the beginning")
    elif ".." in text.split("/"):
        yield Misspelt(1, f"{text!r} may lead to another folder", "leave out '..'")


def _of_field(field: str, column: int, *, is_closed: bool) -> Iterator[Misspelt]:
    if not is_closed:
        yield Misspelt(column, "this brace is not closed", "write '\\{' for the brace itself")
        return
    # Whatever the field is, this expression fits it.
    [(sigil, attribute)] = _FIELD.findall(field)[:1]
    sigil, attribute = sigil.strip(), attribute.lower()
    if "/" in field or "\\" in field:
        yield Misspelt(column, f"a field of a path cannot hold '/': '{{{field}}}'", "write '/' outside of the braces")
    elif _HASH.fullmatch(attribute):
        if sigil in ("@", "%"):
            yield Misspelt(column, f"{sigil!r} cannot stand before a hash", "leave it out")
    elif not all(attribute.split(".")):
        yield Misspelt(column, f"'{{{field}}}' names nothing", "write it as in {name}")
    elif sigil in _OF_SIGILS and (attribute.split(".")[-1] if sigil == "@" else attribute) not in _OF_SIGILS[sigil]:
        yield Misspelt(column, f"{sigil!r} cannot stand before {attribute!r}", "leave it out")
    else:
        yield from _of_attribute(attribute, column)


def _of_attribute(attribute: str, column: int) -> Iterator[Misspelt]:
    first, *others = attribute.split(".")
    if first not in _ATTRIBUTES:
        yield Misspelt(column, f"a spec has no {first!r}", did_you_mean(first, _ATTRIBUTES))
    elif first == "compiler_flags" and others:
        yield Misspelt(column, "there are no fields of single flags", "write {compiler_flags}")
    elif first in ("arch", "architecture") and others and others[0] not in _OF_ARCHITECTURE:
        hint = did_you_mean(others[0], ("os", "platform", "target"))
        yield Misspelt(column, f"an architecture has no {others[0]!r}", hint)
