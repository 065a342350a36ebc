"""What stands below `ci:` and would never reach a job, or would be refused by GitLab there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.validation import did_you_mean
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.engines.gitlab.verdict.keywords import JOB, OF_EDITION
from job_creator.environments.marks import replaces, unmarked
from job_creator.site.keys import given_away, referred, told_of

_ORDER: Final = frozenset(
    {"stage", "needs", "dependencies", "when", "rules", "only", "except", "interruptible", "start_in"}
)
"""Keywords that say when a job runs, which follows from what packages need."""
_NEVER_WRITTEN: Final = {
    "cleanup": "Spack writes no such job any more",
    "copy": "it is for pipelines that only copy from one build cache to another, which are not run here",
    "noop": "a pipeline without packages gets a job of this project",
    "signing": "the job that builds a package signs it",
}
_ONE_BUILD: Final = {
    "parallel": "a package is built by one job",
    "manual_confirmation": "no job waits for somebody to start it",
}
"""Keywords that do not go with jobs of packages."""
_SCRIPTS_OF_SPACK: Final = frozenset({"reindex", "cleanup"})
"""Jobs whose script Spack sets itself."""

_LOOKED_AT_BY_SPACK: Final = frozenset({"tags", "variables", "before_script", "script", "after_script"})
"""Keywords whose kinds of values are in Spack's schema, so that `shape_faults` tells them."""


def ci_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Keywords that Spack or this project sets, and scripts of the site that would be lost."""
    yield from _beside_jobs(file)
    for location, kind, keywords in _said_of_jobs(file):
        yield from _of_job(file, location, kind, keywords)
        yield from _given_away(file, location, keywords)


def _given_away(file: EnvironmentFile, location: Location, keywords: Mapping[str, Any]) -> Iterator[Fault]:
    """Variables by which recipes and builds, which see those that are set here, would get a secret of the site."""
    secrets = file.site.secrets()
    for key, variables in keywords.items():
        if unmarked(str(key)) != "variables" or not isinstance(variables, Mapping):
            continue
        for name, value in variables.items():
            for secret in given_away(unmarked(str(name)), referred(value) if isinstance(value, str) else (), secrets):
                yield file.fault((*location, key, name), *told_of(secret, secrets))


def _beside_jobs(file: EnvironmentFile) -> Iterator[Fault]:
    """Other settings of `ci` that Spack would not look at (`ci_rebuild` in lib/spack/spack/cmd/ci.py)."""
    for key, section in file.section.items():
        if unmarked(key) != "ci" or not isinstance(section, Mapping):
            continue
        for inner, value in section.items():
            name = unmarked(str(inner))
            if name == "broken-tests-packages" and value:
                message = f"{name!r} has no effect: jobs do not run the tests of packages"
                yield file.fault((key, inner), message, "remove it", of_key=True)
            elif name == "broken-specs-url" and isinstance(value, str) and value.startswith("http"):
                message = f"{name!r} has no effect: Spack cannot list what is reached by http"
                yield file.fault((key, inner), message, "name a bucket, as in s3://bucket/broken-specs")


def _reaches_jobs(kind: str, keyword: str) -> bool:
    """Whether a keyword that is said of a kind of jobs comes to stand in one."""
    return kind not in _NEVER_WRITTEN and keyword not in _ORDER


def _said_of_jobs(file: EnvironmentFile) -> Iterator[tuple[Location, str, Mapping[str, Any]]]:
    """Every mapping of keywords for a kind of jobs (`build`), with its place below `spack:`."""
    for key, section in file.section.items():
        if unmarked(key) != "ci" or not isinstance(section, Mapping):
            continue
        for inner, entries in section.items():
            if unmarked(str(inner)) == "pipeline-gen" and isinstance(entries, list):
                for index, entry in enumerate(entries):
                    yield from _jobs(entry, (key, inner, index))


def _jobs(entry: Any, location: Location) -> Iterator[tuple[Location, str, Mapping[str, Any]]]:
    """The keywords that an entry sets in jobs of a kind; what it removes is not among them."""
    if not isinstance(entry, Mapping):
        return
    for key, value in entry.items():
        name = unmarked(str(key))
        if name.endswith("-job") and isinstance(value, Mapping):
            yield (*location, key), name.removesuffix("-job"), value
        elif name == "submapping" and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from _jobs(inner, (*location, key, index))


def _of_job(file: EnvironmentFile, location: Location, kind: str, keywords: Mapping[str, Any]) -> Iterator[Fault]:
    if kind in _NEVER_WRITTEN:
        yield file.fault(location, f"'{kind}-job' has no effect: {_NEVER_WRITTEN[kind]}", "remove it", of_key=True)
        return
    for key in keywords:
        name, place = unmarked(str(key)), (*location, key)
        if name in _ORDER:
            message = f"{name!r} has no effect here: when a job runs follows from what packages need"
            yield file.fault(place, message, "remove it", of_key=True)
        elif name in _ONE_BUILD:
            yield file.fault(place, f"{name!r} cannot be used: {_ONE_BUILD[name]}", "remove it", of_key=True)
        elif name == "retry" and not file.line.compilers_are_dependencies:
            message = f"{name!r} has no effect: Spack {file.line} replaces it"
            yield file.fault(place, message, "it is read from Spack 1.0 on; remove it", of_key=True)
        elif name == "script" and kind in _SCRIPTS_OF_SPACK:
            message = f"'script' of '{kind}-job' has no effect: Spack replaces it"
            yield file.fault(place, message, "write 'before_script' or 'after_script'", of_key=True)
        elif name in ("before_script", "script") and replaces(str(key)) and kind in ("any", "build", "reindex"):
            lost = "what sets Spack up and trusts keys" if name == "before_script" else "what builds the package"
            yield file.fault(place, f"{str(key) + ':'!r} drops {lost}", f"write '{name}:' or '{name}-:'", of_key=True)


def pipeline_generation_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Keywords of jobs that GitLab does not have, and values that it does not take.

    What is missing is no fault: other sections, the template and the site bring the rest of each job. What reaches no
    job is told by `ci_faults`.
    """
    for place, kind, attributes in _said_of_jobs(file):
        said = {key: value for key, value in attributes.items() if _reaches_jobs(kind, unmarked(key))}
        yield from _attributes(file, place, said)


