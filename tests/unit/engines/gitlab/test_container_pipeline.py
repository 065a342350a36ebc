"""What is done about containers, and why."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.registries.published import Published, Query
from job_creator.containers.identity import Container, Unbuildable
from job_creator.definitions.extra_files import ExtraFile
from job_creator.engines.gitlab.container_pipeline import ContainerPlan, plan
from job_creator.engines.gitlab.container_questions import (
    Publications,
    WantedContainers,
    current_key,
    installed_key,
    keys,
    questions,
)
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.names import NOTHING_TO_DO
from job_creator.engines.gitlab.objects import Job
from job_creator.images.decisions import Action, Subject
from job_creator.images.knowledge import Knowledge
from job_creator.provenance.signing import NO_KEY, UNSIGNED, SignatureVerdict
from job_creator.publishing.record import OtherFile
from job_creator.site.gitlab import Limits
from job_creator.site.places import SifBucket
from tests.containers import (
    BUILDER,
    DIGEST,
    PUBLISHED_SITE,
    RUNTIME,
    container,
    images_of,
    imported,
    proven,
    recipe,
    records_of,
    unknown,
    wanted,
    with_keys,
)
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST, SITE, imported_definition, site, spack_definition

BUILD = "build hdf5 container for amd64"
CREATE = "create hdf5 sif file for amd64"
TAG = "create multiarch for hdf5"
HUB = "publish hdf5 on Docker Hub from amd64"
SIGN = "sign hdf5 sif file for amd64"
SIGN_IMAGE = "sign hdf5 for amd64"
INSTALL = "download hdf5 SIF to alps"
READER = (
    "containers: {bucket: sifs, reader: {access_key_id_variable: READ_ID, secret_access_key_variable: READ_SECRET}}"
)


def planned(
    found: WantedContainers, images: Knowledge | None = None, publications: Publications | None = None
) -> ContainerPlan:
    return plan(
        found,
        images if images is not None else Knowledge(images_of(found)),
        publications if publications is not None else records_of(found),
    )


def published_for(one: Container, bucket: SifBucket) -> OtherFile:
    """What a run of another branch has published, unsigned."""
    return OtherFile(
        replace(one.record, image_digest=DIGEST, sha256="e" * 64, size=7), SignatureVerdict(NO_KEY), bucket
    )


def job_names(built: ContainerPlan) -> list[str]:
    return [job.name for job in built.pipeline.jobs]


def job(built: ContainerPlan, name: str) -> Job:
    return built.pipeline.job(name)


def needs(built: ContainerPlan, name: str) -> list[str]:
    return [need.job for need in job(built, name).needs if need.pipeline is None]


def reasons(built: ContainerPlan) -> dict[str, str]:
    return {decision.subject: decision.reason for decision in built.decisions}


def without(found: WantedContainers, *references: str) -> Knowledge:
    return Knowledge({query: None if query.reference in references else one for query, one in images_of(found).items()})


def test_where_everything_is_up_to_date_one_job_says_so() -> None:
    """D48: a download job of every container was there always, so that there never was nothing to do."""
    built = planned(wanted(container(), imported()))
    assert job_names(built) == [NOTHING_TO_DO]
    assert {decision.action for decision in built.decisions} == {Action.REUSE}
    assert built.files == {}


def test_a_new_image_goes_through_all_steps_in_order() -> None:
    found = wanted(container())
    built = planned(found, without(found, found.containers[0].reference))
    assert job_names(built) == [BUILD, CREATE, INSTALL, TAG, HUB]
    assert needs(built, CREATE) == [BUILD]
    assert needs(built, INSTALL) == [CREATE]
    # What fails its smoke tests as a SIF file gets no tag either.
    assert needs(built, TAG) == [BUILD, CREATE]
    assert needs(built, HUB) == [TAG]
    assert reasons(built)["container"] == "not published yet"


def test_a_lost_sif_file_is_made_from_the_digest_without_building_anything() -> None:
    found = wanted(container())
    built = planned(found, publications=Publications({}))
    assert job_names(built) == [CREATE, INSTALL]
    assert job(built, CREATE).variables["IMAGE_DIGEST"] == DIGEST
    assert needs(built, CREATE) == []


def test_a_sif_file_of_another_image_is_made_anew() -> None:
    found = wanted(container())
    records = dict(records_of(found).records or {})
    name = found.containers[0].record.file_name
    records[name] = replace(found.containers[0].record, image_digest=f"sha256:{'9' * 64}")
    built = planned(found, publications=Publications(records))
    assert CREATE in job_names(built)
    assert reasons(built)["SIF file"].startswith("image_digest is sha256:")


def test_where_there_are_keys_another_job_signs_and_what_is_not_proven_does_not_count() -> None:
    found = with_keys(wanted(container()))
    built = planned(found, without(found, found.containers[0].reference), proven(found))
    assert job_names(built) == [BUILD, SIGN_IMAGE, CREATE, SIGN, INSTALL, TAG, HUB]
    assert needs(built, SIGN) == [BUILD, CREATE]
    assert needs(built, SIGN_IMAGE) == [BUILD]
    assert needs(built, INSTALL) == [SIGN]
    assert needs(built, TAG) == [BUILD, CREATE, SIGN, SIGN_IMAGE]
    assert not any("PRIVATE" in "".join(one.script) for one in built.pipeline.jobs if one.name != SIGN)
    assert "--unproven refuse" in job(built, INSTALL).script[-1]
    assert reasons(planned(found, publications=proven(found)))["SIF file"] == "published and up to date"
    name = found.containers[0].record.file_name
    for reason in (NO_KEY, UNSIGNED, "is not what was signed"):
        forged = replace(records_of(found), proofs={name: SignatureVerdict(reason)})
        built = planned(found, publications=forged)
        assert job_names(built) == [CREATE, SIGN, INSTALL]
        assert reasons(built)["SIF file"] == f"what is published {reason}"


def test_without_a_key_the_plan_says_that_nothing_is_proven() -> None:
    found = wanted(container())
    said = reasons(planned(found))["SIF file"]
    assert said == f"published and up to date; not proven: it {NO_KEY}"
    other = with_keys(wanted(container(made_with=recipe(BRANCH)), environment=BRANCH))
    name = other.containers[0].record.file_name
    unsigned = replace(records_of(other), proofs={name: SignatureVerdict(UNSIGNED)})
    built = planned(other, publications=unsigned)
    assert job_names(built) == [NOTHING_TO_DO]
    replaced = replace(unsigned, proofs={name: SignatureVerdict("has another content than its record says")})
    assert CREATE in job_names(planned(other, publications=replaced))
    install = job(planned(other, publications=Publications({})), INSTALL).script[-1]
    assert "--unproven install" in install


def test_a_branch_that_changes_nothing_copies_the_file_of_the_default_branch() -> None:
    text = PUBLISHED_SITE.replace("containers: {bucket: sifs}", READER)
    other = wanted(container(made_with=recipe(BRANCH)), environment=BRANCH, text=text)
    assert other.released is not None
    theirs = published_for(container(), other.released)
    there = Publications({}, others=(theirs,))
    built = planned(other, publications=there)
    assert job_names(built) == [CREATE, INSTALL]
    copying = job(built, CREATE)
    assert copying.variables["SIF"] == f"s3://sifs/containers/{theirs.record.file_name}"
    assert "--to s3://sifs/containers/branches" in copying.script[-1]
    assert copying.variables["AWS_ACCESS_KEY_ID"] == "$AWS_BRANCHES_ACCESS_KEY_ID"
    assert copying.variables["SOURCE_AWS_ACCESS_KEY_ID"] == "$READ_ID"
    assert copying.variables["SOURCE_AWS_SECRET_ACCESS_KEY"] == "$READ_SECRET"
    assert reasons(built)["SIF file"] == f"{theirs.record.file_name} is the same; not published yet"
    assert "singularity" not in "".join(copying.script)
    # Where there are keys, it has to be proven; and another image is another file.
    unproven = planned(with_keys(other), publications=there)
    assert "singularity" in "".join(job(unproven, CREATE).script)
    signed = Publications({}, others=(replace(theirs, proof=SignatureVerdict("", "F" * 40)),))
    assert "copy of $SIF" in "".join(job(planned(with_keys(other), publications=signed), CREATE).script)
    another = replace(theirs, record=replace(theirs.record, image_digest=f"sha256:{'9' * 64}"))
    assert "singularity" in "".join(
        job(planned(other, publications=Publications({}, others=(another,))), CREATE).script
    )


def test_a_branch_copies_the_file_of_another_branch_within_their_bucket() -> None:
    other = wanted(container(made_with=recipe(BRANCH)), environment=BRANCH)
    assert other.bucket is not None
    third = container(made_with=recipe({**BRANCH, "CI_COMMIT_REF_NAME": "third"}))
    built = planned(other, publications=Publications({}, others=(published_for(third, other.bucket),)))
    copying = job(built, CREATE)
    assert copying.variables["SIF"] == f"s3://sifs/containers/branches/{third.record.file_name}"
    assert not any(name.startswith("SOURCE_") for name in copying.variables)


def test_only_branches_look_into_the_place_of_the_default_branch_and_only_with_keys_that_read() -> None:
    text = PUBLISHED_SITE.replace("containers: {bucket: sifs}", READER)
    runs = {"main": DEFAULT_BRANCH, "branch": BRANCH, "request": MERGE_REQUEST}
    asked = {name: wanted(environment=run, text=text) for name, run in runs.items()}
    assert [name for name, one in asked.items() if one.released] == ["branch"]
    assert wanted(environment=BRANCH).released is None
    places = {name: one.bucket.url if one.bucket else None for name, one in asked.items()}
    assert places == {"main": "s3://sifs/containers", "branch": "s3://sifs/containers/branches", "request": None}


def test_a_sif_file_of_another_branch_with_the_same_slug_is_not_taken_for_ours() -> None:
    found = wanted(container())
    records = dict(records_of(found).records or {})
    name = found.containers[0].record.file_name
    records[name] = replace(records[name] or found.containers[0].record, ref="refs/heads/other")
    assert reasons(planned(found, publications=Publications(records)))["SIF file"] == (
        "ref is refs/heads/other, not refs/heads/main"
    )


def test_a_cluster_that_has_an_older_file_gets_the_new_one() -> None:
    found = wanted(container())
    records = dict(records_of(found).records or {})
    key = installed_key("alps", found.containers[0].record.file_name)
    records[key] = replace(found.containers[0].record, sha256="0" * 64)
    built = planned(found, publications=Publications(records))
    assert job_names(built) == [INSTALL]
    assert reasons(built)["cluster"] == "sha256 is 000000000000, not eeeeeeeeeeee"
    records.pop(key)
    assert reasons(planned(found, publications=Publications(records)))["cluster"] == "not published yet"


def test_a_version_that_the_default_branch_goes_back_to_becomes_current_again() -> None:
    """It was published and installed long ago, so nothing was done, and the newer one stayed current."""
    found = wanted(container())
    records = dict(records_of(found).records or {})
    newer = replace(found.containers[0].record, tag="1.14.6-amd64", sha256="9" * 64)
    records[current_key("alps", "hdf5")] = newer
    built = planned(found, publications=Publications(records))
    assert job_names(built) == [INSTALL]
    assert job(built, INSTALL).variables["PARENT_PIPELINE"] == "4711"
    assert reasons(built)["cluster"] == "current leads to hdf5__1.14.6-amd64.sif"
    other = wanted(container(made_with=recipe(BRANCH)), environment=BRANCH)
    assert not any("current" in key for key in keys(other)), "branches do not say what is current"


def test_a_tag_that_points_elsewhere_is_set() -> None:
    found = wanted(container())
    one = found.containers[0]
    tagged = Query(f"{one.repository}:{one.tag}", "amd64")
    for other in (None, Published("sha256:other", one.identity, "amd64")):
        built = planned(found, Knowledge({**images_of(found), tagged: other}))
        assert job_names(built) == [TAG]
        # Its own image by the digest that was decided on; of others, what their pipelines made last.
        assert job(built, TAG).variables["IMAGE_DIGEST"] == DIGEST
        assert job(built, TAG).variables["TAGS"] == f"{one.tag}-arm64"


def test_docker_hub_is_compared_by_labels() -> None:
    """D72: whatever was no answer was taken for "no need to push" or for "missing"."""
    found = wanted(container())
    built = planned(found, without(found, f"docker.io/example/hdf5:{found.containers[0].tag}"))
    # The tag may lead elsewhere by then; so it is set again, and what that gives is copied.
    assert job_names(built) == [TAG, HUB]
    assert needs(built, HUB) == [TAG]
    assert job(built, HUB).variables["IMAGE"].endswith("/hdf5@$INDEX_DIGEST")


@pytest.mark.parametrize("environment", [BRANCH, MERGE_REQUEST])
def test_only_the_default_branch_publishes_on_docker_hub(environment: dict[str, str]) -> None:
    found = wanted(container(made_with=recipe(environment)), environment=environment)
    assert not any(query.reference.startswith("docker.io/") for query in questions(found))
    assert not any("Docker Hub" in name for name in job_names(planned(found, unknown())))


def test_merge_requests_publish_nothing() -> None:
    """D57: unreviewed containers went to the production bucket and the production cluster."""
    found = wanted(container(made_with=recipe(MERGE_REQUEST)), environment=MERGE_REQUEST)
    built = planned(found, unknown())
    assert job_names(built) == [BUILD, TAG]
    assert keys(found) == ()
    document = str([one.document() for one in built.pipeline.jobs])
    assert "INFRASTRUCTURE" not in document
    assert "DOCKERHUB" not in document


def test_an_image_for_another_architecture_does_not_count() -> None:
    found = wanted(container())
    wrong = {query: Published(DIGEST, found.containers[0].identity, "arm64") for query in questions(found)}
    assert reasons(planned(found, Knowledge(wrong)))["container"] == "what is published is for arm64"


def test_forced_containers_are_built_and_no_others() -> None:
    found = wanted(container(), container(spack_definition("zlib")))
    built = planned(found, Knowledge(images_of(found), forced=["hdf5"]))
    assert BUILD in job_names(built)
    assert not any("zlib" in name for name in job_names(built))


def test_a_container_that_cannot_be_built_ends_the_pipeline_red_and_says_why() -> None:
    found = wanted(container(), unbuildable=[Unbuildable("zlib", "amd64", "no lock; it's gone")])
    built = planned(found, without(found, found.containers[0].reference))
    script = job(built, "build zlib container for amd64").script[0]
    assert script == "echo 'zlib: no lock; it'\"'\"'s gone' >&2\nexit 1\n"
    assert BUILD in job_names(built)


def test_smoke_tests_run_before_anything_is_pushed_or_published() -> None:
    tested = replace(spack_definition(), tests=("h5dump --version",))
    found = wanted(container(tested))
    built = planned(found, unknown())
    assert job(built, BUILD).variables["SMOKE_TESTS"] == "yes"
    script = job(built, BUILD).script[0]
    assert script.index("buildah run") < script.index("buildah push")
    script = job(built, CREATE).script[-1]
    assert script.index("singularity test") < script.index("jc publish-sif")
    assert b"h5dump --version" in built.files["hdf5/smoke_tests.sh"]


def changes() -> dict[str, Container]:
    """The same container with one thing changed."""
    return {
        "builder": container(made_with=replace(recipe(), builder="builder@sha256:1")),
        "runtime": container(made_with=replace(recipe(), runtime="runtime@sha256:1")),
        "dockerfile": container(made_with=replace(recipe(), dockerfile=recipe().dockerfile + "# other\n")),
        "image_files": container(made_with=replace(recipe(), image_files=())),
        "files": container(replace(spack_definition(), files=(ExtraFile("a", "/b"),))),
        "tests": container(replace(spack_definition(), tests=("true",))),
    }


@pytest.mark.parametrize("what", changes())
def test_a_change_of_anything_that_goes_in_builds_the_container_anew(what: str) -> None:
    """D16, D17: base images, extra files, the recipe and the generator did not count."""
    before, after = wanted(container()), wanted(changes()[what])
    built = planned(after, Knowledge(images_of(before)))
    assert BUILD in job_names(built)
    assert reasons(built)["container"].startswith(f"{what} is ")


def test_the_same_file_at_another_place_makes_another_container() -> None:
    here, there = (container(replace(spack_definition(), files=(ExtraFile("a", f"/{at}"),))) for at in "xy")
    assert here.record.container_checksum != there.record.container_checksum


def test_the_order_of_files_counts_since_later_ones_replace_earlier_ones() -> None:
    files = ExtraFile("a", "/x/"), ExtraFile("b/a", "/x/")
    one, other = (container(replace(spack_definition(), files=order)) for order in (files, files[::-1]))
    assert one.record.container_checksum != other.record.container_checksum


def test_an_edited_definition_file_and_a_new_upstream_image_both_count() -> None:
    """D36: only the digest of the image was compared."""
    before = imported()
    edited = imported(replace(imported_definition(), text="Bootstrap: docker\nFrom: group/nexus:1\n"))
    newer = imported(digest=f"sha256:{'9' * 64}")
    assert len({one.record.container_checksum for one in (before, edited, newer)}) == 3


def test_the_run_does_not_count() -> None:
    """D23: a date in the tag made every day a new image. Labels are part of what a digest is made of."""
    environments = [DEFAULT_BRANCH, {**DEFAULT_BRANCH, "CI_COMMIT_SHA": "beef", "CI_PIPELINE_ID": "1"}]
    one, other = (container(made_with=recipe(environment)) for environment in environments)
    assert one.identity == other.identity
    assert one.record.container_checksum == other.record.container_checksum
    assert one.files["labels"] == other.files["labels"]


def test_what_is_built_says_what_it_is() -> None:
    one = container()
    labels = dict(line.split("=", 1) for line in one.files["labels"].decode().splitlines())
    assert one.identity.items() <= labels.items()
    assert labels["org.spacktainers.spack_lock_sha256"] == one.record.spack_lock_sha256
    assert labels["org.spacktainers.container_checksum"] == one.record.container_checksum
    assert labels["org.opencontainers.image.version"] == "1.14.5"
    assert labels["org.opencontainers.image.base.digest"] == f"sha256:{'c' * 64}"
    assert one.record.file_name == "hdf5__1.14.5-amd64.sif"


def test_the_definition_of_an_imported_image_starts_from_the_unpacked_image() -> None:
    text = imported().files["container.def"].decode()
    assert text.startswith("Bootstrap: localimage\nFrom: image\n")
    assert "\n%startscript\n    serve\n%labels\n    org.label-schema.build-date " in text
    assert not imported().has_tests
    tested = replace(imported_definition(), text="Bootstrap: docker\nFrom: x\n%test\n  true\n")
    assert imported(tested).has_tests
    bare = replace(imported_definition(), text="Bootstrap: docker\nFrom: x\n")
    assert "container.def" not in imported(bare).files


def test_the_context_of_a_build_is_what_its_dockerfile_names() -> None:
    one = container()
    named = {
        word.rstrip("/")
        for line in one.files["Dockerfile"].decode().splitlines()
        if line.startswith("COPY [")
        for word in json.loads(line.removeprefix("COPY "))[:-1]
    }
    listed = one.files["context"].decode().splitlines()
    assert {*named, "spacktainer.artifacts.amd64/hdf5/Dockerfile"} == {*listed}
    assert one.files["images"].decode().splitlines() == [BUILDER, RUNTIME]


def test_without_a_reader_containers_are_built_without_keys() -> None:
    for run in (DEFAULT_BRANCH, BRANCH, MERGE_REQUEST):
        one = container(made_with=recipe(run))
        assert one.files["secrets"] == b""
        assert b"_variable" not in one.files["mirrors.yaml"]
    assert b"mirrors" not in one.files["spack.yaml"]
    branch = container(made_with=recipe(BRANCH))
    assert b"buildcache-default-branch" in branch.files["mirrors.yaml"]
    merge_request = container(made_with=recipe(MERGE_REQUEST))
    assert b"AWS_CACHE" not in merge_request.files["mirrors.yaml"]


def test_containers_are_built_with_the_keys_that_only_read() -> None:
    reader = "reader: {access_key_id_variable: READ_ID, secret_access_key_variable: READ_SECRET}"
    text = PUBLISHED_SITE.replace("{bucket: cache-amd64,", "{bucket: cache-amd64, " + reader + ",")
    for run in (DEFAULT_BRANCH, BRANCH, MERGE_REQUEST):
        # The part of the bucket that branches have is read with the same ones.
        assert container(made_with=recipe(run, text)).files["secrets"].decode().split() == ["READ_ID", "READ_SECRET"]
    text = text.replace(reader, f"{reader}, branches: {{bucket: other}}")
    # That of another one as well, unless it names others.
    assert container(made_with=recipe(BRANCH, text)).files["secrets"].decode().split() == ["READ_ID", "READ_SECRET"]
    text = text.replace("bucket: other", f"bucket: other, {reader.replace('READ_', 'OTHER_')}")
    branch = container(made_with=recipe(BRANCH, text)).files["secrets"].decode().split()
    assert branch == ["OTHER_ID", "OTHER_SECRET", "READ_ID", "READ_SECRET"]


@given(st.permutations(["a", "b", "c"]), st.sets(st.sampled_from(["a", "b", "c"])))
def test_each_container_is_planned_for_itself(order: list[str], missing: Collection[str]) -> None:
    found = wanted(*(container(spack_definition(name)) for name in order))
    lost = [one.reference for one in found.containers if one.name in missing]
    built = planned(found, without(found, *lost))
    assert {name.split()[1] for name in job_names(built) if name.startswith("build ")} == set(missing)
    assert {path.split("/")[0] for path in built.files} == set(missing)
    document = built.pipeline.document()
    assert check(document, Limits(), depth=1).findings == ()


def test_without_a_containers_bucket_there_are_no_sif_files() -> None:
    text = SITE.replace("    containers: {bucket: sifs}\n", "")
    found = wanted(container(made_with=recipe(text=text)), text=text)
    built = planned(found, unknown())
    assert job_names(built) == [BUILD, TAG]
    # So nobody else looks whether the image can run.
    script = "\n".join(job(built, TAG).script)
    assert script.index('jc audit "${IMAGE%:*}@$IMAGE_DIGEST"') < script.index("jc tag-image")
    assert job(built, TAG).variables["FOLDER"].endswith("/hdf5")
    other = planned(wanted(container()), unknown())
    assert "jc audit" not in "".join(job(other, TAG).script)


def test_a_container_that_shares_its_oci_name_keeps_to_its_own_tag() -> None:
    one = replace(container(), architecture="zen3")
    found = replace(wanted(one), architectures={one.name: ["zen4", "arm64"]})
    text = SITE.replace("  amd64:\n", "  zen4:\n    oci: amd64\n", 1)
    found = replace(found, place=replace(found.place, name="zen3", site=site(text)))
    built = planned(replace(found, context=found.context), Knowledge({}), Publications({}))
    assert [name for name in job_names(built) if name.startswith(("tag", "create multiarch", "publish"))] == []
    left = {decision.subject: decision.reason for decision in built.decisions if decision.action is Action.LEAVE_OUT}
    assert left[Subject.IMAGE_INDEX] == "the tag has one image for amd64, that for zen4; zen3 has a tag of its own"
    build = job(built, "build hdf5 container for zen3")
    assert build.variables["ARCHITECTURE"] == "amd64"
    assert build.variables["IMAGE"].endswith("-zen3")
