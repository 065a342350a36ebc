"""The plan of the base pipeline."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.registries.published import Published, Query
from foundation.yaml_io import dump
from job_creator.definitions.choice import Choice
from job_creator.definitions.definitions import Definition
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.base_pipeline import BasePlan, Inputs, plan, wanted_images
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import Job, Need, expand
from job_creator.images.base_images import ImageSources, PlannedImage, questions
from job_creator.images.decisions import Action, Decision, Subject
from job_creator.images.knowledge import Knowledge
from job_creator.project_files import BASE_IMAGES
from job_creator.provenance.proofs import Proofs, Witness
from job_creator.provenance.statements import Statement, StatementKind
from job_creator.site.gitlab import Limits
from tests.samples import (
    BRANCH,
    DEFAULT_BRANCH,
    MERGE_REQUEST,
    SITE,
    imported_definition,
    inputs,
    spack_definition,
    two_zens,
)

UNKNOWN = Knowledge(None, "not asked")
SITE_REGISTRY = "registry.example.org/group/containers/"
LIBC = "org.spacktainers.libc"


def image(name: str, found: Inputs, architecture: str = "amd64") -> PlannedImage:
    return next(one for one in wanted_images(found) if (one.name, one.architecture) == (name, architecture))


def published(found: Inputs, *missing: tuple[str, str]) -> dict[Query, Published | None]:
    """A registry that has all images but these, under both tags."""
    answers: dict[Query, Published | None] = {}
    for one in wanted_images(found):
        there = (one.name, one.architecture) not in missing
        value = Published(f"sha256:{one.tag}", one.labels, one.architecture) if there else None
        for query in questions([one], found.moving_tag):
            answers[query] = value
    return answers


def base_decisions(built: BasePlan, subject: Subject = Subject.BASE_IMAGE) -> dict[tuple[str, str], Decision]:
    return {(one.name, one.architecture): one for one in built.decisions if one.subject is subject}


def jobs(built: BasePlan) -> dict[str, Job]:
    return {job.name: job for job in built.pipeline.jobs}


def test_with_everything_published_only_environments_are_generated() -> None:
    found = inputs()
    built = plan(found, Knowledge(published(found)))
    assert {one.action for one in base_decisions(built).values()} == {Action.REUSE}
    assert [name for name in jobs(built) if name.startswith(("build builder", "create", "tag"))] == []
    assert "generate build cache population job for hdf5 for amd64" in jobs(built)


def test_without_a_registry_everything_is_built_and_the_plan_says_why() -> None:
    built = plan(inputs(), Knowledge(None, "no registry is configured"))
    assert {(one.action, one.reason) for one in base_decisions(built).values()} == {
        (Action.BUILD, "no registry is configured")
    }


def test_each_architecture_is_decided_by_its_own_labels() -> None:
    """D20: a stale amd64 image hid behind a fresh arm64 one."""
    found = inputs()
    answers = published(found)
    stale = image("runtime", found)
    for query in questions([stale], found.moving_tag):
        answers[query] = Published("sha256:old", {**stale.labels, "org.spacktainers.files": "old"}, "amd64")
    built = plan(found, Knowledge(answers))
    assert base_decisions(built)["runtime", "amd64"].action is Action.BUILD
    assert base_decisions(built)["runtime", "amd64"].reason == "files is old, not fingerprint of runtime"
    assert base_decisions(built)["runtime", "arm64"].action is Action.REUSE
    assert "build runtime for amd64" in jobs(built)
    assert "build runtime for arm64" not in jobs(built)


def test_an_image_of_the_wrong_architecture_is_built_again() -> None:
    """D73: one such tag on a registry ended the whole generation."""
    found = inputs()
    answers = published(found)
    wrong = image("runtime", found)
    answers[Query(wrong.reference, "amd64")] = Published("sha256:1", wrong.labels, "arm64")
    decision = base_decisions(plan(found, Knowledge(answers)))["runtime", "amd64"]
    assert (decision.action, decision.reason) == (Action.BUILD, "what is published is for arm64")


def test_the_job_of_an_environment_knows_the_c_libraries_of_both_images() -> None:
    """From the labels of images that are there, from the jobs of those that are built."""
    found = inputs(spack_definition("hdf5"))
    answers = published(found, ("runtime", "amd64"))
    builder = image("builder", found)
    answers[Query(builder.reference, "amd64")] = Published("sha256:1", {**builder.labels, LIBC: "glibc@2.39"}, "amd64")
    built = jobs(plan(found, Knowledge(answers)))
    job = built["generate build cache population job for hdf5 for amd64"]
    assert job.variables["BUILDER_AMD64_LIBC"] == "glibc@2.39"
    assert "RUNTIME_AMD64_LIBC" not in job.variables
    assert Need("build runtime for amd64", artifacts=True) in job.needs
    assert 'echo "RUNTIME_AMD64_LIBC=$libc" >> runtime_amd64.env' in built["build runtime for amd64"].script[0]
    assert f'--label "{LIBC}=$libc"' in built["build runtime for amd64"].script[0]
    assert '"${BUILDER_AMD64_LIBC:-}" "${RUNTIME_AMD64_LIBC:-}"' in job.script[-1]


def test_a_forced_image_is_built_although_it_is_published() -> None:
    found = inputs()
    built = plan(found, Knowledge(published(found), forced=["singularitah"]))
    actions = {name: one.action for (name, _), one in base_decisions(built).items()}
    assert actions == {"builder": Action.REUSE, "runtime": Action.REUSE, "singularitah": Action.BUILD}


def test_a_run_for_some_containers_leaves_the_others_and_the_cache_alone() -> None:
    """The parent pipeline takes a package and a container pipeline of each architecture from this one in any case."""
    found = inputs(spack_definition("hdf5"), spack_definition("neuron"), spack_definition("neuron", "arm64"))
    built = plan(replace(found, choice=Choice(frozenset({"hdf5"}))), UNKNOWN)
    assert set(built.environments) == {"merged_spack_hdf5_amd64.yaml"}
    # A tag that moves keeps all of its architectures.
    assert {name for name, _ in base_decisions(built)} == set(BASE_IMAGES)
    assert {architecture for _, architecture in base_decisions(built)} >= {"amd64", "arm64"}
    assert {name for name in jobs(built) if not name.startswith(("build ", "create ", "tag "))} == {
        "generate build cache population job for hdf5 for amd64",
        "process spack pipeline for amd64",
        "report packages for amd64",
        "generate spacktainer jobs for amd64",
        "process spack pipeline for arm64",
        "generate spacktainer jobs for arm64",
    }
    assert "--may-be-empty" in jobs(built)["process spack pipeline for arm64"].script[1]
    assert "--may-be-empty" not in jobs(built)["process spack pipeline for amd64"].script[1]


def test_nothing_waits_for_a_report_or_fails_with_it() -> None:
    found = inputs(spack_definition("hdf5"))
    built = plan(found, UNKNOWN)
    report = jobs(built)["report packages for amd64"]
    assert (report.may_fail, report.run) == (True, "always")
    assert not [job.name for job in built.pipeline.jobs if report.name in {need.job for need in job.needs}]
    silent = found.site.gitlab.model_copy(update={"reports": False})
    quiet = replace(found, site=found.site.model_copy(update={"gitlab": silent}))
    assert jobs(built).keys() - jobs(plan(quiet, UNKNOWN)).keys() == {report.name}


def test_a_new_spack_commit_rebuilds_the_builder_alone_and_is_named_as_the_reason() -> None:
    """D49: the runtime image, which holds no Spack, was rebuilt with every commit of it."""
    before, after = inputs(), inputs(commit="c" * 40)
    answers = dict.fromkeys(questions(wanted_images(after), after.moving_tag))
    answers.update(published(before))
    built = plan(after, Knowledge(answers))
    decision = base_decisions(built)["builder", "amd64"]
    assert (decision.action, decision.reason) == (Action.BUILD, "spack_commit is aaaaaaaaaaaa, not cccccccccccc")
    assert base_decisions(built)["runtime", "amd64"].action is Action.REUSE
    assert base_decisions(built)["singularitah", "amd64"].action is Action.REUSE


def test_the_commit_in_the_label_is_the_one_that_is_built() -> None:
    """D50: the label came from the remote, the content from a later clone."""
    script = jobs(plan(inputs(), UNKNOWN))["build builder for amd64"].script[0]
    assert f"--build-arg SPACK_COMMIT={'a' * 40}" in script
    assert f"--label org.spacktainers.spack_commit={'a' * 40}" in script
    assert f"--build-arg PACKAGES_COMMIT={'b' * 40}" in script


@pytest.mark.parametrize(
    ("old", "new", "rebuilt"),
    [
        ("registry:", "images: {singularitah: {apptainer: {version: 9.9.9}}}\nregistry:", {"singularitah"}),
        ("registry:", "images: {runtime: {base: debian:12}}\nregistry:", {"runtime"}),
        ("registry:", "images: {builder: {base: debian:12}}\nregistry:", {"builder"}),
    ],
)
def test_what_the_site_says_of_an_image_is_part_of_its_identity(old: str, new: str, rebuilt: set[str]) -> None:
    before, after = inputs(), inputs(text=SITE.replace(old, new, 1))
    pairs = zip(wanted_images(before), wanted_images(after), strict=True)
    assert {one.name for one, other in pairs if one.tag != other.tag} == rebuilt


def test_the_recipe_version_and_the_files_are_part_of_the_identity() -> None:
    labels = image("runtime", inputs()).labels
    assert {"org.spacktainers.recipe_version", "org.spacktainers.files"} <= set(labels)


def test_tags_are_derived_from_content_and_always_name_the_architecture() -> None:
    """D23: tags held today's date, computed anew in each job. D73b: adding arm64 renamed the amd64 images."""
    alone = inputs(spack_definition())
    both = inputs()
    assert image("builder", alone).reference == image("builder", both).reference
    assert image("builder", both).tag.endswith("-amd64")
    for environment in (BRANCH, MERGE_REQUEST):
        assert image("builder", inputs(environment=environment)).tag == f"any__{image('builder', both).tag}"


