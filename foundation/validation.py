"""From YAML documents to frozen values, or to every fault in them at once.

The models (`site.py`, `definitions.py`) are the one source: they say what is allowed, hold the values afterwards,
and are what the JSON Schemas for editors are made from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails
from pydantic_core.core_schema import no_info_after_validator_function

from foundation.errors import Fault, InvalidInputError
from foundation.yaml_io import Document, Location

T = TypeVar("T")
Items = Annotated[tuple[T, ...], Field(strict=False)]
"""A YAML list as a tuple."""


class Value(BaseModel):
    """Base of all validated values: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


_SHAPES: Final = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
}
"""What pydantic's kinds of errors ask for."""


class Form:
    """Marks text that has to fit a regular expression, which editors are told, and people in words with an example."""

    def __init__(self, expression: str, words: str) -> None:
        self._expression = re.compile(expression)
        self._words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Checks the text."""
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, inner: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The same for editors."""
        return {**handler(inner), "pattern": self._expression.pattern}

    def _check(self, text: str) -> str:
        # `fullmatch`, because `$` would let a line end pass.
        if not self._expression.fullmatch(text):
            raise ValueError(f"{text!r} is not {self._words}")
        return text


V = TypeVar("V", bound=Value)


def validate(model: type[V], document: Document) -> V:
    """The content of `document` as a `model`. Raises `InvalidInputError` with all faults and their places."""
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        raise InvalidInputError(_faults(details, document, model.model_json_schema())) from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to a misspelt one, or else the words there are."""
    candidates = sorted(known)
    if close := close_to(word, candidates):
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(candidates)}" if candidates else ""


def close_to(word: str, known: Iterable[str]) -> list[str]:
    """The known word that a misspelt one is closest to, if any is close."""
    return difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)


def json_schema(model: type[Value], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a model, for editors and other validators."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(), "title": title}


def _faults(details: Iterable[ErrorDetails], document: Document, schema: Mapping[str, Any]) -> Iterator[Fault]:
    """A typing error stands before the "missing" that it explains, and at the same place."""
    typed: dict[Location, Location] = {}
    for detail in sorted(details, key=lambda detail: detail["type"] == "missing"):
        location = _in_document(detail, document)
        message, hint = _message(detail, location, schema)
        of_key = detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)
        place = location
        if detail["type"] == "extra_forbidden":
            for meant in close_to(str(location[-1]), _known_keys(schema, location[:-1])):
                typed[*location[:-1], meant] = location
        elif detail["type"] == "missing":
            place, of_key = (typed[location], True) if location in typed else (location[:-1], False)
        yield document.fault(place, message, hint, of_key=of_key)


def _message(detail: ErrorDetails, location: Location, schema: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong and what to do about it, in the words of people who write YAML."""
    name = f"'{location[-1]}'" if location and isinstance(location[-1], str) else "this value"
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown key {name}", _place_of_key(location, schema)
        case "missing":
            return f"{name} is missing", ""
        case "value_error":
            message, _, hint = str(detail["ctx"]["error"]).partition("; ")
            return message.replace("{name}", name), hint
        case "too_short":
            return f"{name} must be a non-empty {'mapping' if isinstance(detail['input'], dict) else 'list'}", ""
        case kind if kind in _SHAPES and not location and detail["input"] is None:
            return "the file is empty", f"it needs {' and '.join(f'{key}:' for key in schema.get('required', ()))}"
        case kind if kind in _SHAPES:
            return f"{name if location else 'the file'} must be {_SHAPES[kind]}", _in_shape(kind, detail["input"])
        case _:
            text = detail["msg"].replace("Input should be", "must be").replace("String should", "must")
            return f"{name} {text[0].lower()}{text[1:]}", ""


def _place_of_key(location: Location, schema: Mapping[str, Any]) -> str:
    """Where a key belongs that is not known at its place: below one beside it, further out, or it is misspelt."""
    key, around = str(location[-1]), location[:-1]
    beside = _known_keys(schema, around)
    if inner := [one for one in sorted(beside) if key in _known_keys(schema, (*around, one))]:
        return f"indent it below {' or '.join(f'{one}:' for one in inner)}"
    if key not in beside and any(key in _known_keys(schema, around[:length]) for length in range(len(around))):
        return f"it is known further out; indent it less than {around[-1]}:"
    return did_you_mean(key, beside)


def _in_shape(kind: str, value: Any) -> str:
    """How to write a value of one shape so that YAML takes it for one of another."""
    match kind, value:
        case "string_type", bool():
            return "put it in quotes"
        case "string_type", int() | float():
            return "put the number in quotes"
        case "string_type", dict() if len(value) == 1:
            ((key, inner),) = value.items()
            text = f"{key}: {inner}" if isinstance(inner, str | int | float) else f"{key}: …"
            return f"YAML makes a mapping of what holds ': '; put all of it in quotes: {text!r}"
        case "tuple_type" | "list_type", dict() if value:
            key, inner = next(iter(value.items()))
            return f"write a line for each entry: - {key}:{inner if isinstance(inner, str) else '…'}"
        case "tuple_type" | "list_type", str():
            return f"write a line for each entry: - {value}"
        case _:
            return ""


def _in_document(detail: ErrorDetails, document: Document) -> Location:
    """pydantic's location without the steps that name a union's branch or a key, which no document has."""
    location: Location = ()
    for step in detail["loc"]:
        if (*location, step) in document.values:
            location = (*location, step)
    return (*location, detail["loc"][-1]) if detail["type"] == "missing" else location


def _known_keys(schema: Mapping[str, Any], location: Location) -> set[str]:
    """The keys that the JSON Schema knows at `location`, over all branches of its unions."""
    nodes = _branches(schema, schema)
    for step in location:
        inner = [_step(node, step) for node in nodes]
        nodes = [branch for node in inner if node for branch in _branches(schema, node)]
    return {key for node in nodes for key in node.get("properties", {})}


def _step(node: Mapping[str, Any], step: str | int) -> Mapping[str, Any] | None:
    found = node.get("items") if isinstance(step, int) else node.get("properties", {}).get(step)
    if found is None and isinstance(step, str):
        found = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
    return found if isinstance(found, dict) else None


def _branches(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        return _branches(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    inner = [branch for key in ("anyOf", "oneOf", "allOf") for branch in node.get(key, [])]
    return [node, *(found for branch in inner for found in _branches(schema, branch))]
