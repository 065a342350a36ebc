"""What cleaning goes by: keep lists, lockfiles, package repositories, names of specs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from foundation.errors import DamagedError, FileAccessError, InvalidInputError, NotThereError, RefusedError
from foundation.stores.folder import FileSystemStore
from foundation.stores.store import Content
from spackitor.inventory.inventory import Inventory
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
from spackitor.inventory.selection import joined, roots_of_specs, select
from spackitor.policy.repositories import canonical, read_repositories
from spackitor.survey.survey import survey
from tests.spack_ci import lockfile
from tests.unit.spackitor.mirrors import Made, MadeMirror, dag_hash, node_of

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


SPECS = (
    Made("openmpi", builds=["gcc"], version="4.1.5"),
    Made("gcc", version="12.2.0", is_external=True, is_cached=False),
    Made("openmpi5", version="5.0", extra={"name": "openmpi"}),
    Made("py-numpy", ["openmpi"], version="1.26", extra={"parameters": {"mkl": True}}),
    Made("git-x", version="git.main=1.2"),
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    root = tmp_path_factory.mktemp("cache")
    MadeMirror(root, "v3", SPECS, now=time.time())
    return survey(FileSystemStore(root)).inventory


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("openmpi", {"openmpi", "openmpi5"}),
        ("openmpi@5.0", {"openmpi5"}),
        ("openmpi@4", {"openmpi"}),
        ("openmpi@=4", None),
        ("openmpi@4.2:", {"openmpi5"}),
        (f"/{dag_hash('git-x')[:7]}", {"git-x"}),
        (f"openmpi/{dag_hash('openmpi')[:7]}", {"openmpi"}),
        ("py-*", {"py-numpy"}),
        ("py-* +mkl", {"py-numpy"}),
        ("[pg]*@1.2", {"git-x"}),
        ("py-*~mkl", None),
        ("*", {"openmpi", "openmpi5", "py-numpy", "git-x"}),
        ("* target=x86_64_v3: os=debian12", {"openmpi", "openmpi5", "py-numpy", "git-x"}),
        ("git-x@git.main=1.2", {"git-x"}),
        ("%gcc@12", {"openmpi"}),
        ("py-numpy ^openmpi@4 %gcc@12:", {"py-numpy"}),
        ("py-numpy ^openmpi@5", None),
        ("mpich", None),
    ],
)
def test_specs_are_selected(known: Inventory, text: str, meant: set[str] | None) -> None:
    if meant is None:
        with pytest.raises(NotThereError):
            select(known, [text])
        return
    assert select(known, [text]).keys() == {dag_hash(name) for name in meant}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no spec"),
        ("a/b/c", "character 4: a second spec begins"),
        ("openmpi@4*", "character 10: only names can be patterns"),
        ("py-* numpy", "character 6: a second spec"),
        ("openmpi target=zen33", "character 9: 'zen33' is no target; did you mean 'zen3'"),
        ("openmpi@git.main", "say which version it counts as"),
        ("openmpi os=*", "leave it out"),
        ("openmpi ^[when=+x] zlib", "conditions"),
    ],
)
def test_what_cannot_be_understood_or_judged_is_refused_with_its_place(known: Inventory, text: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        select(known, [text])


def test_a_hash_means_one_spec_and_a_virtual_package_none(tmp_path: Path) -> None:
    user = node_of(Made("app", ["openmpi"]), 5)
    user["dependencies"][0]["parameters"]["virtuals"] = ["mpi"]
    extra = {"dependencies": user["dependencies"]}
    letters = {name: dag_hash(name)[0] for name in map(str, range(40))}
    twins = next([a, b] for a in letters for b in letters if a < b and letters[a] == letters[b])
    MadeMirror(
        tmp_path, "v3", [Made("app", ["openmpi"], extra=extra), *map(Made, twins), Made("openmpi")], now=time.time()
    )
    cache = survey(FileSystemStore(tmp_path)).inventory
    with pytest.raises(RefusedError, match=r"means \d specs; write more of the hash"):
        select(cache, [f"/{letters[twins[0]]}"])
    with pytest.raises(RefusedError, match="'mpi' is a virtual package; name what provides it, here openmpi"):
        select(cache, ["mpi"])
    assert select(cache, ["app ^mpi"]).keys() == {dag_hash("app")}
    with pytest.raises(RefusedError, match="only recipes say what more it is"):
        select(cache, ["app ^mpi@3:"])


def test_arguments_without_quotes_are_joined_as_spack_does() -> None:
    assert joined(["hdf5", "+mpi", "%gcc@12", "zlib", "/abc", "py-*", "target=zen3", "~x", "a==b"]) == (
        "hdf5 +mpi %gcc@12",
        "zlib",
        "/abc",
        "py-* target=zen3 ~x a==b",
    )


def test_roots_of_specs_have_what_these_need(known: Inventory) -> None:
    roots = roots_of_specs(known, ["py-numpy"])
    assert roots.hashes == (dag_hash("py-numpy"),)
    assert roots.edges[dag_hash("py-numpy")].runtime == (dag_hash("openmpi"),)
    assert roots.edges[dag_hash("openmpi")].build == (dag_hash("gcc"),)
    assert roots.externals == {dag_hash("gcc")}
