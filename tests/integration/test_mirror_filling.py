"""Mirrors that a real Spack fills and installs from: `jc mirror plan`, `create` and `config`. See `mirror_site.py`."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import random
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from foundation.spack.source_needs import NEEDS_KEY, read_needs
from job_creator.mirrors.contents import STAGING, sha256_in_name
from tests.integration.components import give_up, require
from tests.integration.mirror_site import LIBFFI_PATCH, MirrorSite, hashes, make_site
from tests.samples import REPOSITORY

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("mirror")]

KILLS = 20
ARCHIVES = {"bzip2", "lz4", "libevent", "libffi", "compiler-wrapper"}


@pytest.fixture(name="site", scope="module")
def site_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorSite]:
    site = make_site(tmp_path_factory.mktemp("site"))
    yield site
    # Otherwise GnuPG's agent would outlive the tests.
    subprocess.run(["gpgconf", "--homedir", str(site.folder / "gpg"), "--kill", "all"], check=False)


def files(mirror: Path) -> dict[str, bytes]:
    """The archives that have their final names."""
    found = (path for path in (mirror / "_source-cache").rglob("*") if path.is_file())
    return {path.relative_to(mirror).as_posix(): path.read_bytes() for path in found}


def require_whole(mirror: Path) -> None:
    for key, content in files(mirror).items():
        assert hashlib.sha256(content).hexdigest() == sha256_in_name(key), key
    for link in mirror.rglob("*"):
        assert not link.is_symlink() or link.exists() or STAGING in link.as_posix(), link


def test_what_was_planned_and_created_builds_without_a_network(site: MirrorSite, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    about = (str(site.environment), "--scope", str(site.seeded), "--to", str(mirror))

    before = json.loads(site.jc("plan", *about, "--offline", "--json", code=8))
    assert not mirror.exists()
    needed = {(item["kind"], *item["packages"]) for item in before["items"]}
    by_name = {package.split("@")[0] for kind, package in needed if kind == "archive"}
    assert by_name == ARCHIVES
    assert {item["status"] for item in before["items"]} == {"missing"}

    created = json.loads(site.jc("create", *about, "-j", "2", "--json", code=8))
    (failed,) = created["failed"]
    assert (failed["kind"], failed["sha256"]) == ("patch", LIBFFI_PATCH)
    assert failed["packages"][0].startswith("libffi@3.4.4/")
    assert failed["urls"][0].startswith("https://")
    assert failed["problem"]
    require_whole(mirror)

    after = json.loads(site.jc("plan", *about, "--offline", "--json", code=8))
    assert [item["sha256"] for item in after["items"] if item["status"] == "missing"] == [LIBFFI_PATCH]
    needs = read_needs((mirror / NEEDS_KEY).read_bytes(), "needs")
    assert set(needs.packages) == set(hashes(site.environment / "spack.lock").values())

    scope = tmp_path / "scope"
    site.jc("config", str(mirror), "-o", str(scope))
    install = site.install_scope("isolated", tmp_path / "tree")
    specs = [f"/{hashes(site.environment / 'spack.lock')[name]}" for name in ("bzip2", "lz4", "libevent")]
    site.spack("-e", str(site.environment), "install", *specs, scopes=[install, scope], isolated=True)
    (bzip2,) = (tmp_path / "tree").rglob("bin/bzip2")
    done = subprocess.run([bzip2, "--help"], capture_output=True, text=True, check=True)
    assert "1.0.8" in done.stderr
    assert list((tmp_path / "tree").rglob("libevent.so"))
    refused = site.spack(
        "-e",
        str(site.environment),
        "install",
        f"/{hashes(site.environment / 'spack.lock')['libffi']}",
        scopes=[install, scope],
        isolated=True,
        ok=False,
    )
    assert LIBFFI_PATCH in refused


def test_a_second_plan_asks_no_spack(site: MirrorSite, tmp_path: Path) -> None:
    program = tmp_path / "spack"
    program.write_text(f'#!/bin/sh\nexec {site.program} "$@"\n')
    program.chmod(0o755)
    about = (str(site.environment), "--to", str(tmp_path / "mirror"), "--spack", str(program), "--offline")
    first = site.jc("plan", *about, code=8)
    program.write_text("#!/bin/sh\necho gone >&2\nexit 1\n")
    assert site.jc("plan", *about, code=8) == first
    site.jc("plan", *about, "--cache-dir", str(tmp_path / "answers"), code=5)


class SlowServer:
    """An HTTP server with the archives that takes its time, so that kills hit transfers, and knows what was asked."""

    def __init__(self, seeds: Path) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = seeds / self.path.lstrip("/")
                self.send_response(200 if path.is_file() else 404)
                content = path.read_bytes() if path.is_file() else b""
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if content:
                    asked.append(self.path.lstrip("/"))
                try:
                    for start in range(0, len(content), 1 << 16):
                        self.wfile.write(content[start : start + (1 << 16)])
                        time.sleep(0.03)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> SlowServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_create_can_be_killed_anywhere(site: MirrorSite, tmp_path: Path) -> None:
    """Twenty kills of jc and all that it started, at random; each next run goes on where the last one was."""
    chance = random.Random(8)
    mirror = tmp_path / "mirror"
    kills = 0
    with SlowServer(site.seeds) as server:
        scope = site.fetching("slow", server.url)
        about = (str(site.environment), "--scope", str(scope), "--to", str(mirror))
        site.jc("plan", *about, "--offline", code=8)
        while kills < KILLS:
            had, asked = set(files(mirror)), len(server.asked)
            argv = site.argv("create", *about, "-j", "2")
            process = subprocess.Popen(
                argv, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                process.wait(chance.uniform(0.2, 4.0))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
            require_whole(mirror)
            assert set(files(mirror)) >= had
            assert not had & set(server.asked[asked:])
            if process.returncode >= 0:
                # It was done before it was killed: from the beginning.
                assert len(files(mirror)) == len(ARCHIVES)
                shutil.rmtree(mirror)
        asked = len(server.asked)
        had = set(files(mirror))
        site.jc("create", *about, code=8)
        require_whole(mirror)
        assert len(files(mirror)) == len(ARCHIVES)
        assert not had & set(server.asked[asked:])
        asked = len(server.asked)
        site.jc("create", *about, code=8)
        assert server.asked[asked:] == []


def test_what_was_fetched_but_not_in_place_when_it_was_killed_is_not_fetched_again(
    site: MirrorSite, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    (lz4,) = (one for one in site.seeds.rglob("*.tar.gz") if len(one.read_bytes()) < 400_000 and "0b0e" in one.name)
    key = lz4.relative_to(site.seeds).as_posix()
    staged = mirror / STAGING / f"create-{os.geteuid()}" / "files" / key
    staged.parent.mkdir(parents=True)
    staged.write_bytes(lz4.read_bytes())
    half = staged.with_name("half")
    half.write_bytes(b"half of it")
    with SlowServer(site.seeds) as server:
        scope = site.fetching("slow", server.url)
        site.jc("create", str(site.environment), "--scope", str(scope), "--to", str(mirror), code=8)
        assert key in files(mirror)
        assert key not in server.asked
        assert len(server.asked) == len(ARCHIVES) - 2  # neither lz4 nor the wrapper, which comes with the recipes


def test_a_damaged_archive_is_fetched_anew(site: MirrorSite, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    about = (str(site.environment), "--scope", str(site.seeded), "--to", str(mirror))
    site.jc("create", *about, code=8)
    before = files(mirror)
    key = next(key for key, content in before.items() if len(content) > 1000)
    flipped = bytearray(before[key])
    flipped[500] ^= 1
    (mirror / key).write_bytes(bytes(flipped))
    site.jc("create", *about, code=8)
    assert files(mirror) == before


def one_lock(site: MirrorSite, names: Sequence[str], folder: Path) -> Path:
    """A lockfile of the site with only these roots."""
    lock = json.loads((site.environment / "spack.lock").read_text())
    lock["roots"] = [root for root in lock["roots"] if lock["concrete_specs"][root["hash"]]["name"] in names]
    left, kept = [root["hash"] for root in lock["roots"]], {}
    while left:
        hash_ = left.pop()
        kept[hash_] = lock["concrete_specs"][hash_]
        left += [one["hash"] for one in kept[hash_].get("dependencies", ())]
    path = folder / f"{'-'.join(names)}.lock"
    path.write_text(json.dumps({**lock, "concrete_specs": kept}))
    return path


def test_two_users_of_one_group_fill_a_mirror_in_turn(site: MirrorSite) -> None:
    if os.geteuid() != 0:
        give_up("only root can act for two users")
    group = grp.getgrnam("users")
    users = (pwd.getpwnam("daemon").pw_uid, pwd.getpwnam("bin").pw_uid)
    # Not in the folder of this test run, which only its user can enter.
    with tempfile.TemporaryDirectory(prefix="jc-shared-") as name:
        shared = Path(name)
        shared.chmod(0o755)
        mirror = shared / "mirror"
        mirror.mkdir()
        os.chown(mirror, users[0], group.gr_gid)
        mirror.chmod(0o770)
        seeds = shutil.copytree(site.seeds, shared / "seeds")
        scope = shutil.copytree(site.fetching("others", seeds.as_uri()), shared / "scope")
        homes = {user: home_of(user, shared) for user in users}
        for user, names in zip((*users, *users), (("bzip2",), ("bzip2", "lz4"), ("libevent",), ("lz4",)), strict=True):
            about = (str(one_lock(site, names, shared)), "--scope", str(scope), "--to", str(mirror), "--group", "users")
            done = subprocess.run(
                [
                    *as_user(user, group.gr_gid),
                    *site.argv("create", *about, "--cache-dir", str(homes[user] / "answers")),
                ],
                umask=0o077,
                env={**os.environ, "HOME": str(homes[user]), "SPACK_USER_CACHE_PATH": str(homes[user] / "cache")},
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            require_shared(mirror, group.gr_gid)
        assert {path.stat().st_uid for path in (mirror / "_source-cache").rglob("*.tar.gz")} == set(users)
        needs = read_needs((mirror / NEEDS_KEY).read_bytes(), "needs")
        assert {package.name for package in needs.packages.values()} >= {"bzip2", "lz4", "libevent"}


def as_user(user: int, group: int) -> list[str]:
    """Runs a command as a user, who may read everything, because this Python may be root's alone."""
    capability = "+dac_read_search"
    ids = [f"--reuid={user}", f"--regid={user}", f"--groups={group}"]
    return [require("setpriv"), *ids, f"--inh-caps={capability}", f"--ambient-caps={capability}"]


