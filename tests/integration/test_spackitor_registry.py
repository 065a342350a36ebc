"""`spackitor list` and `stats` of a build cache in a real registry; everything else is refused there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from spackitor.__main__ import main
from tests.integration.recorded_cache import RegistryCache, specs
from tests.integration.registry_server import Registry, TokenService, run_registry

pytestmark = pytest.mark.usefixtures("components")

LIBB = next(tag for tag in specs() if tag.startswith("libb-"))


def spackitor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["-q", *arguments])


def listed(url: str, *named: str) -> dict[str, dict[str, object]]:
    done = spackitor("list", url, "--json", *named)
    assert done.exit_code == 0, done.output
    return {one["hash"]: one for one in json.loads(done.stdout)}


@pytest.fixture(name="registry")
def registry_fixture(tmp_path: Path) -> Iterator[Registry]:
    with run_registry(tmp_path) as registry:
        yield registry


@pytest.fixture(name="cache")
def cache_fixture(registry: Registry) -> Iterator[RegistryCache]:
    cache = RegistryCache(registry, "site/cache")
    cache.put_all()
    yield cache
    cache.close()


def test_all_specs_are_listed_and_counted(cache: RegistryCache) -> None:
    found = listed(cache.url)
    assert {tag.removesuffix(".spack")[-32:] for tag in specs()} == found.keys()
    assert {(one["layouts"][0], one["signed"], one["age_days"]) for one in found.values()} == {("oci", False, None)}  # type: ignore[index]
    assert {one["name"] for one in listed(cache.url, "libb").values()} == {"libb"}
    done = spackitor("stats", cache.url, "--json")
    value = json.loads(done.stdout)
    assert (value["specs"], value["unrecognised"]) == (len(specs()), 0)
    assert sum(group["size"] for group in value["groups"]) == value["bytes"]
    assert {group["oldest"] for group in value["groups"]} == {None}
    text = spackitor("stats", cache.url, "--by", "age").stdout
    assert "not known" in text
    assert "inf" not in text
    # Nothing that is printed for people says how old something is.
    assert " d " not in spackitor("list", cache.url).stdout


def test_what_no_index_tells_of_is_read_from_its_configuration(cache: RegistryCache) -> None:
    before = listed(cache.url)
    cache.delete("index.spack")
    assert listed(cache.url) == before
    cache.put("index.spack", b"{}", b"no index")
    assert listed(cache.url) == before
    cache.put("latest", b"{}", b"layer")
    assert json.loads(spackitor("stats", cache.url, "--json").stdout)["unrecognised"] == 1
    cache.delete(LIBB)
    assert {one["name"] for one in before.values()} - {one["name"] for one in listed(cache.url).values()} == {"libb"}


def test_what_is_no_build_cache_is_told(registry: Registry) -> None:
    other = RegistryCache(registry, "site/other")
    assert spackitor("list", other.url).exit_code == ExitCode.NOT_THERE
    assert spackitor("list", other.url, "--may-be-empty").exit_code == 0
    other.put("latest", b"{}", b"layer")
    done = spackitor("stats", other.url, "--may-be-empty")
    assert (done.exit_code, "no build cache, but latest" in done.output) == (ExitCode.NOT_THERE, True), done.output
    other.close()
    assert spackitor("list", f"oci://{registry.host}/x:tag").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "command",
    [("clean",), ("purge", "libb"), ("check",), ("reindex",), ("restore",), ("roots",), ("empty-quarantine",)],
)
def test_nothing_else_is_done_there(command: tuple[str, ...]) -> None:
    done = spackitor(command[0], "oci://127.0.0.1:1/cache", *command[1:])
    assert (done.exit_code, "of a registry" in done.output) == (ExitCode.REFUSED, True), done.output


def test_no_answer_is_no_empty_cache(tmp_path: Path) -> None:
    with run_registry(tmp_path, TokenService()) as registry:
        assert spackitor("list", f"oci+http://{registry.host}/group/x").exit_code == ExitCode.COULD_NOT_ASK
