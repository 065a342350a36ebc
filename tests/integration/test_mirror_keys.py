"""`jc mirror trust` and `jc mirror keys`: gpg for real; Spack for real where `SPACKTAINERS_SPACK_ROOT` names one.

Without a Spack, a few lines of shell stand in for the `spack gpg` commands, which do little more than to call gpg.
"""

from __future__ import annotations

import grp
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode, NotThereError, RefusedError
from job_creator.__main__ import main
from job_creator.mirrors.keys.spack_ring import SpackKeys
from tests.integration.components import require
from tests.integration.real_spack import recipes
from tests.unit.spackitor.mirrors import RECORDED, LayoutName, recorded

OWNER = {"v2": "4B18C1B51317642CED3494F269C1C06802C7217E", "v3": "9EE721CCD97E3821D94046C07D2B864358DE62A6"}
WRONG = "9EE721CCD97E3821D94046C07D2B864358DE62A7"
STAND_IN = """\
#!/bin/bash
set -eu
export GNUPGHOME=$SPACK_GNUPGHOME
mkdir -p -m 700 "$GNUPGHOME"
if [ "$1" = python ]; then echo "$GNUPGHOME"; exit; fi
shift
case $1 in
  list)
    gpg --list-public-keys
    if [ "$2" = --signing ]; then gpg --list-secret-keys; fi ;;
  trust) gpg --batch --import "$2" ;;
  create)  # --comment C --expires E --export-secret FILE NAME EMAIL
    gpg --batch --passphrase '' --quick-gen-key "$8 ($3) <$9>" ed25519 sign "$5"
    gpg --batch --armor --output "$7" --export-secret-keys "$9" ;;
  export)
    if [ "$2" = --secret ]; then gpg --batch --armor --output "$3" --export-secret-keys "${@:4}"
    else gpg --batch --armor --output "$2" --export "${@:3}"; fi ;;
esac
"""


class Site:
    """A user with a Spack and a key ring of its own."""

    def __init__(self, program: Path, home: Path) -> None:
        self.program, self.home = program, home

    def __call__(self, *arguments: str | Path) -> Result:
        """`jc mirror …`, with this Spack where one is needed."""
        spack = [] if arguments[0] == "verify" else ["--spack", str(self.program)]
        return CliRunner().invoke(main, ["mirror", *map(str, arguments), *spack])

    def trusted(self) -> set[str]:
        """The fingerprints in the key ring."""
        environment = {**os.environ, "GNUPGHOME": str(self.home)}
        argv = ["gpg", "--list-keys", "--with-colons"]
        text = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
        return set(re.findall(r"^fpr:+([0-9A-F]+):", text, re.MULTILINE))


