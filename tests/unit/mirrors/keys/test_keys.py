"""What gpg says, read; and the frames that it does not look at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import RefusedError
from foundation.openpgp.frame import armor_fault, has_private_key, message_fault
from foundation.openpgp.keys import Key, Signature, State, age_text, read_listing, read_status, whole_fingerprint
from tests.samples import REPOSITORY

RECORDED = REPOSITORY / "tests/data/buildcache"
FINGERPRINT = "9EE721CCD97E3821D94046C07D2B864358DE62A6"
MANIFEST = next((RECORDED / "layout-v3/v3/manifests/spec/liba").iterdir()).read_bytes()
PUBLIC_KEY = next((RECORDED / "layout-v2/build_cache/_pgp").glob("*.pub")).read_bytes()
LISTING = f"""\
tru::1:1795202613:0:3:1:5
pub:-:4096:1:7D2B864358DE62A6:1600000000:1700000000::-:::scSC::::::23::0:
fpr:::::::::{FINGERPRINT}:
uid:-::::1795202613::CDE4::Toy CI\\x3a (made) <toy@example.org>::::::::::0:
uid:-::::1795202613::CDE4::another \x1b[31mname::::::::::0:
sub:-:4096:1:AAAAAAAAAAAAAAAA:1600000000::::::e::::::23:
fpr:::::::::{"A" * 40}:
sec:r:255:22:BBBBBBBBBBBBBBBB:1600000000:::-:::scSC:::+:::ed25519:::0:
fpr:::::::::{"B" * 40}:
"""


def test_keys_are_their_primary_keys() -> None:
    first, second = read_listing(LISTING)
    assert first == Key(FINGERPRINT, ("Toy CI: (made) <toy@example.org>", "another ?[31mname"), 1600000000, 1700000000)
    assert (second.fingerprint, second.is_private, second.is_revoked) == ("B" * 40, True, True)
    assert first.is_over(1700000001)
    assert not first.is_over(1699999999)
    assert not second.is_over(1e12)


@pytest.mark.parametrize(
    "text", [FINGERPRINT, FINGERPRINT.lower(), f"0x{FINGERPRINT}", "9EE7 21CC D97E 3821 D940  46C0 7D2B 8643 58DE 62A6"]
)
def test_a_whole_fingerprint_may_be_written_in_several_ways(text: str) -> None:
    assert whole_fingerprint(text) == FINGERPRINT


@pytest.mark.parametrize("text", ["", "58DE62A6", FINGERPRINT[:-1], FINGERPRINT + "0", "toy@example.org"])
def test_anything_shorter_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="no whole fingerprint"):
        whole_fingerprint(text)


def test_each_file_has_its_answer() -> None:
    """Recorded from gpg 2.2.40."""
    good = f"GOODSIG 7D2B864358DE62A6 Toy\nVALIDSIG {FINGERPRINT} 2026-11-20 1795202618 0 4 0 1 10 01 {FINGERPRINT}"
    lacking = f"ERRSIG 7D2B864358DE62A6 1 10 01 1795202617 9 {FINGERPRINT}\nNO_PUBKEY 7D2B864358DE62A6"
    answers = (good, "BADSIG 7D2B864358DE62A6 Toy", lacking, "NODATA 4", f"{good}\n{good}", "GOODSIG 7D2B Toy")
    text = "".join(f"FILE_START 1 {number}\nNEWSIG\n{one}\nFILE_DONE\n" for number, one in enumerate(answers))
    status = "".join(f"[GNUPG:] {line}\n" for line in text.splitlines())
    assert list(read_status(status)) == [
        Signature(State.GOOD, FINGERPRINT),
        Signature(State.BAD),
        Signature(State.NO_KEY, FINGERPRINT),
        None,
        None,
        Signature(State.BAD),  # good, it says, but not by which key
    ]


def test_ages_are_told_in_their_largest_unit() -> None:
    assert [age_text(days * 86400) for days in (0.5, 1, 12, 61, 800)] == [
        "less than a day",
        "1 day",
        "12 days",
        "2 months",
        "2 years",
    ]


def test_what_spack_signed_has_a_sound_frame() -> None:
    folders = (RECORDED / "layout-v3/v3/manifests/spec", RECORDED / "layout-v2/build_cache")
    signed = [path for folder in folders for path in folder.rglob("*.json*") if b"SIGNED" in path.read_bytes()]
    assert len(signed) == 19
    assert {message_fault(path.read_bytes()) for path in signed} == {""}
    assert armor_fault(PUBLIC_KEY, "PUBLIC KEY BLOCK") == ""


_START = MANIFEST.index(b"\n\n") + 2
_END = MANIFEST.index(b"\n-----BEGIN PGP SIGNATURE")
_HASH = MANIFEST.index(b"SHA512")
_FRAME = [*range(_HASH), *range(_HASH + len(b"SHA512"), _START), *range(_END, len(MANIFEST))]


@given(st.sampled_from(_FRAME), st.integers(1, 255))
def test_no_byte_of_a_frame_changes_unseen(position: int, change: int) -> None:
    """The rest is the text, which the signature covers, and the name of the checksum that it was made with."""
    changed = bytearray(MANIFEST)
    changed[position] ^= change
    assert message_fault(bytes(changed))


@given(st.integers(_START, _END - 1))
def test_no_blank_stands_at_the_end_of_a_line(position: int) -> None:
    """The one change of a text that its signature allows."""
    if MANIFEST[position] == ord("\n"):
        assert message_fault(MANIFEST[:position] + b" " + MANIFEST[position:])
        assert message_fault(MANIFEST[: position - 1] + b"\t" + MANIFEST[position:])


@given(st.integers(0, len(PUBLIC_KEY) - 1), st.integers(1, 255))
def test_no_byte_of_a_key_changes_unseen(position: int, change: int) -> None:
    changed = bytearray(PUBLIC_KEY)
    changed[position] ^= change
    assert armor_fault(bytes(changed), "PUBLIC KEY BLOCK")


def test_private_keys_are_known_in_armor_and_without() -> None:
    assert has_private_key(b"something\n-----BEGIN PGP " + b"PRIVATE KEY BLOCK-----\n\nabc")
    assert has_private_key(b"\x95\x03\x98\x04" + bytes(40))  # packet 5 of version 4
    assert has_private_key(b"\xc5\x58\x04" + bytes(40))
    assert not has_private_key(PUBLIC_KEY)
    assert not has_private_key(MANIFEST)
    assert not has_private_key(b"\x1f\x8b" + bytes(40))
    assert not has_private_key(b"\x95")
