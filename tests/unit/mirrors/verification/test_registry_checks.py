"""Build caches in registries: tags, manifests, URLs, and what is wrong with them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError
from foundation.registries.repository import parse_oci_url
from foundation.spack.index import Index
from foundation.spack.layout_oci import Descriptor, ImageManifest, read_manifest, spec_tags, tag_of
from job_creator.mirrors.findings import FindingKind
from job_creator.mirrors.verification import registry_checks

HASHES = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=32, max_size=32)
HASH = "a" * 32


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,60}", fullmatch=True), st.text(min_size=1, max_size=90), HASHES)
def test_a_spec_is_found_by_its_tag_whatever_its_version(name: str, version: str, hash_: str) -> None:
    tag = tag_of(name, version, hash_)
    assert len(tag) <= 128
    assert spec_tags([tag, "index.spack", "latest"]) == {hash_: tag}


def test_tags_are_those_of_spack() -> None:
    assert tag_of("zlib", "1.3", HASH) == f"zlib-1.3-{HASH}.spack"
    assert tag_of("zlib", "git.main=1.3+x", HASH) == f"zlib-git.main_1.3_x-{HASH}.spack"


@pytest.mark.parametrize(
    ("url", "registry", "repository", "is_plain"),
    [
        ("oci://registry.example.org/Group/cache/", "registry.example.org", "group/cache", False),
        ("oci+http://127.0.0.1:5000/cache", "127.0.0.1:5000", "cache", True),
    ],
)
def test_urls_name_a_repository(url: str, registry: str, repository: str, is_plain: bool) -> None:
    reference, plain = parse_oci_url(url)
    assert (reference.registry, reference.repository, plain) == (registry, repository, is_plain)


@pytest.mark.parametrize(
    "url", ["oci://host", "oci://host.org/", "oci://host.org/a:tag", "oci://host.org/a@sha256:1", "https://host.org/a"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=re.escape(url)):
        parse_oci_url(url)


def described(*contents: bytes, **changed: Any) -> bytes:
    config, *layers = ({"digest": digest(one), "size": len(one)} for one in contents)
    return json.dumps({"config": config, "layers": layers, **changed}).encode()


def test_a_manifest_leads_to_its_blobs_and_the_last_layer_is_the_package() -> None:
    manifest = read_manifest(described(b"spec", b"dependency", b"own"), "tag")
    assert manifest.config == Descriptor(digest(b"spec"), 4)
    assert manifest.own == Descriptor(digest(b"own"), 3)
    assert len(manifest.blobs) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        described(b"spec"),
        described(b"spec", b"own", config=None),
        described(b"spec", b"own", config={"digest": "sha256:1", "size": 4}),
        described(b"spec", b"own", layers=[{"digest": f"../{digest(b'own')}", "size": 3}]),
        described(b"spec", b"own", layers=[{"digest": digest(b"own"), "size": "3"}]),
    ],
)
def test_what_is_no_manifest_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError):
        read_manifest(data, "tag")


def test_a_manifest_has_to_have_the_digest_that_the_registry_says() -> None:
    data = described(b"spec", b"own")
    assert registry_checks.check_manifest("tag", data, "")[1] == ()
    assert registry_checks.check_manifest("tag", data, digest(data))[1] == ()
    (finding,) = registry_checks.check_manifest("tag", data, digest(b"other"))[1]
    assert (finding.kind, finding.key) == (FindingKind.CHECKSUM, "tag")


@pytest.mark.parametrize(("size", "kind"), [(3, None), (-1, None), (2, FindingKind.SIZE), (None, FindingKind.MISSING)])
def test_blobs_have_to_be_there_in_the_size_of_the_manifest(size: int | None, kind: FindingKind | None) -> None:
    manifests = {"tag": ImageManifest(Descriptor("a", 4), (Descriptor("b", 3),))}
    found = [one.kind for one in registry_checks.check_blobs(manifests, {"a": 4, "b": size})]
    assert found == ([kind] if kind else [])
    assert registry_checks.is_whole(manifests["tag"], {"a": 4, "b": size}) == (size is not None)


def config_of(archive: bytes, **changed: Any) -> bytes:
    node = {"name": "zlib", "version": "1.3", "hash": HASH, **changed}
    checksum = {"hash_algorithm": "sha256", "hash": hashlib.sha256(archive).hexdigest()}
    return json.dumps({"spec": {"_meta": {"version": 5}, "nodes": [node]}, "binary_cache_checksum": checksum}).encode()


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (config_of(b"own"), None),
        (config_of(b"other"), FindingKind.MANIFEST),
        (config_of(b"own", version="1.2"), FindingKind.NAME),
        (config_of(b"own", hash="b" * 32), FindingKind.MANIFEST),
        (b"{}", FindingKind.MANIFEST),
        (b"no JSON", FindingKind.MANIFEST),
    ],
)
def test_a_tag_leads_to_the_spec_that_it_names(config: bytes, kind: FindingKind | None) -> None:
    manifest = read_manifest(described(config, b"own"), "tag")
    found = registry_checks.check_spec(f"zlib-1.3-{HASH}.spack", HASH, manifest, config, Index(0))
    assert [one.kind for one in found] == ([kind] if kind else [])
