"""The jobs around Spack: one for each environment, and those that turn what all of them left into pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from foundation.stores.schemes import split_url
from job_creator import project_files
from job_creator.builds import node_step
from job_creator.definitions.definitions import SpackDefinition
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.jobs.images import libc_variable, needs_of, pinned
from job_creator.engines.gitlab.jobs.place import JobPlace
from job_creator.engines.gitlab.objects import Artifacts, Job, Need
from job_creator.environments.foreign_code import apart_options
from job_creator.environments.from_spack import FILE, QUESTIONS
from job_creator.environments.setting import Setting
from job_creator.images.base_images import DecidedImage
from job_creator.scripts.rendering import render
from job_creator.site.places import SourceMirror
from job_creator.site.run import PARENT_PIPELINE_ID

SPACK_APART: Final = "spack_apart.py"
"""What stands for `spack` in the job that fills a mirror."""
STEPS: Final = (node_step.PROGRAM, *node_step.BESIDE)
"""What package jobs run."""
PROGRAMS: Final = (*STEPS, QUESTIONS, SPACK_APART)
"""What these jobs run beside `jc`. They get it as files from the job that writes their pipeline, where no foreign code
runs."""
_PROGRAMS_NEED: Final = Need(names.GENERATE_BASE_PIPELINE, pipeline=f"${PARENT_PIPELINE_ID}")


@dataclass(frozen=True, slots=True)
class EnvironmentPlace(JobPlace):
    """For which architecture and which run of the site the jobs around Spack are made."""

    setting: Setting
    images: Mapping[str, DecidedImage]
    """Of this architecture, by name."""

    @property
    def folder(self) -> str:
        """Where the environments of this architecture are handed on."""
        return project_files.environments_folder(self.name)

    @property
    def builder(self) -> str:
        """The builder image as jobs name it, by its digest; empty where there is none."""
        return pinned(self.images["builder"]) if "builder" in self.images else ""

    def jobs_of(self, *images: str) -> tuple[str, ...]:
        """The jobs that build some of the images in this run."""
        return tuple(need.job for need in needs_of(*(self.images[name] for name in images if name in self.images)))

    @property
    def filled_mirror(self) -> SourceMirror | None:
        """The source mirror, if this run may write to it."""
        mirror = self.architecture.source_mirror
        return mirror if mirror and self.setting.pushes_to(mirror) else None


def environment_job(definition: SpackDefinition, template: Mapping[str, Any], place: EnvironmentPlace) -> Job:
    """Concretizes one environment, once, and generates its package jobs; everything after it reads its lockfile."""
    images = {name: place.images[name] for name in ("builder", "runtime")}
    script = render(
        "generate_environment.sh.j2",
        folder=place.folder,
        answer=FILE,
        programs=project_files.PROGRAMS_FOLDER,
        questions=QUESTIONS,
        node_step=node_step,
        steps=STEPS,
        libcs={name: libc_variable(decided.image) for name, decided in images.items()},
    )
    mirror = place.architecture.binary_mirror
    keys = (render("require_keys.sh.j2", fingerprints=mirror.fingerprints),) if mirror and mirror.fingerprints else ()
    return Job(
        name=names.environment_job(definition.name, place.name),
        kind=f"env {place.name}",
        stage=names.STAGE_ENVIRONMENTS,
        image=place.builder,
        tags=place.architecture.tags("environments"),
        needs=(
            *needs_of(*images.values()),
            _PROGRAMS_NEED,
        ),
        script=(
            render(
                "spack_setup.sh.j2", public_key=place.setting.public_key_variable, signed=place.setting.reads_signed
            ),
            *keys,
            script,
        ),
        variables={
            **place.setting.credentials(writes=False),
            **place.architecture.job_variables("environments"),
            "ARCHITECTURE": place.name,
            "CONTAINER": definition.name,
            "FOREIGN_CODE_GETS": apart_options(place.setting, (template, definition.environment)),
            **{libc_variable(decided.image): decided.libc for decided in images.values() if decided.libc},
        },
        # Also after a failure: what arrives without a pipeline is reported by name further down.
        artifacts=Artifacts((f"{place.folder}/$CONTAINER/",), place.site.gitlab.artifact_expiry, when="always"),
        timeout=place.timeout("environments", "2 hours"),
    )


def collect_jobs(needed: Sequence[str], place: EnvironmentPlace) -> tuple[tuple[Job, ...], tuple[str, ...]]:
    """Jobs that gather the artifacts of `needed`, level by level, until few enough are left for one job to need.

    Returns the new jobs and the names of those that the next job has to need.
    """
    jobs: list[Job] = []
    current = tuple(needed)
    # Some are left for the base images, whose digests the container pipeline has to know.
    most = place.site.gitlab.limits.max_needs - len(project_files.BASE_IMAGES)
    level = 0
    while len(current) > most:
        level += 1
        chunks = [current[start : start + most] for start in range(0, len(current), most)]
        collected = [
            _collect_job(names.collect_job(f"{level}.{index}", place.name), chunk, place)
            for index, chunk in enumerate(chunks, start=1)
        ]
        jobs += collected
        current = tuple(job.name for job in collected)
    return tuple(jobs), current


def _collect_job(name: str, needed: Sequence[str], place: EnvironmentPlace) -> Job:
    job = place.tool_job(
        name,
        names.STAGE_COLLECT,
        kind="collect",
        needed=needed,
        script=(render("collect_environments.sh.j2", folder=place.folder),),
        variables={"GIT_STRATEGY": "none"},
    )
    return replace(
        job,
        artifacts=Artifacts((f"{place.folder}/",), place.site.gitlab.artifact_expiry, when="always"),
        timeout=place.timeout("tools", "30 minutes"),
        run="always",
    )


def process_job(needed: Sequence[str], place: EnvironmentPlace) -> Job:
    """Merges what Spack generated for all environments, also when some of them failed, or there are none."""
    artifacts, named = names.package_artifacts(place.name), place.setting.builder
    script = render("process_packages.sh.j2", folder=place.folder, artifacts=artifacts, is_empty=not needed)
    job = place.tool_job(
        names.process_job(place.name),
        names.STAGE_PIPELINES,
        kind="process",
        needed=(*needed, *place.jobs_of("builder")),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables={
            "ARCHITECTURE": place.name,
            "BUILDER_IMAGE": place.builder,
            # What Spack found in the environments, before the image had a digest.
            **({"BUILDER_IN_ENVIRONMENTS": named} if named != place.builder else {}),
        },
    )
    return replace(job, artifacts=Artifacts((f"{artifacts}/",), place.site.gitlab.artifact_expiry), run="always")


def report_job(needed: Sequence[str], place: EnvironmentPlace) -> Job:
    """Reports what the pipeline of the packages is going to build, also when some environments failed.

    Nothing waits for it, or fails with it.
    """
    folder = names.report_folder(place.name)
    script = render(
        "report_packages.sh.j2",
        folder=place.folder,
        pipeline=f"{names.package_artifacts(place.name)}/{names.PACKAGE_PIPELINE}",
        report=folder,
        architecture=place.name,
        token_variable=place.site.gitlab.report_token_variable,
    )
    job = place.tool_job(
        names.report_job(place.name),
        names.STAGE_PIPELINES,
        kind="report",
        needed=(*needed, names.process_job(place.name)),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables={},
    )
    metrics = f"{folder}/metrics.txt"
    kept = Artifacts((f"{folder}/",), place.site.gitlab.artifact_expiry, when="always", metrics=metrics)
    return replace(job, artifacts=kept, run="always", may_fail=True)


def containers_job(needed: Sequence[str], place: EnvironmentPlace) -> Job:
    """Writes the pipeline of the containers, also when some environments failed.

    It waits for the base images, whose digests go into every container's fingerprint and into what its jobs run in.
    """
    artifacts = names.container_artifacts(place.name)
    script = render("generate_containers.sh.j2", folder=place.folder, artifacts=artifacts)
    bucket = place.architecture.containers
    own = bucket.of_branches() if bucket and not place.setting.is_default_branch else bucket
    job = place.tool_job(
        names.containers_job(place.name),
        names.STAGE_PIPELINES,
        kind="containers",
        needed=(*needed, *place.jobs_of(*place.images)),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables={
            # It asks what is published, and runs nothing of it.
            **(own.credential_variables(writes=not own.reader) if own and not place.setting.is_merge_request else {}),
            "ARCHITECTURE": place.name,
            **{f"{name.upper()}_IMAGE": pinned(decided) for name, decided in place.images.items()},
        },
    )
    return replace(job, artifacts=Artifacts((f"{artifacts}/",), place.site.gitlab.artifact_expiry), run="always")


def mirror_job(needed: Sequence[str], mirror: SourceMirror, place: EnvironmentPlace) -> Job:
    """Fills the source mirror with what the environments that arrived are built from.

    Here and not beside the packages, because all lockfiles are here, and because the parent starts the package pipeline
    when this one has ended: its jobs then find their sources in the mirror, and nothing is fetched twice. Containers
    need no mirror, so whatever it lacks is a warning.
    """
    bucket = mirror.in_bucket
    script = render(
        "mirror_sources.sh.j2",
        folder=place.folder,
        mirror=mirror.target,
        programs=project_files.PROGRAMS_FOLDER,
        program=SPACK_APART,
        apart=f"--see {','.join(place.architecture.seen_by_foreign_code('tools'))}",
    )
    job = place.tool_job(
        names.mirror_job(place.name),
        names.STAGE_MIRRORS,
        kind="mirror",
        needed=(*needed, *place.jobs_of("builder")),
        script=(render("install_job_creator.sh.j2", command="jc"), script),
        variables=bucket.credential_variables() if bucket else {},
    )
    return replace(
        job,
        needs=(*job.needs, _PROGRAMS_NEED),
        image=place.builder,  # What a package needs is asked of the Spack that builds it.
        timeout=place.timeout("tools", "4 hours"),
        interruptible=False,
        resource_group=f"mirror {split_url(mirror.target)[1]}",
        run="always",
        may_fail=True,
    )


def clean_job(needed: Sequence[str], place: EnvironmentPlace, environments: int) -> Job:
    """Prunes the build cache that this run pushes to.

    Only after all `environments` were concretized: one whose lockfile is missing would lose its packages.
    """
    cache = place.setting.destination
    script = render(
        "clean_build_cache.sh.j2",
        folder=place.folder,
        environments=environments,
        mirror=cache.url,
        max_age_days=cache.max_age_days,
        # A branch may go without a word; the default branch stays.
        keep_days="" if place.setting.is_default_branch else f" --for {cache.max_age_days}",
    )
    job = place.tool_job(
        names.clean_job(place.name),
        names.STAGE_CLEAN,
        kind="clean",
        needed=needed,
        script=(render("install_job_creator.sh.j2", command="spackitor"), script),
        variables=cache.credential_variables(),
    )
    return replace(
        job,
        timeout=place.timeout("tools", "4 hours"),
        interruptible=False,
        resource_group=f"build cache {cache.bucket}/{cache.prefix}",
    )
