"""From YAML documents to frozen values, or to every fault in them at once.

The models (`site.py`, `definitions.py`) are the one source: they say what is allowed, hold the values afterwards,
and are what the JSON Schemas for editors are made from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from job_creator.errors import Fault, InvalidInputError
from job_creator.yaml_io import Document, Location

T = TypeVar("T")
Items = Annotated[tuple[T, ...], Field(strict=False)]
"""A YAML list as a tuple."""


class Value(BaseModel):
    """Base of all validated values: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


V = TypeVar("V", bound=Value)


def validate(model: type[V], document: Document) -> V:
    """The content of `document` as a `model`. Raises `InvalidInputError` with all faults and their places."""
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        schema = model.model_json_schema()
        details = error.errors(include_url=False, include_context=True)
        raise InvalidInputError(_fault(detail, document, schema) for detail in details) from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to a misspelt one, or else the words there are."""
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(candidates)}" if candidates else ""


def json_schema(model: type[Value], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a model, for editors and other validators."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(), "title": title}


def _fault(detail: ErrorDetails, document: Document, schema: Mapping[str, Any]) -> Fault:
    location = _in_document(detail, document)
    of_key = detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)
    place = location[:-1] if detail["type"] == "missing" else location
    message, hint = _message(detail, location, schema)
    return document.fault(place, message, hint, of_key=of_key)


def _message(detail: ErrorDetails, location: Location, schema: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong and what to do about it, in the words of people who write YAML."""
    name = f"'{location[-1]}'" if location and isinstance(location[-1], str) else "this value"
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown key {name}", did_you_mean(str(location[-1]), _known_keys(schema, location[:-1]))
        case "missing":
            return f"{name} is missing", ""
        case "value_error":
            message, _, hint = str(detail["ctx"]["error"]).partition("; ")
            return message.replace("{name}", name), hint
        case "string_type" if isinstance(detail["input"], int | float) and not isinstance(detail["input"], bool):
            return f"{name} must be text", "put the number in quotes"
        case "model_type" | "dict_type" | "mapping_type":
            return f"{name if location else 'the file'} must be a mapping", ""
        case "tuple_type" | "list_type":
            return f"{name} must be a list", ""
        case "too_short":
            return f"{name} must be a non-empty {'mapping' if isinstance(detail['input'], dict) else 'list'}", ""
        case _:
            text = detail["msg"].replace("Input should be", "must be").replace("String should", "must")
            return f"{name} {text[0].lower()}{text[1:]}", ""


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
        found = node.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _branches(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        return _branches(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    inner = [branch for key in ("anyOf", "oneOf", "allOf") for branch in node.get(key, [])]
    return [node, *(found for branch in inner for found in _branches(schema, branch))]