def test_jobs_name_the_builder_by_the_digest_that_its_job_left() -> None:
    """Spack reads the environments before anybody knows it; the job that packs what it made puts it there."""
    built = plan(inputs(), UNKNOWN)
    builder = image("builder", inputs())
    pinned = f"{builder.repository}@$BUILDER_AMD64_DIGEST"
    assert jobs(built)["build builder for amd64"].variables["IMAGE"] == builder.reference
    for name in (
        "generate build cache population job for hdf5 for amd64",
        "process spack pipeline for amd64",
        "generate spacktainer jobs for amd64",
    ):
        job = jobs(built)[name]
        assert pinned in (job.image, job.variables.get("BUILDER_IMAGE"))
        # Only a job that needs the one which reports gets its variables.
        assert Need("build builder for amd64") in job.needs
    environment = built.environments["merged_spack_hdf5_amd64.yaml"]
    written = environment["spack"]["ci"]["pipeline-gen"][0]["any-job"]["image"]["name"]
    assert written == builder.reference
    assert jobs(built)["process spack pipeline for amd64"].variables["BUILDER_IN_ENVIRONMENTS"] == written


def test_no_job_names_a_base_image_by_a_tag() -> None:
    """Whoever may push may move a tag. What is known is named by its digest, and so is what the pipeline builds."""
    for environment in ({}, BRANCH, MERGE_REQUEST, DEFAULT_BRANCH):
        found = inputs(environment=environment)
        for known in (UNKNOWN, Knowledge(published(found)), Knowledge(published(found, ("builder", "amd64")))):
            for job in plan(found, known).pipeline.jobs:
                named = [job.image, *(job.variables.get(f"{name.upper()}_IMAGE", "") for name in BASE_IMAGES)]
                own = [one for one in named if one.startswith(SITE_REGISTRY)]
                assert all("@sha256:" in one or "@$" in one for one in own), job.name


