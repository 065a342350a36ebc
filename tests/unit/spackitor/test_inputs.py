"""What cleaning goes by: keep lists, lockfiles, package repositories, names of specs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundation.errors import DamagedError, FileAccessError, InvalidInputError, NotThereError, RefusedError
from foundation.spack.specs import Spec
from foundation.stores.store import Content
from spackitor.inventory.roots import (
    RootSet,
    SpecNeeds,
    key_of,
    read_root_set,
    root_set_as_json,
    roots_of_keep_list,
    roots_of_lockfile,
    union,
)
from spackitor.inventory.selection import select
from spackitor.policy.repositories import canonical, read_repositories
from tests.spack_ci import lockfile

HASH = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_keep_list() -> None:
    roots = roots_of_keep_list(f"/{HASH}  # why\n\n{HASH}\n".encode(), "keep")
    assert roots.hashes == (HASH,)


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", f"{HASH}\n/tooshort\n", HASH.upper()])
def test_a_keep_list_that_cannot_be_relied_on_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        roots_of_keep_list(text.encode(), "keep")


def test_roots_of_a_lockfile_with_its_edges() -> None:
    value = json.loads(lockfile({"app": ["lib"], "lib": []}))
    value["include_concrete"] = {"/env": json.loads(lockfile({"more": []}))}
    roots = roots_of_lockfile(json.dumps(value).encode(), "spack.lock")
    by_name = {spec["name"]: hash_ for hash_, spec in value["concrete_specs"].items()}
    (more,) = value["include_concrete"]["/env"]["concrete_specs"]
    assert set(roots.hashes) == {*(root["hash"] for root in value["roots"]), more}
    needs = roots.edges[by_name["app"]]
    assert by_name["lib"] in (*needs.runtime, *needs.build)


def test_a_lockfile_without_roots_is_refused() -> None:
    value = json.loads(lockfile({"app": []})) | {"roots": []}
    with pytest.raises(InvalidInputError, match="without roots"):
        roots_of_lockfile(json.dumps(value).encode(), "spack.lock")


def test_root_sets_are_stored_under_any_name() -> None:
    roots = union("feature/ä b", [RootSet("x", (HASH,), {HASH: SpecNeeds(("a",), ("b",))})], 5.0)
    assert key_of(roots.name) == ".spackitor/roots/feature%2F%C3%A4%20b.json"
    assert read_root_set(Content(root_set_as_json(roots), ""), key_of(roots.name)) == roots
    for broken in (b"{", b"[]", b'{"version": 2}'):
        with pytest.raises(DamagedError):
            read_root_set(Content(broken, ""), key_of("x"))


def repository(root: Path, namespace: str, *names: str, packages: str = "packages") -> Path:
    root.mkdir(parents=True)
    extra = "" if packages == "packages" else f"  subdirectory: {packages}\n"
    (root / "repo.yaml").write_text(f"repo:\n  namespace: {namespace}\n{extra}")
    for name in names:
        (root / packages / name).mkdir(parents=True)
        (root / packages / name / "package.py").touch()
    return root


def test_repositories_before_and_after_the_split_and_any_other(tmp_path: Path) -> None:
    old, new, own = tmp_path / "spack-0.23", tmp_path / "spack-packages", tmp_path / "own"
    repository(old / "var/spack/repos/builtin", "builtin", "py-numpy", "7zip")
    repository(old / "var/spack/test_repos/builtin.mock", "builtin.mock", "mock")
    repository(new / "repos/spack_repo/builtin", "builtin", "py_numpy", "_3proxy")
    repository(own, "own", "app", packages="recipes")
    assert read_repositories([old]) == {"builtin": {"py-numpy", "7zip"}}
    assert read_repositories([new, own]) == {"builtin": {"py-numpy", "3proxy"}, "own": {"app"}}
    assert canonical("_7zip") == canonical("7zip")


def test_d81_an_empty_list_of_packages_is_an_error(tmp_path: Path) -> None:
    """D81: the folder had moved, so that every package seemed to be gone."""
    modern = tmp_path / "spack-1.1"
    repository(modern / "var/spack/test_repos/spack_repo/builtin_mock", "builtin_mock", "mock")
    with pytest.raises(InvalidInputError, match="no package repository in it"):
        read_repositories([modern])
    (repository(tmp_path / "sparse", "builtin") / "packages").mkdir()
    with pytest.raises(InvalidInputError, match="a repository without packages"):
        read_repositories([tmp_path / "sparse"])
    half = repository(tmp_path / "half", "builtin")
    with pytest.raises(FileAccessError):
        read_repositories([half])
    with pytest.raises(FileAccessError):
        read_repositories([tmp_path / "nothing"])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/repo.yaml").write_text("nonsense: [")
    with pytest.raises(InvalidInputError, match=r"not a 'repo\.yaml'"):
        read_repositories([tmp_path / "bad"])


def specs(*texts: str) -> dict[str, Spec]:
    found = {}
    for text in texts:
        name, version, hash_ = text.split()
        found[hash_] = Spec(hash_, name, version, "builtin", "", False, (), ())
    return found


KNOWN = specs("openmpi 4.1.5 aaaa", "openmpi 5.0 aabb", "py-numpy 1.26 bbbb", "git-x main=1.2 cccc")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("openmpi", {"aaaa", "aabb"}),
        ("openmpi@5.0", {"aabb"}),
        ("openmpi@4*", {"aaaa"}),
        ("/aaa", {"aaaa"}),
        ("openmpi/aab", {"aabb"}),
        ("py-*", {"bbbb"}),
        ("*", {"aaaa", "aabb", "bbbb", "cccc"}),
        ("git-x@main=1.2", {"cccc"}),
    ],
)
def test_specs_are_selected(text: str, meant: set[str]) -> None:
    assert select(KNOWN, [text]).keys() == meant


def test_what_means_nothing_or_too_much_is_an_error() -> None:
    with pytest.raises(NotThereError):
        select(KNOWN, ["mpich"])
    with pytest.raises(RefusedError, match="means 2 specs"):
        select(KNOWN, ["/aa"])
    for text in ("", "openmpi +cuda", "a/b/c", "openmpi%gcc"):
        with pytest.raises(RefusedError):
            select(KNOWN, [text])
