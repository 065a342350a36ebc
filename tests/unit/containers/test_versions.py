"""Versions of containers, and the tags made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.registries.reference import parse_reference
from foundation.spack.lockfile import read_lockfile
from job_creator.containers.versions import first_spec, image_version, legal_version, spack_version, tag_of
from job_creator.site.run import Context
from tests.locks import lockfile
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def version(environment: Mapping[str, Any], *roots: tuple[str, str, str]) -> str:
    return spack_version(read_lockfile(lockfile(roots), "spack.lock"), environment)


@pytest.mark.parametrize(
    ("spec", "text", "name"),
    [
        ("neuron@9.0", "neuron@9.0", "neuron"),
        ("hdf5 %gcc@12", "hdf5%gcc@12", "hdf5"),
        ("x model=y", "x model=y", "x"),
        ("py-foo@1.2 ^python@3.11", "py-foo@1.2 ^python@3.11", "py-foo"),
        ("builtin.zlib-ng +compat", "zlib-ng+compat", "zlib-ng"),
        ("hdf5~shared +mpi", "hdf5+mpi~shared", "hdf5"),
    ],
)
def test_the_version_is_that_of_the_first_spec_whatever_its_syntax(spec: str, text: str, name: str) -> None:
    """D29: what stood before `~` or `+` was taken for the package, and most specs ended in StopIteration."""
    assert version({"specs": [spec, "other"]}, ("other", "other", "2"), (text, name, "9.0.1")) == "9.0.1"


@pytest.mark.parametrize(
    "environment",
    [
        {"specs": [{"matrix": [["hdf5"], ["%gcc", "%clang"]]}, "zlib"]},
        {"definitions": [{"packages": ["hdf5 %gcc"]}], "specs": ["$packages"]},
        {"definitions": [{"ps": ["hdf5"]}, {"cs": ["%gcc"]}], "specs": [{"matrix": [["$ps"], ["$cs"]]}]},
        {"specs": [{"group": "tools", "specs": ["hdf5"]}]},
    ],
)
def test_matrices_and_definitions_are_followed_to_their_first_entry(environment: dict[str, Any]) -> None:
    assert version(environment, ("zlib", "zlib", "1"), ("hdf5 %gcc", "hdf5", "1.14.5")) == "1.14.5"


def test_of_two_roots_of_one_package_the_one_that_was_asked_for_first_counts() -> None:
    roots = (("hdf5@1.14", "hdf5", "1.14.5"), ("hdf5@1.12", "hdf5", "1.12.3"))
    assert version({"specs": ["hdf5@1.12", "hdf5@1.14"]}, *roots) == "1.12.3"


def test_a_virtual_package_takes_the_first_root() -> None:
    assert version({"specs": ["mpi"]}, ("mpi", "mpich", "4.2")) == "4.2"
    assert version({"specs": []}, ("mpi", "mpich", "4.2")) == "4.2"


def test_definitions_that_refer_to_themselves_end() -> None:
    assert first_spec({"definitions": [{"a": ["$b"]}, {"b": ["$a"]}], "specs": ["$a"]}) == "$a"


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
    assert tag_of("1.2", Context.from_environment(BRANCH)) == "1.2__feature-x-1"
    assert tag_of("1.2", Context.from_environment(MERGE_REQUEST)) == "1.2__main"
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
