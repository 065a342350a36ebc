"""`jc verify` from a lockfile to the packages' signatures: by what a SIF file carries, and in caches of each layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from boto3 import Session
from botocore import UNSIGNED

from foundation.errors import ExitCode
from foundation.spack.layout_v3 import ARCHIVE_TYPE, SPEC_TYPE, read_manifest
from foundation.spack.lockfile import nodes_in, read_lockfile
from foundation.stores.s3_client import s3_client
from foundation.stores.store import Content
from job_creator.proving.package_links import cached_specs
from job_creator.proving.papers import PackagePapers, from_bytes, to_bytes
from job_creator.proving.shelves import open_shelf, papers_of, shelves_in
from job_creator.publishing.record import PublicationRecord
from tests.commands import jc
from tests.integration.cached_packages import cached_package
from tests.integration.recorded_cache import CACHE, OLDER, RegistryCache, lockfile, older_lockfile
from tests.integration.registry_server import Registry, run_registry
from tests.integration.s3_server import new_bucket, s3_environment_fixture, s3_url_fixture  # noqa: F401 - fixtures
from tests.integration.sif_world import Inside, SignedSif, signed_sif
from tests.integration.signing_keys import KeyPair, key_pair

pytestmark = pytest.mark.usefixtures("components")

RECORD = PublicationRecord("app", "1.0", "1.0-amd64", "amd64", "refs/heads/main", True, "a" * 64, commit="c" * 40)


@pytest.fixture(scope="module", name="pair")
def pair_fixture(components: None) -> KeyPair:
    return key_pair()


@pytest.fixture(scope="module", name="made")
def made_fixture(pair: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> SignedSif:
    """A container that carries nothing of its packages."""
    return signed_sif(tmp_path_factory.mktemp("made"), pair, {}, lockfile(), RECORD)


@pytest.fixture(scope="module", name="older")
def older_fixture(pair: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> SignedSif:
    """The same with packages of Spack 0.23."""
    return signed_sif(tmp_path_factory.mktemp("older"), pair, {}, older_lockfile(), RECORD)


def papers(lock: bytes, *places: str) -> dict[str, PackagePapers]:
    """What caches have of the packages of a lockfile."""
    shelves = [open_shelf(place, None, {}) for place in places]
    return papers_of(cached_specs(lock, read_lockfile(lock, "")), shelves)[0]


@pytest.fixture(scope="module", name="whole")
def whole_fixture(pair: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> SignedSif:
    """A container that carries the papers of its packages."""
    folder, lock = tmp_path_factory.mktemp("whole"), lockfile()
    return signed_sif(folder, pair, {}, lock, RECORD, inside=Inside(papers(lock, str(CACHE))))


def keys_of_caches() -> bytes:
    """The keys that the recorded caches were signed with."""
    return b"".join([*_published(CACHE), *(path.read_bytes() for path in OLDER.glob("build_cache/_pgp/*.pub"))])


def _published(cache: Path) -> Iterator[bytes]:
    for path in cache.glob("v3/manifests/key/*.key.manifest.json"):
        for blob in read_manifest(Content(path.read_bytes(), ""), path.name).blobs:
            yield (cache / blob.key).read_bytes()


@dataclass(frozen=True)
class Verdict:
    """What `jc verify` says."""

    code: int
    value: dict[str, Any]

    @property
    def packages(self) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.value["links"] if one["name"] == "packages")
        return found

    @property
    def states(self) -> set[str]:
        return {one["state"] for one in self.packages["links"]}


def verified(sif: SignedSif, tmp_path: Path, *more: str | Path, keys: bytes | None = None) -> Verdict:
    public = tmp_path / "site.asc"
    public.write_bytes(sif.pair.public + keys_of_caches() if keys is None else keys)
    result = jc("verify", str(sif.path), "--key", str(public), "--json", *map(str, more))
    return Verdict(result.exit_code, json.loads(result.stdout))


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


# What the container carries


def test_a_container_proves_its_packages_without_a_network(whole: SignedSif, tmp_path: Path) -> None:
    found = verified(whole, tmp_path)
    assert (found.code, found.value["first_broken"]) == (0, None), found.value
    assert (found.packages["state"], found.states) == ("holds", {"holds"})
    assert {link["name"] for one in found.packages["links"] for link in one["links"]} == {
        "manifest and signature",
        "spec file",
    }
    assert len(found.packages["links"]) == len(nodes_in(lockfile(), ""))


def test_packages_that_another_key_signed_are_told_and_not_broken(whole: SignedSif, tmp_path: Path) -> None:
    """The site's signature says which it took; whether it trusted their key, only that key could show."""
    found = verified(whole, tmp_path, keys=whole.pair.public)
    assert (found.code, found.packages["state"]) == (0, "not checked")
    assert found.packages["links"][0]["said"].endswith("is signed by a key that was not given")