def test_what_is_known_is_named_by_its_digest_everywhere() -> None:
    found = inputs()
    built = plan(found, Knowledge(published(found)))
    builder = image("builder", found)
    pinned = f"{builder.repository}@sha256:{builder.tag}"
    process = jobs(built)["process spack pipeline for amd64"]
    assert process.variables["BUILDER_IMAGE"] == pinned
    assert "BUILDER_IN_ENVIRONMENTS" not in process.variables
    environment = built.environments["merged_spack_hdf5_amd64.yaml"]
    assert environment["spack"]["ci"]["pipeline-gen"][0]["any-job"]["image"]["name"] == pinned


def test_only_what_a_trusted_key_signed_is_reused_where_keys_are_known() -> None:
    found = inputs(spack_definition())
    answers = published(found)
    wanted = wanted_images(found)

    def witness(one: PlannedImage, **other: str) -> Witness:
        subject = f"sha256:{one.tag}"
        made = Statement(
            StatementKind.BASE_IMAGE, subject, one.repository, "amd64", one.fingerprint, "refs/heads/main", True
        )
        return Witness(replace(made, **other))  # type: ignore[arg-type]

    good = {f"{one.repository}@sha256:{one.tag}": witness(one) for one in wanted}
    assert set(Knowledge(answers).candidates(one.wanted for one in wanted)) == set(good)
    proven = base_decisions(plan(found, Knowledge(answers, proofs=Proofs(good))))
    assert {(one.action, one.reason) for one in proven.values()} == {
        (Action.REUSE, "published and up to date, and signed")
    }
    forged = {name: Witness(None, "is signed by a key that is not the site's") for name in good}
    for proofs, said in (
        (Proofs(), "what is published is not signed"),
        (Proofs(forged), "what is published is signed by a key that is not the site's"),
        (
            Proofs({f"{one.repository}@sha256:{one.tag}": witness(one, fingerprint="0" * 64) for one in wanted}),
            f"what is published is signed as another fingerprint: {'0' * 64}",
        ),
    ):
        decisions = base_decisions(plan(found, Knowledge(answers, proofs=proofs)))
        assert {(one.action, one.reason) for one in decisions.values()} == {(Action.BUILD, said)}


