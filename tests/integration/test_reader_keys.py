"""Branches on a server that holds each pair of keys to what it is for: what is released they read, and cannot touch."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import Result

from foundation.errors import CouldNotAskError, ExitCode, RefusedError
from foundation.stores.bucket import S3Store
from foundation.stores.s3_client import S3Keys, S3Location, s3_client
from job_creator.engines.gitlab.container_pipeline import plan
from job_creator.engines.gitlab.container_questions import WantedContainers
from job_creator.engines.gitlab.container_questions import keys as asked_keys
from job_creator.engines.gitlab.names import NOTHING_TO_DO
from job_creator.images.knowledge import Knowledge
from job_creator.pipelines.publications import ask_buckets
from job_creator.publishing.record import PublicationRecord
from tests.containers import DIGEST, container, images_of, recipe, wanted
from tests.documentation import DOCS
from tests.integration.ceph import OTHERS, ceph_environment_fixture, ceph_url_fixture
from tests.integration.published import World, content_of, sif, succeeded
from tests.samples import BRANCH, DEFAULT_BRANCH, SITE

__all__ = ["ceph_environment_fixture", "ceph_url_fixture"]

pytestmark = pytest.mark.xdist_group("ceph")

_numbers = itertools.count()
CREATE = "create hdf5 sif file for amd64"
CONTAINERS = """\
containers:
      bucket: {bucket}
      endpoint: {url}
      reader: {{access_key_id_variable: READ_ID, secret_access_key_variable: READ_SECRET}}
