"""Detached OpenPGP signatures with the site's key, and what they are worth.

Who may sign is said by the keys that are given, never by what lies beside a signature: rings are made for one question
and thrown away (RFC 4880, section 11.4, "Detached Signatures").
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from foundation.doors.files import read_file
from foundation.errors import FileAccessError
from foundation.openpgp.keys import State
from foundation.openpgp.ring import KeyRing, key_ring, sign_detached
from job_creator.site.run import Context
from job_creator.site.spack import Signing

UNSIGNED: Final = "is not signed"
NO_KEY: Final = "cannot be verified without the site's public key"
_REASONS: Final = {
    State.GOOD: "",
    State.BAD: "is not what was signed",
    State.NO_KEY: "is signed by a key that is not the site's",
    State.EXPIRED: "is signed by a key that has expired, or the signature has",
    State.REVOKED: "is signed by a key that was revoked",
    State.UNREADABLE: "has no single signature that can be read",
}

_Name = TypeVar("_Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Signed:
    """Bytes, and the detached signature that came with them; empty if there is none."""

    content: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """Whose signature something has, or why it counts for nothing."""

    reason: str
    """Empty if it is good; otherwise goes after a name: `is signed by …`."""
    fingerprint: str = ""
    """Of the primary key, if it is good."""

    @property
    def is_good(self) -> bool:
        """Whether one of the given keys signed it, and may."""
        return not self.reason


def private_key(signing: Signing, environment: Mapping[str, str]) -> bytes | None:
    """What the CI variable with the key that signs holds; `None` where the job has none. Raises `FileAccessError`."""
    return _from_file(signing.private_key_variable, environment)


def public_key(signing: Signing, environment: Mapping[str, str]) -> bytes | None:
    """The keys that verify: of the CI variable, or else of the repository; `None` where there are none.

    Raises `FileAccessError`.
    """
    found = _from_file(signing.public_key_variable, environment)
    return read_file(Path(signing.public_key)) if found is None and signing.public_key else found


def signs(signing: Signing, environment: Mapping[str, str], context: Context) -> bool:
    """Whether a run signs what it makes: who has the key does, and the default branch has to where it is verified."""
    if context.is_merge_request:
        return False
    has_key = bool(environment.get(signing.private_key_variable))
    is_verified = bool(environment.get(signing.public_key_variable) or signing.public_key)
    return has_key or (context.is_default_branch and is_verified)


def sign(content: bytes, key: bytes) -> bytes:
    """The detached signature of some bytes, in armor.

    Raises `RefusedError` if `key` holds not one private key that may sign, and `CouldNotAskError`.
    """
    return sign_detached(content, key)


def verify(content: bytes, signature: bytes, keys: bytes | None) -> SignatureVerdict:
    """Whether one of these keys signed some bytes. Raises `CouldNotAskError` if gpg cannot be asked."""
    return verify_all({"": Signed(content, signature)}, keys)[""]


def verify_all(things: Mapping[_Name, Signed], keys: bytes | None) -> dict[_Name, SignatureVerdict]:
    """The same for many things, with one key ring. Raises `CouldNotAskError` if gpg cannot be asked."""
    if not keys:
        return dict.fromkeys(things, SignatureVerdict(NO_KEY))
    with key_ring((keys,)) as ring:
        return {name: _verdict(ring, thing) for name, thing in things.items()}


def _verdict(ring: KeyRing, thing: Signed) -> SignatureVerdict:
    if not thing.signature:
        return SignatureVerdict(UNSIGNED)
    found = ring.verify_detached(thing.content, thing.signature)
    return SignatureVerdict(_REASONS[found.state], found.fingerprint if found.state is State.GOOD else "")


def _from_file(variable: str, environment: Mapping[str, str]) -> bytes | None:
    path = environment.get(variable)
    if not path:
        return None
    try:
        return read_file(Path(path))
    except FileAccessError:
        raise FileAccessError(f"{variable}: names no file; give the CI variable the type 'File'") from None
