"""Package jobs as this site runs them: images, runners, time-outs, retries, variables, and who may sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from job_creator import project_files
from job_creator.builds import node_step
from job_creator.builds.durations import Durations
from job_creator.builds.steps import Demand, Demands, Step
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.generated import Generated
from job_creator.engines.gitlab.jobs.package_images import package_image
from job_creator.engines.gitlab.jobs.place import JobPlace
from job_creator.engines.gitlab.jobs.retries import retry
from job_creator.engines.gitlab.names import ARTIFACTS_VARIABLE, HASH_VARIABLE, NAME_VARIABLE
from job_creator.engines.gitlab.objects import INFRASTRUCTURE_FAILURES, RawJob
from job_creator.engines.gitlab.package_names import says_all
from job_creator.environments.merged import usual_variables
from job_creator.environments.setting import Setting
from job_creator.scripts.rendering import render

STAGE_COLLECT: Final = "collect"
STAGE_BUILD: Final = "build"
STAGE_SERVICES: Final = "services"
STAGE_INDEX: Final = "index"

_DISPLAY_ONLY: Final = frozenset(
    [
        "SPACK_JOB_SPEC_PKG_VERSION",
        "SPACK_JOB_SPEC_COMPILER_NAME",
        "SPACK_JOB_SPEC_COMPILER_VERSION",
        "SPACK_JOB_SPEC_ARCH",
        "SPACK_JOB_SPEC_VARIANTS",
        "SPACK_SPEC_NEEDS_REBUILD",
    ]
)
"""Variables that `spack ci rebuild` does not read (lib/spack/spack/cmd/ci.py); they are a quarter of a job's size."""

SCRIPTS: Final = ("before_script", "script", "after_script")
_ORDER: Final = ("stage", "needs", "dependencies", "when", "rules", "interruptible")
"""Keywords that say when a job runs. That follows from the graph, whatever is written."""
_OURS: Final = (*_ORDER, "retry", "variables", "image", "tags", "timeout", "artifacts", *SCRIPTS)


@dataclass(frozen=True)
class PackagePlace(JobPlace):
    """For which run of the site packages are built, and where the jobs that generated the environments are."""

    setting: Setting
    pipeline_id: str
    """The pipeline in which the environments were concretized."""
    builder_in_environments: str = ""
    """What Spack found in them as the builder image, where that is known by its digest since; otherwise empty."""

    @cached_property
    def usual_variables(self) -> Mapping[str, str]:
        """The variables that the site sets in the jobs of all packages."""
        return usual_variables(self.setting)

    def demands(self, durations: Durations) -> Demands:
        """What packages are expected to take: as long as was measured, and what the site file says they need."""

        def demand(package: str) -> Demand:
            return Demand(durations.of_package(package), self.architecture.settings_of(package).resources)

        return demand


def origin_job(container: Generated, place: PackagePlace) -> RawJob:
    """The job that brings the environment of a container into the pipeline of its packages.

    Package jobs need it by its name alone. Each of them could fetch the environment from the job that generated it;
    that need takes more of a pipeline's size than all others of a package together. Which job that is follows from the
    name of the container alone: recipes could have Spack name another one, of another pipeline.
    """
    folder = f"{project_files.environments_folder(place.name)}/{container.container}/"
    return small_job(
        origin_name(container.container),
        STAGE_COLLECT,
        [{"pipeline": place.pipeline_id, "job": names.environment_job(container.container, place.name)}],
        render("collect_artifacts.sh.j2", folder=folder),
        place,
        artifacts={"paths": [folder], "expire_in": place.site.gitlab.artifact_expiry},
    )


def origin_name(container: str) -> str:
    """The job that brings a container's environment."""
    return f"env {container}"


def package_job(
    step: Step,
    name: str,
    origin: Generated,
    place: PackagePlace,
    *,
    packages: str = "",
) -> RawJob:
    """The job that runs a step, or several alike, listed in `packages` as the program of the job reads them.

    `origin` is the pipeline of the step's environment. The job needs no more than the environment, see `waiting`.
    """
    written = origin.jobs[step.hash].keywords
    settings = place.architecture.settings_of(step.package)
    variables = {
        **origin.variables,
        **place.usual_variables,
        **settings.variables,
        **step.demand.resources.variables(),
        **variables_of_environment(written, place),
    }
    for variable in (HASH_VARIABLE, NAME_VARIABLE):
        variables.pop(variable, None)
    if packages:
        variables[node_step.PACKAGES_VARIABLE] = packages
    elif not says_all(name, step):
        variables |= {HASH_VARIABLE: step.hash, NAME_VARIABLE: step.package}
    return RawJob(
        name,
        f"package/{step.environment}",
        {
            "stage": STAGE_BUILD,
            "rules": [{"when": "on_success"}],
            "image": package_image(written.get("image"), place),
            "tags": tags_of(written, place, settings.runner_tags),
            **_told(scripts_of({**written, "script": list(step.command)}, place)),
            **other_keywords(written),
            **_artifacts(written.get("artifacts"), _outcomes_folder(step, origin), place),
            "variables": variables,
            "needs": [origin_name(step.environment)],
            # The environment alone: what other packages leave are logs.
            "dependencies": [origin_name(step.environment)],
            "timeout": written.get("timeout") or settings.timeout or place.timeout("packages", "6 hours"),
            "retry": retry(written.get("retry"), origin.builds.line),
            "interruptible": True,
        },
    )


