"""From a spec string to what it says, or to why Spack would refuse it.

Sources: as for `syntax.py`, and what lib/spack/spack/spec.py does with what the parser finds: `_add_flag`,
`_set_architecture`, `_add_dependency`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from foundation.spack.grammar.hints import hint_for
from foundation.spack.grammar.node import Node, NodeError
from foundation.spack.grammar.spec import AbstractSpec, Attribute, Edge, Misspelt
from foundation.spack.grammar.syntax import SYNTAXES, Kind, Syntax
from foundation.spack.grammar.versions import read_versions
from foundation.spack.releases import SpackLine

_QUOTES: Final = re.compile(r"(['\"])(.*)\1")
_KINDS: Final[dict[str | None, Kind]] = {kind.value: kind for kind in Kind}
_OF_A_NODE: Final = frozenset(
    {
        *(Kind.VERSION, Kind.FLAG, Kind.PROPAGATED_FLAG, Kind.PAIR, Kind.PROPAGATED_PAIR),
        *(Kind.COMPILER, Kind.HASH),
    }
)
_TYPES: Final = ("build", "link", "run", "test")


class _SpecToken(NamedTuple):
    kind: Kind
    text: str
    start: int


class _SpecSyntaxError(Exception):
    def __init__(self, start: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.start, self.message, self.hint = start, message, hint


@lru_cache(maxsize=16384)
def parse_spec(text: str, line: SpackLine, toolchains: frozenset[str] = frozenset()) -> AbstractSpec | Misspelt:
    """What a spec string says on a line of Spack, or why that Spack would refuse it.

    Names behind `%` that are `toolchains` stand for those. Text without anything in it is a spec that says nothing.
    """
    try:
        return _SpecParser(text, SYNTAXES[line], toolchains).spec()
    except _SpecSyntaxError as error:
        hint = error.hint or hint_for(text, error.start, SYNTAXES[line])
        return Misspelt(error.start + 1, error.message, hint)


@dataclass
class _SpecParser:
    text: str
    syntax: Syntax
    toolchains: frozenset[str]
    tokens: list[_SpecToken] = field(init=False)
    """What is left to be read, the next one last."""

    def __post_init__(self) -> None:
        self.tokens = []
        for match in self.syntax.tokens.finditer(self.text):
            kind = _KINDS[match.lastgroup]
            if kind is Kind.UNKNOWN:
                raise _SpecSyntaxError(match.start(), f"{match[0]!r} has no meaning here")
            if kind is not Kind.SPACE:
                self.tokens.append(_SpecToken(kind, match[0], match.start()))
        self.tokens.reverse()

    def spec(self) -> AbstractSpec:
        """The whole text as one spec."""
        if not self.tokens:
            return AbstractSpec()
        root = self._node()
        current = root
        last_was_toolchain = False
        while token := self._accept(Kind.EDGE, Kind.OPENED_EDGE):
            sigil = re.match(r"\^|%+", token.text)
            edge = Edge(sigil[0] if sigil else "", AbstractSpec(), column=token.start + 1)
            virtuals: tuple[str, ...] = ()
            when = None
            types: tuple[str, ...] = ()
            closing = token
            if token.kind is Kind.OPENED_EDGE:
                virtuals, types, when, closing = self._attributes(token)
            virtuals += self._virtuals(closing)
            parent = current if edge.is_direct else root
            last_was_toolchain = (
                token.kind is Kind.EDGE and edge.is_direct and not virtuals and self._toolchain(edge, parent)
            )
            if last_was_toolchain:
                continue
            node = self._dependency(token)
            try:
                parent.add(edge, node, virtuals=virtuals, types=types, when=when)
            except NodeError as error:
                raise _SpecSyntaxError(token.start, error.message, error.hint) from None
            if not edge.is_direct:
                current = node
        if self.tokens:
            left = self.tokens[-1]
            if left.kind is Kind.CLOSED_EDGE:
                raise _SpecSyntaxError(left.start, "a bracket that nothing opened")
            hint = ""
            if last_was_toolchain:
                hint = "nothing may follow a toolchain; write what is about the package before it"
            raise _SpecSyntaxError(left.start, f"a second spec begins at {left.text!r}", hint)
        return root.frozen()

    def _accept(self, *kinds: Kind) -> _SpecToken | None:
        return self.tokens.pop() if self.tokens and self.tokens[-1].kind in kinds else None

    def _dependency(self, sigil: _SpecToken) -> Node:
        nothing = not self.tokens or self.tokens[-1].kind is Kind.EDGE
        if nothing and not self.syntax.direct_dependencies:
            raise _SpecSyntaxError(sigil.start, f"{sigil.text!r} is followed by no dependency")
        return Node(self.syntax, column=sigil.start + 2) if nothing else self._node()

    def _toolchain(self, edge: Edge, parent: Node) -> bool:
        """Whether a toolchain follows, which then is one of the dependencies of `parent`."""
        if not self.tokens:
            raise _SpecSyntaxError(edge.column - 1, f"{edge.sigil!r} is followed by no name")
        following = self.tokens[-1]
        if following.text not in self.toolchains:
            return False
        if following.kind is not Kind.NAME:
            raise _SpecSyntaxError(following.start, f"the toolchain {following.text!r} has no legal name")
        self.tokens.pop()
        named = Node(self.syntax, name=following.text, column=following.start + 1)
        parent.add(edge, named, is_toolchain=True)
        return True

    def _virtuals(self, token: _SpecToken) -> tuple[str, ...]:
        """The virtuals in `%c,cxx=gcc`; the package that provides them is left as the next token."""
        if token.kind is Kind.EDGE:
            pair = token.text.lstrip("%^")
        elif token.kind is Kind.CLOSED_EDGE:
            pair = token.text[1:]
        else:
            return ()
        names, found, package = pair.strip().partition("=")
        if not found:
            return ()
        kind = Kind.FULL_NAME if "." in package else Kind.NAME
        self.tokens.append(_SpecToken(kind, package, token.start + len(token.text) - len(package)))
        return tuple(names.split(","))

    def _attributes(
        self, opening: _SpecToken
    ) -> tuple[tuple[str, ...], tuple[str, ...], AbstractSpec | None, _SpecToken]:
        """Virtuals, types and condition that stand between brackets, and the closing one."""
        found: dict[str, tuple[str, ...]] = {}
        places: dict[str, int] = {}
        while token := self._accept(Kind.PAIR):
            name, _, value = token.text.partition("=")
            name = name.removesuffix(":").strip("'\" " if not self.syntax.direct_dependencies else "")
            if name not in self.syntax.edge_keys:
                known = " and ".join(sorted(self.syntax.edge_keys))
                raise _SpecSyntaxError(token.start, f"an edge has no attribute {name!r}", f"there are {known}")
            found[name] = tuple(value.strip("'\" ").split(","))
            places[name] = token.start
        closing = self._accept(Kind.CLOSED_EDGE)
        if not closing:
            place = self.tokens[-1] if self.tokens else opening
            raise _SpecSyntaxError(place.start, "only attributes such as virtuals=c may stand between the brackets")
        types = found.get("deptypes", ())
        for one in types:
            if one not in _TYPES:
                raise _SpecSyntaxError(
                    places["deptypes"], f"{one!r} is no type of dependencies", f"there are {', '.join(_TYPES)}"
                )
        when = None
        if "when" in found:
            condition = parse_spec(found["when"][0], self.syntax.line, self.toolchains)
            if isinstance(condition, Misspelt):
                raise _SpecSyntaxError(places["when"], f"the condition: {condition.message}", condition.hint)
            when = condition
        return found.get("virtuals", ()), types, when, closing

    def _node(self) -> Node:
        """One spec without dependencies, but with its compiler where that is none."""
        start = self.tokens[-1].start
        node = Node(self.syntax, column=start + 1)
        if token := self._accept(Kind.NAME):
            node.name = "" if token.text == "*" else token.text
        elif token := self._accept(Kind.FULL_NAME):
            node.namespace, _, node.name = token.text.rpartition(".")
        elif token := self._accept(Kind.FILE):
            hint = "write the spec itself; jobs have no such file"
            raise _SpecSyntaxError(start, f"{token.text!r} is read as a file with a concrete spec", hint)
        for token in self._options():
            try:
                self._set(node, token)
            except NodeError as error:
                raise _SpecSyntaxError(token.start, error.message, error.hint) from None
            except ValueError as error:
                message, _, hint = str(error).partition("; ")
                raise _SpecSyntaxError(token.start, message, hint) from None
        return node

    def _options(self) -> Iterator[_SpecToken]:
        has_hash = False
        while self.tokens:
            kind = self.tokens[-1].kind
            if kind is Kind.HASH and has_hash:
                return
            if kind not in _OF_A_NODE:
                return
            has_hash = has_hash or kind is Kind.HASH
            yield self.tokens.pop()

    def _set(self, node: Node, token: _SpecToken) -> None:
        column = token.start + 1
        match token.kind:
            case Kind.VERSION:
                node.set_versions(read_versions(token.text[1:]))
            case Kind.FLAG:
                node.set(Attribute(token.text[1:].strip(), token.text[0] == "+", column=column))
            case Kind.PROPAGATED_FLAG:
                node.set(Attribute(token.text[2:].strip(), token.text[0] == "+", propagates=True, column=column))
            case Kind.PAIR:
                node.set(self._pair(token, "="))
            case Kind.PROPAGATED_PAIR:
                node.set(self._pair(token, "=="))
            case Kind.COMPILER:
                name, _, versions = token.text[1:].partition("@")
                compiler = Node(self.syntax, name=name.strip(), column=column + 1)
                if versions:
                    compiler.set_versions(read_versions(versions))
                node.set_compiler(Edge("%", AbstractSpec(), column=column), compiler)
            case _:
                node.hash = token.text[1:]

    def _pair(self, token: _SpecToken, sign: str) -> Attribute:
        name, _, value = token.text.partition(sign)
        if self.syntax.spaced_pairs:
            value = value.strip("'\" ")
            name = name.strip("'\" ")
        else:
            if "\n" in value and not self.syntax.direct_dependencies:
                raise ValueError("a value cannot hold the end of a line; write it in one line")
            quoted = _QUOTES.fullmatch(value)
            value = quoted[2].replace(f"\\{quoted[1]}", quoted[1]) if quoted else value
        exact = name.endswith(":")
        return Attribute(name.removesuffix(":"), value, len(sign) == 2, exact, token.start + 1)
