"""Spack's lockfiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.spack.lockfile import read_lockfile
from tests.spack_ci import RECORDINGS, lockfile


@pytest.mark.parametrize("path", sorted(RECORDINGS.rglob("spack.lock")), ids=lambda path: "-".join(path.parts[-4:-2]))
def test_lockfiles_of_all_lines_are_read(path: Path) -> None:
    lock = read_lockfile(path.read_bytes(), "spack.lock")
    assert lock.roots
    assert all(root in lock.specs for root in lock.roots)
    assert all(dependency in lock.specs for spec in lock.specs.values() for dependency in spec.dependencies)


def test_externals_and_splices_are_told() -> None:
    value = json.loads(lockfile({"app": ["lib"], "lib": []}))
    app, lib = value["concrete_specs"]
    value["concrete_specs"][lib]["external"] = {"path": "/usr"}
    value["concrete_specs"][app]["build_spec"] = {"name": "app", "hash": lib}
    value["concrete_specs"][app]["dependencies"] = []
    lock = read_lockfile(json.dumps(value).encode(), "spack.lock")
    assert lock.specs[lib].is_external
    assert lock.specs[app].dependencies == (lib,)


@pytest.mark.parametrize(
    ("key", "name", "version"),
    [
        ("lib", "../../steps", "1"),
        ("lib", "a b", "1"),
        ("lib", "$(id)", "1"),
        ("../lib", "lib", "1"),
        ("$KEY", "lib", "1"),
        ("lib", "lib", "1 ; id"),
        ("lib", "lib", "$PRIVATE"),
        ("lib", "lib", "1\nscript: [id]"),
        ("lib", "", "1"),
    ],
)
def test_what_is_no_name_of_a_package_is_refused(key: str, name: str, version: str) -> None:
    """Folders, jobs and variables are named by these, and a recipe can have anything written into a lockfile."""
    value = json.loads(lockfile({"lib": []}))
    (node,) = value["concrete_specs"].values()
    value["concrete_specs"] = {key: {**node, "name": name, "version": version}}
    with pytest.raises(InvalidInputError, match="are no package's name, version and hash"):
        read_lockfile(json.dumps(value).encode(), "spack.lock")


@pytest.mark.parametrize("version", ["1.2.3-rc1_b", "git.feature/x=1.2", "git.v1.0+x~1=develop", "2024.01"])
def test_what_spack_names_versions_is_read(version: str) -> None:
    value = json.loads(lockfile({"lib": []}))
    for node in value["concrete_specs"].values():
        node["version"] = version
    assert [spec.version for spec in read_lockfile(json.dumps(value).encode(), "x").specs.values()] == [version]


def test_included_environments_count() -> None:
    value = json.loads(lockfile({"app": []}))
    value["include_concrete"] = {"/env": json.loads(lockfile({"lib": []}))}
    lock = read_lockfile(json.dumps(value).encode(), "x")
    assert {spec.name for spec in lock.specs.values()} == {"app", "lib"}
    assert [lock.specs[root].name for root in lock.roots] == ["app"]
    assert [lock.specs[root].name for root in lock.included_roots] == ["lib"]


NEW_DEPENDENCIES: list[dict[str, Any]] = [
    {"name": name, "hash": name, "parameters": {"deptypes": types, "virtuals": []}}
    for name, types in [
        ("l", ["link"]),
        ("r", ["build"]),
        ("r", ["run"]),
        ("bl", ["build", "link"]),
        ("b", ["build"]),
        ("t", ["test"]),
    ]
]
OLD_DEPENDENCIES = [
    {"name": one["name"], "hash": one["hash"], "type": one["parameters"]["deptypes"]} for one in NEW_DEPENDENCIES
]


@pytest.mark.parametrize(
    ("version", "dependencies"), [(4, OLD_DEPENDENCIES), (5, NEW_DEPENDENCIES), (6, NEW_DEPENDENCIES)]
)
def test_types_of_dependencies_are_told(version: int, dependencies: list[dict[str, object]]) -> None:
    value = json.loads(lockfile({"app": []}))
    value["_meta"]["lockfile-version"] = version
    (root,) = value["concrete_specs"]
    value["concrete_specs"][root] |= {"dependencies": dependencies, "build_spec": {"name": "app", "hash": "s"}}
    spec = read_lockfile(json.dumps(value).encode(), "spack.lock").specs[root]
    assert spec.dependencies == ("l", "r", "bl", "b", "t", "s")
    assert spec.runtime_dependencies == ("l", "r", "bl", "s")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "spack.lock:1:1: not readable as JSON; is the file truncated?"),
        (b"[]", "spack.lock:1:1: no lockfile of Spack"),
        (b'{"_meta": {"file-type": "spack-lockfile", "lockfile-version": 99}}', "lockfile version 99 is not known"),
        (b'{"_meta": {"file-type": "spack-lockfile", "lockfile-version": 6}}', "not laid out like a lockfile"),
    ],
)
def test_what_is_no_lockfile_says_so(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_lockfile(content, "spack.lock")
    assert message in str(caught.value)


@given(st.binary(max_size=50))
def test_any_bytes_give_a_lockfile_or_a_fault(content: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_lockfile(content, "spack.lock")


@pytest.mark.parametrize("version", [7, 8])
def test_lockfiles_with_groups_say_the_group_of_each_root(version: int) -> None:
    value = json.loads(lockfile({"app": ["lib"], "lib": []}, {"lib": "base", "app": "default"}))
    value["_meta"] |= {"lockfile-version": version, "specfile-version": version - 2}
    for node in value["concrete_specs"].values():
        node["provided_virtuals"] = ["mpi@3:"]
    lock = read_lockfile(json.dumps(value).encode(), "spack.lock")
    assert dict(zip(lock.root_texts, lock.root_groups, strict=True)) == {"app": "default", "lib": "base"}
    assert [spec.dependencies for spec in lock.specs.values() if spec.name == "app"] == [lock.roots[1:]]
    # Before version 7 everything is in one group.
    assert set(read_lockfile(lockfile({"app": [], "lib": []}), "spack.lock").root_groups) == {"default"}


@pytest.mark.parametrize("version", [7, 8])
@pytest.mark.parametrize("path", sorted(RECORDINGS.rglob("spack.lock")), ids=lambda path: "-".join(path.parts[-4:-2]))
def test_a_lockfile_says_the_same_in_versions_with_groups(path: Path, version: int) -> None:
    value = json.loads(path.read_bytes())
    groups = [("default", "tools", "a name with spaces")[index % 3] for index, _ in enumerate(value["roots"])]
    value["_meta"] |= {"lockfile-version": version, "specfile-version": version - 2}
    value["roots"] = [{**root, "group": group} for root, group in zip(value["roots"], groups, strict=True)]
    found = read_lockfile(json.dumps(value).encode(), "spack.lock")
    before = read_lockfile(path.read_bytes(), "spack.lock")
    assert list(found.root_groups) == groups
    assert (found.roots, found.root_texts, found.specs.keys()) == (before.roots, before.root_texts, before.specs.keys())


def test_a_root_without_a_group_is_in_the_default_one() -> None:
    value = json.loads(lockfile({"app": [], "lib": []}, {"app": "tools", "lib": "tools"}))
    del value["roots"][0]["group"]
    assert read_lockfile(json.dumps(value).encode(), "spack.lock").root_groups == ("default", "tools")
