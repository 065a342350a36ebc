"""Which specs somebody means: Spack's spec strings, with `*` and `?` in the name wherever there is no certainty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from foundation.errors import NotThereError, RefusedError
from foundation.spack.grammar.matching import CannotJudgeError, Matcher, why_not_judged
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec, Misspelt
from foundation.spack.releases import USUAL
from spackitor.inventory.inventory import Inventory
from spackitor.inventory.roots import RootSet, SpecNeeds

_PATTERN: Final = re.compile(r"[A-Za-z0-9_.-]*[*?\[][A-Za-z0-9_.*?\[\]!-]*")
_BEGINS_A_SPEC: Final = re.compile(r"[A-Za-z0-9_.-]*[*?\[]|/|[A-Za-z0-9_][A-Za-z0-9_.-]*(?![A-Za-z0-9_.:-]*=)")
_NODES_AT_HAND: Final = 4096


def joined(arguments: Iterable[str]) -> tuple[str, ...]:
    """The specs in arguments of a command: as for Spack, `hdf5 +mpi` is one, also without quotes."""
    found: list[str] = []
    for argument in arguments:
        if found and argument and not _BEGINS_A_SPEC.match(argument):
            found[-1] += f" {argument}"
        else:
            found.append(argument)
    return tuple(found)


def select(inventory: Inventory, texts: Iterable[str]) -> dict[str, str]:
    """The DAG hashes of usable specs that are meant, each with the text that means it.

    Raises `RefusedError` for a text that cannot be understood or judged, or a hash that means several specs, and
    `NotThereError` for one that means none.
    """
    node_of = lru_cache(maxsize=_NODES_AT_HAND)(inventory.node_of)
    packages = {spec.name for spec in inventory.specs.values()}
    matcher = Matcher(USUAL, node_of, packages)
    found: dict[str, str] = {}
    for text in texts:
        pattern, asked = _read(text)
        try:
            some = list(_meant(inventory, matcher, pattern, asked))
        except CannotJudgeError as error:
            raise _refused(text, error.why) from None
        if not some:
            _require_not_virtual(inventory, matcher, text, asked)
            raise NotThereError(f"{text}: no such spec in the cache")
        if asked.hash and len(some) > 1:
            raise RefusedError(f"{text}: means {len(some)} specs; write more of the hash")
        found |= dict.fromkeys(some, text)
    return found


def roots_of_specs(inventory: Inventory, texts: Iterable[str]) -> RootSet:
    """What specs mean at this moment, as roots, with all that is known of their dependencies. Raises as `select`."""
    named = tuple(texts)
    hashes = tuple(sorted(select(inventory, named)))
    edges, todo = dict[str, SpecNeeds](), list(hashes)
    while todo:
        hash_ = todo.pop()
        if hash_ not in edges and (spec := inventory.specs.get(hash_)):
            edges[hash_] = SpecNeeds(spec.dependencies, spec.build_dependencies)
            todo += (*spec.dependencies, *spec.build_dependencies)
    externals = frozenset(hash_ for hash_ in edges if inventory.specs[hash_].is_external)
    return RootSet(", ".join(named), hashes, edges, externals=externals)


def _read(text: str) -> tuple[str, AbstractSpec]:
    """The pattern for names, and what else is asked. Raises `RefusedError`."""
    match = _PATTERN.match(text)
    pattern = match[0] if match else ""
    # The pattern is read as if it were not there; columns stay those of the text.
    asked = parse_spec(" " * len(pattern) + text[len(pattern) :], USUAL)
    if not text.strip():
        asked = Misspelt(1, "names no spec", "write name, name@version, /hash or a pattern such as 'py-*'")
    elif isinstance(asked, AbstractSpec):
        if pattern and asked.name:
            asked = Misspelt(asked.column, f"a second spec begins at {asked.name!r}", "quote each spec")
        else:
            asked = why_not_judged(asked) or asked
    if isinstance(asked, Misspelt):
        if text[asked.column - 1 : asked.column] in ("*", "?"):
            asked = Misspelt(asked.column, "only names can be patterns", "@4 stands for all versions that begin with 4")
        raise _refused(text, asked)
    return pattern, asked


def _refused(text: str, why: Misspelt) -> RefusedError:
    hint = f"; {why.hint}" if why.hint else ""
    return RefusedError(f"{text!r}, character {why.column}: {why.message}{hint}")


def _meant(inventory: Inventory, matcher: Matcher, pattern: str, asked: AbstractSpec) -> Iterator[str]:
    for hash_ in inventory.usable:
        spec = inventory.specs[hash_]
        # Nodes are decoded only where name and hash fit.
        if asked.name not in ("", spec.name) or not hash_.startswith(asked.hash):
            continue
        if pattern and not fnmatchcase(spec.name, pattern):
            continue
        node = matcher.node_of(hash_)
        if node and matcher.satisfies(node, asked):
            yield hash_


def _require_not_virtual(inventory: Inventory, matcher: Matcher, text: str, asked: AbstractSpec) -> None:
    """Raise `RefusedError` where no package, but a virtual one was named: which provide it is up to recipes."""
    if not asked.name or any(spec.name == asked.name for spec in inventory.specs.values()):
        return
    providers = {
        edge.name
        for hash_ in inventory.usable
        if (node := matcher.node_of(hash_))
        for edge in node.edges
        if asked.name in (edge.virtuals or ())
    }
    if providers:
        names = ", ".join(sorted(providers))
        why = f"{asked.name!r} is a virtual package"
        raise _refused(text, Misspelt(asked.column, why, f"name what provides it, here {names}"))
