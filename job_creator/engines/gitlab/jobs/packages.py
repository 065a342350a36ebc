"""Package jobs as this site runs them: images, runners, time-outs, retries, variables, and who may sign."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from foundation.spack.releases import Novelty
from foundation.stores.schemes import split_url
from job_creator import project_files
from job_creator.builds.durations import Durations
from job_creator.builds.steps import Demand, Demands, Step
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.generated import HASH_VARIABLE, INDEX_JOBS, NAME_VARIABLE, Generated
from job_creator.engines.gitlab.jobs.package_images import package_image
from job_creator.engines.gitlab.jobs.place import JobPlace
from job_creator.engines.gitlab.jobs.retries import USUAL_RETRY, retry
from job_creator.engines.gitlab.objects import INFRASTRUCTURE_FAILURES, RawJob, resource_group
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

_SCRIPTS: Final = ("before_script", "script", "after_script")
_ORDER: Final = ("stage", "needs", "dependencies", "when", "rules", "interruptible")
"""Keywords that say when a job runs. That follows from the graph, whatever is written."""
_OURS: Final = (*_ORDER, "retry", "variables", "image", "tags", "timeout", "artifacts", *_SCRIPTS)


@dataclass(frozen=True, slots=True)
class PackagePlace(JobPlace):
    """For which run of the site packages are built, and where the jobs that generated the environments are."""

    setting: Setting
    pipeline_id: str
    """The pipeline in which the environments were concretized."""
    builder_in_environments: str = ""
    """What Spack found in them as the builder image, where that is known by its digest since; otherwise empty."""

    def demands(self, durations: Durations) -> Demands:
        """What packages are expected to take: as long as was measured, and what the site file says they need."""

        def demand(package: str) -> Demand:
            return Demand(durations.of_package(package), self.architecture.settings_of(package).resources)

        return demand


def origin_job(container: Generated, place: PackagePlace) -> RawJob:
    """The job that brings the environment of a container into the pipeline of its packages.

    Package jobs need it by its name alone. Each of them could fetch the environment from the job that generated it;
    that need takes more of a pipeline's size than all others of a package together.
    """
    folder = f"{project_files.environments_folder(place.name)}/{container.container}/"
    origin = next((job.origin for job in container.jobs.values() if job.origin), None)
    named = origin or {"pipeline": place.pipeline_id, "job": names.environment_job(container.container, place.name)}
    return small_job(
        origin_name(container.container),
        STAGE_COLLECT,
        [{"pipeline": str(named["pipeline"]), "job": str(named["job"])}],
        render("collect_artifacts.sh.j2", folder=folder),
        place,
        artifacts={"paths": [folder], "expire_in": place.site.gitlab.artifact_expiry},
    )


def origin_name(container: str) -> str:
    """The job that brings a container's environment."""
    return f"env {container}"


def package_job(step: Step, name: str, origin: Generated, needs: Sequence[str], place: PackagePlace) -> RawJob:
    """The job that runs a step.

    `origin` is the pipeline of the step's environment; `needs` are jobs of the same pipeline.
    """
    written = origin.jobs[step.hash].keywords
    settings = place.architecture.settings_of(step.package)
    variables = {
        **origin.variables,
        **usual_variables(place.setting),
        **settings.variables,
        **step.demand.resources.variables(),
        **_variables_of_environment(written, place),
    }
    for variable in (HASH_VARIABLE, NAME_VARIABLE):
        variables.pop(variable, None)
    if not says_all(name, step):
        variables |= {HASH_VARIABLE: step.hash, NAME_VARIABLE: step.package}
    return RawJob(
        name,
        f"package/{step.environment}",
        {
            "stage": STAGE_BUILD,
            "rules": [{"when": "on_success"}],
            "image": package_image(written.get("image"), place),
            "tags": _tags(written, place, settings.runner_tags),
            **_told(_scripts({**written, "script": list(step.command)}, place)),
            **_other_keywords(written),
            **_artifacts(written.get("artifacts"), place),
            "variables": variables,
            "needs": [origin_name(step.environment), *needs],
            # The environment alone: what other packages leave are logs.
            "dependencies": [origin_name(step.environment)],
            "timeout": written.get("timeout") or settings.timeout or place.timeout("packages", "6 hours"),
            "retry": retry(written.get("retry"), origin.builds.line),
            "interruptible": True,
        },
    )


