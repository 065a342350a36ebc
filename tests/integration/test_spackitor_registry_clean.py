"""`spackitor clean`, `purge`, `keep` and `restore` of a build cache in a real registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.registries.changes import ChangeableRepository
from foundation.registries.mirror_store import RegistryStore
from spackitor.__main__ import main
from spackitor.policy.plan import CachePlan
from spackitor.removal.effects import Look
from spackitor.removal.registry import RegistryBinaries
from spackitor.survey.survey import survey
from tests.integration.effects import Killed, effects
from tests.integration.recorded_cache import RegistryCache, specs
from tests.integration.registry_server import (
    GROUP,
    Registry,
    TokenService,
    collect_garbage,
    push_index,
    read_manifest,
    run_registry,
)

pytestmark = pytest.mark.usefixtures("components")

TAGS = frozenset(specs())
LIBB, APP_X, APP_Z = (next(tag for tag in specs() if tag.startswith(f"{name}-")) for name in ("libb", "app-x", "app-z"))


def spackitor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["-q", *arguments])


def done(*arguments: str) -> str:
    result = spackitor(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def store_of(cache: RegistryCache) -> RegistryStore:
    return RegistryStore(ChangeableRepository(cache.url))


def names(cache: RegistryCache) -> set[str]:
    inventory = survey(store_of(cache)).inventory
    (index,) = inventory.indexes
    assert index.index
    assert index.index.listed == inventory.usable
    return {inventory.specs[hash_].name for hash_ in inventory.usable}


ALL = {tag.rpartition("-")[0].rpartition("-")[0] for tag in TAGS}
LONG_AGO = (datetime.now(UTC) - timedelta(days=40)).isoformat()
KEPT = {"app-y", "libc-toy", "liba"}


@pytest.fixture(name="registry")
def registry_fixture(tmp_path: Path) -> Iterator[Registry]:
    with run_registry(tmp_path) as registry:
        yield registry


@pytest.fixture(name="cache")
def cache_fixture(registry: Registry) -> Iterator[RegistryCache]:
    cache = RegistryCache(registry, "site/cache")
    cache.put_all(LONG_AGO)
    yield cache
    cache.close()


def keep_app_y(cache: RegistryCache, tmp_path: Path) -> None:
    (tmp_path / "keep").write_text(next(tag for tag in TAGS if tag.startswith("app-y-"))[-38:-6])
    done("keep", cache.url, "--keep-file", str(tmp_path / "keep"), "--as", "feature/a name")


CLEAN = ("--max-age", "0", "--min-age", "0", "--max-delete", "100")


def test_what_is_in_no_use_goes_and_comes_back(cache: RegistryCache, tmp_path: Path) -> None:
    keep_app_y(cache, tmp_path)
    assert [one["name"] for one in json.loads(done("roots", cache.url, "--json"))] == ["feature/a name"]
    before = {tag: store_of(cache).digests([tag])[tag] for tag in TAGS}
    said = done("clean", cache.url, *CLEAN, "--dry-run")
    assert "garbage collection" in said
    assert names(cache) == ALL
    done("clean", cache.url, *CLEAN)
    assert names(cache) == KEPT
    # Whatever the registry collects meanwhile, all can be brought back.
    collect_garbage(tmp_path)
    assert len(json.loads(done("restore", cache.url, "--list", "--json"))) == 1
    again = json.loads(done("clean", cache.url, *CLEAN, "--json"))
    assert (again["plan"]["removals"], again["plan"]["indexes"]) == ([], [])
    done("restore", cache.url)
    assert names(cache) == ALL
    assert store_of(cache).digests(TAGS) == before
    assert spackitor("check", cache.url, "--deep").exit_code == 0
    assert not [tag for tag in (store_of(cache).repository.tags() or ()) if "quarantine" in tag]
    # What is back counts as new.
    assert json.loads(done("clean", cache.url, "--max-age", "0", "--json"))["plan"]["removals"] == []
    done("forget", cache.url, "feature/a name")
    assert json.loads(done("roots", cache.url, "--json")) == []


def test_without_quarantine_the_registry_can_free_it(cache: RegistryCache, tmp_path: Path) -> None:
    keep_app_y(cache, tmp_path)
    folder = tmp_path / "data/docker/registry/v2/blobs"
    done("clean", cache.url, *CLEAN, "--no-quarantine")
    before = sum(path.stat().st_size for path in folder.rglob("data"))
    collect_garbage(tmp_path)
    assert sum(path.stat().st_size for path in folder.rglob("data")) < before / 2
    assert names(cache) == KEPT
    assert spackitor("restore", cache.url).exit_code == ExitCode.NOT_THERE


def test_after_the_time_of_grace_it_goes_for_good(cache: RegistryCache, tmp_path: Path) -> None:
    keep_app_y(cache, tmp_path)
    done("clean", cache.url, *CLEAN, "--grace", "0")
    assert any("quarantine" in tag for tag in store_of(cache).repository.tags() or ())
    done("clean", cache.url, *CLEAN)
    own = [tag for tag in store_of(cache).repository.tags() or () if tag.startswith("spackitor.")]
    assert sorted({tag.split(".")[1] for tag in own}) == ["file", "roots"]
    assert names(cache) == KEPT


def test_a_registry_that_refuses_to_delete_is_told_before_the_plan(tmp_path: Path) -> None:
    with run_registry(tmp_path, deletes=False) as registry:
        cache = RegistryCache(registry, "site/cache")
        cache.put_all(LONG_AGO)
        for command in (("clean", *CLEAN), ("purge", "libb", "--dependents", "--min-age", "0")):
            result = spackitor(command[0], cache.url, *command[1:])
            assert (result.exit_code, "refuses to delete" in result.output) == (ExitCode.REFUSED, True), result.output
            assert "would go" not in result.output
        assert "would go" in done("clean", cache.url, *CLEAN, "--dry-run")
        assert names(cache) == ALL
        cache.close()


def test_who_may_only_read_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_registry(tmp_path, TokenService()) as registry:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nothing"))
        result = spackitor("clean", f"oci+http://{registry.host}/{GROUP}x", *CLEAN)
        assert result.exit_code == ExitCode.REFUSED, result.output


def test_tags_that_share_a_manifest_keep_it(cache: RegistryCache, registry: Registry) -> None:
    """An image that somebody tagged, one in an index, and a spec with two tags."""
    store = store_of(cache)
    content = store.read(APP_X)
    assert content
    store.repository.put_manifest("latest", content.data)
    store.repository.put_manifest(f"mine-{APP_Z[-38:]}", store.read(APP_Z).data)  # type: ignore[union-attr]
    push_index(registry, "site/cache", "multi", {"amd64": store_of(cache).digests([LIBB])[LIBB]})
    done("purge", cache.url, "libb", "app-x", "app-z", "--dependents", *CLEAN[2:])
    left = set(store_of(cache).tags())
    assert not left & {LIBB, APP_X, APP_Z, f"mine-{APP_Z[-38:]}"}
    assert {"latest", "multi"} <= left
    assert store_of(cache).digests(["latest"])["latest"] == content.tag
    member = read_manifest(registry, "site/cache", "multi")["manifests"][0]["digest"]
    assert read_manifest(registry, "site/cache", member)
    done("restore", cache.url)
    assert names(cache) == ALL


def test_ages_are_those_that_spack_tells_or_of_the_first_look(registry: Registry) -> None:
    cache = RegistryCache(registry, "site/other")
    cache.put_all()
    cache.put_spec(APP_X, pushed=LONG_AGO)
    # Of the others nobody knows; so they are not old.
    plan = json.loads(done("clean", cache.url, "--max-age", "30", "--json"))["plan"]
    assert [(one["name"], round(one["age_days"])) for one in plan["removals"]] == [("app-x", 40)]
    (listed,) = json.loads(done("list", cache.url, "libb", "--json"))
    assert listed["age_days"] == pytest.approx(0, abs=0.1)
    cache.close()


def test_a_run_may_be_killed_anywhere(registry: Registry, tmp_path: Path) -> None:
    count, number, step = 1, 0, 11
    while number < count:
        cache = RegistryCache(registry, f"site/killed{number}")
        cache.put_all(LONG_AGO)
        store = store_of(cache)
        content = store.read(LIBB)
        assert content
        store.repository.put_manifest("held", content.data)
        keep_app_y(cache, tmp_path)
        with effects(tmp_path / "none", number) as seen:
            try:
                done("clean", cache.url, *CLEAN)
            except Killed:
                count = number + step + 1
        if len(seen.seen) < number:
            break
        # What an index lists is there; what went can be brought back.
        inventory = survey(store_of(cache)).inventory
        assert inventory.indexes[0].index
        assert inventory.indexes[0].index.listed <= inventory.usable
        done("clean", cache.url, *CLEAN)
        assert names(cache) == KEPT
        for run in json.loads(done("restore", cache.url, "--list", "--json")):
            spackitor("restore", cache.url, "--run", run["id"])
        assert names(cache) == ALL
        cache.close()
        number += step


def test_a_push_while_it_is_planned_is_spared(cache: RegistryCache, monkeypatch: pytest.MonkeyPatch) -> None:
    look = RegistryBinaries.look
    pushed: list[str] = []

    def push_then_look(half: RegistryBinaries, plan: CachePlan, tags: Mapping[str, str] | None = None) -> Look:
        if not pushed:
            cache.put_spec(APP_X, pushed="now")
            pushed.append(APP_X)
        return look(half, plan, tags)

    monkeypatch.setattr(RegistryBinaries, "look", push_then_look)
    done("clean", cache.url, *CLEAN)
    assert "app-x" in names(cache)
    assert spackitor("check", cache.url).exit_code == 0
