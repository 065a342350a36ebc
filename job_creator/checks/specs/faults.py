"""Specs that Spack would refuse, and those that mean nothing where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec, Attribute, Misspelt
from foundation.spack.grammar.targets import meant_target, runs_on_platform, unknown_targets
from foundation.spack.sections.table import SECTIONS
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.checks.specs.names import name_problems
from job_creator.checks.specs.places import REFERENCE, SpecPlace, SpecUse, spec_places
from job_creator.environments.marks import unmarked

_TARGET_KEYS: Final = ("target", "arch", "architecture")

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def spec_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Everything that is wrong with the specs of one file."""
    names = frozenset(_toolchains(file))
    for place in spec_places(file.section):
        for problem in _problems(place, file, names):
            yield _fault(file, place, problem)
    yield from _circles(file, names)
    yield from _nameless_matrices(file)


def _toolchains(file: EnvironmentFile) -> Iterator[str]:
    """Names that mean compilers and libraries after `%`, those of single groups among them."""
    specs = file.merged.get("specs")
    groups = [
        entry.get("override") for entry in (specs if isinstance(specs, list) else ()) if isinstance(entry, Mapping)
    ]
    for sections in (file.merged, *groups):
        for key, toolchains in sections.items() if isinstance(sections, Mapping) else ():
            if unmarked(key) == "toolchains" and isinstance(toolchains, Mapping):
                yield from map(unmarked, toolchains)


def _problems(place: SpecPlace, file: EnvironmentFile, toolchains: frozenset[str]) -> Iterator[Misspelt]:
    if place.use is SpecUse.TARGET:
        yield from _targets(place.text, 1)
        return
    if place.use is SpecUse.NAMED and not _NAME.fullmatch(place.text):
        hint = "versions and variants stand in require:, and names without their namespace"
        yield Misspelt(1, f"{place.text!r} is not the name of a package", hint)
        return
    prefix = "%" if place.use is SpecUse.COMPILER else ""
    spec = parse_spec(prefix + place.text, file.line, toolchains)
    if isinstance(spec, Misspelt):
        column = max(1, spec.column - len(prefix))
        yield Misspelt(column, f"Spack {file.line} refuses {place.text!r}: {spec.message}", spec.hint)
        return
    yield from _meaningless(spec, place)
    if place.use is SpecUse.ROOT and not place.owner:
        yield from _elsewhere(spec, file)
    if place.use is not SpecUse.COMPILER and not file.names_own_repositories:
        yield from name_problems(spec, place, file.line, file.index)


def _meaningless(spec: AbstractSpec, place: SpecPlace) -> Iterator[Misspelt]:
    if place.use is SpecUse.ROOT and not spec.name and not spec.hash:
        hint = "begin with the name of a package; what holds for all packages stands in packages: all: require:"
        yield Misspelt(1, f"{place.text!r} names no package", hint)
    if place.wants_hash and not spec.hash:
        hint = "write its hash behind it, as in 'mpich/abcdefg'; 'spack buildcache list --long' shows hashes"
        yield Misspelt(1, f"{place.text!r} says not which binary is spliced in", hint)
    for edge in spec.all_edges():
        if edge.spec.says_nothing:
            yield Misspelt(edge.column, f"{edge.sigil!r} is followed by no dependency", "write its name behind it")
    if place.use is SpecUse.TOOLCHAIN:
        yield from _of_toolchain(spec, place)
    for node in spec.nodes():
        if node.hash and not place.may_have_hash:
            hint = "write name, version and variants instead"
            yield Misspelt(node.column, f"'/{node.hash}' names a package of one store, which jobs do not have", hint)
        for setting in node.settings:
            yield from _of_setting(setting)


def _elsewhere(spec: AbstractSpec, file: EnvironmentFile) -> Iterator[Misspelt]:
    """Targets of other machines than those that build what a definition names."""
    if file.definition is None:
        return
    platform = file.site.platform(file.definition.architecture)
    for setting in spec.settings:
        is_one = setting.name == "target" and isinstance(setting.value, str) and not set(setting.value) & {":", ","}
        if is_one and not runs_on_platform(str(setting.value), platform):
            message = f"no machine of {platform} has the target {setting.value!r}"
            yield Misspelt(setting.column, message, "definitions for others lie in the folder of their architecture")