def _attributes(file: EnvironmentFile, place: Location, attributes: Mapping[str, Any]) -> Iterator[Fault]:
    for key, value in attributes.items():
        keyword = unmarked(key)
        if keyword == "extends":
            message = "'extends' has nothing to extend: pipelines that Spack generates have no hidden jobs"
            yield file.fault((*place, key), message, "write out what it should bring", of_key=True)
        elif keyword not in JOB:
            if keyword not in OF_EDITION or file.site.gitlab.limits.edition == "ce":
                yield file.fault((*place, key), _unknown(keyword), did_you_mean(keyword, JOB), of_key=True)
        elif value is not None and keyword not in _LOOKED_AT_BY_SPACK:
            for problem in JOB[keyword](_unmarked(value)):
                if not problem.is_gap and not isinstance(_value(value, problem.path), float):  # `shape_faults` tells
                    path = ":".join((keyword, *(str(part) for part in problem.path)))
                    location = _location(value, problem.path)
                    yield file.fault((*place, key, *location), f"GitLab would refuse '{path}': {problem.message}")


def _unknown(keyword: str) -> str:
    if keyword in OF_EDITION:
        return f"{keyword!r} is for GitLab's Enterprise Edition alone ('gitlab: limits: edition: ee' if you have it)"
    return f"GitLab has no keyword {keyword!r} for jobs"


def _unmarked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {unmarked(key): _unmarked(inner) for key, inner in value.items()}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value


def _value(value: Any, path: tuple[Any, ...]) -> Any:
    for key in _location(value, path):
        value = value[key]
    return value


def _location(value: Any, path: tuple[Any, ...]) -> Location:
    """The keys as they are written, as far as they lead to something."""
    found: list[str | int] = []
    for part in path:
        if isinstance(value, Mapping):
            key = next((key for key in value if unmarked(key) == part), None)
            if key is None:
                break
            found.append(key)
            value = value[key]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            found.append(part)
            value = value[part]
        else:
            break
    return tuple(found)
