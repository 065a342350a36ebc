"""Detached signatures with real keys: whose count, and what is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundation.errors import CouldNotAskError, RefusedError
from job_creator.provenance.signing import NO_KEY, UNSIGNED, Signed, private_key, sign, verify, verify_all
from job_creator.site.spack import Signing
from tests.integration.components import require
from tests.integration.signing_keys import KeyPair, key_pair, revoked

CONTENT = b'{"a":1}'


@pytest.fixture(name="pair", scope="module")
def pair_fixture(components: None) -> KeyPair:
    return key_pair()


def test_what_is_signed_is_verified(pair: KeyPair) -> None:
    verdict = verify(CONTENT, sign(CONTENT, pair.private), pair.public)
    assert verdict.is_good
    assert len(verdict.fingerprint) == 40


def test_each_fault_has_its_reason(pair: KeyPair) -> None:
    other = key_pair("Somebody")
    good, foreign = sign(CONTENT, pair.private), sign(CONTENT, other.private)
    inline = good.replace(b"SIGNATURE", b"MESSAGE")
    things = {
        "changed": Signed(CONTENT + b" ", good),
        "foreign": Signed(CONTENT, foreign),
        "unsigned": Signed(CONTENT, b""),
        "twice": Signed(CONTENT, good + foreign),
        "inline": Signed(CONTENT, inline),
        "damaged": Signed(CONTENT, good[:60] + good[70:]),
        "good": Signed(CONTENT, good),
    }
    reasons = {name: verdict.reason for name, verdict in verify_all(things, pair.public).items()}
    unreadable = "has no single signature that can be read"
    assert reasons == {
        "changed": "is not what was signed",
        "foreign": "is signed by a key that is not the site's",
        "unsigned": UNSIGNED,
        "twice": unreadable,
        "inline": unreadable,
        "damaged": unreadable,
        "good": "",
    }
    assert verify(CONTENT, good, None).reason == NO_KEY
    assert verify(CONTENT, good, b"no key at all").reason == "is signed by a key that is not the site's"


def test_several_signatures_in_one_armor_are_not_one(pair: KeyPair, tmp_path: Path) -> None:
    import base64

    def packets(armored: bytes) -> bytes:
        body = armored.decode().partition("\n\n")[2].partition("\n=")[0]
        return base64.b64decode(body)

    other = key_pair("Somebody")
    both = packets(sign(CONTENT, other.private)) + packets(sign(CONTENT, pair.private))
    text = base64.encodebytes(both).decode().replace("\n", "")
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    armored = f"-----BEGIN PGP SIGNATURE-----\n\n{lines}\n-----END PGP SIGNATURE-----\n".encode()
    assert not verify(CONTENT, armored, pair.public + other.public).is_good
    assert not verify(CONTENT, armored, pair.public).is_good


def test_keys_that_are_over_count_no_more(pair: KeyPair) -> None:
    signature = sign(CONTENT, pair.private)
    assert verify(CONTENT, signature, revoked(pair)).reason == "is signed by a key that was revoked"
    old = key_pair("Old", expires="20200201T000000", made="20200101T000000")
    with pytest.raises(RefusedError, match="has expired"):
        sign(CONTENT, old.private)


def test_what_is_no_single_private_key_signs_nothing(pair: KeyPair) -> None:
    for key in (b"", b"nothing", pair.public):
        with pytest.raises(RefusedError, match="holds none"):
            sign(CONTENT, key)
    with pytest.raises(RefusedError, match="holds 2"):
        sign(CONTENT, pair.private + key_pair("Somebody").private)
    with pytest.raises(CouldNotAskError, match="passphrase"):
        sign(CONTENT, key_pair("Locked", passphrase="locked").private)


def test_neither_agent_nor_folder_is_left(pair: KeyPair) -> None:
    """An agent that stayed would fail the run by itself (tests/leftovers.py)."""
    before = set(Path(os.environ["TMPDIR"]).iterdir())
    sign(CONTENT, pair.private)
    assert set(Path(os.environ["TMPDIR"]).iterdir()) == before


def test_the_key_never_reaches_an_argument(pair: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gpg on PATH that writes down what it is called with, and then is gpg."""
    seen, program = tmp_path / "seen", tmp_path / "bin" / "gpg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {seen}\nexec {require("gpg")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    sign(CONTENT, pair.private)
    assert "--detach-sign" in seen.read_text()
    body = [line for line in pair.private.decode().splitlines() if len(line) > 40]
    assert body
    assert not [line for line in body if line in seen.read_text()]


def test_the_key_is_the_file_that_the_variable_names(pair: KeyPair, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(pair.private)
    signing = Signing()
    assert private_key(signing, {}) is None
    assert private_key(signing, {signing.private_key_variable: str(path)}) == pair.private
