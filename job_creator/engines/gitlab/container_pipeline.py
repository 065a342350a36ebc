"""The pipeline of the containers of one architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from job_creator.containers.identity import Container, Unbuildable
from job_creator.containers.places import wanted_image
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.container_questions import (
    Publications,
    WantedContainers,
    current_key,
    installed_key,
)
from job_creator.engines.gitlab.jobs.containers import (
    ContainerPlace,
    docker_hub_job,
    docker_hub_reference,
    failing_job,
    image_job,
    nothing_job,
    sign_job,
    tag_job,
    take_job,
)
from job_creator.engines.gitlab.jobs.sif_files import cluster_job, copy_sif_job, sif_job, sign_sif_job
from job_creator.engines.gitlab.objects import Job, Pipeline
from job_creator.images.decisions import Action, Decision, Subject, compare_labels
from job_creator.images.indexes import left_out_reason
from job_creator.images.knowledge import Judgement, Knowledge
from job_creator.provenance.signing import NO_KEY, UNSIGNED, SignatureVerdict
from job_creator.publishing.record import MADE_FROM, OtherFile


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """What will happen and why, and the files that make it happen."""

    decisions: tuple[Decision, ...]
    pipeline: Pipeline[Job]
    files: Mapping[str, bytes]
    """What jobs read, by path below the folder of generated files."""


def plan(wanted: WantedContainers, images: Knowledge, publications: Publications) -> ContainerPlan:
    """Decide on everything and lay out the jobs for it. The same inputs always give the same plan."""
    decisions: list[Decision] = []
    jobs: list[Job] = []
    files: dict[str, bytes] = {}
    for broken in wanted.unbuildable:
        decisions.append(_decision(Subject.CONTAINER, broken, Action.FAIL, broken.reason))
        jobs.append(failing_job(broken, wanted.place))
    for planned in wanted.containers:
        container = _as_published(planned, wanted, images)
        steps = tuple(_steps(container, wanted, images, publications))
        decisions += [step.decision for step in steps]
        needed = [job for step in steps for job in step.jobs]
        jobs += needed
        if needed:
            files |= {f"{container.name}/{name}": content for name, content in container.files.items()}
    return ContainerPlan(
        tuple(decisions), Pipeline(names.CONTAINER_STAGES, tuple(jobs) or (nothing_job(wanted.place),)), files
    )


def _as_published(container: Container, wanted: WantedContainers, images: Knowledge) -> Container:
    """The container, with the lockfile of the image that is there already, if that stays."""
    there = images.judge(wanted_image(container)).published
    if there is None or not container.lock:
        return container
    return container.with_lock_of(there.labels, wanted.place.site.registry.label_prefix)


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing that is decided on, and the job for it if there is something to do."""

    decision: Decision
    job: Job | None = None
    signing: Job | None = None
    """Signs what the job made."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(job for job in (self.job, self.signing) if job)

    @property
    def job_names(self) -> tuple[str, ...]:
        return tuple(job.name for job in self.jobs)


def _steps(
    container: Container, wanted: WantedContainers, images: Knowledge, publications: Publications
) -> Iterator[_Step]:
    """Build, convert, tag, publish: each step only needs those before it that have something to do."""
    place, bucket = wanted.place, wanted.bucket
    judged = images.judge(wanted_image(container))
    digest = judged.digest
    image = _image_step(container, place, images, judged)
    yield image
    made = image.job_names
    signed = _signing(container, wanted, judged, image)
    if signed:
        yield signed
    if bucket:
        sif = _sif_step(container, wanted, publications, digest, made)
        yield sif
        made += sif.job_names
        for name, cluster in wanted.clusters.items():
            action, reason = _decide_cluster(container, publications, name, is_new=bool(sif.job))
            yield _Step(
                _decision(Subject.CLUSTER, container, action, reason, name=f"{container.name} on {name}"),
                cluster_job(container, place, bucket, (name, cluster), sif.job_names[-1:], wanted.unproven)
                if action is Action.BUILD
                else None,
            )
    members, hub = wanted.architectures[container.name], wanted.docker_hub
    tag_name = f"{container.name}:{container.tag}"
    if container.architecture not in members:
        reason = left_out_reason(container.architecture, container.platform, members, place.site)
        yield _Step(_decision(Subject.IMAGE_INDEX, container, Action.LEAVE_OUT, reason, name=tag_name))
        if hub:
            yield _Step(_decision(Subject.DOCKER_HUB, container, Action.LEAVE_OUT, reason))
        return
    others = [name for name in members if name != container.architecture]
    hub_action, hub_reason = (
        _decide_hub(container, images, digest, docker_hub_reference(container, hub)) if hub else (Action.REUSE, "")
    )
    action, reason = _decide_tag(container, images, digest)
    if action is Action.REUSE and hub_action is Action.BUILD:
        # What is copied is what this pipeline has put together, by its digest, and not what a tag leads to by then.
        action, reason = Action.BUILD, f"{reason}, and Docker Hub gets it from here"
    needed = (*made, *(signed.job_names if signed else ()))
    tag = _Step(
        _decision(Subject.IMAGE_INDEX, container, action, reason, name=tag_name),
        tag_job(container, place, others, digest, needed, audits=not bucket, attaches=bool(image.job and not signed))
        if action is Action.BUILD
        else None,
    )
    yield tag
    if hub:
        yield _Step(
            _decision(Subject.DOCKER_HUB, container, hub_action, hub_reason),
            docker_hub_job(container, place, hub, tag.job_names) if hub_action is Action.BUILD else None,
        )


def _image_step(container: Container, place: ContainerPlace, images: Knowledge, judged: Judgement) -> _Step:
    """The image is built, or gets the tag of this run, or has it already."""
    if judged.action is Action.BUILD or judged.place is None:
        return _Step(_decision(Subject.CONTAINER, container, judged.action, judged.reason), image_job(container, place))
    own = images.of(container.reference, container.platform)
    if own and own.digest == judged.digest:
        return _Step(_decision(Subject.CONTAINER, container, judged.action, judged.reason))
    where = f"{judged.place.repository.rpartition('/')[2]}:{judged.place.tag}"
    reason = f"{where} is the same; {judged.reason}"
    return _Step(_decision(Subject.CONTAINER, container, Action.TAG, reason), take_job(container, place, judged))


def _signing(container: Container, wanted: WantedContainers, judged: Judgement, image: _Step) -> _Step | None:
    """Signs what this run built, and what the default branch took from another."""
    is_from_elsewhere = judged.place is not None and judged.place.repository != container.repository
    is_new = judged.place is None or (wanted.context.is_default_branch and is_from_elsewhere)
    if not (wanted.signs and image.job and is_new):
        return None
    reason = "for those who ask where it comes from"
    job = sign_job(container, wanted.place, judged.digest, image.job_names)
    return _Step(_decision(Subject.STATEMENT, container, Action.BUILD, reason), job)


def _sif_step(
    container: Container, wanted: WantedContainers, publications: Publications, digest: str | None, made: Sequence[str]
) -> _Step:
    """The file is made from the image, or it is a copy of another branch's, or it is there."""
    place, bucket = wanted.place, wanted.bucket
    action, reason = _decide_sif(container, publications, digest, signs=wanted.signs)
    if action is Action.REUSE or bucket is None:
        return _Step(_decision(Subject.SIF, container, action, reason))
    if digest and (same := _same_file(container, wanted, publications, digest)):
        job = copy_sif_job(container, place, bucket, (same, digest), made, (wanted.has_keys, wanted.signs))
        reason = f"{same.record.file_name} is the same; {reason}"
        return _Step(_decision(Subject.SIF, container, Action.COPY, reason), job)
    create = sif_job(container, place, bucket, digest, made, signs=wanted.signs)
    signing = sign_sif_job(container, place, bucket, digest, (*made, create.name)) if wanted.signs else None
    return _Step(_decision(Subject.SIF, container, action, reason), create, signing)


