"""What of a concrete environment goes into a container."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from job_creator.environments.concrete import ConcreteEnvironment
from tests.locks import ENVIRONMENT, concrete, lockfile


def test_the_shipped_environment_says_nothing_of_where_it_was_built() -> None:
    """D113: a placeholder mirror and the internal `ci:` section were shipped."""
    assert concrete().shipped == {
        "spack": {
            "specs": ["hdf5@1.14 +mpi", "zlib"],
            "view": "/opt/view",
            "config": {"install_tree": {"root": "/opt/software"}},
        }
    }


@given(st.sets(st.sampled_from(["mirrors", "ci", "cdash", "bootstrap", "develop"])), st.sampled_from(["", ":", "+"]))
def test_marks_on_keys_hide_nothing(sections: set[str], mark: str) -> None:
    environment = {**ENVIRONMENT, **{f"{name}{mark}": {"secret": 1} for name in sections}}
    assert set(concrete(environment).shipped["spack"]) == {"specs", "view", "config"}


def test_the_commit_of_spack_in_the_lockfile_does_not_count() -> None:
    """D18: the checksum was over the file's bytes."""
    one, other = concrete(lock=lockfile(commit="a")), concrete(lock=lockfile(commit="b"))
    assert one.lock_sha256 != other.lock_sha256
    assert one.dag_hashes == other.dag_hashes
    assert one.dag_hashes != concrete(lock=lockfile([("zlib", "zlib", "1.3.2")])).dag_hashes


@pytest.mark.parametrize(
    ("view", "roots"),
    [
        (True, ("/opt/spack-environment/.spack-env/view",)),
        (False, ()),
        ("/opt/view", ("/opt/view",)),
        ("view", ("/opt/spack-environment/view",)),
        ({"default": {"root": "/a"}, "mpi": {"root": "b", "link": "run"}}, ("/a", "/opt/spack-environment/b")),
    ],
)
def test_the_roots_of_views(view: Any, roots: tuple[str, ...]) -> None:
    assert concrete({**ENVIRONMENT, "view": view}).view_roots == roots


@pytest.mark.parametrize("view", ["$spack/view", "/opt/a b", '/opt/"', {"default": {"root": "~/view"}}])
def test_a_view_that_only_spack_could_find_is_an_error_with_a_hint(view: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"hdf5/spack.yaml.*cannot be put into a container; give it a path"):
        _ = concrete({**ENVIRONMENT, "view": view}).view_roots


def test_without_a_word_spack_makes_a_view_in_the_environment() -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "view"}
    assert concrete(environment).view_roots == ("/opt/spack-environment/.spack-env/view",)


@pytest.mark.parametrize("config", [{}, {"install_tree": "$spack/opt"}, {"install_tree": {"root": "relative"}}])
def test_an_install_tree_without_a_place_is_an_error_with_a_hint(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"hdf5/spack.yaml.*install_tree.*set an absolute path"):
        _ = concrete({**ENVIRONMENT, "config": config}).install_root


@pytest.mark.parametrize(
    ("lock", "manifest", "message"),
    [
        (b"{", b"spack: {}", "not readable as JSON"),
        (lockfile(()), b"spack: {specs: []}", "locks nothing"),
        (lockfile(), b"specs: []", "holds no Spack environment"),
    ],
)
def test_what_is_no_environment_is_refused(lock: bytes, manifest: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ConcreteEnvironment.read(lock, manifest, "x")
