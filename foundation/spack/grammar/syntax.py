"""How spec strings are written on each line of Spack: the one table of differences.

Sources: lib/spack/spack/parser.py (v0.21 to v0.23), spec_parser.py and tokenize.py (v1.0 to v1.1 and develop of January
2026, which became 1.2) and variant.py of each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from foundation.spack.releases import SpackLine


class Kind(StrEnum):
    """The kinds of tokens. At one place of a text the first one that matches wins."""

    OPENED_EDGE = "opened_edge"
    """A sigil and the bracket behind it."""
    CLOSED_EDGE = "closed_edge"
    EDGE = "edge"
    """A sigil."""
    VERSION = "version"
    PROPAGATED_FLAG = "propagated_flag"
    FLAG = "flag"
    PROPAGATED_PAIR = "propagated_pair"
    PAIR = "pair"
    COMPILER = "compiler"
    FILE = "file"
    FULL_NAME = "full_name"
    NAME = "name"
    HASH = "hash"
    SPACE = "space"
    UNKNOWN = "unknown"


COMPILER_FLAGS: Final = frozenset({"cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"})
"""What is written like a variant and is handed to compilers."""
ARCHITECTURE_KEYS: Final = frozenset({"arch", "architecture", "platform", "os", "operating_system", "target"})
"""What is written like a variant and names where a package runs."""
LEGACY_COMPILERS: Final = {
    "clang": "llvm",
    "oneapi": "intel-oneapi-compilers",
    "rocmcc": "llvm-amdgpu",
    "intel": "intel-oneapi-compilers-classic",
    "arm": "acfl",
}
"""The packages of compilers that were called otherwise before Spack 1.0 (lib/spack/spack/aliases.py)."""
_RESERVED: Final = ARCHITECTURE_KEYS | {"dev_path", "namespace", "patches"}
_GIT_VARIANTS: Final = frozenset({"branch", "commit", "ref", "tag"})


@dataclass(frozen=True, slots=True)
class Syntax:
    """What is particular to a line of Spack."""

    line: SpackLine
    direct_dependencies: bool
    """`%` is for any direct dependency, edges with `%` may have attributes, and `c,cxx=gcc` names virtuals."""
    double_percent: bool
    """`%%` is one sigil; before, it is two, the first of which names nothing."""
    edge_keys: frozenset[str]
    """The attributes between brackets."""
    exact_values: bool
    """`name:=value` says that there are no other values."""
    spaced_pairs: bool
    """Spaces may stand around `=`."""
    unique_values: frozenset[str]
    """Values that cannot be combined with others."""
    not_propagated: frozenset[str]
    """Names that cannot be written with `++` or `==`."""
    legacy_compilers: bool
    """Compilers may be called as before they were packages."""
    tokens: re.Pattern[str] = re.compile("")


_W: Final = "A-Za-z0-9_"
"""Letters and digits are those of ASCII, but spaces those of Unicode, and so are the borders of words."""
_SIMPLE: Final = rf"[{_W}][{_W}-]*"
_LONG: Final = rf"[{_W}][{_W}.-]*"
_FULL: Final = rf"{_SIMPLE}(?:\.{_SIMPLE})+"
_QUOTED: Final = r"""(?:'(?:[^']|(?<=\\)')*'|"(?:[^"]|(?<=\\)")*")"""
_LOOSELY_QUOTED: Final = rf"""(?:["']+[{_W}+*.,:=~/\\\s-]+["']+)"""
_ONE: Final = rf"(?:=?{_LONG}\b)"
_RANGE: Final = rf"(?:{_ONE}?:(?:{_ONE}(?!\s*=))?)"
_VERSIONS: Final = rf"(?:{_RANGE}|{_ONE})(?:\s*,\s*(?:{_RANGE}|{_ONE}))*"
_GIT: Final = rf"(?:git\.[{_W}][{_W}./-]*|[A-Fa-f0-9]{{40}})"
_FILE: Final = rf"(?:\.|[{_W}-]*/)[{_W}./-]*(?:\.json|\.yaml)"


def _tokens(syntax: Syntax) -> re.Pattern[str]:
    direct = syntax.direct_dependencies
    sigil = r"(?:\^|%%|%)" if syntax.double_percent else r"[\^%]" if direct else r"\^"
    virtuals = rf"(?:\s*{_SIMPLE}(?:,{_SIMPLE})*=(?:{_FULL}|{_SIMPLE}))?" if direct else ""
    bare = rf"[{_W}+*.,:=~/\\{'%^' if direct else ''}-]+"
    value = f"(?:{bare}|{_LOOSELY_QUOTED if syntax.spaced_pairs else _QUOTED})"
    exact = ":?" if syntax.exact_values else ""
    space = r"\s*" if syntax.spaced_pairs else ""
    kinds = {
        Kind.OPENED_EDGE: rf"{sigil}\[",
        Kind.CLOSED_EDGE: rf"\]{virtuals}",
        Kind.EDGE: rf"{sigil}{virtuals}",
        Kind.VERSION: rf"@{_GIT}={_ONE}|@{_GIT}|@\s*{_VERSIONS}",
        Kind.PROPAGATED_FLAG: rf"(?:\+\+|~~|--)\s*{_LONG}",
        Kind.FLAG: rf"[~+-]\s*{_LONG}",
        Kind.PROPAGATED_PAIR: rf"{_LONG}{exact}{space}=={space}{value}",
        Kind.PAIR: rf"{_LONG}{exact}{space}={space}{value}",
        **({} if direct else {Kind.COMPILER: rf"%\s*{_LONG}\s*@\s*{_VERSIONS}|%\s*{_LONG}"}),
        Kind.FILE: _FILE,
        Kind.FULL_NAME: _FULL,
        Kind.NAME: rf"{_SIMPLE}|\*" if direct else _SIMPLE,
        Kind.HASH: rf"/[{_W}]+",
        Kind.SPACE: r"\s+",
        Kind.UNKNOWN: ".",
    }
    return re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in kinds.items()), re.DOTALL)


def _syntaxes() -> dict[SpackLine, Syntax]:
    first = Syntax(
        line=SpackLine(0, 21),
        direct_dependencies=False,
        double_percent=False,
        edge_keys=frozenset({"deptypes", "virtuals"}),
        exact_values=False,
        spaced_pairs=True,
        unique_values=frozenset({"none", "*"}),
        not_propagated=frozenset(),
        legacy_compilers=False,
    )
    second = replace(first, line=SpackLine(0, 22), spaced_pairs=False)
    compilers_are_packages = replace(
        second,
        line=SpackLine(1, 0),
        direct_dependencies=True,
        edge_keys=first.edge_keys | {"when"},
        exact_values=True,
        unique_values=frozenset({"*"}),
        not_propagated=_RESERVED | _GIT_VARIANTS,
        legacy_compilers=True,
    )
    rows = (
        first,
        second,
        replace(second, line=SpackLine(0, 23), not_propagated=_RESERVED),
        compilers_are_packages,
        replace(compilers_are_packages, line=SpackLine(1, 1), double_percent=True),
        replace(compilers_are_packages, line=SpackLine(1, 2), double_percent=True),
    )
    return {one.line: replace(one, tokens=_tokens(one)) for one in rows}


SYNTAXES: Final = _syntaxes()
"""How specs are written, for each line that pipelines can be made for."""