def test_carried_and_in_the_cache_both_are_checked(whole: SignedSif, tmp_path: Path) -> None:
    found = verified(whole, tmp_path, "--cache", CACHE, "--deep")
    assert (found.code, found.states) == (0, {"holds"})
    assert "archive" in {link["name"] for link in found.packages["links"][0]["links"]}


def test_what_was_cleaned_from_the_cache_is_still_proven_by_the_container(whole: SignedSif, tmp_path: Path) -> None:
    cache = shutil.copytree(CACHE, tmp_path / "cache")
    next(cache.glob("v3/manifests/spec/app-x/*")).unlink()
    found = verified(whole, tmp_path, "--cache", cache)
    assert (found.code, found.states) == (0, {"holds", "not checked"})


def _changed(whole: SignedSif, folder: Path, change: Callable[[PackagePapers], PackagePapers]) -> SignedSif:
    """A container that the site signed with other papers of `app-x` in it."""
    lock = lockfile()
    found = papers(lock, str(CACHE))
    (hash_,) = (node["hash"] for node in nodes_in(lock, "").values() if node["name"] == "app-x")
    return signed_sif(folder, whole.pair, {}, lock, RECORD, inside=Inside({**found, hash_: change(found[hash_])}))


def _byte(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


CARRIED: dict[str, tuple[Callable[[PackagePapers], PackagePapers], str]] = {
    "a byte of the manifest": (lambda one: replace(one, manifest=_byte(one.manifest, 150)), "manifest and signature"),
    "a byte of the signature": (
        lambda one: replace(one, manifest=_byte(one.manifest, one.manifest.index(b"SIGNATURE-----\n\n") + 100)),
        "manifest and signature",
    ),
    "a byte of the spec file": (lambda one: replace(one, spec=_byte(one.spec, 20)), "spec file"),
    "no spec file": (lambda one: replace(one, spec=b""), "spec file"),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_is_changed_of_what_a_container_carries_is_named(whole: SignedSif, tmp_path: Path, name: str) -> None:
    change, link = CARRIED[name]
    found = verified(_changed(whole, tmp_path, change), tmp_path)
    assert found.code == ExitCode.DAMAGED
    assert found.value["first_broken"].startswith("app-x@")
    assert f"its {link}:" in found.value["verdict"]


def test_papers_are_read_as_they_were_written_and_nothing_else_is() -> None:
    found = papers(lockfile(), str(CACHE))
    content = to_bytes(found)
    assert from_bytes(content) == found
    for other in (b"", b"{}", content[:-20], content + b"x", _byte(content, len(content) // 2)):
        assert from_bytes(other) is None


# Caches


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A build cache that a test may change."""
    return shutil.copytree(CACHE, tmp_path / "cache")


@pytest.fixture
def older_cache(tmp_path: Path) -> Path:
    return shutil.copytree(OLDER, tmp_path / "older")


def _manifest(cache: Path) -> Path:
    return next(cache.glob("v3/manifests/spec/app-x/*"))


def _blob(cache: Path, media_type: str) -> Path:
    blob = read_manifest(Content(_manifest(cache).read_bytes(), ""), "").blob(media_type)
    assert blob
    return cache / blob.key


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def test_packages_are_in_the_cache_as_they_were_signed(made: SignedSif, cache: Path, tmp_path: Path) -> None:
    found = verified(made, tmp_path, "--cache", cache, "--deep")
    assert (found.code, found.value["first_broken"]) == (0, None), found.value
    assert (found.packages["state"], found.states) == ("holds", {"holds"})
    assert len(found.packages["links"]) == len(nodes_in(lockfile(), ""))


def test_packages_that_another_key_signed_are_not_the_sites(made: SignedSif, tmp_path: Path) -> None:
    found = verified(made, tmp_path, "--cache", CACHE, keys=made.pair.public)
    assert found.value["verdict"].endswith("its manifest and signature: is signed by a key that is not the site's")
    assert found.code == ExitCode.DAMAGED


IN_THE_CACHE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a byte of a manifest": (lambda cache: _flip(_manifest(cache), 150), "manifest"),
    "no manifest": (lambda cache: _manifest(cache).unlink(), "none of the caches has its manifest"),
    "a byte of a spec file": (lambda cache: _flip(_blob(cache, SPEC_TYPE), 20), "its spec file"),
    "no spec file": (lambda cache: _blob(cache, SPEC_TYPE).unlink(), "its spec file"),
    "no archive": (lambda cache: _blob(cache, ARCHIVE_TYPE).unlink(), "its archive"),
    "a byte of an archive": (lambda cache: _flip(_blob(cache, ARCHIVE_TYPE), 20), "its archive"),
    "a longer archive": (lambda cache: _longer(_blob(cache, ARCHIVE_TYPE)), "its archive"),
}


@pytest.mark.parametrize("name", IN_THE_CACHE)
def test_what_is_changed_in_the_cache_is_named(made: SignedSif, cache: Path, tmp_path: Path, name: str) -> None:
    change, said = IN_THE_CACHE[name]
    change(cache)
    found = verified(made, tmp_path, "--cache", cache, "--deep")
    assert found.code == ExitCode.DAMAGED
    assert found.value["first_broken"].startswith("app-x@")
    assert said in found.value["verdict"]


def test_another_package_under_a_name_is_found(made: SignedSif, cache: Path, tmp_path: Path) -> None:
    """A manifest with a good signature, that of another package."""
    other = next(path for path in cache.glob("v3/manifests/spec/*/*") if path.parent.name != "app-x")
    shutil.copy(other, _manifest(cache))
    found = verified(made, tmp_path, "--cache", cache)
    assert "its spec file: is about /" in found.value["verdict"]
    assert found.code == ExitCode.DAMAGED


def test_a_cache_of_spack_0_23_is_read_as_well(older: SignedSif, older_cache: Path, tmp_path: Path) -> None:
    found = verified(older, tmp_path, "--cache", older_cache, "--deep")
    assert (found.code, found.states) == (0, {"holds"}), found.value
    assert len(found.packages["links"]) == len(nodes_in(older_lockfile(), ""))


def _older(cache: Path, pattern: str) -> Path:
    return next(one for one in cache.rglob(pattern) if "-app-x-1.1-" in one.name)


IN_AN_OLDER_CACHE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a byte of a spec file": (lambda cache: _flip(_older(cache, "*.sig"), 300), "its manifest and signature"),
    "no spec file": (lambda cache: _older(cache, "*.sig").unlink(), "none of the caches has its manifest"),
    "a byte of an archive": (lambda cache: _flip(_older(cache, "*.spack"), 99), "its archive"),
    "no archive": (lambda cache: _older(cache, "*.spack").unlink(), "its archive"),
}


@pytest.mark.parametrize("name", IN_AN_OLDER_CACHE)
def test_what_is_changed_in_a_cache_of_spack_0_23_is_named(
    older: SignedSif, older_cache: Path, tmp_path: Path, name: str
) -> None:
    change, said = IN_AN_OLDER_CACHE[name]
    change(older_cache)
    found = verified(older, tmp_path, "--cache", older_cache, "--deep")
    assert found.code == ExitCode.DAMAGED
    assert found.value["first_broken"].startswith("app-x@")
    assert said in found.value["verdict"]


def test_papers_of_spack_0_23_are_carried_as_well(pair: KeyPair, tmp_path: Path) -> None:
    lock = older_lockfile()
    sif = signed_sif(tmp_path, pair, {}, lock, RECORD, inside=Inside(papers(lock, str(OLDER))))
    found = verified(sif, tmp_path)
    assert (found.code, found.states) == (0, {"holds"}), found.value


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with run_registry(tmp_path) as found:
        yield found


def test_a_cache_in_a_registry_is_compared_though_nothing_there_is_signed(
    made: SignedSif, registry: Registry, tmp_path: Path
) -> None:
    cache = RegistryCache(registry, "site/cache")
    cache.put_all()
    found = verified(made, tmp_path, "--cache", cache.url, "--deep")
    assert (found.code, found.states) == (0, {"not checked"}), found.value
    (link, spec, archive) = found.packages["links"][0]["links"]
    assert (link["said"], spec["state"], archive["state"]) == ("nothing in a registry is signed", "holds", "holds")
    # Another package under a tag.
    tags = sorted(path.name for path in CACHE.glob("v3/manifests/spec/*/*"))
    one, two = (name.replace(".spec.manifest.json", ".spack") for name in (tags[0], tags[1]))
    cache.put_spec(one, two)
    cache.close()
    found = verified(made, tmp_path, "--cache", cache.url)
    assert found.code == ExitCode.DAMAGED
    assert "its spec file: is about /" in found.value["verdict"]


def test_a_cache_that_does_not_answer_is_no_verdict(made: SignedSif, tmp_path: Path) -> None:
    found = verified(made, tmp_path, "--cache", "http://127.0.0.1:9/cache")
    assert (found.code, found.value["first_broken"]) == (ExitCode.COULD_NOT_ASK, None)


# Where the job that signs looks


def test_caches_are_those_of_spacks_configuration_of_mirrors(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = {
        "mirrors": {
            "own": {"fetch": {"url": f"file://{CACHE}"}, "push": {"url": "s3://elsewhere"}, "signed": True},
            "sources": {"url": "https://sources.example.org", "binary": False},
            "plain": f"file://{other}",
        }
    }
    path = tmp_path / "mirrors.yaml"
    path.write_text(json.dumps(text))
    found = shelves_in(path, {})
    assert [one.url for one in found] == [str(CACHE), str(other)]


def test_packages_in_a_public_bucket_are_found_with_keys_and_without(
    s3_environment: str, pair: KeyPair, tmp_path: Path
) -> None:
    client, lock = s3_client(s3_environment), lockfile()
    bucket, nodes = new_bucket(client), nodes_in(lockfile(), "")
    for node in nodes.values():
        for key, content in cached_package(node, pair).items():
            client.put_object(Bucket=bucket, Key=f"amd64/{key}", Body=content, ACL="public-read")
    place = {"url": f"s3://{bucket}/amd64", "endpoint_url": s3_environment}
    path = tmp_path / "caches.yaml"
    for more in ({}, {"access_pair": {"id_variable": "READ_ID", "secret_variable": "READ_SECRET"}}):
        path.write_text(json.dumps({"mirrors": {"own": {**place, **more}}}))
        shelves = shelves_in(path, {"READ_ID": "reader", "READ_SECRET": "secret"})
        found, problems = papers_of(cached_specs(lock, read_lockfile(lock, "")), shelves)
        assert not problems
        assert found.keys() == nodes.keys()
    sif = signed_sif(tmp_path, pair, {}, lock, RECORD, inside=Inside(found))
    assert verified(sif, tmp_path).states == {"holds"}


def test_a_bucket_without_keys_of_its_own_is_read_without_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nobody names keys of a cache, those in the environment are another bucket's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-another-bucket")
    pair = {"access_pair": {"id_variable": "READ_ID", "secret_variable": "READ_SECRET"}}
    own = {"url": "s3://cache/amd64", "endpoint_url": "http://127.0.0.1:9"}
    path = tmp_path / "caches.yaml"
    for place, environment, used in (
        ({**own, **pair}, {"READ_ID": "reader", "READ_SECRET": "secret"}, "reader"),
        (own, {"CACHE_AWS_ACCESS_KEY_ID": "older", "CACHE_AWS_SECRET_ACCESS_KEY": "secret"}, "older"),
        (own, {}, None),
        ({**own, **pair}, {}, None),
    ):
        path.write_text(json.dumps({"mirrors": {"own": place}}))
        with captured() as keys:
            shelves_in(path, environment)
        assert keys == [used]


@contextmanager
def captured() -> Iterator[list[str | None]]:
    """The access keys of the S3 clients that are made meanwhile; `None` of those that sign nothing."""
    found: list[str | None] = []
    make = Session.client

    def client(self: Session, *arguments: Any, **options: Any) -> Any:
        keys, config = self.get_credentials(), options.get("config")
        is_anonymous = config is not None and config.signature_version is UNSIGNED
        found.append(None if is_anonymous else keys.access_key if keys else "")
        return make(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "client", client)
        yield found
