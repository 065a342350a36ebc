"""Pipelines of GitLab as gitlab-ci-local runs them faithfully. Pure.

gitlab-ci-local passes a trigger job whatever became of its child, ignores needs of other pipelines, and hands on
variables that nobody has expanded. So a trigger becomes an ordinary job that runs the child and fails with it, and what
another pipeline left is copied before the script starts.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from job_creator.engines.gitlab.objects import expand

_KEPT: Final = (
    "stage",
    "variables",
    "rules",
    "before_script",
    "script",
    "artifacts",
    "needs",
    "dependencies",
    "allow_failure",
)
"""Everything else is about runners: images, tags, time-outs, retries, resource groups."""
_REFERENCE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_UNSAFE: Final = re.compile(r"[^\w-]+", re.ASCII)
SIF_TOOLS: Final = ("singularity", "apptainer", "jc stage-sif", "jc publish-sif", "jc install-sif")
IMAGE_TOOLS: Final = (
    "buildah",
    "skopeo",
    *(f"jc {verb}-image" for verb in ("copy", "sign", "tag", "take")),
    *SIF_TOOLS,
)
"""What scripts call to build, convert and move images."""
_CALL: Final = re.compile(rf"(?<![\w/-])({'|'.join(map(re.escape, IMAGE_TOOLS))})\s")
_REPORTS: Final = ".gitlab-ci-reports"


@dataclass(frozen=True)
class Translated:
    """A document for gitlab-ci-local, all jobs, trigger jobs among them, and why some of them are left out of it."""

    document: dict[str, Any]
    jobs: tuple[str, ...]
    bridges: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def runs(self) -> bool:
        """Whether there is a job left to be run."""
        return len(self.left_out) < len(self.jobs)


@dataclass(frozen=True)
class Surroundings:
    """Where a pipeline is run: its variables, the programs that are not here, and jobs nobody wants to see rehearsed.

    `states` is the folder, from the checkout, that holds the state of each pipeline under its id.
    """

    variables: Mapping[str, str]
    states: str
    missing: Collection[str] = ()
    unwanted: Collection[str] = ()


def translated(document: Mapping[str, Any], place: Surroundings) -> Translated:
    """The same pipeline for gitlab-ci-local. Raises what `expand` raises."""
    jobs = {name: job for name, job in expand(document).items() if name not in place.unwanted}
    left = _left_out(jobs, place)
    result: dict[str, Any] = {"stages": list(document.get("stages", ()))}
    if document.get("variables"):
        result["variables"] = dict(document["variables"])
    for name, job in jobs.items():
        if name not in left:
            result[name] = _bridge(name, job, left) if "trigger" in job else _job(job, place, left)
    bridges = tuple(name for name, job in jobs.items() if "trigger" in job)
    return Translated(result, tuple(jobs), bridges, left)


def folder_of(job: str) -> str:
    """The name of the folder and of the log in which gitlab-ci-local keeps what a job left.

    Source: `safeDockerString` in src/utils.ts of gitlab-ci-local 4.75.
    """
    return _UNSAFE.sub(lambda found: base64.urlsafe_b64encode(found[0].encode()).decode().rstrip("="), job)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with the variables in it replaced; unknown ones by nothing."""
    return _REFERENCE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


def _left_out(jobs: Mapping[str, Mapping[str, Any]], place: Surroundings) -> dict[str, str]:
    """Jobs that call a program which is not here, and those that need files of such a job, with the reason.

    Variables that such a job would have left are unset in the others, as where an image is known already.
    """
    left: dict[str, str] = {}
    for name, job in jobs.items():
        script = "\n".join([*job.get("before_script", ()), *job.get("script", ())])
        if absent := sorted(set(_CALL.findall(script)) & set(place.missing)):
            left[name] = f"needs {' and '.join(absent)}"
    while more := {
        name: f"needs {need!r}"
        for name, job in jobs.items()
        for need in _needed(job, with_artifacts=True)
        if name not in left and need in left and _leaves_files(jobs[need]) and not _runs_always(job)
    }:
        left |= more
    return left


def _needed(job: Mapping[str, Any], *, with_artifacts: bool = False) -> list[str]:
    """The jobs of the same pipeline that a job needs, or only those whose artifacts it needs."""
    entries = [{"job": need} if isinstance(need, str) else need for need in job.get("needs", ())]
    here = [need for need in entries if "pipeline" not in need]
    return [str(need["job"]) for need in here if need.get("artifacts", True) or not with_artifacts]


def _leaves_files(job: Mapping[str, Any]) -> bool:
    return bool(job.get("artifacts", {}).get("paths"))


def _runs_always(job: Mapping[str, Any]) -> bool:
    return any(rule.get("when") == "always" for rule in job.get("rules", ()))


def _job(job: Mapping[str, Any], place: Surroundings, left: Collection[str]) -> dict[str, Any]:
    entries = job.get("needs")
    fetched: list[str] = []
    result = {key: job[key] for key in _KEPT if key in job}
    if entries is not None:
        here = [need for need in entries if isinstance(need, str) or "pipeline" not in need]
        here = [need for need in here if (need if isinstance(need, str) else need["job"]) not in left]
        elsewhere = [need for need in entries if isinstance(need, Mapping) and "pipeline" in need]
        fetched = [_fetching(need, place) for need in elsewhere if need.get("artifacts", True)]
        result["needs"] = here
    return {**result, "script": [*fetched, *result.get("script", ())]}


def _fetching(need: Mapping[str, Any], place: Surroundings) -> str:
    """Shell that brings what a job of another pipeline left, or fails as GitLab would."""
    pipeline = expanded(str(need["pipeline"]), place.variables)
    job = str(need["job"])
    folder = shlex.quote(f"{place.states}/{pipeline}/artifacts/{folder_of(job)}")
    complaint = shlex.quote(f"This job could not start because it could not retrieve the needed artifacts of {job!r}.")
    return (
        f"# What {job!r} of another pipeline left\n"
        f'if [ ! -d "$REHEARSAL_CHECKOUT"/{folder} ]; then echo {complaint} >&2; exit 1; fi\n'
        f'cp -a "$REHEARSAL_CHECKOUT"/{folder}/. .\n'
        f"rm -rf {_REPORTS}"
    )


def _bridge(name: str, job: Mapping[str, Any], left: Collection[str]) -> dict[str, Any]:
    """A job that runs the child, with the artifact that the trigger takes it from."""
    trigger = job["trigger"]
    include = trigger["include"][0]
    passed = sorted(job.get("variables", {}))
    command = ["jc", "rehearse-child", name, str(include["artifact"])]
    command += [part for variable in passed for part in ("--pass", variable)]
    others = [need for need in _needed(job) if need != include["job"] and need not in left]
    return {
        **{key: job[key] for key in ("stage", "variables", "rules") if key in job},
        "needs": [include["job"], *others],
        "script": [" ".join(map(shlex.quote, command))],
    }
