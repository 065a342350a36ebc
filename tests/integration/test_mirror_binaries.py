"""`jc mirror create --from-cache` and `plan --binaries` with the recorded build cache, and a stand-in for Spack.

The stand-in has nothing installed and writes no index; what a real Spack pushes is in `test_mirror_hosts.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.spack.layout_v3 import ARCHIVE_TYPE, INDEX, KEY_INDEX, SPEC_TYPE
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.folder import FileSystemStore
from job_creator.__main__ import main
from job_creator.mirrors.needs.damage import damaged_binaries
from tests.integration import recorded_cache
from tests.integration.components import require
from tests.integration.recorded_cache import CACHE, RegistryCache, nodes, specs
from tests.integration.registry_server import digest_of, run_registry
from tests.programs import write_program
from tests.unit.spackitor.mirrors import RECORDED

STAND_IN = """\
import json, pathlib, sys
words = sys.argv[1:]
while words[0] in ("-C", "-e"):
    del words[:2]
with open({log!r}, "a") as log:
    log.write(json.dumps(words) + "\\n")
if words[0] == "--version":
    print("1.1.0")
elif words[0] == "python":
    known = json.loads(pathlib.Path({answers!r}).read_text())
    wanted = pathlib.Path(words[4]).read_text().split()
    pathlib.Path(words[5]).write_text(json.dumps([known[one] for one in wanted]))
else:
    assert words[0] in ("find", "buildcache"), words
"""
NEEDED = {node["name"] for node in nodes().values()}
OTHERS = {file["spec"]["nodes"][0]["name"] for file, _ in specs().values()} - NEEDED


@dataclass(frozen=True)
class Site:
    """A folder with a lockfile, the stand-in, a build cache to copy from, and the mirror that is to be filled."""

    home: Path

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def mirror(self) -> Path:
        return self.home / "mirror"

    @property
    def pushed(self) -> list[str]:
        """The commands of `spack buildcache` that were run."""
        log = self.home / "log"
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [call[1] for call in calls if call[0] == "buildcache"]

    def run(self, command: str, *arguments: str, to: str = "") -> Result:
        about = [str(self.home / "spack.lock"), "--to", to or str(self.mirror), "--no-sources", "--binaries"]
        own = ["--spack", str(self.home / "spack"), "--cache-dir", str(self.home / "answers-cache")]
        return CliRunner().invoke(main, ["mirror", command, *about, *own, *arguments])

    def create(self, *arguments: str) -> Result:
        return self.run("create", "--from-cache", str(self.cache), *arguments)

    def plan(self, to: str = "", *arguments: str) -> dict[str, str]:
        """The names of the packages that are needed, and how they stand."""
        done = self.run("plan", "--json", *arguments, to=to)
        assert done.exit_code in (ExitCode.OK, ExitCode.NOT_READY), done.output
        items = json.loads(done.stdout)["items"]
        assert {item["kind"] for item in items} == {"binary"}
        return {item["packages"][0].partition("@")[0]: item["status"] for item in items}


@pytest.fixture(name="site")
def site_fixture(tmp_path: Path) -> Site:
    answers = {hash_: answer(hash_) for hash_ in nodes()}
    (tmp_path / "answers").write_text(json.dumps(answers))
    (tmp_path / "spack.lock").write_bytes(recorded_cache.lockfile())
    code = STAND_IN.format(log=str(tmp_path / "log"), answers=str(tmp_path / "answers"))
    write_program(tmp_path / "spack", code)
    shutil.copytree(CACHE, tmp_path / "cache")
    return Site(tmp_path)


def answer(hash_: str) -> dict[str, Any]:
    """What Spack says of a package without sources."""
    return {
        "hash": hash_,
        "problem": "",
        "recipe": [],
        "sources": [],
        "is_current": True,
        "licences": ["MIT"],
        "may_redistribute_source": True,
        "may_redistribute_binary": True,
        "manual": "",
        "build_system": "generic",
        "build_tools": [],
    }


def files(folder: Path) -> dict[str, bytes]:
    """What is below a folder, but for what is beside the binaries."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: (folder / name).read_bytes() for name in found if name.startswith(("v3/", "blobs/"))}