def index_jobs(generated: Sequence[Generated], place: PackagePlace) -> tuple[RawJob, ...]:
    """One job for each mirror that rebuilds its index, once, after everything else, also after failures."""
    sources = {
        (container.mirror or place.setting.destination.url): container.services["rebuild-index"]
        for container in reversed(generated)
        if "rebuild-index" in container.services
    }
    several = len(sources) > 1
    return tuple(
        _index_job(f"rebuild-index {number}" if several else "rebuild-index", mirror, sources[mirror], place)
        for number, mirror in enumerate(sorted(sources), start=1)
    )


def view_jobs(generated: Sequence[Generated], place: PackagePlace) -> tuple[RawJob, ...]:
    """Jobs that write a view of the index for each container: what its lockfile has, under the container's name.

    Where Spack knows views, and on the default branch only: that nobody removes those of branches that are gone. They
    follow the jobs that rebuild the indexes, so that all packages are there that will be.
    """
    if not (place.setting.is_default_branch and place.setting.line.has(Novelty.INDEX_VIEWS)):
        return ()
    indexes = [{"job": job.name, "artifacts": False} for job in index_jobs(generated, place)]
    containers: dict[str, list[str]] = {}
    for one in generated:
        if indexes and one.builds.graph is not None:
            containers.setdefault(one.mirror or place.setting.destination.url, []).append(one.container)
    most = place.site.gitlab.limits.max_needs - len(indexes)
    chunks = [
        (mirror, found[start : start + most])
        for mirror, found in sorted(containers.items())
        for start in range(0, len(found), most)
    ]
    return tuple(
        _view_job(f"update views {number}" if len(chunks) > 1 else "update views", mirror, chunk, indexes, place)
        for number, (mirror, chunk) in enumerate(chunks, start=1)
    )


def service_jobs(generated: Sequence[Generated], place: PackagePlace) -> tuple[RawJob, ...]:
    """What else Spack generated (signing, copying, and what newer Spacks may add), each once for equal content."""
    written: dict[str, Mapping[str, Any]] = {}
    prepared: dict[str, dict[str, Any]] = {}
    for container in generated:
        for name, keywords in container.services.items():
            if name in INDEX_JOBS or written.get(name) == keywords:
                continue
            own = f"{name} for {container.container}" if name in written else name
            written[own] = keywords
            prepared[own] = {
                **{key: value for key, value in keywords.items() if key not in ("needs", "image", *_SCRIPTS)},
                **_scripts(keywords, place),
                "stage": STAGE_SERVICES,
                "variables": {**container.variables, **(keywords.get("variables") or {})},
                **({"image": package_image(keywords["image"], place)} if keywords.get("image") else {}),
            }
    return tuple(RawJob(name, f"service {index}", prepared[name]) for index, name in enumerate(sorted(prepared)))


def _index_job(name: str, mirror: str, source: Mapping[str, Any], place: PackagePlace) -> RawJob:
    adds = place.architecture.build_cache.index == "spackitor"
    keywords = {
        **_other_keywords(source),
        **({"timeout": source["timeout"]} if source.get("timeout") else {}),
        **(_of_spackitor(mirror, place) if adds else _of_spack(mirror, source, place)),
        "dependencies": [],
    }
    keywords["variables"] = {**keywords["variables"], **_variables_of_environment(source, place)}
    return _job_at_mirror(name, mirror, keywords, place)


def _of_spack(mirror: str, source: Mapping[str, Any], place: PackagePlace) -> dict[str, Any]:
    return {
        **{key: lines for key, lines in _scripts(source, place).items() if key != "script"},
        "image": package_image(source.get("image"), place),
        "tags": _tags(source, place),
        "script": [render("update_index.sh.j2", mirror=mirror)],
        "variables": _index_variables(place),
    }