def test_without_a_key_the_plan_says_that_nothing_is_proven() -> None:
    found = inputs()
    why = "SPACK_DEPLOYMENT_KEY_PUBLIC is not set, so no signature can be verified"
    decisions = base_decisions(plan(found, Knowledge(published(found), proofs=Proofs(why_none=why))))
    assert {(one.action, one.reason) for one in decisions.values()} == {
        (Action.REUSE, f"published and up to date; not proven: {why}")
    }


def test_branches_take_what_the_default_branch_has_and_it_never_reads_theirs() -> None:
    ours, theirs = inputs(), inputs(environment=BRANCH)
    has = Knowledge(published(ours))
    for query in (one for image in wanted_images(ours) for one in image.wanted.queries):
        assert "branches__" not in query.reference
    built = plan(theirs, has)
    assert {one.action for one in base_decisions(built).values()} == {Action.REUSE}
    assert not [one for one in built.decisions if one.subject is Subject.IMAGE_INDEX]
    assert (
        jobs(built)["process spack pipeline for amd64"]
        .variables["BUILDER_IMAGE"]
        .startswith(f"{image('builder', ours).repository}@sha256:")
    )
    made = published(theirs)
    for query in published(ours):
        made[query] = None
    assert {one.action for one in base_decisions(plan(theirs, Knowledge(made))).values()} == {Action.REUSE}
    assert {one.action for one in base_decisions(plan(ours, Knowledge(made))).values()} == {Action.BUILD}


def test_what_a_run_with_the_key_builds_is_signed_before_it_gets_the_moving_tag() -> None:
    found = replace(inputs(), signs=True)
    built = jobs(plan(found, Knowledge(published(found, ("builder", "arm64")))))
    signing = built["sign builder for arm64"]
    builder = image("builder", found, "arm64")
    assert signing.variables["IMAGE"] == f"{builder.repository}@$BUILDER_ARM64_DIGEST"
    assert signing.variables["FINGERPRINT"] == builder.fingerprint
    assert signing.needs == (Need("build builder for arm64"),)
    assert Need("sign builder for arm64", artifacts=False) in built["create multiarch for builder"].needs
    assert [name for name in built if name.startswith("sign ")] == [signing.name]


def test_only_architectures_with_containers_get_images() -> None:
    """D1: jobs for arm64 were generated, and nothing ever ran them."""
    built = plan(inputs(spack_definition()), UNKNOWN)
    assert not any("arm64" in name for name in jobs(built))


def test_an_architecture_with_imported_images_alone_needs_no_spack() -> None:
    """D28: it ended in an UnboundLocalError."""
    built = plan(inputs(imported_definition(), spack_definition(architecture="arm64")), UNKNOWN)
    here = [name for name in jobs(built) if name.endswith("amd64")]
    assert here == ["build singularitah for amd64", "generate spacktainer jobs for amd64"]
    assert jobs(built)["generate spacktainer jobs for amd64"].needs == (Need("build singularitah for amd64"),)


