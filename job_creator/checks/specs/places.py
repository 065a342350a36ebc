"""Where specs stand in an environment, and what each of them is for.

Sources: lib/spack/spack/schema/ (spec_list.py, packages.py, concretizer.py, toolchains.py, ci.py, view.py, develop.py)
of Spack v0.21 to v1.1 and its development branch of 2026-01; environment/list.py for matrices, whose fragments Spack
reads one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from foundation.yaml_io import Location
from job_creator.environments.marks import unmarked

REFERENCE: Final = re.compile(r"\$[%^]{0,2}[A-Za-z_]\w*")
"""`$name` stands for a list of definitions, `$^name` and `$%name` for it as dependencies."""
_IN_BRACES: Final = re.compile(r"\{[^}]*\}")


class SpecUse(Enum):
    """What a spec is for."""

    ROOT = auto()
    """It is built, so it needs a name."""
    ASKED = auto()
    """It is asked of something that is built."""
    MATCHED = auto()
    """It is held against what is there; what it does not fit is left alone."""
    NAMED = auto()
    """A name alone: the key of a package."""
    TARGET = auto()
    """The name of a target."""
    COMPILER = auto()
    """A compiler as it stands behind `%`."""
    TOOLCHAIN = auto()
    """What a toolchain stands for."""


@dataclass(frozen=True, slots=True)
class SpecPlace:
    """A text that Spack reads as a spec."""

    location: Location
    """Seen from `spack:`, with marks."""
    text: str
    use: SpecUse
    owner: str = ""
    """The package that a text without a name is about; for toolchains, the name of the toolchain."""
    of_key: bool = False
    may_have_hash: bool = False
    wants_hash: bool = False


def spec_places(section: Mapping[str, Any]) -> Iterator[SpecPlace]:
    """Every spec of an environment; what has another form than Spack wants is passed over."""
    for key, value in section.items():
        reader = _READERS.get(unmarked(key))
        if reader:
            yield from reader(value, (key,))


def _specs(value: Any, at: Location, use: SpecUse = SpecUse.ROOT) -> Iterator[SpecPlace]:
    for location, item in _items(value, at):
        if isinstance(item, str):
            if not REFERENCE.fullmatch(item):
                yield SpecPlace(location, item, use)
        elif isinstance(item, Mapping):
            if "matrix" in item:
                yield from _matrix(item, location)
            if "specs" in item:
                yield from _specs(item["specs"], (*location, "specs"), use)
            if isinstance(item.get("override"), Mapping):
                for place in spec_places(item["override"]):
                    yield replace(place, location=(*location, "override", *place.location))


def _matrix(matrix: Mapping[str, Any], at: Location) -> Iterator[SpecPlace]:
    for location, row in _items(matrix["matrix"], (*at, "matrix")):
        for inner, fragment in _items(row, location):
            if isinstance(fragment, Mapping) and "matrix" in fragment:
                yield from _matrix(fragment, inner)
            elif isinstance(fragment, str) and not REFERENCE.fullmatch(fragment):
                yield SpecPlace(inner, fragment, SpecUse.ASKED)
    yield from _texts(matrix.get("exclude"), (*at, "exclude"), SpecUse.MATCHED)


def _definitions(value: Any, at: Location) -> Iterator[SpecPlace]:
    for location, one in _items(value, at):
        for key, inner in _pairs(one):
            if key != "when":
                yield from _specs(inner, (*location, key), SpecUse.ASKED)


def _packages(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, settings in _pairs(value):
        name = unmarked(key)
        owner = "" if name == "all" else name
        if owner:
            yield SpecPlace((*at, key), name, SpecUse.NAMED, of_key=True)
        for inner, content in _pairs(settings):
            location = (*at, key, inner)
            match unmarked(inner):
                case "require" | "prefer" | "conflict":
                    places = requirements(content, location)
                case "variants" | "externals" | "providers" | "target" | "compiler" as kind:
                    places = _PACKAGE_READERS[kind](content, location)
                case _:
                    continue
            yield from (replace(place, owner=owner) for place in places)


def requirements(value: Any, at: Location) -> Iterator[SpecPlace]:
    """The specs of `require`, `prefer` or `conflict`, in any of their forms, and those of their conditions."""
    if isinstance(value, str):
        yield SpecPlace(at, value, SpecUse.ASKED)
    for location, item in _items(value, at):
        if isinstance(item, str):
            yield SpecPlace(location, item, SpecUse.ASKED)
        for key, inner in _pairs(item):
            if key == "when" and isinstance(inner, str):
                yield SpecPlace((*location, key), inner, SpecUse.MATCHED)
            elif key == "spec" and isinstance(inner, str):
                yield SpecPlace((*location, key), inner, SpecUse.ASKED)
            elif key in ("one_of", "any_of"):
                yield from _texts(inner, (*location, key), SpecUse.ASKED)


def _variants(value: Any, at: Location) -> Iterator[SpecPlace]:
    if isinstance(value, str):
        yield SpecPlace(at, value, SpecUse.ASKED)
    yield from _texts(value, at, SpecUse.ASKED)


def _externals(value: Any, at: Location) -> Iterator[SpecPlace]:
    for location, one in _items(value, at):
        if isinstance(one, Mapping) and isinstance(one.get("spec"), str):
            yield SpecPlace((*location, "spec"), one["spec"], SpecUse.ROOT)


def _providers(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, inner in _pairs(value):
        yield SpecPlace((*at, key), unmarked(key), SpecUse.NAMED, of_key=True)
        yield from _texts(inner, (*at, key), SpecUse.MATCHED)


def _targets(value: Any, at: Location) -> Iterator[SpecPlace]:
    yield from _texts(value, at, SpecUse.TARGET)


def _compilers_of_packages(value: Any, at: Location) -> Iterator[SpecPlace]:
    yield from _texts(value, at, SpecUse.COMPILER)


def _compilers(value: Any, at: Location) -> Iterator[SpecPlace]:
    for location, one in _items(value, at):
        compiler = one.get("compiler") if isinstance(one, Mapping) else None
        if isinstance(compiler, Mapping) and isinstance(compiler.get("spec"), str):
            yield SpecPlace((*location, "compiler", "spec"), compiler["spec"], SpecUse.COMPILER)


def _toolchains(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, inner in _pairs(value):
        location = (*at, key)
        if isinstance(inner, str):
            yield SpecPlace(location, inner, SpecUse.TOOLCHAIN, unmarked(key))
        for place, item in _items(inner, location):
            for name, text in _pairs(item):
                if name == "when" and isinstance(text, str):
                    yield SpecPlace((*place, name), text, SpecUse.MATCHED)
                elif name == "spec" and isinstance(text, str):
                    yield SpecPlace((*place, name), text, SpecUse.TOOLCHAIN, unmarked(key))


def _develop(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, inner in _pairs(value):
        if isinstance(inner, Mapping) and isinstance(inner.get("spec"), str):
            yield SpecPlace((*at, key, "spec"), inner["spec"], SpecUse.ROOT)


def _views(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, view in _pairs(value):
        for inner, content in _pairs(view):
            location = (*at, key, inner)
            if unmarked(inner) in ("select", "exclude"):
                yield from _texts(content, location, SpecUse.MATCHED)
            elif unmarked(inner) == "projections":
                for projected, _ in _pairs(content):
                    if unmarked(projected) != "all":
                        yield SpecPlace((*location, projected), unmarked(projected), SpecUse.MATCHED, of_key=True)


def _ci(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, inner in _pairs(value):
        if unmarked(key) != "pipeline-gen":
            continue
        for location, item in _items(inner, (*at, key)):
            for name, mappings in _pairs(item):
                if unmarked(name) == "submapping":
                    for place, mapping in _items(mappings, (*location, name)):
                        match = mapping.get("match") if isinstance(mapping, Mapping) else None
                        yield from _texts(match, (*place, "match"), SpecUse.MATCHED)


def _concretizer(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, inner in _pairs(value):
        location = (*at, key)
        if unmarked(key) == "reuse":
            yield from _reused(inner, location)
        elif unmarked(key) == "splice" and isinstance(inner, Mapping):
            for place, one in _items(inner.get("explicit"), (*location, "explicit")):
                for name, text in _pairs(one):
                    if name in ("target", "replacement") and isinstance(text, str):
                        is_new = name == "replacement"
                        yield SpecPlace((*place, name), text, SpecUse.MATCHED, may_have_hash=True, wants_hash=is_new)


def _reused(value: Any, at: Location) -> Iterator[SpecPlace]:
    for key, inner in _pairs(value):
        if key in ("include", "exclude"):
            yield from _texts(inner, (*at, key), SpecUse.MATCHED)
        elif key == "from":
            for location, one in _items(inner, (*at, key)):
                yield from _reused(one, location)


def _texts(value: Any, at: Location, use: SpecUse) -> Iterator[SpecPlace]:
    for location, item in _items(value, at):
        if isinstance(item, str) and not REFERENCE.fullmatch(item):
            yield SpecPlace(location, item, use)


def _items(value: Any, at: Location) -> Iterator[tuple[Location, Any]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield (*at, index), item


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key), inner


_READERS: Final = {
    "specs": _specs,
    "definitions": _definitions,
    "packages": _packages,
    "compilers": _compilers,
    "toolchains": _toolchains,
    "develop": _develop,
    "view": _views,
    "ci": _ci,
    "concretizer": _concretizer,
}
_PACKAGE_READERS: Final = {
    "variants": _variants,
    "externals": _externals,
    "providers": _providers,
    "target": _targets,
    "compiler": _compilers_of_packages,
}