def home_of(user: int, folder: Path) -> Path:
    """A folder of a user's own, with a copy of the index of recipes if there is one: making it takes a minute."""
    home = folder / str(user)
    home.mkdir()
    if cache := os.environ.get("SPACK_USER_CACHE_PATH"):
        shutil.copytree(cache, home / "cache")
    for path in (home, *home.rglob("*")):
        os.chown(path, user, user)
    return home


def require_shared(mirror: Path, group: int) -> None:
    """Everything is the group's, who may read and write it, but what is not complete yet."""
    for path in (mirror, *mirror.rglob("*")):
        if f"{path.relative_to(mirror).as_posix()}/".startswith(STAGING):
            continue
        status = path.lstat()
        assert status.st_gid == group, path
        if not path.is_symlink():
            assert oct(stat.S_IMODE(status.st_mode)) == ("0o2775" if path.is_dir() else "0o664"), path


def test_padded_binaries_install_into_a_shorter_root_and_are_refused_for_a_longer_one(
    site: MirrorSite, tmp_path: Path
) -> None:
    bzip2 = hashes(site.environment / "spack.lock")["bzip2"]
    mirror = tmp_path / "mirror"
    lock = one_lock(site, ("bzip2",), tmp_path)
    site.spack("gpg", "create", "Site", "site@example.org")
    built = site.install_scope("padded", tmp_path / "padded", padded_length=128)
    site.spack("-e", str(site.environment), "install", "--no-cache", f"/{bzip2}", scopes=[built, site.seeded])
    about = (str(lock), "--to", str(mirror), "--binaries")
    site.jc("create", *about, "--scope", str(built), "--scope", str(site.seeded))
    site.jc("plan", *about, "--offline")

    user = replace(site, variables={"SPACK_GNUPGHOME": str(tmp_path / "gpg")})
    scope = tmp_path / "scope"
    site.jc("config", str(mirror), "-o", str(scope), "--root", str(tmp_path / "short"))
    short = user.install_scope("short", tmp_path / "short")
    install = ("-e", str(site.environment), "install", "--use-buildcache=only", f"/{bzip2}")
    refused = user.spack(*install, scopes=[short, scope], isolated=True, ok=False)
    assert "No binary found when cache-only was specified" in refused
    user.spack("buildcache", "keys", "--install", "--trust", scopes=[scope], isolated=True)
    user.spack(*install, scopes=[short, scope], isolated=True)
    (program,) = (tmp_path / "short").rglob("bin/bzip2")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert "1.0.8" in done.stderr
    assert b"__spack_path_placeholder__" not in program.read_bytes()

    done = subprocess.run(
        site.argv("config", str(mirror), "--root", f"/{'long/' * 40}"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 9
    assert "bin/bzip2" in done.stderr
    assert f"bzip2-1.0.8-{bzip2}" in done.stderr


def test_recipes_are_cloned_from_the_mirror(site: MirrorSite, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    lock = one_lock(site, ("bzip2",), tmp_path)
    site.jc("create", str(lock), "--to", str(mirror), "--no-sources", "--recipes")
    scope = tmp_path / "scope"
    site.jc("config", str(mirror), "-o", str(scope))
    user = replace(site, variables={"SPACK_USER_CACHE_PATH": str(tmp_path / "cache")})
    user.spack("repo", "update", scopes=[scope], isolated=True)
    folder = user.spack("location", "--package-dir", "bzip2", scopes=[scope], isolated=True).strip()
    assert folder.startswith(str(tmp_path / "cache"))
    assert (Path(folder) / "package.py").is_file()
    commit = json.loads(lock.read_text())["spack"]["commit"]
    clone = ["git", "clone", "--quiet", (mirror / "recipes" / "spack.git").as_uri(), str(tmp_path / "spack")]
    subprocess.run(clone, capture_output=True, check=True)
    head = subprocess.run(["git", "-C", tmp_path / "spack", "rev-parse", "HEAD"], capture_output=True, check=True)
    assert head.stdout.decode().strip() == commit