def test_several_architectures_are_joined_from_digests() -> None:
    """D73a: two architectures were hard-coded, and names of branches were joined, not digests."""
    found = inputs()
    built = plan(found, Knowledge(published(found, ("builder", "arm64"))))
    index = jobs(built)["create multiarch for builder"]
    assert index.variables["BUILDER_AMD64_DIGEST"] == f"sha256:{image('builder', found).tag}"
    assert [need.job for need in index.needs] == ["build builder for arm64"]
    assert index.script[-1].endswith('jc tag-image "$IMAGE" "$BUILDER_AMD64_DIGEST" "$BUILDER_ARM64_DIGEST"\n')
    assert index.variables["IMAGE"] == "registry.example.org/group/containers/builder:latest"


def test_the_moving_tag_follows_even_when_nothing_is_built() -> None:
    """A branch has built the image already; on the default branch only `latest` has to move."""
    found = inputs(spack_definition())
    answers = published(found)
    builder = image("builder", found)
    answers[Query(f"{builder.repository}:latest", "amd64")] = Published("sha256:old", {}, "amd64")
    built = plan(found, Knowledge(answers))
    assert "tag builder" in jobs(built)
    assert jobs(built)["tag builder"].variables["BUILDER_AMD64_DIGEST"] == f"sha256:{builder.tag}"
    index = base_decisions(built, Subject.IMAGE_INDEX)["builder:latest", ""]
    assert index.reason == "the tag does not point to the amd64 image yet"


def test_branches_move_their_own_tag() -> None:
    assert inputs(environment=BRANCH).moving_tag.startswith("branch__feature-x-1-")
    assert inputs(environment=MERGE_REQUEST).moving_tag.startswith("branch__main-")
    assert inputs(environment={**BRANCH, "CI_COMMIT_REF_NAME": "latest"}).moving_tag == "branch__latest"
    assert inputs().moving_tag == "latest"


def test_one_environment_that_fails_does_not_stop_the_others() -> None:
    """D11: one failed concretization blocked all containers of an architecture."""
    built = jobs(plan(inputs(spack_definition("a"), spack_definition("b")), UNKNOWN))
    assert built["process spack pipeline for amd64"].run == "always"
    assert built["generate spacktainer jobs for amd64"].run == "always"
    environment = built["generate build cache population job for a for amd64"]
    assert environment.artifacts is not None
    assert environment.artifacts.when == "always"


def test_the_cache_is_cleaned_only_when_all_environments_are_known() -> None:
    """D86, D88: what a failed or still unknown environment needs would be removed."""
    built = jobs(plan(inputs(spack_definition("a"), spack_definition("b")), UNKNOWN))
    clean = built["clean build cache for amd64"]
    assert clean.run == "on_success"
    assert [need.job for need in clean.needs] == [
        "generate build cache population job for a for amd64",
        "generate build cache population job for b for amd64",
    ]
    assert '[ "$known" -ne 2 ]' in clean.script[-1]
    assert clean.resource_group == "build cache cache-amd64"
    assert not clean.interruptible


def test_branches_clean_their_own_cache_and_merge_requests_none() -> None:
    """D25: a branch cleaned the only bucket there was."""
    branch = jobs(plan(inputs(environment=BRANCH), UNKNOWN))["clean build cache for arm64"]
    assert "spackitor clean s3://cache-branches/arm64 --may-be-empty --max-age 30 " in branch.script[-1]
    assert not any(name.startswith("clean") for name in jobs(plan(inputs(environment=MERGE_REQUEST), UNKNOWN)))


def test_merge_requests_get_no_keys_of_published_buckets() -> None:
    """D57, D66."""
    built = plan(inputs(environment=MERGE_REQUEST), UNKNOWN)
    text = dump(built.pipeline.document()) + "".join(dump(one) for one in built.environments.values())
    for word in ("AWS_INFRASTRUCTURE", "SPACK_DEPLOYMENT_KEY_PRIVATE", "AWS_CACHE"):
        assert word not in text
    assert "AWS_INFRASTRUCTURE" in dump(plan(inputs(), UNKNOWN).pipeline.document())


