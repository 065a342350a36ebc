"""Where the image of a container may be already, and what becomes of one that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from foundation.registries.published import Published, Query
from job_creator.containers.identity import Container
from job_creator.containers.places import content_reference, wanted_image
from job_creator.engines.gitlab.container_pipeline import ContainerPlan, plan
from job_creator.engines.gitlab.container_questions import Publications, WantedContainers, questions
from job_creator.engines.gitlab.objects import Job, Need
from job_creator.images.decisions import Action, Subject
from job_creator.images.knowledge import Knowledge
from job_creator.provenance.proofs import Proofs, Witness
from job_creator.provenance.statements import Statement, StatementKind
from tests.containers import DIGEST, container, recipe, wanted
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST

OTHER = f"sha256:{'e' * 64}"
WHY = "no key is known"


def made(environment: Mapping[str, str]) -> Container:
    return container(made_with=recipe(environment))


def known(one: Container, *references: str, proofs: Proofs | None = None, digest: str = DIGEST) -> Knowledge:
    """A registry in which these references lead to the right image."""
    published = Published(digest, one.identity, "amd64")
    return Knowledge({Query(reference, "amd64"): published for reference in references}, proofs=proofs)


def run(environment: Mapping[str, str], images: Knowledge, *, signs: bool = False) -> ContainerPlan:
    found: WantedContainers = replace(wanted(made(environment), environment=environment), signs=signs)
    return plan(found, images, Publications({}))


def decision(built: ContainerPlan) -> tuple[Action, str]:
    (found,) = (one for one in built.decisions if one.subject is Subject.CONTAINER)
    return found.action, found.reason


def jobs(built: ContainerPlan) -> dict[str, Job]:
    return {job.name: job for job in built.pipeline.jobs}


def signed(one: Container, repository: str, *, is_default: bool, digest: str = DIGEST) -> Proofs:
    ref = "refs/heads/main" if is_default else "refs/heads/release/1"
    kind, checksum = StatementKind.CONTAINER_IMAGE, one.record.container_checksum
    statement = Statement(kind, digest, repository, "amd64", checksum, ref, is_default)
    return Proofs({f"{repository}@{digest}": Witness(statement)})


DEFAULT = made(DEFAULT_BRANCH)
OF_BRANCH = made(BRANCH)
IN_BRANCHES = content_reference(DEFAULT, DEFAULT.namespace.other)
TAKE = "take hdf5 container for amd64"


@pytest.mark.parametrize("environment", [BRANCH, MERGE_REQUEST], ids=["branch", "merge request"])
def test_a_branch_that_changes_nothing_builds_nothing(environment: Mapping[str, str]) -> None:
    proofs = signed(DEFAULT, DEFAULT.repository, is_default=True)
    built = run(environment, known(DEFAULT, DEFAULT.reference, proofs=proofs))
    assert decision(built) == (
        Action.TAG,
        f"hdf5:{DEFAULT.tag}-amd64 is the same; published and up to date, and signed",
    )
    job = jobs(built)[TAKE]
    assert job.variables["SOURCE"] == f"{DEFAULT.repository}@{DIGEST}"
    assert job.variables["IMAGE"] == made(environment).reference
    assert not [name for name in jobs(built) if name.startswith("build")]


def test_what_has_the_tag_already_needs_no_job() -> None:
    built = run(BRANCH, known(DEFAULT, DEFAULT.reference, OF_BRANCH.reference))
    assert decision(built)[0] is Action.REUSE
    assert TAKE not in jobs(built)


def test_the_default_branch_goes_back_to_an_earlier_image_without_a_build() -> None:
    proofs = signed(DEFAULT, DEFAULT.repository, is_default=True)
    images = known(DEFAULT, content_reference(DEFAULT), proofs=proofs)
    assert images.published is not None
    newer = {Query(DEFAULT.reference, "amd64"): Published(OTHER, {}, "amd64")}
    built = run(DEFAULT_BRANCH, replace(images, published={**images.published, **newer}), signs=True)
    assert decision(built)[0] is Action.TAG
    assert "sign hdf5 for amd64" not in jobs(built)


def test_a_merge_builds_nothing_if_the_branch_signed_and_the_default_branch_signs_it_again() -> None:
    proofs = signed(DEFAULT, OF_BRANCH.repository, is_default=False)
    built = run(DEFAULT_BRANCH, known(DEFAULT, IN_BRANCHES, proofs=proofs), signs=True)
    assert decision(built)[0] is Action.TAG
    found = jobs(built)
    assert found[TAKE].variables["SOURCE"] == f"{OF_BRANCH.repository}@{DIGEST}"
    assert found[TAKE].variables["CONTENT_IMAGE"] == content_reference(DEFAULT)
    signing = found["sign hdf5 for amd64"]
    assert signing.variables["IMAGE"] == f"{DEFAULT.repository}@{DIGEST}"
    assert signing.needs == (Need(TAKE),)
    assert Need(signing.name, artifacts=False) in found["create multiarch for hdf5"].needs


@pytest.mark.parametrize(
    ("proofs", "said"),
    [
        (Proofs(why_none=WHY), "not published yet"),
        (Proofs(), "what is published is not signed"),
        (
            signed(DEFAULT, DEFAULT.repository, is_default=True),
            "what is published is not signed",
        ),
    ],
    ids=["no key", "not signed", "signed elsewhere"],
)
def test_the_default_branch_takes_nothing_of_a_branch_that_nobody_signed(proofs: Proofs, said: str) -> None:
    assert decision(run(DEFAULT_BRANCH, known(DEFAULT, IN_BRANCHES, proofs=proofs))) == (Action.BUILD, said)


def test_a_statement_of_a_branch_proves_nothing_among_images_of_the_default_branch() -> None:
    proofs = signed(DEFAULT, DEFAULT.repository, is_default=False)
    built = run(DEFAULT_BRANCH, known(DEFAULT, DEFAULT.reference, proofs=proofs))
    said = "what is published was made by refs/heads/release/1, not by the default branch"
    assert decision(built) == (Action.BUILD, said)


def test_branches_take_from_each_other_by_labels() -> None:
    built = run(BRANCH, known(OF_BRANCH, content_reference(OF_BRANCH), proofs=Proofs(why_none=WHY)))
    assert decision(built)[0] is Action.TAG


def test_what_is_built_is_signed_where_there_is_the_key() -> None:
    found = jobs(run(DEFAULT_BRANCH, Knowledge({}), signs=True))
    signing = found["sign hdf5 for amd64"]
    assert signing.variables["IMAGE"] == f"{DEFAULT.repository}@$IMAGE_DIGEST"
    assert signing.variables["FINGERPRINT"] == DEFAULT.record.container_checksum
    assert signing.needs == (Need("build hdf5 container for amd64"),)
    assert "sign hdf5 for amd64" not in jobs(run(DEFAULT_BRANCH, Knowledge({})))


def test_every_place_is_asked_about() -> None:
    for environment in (DEFAULT_BRANCH, BRANCH, MERGE_REQUEST):
        one = made(environment)
        asked = {query.reference for query in questions(wanted(one, environment=environment))}
        assert {place.reference for place in wanted_image(one).places} <= asked
        assert one.reference in asked
