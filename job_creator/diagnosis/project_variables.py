"""Which CI/CD variables a site's jobs take, and how each has to be flagged in the project. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from job_creator.diagnosis.diagnoses import Diagnosis, Patient
from job_creator.site.keys import released_keys
from job_creator.site.places import Bucket, BuildCache, ContainersBucket
from job_creator.site.site import Site

_AREA: Final = "variables"
_WHERE: Final = "Settings > CI/CD > Variables"
_OF_EVERY_JOB: Final = "CI_"
"""GitLab makes these itself."""


@dataclass(frozen=True, slots=True)
class VariableUse:
    """A variable that jobs take."""

    name: str
    what: str
    is_protected: bool
    """Whether only protected branches may see it; if not, every branch has to."""
    is_file: bool = False
    is_secret: bool = True
    without: str = ""
    """What there is not as long as the variable is not there, where jobs do without; empty where they need it."""


def variable_uses(site: Site) -> tuple[VariableUse, ...]:
    """Every variable once, in the order of the site file; as its strictest use asks."""
    found: dict[str, VariableUse] = {}
    for use in _all_uses(site):
        if not use.name.startswith(_OF_EVERY_JOB):
            found.setdefault(use.name, use)
    return tuple(found.values())


def _all_uses(site: Site) -> Iterator[VariableUse]:
    own = released_keys(site.architectures)
    for one in site.architectures.values():
        for bucket in (one.build_cache, one.containers, *(mirror.in_bucket for _, mirror in one.mirrors())):
            yield from _of_bucket(bucket, own) if bucket else ()
    signing, registry, hub = site.signing, site.registry, site.publish.dockerhub
    if any(one.build_cache.signed for one in site.architectures.values()):
        yield VariableUse(signing.private_key_variable, "signs", is_protected=True, is_file=True)
        if signing.cosign:
            yield VariableUse(signing.cosign.private_key_variable, "signs with cosign", is_protected=True, is_file=True)
            yield VariableUse(signing.cosign.password_variable, "opens cosign's key", is_protected=True)
        if not signing.public_key:
            yield VariableUse(signing.public_key_variable, "verifies", False, is_file=True, is_secret=False)
    yield VariableUse(registry.user_variable, "pushes images", is_protected=False, is_secret=False)
    yield VariableUse(registry.password_variable, "pushes images", is_protected=False)
    if hub:
        yield VariableUse(hub.user_variable, "publishes on Docker Hub", is_protected=True, is_secret=False)
        yield VariableUse(hub.password_variable, "publishes on Docker Hub", is_protected=True)
    if site.gitlab.reports:
        variable = site.gitlab.report_token_variable
        yield VariableUse(
            variable, "comments on merge requests", is_protected=False, without="merge requests get no notes"
        )


def _of_bucket(bucket: Bucket, released: frozenset[str]) -> Iterator[VariableUse]:
    for name in bucket.writer.names:
        yield VariableUse(name, f"writes {bucket.url}", is_protected=name in released)
    for name in bucket.reader.names if bucket.reader else ():
        yield VariableUse(name, f"reads {bucket.url}", is_protected=False)
    if isinstance(bucket, BuildCache | ContainersBucket):
        branches = bucket.of_branches()
        for name in branches.writer.names:
            yield VariableUse(name, f"writes {branches.url}", is_protected=False)
        for name in branches.reader.names if branches.reader else ():
            yield VariableUse(name, f"reads {branches.url}", is_protected=False)


def judged(uses: Sequence[VariableUse], there: Sequence[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    """How each is set in the project; `there` is what GitLab says of the project's own variables."""
    for use in uses:
        patient = Patient(_AREA, use.name)
        entries = [one for one in there if one.get("key") == use.name]
        if not entries and use.without:
            yield patient.ok(f"is none of the project's own variables: {use.without}, unless a group has it")
            continue
        if not entries:
            said = f"({use.what}) is none of the project's own variables; those of its groups were not asked"
            yield patient.warning(said, f"make it at {_WHERE}, unless a group has it")
            continue
        faults = tuple(fault for entry in entries for fault in _faults(patient, use, entry))
        yield from faults or (patient.ok(f"{use.what}; {'protected' if use.is_protected else 'for every branch'}"),)


def _faults(patient: Patient, use: VariableUse, entry: Mapping[str, Any]) -> Iterator[Diagnosis]:
    is_protected = entry.get("protected") is True
    if use.is_protected and not is_protected:
        yield patient.fault(
            f"{use.what}, and is not protected: whoever can push a branch can read it", f"protect it at {_WHERE}"
        )
    if is_protected and use.without:
        yield patient.warning(
            f"{use.what}, and is protected: merge requests of other branches get none", f"see {_WHERE}, if they shall"
        )
    elif is_protected and not use.is_protected:
        yield patient.fault(
            f"{use.what}, and is protected: jobs of branches and merge requests need it",
            f"take that flag away at {_WHERE}",
        )
    if use.is_file != (entry.get("variable_type") == "file"):
        yield patient.fault(
            f"is of the wrong type; jobs take it as {'a file' if use.is_file else 'text'}",
            f"change its type at {_WHERE}",
        )
    if (scope := entry.get("environment_scope", "*")) != "*":
        yield patient.fault(
            f"is only for jobs of the environment {scope!r}, and these jobs have none",
            f"set its scope to * at {_WHERE}",
        )
    if use.is_secret and not use.is_file and entry.get("masked") is not True:
        yield patient.warning(
            "is not masked: a job that prints it shows it", f"mask it at {_WHERE}, if GitLab allows that"
        )
