"""Buckets, caches and mirrors of the site file: a key that is added to one of them must not be forgotten elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from pydantic import create_model

from job_creator.site import places
from job_creator.site.places import BinaryMirror, Bucket, BucketKeys, BuildCache, ContainersBucket, Mirror, SourceMirror
from tests.samples import REPOSITORY

SHARED = {
    "bucket": "cache",
    "prefix": "a/b",
    "endpoint": "https://s3.example.org",
    "access_key_id_variable": "KEY_ID",
    "secret_access_key_variable": "SECRET",
    "reader": {"access_key_id_variable": "READ_ID", "secret_access_key_variable": "READ_SECRET"},
}


@pytest.fixture
def with_region(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it would be with one more key for all buckets."""
    text = (REPOSITORY / "job_creator" / "site" / "places.py").read_text()
    key = '    prefix: Prefix = ""\n'
    assert text.count(key) == 1, "the keys of a bucket stand in one place"
    module = ModuleType("places_with_region")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile(text.replace(key, f'{key}    region: str = ""\n'), places.__file__, "exec")
    exec(code, module.__dict__)  # noqa: S102
    return module


def test_a_sample_of_every_shared_key() -> None:
    assert SHARED.keys() == BucketKeys.model_fields.keys()


@pytest.mark.parametrize("kind", [Bucket, BuildCache, ContainersBucket, Mirror, SourceMirror, BinaryMirror])
def test_all_kinds_take_the_shared_keys(kind: type[BucketKeys]) -> None:
    assert kind.model_validate(SHARED).model_dump(include=set(SHARED)) == SHARED


def test_branches_and_mirrors_lie_in_the_same_bucket() -> None:
    own = {
        "access_key_id_variable": "AWS_BRANCHES_ACCESS_KEY_ID",
        "secret_access_key_variable": "AWS_BRANCHES_SECRET_ACCESS_KEY",
    }
    for kind in (BuildCache, ContainersBucket):
        branches = kind.model_validate(SHARED).of_branches()
        assert branches.model_dump(include=set(SHARED)) == {**SHARED, **own, "prefix": "a/b/branches"}
    assert Mirror.model_validate(SHARED).in_bucket == Bucket.model_validate(SHARED)


def test_a_key_of_the_cache_alone_does_not_reach_branches() -> None:
    """`of_branches` failed for every key that its list of exclusions did not name."""
    own: dict[str, Any] = {"compression": (str, "gzip")}
    wider = create_model("Wider", __base__=BuildCache, **own)
    branches = wider.model_validate({**SHARED, "compression": "zstd"}).of_branches()
    assert branches.url == BuildCache.model_validate(SHARED).of_branches().url


@pytest.mark.parametrize("kind", [Mirror, SourceMirror, BinaryMirror])
def test_a_key_of_a_mirror_alone_does_not_reach_its_bucket(kind: type[Mirror]) -> None:
    own: dict[str, Any] = {"priority": (int, 1)}
    wider = create_model("Wider", __base__=kind, **own)
    found = wider.model_validate({**SHARED, "priority": 2})
    assert isinstance(found, Mirror)
    assert found.in_bucket == Bucket.model_validate(SHARED)


def test_a_key_of_all_buckets_is_taken_everywhere(with_region: ModuleType) -> None:
    """`region` in `Bucket` was refused in mirrors, which repeated the keys."""
    keys = {**SHARED, "region": "eu-1"}
    assert with_region.BuildCache.model_validate(keys).of_branches().region == "eu-1"
    for kind in ("Mirror", "SourceMirror", "BinaryMirror"):
        assert getattr(with_region, kind).model_validate(keys).in_bucket.region == "eu-1"
    with pytest.raises(ValueError, match="add 'bucket:'"):
        with_region.Mirror.model_validate({"url": "https://example.org", "region": "eu-1"})