def _of_setting(setting: Attribute) -> Iterator[Misspelt]:
    if setting.name == "dev_path":
        row = SECTIONS["develop"]
        yield Misspelt(setting.column, f"'dev_path' cannot be used: {row.why}", row.instead)
    elif setting.name in _TARGET_KEYS and isinstance(setting.value, str):
        parts = setting.value.split("-")
        target = parts[-1] if len(parts) == 3 or setting.name == "target" else setting.value
        yield from _targets(target, setting.column)


def _of_toolchain(spec: AbstractSpec, place: SpecPlace) -> Iterator[Misspelt]:
    """What a package would have to be beside what is written behind `%` (`_parse_toolchain` in spec_parser.py)."""
    if spec.name:
        hint = f"write '%{spec.name}' if it is a compiler"
        yield Misspelt(1, f"{place.text!r} is a package, which nothing with this toolchain could be", hint)
    for edge in spec.edges:
        if not edge.is_direct:
            yield Misspelt(edge.column, "'^' cannot be used in toolchains", "write '%' for direct dependencies")
        elif edge.is_toolchain and edge.spec.name == place.owner:
            hint = f"name the languages, as in '%c={place.owner}', or give the toolchain another name"
            yield Misspelt(edge.column, f"the toolchain {place.owner!r} would stand for itself", hint)


def _circles(file: EnvironmentFile, names: frozenset[str]) -> Iterator[Fault]:
    """Toolchains that stand for each other, which Spack would follow for ever."""
    used: dict[str, set[str]] = {}
    places = [place for place in spec_places(file.section) if place.use is SpecUse.TOOLCHAIN]
    for place in places:
        spec = parse_spec(place.text, file.line, names)
        edges = spec.edges if isinstance(spec, AbstractSpec) else ()
        used.setdefault(place.owner, set()).update(edge.spec.name for edge in edges if edge.is_toolchain)
    told: set[str] = set()
    for place in places:
        waiting, met = list(used[place.owner] - {place.owner}), set[str]()
        while waiting:
            one = waiting.pop()
            if one not in met:
                met.add(one)
                waiting += used.get(one, ())
        if place.owner in met - told:
            told |= met
            others = ", ".join(sorted(met - {place.owner}))
            message = f"the toolchain {place.owner!r} stands for itself, by way of {others}"
            yield file.fault_in_text(place.location, 1, message, "one of them must name its compilers")


def _targets(text: str, column: int) -> Iterator[Misspelt]:
    for name in unknown_targets(text):
        yield Misspelt(column, f"{name!r} is no target", meant_target(name))


def _nameless_matrices(file: EnvironmentFile) -> Iterator[Fault]:
    """Matrices of `specs` in which no row has a name, so that no combination has one."""
    for key, value in file.section.items():
        if unmarked(key) != "specs" or not isinstance(value, list):
            continue
        for index, item in enumerate(value):
            rows = item.get("matrix") if isinstance(item, Mapping) else None
            if isinstance(rows, list) and rows and not any(_may_name(row, file) for row in rows):
                location: Location = (key, index, "matrix")
                yield file.fault(location, "no row of this matrix has names of packages", "add a row: - [hdf5]")


def _may_name(row: Any, file: EnvironmentFile) -> bool:
    """Whether anything in a row could be the name of a package. What cannot be read is told elsewhere."""
    for one in row if isinstance(row, list) else ():
        spec = parse_spec(one, file.line) if isinstance(one, str) and not REFERENCE.fullmatch(one) else None
        if not isinstance(spec, AbstractSpec) or spec.name:
            return True
    return not isinstance(row, list)


def _fault(file: EnvironmentFile, place: SpecPlace, problem: Misspelt) -> Fault:
    if place.of_key:
        return file.fault(place.location, problem.message, problem.hint, of_key=True)
    return file.fault_in_text(place.location, problem.column, problem.message, problem.hint)