@pytest.fixture(name="key_ring")
def key_ring_fixture(components: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a key ring; its path has to be short, because sockets are made in it."""
    require("gpg")
    with tempfile.TemporaryDirectory(prefix="gpg") as folder:
        home = Path(folder) / "ring"
        home.mkdir(mode=0o700)
        monkeypatch.setenv("SPACK_GNUPGHOME", str(home))
        yield home
        environment = {**os.environ, "GNUPGHOME": str(home)}
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


@pytest.fixture(name="site")
def site_fixture(key_ring: Path, tmp_path: Path) -> Site:
    program = tmp_path / "bin" / "spack"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return Site(program, key_ring)


def both(tmp_path: Path) -> Path:
    """A mirror in both layouts, signed with a key each."""
    for layout in ("v2", "v3"):
        shutil.copytree(RECORDED / f"layout-{layout}", tmp_path / "mirror", dirs_exist_ok=True)
    return tmp_path / "mirror"


def test_without_a_fingerprint_keys_are_shown_and_nothing_changes(site: Site, tmp_path: Path) -> None:
    done = site("trust", both(tmp_path))
    assert done.exit_code == 0, done.output
    for fingerprint in OWNER.values():
        assert f"{fingerprint}\n  Toy CI (GPG created for Spack) <toy@example.org>\n  made 2026-11-20, " in done.stdout
    assert "does not expire" in done.stdout
    assert "nothing was changed; to trust a key, name it" in done.stderr
    assert site.trusted() == set()


def test_a_wrong_fingerprint_changes_nothing_and_shows_what_is_there(site: Site, tmp_path: Path) -> None:
    done = site("trust", both(tmp_path), "--fingerprint", WRONG)
    assert done.exit_code == ExitCode.REFUSED
    assert f"offers no key {WRONG}; nothing was changed" in done.stderr
    assert OWNER["v3"] in done.stderr
    assert site.trusted() == set()


@pytest.mark.parametrize("text", ["58DE62A6", "7D2B864358DE62A6", "toy@example.org"])
def test_short_ids_are_refused(site: Site, tmp_path: Path, text: str) -> None:
    assert site("trust", both(tmp_path), "--fingerprint", text).exit_code == ExitCode.REFUSED
    assert site.trusted() == set()


@pytest.mark.parametrize("layout", ["v2", "v3"])
def test_only_the_key_that_was_named_is_installed(site: Site, tmp_path: Path, layout: str) -> None:
    for _ in range(2):  # what is trusted already may be trusted again
        done = site("trust", both(tmp_path / str(_)), "--fingerprint", OWNER[layout].lower(), "--json")
        assert done.exit_code == 0, done.output
        assert {one["fingerprint"] for one in json.loads(done.stdout) if one["trusted"]} == {OWNER[layout]}
        assert site.trusted() == {OWNER[layout]}


def test_a_key_that_comes_along_in_the_same_file_is_left_out(site: Site, tmp_path: Path) -> None:
    """Spack would import and trust whatever a file holds."""
    mirror = both(tmp_path)
    (own,) = (mirror / "build_cache/_pgp").glob("*.pub")
    other = (RECORDED / "layout-v3/blobs/sha256/00").iterdir()
    own.write_bytes(own.read_bytes() + next(other).read_bytes())
    shutil.rmtree(mirror / "v3")
    assert site("trust", mirror, "--fingerprint", OWNER["v2"]).exit_code == 0
    assert site.trusted() == {OWNER["v2"]}


def test_a_mirror_without_keys_and_one_with_a_private_one(site: Site, tmp_path: Path) -> None:
    mirror = both(tmp_path)
    (own,) = (mirror / "build_cache/_pgp").glob("*.pub")
    backup = tmp_path / "backup.asc"
    assert site("keys", "create", "Me", "me@example.org", "--backup", backup).exit_code == 0
    shutil.copy(backup, own)
    done = site("trust", mirror, "--fingerprint", OWNER["v3"])
    assert done.exit_code == ExitCode.DAMAGED
    assert "the private half of" in done.stderr
    shutil.rmtree(mirror / "build_cache")
    shutil.rmtree(mirror / "v3")
    assert site("trust", mirror).exit_code == ExitCode.NOT_THERE


def test_a_key_is_made_with_a_backup_that_only_its_owner_can_read(site: Site, tmp_path: Path) -> None:
    backup = tmp_path / "backup.asc"
    done = site("keys", "create", "Our cache", "me@example.org", "--backup", backup, "--comment", "for tests")
    assert done.exit_code == 0, done.output
    fingerprint = done.stdout.strip()
    assert site.trusted() == {fingerprint}
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "keep it safe, keep it secret, never put it in a mirror" in done.stderr
    assert "Our cache (for tests) <me@example.org>" in done.stderr
    text = backup.read_text()
    assert text.startswith("-----BEGIN PGP " + "PRIVATE KEY BLOCK-----")
    assert [path.name for path in tmp_path.iterdir() if path != backup] == ["bin"]
    again = tmp_path / "again.asc"
    assert site("keys", "backup", again, "--fingerprint", fingerprint).exit_code == 0
    assert again.read_text() == text
    done = site("keys", "create", "Another", "other@example.org", "--backup", tmp_path / "second.asc")
    assert "there is more than one signing key now" in done.stderr


@pytest.mark.parametrize("command", [("create", "Me", "me@example.org", "--backup"), ("backup",)])
def test_a_backup_never_lands_in_a_mirror_nor_on_another_file(
    site: Site, tmp_path: Path, command: tuple[str, ...]
) -> None:
    mirror = both(tmp_path)
    (mirror / "some" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(mirror / "some")
    (tmp_path / "there").write_text("something")
    for place in (mirror / "key", mirror / "some/folder/key", mirror / "v3/key", tmp_path / "link/folder/key"):
        done = site("keys", *command, place)
        assert done.exit_code == ExitCode.REFUSED, done.output
        assert "is a mirror" in done.stderr
        assert not place.exists()
    assert site("keys", *command, tmp_path / "there").exit_code == ExitCode.REFUSED
    assert (tmp_path / "there").read_text() == "something"
    assert site("keys", *command, tmp_path / "nowhere" / "key").exit_code == ExitCode.NOT_THERE
    assert site.trusted() == set()


def test_whether_there_is_a_key_to_sign_with_is_known_before_anything_is_done(site: Site, tmp_path: Path) -> None:
    spack = SpackKeys(str(site.program))
    with pytest.raises(NotThereError, match="no key to sign binaries with; 'jc mirror keys create' makes one"):
        spack.require_usable("", time.time())
    environment = {**os.environ, "GNUPGHOME": str(site.home)}
    for name in ("one", "other"):
        make = ["--batch", "--faked-system-time", "20200101T000000", "--passphrase", "", "--quick-gen-key", name]
        subprocess.run(["gpg", *make, "ed25519", "sign", "10d"], env=environment, check=True, capture_output=True)
        if name == "one":
            with pytest.raises(RefusedError, match=r"one\): has expired; 'jc mirror keys renew --expires 2y"):
                spack.require_usable("", time.time())
    first, _ = spack.signing()
    with pytest.raises(RefusedError, match="there are 2 signing keys; name one with --key"):
        spack.require_usable("", time.time())
    spack.require_usable(first.fingerprint, 1577836800.0)
    with pytest.raises(NotThereError, match="no signing key 0123; there are: "):
        spack.require_usable("0123", time.time())
    # What has expired can be kept, and made valid again.
    done = site("keys", "backup", tmp_path / "backup")
    assert done.exit_code == 0, done.output
    assert site("keys", "renew", "--expires", "2y").exit_code == ExitCode.REFUSED
    done = site("keys", "renew", "--expires", "2y", "--fingerprint", first.fingerprint)
    assert (done.exit_code, done.stdout.strip()) == (0, first.fingerprint), done.output
    spack.require_usable(first.fingerprint, time.time() + 700 * 86400)
    with pytest.raises(RefusedError, match="has expired"):
        spack.require_usable(first.fingerprint, time.time() + 800 * 86400)
    done = site("keys", "renew", "--expires", "no time", "--fingerprint", first.fingerprint)
    assert done.exit_code == ExitCode.COULD_NOT_ASK
    assert "cannot be renewed" in done.stderr


def test_there_is_no_backup_of_a_key_that_is_not_there(site: Site, tmp_path: Path) -> None:
    done = site("keys", "backup", tmp_path / "backup")
    assert done.exit_code == ExitCode.NOT_THERE
    assert "no such signing key" in done.stderr
    done = site("keys", "publish", both(tmp_path))
    assert done.exit_code == ExitCode.NOT_THERE


def test_a_spack_that_is_not_there_is_told_of(site: Site, tmp_path: Path) -> None:
    site.program = tmp_path / "no-spack"
    done = site("trust", both(tmp_path), "--fingerprint", OWNER["v3"])
    assert done.exit_code == ExitCode.NOT_READY
    assert "no-spack: is not installed" in done.stderr


def test_keys_are_published_for_the_group_whatever_the_umask_says(site: Site, tmp_path: Path) -> None:
    environment = {**os.environ, "GNUPGHOME": str(site.home)}
    make = ["--batch", "--passphrase", "", "--quick-gen-key", "one", "ed25519", "sign"]
    subprocess.run(["gpg", *make], env=environment, check=True, capture_output=True)
    mirror = both(tmp_path)
    # What Spack does, in short: a file, which the stand-in makes without a list.
    site.program.write_text(
        STAND_IN.replace(
            "  export)",
            '  publish) mkdir -p "${4#file://}/build_cache/_pgp"\n'
            '    gpg --batch --armor --output "${4#file://}/build_cache/_pgp/$5.pub" --export "$5"\n'
            '    printf \'{"keys":{"%s":{}}}\' "$5" > "${4#file://}/build_cache/_pgp/index.json" ;;\n  export)',
        )
    )
    before = os.umask(0o077)
    try:
        done = site("keys", "publish", mirror, "--group", grp.getgrgid(os.getegid()).gr_name)
    finally:
        os.umask(before)
    assert done.exit_code == 0, done.output
    for path in mirror.rglob("*"):
        wanted = 0o2775 if path.is_dir() else 0o664
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path
        assert path.lstat().st_gid == os.getegid()
    assert (mirror / "build_cache/_pgp" / f"{done.stdout.strip()}.pub").is_file()


class RealSite(Site):
    """A new user of a real Spack: with one mirror, the recipes of what is in it, and no keys."""

    def __init__(self, root: Path, key_ring: Path, folder: Path, mirror: Path) -> None:
        super().__init__(root / "bin" / "spack", key_ring)
        self._scope = folder / "scope"
        self._scope.mkdir(parents=True)
        repository = recipes(mirror, folder / "recipes")
        for name, text in {
            "mirrors": f"one: file://{mirror}",
            "config": f"install_tree:\n    root: {folder / 'opt'}",
        }.items():
            (self._scope / f"{name}.yaml").write_text(f"{name}:\n  {text}\n")
        (self._scope / "repos.yaml").write_text(f"repos:\n- {repository}\n")

    def spack(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(self.program), "-C", str(self._scope), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture(name="real")
def real_fixture(key_ring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RealSite, Path, LayoutName]:
    root = os.environ.get("SPACKTAINERS_SPACK_ROOT")
    if not root:
        pytest.skip("SPACKTAINERS_SPACK_ROOT is not set")
    monkeypatch.setenv("SPACK_DISABLE_LOCAL_CONFIG", "1")
    monkeypatch.setenv("SPACK_USER_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = subprocess.run([f"{root}/bin/spack", "--version"], capture_output=True, text=True, check=True)
    layout: LayoutName = "v2" if done.stdout.startswith("0.") else "v3"
    mirror = recorded(layout, tmp_path / "mirror", now=time.time())
    return RealSite(Path(root), key_ring, tmp_path / "site", mirror), mirror, layout


def test_a_new_spack_installs_from_the_cache_once_the_right_key_is_trusted(
    real: tuple[RealSite, Path, LayoutName],
) -> None:
    site, mirror, layout = real
    name = next(path for path in mirror.rglob("*liba-1.1-*.json*")).name
    found = re.search(r"-([a-z2-7]{32})\.", name)
    assert found
    install = ("install", "--cache-only", f"/{found[1]}")
    assert site.spack(*install).returncode != 0
    assert site("trust", mirror, "--fingerprint", WRONG).exit_code == ExitCode.REFUSED
    assert site.trusted() == set()
    assert site.spack(*install).returncode != 0
    done = site("trust", mirror, "--fingerprint", OWNER[layout])
    assert done.exit_code == 0, done.output
    assert site.trusted() == {OWNER[layout]}
    done_spack = site.spack(*install)
    assert done_spack.returncode == 0, done_spack.stdout + done_spack.stderr
    assert "liba" in site.spack("find", "--format", "{name}").stdout


def test_a_key_of_a_real_spack_is_made_and_only_its_public_half_published(
    real: tuple[RealSite, Path, LayoutName], tmp_path: Path
) -> None:
    site, mirror, layout = real
    done = site("keys", "create", "Our cache", "me@example.org", "--backup", tmp_path / "backup.asc", "--expires", "2y")
    assert done.exit_code == 0, done.output
    fingerprint = done.stdout.strip()
    # A key of somebody else, whom this site trusts, is not ours to publish.
    assert site("trust", mirror, "--fingerprint", OWNER[layout]).exit_code == 0
    done = site("keys", "publish", mirror)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == fingerprint
    offered = site("trust", mirror, "--json")
    assert {one["fingerprint"] for one in json.loads(offered.stdout)} == {fingerprint, OWNER[layout]}
    done = site("verify", mirror, "--deep")
    assert done.exit_code == 0, done.output
    elsewhere = tmp_path / "empty"
    elsewhere.mkdir()
    assert site("keys", "publish", elsewhere).exit_code == 0
    assert {one["fingerprint"] for one in json.loads(site("trust", elsewhere, "--json").stdout)} == {fingerprint}
    assert not any(b"PRIVATE" in path.read_bytes() for path in tmp_path.glob("[em]*/**/*") if path.is_file())
