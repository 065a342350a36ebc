"""`jc mirror plan`, `config` and `verify` for a build cache in a real registry, whole and with every kind of damage.

That Spack lays it out like this, and installs from it, is in `test_mirror_hosts.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.registries.repository import OciRepository
from job_creator.__main__ import main
from tests.integration import recorded_cache
from tests.integration.recorded_cache import RegistryCache, specs
from tests.integration.registry_server import Registry, TokenService, digest_of, push_image, run_registry

pytestmark = pytest.mark.usefixtures("components")

APP, LIBB = (next(tag for tag in specs() if tag.startswith(f"{name}-")) for name in ("app-x", "libb"))


@dataclass(frozen=True)
class Host:
    """A registry with the recorded cache, and the files that it keeps it in."""

    registry: Registry
    cache: RegistryCache
    folder: Path

    def verify(self, *arguments: str) -> tuple[int, list[str]]:
        """The exit code of `jc mirror verify`, and what it found, besides that nothing is signed: kind and key."""
        done = run("verify", self.cache.url, "--json", *arguments)
        assert done.exit_code in (ExitCode.OK, ExitCode.NOT_READY, ExitCode.DAMAGED), done.output
        found = [(one["kind"], one["key"]) for one in json.loads(done.stdout)["findings"]]
        assert ("not checked", "signatures") in found
        return done.exit_code, sorted(f"{kind}: {key}" for kind, key in found if key != "signatures")

    def stored(self, digest: str) -> Path:
        """The file of a blob."""
        name = digest.removeprefix("sha256:")
        return self.folder / "data/docker/registry/v2/blobs/sha256" / name[:2] / name / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mirror", *arguments])


def archive_of(tag: str) -> str:
    return digest_of(specs()[tag][1])


@pytest.fixture(name="host")
def host_fixture(tmp_path: Path) -> Iterator[Host]:
    with run_registry(tmp_path) as registry:
        cache = RegistryCache(registry, "site/cache")
        cache.put_all()
        yield Host(registry, cache, tmp_path)
        cache.close()


def test_a_whole_cache_is_whole_and_covers_a_lockfile(host: Host, tmp_path: Path) -> None:
    lock = tmp_path / "spack.lock"
    lock.write_bytes(recorded_cache.lockfile())
    assert host.verify() == (ExitCode.OK, [])
    assert host.verify("--deep", "-e", str(lock)) == (ExitCode.OK, [])
    done = run("verify", host.cache.url, "--deep")
    assert "nothing is wrong (9 specs" in done.stdout
    assert "nothing in a registry is signed" in done.stdout

    host.cache.delete(LIBB)
    code, found = host.verify("-e", str(lock))
    assert code == ExitCode.DAMAGED
    assert found == ["index: index.spack", "missing: "]


def change(data: bytes) -> bytes:
    """The same with one bit flipped in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def config_of(host: Host, tag: str) -> str:
    found = OciRepository(host.cache.url).manifest(tag)
    assert found
    return str(json.loads(found.data)["config"]["digest"])


def manifest_of(host: Host, tag: str) -> str:
    found = OciRepository(host.cache.url).manifest(tag)
    assert found
    return found.digest


@pytest.mark.parametrize(
    ("digest", "is_seen"),
    [(lambda _: archive_of(LIBB), False), (lambda host: config_of(host, LIBB), True)],
    ids=["archive", "spec"],
)
def test_a_flipped_bit_is_found_in_specs_always_and_in_archives_by_reading_them(
    host: Host, digest: Callable[[Host], str], is_seen: bool
) -> None:
    changed = digest(host)
    path = host.stored(changed)
    path.write_bytes(change(path.read_bytes()))
    expected = (ExitCode.DAMAGED, [f"checksum: {changed}"])
    assert host.verify("--deep") == expected
    assert host.verify() == (expected if is_seen else (ExitCode.OK, []))


def test_a_changed_index_is_found(host: Host) -> None:
    index = OciRepository(host.cache.url).manifest("index.spack")
    assert index
    digest = json.loads(index.data)["layers"][0]["digest"]
    host.stored(digest).write_bytes(change(host.stored(digest).read_bytes()))
    assert host.verify() == (ExitCode.DAMAGED, [f"checksum: {digest}"])


def test_a_changed_manifest_is_found(host: Host) -> None:
    path = host.stored(manifest_of(host, LIBB))
    # To another archive that is there, in the same size or not.
    path.write_bytes(path.read_bytes().replace(archive_of(LIBB).encode(), archive_of(APP).encode()))
    code, found = host.verify()
    assert code == ExitCode.DAMAGED
    assert f"checksum: {LIBB}" in found
    assert f"manifest: {LIBB}" in found


