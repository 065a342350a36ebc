"""YAML as GitLab reads it, which is Ruby's Psych: YAML 1.1, with ways of its own.

`yes` and `on` are booleans, `010` is 8, `1:30` is 90, `:word` is a symbol, the last of two equal keys wins, a merge key
wins over what stands before it, tags that nobody knows mean nothing, and dates are refused.
Sources: psych's scalar_scanner.rb and visitors/to_ruby.rb; lib/gitlab/config/loader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from job_creator.engines.gitlab.verdict.values import Reference, Symbol, UnreadableError, is_blank, is_text

Path = tuple[Any, ...]

_MARKER: Final = re.compile(r"^---\s+", re.MULTILINE)
_WORD: Final = re.compile(r"[^\d.:-]?[^\W\d]|[^\d.:-]?[_\s!@#$%^&*(){}<>|/\\~;=]")
_DATE: Final = re.compile(r"\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)")
_TIME: Final = re.compile(
    r"-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?"
)
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}(\.[0-9_]*)?")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9][0-9_,]*)?\.[0-9]*(?:[eE][-+][0-9]+)?")
_INTEGER: Final = re.compile(
    r"[-+]?0b[0-1_,]+|[-+]?0[0-7_,]+|[-+]?(?:0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)|[-+]?0x[0-9a-fA-F_,]+"
)
_WORDS: Final = {
    **dict.fromkeys(("~", "null"), None),
    **dict.fromkeys(("yes", "true", "on"), True),
    **dict.fromkeys(("no", "false", "off"), False),
}
_RUBY: Final = re.compile(r"!ruby/(?!sym)|tag:ruby")


@dataclass(frozen=True, slots=True)
class PipelineText:
    """A pipeline as it was read, and where its keys stand."""

    value: Mapping[Any, Any]
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)
    """The line of a key and of the key below it, counted from 1."""
    has_header: bool = False
    """Whether another document before it says which inputs there are."""
    has_references: bool = False
    """Whether `!reference` stands somewhere in it."""

    def line(self, job: str, keyword: str) -> int:
        """Where a keyword of a job stands, or the job itself; 0 where that is not known."""
        for path in ((job, keyword.partition(":")[0]), (job,), (keyword.partition(":")[0],)):
            if path in self.lines:
                return self.lines[path]
        return 0


def read(content: bytes) -> PipelineText:
    """The pipeline that a file holds. Raises `UnreadableError` for what GitLab could not read."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UnreadableError("is no text in UTF-8") from None
    documents = [document for document in _documents(text) if not is_blank(document.value)]
    for document in documents:
        if not isinstance(document.value, Mapping):
            raise UnreadableError("must be a mapping with jobs", document.first_line)
    if not documents:
        raise UnreadableError("is empty")
    first = documents[0]
    has_header = len(documents) > 1 and "spec" in first.value
    chosen = documents[-1] if has_header else first
    return PipelineText(chosen.value, chosen.lines, has_header, chosen.has_references)


def _documents(text: str) -> Iterator[_DocumentReader]:
    position = 0
    for marker in [*list(_MARKER.finditer(text))[:2], None]:
        part = text[position : marker.start() if marker else len(text)]
        if part.strip():
            yield _DocumentReader(part, text.count("\n", 0, position))
        position = marker.end() if marker else position