def _same_file(
    container: Container, wanted: WantedContainers, publications: Publications, digest: str
) -> OtherFile | None:
    """A file that another branch made from the same image, and that may be taken.

    Where the site has keys, it has to be proven.
    """
    ours = replace(container.record, image_digest=digest)
    return next(
        (
            one
            for one in publications.others
            if all(getattr(one.record, name) == getattr(ours, name) for name in MADE_FROM)
            and (one.bucket != wanted.bucket or one.record.file_name != ours.file_name)
            and (not wanted.has_keys or one.proof.is_good)
        ),
        None,
    )


def _decide_sif(
    container: Container, publications: Publications, digest: str | None, *, signs: bool
) -> tuple[Action, str]:
    if digest is None:
        return Action.BUILD, "new image"
    if publications.records is None:
        return Action.BUILD, publications.why_unknown
    record = publications.records.get(container.record.file_name)
    wanted = replace(container.record, image_digest=digest)
    action, reason = compare_labels(wanted.identity, record.identity if record else None)
    proof = publications.proofs.get(container.record.file_name, SignatureVerdict(NO_KEY))
    if action is Action.BUILD or proof.is_good:
        return action, reason
    # Branches that have no key sign nothing; whatever is signed has to be right everywhere.
    if signs or proof.reason not in (NO_KEY, UNSIGNED):
        return Action.BUILD, f"what is published {proof.reason}"
    return action, f"{reason}; not proven: it {proof.reason}"


def _decide_tag(container: Container, images: Knowledge, digest: str | None) -> tuple[Action, str]:
    if digest is None:
        return Action.BUILD, f"new image for {container.architecture}"
    tagged = images.of(f"{container.repository}:{container.tag}", container.platform)
    if tagged is None or tagged.digest != digest:
        return Action.BUILD, f"the tag does not point to the {container.architecture} image yet"
    return Action.REUSE, "the tag points to this image"


def _decide_hub(container: Container, images: Knowledge, digest: str | None, reference: str) -> tuple[Action, str]:
    if digest is None:
        return Action.BUILD, "new image"
    there = images.of(reference, container.platform)
    return compare_labels(container.identity, there.labels if there else None)


def _decide_cluster(
    container: Container, publications: Publications, cluster: str, *, is_new: bool
) -> tuple[Action, str]:
    if is_new:
        return Action.BUILD, "new SIF file"
    records = publications.records or {}
    published = records.get(container.record.file_name)
    sha256 = published.sha256 if published else ""
    installed = records.get(installed_key(cluster, container.record.file_name))
    action, reason = compare_labels({"sha256": sha256}, {"sha256": installed.sha256} if installed else None)
    if action is Action.REUSE and container.record.is_release:
        current = records.get(current_key(cluster, container.name))
        if current is None or current.sha256 != sha256:
            return Action.BUILD, f"current leads to {current.file_name if current else 'nothing that is known'}"
    return action, reason


def _decision(
    subject: Subject, container: Container | Unbuildable, action: Action, reason: str, name: str | None = None
) -> Decision:
    return Decision(subject, name or container.name, container.architecture, action, reason)
