"""The base pipeline: what has to be built and why, as one plan, printed by `jc plan`, written by `jc create-jobs`.

Pure: what the outside world knows comes in as values, what is to be written goes out as values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from job_creator import project_files
from job_creator.definitions.choice import EVERYTHING, Choice
from job_creator.definitions.definitions import Definition, ImportedDefinition, SpackDefinition
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.jobs.environments import (
    EnvironmentPlace,
    clean_job,
    collect_jobs,
    containers_job,
    environment_job,
    mirror_job,
    process_job,
    report_job,
)
from job_creator.engines.gitlab.jobs.images import build_job, index_job, sign_job
from job_creator.engines.gitlab.objects import Job, Pipeline
from job_creator.environments.merged import merged_environment
from job_creator.environments.setting import Setting
from job_creator.images.base_images import DecidedImage, ImageSources, PlannedImage, base_image, decide, decide_index
from job_creator.images.decisions import Action, Decision, Subject
from job_creator.images.indexes import left_out_reason
from job_creator.images.knowledge import Knowledge, registry_of
from job_creator.provenance.namespaces import Namespace
from job_creator.site.run import Context
from job_creator.site.site import Site


@dataclass(frozen=True)
class Inputs:
    """All that a plan is made from, except what registries know."""

    site: Site
    context: Context
    template: Mapping[str, Any]
    definitions: Sequence[Definition]
    sources: ImageSources
    choice: Choice = EVERYTHING
    signs: bool = False
    """Whether this run signs what it makes."""

    @property
    def registry(self) -> str:
        """Registry and group of all images."""
        return registry_of(self.site, self.context)

    @property
    def namespace(self) -> Namespace:
        """The part of the registry that this run writes to."""
        return Namespace(self.registry, self.context.is_default_branch)

    @property
    def moving_tag(self) -> str:
        """The tag that follows a branch: `latest` on the default one, and nowhere else, however a branch is called."""
        return "latest" if self.context.is_default_branch else f"branch__{self.context.ref_slug}"

    @property
    def architectures(self) -> tuple[str, ...]:
        """The architectures that containers are defined for."""
        return tuple(sorted({definition.architecture for definition in self.definitions}))

    def of(self, architecture: str) -> tuple[Definition, ...]:
        """The definitions for one architecture that this run is about."""
        return self.choice.of(one for one in self.definitions if one.architecture == architecture)

    def has_packages(self, architecture: str) -> bool:
        """Whether the parent pipeline waits for packages of this architecture, chosen or not."""
        return any(isinstance(one, SpackDefinition) for one in self.definitions if one.architecture == architecture)


@dataclass(frozen=True)
class BasePlan:
    """What will happen and why, and the files that make it happen."""

    decisions: tuple[Decision, ...]
    pipeline: Pipeline[Job]
    environments: Mapping[str, Mapping[str, Any]]
    """The merged `spack.yaml` of each container, by file name."""
    defaults: tuple[str, ...] = ()
    """The base images that are built from what comes with `jc`."""


def wanted_images(inputs: Inputs) -> tuple[PlannedImage, ...]:
    """The base images that the containers need: for SIF files always the last one, for Spack also the others.

    Also in a run for some containers: a tag that moves would lose the architectures of the others.
    """
    wanted = [
        (name, architecture)
        for name in project_files.BASE_IMAGES
        for architecture in inputs.architectures
        if name == "singularitah" or inputs.has_packages(architecture)
    ]
    return tuple(
        base_image(name, architecture, inputs.site, inputs.sources, inputs.namespace) for name, architecture in wanted
    )


def plan(inputs: Inputs, knowledge: Knowledge) -> BasePlan:
    """Decide on everything and lay out the jobs for it. The same inputs always give the same plan."""
    images = tuple(decide(image, knowledge, inputs.moving_tag) for image in wanted_images(inputs))
    decisions = [decided.decision for decided in images]
    jobs = [job for decided in images for job in _image_jobs(decided, inputs)]
    for name in dict.fromkeys(decided.image.name for decided in images):
        index, job = _index(name, images, inputs, knowledge)
        decisions += index
        jobs += [job] if job else []
    environments: dict[str, Mapping[str, Any]] = {}
    for architecture in inputs.architectures:
        here = {decided.image.name: decided for decided in images if decided.image.architecture == architecture}
        place = _workplace(architecture, inputs, here)
        jobs += _jobs_of(place, inputs)
        for definition in inputs.of(architecture):
            decisions += _decisions_on(definition)
            if isinstance(definition, SpackDefinition):
                file = project_files.merged_environment(definition.name, architecture)
                environments[file] = merged_environment(place.setting, inputs.template, definition.environment)
    defaults = tuple(dict.fromkeys(one.image.name for one in images if one.is_built and one.image.is_default))
    return BasePlan(tuple(decisions), Pipeline(names.BASE_STAGES, tuple(jobs)), environments, defaults)


def _image_jobs(decided: DecidedImage, inputs: Inputs) -> Iterator[Job]:
    architecture = inputs.site.architectures[decided.image.architecture]
    if decided.is_built:
        yield build_job(decided, architecture, inputs.site)
        if inputs.signs:
            yield sign_job(decided, architecture, inputs.site)


def _index(
    name: str, images: Iterable[DecidedImage], inputs: Inputs, knowledge: Knowledge
) -> tuple[list[Decision], Job | None]:
    """What becomes of the moving tag of a base image. Of a branch, it leads to what branches built."""
    every = {one.image.architecture: one for one in images if one.image.name == name and not one.is_elsewhere}
    if not every:
        return [], None
    members = inputs.site.in_one_index(every)
    same = [every[architecture] for architecture in every if architecture in members]
    decision = decide_index(same, knowledge, inputs.moving_tag)
    decisions = [*_left_out(every.values(), members, inputs), decision]
    if decision.action is not Action.BUILD:
        return decisions, None
    first = inputs.site.architectures[same[0].image.architecture]
    signing = [names.sign_job(name, one.image.architecture) for one in same if one.is_built and inputs.signs]
    return decisions, index_job(same, first, inputs.site, inputs.moving_tag, signing)


def _left_out(images: Iterable[DecidedImage], members: Sequence[str], inputs: Inputs) -> Iterator[Decision]:
    for image in (decided.image for decided in images if decided.image.architecture not in members):
        reason = left_out_reason(image.architecture, image.platform, members, inputs.site)
        yield Decision(
            Subject.IMAGE_INDEX, f"{image.name}:{inputs.moving_tag}", image.architecture, Action.LEAVE_OUT, reason
        )


def _workplace(architecture: str, inputs: Inputs, images: Mapping[str, DecidedImage]) -> EnvironmentPlace:
    builder = images.get("builder")
    setting = Setting(
        architecture=inputs.site.architectures[architecture],
        line=inputs.site.spack.line,
        builder=(builder.found.image or builder.image.reference) if builder else "",
        is_default_branch=inputs.context.is_default_branch,
        is_merge_request=inputs.context.is_merge_request,
        signing_key_variable=inputs.site.signing.private_key_variable,
        public_key_variable=inputs.site.signing.public_key_variable,
        branch=inputs.context.pushing_branch,
        installer=inputs.site.spack.installer,
    )
    return EnvironmentPlace(architecture, setting.architecture, inputs.site, setting, images)


def _jobs_of(place: EnvironmentPlace, inputs: Inputs) -> Iterator[Job]:
    """The jobs of one architecture, from its environments on."""
    definitions = inputs.of(place.name)
    environments = [
        environment_job(definition, inputs.template, place)
        for definition in definitions
        if isinstance(definition, SpackDefinition)
    ]
    yield from environments
    collecting, needed = collect_jobs([job.name for job in environments], place)
    yield from collecting
    if inputs.has_packages(place.name):
        yield process_job(needed, place)
        if environments and place.site.gitlab.reports:
            yield report_job(needed, place)
    yield containers_job(needed, place)
    if environments and place.filled_mirror:
        yield mirror_job(needed, place.filled_mirror, place)
    # What only some of the containers need says nothing of what the others do.
    if environments and not inputs.choice.only and not inputs.context.is_merge_request:
        yield clean_job(needed, place, len(environments))


def _decisions_on(definition: Definition) -> Iterator[Decision]:
    name, architecture = definition.name, definition.architecture
    if isinstance(definition, ImportedDefinition):
        reason = f"when the digest of {definition.image} is known"
        yield Decision(Subject.CONTAINER, name, architecture, Action.DECIDE_LATER, reason)
        return
    reason = "compiles only what the build cache lacks"
    yield Decision(Subject.ENVIRONMENT, name, architecture, Action.CONCRETIZE, reason)
    if definition.build_only:
        return
    reason = "when its lockfile is known"
    yield Decision(Subject.CONTAINER, name, architecture, Action.DECIDE_LATER, reason)