def _of_spackitor(mirror: str, place: PackagePlace) -> dict[str, Any]:
    """The same without Spack, and without what Spack wrote to run itself. Where all builds failed, nothing is there."""
    install = render("install_job_creator.sh.j2", command="spackitor")
    access = place.setting.destination.credential_variables()
    return {
        "image": {"name": place.site.images.job_creator, "entrypoint": [""]},
        "tags": list(place.architecture.tags("tools")),
        "before_script": [],
        "script": [install, f"spackitor index {shlex.quote(mirror)} --may-be-empty"],
        "variables": {**access, **place.architecture.job_variables("tools")},
    }


def _index_variables(place: PackagePlace) -> dict[str, str]:
    return {**place.setting.destination.credential_variables(), **place.architecture.job_variables("packages")}


def _view_job(
    name: str, mirror: str, containers: Sequence[str], indexes: Sequence[Mapping[str, Any]], place: PackagePlace
) -> RawJob:
    parent = project_files.environments_folder(place.name)
    folders = [(container, f"{parent}/{container}/concrete_environment") for container in containers]
    origins = [{"pipeline": place.pipeline_id, "job": names.environment_job(one, place.name)} for one in containers]
    keywords = {
        "script": [render("update_views.sh.j2", mirror=mirror, containers=folders)],
        "needs": [*indexes, *origins],
        # A view that is missing keeps nobody from anything: the whole index has its packages.
        "allow_failure": True,
    }
    return _job_at_mirror(name, mirror, keywords, place)


def _job_at_mirror(name: str, mirror: str, keywords: Mapping[str, Any], place: PackagePlace) -> RawJob:
    """A job in the builder image that writes to a mirror after everything else, one at a time."""
    setup = render("spack_setup.sh.j2", public_key=place.setting.public_key_variable, signed=False)
    return RawJob(
        name,
        "index",
        {
            "stage": STAGE_INDEX,
            "image": package_image(None, place),
            "tags": list(place.architecture.tags("packages")),
            "before_script": [setup],
            "variables": _index_variables(place),
            "rules": [{"when": "always"}],
            "timeout": place.timeout("tools", "2 hours"),
            "retry": USUAL_RETRY,
            "interruptible": False,
            "resource_group": resource_group(f"index {split_url(mirror)[1]}"),
            **keywords,
        },
    )


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


def _artifacts(written: Any, place: PackagePlace) -> dict[str, Any]:
    """Logs and what reproduces a build, kept as long as everything else that a pipeline leaves."""
    if not isinstance(written, Mapping):
        return {}
    return {"artifacts": {"expire_in": place.site.gitlab.artifact_expiry, **written}}


def _tags(written: Mapping[str, Any], place: PackagePlace, of_package: Sequence[str] | None = None) -> list[str]:
    """What an environment asks for counts most, then what the site says of the package, then of all packages."""
    usual = list(place.architecture.tags("packages"))
    tags = list(written.get("tags") or usual)
    return list(of_package) if of_package and tags == usual else tags


def _variables_of_environment(written: Mapping[str, Any], place: PackagePlace) -> dict[str, str]:
    """The variables that a job has from its environment, and not from the settings of the site that stand in there."""
    usual = usual_variables(place.setting)
    own = {name: str(value) for name, value in (written.get("variables") or {}).items() if name not in _DISPLAY_ONLY}
    return {name: value for name, value in own.items() if usual.get(name) != value}


def _other_keywords(written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name not in _OURS}


def _scripts(keywords: Mapping[str, Any], place: PackagePlace) -> dict[str, Any]:
    """The scripts of a job, in runs that do not sign without the lines that name the signing key."""
    written = {name: keywords[name] for name in _SCRIPTS if keywords.get(name)}
    if place.setting.signs:
        return written
    return {name: lines for name, script in written.items() if (lines := _without_key(script, place))}


def _without_key(script: Any, place: PackagePlace) -> list[Any]:
    lines = [script] if isinstance(script, str) else list(script or [])
    return [line for line in lines if place.setting.signing_key_variable not in str(line)]
