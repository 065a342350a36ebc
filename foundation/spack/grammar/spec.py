"""An abstract spec, as a spec string says it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from foundation.spack.grammar.syntax import ARCHITECTURE_KEYS, COMPILER_FLAGS
from foundation.spack.grammar.versions import Versions

_NEEDS_NO_QUOTES: Final = re.compile(r"[A-Za-z0-9,/_.-]+")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One `+name` or `name=value`."""

    name: str
    value: str | bool
    propagates: bool = False
    exact: bool = False
    """Written with `:=`."""
    column: int = 1

    @property
    def is_variant(self) -> bool:
        """Neither for compilers nor for the architecture, nor a namespace."""
        return self.name not in COMPILER_FLAGS and self.name not in ARCHITECTURE_KEYS and self.name != "namespace"

    @property
    def values(self) -> tuple[str, ...]:
        """The values, each as text; those of flags are `true` and `false`."""
        if isinstance(self.value, bool):
            return (str(self.value).lower(),)
        return (self.value.lower(),) if self.value.lower() in ("true", "false") else tuple(self.value.split(","))

    @property
    def is_flag(self) -> bool:
        """Whether it can only be on or off."""
        return self.values in (("true",), ("false",))

    def __str__(self) -> str:
        """As it is written in a spec, with the space that separates it."""
        if isinstance(self.value, bool):
            sigil = "+" if self.value else "~"
            return f" {sigil * (2 if self.propagates else 1)}{self.name}"
        sign = f"{':' if self.exact else ''}{'==' if self.propagates else '='}"
        return f" {self.name}{sign}{_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class AbstractSpec:
    """A spec with what it asks of its dependencies. Columns count from 1 in the text that it was read from."""

    name: str = ""
    namespace: str = ""
    versions: Versions | None = None
    settings: tuple[Attribute, ...] = ()
    hash: str = ""
    edges: tuple[Edge, ...] = ()
    column: int = 1

    @property
    def says_nothing(self) -> bool:
        """Whether it stands for any spec at all."""
        return not (self.name or self.versions or self.settings or self.hash or self.edges)

    @property
    def text(self) -> str:
        """The spec without its dependencies."""
        name = f"{self.namespace}.{self.name}" if self.namespace else self.name
        version = f"@{self.versions.text}" if self.versions else ""
        hash_ = f" /{self.hash}" if self.hash else ""
        return f"{name}{version}{''.join(map(str, self.settings))}{hash_}"

    def __str__(self) -> str:
        """The spec as Spack reads it."""
        return f"{self.text}{''.join(map(str, self.edges))}".strip()

    def nodes(self) -> Iterator[AbstractSpec]:
        """The spec and all that it says of others, conditions left out."""
        yield self
        for edge in self.edges:
            yield from edge.spec.nodes()

    def all_edges(self) -> Iterator[Edge]:
        """What the spec and all below it say of dependencies."""
        for edge in self.edges:
            yield edge
            yield from edge.spec.all_edges()


@dataclass(frozen=True, slots=True)
class Edge:
    """What a spec asks of a dependency."""

    sigil: str
    spec: AbstractSpec
    virtuals: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    when: AbstractSpec | None = None
    is_toolchain: bool = False
    """The name is that of a toolchain."""
    column: int = 1

    @property
    def is_direct(self) -> bool:
        """Whether it is about a direct dependency, or, before Spack 1.0, about the compiler."""
        return self.sigil.startswith("%")

    def to(self, spec: AbstractSpec) -> Edge:
        """The same for another dependency."""
        return Edge(self.sigil, spec, self.virtuals, self.types, self.when, self.is_toolchain, self.column)

    def __str__(self) -> str:
        """As it is written in a spec, with the space that separates it."""
        attributes = {
            "deptypes": ",".join(self.types),
            "virtuals": ",".join(self.virtuals),
            "when": str(self.when) if self.when else "",
        }
        pairs = " ".join(f"{key}={_quoted(value)}" for key, value in attributes.items() if value)
        return f" {self.sigil}{f'[{pairs}] ' if pairs else ''}{self.spec}"


@dataclass(frozen=True, slots=True)
class Misspelt:
    """Why Spack would refuse a text, and at which column of it."""

    column: int
    message: str
    hint: str = ""


def _quoted(value: str) -> str:
    if _NEEDS_NO_QUOTES.fullmatch(value):
        return value
    return json.dumps(value) if "'" in value else f"'{value}'"
