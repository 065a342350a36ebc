"""Spec groups: whether the line of Spack knows them, and whether each stands in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from foundation.errors import Fault
from foundation.spack.groups import DEFAULT_GROUP, GROUP_KEYS, GroupError, in_order, is_group, needs_of_groups
from foundation.spack.releases import Novelty, since_of
from foundation.spack.sections.section import Rule
from foundation.spack.sections.table import SECTIONS
from foundation.validation import did_you_mean
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import EACH, found_at, unmarked

_MATRIX: Final = frozenset({"matrix", "exclude"})
_SHAPES: Final[Mapping[str, tuple[type, str]]] = {
    "group": (str, "text"),
    "needs": (list, "a list of groups"),
    "explicit": (bool, "true or false"),
    "override": (dict, "a mapping of sections"),
    "specs": (list, "a list of specs"),
    "matrix": (list, "a list of lists"),
    "exclude": (list, "a list of specs"),
}


_CONCRETIZING: Final = frozenset({"compilers", "concretizer", "config", "mirrors", "packages", "repos", "toolchains"})
"""Sections that say something while Spack concretizes; only then does it look at `override`."""


_OF_THE_WHOLE: Final = frozenset({"mirrors", "repos"})


def spec_groups(subject: EnvironmentFile) -> Iterator[Fault]:
    """Faults of the groups among the specs of an environment."""
    key = next((key for key in subject.section if unmarked(key) == "specs"), "specs")
    specs = subject.section.get(key)
    if not isinstance(specs, list):
        return
    groups = [((key, index), entry) for index, entry in enumerate(specs) if is_group(entry)]
    if not subject.line.has(Novelty.SPEC_GROUPS):
        for place, entry in groups:
            first = next(one for one in ("group", "specs", *entry) if one in entry)
            since = since_of(Novelty.SPEC_GROUPS)
            message = f"spec groups need Spack {since} or newer; this site builds with {subject.line}"
            yield subject.fault((*place, first), message, "write the specs without groups", of_key=True)
        return
    for place, entry in groups:
        yield from _faults_of_group(subject, place, entry)
    yield from _faults_between(subject, groups, needs_of_groups(specs))


def view_groups(file: EnvironmentFile) -> Iterator[Fault]:
    """Views of groups that are not there."""
    if not file.is_whole or not file.line.has(Novelty.SPEC_GROUPS):
        return
    known = needs_of_groups(file.merged.get("specs"))
    for location, value in found_at(file.merged, ("view", EACH, "group")):
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and name not in known:
                place = tuple(unmarked(str(step)) for step in location)
                yield file.fault_of_merged(place, f"there is no group {name!r}", did_you_mean(name, known))


def _faults_of_group(subject: EnvironmentFile, place: Location, entry: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong within one group."""
    for name, value in entry.items():
        if name not in _SHAPES:
            hint = did_you_mean(name, _SHAPES)
            yield subject.fault((*place, name), f"a spec group knows no {name!r}", hint, of_key=True)
        elif not isinstance(value, _SHAPES[name][0]):
            yield subject.fault((*place, name), f"{name!r} must be {_SHAPES[name][1]}")
    if "specs" in entry:
        for name in sorted(_MATRIX & entry.keys()):
            message = f"a group with 'specs' has no {name!r} of its own"
            hint = "write the matrix as one of its specs: - matrix: …"
            yield subject.fault((*place, name), message, hint, of_key=True)
    yield from _without_effect(subject, place, entry)
    specs = entry.get("specs")
    for index, spec in enumerate(specs if isinstance(specs, list) else ()):
        inner = (*place, "specs", index)
        if is_group(spec):
            yield subject.fault(inner, "a group within a group", "write it beside the other one, with 'needs'")
        elif not isinstance(spec, str) and not (isinstance(spec, Mapping) and "matrix" in spec):
            yield subject.fault(inner, "a spec must be text such as 'hdf5@1.14 +mpi', or a mapping with 'matrix'")


def _without_effect(subject: EnvironmentFile, place: Location, entry: Mapping[str, Any]) -> Iterator[Fault]:
    """What Spack takes of a group and then does not look at."""
    group = entry.get("group", DEFAULT_GROUP)
    if isinstance(group, str) and not group.strip():
        yield subject.fault((*place, "group"), "the name of this group is empty", "give it a name")
    if "matrix" not in entry and not entry.get("specs"):
        yield subject.fault(place, "this group has no specs, so that it builds nothing", "add 'specs:'", of_key=True)
    if group == DEFAULT_GROUP:
        for name in sorted(entry.keys() & (GROUP_KEYS - {"group"})):
            message = f"{name!r} has no effect on specs without a group"
            yield subject.fault((*place, name), message, "give the group a name: group: …", of_key=True)
    override = entry.get("override")
    for key, value in override.items() if isinstance(override, Mapping) else ():
        if found := _why_not_of_a_group(unmarked(key), value):
            yield subject.fault((*place, "override", key), *found, of_key=True)


def _why_not_of_a_group(section: str, value: Any) -> tuple[str, str] | None:
    """Why a section cannot stand in `override`, and what to do; none if it can."""
    row = SECTIONS.get(section)
    if row and row.rule is Rule.REFUSED:
        return (f"{section!r} cannot be used: {row.why}", row.instead) if value else None
    if section not in _CONCRETIZING:
        message = f"{section!r} has no effect on a group; 'override' only counts while Spack concretizes"
        return message, did_you_mean(section, _CONCRETIZING)
    if section in _OF_THE_WHOLE:
        return f"{section!r} cannot differ between groups: the image has one environment", "write it beside 'specs:'"
    if section == "config" and install_tree(value):
        return "the install tree cannot differ between groups: the image has one", "write it beside 'specs:'"
    return None


def _faults_between(
    subject: EnvironmentFile, groups: Sequence[tuple[Location, Any]], needs: Mapping[str, frozenset[str]]
) -> Iterator[Fault]:
    """What is wrong with how groups refer to each other."""
    seen: dict[str, Location] = {}
    for place, entry in groups:
        name = entry.get("group")
        if isinstance(name, str) and name != DEFAULT_GROUP and name in seen:
            yield subject.fault((*place, "group"), f"there is a group {name!r} already", "give one another name")
        elif isinstance(name, str):
            seen[name] = place
        needed = entry.get("needs")
        for index, one in enumerate(needed if isinstance(needed, list) else ()):
            if not isinstance(one, str):
                yield subject.fault((*place, "needs", index), "'needs' lists names of groups", "write text")
            elif one not in needs:
                message = f"there is no group {one!r}"
                yield subject.fault((*place, "needs", index), message, did_you_mean(one, seen.keys() | needs))
    try:
        in_order(needs)
    except GroupError as error:
        first = next(name for name in seen if name in error.groups)
        yield subject.fault((*seen[first], "needs"), str(error), "one of them must come first")