def test_binaries_are_copied_from_another_cache_with_their_keys(site: Site) -> None:
    assert site.plan() == dict.fromkeys(NEEDED, "missing")
    done = site.create("--json")
    assert done.exit_code == ExitCode.OK, done.output
    assert set(json.loads(done.stdout)["binaries"]) == set(nodes())
    # Nothing is installed, so nothing is pushed; Spack then writes the index of what was copied.
    assert site.pushed == ["update-index"]
    assert site.plan() == dict.fromkeys(NEEDED, "present")
    copied, recorded = files(site.mirror), files(site.cache)
    assert copied.items() <= recorded.items()
    left_out = {name for name in recorded.keys() - copied.keys() if name.startswith("v3/manifests/")}
    # Spack writes both indexes.
    assert {name for name in left_out if "/spec/" not in name} == {INDEX, KEY_INDEX}
    assert {name.split("/")[3] for name in left_out if "/spec/" in name} == OTHERS

    before = {path: path.stat().st_mtime_ns for path in site.mirror.rglob("*") if path.is_file()}
    done = site.create()
    assert done.exit_code == ExitCode.OK, done.output
    assert site.pushed == ["update-index"]
    written = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert not [path for path in written if path.relative_to(site.mirror).parts[0] in ("v3", "blobs")]


def blob_of(name: str, media_type: str) -> str:
    (key,) = (key for key in files(CACHE) if key.startswith(f"v3/manifests/spec/{name}/"))
    blob = recorded_cache.manifest(key).blob(media_type)
    assert blob
    return blob.key


