"""Packages that no trusted key signed, in mirrors with real signatures: found, and removed whoever needs them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.openpgp.ring import ring_folder
from spackitor.__main__ import main
from tests.integration.components import require
from tests.integration.signing_keys import KeyPair, key_pair, revoked
from tests.unit.spackitor.mirrors import LAYOUTS, LayoutName, Made, MadeMirror, require_consistent

TREE = (
    Made("app", ["lib"], age=9),
    Made("lib", ["base"], age=9),
    Made("base", age=9),
    Made("other", ["base"], age=9),
    *(Made(f"more{number}", age=9) for number in range(6)),
)


class SignedMirror(MadeMirror):
    """A mirror whose signatures are real."""

    homes: tuple[Path, ...] = ()

    def sign(self, text: str) -> bytes:
        """The text as the last home of gpg signs it."""
        if not self.signed:
            return text.encode()
        argv = [require("gpg"), "--batch", "--clearsign"]
        environment = {**os.environ, "GNUPGHOME": str(self.homes[-1])}
        return subprocess.run(argv, input=text.encode(), env=environment, capture_output=True, check=True).stdout


@pytest.fixture(name="site", scope="module")
def site_fixture(components: None) -> KeyPair:
    return key_pair()


@pytest.fixture(name="stranger", scope="module")
def stranger_fixture(components: None) -> KeyPair:
    return key_pair("Somebody")


@pytest.fixture(name="made", params=LAYOUTS)
def made_fixture(
    site: KeyPair, stranger: KeyPair, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[SignedMirror]:
    """A mirror that the site signed; it can be signed by a stranger as well."""
    layout: LayoutName = request.param
    (tmp_path / "site.asc").write_bytes(site.public)
    homes = tmp_path / "site", tmp_path / "stranger"
    with ring_folder(homes[0]), ring_folder(homes[1]):
        for home, pair in zip(homes, (site, stranger), strict=True):
            environment = {**os.environ, "GNUPGHOME": str(home)}
            argv = [require("gpg"), "--batch", "--import"]
            subprocess.run(argv, input=pair.private, env=environment, capture_output=True, check=True)
        SignedMirror.homes = homes[:1]
        mirror = SignedMirror(tmp_path / "mirror", layout, TREE, now=time.time())
        SignedMirror.homes = homes
        yield mirror


def spackitor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["-q", *map(str, arguments)])


def findings(mirror: MadeMirror, *options: object) -> dict[str, str]:
    """What is said of each package that something is wrong with."""
    found = json.loads(spackitor("check", mirror.root, "--json", *options).stdout)
    return {_name(one["what"]): one["message"] for one in found if one["kind"] in ("unsigned", "signature")}


def left(mirror: MadeMirror) -> set[str]:
    return {one["name"] for one in json.loads(spackitor("list", mirror.root, "--json").stdout)}


def _name(key: str) -> str:
    return next(spec.name for spec in TREE if f"-{spec.name}-" in key or f"/{spec.name}/" in key)


def _key(mirror: MadeMirror, name: str) -> Path:
    """What is signed of a package: its spec file, or the manifest that leads to it."""
    found = [path for path in mirror.root.rglob("*.spec*json*") if f"{name}-1.0-" in path.name]
    assert len(found) == 1
    return found[0]


def test_what_a_stranger_signed_is_found_and_removed(made: SignedMirror, tmp_path: Path) -> None:
    key = ("--public-key", tmp_path / "site.asc")
    assert spackitor("check", made.root, *key).exit_code == 0
    made.push(made.specs["base"])
    # Without keys, every signature counts, as before.
    assert spackitor("check", made.root).exit_code == 0
    assert findings(made, *key) == {"base": "is signed by a key that is not among those named"}
    assert spackitor("keep", made.root, "app", "--as", "main").exit_code == 0
    # As young as it is, needed by what stays, and in use by roots: it goes, and it alone.
    done = CliRunner().invoke(main, ["check", str(made.root), *map(str, key), "--fix"])
    assert "1 specs without a signature that counts are removed" in done.stderr
    assert left(made) == {spec.name for spec in TREE} - {"base"}
    assert findings(made, *key) == {}
    require_consistent(made.root)
    assert spackitor("restore", made.root).exit_code == 0
    assert list(findings(made, *key)) == ["base"]
    made.signed = False
    if made.layout == "v2":
        _key(made, "base").unlink()
    made.push(made.specs["base"])
    assert findings(made, *key) == {"base": "is not signed"}
    assert spackitor("purge", made.root, "--unsigned", *key).exit_code == 0
    assert left(made) == {spec.name for spec in TREE} - {"base"}


def test_what_is_changed_or_lies_under_another_name_is_found(made: SignedMirror, tmp_path: Path) -> None:
    key = ("--public-key", tmp_path / "site.asc")
    lib, base, other = (_key(made, name) for name in ("lib", "base", "other"))
    lib.write_bytes(base.read_bytes())
    other.write_bytes(other.read_bytes().replace(b"gzip", b"none", 1).replace(b"x86_64_v3", b"x86_64_v4", 1))
    found = findings(made, *key)
    assert found.keys() == {"lib", "other"}
    assert found["lib"].startswith("is signed as something else: ")
    assert found["other"] == "is not what was signed"
    spackitor("check", made.root, *key, "--fix")
    assert left(made) == {spec.name for spec in TREE} - {"lib", "other"}


@pytest.mark.parametrize("made", ["v3"], indirect=True)
def test_a_spec_file_that_was_exchanged_is_found(made: SignedMirror, tmp_path: Path) -> None:
    manifest = json.loads(_key(made, "app").read_text().partition("\n\n")[2].partition("\n-----")[0])
    checksum = manifest["data"][1]["checksum"]
    path = made.root / f"blobs/sha256/{checksum[:2]}/{checksum}"
    value = json.loads(gzip.decompress(path.read_bytes()))
    value["spec"]["nodes"][0]["parameters"]["cflags"] = ["-DEVIL"]
    path.write_bytes(gzip.compress(json.dumps(value).encode()))
    found = findings(made, "--public-key", tmp_path / "site.asc")
    assert found == {"app": "leads to a spec file that has been changed"}


def test_a_revoked_key_counts_for_nothing_and_an_expired_one_removes_nothing(
    made: SignedMirror, site: KeyPair, stranger: KeyPair, tmp_path: Path
) -> None:
    (tmp_path / "site.asc").write_bytes(revoked(site) + stranger.public)
    key = ("--public-key", tmp_path / "site.asc")
    assert set(findings(made, *key).values()) == {"is signed by a key that was revoked"}
    # Nearly all of a mirror never goes by itself.
    done = spackitor("check", made.root, *key, "--fix")
    assert (done.exit_code, "--max-delete" in done.output) == (ExitCode.REFUSED, True)
    assert left(made) == {spec.name for spec in TREE}
    (tmp_path / "no.asc").write_bytes(b"no key")
    assert spackitor("check", made.root, "--public-key", tmp_path / "no.asc").exit_code == ExitCode.REFUSED


def test_an_expired_key_is_told_of_and_removes_nothing(stranger: KeyPair, tmp_path: Path, components: None) -> None:
    old = key_pair("Old", made="20200101T000000", expires="2020-06-01")
    (tmp_path / "keys.asc").write_bytes(old.public + stranger.public)
    with ring_folder(tmp_path / "home"):
        environment = {**os.environ, "GNUPGHOME": str(tmp_path / "home")}
        argv = [require("gpg"), "--batch", "--import"]
        subprocess.run(argv, input=old.private, env=environment, capture_output=True, check=True)

        class Past(SignedMirror):
            def sign(self, text: str) -> bytes:
                argv = [require("gpg"), "--batch", "--faked-system-time", "20200201T000000!", "--clearsign"]
                done = subprocess.run(argv, input=text.encode(), env=environment, capture_output=True, check=True)
                return done.stdout

        made = Past(tmp_path / "mirror", "v3", TREE, now=time.time())
    key = ("--public-key", tmp_path / "keys.asc")
    assert {text[:41] for text in findings(made, *key).values()} == {"is signed by a key that has expired, or t"}
    spackitor("check", made.root, *key, "--fix")
    assert left(made) == {spec.name for spec in TREE}
