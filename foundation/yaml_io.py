"""YAML in and out: plain values with the places they came from, and text that every YAML version reads alike.

Files are read as YAML 1.2, as Spack does. GitLab reads YAML 1.1, where `yes`, `012` and `12:30` are no text, so
strings that either version would take for something else are quoted on the way out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from foundation.errors import Fault, InvalidInputError
from foundation.written_text import read_text

Location = tuple[str | int, ...]
"""The keys and list indices that lead from the top of a document to one of its values."""

MAX_DEPTH = 100
"""GitLab's default `max_yaml_depth`; the C parser would overflow its stack some thousands of levels later."""

MAX_VALUES = 100_000
"""More values than any definition has; aliases of aliases can otherwise expand to billions."""

_BEFORE_A_BLOCK = re.compile(r"(?:^|[\r\n\x85\u2028\u2029])[\ufeff \t?:-]*")
"""The end of a line, and what may stand in the next one before a key or an item."""

_STRING, _TIMESTAMP = "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null")}


class Position(NamedTuple):
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """A YAML file as plain dicts, lists and scalars, with the position of every value and key."""

    path: str
    value: Any
    values: Mapping[Location, Position] = field(default_factory=dict, repr=False)
    keys: Mapping[Location, Position] = field(default_factory=dict, repr=False)
    written: Mapping[Location, str] = field(default_factory=dict, repr=False)
    """How numbers were written that would be written otherwise again, as `3.10` and `010`."""
    texts: Mapping[Location, int] = field(default_factory=dict, repr=False)
    """Where the text of a value begins, seen from its place, for values that stand in one line letter for letter."""

    def position(self, location: Location, *, of_key: bool = False) -> Position:
        """Where the value at `location` stands (or its key), or else the closest thing around it."""
        if of_key and location in self.keys:
            return self.keys[location]
        for length in range(len(location), -1, -1):
            if location[:length] in self.values:
                return self.values[location[:length]]
        return Position(1, 1)

    def fault(self, location: Location, message: str, hint: str = "", *, of_key: bool = False) -> Fault:
        """A fault at the place of `location`."""
        return Fault(self.path, *self.position(location, of_key=of_key), message, hint)

    def fault_in_text(self, location: Location, column: int, message: str, hint: str = "") -> Fault:
        """A fault at a column of a text, counted from 1, or at the beginning of one that is written otherwise."""
        place = self.position(location)
        if location in self.texts:
            place = Position(place.line, place.column + self.texts[location] + column - 1)
        return Fault(self.path, *place, message, hint)


def parse(content: bytes, path: str) -> Document:
    """Read one YAML 1.2 document; `path` is only used to name it.

    Raises `InvalidInputError` for text that is not UTF-8 or not merged, is no YAML, holds several documents, repeats a
    key, nests deeper than `MAX_DEPTH`, uses tags of its own, or expands to more than `MAX_VALUES` values.
    """
    text = read_text(content, path)
    try:
        return _NodeReader(path).read(_by_either(text, path, lambda parser: parser.compose(text)))
    except (YAMLError, ValueError, OverflowError) as error:
        raise InvalidInputError([_unreadable(error, text, path)]) from None