class _DocumentReader:
    """Builds values of the flat stream of events, so that no nesting can be too deep for it."""

    def __init__(self, text: str, first_line: int) -> None:
        self.first_line = first_line + 1
        self.lines: dict[Path, int] = {}
        self.value: Any = None
        self.has_references = False
        self._anchors: dict[str, Any] = {}
        self._open: list[_Collection] = []
        try:
            for event in YAML(typ="safe", pure=False).parse(text):
                self._take(event, event.start_mark.line + self.first_line)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise UnreadableError(f"is no YAML: {error.problem}", mark.line + self.first_line if mark else 0) from None
        except (YAMLError, ValueError) as error:
            raise UnreadableError(f"is no YAML: {str(error).splitlines()[0]}") from None

    def _take(self, event: Event, line: int) -> None:
        if isinstance(event, ScalarEvent):
            value = self._scalar(event, line)
            if event.anchor:
                self._anchors[event.anchor] = value
            self._place(value, line)
        elif isinstance(event, AliasEvent):
            if any(inner.anchor == event.anchor for inner in self._open):
                raise UnreadableError(f"the anchor '{event.anchor}' holds an alias of itself", line)
            if event.anchor not in self._anchors:
                raise UnreadableError(f"there is no anchor '{event.anchor}'", line)
            self._place(self._anchors[event.anchor], line)
        elif isinstance(event, CollectionStartEvent):
            if event.tag and _RUBY.match(event.tag):
                raise UnreadableError(f"the tag '{event.tag}' is not allowed", line)
            self._open.append(_Collection(isinstance(event, MappingStartEvent), event.anchor, event.tag))
        elif isinstance(event, CollectionEndEvent):
            collection = self._open.pop()
            value = collection.value()
            self.has_references |= isinstance(value, Reference)
            if collection.anchor:
                self._anchors[collection.anchor] = value
            self._place(value, line)

    def _place(self, value: Any, line: int) -> None:
        if not self._open:
            self.value = value
            return
        around = self._open[-1]
        if around.is_mapping and around.awaits_key:
            if not isinstance(value, str | int | float | None):
                raise UnreadableError("a key that is no text", line)
            if len(self._open) <= 2:
                names = [*(inner.key for inner in self._open[:-1]), value]
                self.lines[tuple(names)] = line
        around.add(value)

    def _scalar(self, event: ScalarEvent, line: int) -> Any:
        text, tag = str(event.value), event.tag
        if event.style in ("'", '"', "|", ">") and not tag:
            return text
        if tag and (_RUBY.match(tag) or tag == "!ruby/object"):
            raise UnreadableError(f"the tag '{tag}' is not allowed", line)
        if tag in ("!str", "tag:yaml.org,2002:str", "!", "!binary", "tag:yaml.org,2002:binary"):
            return text
        if _DATE.fullmatch(text) or _TIME.fullmatch(text):
            raise UnreadableError(f"{text} is a date for GitLab, which refuses dates; put it in quotes", line)
        return scalar(text)


class _Collection:
    """A list or mapping that is being read."""

    def __init__(self, is_mapping: bool, anchor: str | None, tag: str | None) -> None:
        self.is_mapping = is_mapping
        self.anchor = anchor
        self.key: Any = None
        self.awaits_key = True
        self._tag = tag
        self._items: list[Any] = []
        self._entries: dict[Any, Any] = {}

    def add(self, value: Any) -> None:
        if not self.is_mapping:
            self._items.append(value)
        elif self.awaits_key:
            self.key, self.awaits_key = str(value) if isinstance(value, Symbol) else value, False
        else:
            self.awaits_key = True
            self._enter(value)

    def _enter(self, value: Any) -> None:
        if self.key == "<<" and isinstance(value, Mapping):
            self._entries.update(value)
        elif self.key == "<<" and isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            merged: dict[Any, Any] = {}
            for item in reversed(value):
                merged.update(item)
            self._entries.update(merged)
        else:
            self._entries[self.key] = value

    def value(self) -> Any:
        if self._tag == "!reference":
            if self.is_mapping or not self._items or not all(is_text(item) for item in self._items):
                raise UnreadableError("'!reference' must be a list of keys, which are texts")
            return Reference(tuple(self._items))
        return self._entries if self.is_mapping else self._items


@lru_cache(maxsize=8192)
def scalar(text: str) -> Any:
    """What a text without quotes is."""
    if not text:
        return None
    if _WORD.match(text) or "\n" in text:
        return _WORDS.get(text.lower(), text) if len(text) <= 5 else text
    if re.fullmatch(r"[-+]?\.(inf|nan)", text, re.IGNORECASE):
        if text.lower() == ".nan":
            return math.nan
        return text if text.lower().endswith("nan") else -math.inf if text[0] == "-" else math.inf
    if re.match(r":.", text):
        quoted = re.match(r""":(["'])(.*)\1""", text)
        return Symbol((quoted[2] if quoted else text[1:]).removeprefix(":") if quoted else text[1:])
    if base_60 := _BASE_60.fullmatch(text):
        number = sum(
            float(part.replace("_", "") or 0) * 60 ** abs(index - 2) for index, part in enumerate(text.split(":"))
        )
        return number if base_60[1] is not None else int(number)
    if _FLOAT.fullmatch(text):
        digits = text.replace(",", "").replace("_", "")
        return text if digits.strip("+-") in (".", "") else _float(digits, text)
    if _INTEGER.fullmatch(text):
        return _integer(text)
    return text


def _float(digits: str, text: str) -> Any:
    try:
        return float(digits)
    except ValueError:
        raise UnreadableError(f"{text} is no number that GitLab can read") from None


def _integer(text: str) -> Any:
    digits = text.replace(",", "").replace("_", "")
    plain = digits.lstrip("+-")
    base = {"0b": 2, "0x": 16}.get(plain[:2].lower(), 8 if len(plain) > 1 and plain[0] == "0" else 10)
    try:
        return int(plain.lower().removeprefix("0b" if base == 2 else "0x"), base) * (-1 if digits[0] == "-" else 1)
    except ValueError:
        return text