def test_what_is_cut_off_has_the_wrong_size(host: Host) -> None:
    path = host.stored(archive_of(LIBB))
    path.write_bytes(path.read_bytes()[:-1])
    assert host.verify() == (ExitCode.DAMAGED, [f"size: {archive_of(LIBB)}"])


@pytest.mark.parametrize("deep", [(), ("--deep",)])
def test_what_is_gone_is_missing_and_covers_nothing(host: Host, tmp_path: Path, deep: tuple[str, ...]) -> None:
    lock = tmp_path / "spack.lock"
    lock.write_bytes(recorded_cache.lockfile())
    host.stored(archive_of(LIBB)).unlink()
    assert host.verify("-e", str(lock), *deep) == (ExitCode.NOT_READY, ["missing: ", f"missing: {archive_of(LIBB)}"])


def test_a_tag_that_leads_to_another_spec_is_found(host: Host) -> None:
    host.cache.put_spec(LIBB, of=APP)
    assert host.verify() == (ExitCode.DAMAGED, [f"manifest: {LIBB}"])


def test_a_tag_of_another_version_is_found(host: Host) -> None:
    renamed = LIBB.replace("1.1", "1.2")
    host.cache.put_spec(renamed, of=LIBB)
    host.cache.delete(APP)  # its manifest is another one
    code, found = host.verify()
    assert (code, f"name: {renamed}" in found) == (ExitCode.DAMAGED, True)


def test_what_the_index_does_not_list_is_found_and_so_is_a_missing_index(host: Host) -> None:
    host.cache.delete("index.spack")
    assert host.verify() == (ExitCode.NOT_READY, ["missing: index.spack"])
    host.cache.put("index.spack", b"{}", b'{"database":{"version":"8","installs":{}}}')
    code, found = host.verify()
    assert (code, found) == (ExitCode.DAMAGED, ["index: index.spack"] * len(specs()))


def test_images_beside_a_cache_are_told_of(host: Host) -> None:
    host.cache.put("latest", b"{}", b"layer")
    assert host.verify() == (ExitCode.OK, ["not checked: latest"])


def test_nothing_is_signed_when_it_has_to_be(host: Host) -> None:
    code, found = host.verify("--signed")
    assert code == ExitCode.DAMAGED
    assert found == [f"unsigned: {tag}" for tag in sorted(specs())]


def test_tags_come_in_pages(host: Host) -> None:
    assert OciRepository(host.cache.url).tags(page=2) == tuple(sorted([*specs(), "index.spack"]))


def test_a_repository_that_is_not_there_is_said_to_be_so(host: Host) -> None:
    other = f"oci+http://{host.registry.host}/site/other"
    assert run("verify", other).exit_code == ExitCode.NOT_THERE
    assert run("config", other).exit_code == ExitCode.NOT_THERE
    assert run("verify", f"oci://{host.registry.host}/site:tag").exit_code == ExitCode.REFUSED


def test_a_registry_that_gives_no_answer_is_no_empty_one(tmp_path: Path) -> None:
    with run_registry(tmp_path, TokenService()) as registry:
        done = run("verify", f"oci+http://{registry.host}/group/cache")
        assert done.exit_code == ExitCode.COULD_NOT_ASK, done.output
        assert f"error: oci+http://{registry.host}/group/cache: " in done.output
    done = run("verify", f"oci+http://{registry.host}/group/cache")
    assert done.exit_code == ExitCode.COULD_NOT_ASK


def test_a_login_opens_a_private_registry(tmp_path: Path) -> None:
    tokens = TokenService("user", "planted-password")
    folder, home = tmp_path / "registry", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    with run_registry(folder, tokens) as registry:
        auth = base64.b64encode(b"user:planted-password").decode()
        (home / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}, "other": {}}}))
        push_image(registry, "group/cache", "latest", "amd64", None)
        url = f"oci+http://{registry.host}/group/cache"
        done = CliRunner().invoke(main, ["mirror", "verify", url], env={"DOCKER_CONFIG": str(home)})
        assert done.exit_code == ExitCode.OK, done.output
        assert "latest: no tags of a build cache" in done.stdout
        (home / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": "planted-password"}}}))
        done = CliRunner().invoke(
            main, ["mirror", "verify", url], env={"REGISTRY_AUTH_FILE": str(home / "config.json")}
        )
        assert done.exit_code == ExitCode.INVALID_INPUT
        assert "planted" not in done.output


def test_users_are_told_that_nothing_is_signed(host: Host) -> None:
    done = run("config", host.cache.url)
    assert done.exit_code == ExitCode.OK, done.output
    assert f"url: {host.cache.url}" in done.stdout
    assert "signed: false" in done.stdout
    assert "source: false" in done.stdout
    assert "whoever may push there decides what your users run" in done.stderr
    assert "jc mirror trust" not in done.stderr
    assert run("config", host.cache.url, "--root", "/apps").exit_code == ExitCode.REFUSED