def waiting(job: RawJob, needs: Sequence[str], *, always: bool) -> RawJob:
    """A package job that waits for jobs of the same pipeline too, and with `always` runs whatever became of them."""
    keywords = {**job.keywords, "needs": [*job.keywords["needs"], *needs]}
    if not always:
        return replace(job, keywords=keywords)
    # What differs between the two kinds would else stand in every job.
    return RawJob(job.name, f"{job.kind} always", {**keywords, "rules": [{"when": "always"}]})


def small_job(name: str, stage: str, needs: Sequence[Any], script: str, place: PackagePlace, **more: Any) -> RawJob:
    """A job that takes seconds and needs neither Spack nor the repository."""
    return RawJob(
        name,
        stage,
        {
            "stage": stage,
            "image": {"name": place.site.images.job_creator, "entrypoint": [""]},
            "tags": list(place.architecture.tags("tools")),
            "rules": [{"when": "on_success"}],
            "needs": list(needs),
            "script": [script],
            "variables": {"GIT_STRATEGY": "none", **place.architecture.job_variables("tools")},
            "timeout": "10 minutes",
            "retry": {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)},
            "interruptible": True,
            **more,
        },
    )


def _told(scripts: Mapping[str, Any]) -> dict[str, Any]:
    """Scripts of a package job that know from the job's name what it builds.

    `after_script` runs in a shell of its own, which is told where it asks.
    """
    first = "before_script" if "before_script" in scripts else "script"
    asking = {first, *(["after_script"] if "SPACK_JOB_SPEC" in str(scripts.get("after_script")) else [])}
    told = render("spec_of_job.sh.j2")
    return {
        key: [told, *([lines] if isinstance(lines, str) else lines)] if key in asking else lines
        for key, lines in scripts.items()
    }


def _outcomes_folder(step: Step, origin: Generated) -> str | None:
    """Where the job says what became of its packages, if it does."""
    root = origin.variables.get(ARTIFACTS_VARIABLE)
    return f"{root}/{node_step.OUTCOMES}" if root and node_step.runs(step.command) else None


def _artifacts(written: Any, outcomes: str | None, place: PackagePlace) -> dict[str, Any]:
    """Logs, what reproduces a build, and outcomes, kept as long as everything else that a pipeline leaves."""
    own = dict(written) if isinstance(written, Mapping) else {}
    if outcomes:
        reports = {"junit": f"{outcomes}/{node_step.JUNIT}", **(own.get("reports") or {})}
        own |= {"when": "always", "paths": [*(own.get("paths") or ()), outcomes], "reports": reports}
    return {"artifacts": {"expire_in": place.site.gitlab.artifact_expiry, **own}} if own else {}


def tags_of(written: Mapping[str, Any], place: PackagePlace, of_package: Sequence[str] | None = None) -> list[str]:
    """What an environment asks for counts most, then what the site says of the package, then of all packages."""
    usual = list(place.architecture.tags("packages"))
    tags = list(written.get("tags") or usual)
    return list(of_package) if of_package and tags == usual else tags


def variables_of_environment(written: Mapping[str, Any], place: PackagePlace) -> dict[str, str]:
    """The variables that a job has from its environment, and not from the settings of the site that stand in there."""
    usual = place.usual_variables
    own = {name: str(value) for name, value in (written.get("variables") or {}).items() if name not in _DISPLAY_ONLY}
    return {name: value for name, value in own.items() if usual.get(name) != value}


def other_keywords(written: Mapping[str, Any]) -> dict[str, Any]:
    """What an environment says of jobs beyond the keywords that are decided here."""
    return {name: value for name, value in written.items() if name not in _OURS}


def scripts_of(keywords: Mapping[str, Any], place: PackagePlace) -> dict[str, Any]:
    """The scripts of a job, in runs that do not sign without the lines that name the signing key."""
    written = {name: keywords[name] for name in SCRIPTS if keywords.get(name)}
    if place.setting.signs:
        return written
    return {name: lines for name, script in written.items() if (lines := _without_key(script, place))}


def _without_key(script: Any, place: PackagePlace) -> list[Any]:
    lines = [script] if isinstance(script, str) else list(script or [])
    return [line for line in lines if place.setting.signing_key_variable not in str(line)]
