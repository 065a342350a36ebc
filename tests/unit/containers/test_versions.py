"""Versions of containers, and the tags made of them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.registries.reference import parse_reference
from foundation.yaml_io import dump
from job_creator.containers.versions import image_version, legal_version, tag_of
from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.environments.from_spack import write_from_spack
from job_creator.site.run import Context
from tests.locks import lockfile
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


LOCK = lockfile([("hdf5@1.12", "hdf5", "1.12.3"), ("hdf5@1.14", "hdf5", "1.14.5"), ("zlib", "zlib", "1.3")])
MANIFEST = dump({"spack": {"specs": ["any"]}}).encode()


def root(*order: str) -> str:
    """The version of what the environment asks for first, when Spack says that the roots are in this order."""
    hashes = {one["spec"]: one["hash"] for one in json.loads(LOCK)["roots"]}
    said = write_from_spack((spec, hashes.get(spec, "unknown")) for spec in order)
    read = ConcreteEnvironment.read(LOCK, MANIFEST, "amd64/hdf5", said if order else None)
    return read.lock.specs[read.root].version


def test_the_version_is_that_of_the_root_that_spack_names_first() -> None:
    """D29: names were once cut out of specs, and most of them ended in StopIteration."""
    assert root("hdf5@1.14", "hdf5@1.12", "zlib") == "1.14.5"
    assert root("zlib", "hdf5@1.12") == "1.3"


def test_without_spacks_word_the_first_root_of_the_lockfile_counts() -> None:
    assert root() == "1.12.3"
    assert root("gone", "zlib") == "1.3"


@pytest.mark.parametrize("said", [b"", b"[]", b'{"roots": [{}], "faults": []}', b'{"roots": 1, "faults": []}', b"{}"])
def test_what_the_job_did_not_write_is_refused(said: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"amd64/hdf5/from_spack\.json"):
        ConcreteEnvironment.read(LOCK, MANIFEST, "amd64/hdf5", said)


def test_what_spack_will_refuse_is_a_fault_of_the_environment() -> None:
    with pytest.raises(InvalidInputError, match="the view default cannot be made"):
        ConcreteEnvironment.read(LOCK, MANIFEST, "x", b'{"roots": [], "faults": ["the view default cannot be made"]}')


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("bluebrain/nexus:1.9", "1.9"),
        ("host.example.org:5000/nexus", "latest"),
        (f"nexus@sha256:{'ab' * 32}", "sha256-abababababababab"),
    ],
)
def test_the_version_of_an_imported_image(image: str, expected: str) -> None:
    """D35: no tag, a registry with a port and digests broke the first system."""
    assert image_version(parse_reference(image)) == expected


def test_the_tag_says_the_branch_but_on_the_default_one() -> None:
    assert tag_of("1.2", Context.from_environment(DEFAULT_BRANCH)) == "1.2"
    assert tag_of("1.2", Context.from_environment(BRANCH)) == f"1.2__{Context.from_environment(BRANCH).ref_slug}"
    assert (
        tag_of("1.2", Context.from_environment(MERGE_REQUEST))
        == f"1.2__{Context.from_environment(MERGE_REQUEST).ref_slug}"
    )
    assert tag_of("1.2", Context.from_environment({})) == "1.2__local"


@given(st.text(min_size=1), st.sampled_from([DEFAULT_BRANCH, BRANCH, {}]), st.sampled_from(["amd64", "ppc64le"]))
def test_every_version_makes_a_legal_tag(text: str, environment: dict[str, str], architecture: str) -> None:
    """D33: `git.abc=1.2` is a version of Spack and no tag of OCI."""
    tag = f"{tag_of(text, Context.from_environment(environment))}-{architecture}"
    assert TAG.fullmatch(tag)
    assert tag.count("__") == (environment != DEFAULT_BRANCH)


def test_long_versions_stay_different() -> None:
    assert legal_version("git.v1=1.2") == "git.v1-1.2"
    assert legal_version("a" * 60 + "1") != legal_version("a" * 60 + "2")
