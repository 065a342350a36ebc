"""Names of packages and variants, and values of variants, held against the index of the package repository.

What the index cannot know is passed over: packages of other namespaces, variants that are handed on to dependencies,
variants of virtuals, compilers of lines where they are no packages, and the keys that every package takes. So are
settings for packages that are gone, unless the name is all but that of another.

Source: what lib/spack/spack/variant.py and spec.py of Spack v0.21 to v1.1 refuse (`UnknownVariantError`,
`InvalidVariantValueError`, `MultipleValuesInExclusiveVariantError`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from foundation.spack.grammar.spec import AbstractSpec, Attribute, Edge, Misspelt
from foundation.spack.grammar.syntax import SYNTAXES
from foundation.spack.package_index import DeclaredVariant, PackageIndex
from foundation.spack.releases import SpackLine
from foundation.validation import close_to
from job_creator.checks.specs.places import SpecPlace, SpecUse

_OF_EVERY_PACKAGE: Final = frozenset({"branch", "build_system", "commit", "dev_path", "patches", "ref", "tag"})
_SURELY: Final = 0.87
"""How much alike two names are when one of them is certainly a typing error."""
_NAMESPACES: Final = frozenset({"", "builtin", "spack_repo.builtin"})
_FORMER_COMPILERS: Final = frozenset({"arm", "clang", "intel", "oneapi", "rocmcc"})
"""Names that compilers had before they were packages; Spack 1.x replaces them."""


def name_problems(
    spec: AbstractSpec, place: SpecPlace, line: SpackLine, index: PackageIndex | None
) -> Iterator[Misspelt]:
    """Names and values that no package has. Nothing without an index."""
    if not index:
        return
    # A toolchain is about any package.
    owner = "" if place.use is SpecUse.TOOLCHAIN else place.owner
    yield from _node_problems(spec, spec.name or owner, place, index)
    for edge in spec.all_edges():
        if _is_package(edge, line):
            yield from _node_problems(edge.spec, edge.spec.name, place, index)
        for virtual in edge.virtuals:
            if virtual not in index.virtuals and edge.spec.namespace in _NAMESPACES:
                yield Misspelt(edge.column, f"there is no virtual package {virtual!r}", _meant(virtual, index.virtuals))


def _is_built(place: SpecPlace) -> bool:
    """Whether Spack has to find the package, as it has not to for settings of packages that no environment needs."""
    return place.use in (SpecUse.ASKED, SpecUse.TOOLCHAIN) or (place.use is SpecUse.ROOT and not place.owner)


def _is_package(edge: Edge, line: SpackLine) -> bool:
    if edge.is_toolchain:
        return False
    if not edge.is_direct:
        return True
    return SYNTAXES[line].direct_dependencies and edge.spec.name not in _FORMER_COMPILERS


def _node_problems(node: AbstractSpec, name: str, place: SpecPlace, index: PackageIndex) -> Iterator[Misspelt]:
    if not name or node.namespace not in _NAMESPACES:
        return
    if not index.knows(name):
        if node.name and (_is_built(place) or difflib.get_close_matches(name, index.names, n=1, cutoff=_SURELY)):
            yield Misspelt(node.column, f"there is no package {name!r}", _meant(name, index.names))
        return
    variants = index.variants_of(name)
    if variants is None or place.use is SpecUse.MATCHED:
        return
    for setting in node.settings:
        if setting.is_variant and not setting.propagates and setting.name not in _OF_EVERY_PACKAGE:
            yield from _variant_problems(setting, name, variants)


def _variant_problems(setting: Attribute, package: str, variants: Mapping[str, DeclaredVariant]) -> Iterator[Misspelt]:
    declared = variants.get(setting.name)
    if not declared:
        message = f"{package} has no variant {setting.name!r}"
        yield Misspelt(setting.column, message, _meant(setting.name, variants))
        return
    if declared.values is None or setting.value == "*":
        return
    what = f"{package}: {setting.name}"
    if isinstance(setting.value, bool) and not declared.is_flag:
        if setting.values[0] not in declared.values:
            example = min(declared.values - {"none"}, default="none")
            yield Misspelt(setting.column, f"{what} has values", f"write for example {setting.name}={example}")
        return
    if len(setting.values) > 1 and not declared.takes_several:
        yield Misspelt(setting.column, f"{what} takes one value", "keep one of them")
    for value in setting.values:
        if value not in declared.values:
            message = f"{what} cannot be {value!r}"
            yield Misspelt(setting.column, message, _meant(value, declared.values))


def _meant(word: str, known: Mapping[str, object] | frozenset[str] | tuple[str, ...]) -> str:
    """The closest known name, or all where they are few."""
    close = close_to(word, known)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""