def test_environments_are_concretized_once() -> None:
    """D12: they were concretized three times, from two different files."""
    built = plan(inputs(), UNKNOWN)
    scripts = "\n".join(line for job in built.pipeline.jobs for line in job.script)
    assert "spack concretize" not in scripts
    assert sum('package_phases.py" generate' in "".join(job.script) for job in built.pipeline.jobs) == 2
    assert set(built.environments) == {"merged_spack_hdf5_amd64.yaml", "merged_spack_hdf5_arm64.yaml"}


@pytest.mark.parametrize("count", [1, 50, 51, 130])
def test_no_job_needs_more_than_gitlab_allows(count: int) -> None:
    """D11: one need per container, and GitLab's limit of 50."""
    built = plan(inputs(*(spack_definition(f"c{number}") for number in range(count))), UNKNOWN)
    assert check(built.pipeline.document(), Limits(), depth=1).findings == ()


@given(st.integers(1, 40), st.integers(5, 7))
def test_every_environment_reaches_the_jobs_after_it_through_any_number_of_collectors(count: int, most: int) -> None:
    text = SITE + f"gitlab: {{limits: {{max_needs: {most}}}}}\n"
    found = inputs(*(spack_definition(f"c{number}") for number in range(count)), text=text)
    built = jobs(plan(found, UNKNOWN))

    def reached(name: str) -> set[str]:
        job = built.get(name)
        inner = [need.job for need in job.needs if need.pipeline is None] if job else []
        return {name}.union(*(reached(one) for one in inner))

    environments = {names.environment_job(f"c{number}", "amd64") for number in range(count)}
    for last in ("process spack pipeline for amd64", "clean build cache for amd64"):
        assert environments <= reached(last)
    assert all(len([need for need in job.needs if not need.pipeline]) <= most for job in built.values())


def test_every_job_says_how_it_runs() -> None:
    built = plan(inputs(imported_definition(), spack_definition(), spack_definition(architecture="arm64")), UNKNOWN)
    for name, job in expand(built.pipeline.document()).items():
        assert {"needs", "retry", "interruptible", "timeout", "tags", "rules", "image", "stage"} <= set(job), name
        assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "parent_pipeline"', "when": job["rules"][0]["when"]}]
        if "artifacts" in job:
            assert job["artifacts"]["expire_in"]
        tags = ["big"] if "amd64" in name or "multiarch" in name or "tag" in name else ["graviton"]
        assert job["tags"] == tags
        # D71: a time-out among the variables is no time-out.
        assert "timeout" not in job.get("variables", {})
        assert (job.get("variables", {}).get("http_proxy") is not None) == (tags == ["big"])


@given(st.randoms())
def test_the_order_of_the_inputs_does_not_matter(chance: random.Random) -> None:
    """D8: the order of files in a folder decided what was generated."""
    definitions: list[Definition] = [spack_definition("a"), imported_definition(), spack_definition("c")]
    definitions.append(spack_definition("b", "arm64"))
    expected = inputs(*sorted(definitions, key=lambda one: (one.architecture, one.name)))
    folders = list(expected.sources.folders.items())
    chance.shuffle(folders)
    shuffled = replace(expected, sources=ImageSources(dict(folders), "a" * 40, "b" * 40))
    assert _everything(shuffled) == _everything(expected)


def _everything(found: Inputs) -> tuple[str, Mapping[str, Any]]:
    built = plan(found, UNKNOWN)
    return dump(built.pipeline.document()), built.environments


def test_architectures_of_one_oci_name_share_no_index_and_the_plan_says_so() -> None:
    found = inputs(spack_definition(architecture="zen3"), spack_definition(architecture="zen4"), text=two_zens())
    built = plan(found, Knowledge({}))
    builds = jobs(built)
    assert {builds[f"build builder for {name}"].variables["ARCHITECTURE"] for name in ("zen3", "zen4")} == {"amd64"}
    assert builds["build builder for zen3"].variables["IMAGE"].endswith("-zen3")
    index = builds["tag builder"]
    assert [need.job for need in index.needs] == ["build builder for zen4"]
    left = {one.architecture for one in built.decisions if one.action is Action.LEAVE_OUT}
    assert left == {"zen3"}
    # Downloads go by OCI's name, and so do questions to the registry.
    tools = image("singularitah", found, "zen3")
    assert tools.platform == "amd64"
    assert {query.architecture for query in questions(wanted_images(found), "latest")} == {"amd64"}
