"""What somebody meant who wrote a spec string that Spack refuses."""

from __future__ import annotations

import re
from typing import Final

from foundation.spack.grammar.syntax import Syntax

_TYPOGRAPHIC: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2033\u2032"
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2212"

_HINTS: Final = {
    **dict.fromkeys(_TYPOGRAPHIC, "these are typographic quotes; write ' or \""),
    **dict.fromkeys(_DASHES, "this is a typographic dash; write - or ~"),
    **dict.fromkeys("'\"", 'only values are quoted, and quotes are closed: cflags="-O2 -g"'),
    **{one: f"{one!r} needs the name of a variant behind it, such as {one}mpi" for one in "+~-"},
    "@": "'@' needs a version, such as @1.2 or @1.2:",
    "[": "attributes in brackets follow the sign of a dependency: ^[virtuals=mpi] openmpi",
    "$": "a reference such as $name stands alone",
    "#": "a comment needs a space before it, outside of quotes",
    ">": "versions are written @1.2: or @:1.2",
    "<": "versions are written @1.2: or @:1.2",
    ",": "lists are written without spaces: fabrics=ucx,ofi",
}
"""By the character that has no meaning."""


def hint_for(text: str, start: int, syntax: Syntax) -> str:
    """How to write it, told from the characters at a place that was refused."""
    character = text[start : start + 1]
    if character == "=":
        return _spaced(text[:start], text[start + 1 :])
    if character == "%":
        return "'%' needs the name of a compiler" + (" or dependency" if syntax.direct_dependencies else "")
    if character == ":" and not syntax.exact_values:
        return "a range of versions is written @1.2:1.4"
    return _HINTS.get(character, "")


def _spaced(before: str, behind: str) -> str:
    name = re.search(r"([A-Za-z0-9_.-]+)\s*$", before)
    value = behind.split()
    if behind[:1] in _HINTS and behind[:1] in (*_TYPOGRAPHIC, *_DASHES, *"'\""):
        return _HINTS[behind[0]]
    return f"variants are written without spaces: {name[1] if name else 'name'}={value[0] if value else 'value'}"
