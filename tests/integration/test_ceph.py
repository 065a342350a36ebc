"""SIF files on Ceph: published, installed, superseded and cleaned up on a server that checks what moto lets pass."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from foundation.stores import s3_parts
from foundation.stores.s3_client import s3_client
from tests.integration.ceph import ceph_environment_fixture, ceph_url_fixture
from tests.integration.published import (
    DIGEST,
    PART,
    RELEASE,
    World,
    branch,
    content_of,
    days_ago,
    sha256,
    sif,
    succeeded,
)

__all__ = ["ceph_environment_fixture", "ceph_url_fixture"]

pytestmark = pytest.mark.xdist_group("ceph")

_numbers = itertools.count()


@pytest.fixture
def world(ceph_environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(s3_parts, "PART_SIZE", PART)
    client = s3_client(ceph_environment)
    bucket = f"containers-{next(_numbers)}"
    client.create_bucket(Bucket=bucket)
    return World(ceph_environment, client, bucket, tmp_path)


@pytest.mark.parametrize("in_parts", [False, True], ids=["copied at once", "copied in parts"])
def test_a_file_is_published_with_its_record_and_installed(
    world: World, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    if in_parts:
        monkeypatch.setattr(s3_parts, "COPY_LIMIT", PART)
    content = content_of(2 * PART + 3)
    record = replace(RELEASE, ref="refs/heads/größe/x y")
    succeeded(world.publish(content, record, "--image-digest", DIGEST))
    stored, found = world.stored(record)
    assert stored == content
    assert found is not None
    assert replace(found, published="", etags="") == replace(
        record, image_digest=DIGEST, sha256=sha256(content), size=len(sif(content))
    )
    assert found.etags
    assert world.keys() == {"neuron__9.0.sif"}
    assert not world.unfinished()
    assert "published and up to date" in succeeded(world.publish(content, record, "--image-digest", DIGEST)).output
    succeeded(world.install(record, "--cluster", "alps"))
    assert world.link() == content
    assert world.has("installed/alps/neuron__9.0.sif")


def test_what_copies_keep_is_learnt_from_what_is_published(world: World) -> None:
    """Ceph leaves a copy its ETag, so from the second time on no checksum is computed for another one."""
    succeeded(world.publish(b"content"))
    succeeded(world.publish(b"other", replace(RELEASE, tag="10.0")))
    first, second = (world.stored(one)[1] for one in (RELEASE, replace(RELEASE, tag="10.0")))
    assert first is not None
    assert second is not None
    assert (len(first.etags.split()), len(second.etags.split())) == (2, 1)
    assert second.etags.endswith("-1")


def test_old_versions_and_deleted_branches_go(world: World) -> None:
    world.put("neuron__7.0.sif", replace(RELEASE, tag="7.0", published=days_ago(400)))
    gone = branch("Gone/Branch", "9.0__gone-branch")
    world.put(gone.file_name, replace(gone, published=days_ago(1)))
    succeeded(world.publish(b"content", RELEASE, "--keep", "1", "--older-than", "90"))
    assert world.keys() == {"neuron__9.0.sif", gone.file_name}
    succeeded(world.clean())
    assert world.keys() == {"neuron__9.0.sif"}
    assert "0 of 1 go" in succeeded(world.clean()).output


def test_wrong_keys_are_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    result = world.publish(b"content")
    assert result.exit_code == ExitCode.COULD_NOT_ASK
    assert "S3 says 403" in result.output