"""
CONTENT = content_of(1 << 20)


def policy(bucket: str) -> str:
    """The one of the documentation, for this bucket."""
    text = (DOCS / "variables-and-permissions.md").read_text()
    (found,) = re.findall(r"^\{\"Version\".+?(?=^```$)", text, re.MULTILINE | re.DOTALL)
    return str(found).replace("my-bucket", bucket)


@dataclass
class Released:
    """A bucket in which the default branch has published a file."""

    world: World
    patch: pytest.MonkeyPatch

    @property
    def site(self) -> str:
        places = CONTAINERS.format(bucket=self.world.bucket, url=self.world.url)
        return SITE.replace("containers: {bucket: sifs}", places)

    def asked(self, environment: Mapping[str, str]) -> WantedContainers:
        made = container(made_with=recipe(environment, self.site))
        return wanted(made, environment=environment, text=self.site)

    def use(self, user: str) -> None:
        """Let the keys of a user be those that S3 clients find."""
        for name, text in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), OTHERS[user], strict=True):
            self.patch.setenv(name, text)

    def store(self, prefix: str, user: str) -> S3Store:
        return S3Store(S3Location(self.world.bucket, prefix), self.world.url, keys=S3Keys(*OTHERS[user]))

    def publish(self, file: str | Path, record: PublicationRecord, prefix: str, *more: str) -> Result:
        path = self.world.path / "record.json"
        path.write_text(record.to_json())
        to = f"s3://{self.world.bucket}/{prefix}"
        return self.world.jc("publish-sif", file, "--record", path, "--to", to, "--image-digest", DIGEST, *more)

    def keys(self) -> dict[str, str]:
        """All that is in the bucket, as its owner sees it, with what tells contents apart."""
        listed = self.world.client.list_objects_v2(Bucket=self.world.bucket).get("Contents", [])
        return {one["Key"]: one["ETag"] for one in listed}


@pytest.fixture(name="released")
def released_fixture(ceph_environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    client = s3_client(ceph_environment)
    bucket = f"released-{next(_numbers)}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    found = Released(World(ceph_environment, client, bucket, tmp_path), monkeypatch)
    file = tmp_path / "made.sif"
    file.write_bytes(sif(CONTENT))
    (one,) = found.asked(DEFAULT_BRANCH).containers
    succeeded(found.publish(file, one.record, "containers"))
    return found


def test_a_branch_reads_what_is_released_and_publishes_a_copy_in_its_place(released: Released) -> None:
    before = released.keys()
    released.use("branches")
    asked = released.asked(BRANCH)
    found = ask_buckets(asked, dict(zip(("READ_ID", "READ_SECRET"), OTHERS["reader"], strict=True)))
    built = plan(asked, Knowledge(images_of(asked)), found)
    copying = built.pipeline.job(CREATE)
    (theirs,) = before
    assert copying.variables["SIF"] == f"s3://{released.world.bucket}/{theirs}"
    assert f"--source-endpoint-url {released.world.url}" in copying.script[-1]
    # Which the server does not let those read who write in the place of branches.
    record = asked.containers[0].record
    arguments = (copying.variables["SIF"], record, "containers/branches", "--source-endpoint-url", released.world.url)
    refused = released.publish(*arguments)
    assert refused.exit_code == ExitCode.COULD_NOT_ASK
    assert "S3 says 403" in refused.output
    for name, text in zip(("ID", "SECRET"), OTHERS["reader"], strict=True):
        variable = "SOURCE_AWS_ACCESS_KEY_ID" if name == "ID" else "SOURCE_AWS_SECRET_ACCESS_KEY"
        released.patch.setenv(variable, text)
    succeeded(released.publish(*arguments))
    copied = released.store("containers/branches", "branches").read(record.file_name)
    assert copied is not None
    assert copied.data == sif(CONTENT)
    assert before.items() <= released.keys().items()
    again = ask_buckets(asked, {})
    assert [job.name for job in plan(asked, Knowledge(images_of(asked)), again).pipeline.jobs] == [NOTHING_TO_DO]


def test_the_readers_keys_read_and_can_do_nothing_else(released: Released) -> None:
    before = released.keys()
    store = released.store("containers", "reader")
    (key,) = (one.key for one in store.list(""))
    found = store.read(key)
    assert found is not None
    assert found.data == sif(CONTENT)
    with pytest.raises(RefusedError, match="may not be written"):
        store.require_writable([key])
    assert store.delete([key]) == {key: "AccessDenied"}
    released.use("reader")
    (one,) = released.asked(DEFAULT_BRANCH).containers
    result = released.publish(released.world.path / "made.sif", replace(one.record, tag="2-amd64"), "containers")
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert "AccessDenied" in result.output
    assert released.keys() == before


def test_the_keys_of_branches_fill_and_empty_their_own_place_alone(released: Released) -> None:
    before = released.keys()
    own = released.store("containers/branches", "branches")
    own.write("a", b"1")
    assert [one.key for one in own.list("")] == ["a"]
    others = released.store("containers", "branches")
    (theirs,) = (key.removeprefix("containers/") for key in before)
    for touch in (lambda: others.write(theirs, b"forged"), lambda: others.read(theirs)):
        with pytest.raises(CouldNotAskError, match="AccessDenied"):
            touch()
    assert others.delete([theirs]) == {theirs: "AccessDenied"}
    assert own.delete(["a"]) == {}
    assert released.keys() == before


def test_what_a_branch_puts_under_the_default_branchs_names_changes_nothing_there(released: Released) -> None:
    asked = released.asked(DEFAULT_BRANCH)
    before = ask_buckets(asked, {})
    assert before.records
    own = released.store("containers/branches", "branches")
    forged = replace(asked.containers[0].record, image_digest=DIGEST, sha256="f" * 64, size=6)
    file = released.world.path / "forged"
    file.write_bytes(b"forged")
    for key in (*before.records, *asked_keys(asked)):
        own.mark(key, forged.to_metadata())
        assert own.upload(file, f"{key}.new", lambda _: None).size == len(b"forged")
    assert ask_buckets(asked, {}) == before
    built = plan(asked, Knowledge(images_of(asked)), ask_buckets(asked, {}))
    assert [job.name for job in built.pipeline.jobs] == [NOTHING_TO_DO]


def test_a_branch_without_the_readers_keys_makes_its_files_itself(
    released: Released, caplog: pytest.LogCaptureFixture
) -> None:
    released.use("branches")
    asked = released.asked(BRANCH)
    built = plan(asked, Knowledge(images_of(asked)), ask_buckets(asked, {}))
    assert "singularity build" in built.pipeline.job(CREATE).script[-1]
    assert "its reader's keys are not set" in caplog.text


def test_the_policy_is_that_of_the_documentation() -> None:
    statements = json.loads(policy("my-bucket"))["Statement"]
    assert [one["Effect"] for one in statements] == ["Allow"] * 3
