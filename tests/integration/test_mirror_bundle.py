"""`jc mirror export` and `jc mirror import`: as commands, with gpg, and ended before each of their effects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from job_creator.__main__ import main
from tests.integration.components import require
from tests.integration.effects import Killed, effects
from tests.unit.mirrors.bundles.samples import INDEX, MANIFEST, blob, content, export, fill, import_, small


def jc(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(main, ["mirror", *map(str, arguments)], env=environment)


@pytest.fixture(scope="module")
def keys(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder of gpg's with two keys, and their fingerprints."""
    gpg = require("gpg")
    # The path of gpg's socket may have 107 characters.
    home = Path(tmp_path_factory.mktemp("g"))
    home.chmod(0o700)
    base = [gpg, "--homedir", str(home), "--batch"]
    try:
        for name in ("Ada", "Eve"):
            command = [*base, "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.org>", "ed25519"]
            subprocess.run(command, check=True, capture_output=True)
        listing = subprocess.run([*base, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True)
        fields = [line.split(":") for line in listing.stdout.splitlines()]
        found = [field[9] for field in fields if field[0] == "fpr"]
        names = [field[9].split()[0] for field in fields if field[0] == "uid"]
        yield home, dict(zip(names, found, strict=True))
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


def test_a_signed_bundle_is_imported_with_the_fingerprint_alone(
    tmp_path: Path, keys: tuple[Path, dict[str, str]]
) -> None:
    home, fingerprints = keys
    sent, out, arrived = small(tmp_path / "sent"), tmp_path / "bundle", tmp_path / "arrived"
    done = jc("export", sent, "-o", out, "--sign", fingerprints["Ada"], SPACK_GNUPGHOME=str(home))
    assert done.exit_code == 0, done.output
    command = f"jc mirror import {out} --to DIRECTORY --fingerprint {fingerprints['Ada']}"
    assert done.stdout.splitlines()[-1] == f"there: {command}"
    spaced = " ".join(fingerprints["Ada"][start : start + 4] for start in range(0, 40, 4)).lower()
    done = jc("import", out, "--to", arrived, "--fingerprint", spaced)
    assert done.exit_code == 0, done.output
    assert content(arrived) == content(sent)
    assert "PRIVATE" not in "".join(path.read_text(errors="replace") for path in out.iterdir())


def test_the_key_is_looked_for_where_spack_has_its_keys(tmp_path: Path, keys: tuple[Path, dict[str, str]]) -> None:
    home, fingerprints = keys
    spack = tmp_path / "spack"
    spack.write_text(f'#!/bin/sh\n[ "$1" = python ] && echo "{home}"\n')
    spack.chmod(0o755)
    sent = small(tmp_path / "sent")
    signed = ("--sign", fingerprints["Ada"], "--spack", spack)
    (tmp_path / "empty").mkdir(mode=0o700)
    elsewhere = {"SPACK_GNUPGHOME": "", "GNUPGHOME": str(tmp_path / "empty")}
    assert jc("export", sent, "-o", tmp_path / "one", *signed, **elsewhere).exit_code == 0
    # Where Spack's ring lacks it, or there is no Spack, gpg's is as good.
    spack.write_text(f'#!/bin/sh\necho "{tmp_path}/empty"\n')
    gpgs = {**elsewhere, "GNUPGHOME": str(home)}
    assert jc("export", sent, "-o", tmp_path / "two", *signed, **gpgs).exit_code == 0
    spack.unlink()
    assert jc("export", sent, "-o", tmp_path / "three", *signed, **gpgs).exit_code == 0
    done = jc("export", sent, "-o", tmp_path / "four", *signed, **elsewhere)
    assert done.exit_code == ExitCode.NOT_THERE
    assert f"has no private key {fingerprints['Ada']}" in done.stderr


def test_another_key_and_another_list_are_told_apart(tmp_path: Path, keys: tuple[Path, dict[str, str]]) -> None:
    home, fingerprints = keys
    sent, out, arrived = small(tmp_path / "sent"), tmp_path / "bundle", tmp_path / "arrived"
    jc("export", sent, "-o", out, "--sign", fingerprints["Ada"], "--gpg-home", home)
    listed = (out / "bundle.json").read_bytes()

    def attempt(name: str = "Ada") -> Result:
        return jc("import", out, "--to", arrived, "--fingerprint", fingerprints[name])

    done = attempt("Eve")
    assert done.exit_code == ExitCode.REFUSED
    assert f"is {fingerprints['Ada']} (Ada <Ada@example.org>), not {fingerprints['Eve']}" in done.stderr

    (out / "bundle.json").write_bytes(listed.replace(b'"size"', b'"size" ', 1))
    assert attempt().exit_code == ExitCode.DAMAGED
    (out / "bundle.json").write_bytes(listed)

    # Eve signs what she changed, and puts Ada's key, and both keys, beside it.
    forged = tmp_path / "forged"
    jc("export", fill(sent, {"evil": b""}), "-o", forged, "--sign", fingerprints["Eve"], "--gpg-home", home)
    eves = (forged / "bundle.key.asc").read_bytes()
    for name in ("bundle.json", "bundle.json.asc"):
        shutil.copy(forged / name, out)
    for part in forged.glob("*.tar"):
        shutil.copy(part, out)
    assert attempt().exit_code == ExitCode.DAMAGED
    with (out / "bundle.key.asc").open("ab") as stream:
        stream.write(eves)
    assert attempt().exit_code == ExitCode.REFUSED
    (out / "bundle.json.asc").unlink()
    assert attempt().exit_code == ExitCode.REFUSED
    assert not arrived.exists()


def test_a_key_that_has_expired_counts_no_more(tmp_path: Path, keys: tuple[Path, dict[str, str]]) -> None:
    home, _ = keys
    out = tmp_path / "bundle"
    export(small(tmp_path / "sent"), out)
    base = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--faked-system-time", "20200101T000000"]
    subprocess.run([*base, "--quick-generate-key", "Old", "ed25519", "sign", "1y"], check=True, capture_output=True)
    listing = subprocess.run([*base, "--with-colons", "-k", "Old"], check=True, capture_output=True, text=True).stdout
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
    for arguments in (
        ["--output", str(out / "bundle.json.asc"), "--local-user", "Old", "--detach-sign", str(out / "bundle.json")],
        ["--output", str(out / "bundle.key.asc"), "--export", "Old"],
    ):
        subprocess.run([*base, "--armor", *arguments], check=True, capture_output=True)
    done = jc("import", out, "--to", tmp_path / "arrived", "--fingerprint", fingerprint)
    assert done.exit_code == ExitCode.REFUSED
    assert "has expired" in done.stderr


def test_a_key_that_is_not_there_is_noticed_before_anything_is_written(
    tmp_path: Path, keys: tuple[Path, dict[str, str]]
) -> None:
    out = tmp_path / "bundle"
    done = jc("export", small(tmp_path / "sent"), "-o", out, "--sign", "0" * 40, "--gpg-home", keys[0])
    assert done.exit_code == ExitCode.NOT_THERE
    assert "has no private key" in done.stderr
    assert not out.exists()


def test_without_a_signature_the_receiver_has_to_say_so(tmp_path: Path) -> None:
    sent, out = small(tmp_path / "sent"), tmp_path / "bundle"
    done = jc("export", sent, "-o", out)
    assert done.exit_code == 0
    assert "not signed" in done.stderr
    assert jc("import", out, "--to", tmp_path / "a").exit_code == ExitCode.USAGE
    assert jc("import", out, "--to", tmp_path / "a", "--fingerprint", "0" * 40).exit_code == ExitCode.REFUSED
    assert not (tmp_path / "a").exists()
    assert jc("import", out, "--to", tmp_path / "a", "--unsigned").exit_code == 0


def test_what_was_added_later_is_carried_alone(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    assert jc("export", sent, "-o", tmp_path / "one", "--unsigned").exit_code == 0
    fill(sent, {blob(b"new"): b"new", INDEX: b"index 2"})
    done = jc("export", sent, "-o", tmp_path / "two", "--since", tmp_path / "one/bundle.json", "--unsigned", "--json")
    said = json.loads(done.stdout)
    assert (said["files"], said["bytes"], said["earlier"]) == (2, 10, 7)

    arrived = tmp_path / "arrived"
    early = jc("import", tmp_path / "two", "--to", arrived, "--unsigned")
    assert early.exit_code == ExitCode.NOT_READY
    assert not arrived.exists()
    assert jc("import", tmp_path / "one", "--to", arrived, "--unsigned").exit_code == 0
    dry = jc("import", tmp_path / "two", "--to", arrived, "--unsigned", "--dry-run", "--json")
    assert json.loads(dry.stdout)["written"] == [blob(b"new"), INDEX]
    assert (arrived / INDEX).read_bytes() == b"index 1"
    assert jc("import", tmp_path / "two", "--to", arrived, "--unsigned").exit_code == 0
    assert content(arrived) == content(sent)


def test_each_cause_has_its_exit_code(tmp_path: Path) -> None:
    sent, out = small(tmp_path / "sent"), tmp_path / "bundle"
    assert jc("export", tmp_path / "nowhere", "-o", out).exit_code == ExitCode.NOT_THERE
    assert jc("export", sent, "-o", out, "--since", tmp_path / "x").exit_code == ExitCode.NOT_THERE
    assert jc("export", sent, "-o", out, "--max-size", "1K").exit_code == ExitCode.USAGE
    assert jc("export", sent, "-o", out, "--sign", "1234ABCD").exit_code == ExitCode.REFUSED
    assert jc("export", sent, "-o", out, "--sign", "0" * 40, "--unsigned").exit_code == ExitCode.USAGE
    assert jc("import", out, "--to", tmp_path / "a", "--unsigned").exit_code == ExitCode.NOT_THERE
    assert jc("export", sent, "-o", out, "--unsigned").exit_code == 0
    assert jc("export", sent, "-o", out, "--unsigned").exit_code == ExitCode.REFUSED
    assert jc("import", out, "--to", tmp_path / "a", "--unsigned", "--group", "no such").exit_code == ExitCode.REFUSED
    (out / "part-0001.tar").write_bytes(b"")
    assert jc("import", out, "--to", tmp_path / "a", "--unsigned").exit_code == ExitCode.DAMAGED
    assert not (tmp_path / "a").exists()


def test_an_import_that_is_ended_anywhere_leaves_nothing_half_and_is_completed_by_the_next(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    export(sent, tmp_path / "bundle")
    with effects(tmp_path / "counted") as seen:
        import_(tmp_path / "bundle", tmp_path / "counted")
    wanted = content(sent)
    leads_to = {INDEX: blob(b"index"), MANIFEST: blob(b"tarball")}
    assert len(seen.seen) > 30
    for count in range(len(seen.seen)):
        arrived = tmp_path / f"arrived-{count}"
        with effects(arrived, kill_before=count), pytest.raises(Killed):
            import_(tmp_path / "bundle", arrived)
        found = {key: value for key, value in content(arrived).items() if isinstance(value, bytes | str)}
        visible = {key: value for key, value in found.items() if not key.startswith(".spacktainers/staging/")}
        assert visible.items() <= wanted.items()
        assert all(leads_to[key] in visible for key in visible if key in leads_to)
        assert all(str(value).removeprefix("../") in visible for value in visible.values() if isinstance(value, str))
        if INDEX in visible:
            assert MANIFEST in visible
        import_(tmp_path / "bundle", arrived)
        # What was not finished goes once it is old; somebody else could be writing it today.
        for path in arrived.glob(".spacktainers/staging/*"):
            os.utime(path, (1, 1), follow_symlinks=False)
        import_(tmp_path / "bundle", arrived)
        assert content(arrived) == wanted


def test_an_export_that_is_ended_anywhere_is_no_bundle_until_the_next_completes_it(tmp_path: Path) -> None:
    sent = small(tmp_path / "sent")
    with effects(tmp_path / "counted") as seen:
        export(sent, tmp_path / "counted")
    wanted = content(tmp_path / "counted")
    for count in range(len(seen.seen)):
        out = tmp_path / f"out-{count}"
        with effects(out, kill_before=count), pytest.raises(Killed):
            export(sent, out)
        assert not (out / "bundle.json").exists()
        done = {name for name in content(out) if name.endswith(".tar")}
        with effects(out) as second:
            export(sent, out)
        assert content(out) == wanted
        assert not any(name in effect for name in done for effect in second.seen)
