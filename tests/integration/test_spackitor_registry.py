"""`spackitor list`, `stats` and `check` of a build cache in a real registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from spackitor.__main__ import main
from tests.integration.recorded_cache import RegistryCache, specs
from tests.integration.registry_server import Registry, TokenService, digest_of, run_registry

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


def test_no_answer_is_no_empty_cache(tmp_path: Path) -> None:
    with run_registry(tmp_path, TokenService()) as registry:
        assert spackitor("list", f"oci+http://{registry.host}/group/x").exit_code == ExitCode.COULD_NOT_ASK


def test_sources_and_views_are_for_other_mirrors() -> None:
    done = spackitor("clean", "--sources", "oci://127.0.0.1:1/cache")
    assert (done.exit_code, "no sources" in done.output) == (ExitCode.REFUSED, True), done.output
    done = spackitor("clean", "oci+http://127.0.0.1:1/cache")
    assert done.exit_code == ExitCode.COULD_NOT_ASK, done.output


def test_blobs_are_looked_for_and_read(cache: RegistryCache, tmp_path: Path) -> None:
    done = spackitor("check", cache.url)
    assert (done.exit_code, "nothing is wrong" in done.output) == (0, True), done.output
    assert spackitor("check", cache.url, "--deep").exit_code == 0
    digest = digest_of(specs()[LIBB][1])
    (stored,) = (tmp_path / "data").glob(f"docker/registry/v2/blobs/sha256/*/{digest[7:]}/data")
    stored.write_bytes(b"x" * stored.stat().st_size)
    assert spackitor("check", cache.url).exit_code == 0
    done = spackitor("check", cache.url, "--deep", "--json")
    assert done.exit_code == ExitCode.DAMAGED
    assert [one["what"] for one in json.loads(done.stdout)] == [digest]
    stored.unlink()
    done = spackitor("check", cache.url)
    assert (done.exit_code, f"broken: {digest}" in done.output) == (ExitCode.DAMAGED, True), done.output


def test_the_index_is_made_to_fit(cache: RegistryCache) -> None:
    cache.delete(LIBB)
    done = spackitor("check", cache.url)
    assert (done.exit_code, "libb" in done.output) == (ExitCode.DAMAGED, True)
    spackitor("check", cache.url, "--fix")
    left = {finding.partition(":")[0] for finding in spackitor("check", cache.url).stdout.splitlines()}
    assert left == {"dependency"}
    cache.put_spec(LIBB)
    done = spackitor("index", cache.url, "--json")
    assert (done.exit_code, json.loads(done.stdout)["specs"]) == (0, len(specs())), done.output
    assert spackitor("check", cache.url).exit_code == 0
    cache.put("index.spack", b"{}", b"no index")
    assert spackitor("reindex", cache.url).exit_code == 0
    assert spackitor("check", cache.url).exit_code == 0