@pytest.mark.parametrize("media_type", [ARCHIVE_TYPE, SPEC_TYPE], ids=["archive", "spec"])
def test_an_altered_blob_is_not_copied_and_nothing_leads_to_it(site: Site, media_type: str) -> None:
    key = blob_of("libb", media_type)
    data = bytearray((site.cache / key).read_bytes())
    data[len(data) // 2] ^= 1
    (site.cache / key).write_bytes(bytes(data))
    done = site.create()
    assert done.exit_code == ExitCode.DAMAGED
    assert f"{key}: does not have the checksum of its name" in done.output
    copied = files(site.mirror)
    assert key not in copied
    assert not [name for name in copied if name.startswith("v3/manifests/spec/libb/")]
    assert site.plan()["libb"] == "missing"
    # What was copied before is right, and the next run goes on from there.
    shutil.copy(CACHE / key, site.cache / key)
    assert site.create().exit_code == ExitCode.OK
    assert site.plan() == dict.fromkeys(NEEDED, "present")


def test_a_blob_that_the_cache_lost_ends_the_copy(site: Site) -> None:
    (site.cache / blob_of("libb", ARCHIVE_TYPE)).unlink()
    assert site.create().exit_code == ExitCode.NOT_THERE
    assert site.plan()["libb"] == "missing"


def test_what_nobody_signed_is_only_copied_if_that_was_asked_for(site: Site) -> None:
    (manifest,) = site.cache.glob("v3/manifests/spec/libb/*")
    text = manifest.read_text()
    manifest.write_text(text.partition("\n\n")[2].partition("-----BEGIN")[0])
    assert site.create().exit_code == ExitCode.REFUSED
    assert site.plan()["libb"] == "missing"
    assert site.create("--unsigned").exit_code == ExitCode.OK
    assert site.plan()["libb"] == "present"


def test_what_the_cache_has_not_got_either_is_named(site: Site) -> None:
    shutil.rmtree(site.cache / "v3" / "manifests" / "spec" / "libb")
    done = site.create()
    assert done.exit_code == ExitCode.NOT_READY
    assert "binary of libb@1.1/" in done.stdout


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder on a web server that lists nothing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def list_directory(self, path: Any) -> None:
        """Nothing is listed."""
        del path
        self.send_error(403)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def test_binaries_are_planned_for_behind_a_web_server(site: Site) -> None:
    archive = site.cache / blob_of("libb", ARCHIVE_TYPE)
    with served(site.cache) as url:
        assert site.plan(url) == dict.fromkeys(NEEDED, "present")
        archive.write_bytes(archive.read_bytes()[:-1])
        assert site.plan(url) == {**dict.fromkeys(NEEDED, "present"), "libb": "missing"}
        archive.unlink()
        shutil.rmtree(site.cache / "v3" / "manifests" / "spec" / "liba")
        assert site.plan(url) == {**dict.fromkeys(NEEDED, "present"), "libb": "missing", "liba": "missing"}
        # Not even an index is needed: it may be older than what is there.
        shutil.rmtree(site.cache / "v3" / "manifests" / "index")
        assert site.plan(url)["app-x"] == "present"


def test_the_old_layout_behind_a_web_server_is_not_taken_for_nothing(site: Site) -> None:
    with served(RECORDED / "layout-v2") as url:
        done = site.run("plan", to=url)
        assert done.exit_code == ExitCode.REFUSED
        assert "layout v2" in done.output
    with served(site.home / "nowhere") as url:
        assert site.plan(url) == dict.fromkeys(NEEDED, "missing")


def flip(path: Path) -> None:
    """Change one bit, and nothing that a listing would show."""
    before = path.stat()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.usefixtures("components")
@pytest.mark.parametrize("media_type", [ARCHIVE_TYPE, SPEC_TYPE])
def test_what_is_damaged_is_put_there_again_as_verify_says(site: Site, media_type: str) -> None:
    assert site.create().exit_code == ExitCode.OK
    whole = files(site.mirror)
    flip(site.mirror / blob_of("libb", media_type))
    require("gpg")
    found = CliRunner().invoke(main, ["mirror", "verify", str(site.mirror), "--deep"])
    advice = f"jc mirror create LOCKFILE --to {site.mirror.resolve()} --check --binaries --no-sources"
    assert advice in found.output, found.output
    assert site.plan() == dict.fromkeys(NEEDED, "present")
    assert site.plan("", "--check") == {**dict.fromkeys(NEEDED, "present"), "libb": "missing"}
    assert site.create().exit_code == ExitCode.OK
    assert files(site.mirror) != whole  # nobody looked
    # Without another cache, nothing can be done, and it says so.
    done = site.run("create", "--unsigned", "--check")
    assert (done.exit_code, "is not installed in this Spack" in done.output) == (ExitCode.NOT_READY, True), done.output
    done = site.create("--check")
    assert done.exit_code == ExitCode.OK, done.output
    assert "1 binaries added" in done.output
    assert files(site.mirror) == whole
    assert site.plan("", "--check") == dict.fromkeys(NEEDED, "present")


def test_damage_is_found_behind_a_web_server_and_in_the_old_layout(site: Site) -> None:
    flip(site.cache / blob_of("libb", ARCHIVE_TYPE))
    with served(site.cache) as url:
        assert site.plan(url) == dict.fromkeys(NEEDED, "present")
        assert site.plan(url, "--check") == {**dict.fromkeys(NEEDED, "present"), "libb": "missing"}
    old = site.home / "old"
    shutil.copytree(RECORDED / "layout-v2", old)
    archives = {path.name.rpartition("-")[2][:32]: path for path in old.rglob("*.spack")}
    assert damaged_binaries(FileSystemStore(old), archives, SourceNeeds()) == set()
    hash_ = min(archives)
    flip(archives[hash_])
    assert damaged_binaries(FileSystemStore(old), archives, SourceNeeds()) == {hash_}


@pytest.mark.usefixtures("components")
def test_binaries_are_planned_for_in_a_registry(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    with run_registry(folder) as registry:
        cache = RegistryCache(registry, "site/cache")
        assert site.plan(cache.url) == dict.fromkeys(NEEDED, "missing")
        cache.put_all()
        assert site.plan(cache.url, "--check") == dict.fromkeys(NEEDED, "present")
        (archive,) = (digest_of(data) for tag, (_, data) in specs().items() if tag.startswith("libb-"))
        digest = archive.removeprefix("sha256:")
        stored = folder / "data/docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"
        flip(stored)
        assert site.plan(cache.url) == dict.fromkeys(NEEDED, "present")
        assert site.plan(cache.url, "--check") == {**dict.fromkeys(NEEDED, "present"), "libb": "missing"}
        done = site.run("create", "--check", "--unsigned", to=cache.url)
        assert "is not installed in this Spack; install it\n" in done.output, done.output
        stored.unlink()
        assert site.plan(cache.url) == {**dict.fromkeys(NEEDED, "present"), "libb": "missing"}
        cache.delete(next(tag for tag in specs() if tag.startswith("liba-")))
        assert site.plan(cache.url)["liba"] == "missing"
        cache.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--unsigned says that this is meant"),
        (("--unsigned", "--sources"), "not sources"),
        (("--unsigned", "--recipes"), "not recipes"),
        (("--unsigned", "--from-cache", str(CACHE)), "not a copy of another cache"),
        (("--unsigned", "--group", "users"), "--group"),
    ],
)
def test_what_a_registry_cannot_hold_is_refused_before_anything_is_asked(
    site: Site, arguments: tuple[str, ...], said: str
) -> None:
    done = site.run("create", *arguments, to="oci+http://127.0.0.1:1/cache")
    assert (done.exit_code, said in done.output) == (ExitCode.REFUSED, True), done.output


def test_sources_are_not_planned_for_a_registry(site: Site) -> None:
    done = site.run("plan", "--sources", to="oci+http://127.0.0.1:1/cache")
    assert done.exit_code == ExitCode.REFUSED
    assert "say --no-sources --binaries" in done.output
