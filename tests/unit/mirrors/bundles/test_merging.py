"""Bundles that are older than the mirror, or come from another one: nothing that is listed is taken back."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import NotReadyError
from foundation.spack import layout_v3
from foundation.spack.source_needs import NEEDS_KEY, PackageNeeds, SourceNeeds, read_needs
from foundation.stores.folder import FileSystemStore
from job_creator.mirrors.bundles.merging import Sides, merge
from job_creator.mirrors.contents import COMMITS_KEY
from spackitor.survey.survey import survey
from tests.unit.mirrors.bundles.samples import content, export, fill, import_
from tests.unit.spackitor.mirrors import (
    LAYOUTS,
    LayoutName,
    Made,
    MadeMirror,
    dag_hash,
    index_key,
    listed,
    require_consistent,
)

ONE = (Made("app", ["lib"]), Made("lib", ["base"]), Made("base"))
OTHER = (Made("tool", ["base"]), Made("base"))


def mirror(root: Path, layout: LayoutName, specs: tuple[Made, ...], view: tuple[str, ...] = ()) -> Path:
    """A mirror of binaries, and what it was filled for."""
    made = MadeMirror(root, layout, specs, now=time.time())
    if view and layout == "v3":
        made.write_index(view="prod", names=view)
    needs = {dag_hash(one.name): PackageNeeds(dag_hash(one.name), "", one.name, "1.0", "builtin") for one in specs}
    fill(root, {NEEDS_KEY: SourceNeeds(needs).as_json()})
    return root


def names(root: Path) -> dict[str, set[str]]:
    """What each index lists, by its key."""
    specs = survey(FileSystemStore(root)).inventory.specs
    return {key: {specs[hash_].name for hash_ in hashes} for key, hashes in listed(FileSystemStore(root)).items()}


def needed(root: Path) -> set[str]:
    packages = read_needs((root / NEEDS_KEY).read_bytes(), NEEDS_KEY).packages
    return {one.name for one in packages.values()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("turned", [False, True])
def test_two_mirrors_in_one(tmp_path: Path, layout: LayoutName, turned: bool) -> None:
    export(mirror(tmp_path / "one", layout, ONE, ("app",)), tmp_path / "bundle-one")
    export(mirror(tmp_path / "other", layout, OTHER, ("tool",)), tmp_path / "bundle-other")
    arrived = tmp_path / "arrived"
    bundles = [tmp_path / "bundle-one", tmp_path / "bundle-other"]
    for bundle in reversed(bundles) if turned else bundles:
        import_(bundle, arrived)
    everything = {"app", "lib", "base", "tool"}
    wanted = {index_key(): everything, index_key("prod"): {"app", "tool"}}
    assert names(arrived) == (wanted if layout == "v3" else {"build_cache/index.json": everything})
    assert needed(arrived) == everything
    require_consistent(arrived)
    (file,) = [one for one in survey(FileSystemStore(arrived)).inventory.indexes if not one.view]
    assert file.is_consistent
    before = content(arrived)
    for bundle in bundles:
        plan = import_(bundle, arrived)
        assert (plan.files, plan.merges) == ((), ()), "the same bundle twice"
    assert content(arrived) == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_older_bundle_takes_nothing_back(tmp_path: Path, layout: LayoutName) -> None:
    root = mirror(tmp_path / "sent", layout, OTHER)
    export(root, tmp_path / "january")
    mirror(root, layout, (*ONE, OTHER[0]), ("app",))
    fill(root, {"bootstrap/metadata/x/metadata.yaml": b"new"})
    export(root, tmp_path / "march", since=tmp_path / "january")
    arrived = tmp_path / "arrived"
    with pytest.raises(NotReadyError):
        import_(tmp_path / "march", arrived)
    import_(tmp_path / "january", arrived)
    import_(tmp_path / "march", arrived)
    assert content(arrived) == content(root)
    plan = import_(tmp_path / "january", arrived)
    assert (plan.files, plan.merges) == ((), ())
    assert content(arrived) == content(root)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(2))
def test_chains_of_several_mirrors_in_any_order(tmp_path: Path, layout: LayoutName, seed: int) -> None:
    """Each bundle comes when chance wants it, some twice, and none takes away what another brought."""
    chance = random.Random(seed)
    every = (Made("app", ["lib"]), Made("lib", ["base"]), Made("base"), Made("tool", ["base"]), Made("more", ["tool"]))
    bundles: list[Path] = []
    for number in range(2):
        specs: tuple[Made, ...] = ()
        for step in range(3):
            new = chance.sample(every, 2)
            specs = tuple(one for one in every if one in (*specs, *new, every[1], every[2], every[3]))
            root = mirror(tmp_path / f"sent{number}", layout, specs, tuple(one.name for one in chance.sample(specs, 2)))
            bundles.append(tmp_path / f"bundle{number}{step}")
            export(root, bundles[-1], since=bundles[-2] if step else None)
    arrived, seen, done = tmp_path / "arrived", set[str](), set[Path]()
    while len(done) < len(bundles):
        bundle = chance.choice(bundles)
        try:
            import_(bundle, arrived)
        except NotReadyError:
            continue
        done.add(bundle)
        require_consistent(arrived)
        inventory = survey(FileSystemStore(arrived)).inventory
        there = {inventory.specs[hash_].name for hash_ in inventory.usable}
        assert seen <= there
        seen = there
        main = [found for key, found in names(arrived).items() if "prod" not in key]
        assert main == [there], "everything that is there is listed"
    assert needed(arrived) == seen
    before = names(arrived)
    for bundle in chance.sample(bundles, len(bundles)):
        import_(bundle, arrived)
    assert names(arrived) == before


def test_what_a_later_bundle_brought_stays_as_it_brought_it(tmp_path: Path) -> None:
    """Whatever its name: the bundle that it builds on is known to be older."""
    root = fill(tmp_path / "sent", {"v3/manifests/spec/a": b"1", "same": b""})
    export(root, tmp_path / "january")
    fill(root, {"v3/manifests/spec/a": b"2"})
    export(root, tmp_path / "march", since=tmp_path / "january")
    # Filled in another way than by importing January's.
    arrived = fill(tmp_path / "arrived", {"v3/manifests/spec/a": b"1", "same": b""})
    import_(tmp_path / "march", arrived)
    assert import_(tmp_path / "january", arrived).kept == ("v3/manifests/spec/a",)
    assert (arrived / "v3/manifests/spec/a").read_bytes() == b"2"


def test_what_is_not_there_is_not_listed_because_another_mirror_had_it(tmp_path: Path) -> None:
    arrived = mirror(tmp_path / "arrived", "v3", ONE)
    next(arrived.glob("v3/manifests/spec/app/*")).unlink()
    export(mirror(tmp_path / "other", "v3", OTHER), tmp_path / "bundle")
    import_(tmp_path / "bundle", arrived)
    assert names(arrived) == {index_key(): {"lib", "base", "tool"}}


def test_an_index_that_somebody_writes_meanwhile_is_not_lost(tmp_path: Path) -> None:
    from job_creator.mirrors.bundles import imports
    from job_creator.mirrors.permissions import Permissions

    arrived = mirror(tmp_path / "arrived", "v3", ONE[2:])
    export(mirror(tmp_path / "other", "v3", OTHER), tmp_path / "bundle")
    bundle = imports.open_bundle(tmp_path / "bundle", None)
    plan = imports.compare(tmp_path / "bundle", bundle, arrived, lambda _: None, deep=False)
    mirror(arrived, "v3", ONE)
    imports.carry_out(plan, Permissions(None), lambda _: None)
    assert {"lib", "base", "tool"} <= names(arrived)[index_key()]


commits = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)


@given(commits, commits)
def test_commits_of_both_are_known_and_what_is_newer_is_first(here: list[str], there: list[str]) -> None:
    files = {COMMITS_KEY: json.dumps({"spack": here}).encode()}, {COMMITS_KEY: json.dumps({"spack": there}).encode()}
    made = merge(COMMITS_KEY, Sides(files[0].get, files[1].get, frozenset()))
    both = json.loads(made.get(COMMITS_KEY, files[0][COMMITS_KEY]))["spack"]
    assert set(both) == set(here) | set(there)
    assert both[: len(there)] == there if set(here) <= set(there) else both[: len(here)] == here


def test_keys_of_both_are_listed(tmp_path: Path) -> None:
    sides = []
    for name in ("A", "B"):
        data = json.dumps({"keys": {name * 40: {}}}).encode()
        blob, data, manifest = layout_v3.key_index_objects(data)
        sides.append({blob: data, layout_v3.KEY_INDEX: manifest})
    made = merge(layout_v3.KEY_INDEX, Sides(sides[0].get, sides[1].get, frozenset()))
    (blob,) = made.keys() - {layout_v3.KEY_INDEX}
    assert json.loads(made[blob])["keys"].keys() == {"A" * 40, "B" * 40}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_repositories_keep_every_commit_that_a_lockfile_names(tmp_path: Path) -> None:
    """As `jc mirror create --recipes` makes them: shallow, with a tag for each commit."""
    clone = tmp_path / "clone"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    made = []
    for name in ("a", "b"):
        git(clone, "commit", "--quiet", "--allow-empty", "-m", name)
        made.append(git(clone, "rev-parse", "HEAD"))
    for name, commit in zip(("one", "other"), made, strict=True):
        repository = tmp_path / name / "recipes/spack.git"
        repository.mkdir(parents=True)
        git(repository, "init", "--quiet", "--bare", "--initial-branch=main")
        git(repository, "fetch", "--quiet", "--depth=1", clone.as_uri(), f"{commit}:refs/tags/lock-{commit}")
        git(repository, "update-ref", "refs/heads/main", commit)
        git(repository, "pack-refs", "--all") if name == "one" else None
        fill(tmp_path / name, {COMMITS_KEY: json.dumps({"spack": [commit]}).encode()})
        export(tmp_path / name, tmp_path / f"bundle-{name}")
    arrived = tmp_path / "arrived"
    for name in ("one", "other", "one"):
        import_(tmp_path / f"bundle-{name}", arrived)
    repository = arrived / "recipes/spack.git"
    git(repository, "fsck", "--full")
    assert set(git(repository, "tag").split()) == {f"lock-{commit}" for commit in made}
    assert {git(repository, "rev-parse", f"lock-{commit}") for commit in made} == set(made)
    assert set(git(repository, "rev-list", "--all").split()) == set(made)
    assert json.loads((arrived / COMMITS_KEY).read_bytes())["spack"] == made