def load(content: bytes, path: str) -> Any:
    """Read a document that a program wrote: plain values without their places, several times as fast as `parse`.

    What the file shares by aliases is shared in memory, so the result must not be changed. Raises
    `InvalidInputError` like `parse`.
    """
    text = content.decode("utf-8", "replace")
    try:
        return _by_either(text, path, lambda parser: parser.load(text))
    except (YAMLError, ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError([_unreadable(error, text, path)]) from None


def dump(value: object, header: str = "") -> str:
    """Write plain values as block-style YAML in the order given, each line of `header` as a comment before it."""
    writer: Any = _parser(pure=False)
    writer.Representer = _PortableRepresenter
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 1 << 20
    writer.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    writer.dump(value, stream)
    return "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines()) + stream.getvalue()


def _by_either(text: str, path: str, read: Callable[[YAML], Any]) -> Any:
    """What is read of the text, by the C parser where it can.

    That one refuses some plain scalars which YAML 1.2 allows (`{url: https://host}`), so what it takes for a
    mistake is read again by the parser in Python, some thirty times slower, whose verdict counts.
    """
    try:
        _check_depth(text, path, pure=False)
        return read(_parser(pure=False))
    except YAMLError:
        _check_depth(text, path, pure=True)
        return read(_parser(pure=True))


class _Parser(YAML):
    """Looks for no plug-ins, whose folder would be listed for each file."""

    def official_plug_ins(self) -> list[str]:
        return []


class _Resolver(VersionedResolver):
    """Asks once of each text whether it is a number or something else; the same ones stand in every job."""

    def __init__(self, version: Any = None, loader: Any = None, loadumper: Any = None) -> None:
        super().__init__(version, loader, loadumper)
        self.plain: dict[str, Any] = {}

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is not ScalarNode or not implicit[0]:
            return super().resolve(kind, value, implicit)
        if value not in self.plain:
            self.plain[value] = super().resolve(kind, value, implicit)
        return self.plain[value]


def _parser(*, pure: bool) -> YAML:
    parser = _Parser(typ="safe", pure=pure)
    parser.Resolver = _Resolver
    return parser


def _check_depth(text: str, path: str, *, pure: bool) -> None:
    """Composing recurses, in C without a guard; so depth is measured on the flat stream of events before."""
    if depth_at_most(text) <= MAX_DEPTH:
        return
    depth = 0
    for event in _parser(pure=pure).parse(text):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                raise InvalidInputError([Fault(path, mark.line + 1, mark.column + 1, f"nested over {MAX_DEPTH} deep")])
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def depth_at_most(text: str) -> int:
    """No text nests deeper than this; most of what is written by hand comes nowhere near the limit.

    A level is opened by a bracket, which opens two in `[key: value]`, or begins further to the right than the one
    around it. Only the items of a list may stand below the key that they belong to, so at most two begin at one column.
    """
    columns = max(len(found[0]) for found in _BEFORE_A_BLOCK.finditer(text))
    return 2 * (text.count("[") + text.count("{") + columns + 1)


def _unreadable(error: Exception, text: str, path: str) -> Fault:
    if not isinstance(error, MarkedYAMLError):
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Fault(path, 1, 1, f"not readable as YAML: {message}")
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or error.context or "not readable as YAML"
    lines = text.splitlines()
    character = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
    if character == "\t":
        return Fault(path, line, column, "a tab where YAML wants spaces", "indent with spaces")
    if "cannot start any token" in problem:
        return Fault(path, line, column, f"{character!r} cannot start a value", "put the value in quotes")
    if "expected a single document" in str(error):
        return Fault(path, line, column, "a second YAML document starts here", "keep one document per file")
    return Fault(path, line, column, f"not readable as YAML: {problem}")


class _NodeReader:
    """Turns a node graph into plain values and notes where each of them stands."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.values: dict[Location, Position] = {}
        self.keys: dict[Location, Position] = {}
        self.written: dict[Location, str] = {}
        self.texts: dict[Location, int] = {}
        self.faults: list[Fault] = []
        self.count = 0
        self.open: set[int] = set()

    @cached_property
    def constructor(self) -> Any:
        """Made where a scalar is no text, or something is merged."""
        return _parser(pure=False).constructor

    def read(self, node: Node | None) -> Document:
        value = None if node is None else self._value(node, ())
        if self.faults:
            raise InvalidInputError(self.faults)
        return Document(self.path, value, self.values, self.keys, self.written, self.texts)

    def _value(self, node: Node, location: Location) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise InvalidInputError([*self.faults, self._fault(node, f"expands to over {MAX_VALUES} values")])
        self.values[location] = Position(node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, ScalarNode):
            self._note_text(node, location)
            scalar = self._scalar(node)
            if isinstance(scalar, int | float) and not isinstance(scalar, bool) and str(scalar) != node.value:
                self.written[location] = node.value
            return scalar
        if id(node) in self.open:
            self.faults.append(self._fault(node, "an anchor that holds an alias of itself"))
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self._value(item, (*location, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, location)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: Node, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in self._items(node):
            key = self._scalar(key_node) if isinstance(key_node, ScalarNode) else key_node
            if not isinstance(key, str):
                hint = "put it in quotes" if isinstance(key_node, ScalarNode) else ""
                self.faults.append(self._fault(key_node, "a key that is not text", hint))
                continue
            inner = (*location, key)
            self.keys[inner] = Position(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self._value(value_node, inner)
        return result

    def _items(self, node: Node) -> Iterator[tuple[Node, Node]]:
        """The pairs of a mapping with its merge keys (`<<`) resolved, own keys last so that they win."""
        seen: dict[Hashable, Node] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, ScalarNode) or key_node.value == "<<":
                continue
            if key_node.value in seen:
                first = seen[key_node.value].start_mark.line + 1
                self.faults.append(self._fault(key_node, f"{key_node.value!r} was already given in line {first}"))
            seen[key_node.value] = key_node
        if any(isinstance(key, ScalarNode) and key.value == "<<" and not key.style for key, _ in node.value):
            self.constructor.flatten_mapping(node)
        yield from node.value

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in (_STRING, _TIMESTAMP):
            return self._text(node)
        if node.tag in _SCALARS:
            return self.constructor.construct_object(node)
        self.faults.append(self._fault(node, f"the tag {node.tag!r} has no meaning here"))
        return None

    def _note_text(self, node: ScalarNode, location: Location) -> None:
        quotes = {None: 0, "": 0, "'": 1, '"': 1}.get(node.style)
        start, end = node.start_mark, node.end_mark
        if quotes is None or start.line != end.line:
            return
        if end.column - start.column == len(node.value) + 2 * quotes:
            self.texts[location] = quotes

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            self.faults.append(self._fault(node, "half of a surrogate pair, which is no text"))
        if "\0" in text:
            self.faults.append(self._fault(node, "a NUL character, which no path, variable or command can hold"))
        return text

    def _fault(self, node: Node, message: str, hint: str = "") -> Fault:
        return Fault(self.path, node.start_mark.line + 1, node.start_mark.column + 1, message, hint)


class _PortableRepresenter(SafeRepresenter):
    """Quotes what YAML 1.1 or 1.2 would not read as text; literal blocks for scripts; no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_scalar(self, tag: Any, value: Any, style: Any = None, anchor: Any = None) -> Any:
        return super().represent_scalar(_tag(tag), value, style, anchor)

    def represent_sequence(self, tag: Any, sequence: Any, flow_style: Any = None) -> Any:
        return super().represent_sequence(_tag(tag), sequence, flow_style)

    def represent_mapping(self, tag: Any, mapping: Any, flow_style: Any = None) -> Any:
        return super().represent_mapping(_tag(tag), mapping, flow_style)

    def represent_text(self, data: str) -> Any:
        if "\n" in data and not any(line != line.rstrip() for line in data.splitlines()):
            return self.represent_scalar(_STRING, data, style="|")
        return self.represent_scalar(_STRING, data, style=None if _is_plain(data) else "'")


@lru_cache(maxsize=32)
def _tag(name: str) -> Tag:
    """One tag for all nodes that have it: the parser decodes the text of each anew, a letter at a time."""
    return Tag(suffix=name)


_PortableRepresenter.add_representer(str, _PortableRepresenter.represent_text)


@lru_cache(maxsize=4096)
def _is_plain(text: str) -> bool:
    return all(_resolver(version).resolve(ScalarNode, text, (True, False)) == _STRING for version in ((1, 1), (1, 2)))


@lru_cache(maxsize=2)
def _resolver(version: tuple[int, int]) -> VersionedResolver:
    return VersionedResolver(version=version)
