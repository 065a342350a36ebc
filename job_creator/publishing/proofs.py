"""What proves that a published SIF file is what this site made: its record, signed with the site's key.

    <prefix>/<container>__<tag>.sif                                 the file; its record is its S3 metadata
    <prefix>/signed/<container>__<tag>.sif.<12 digits>.json         the record in the spelling that is signed
    <prefix>/signed/<container>__<tag>.sif.<12 digits>.json.asc     the detached signature of that

The digits are the first of the signed record's sha256. Both are written before the file gets its name, so that it has
them at any moment. What is verified is the record that the file carries: if anything of it was changed, that is not
what was signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from foundation.errors import NotThereError, RefusedError
from foundation.stores.bucket import S3Store
from foundation.stores.store import StoredObject
from job_creator.provenance.signing import NO_KEY, SignatureVerdict, Signed, sign, verify, verify_all
from job_creator.publishing.places import own_record, proof_names
from job_creator.publishing.record import PublicationRecord

_LARGEST: Final = 64 << 10
"""Bytes; a signature takes less than two KiB."""
_PROBE: Final = b"probe"


@dataclass(frozen=True, slots=True)
class SitesKeys:
    """The site's key pair."""

    private: bytes
    public: bytes

    def require_pair(self) -> None:
        """Raises `RefusedError` unless what the one key signs is proven by the other; and `CouldNotAskError`."""
        self.sign(_PROBE)

    def sign(self, content: bytes) -> bytes:
        """The signature of some bytes, verified. Raises `RefusedError` and `CouldNotAskError`."""
        signature = sign(content, self.private)
        if reason := verify(content, signature, self.public).reason:
            raise RefusedError(f"what the private key signs {reason}; both have to be halves of the same key")
        return signature


def write_proof(store: S3Store, record: PublicationRecord, signer: SitesKeys) -> None:
    """Put a record beside its file, signed. Raises `RefusedError` and `CouldNotAskError`."""
    content = record.to_signed()
    signature = signer.sign(content)
    for name, data in zip(proof_names(record), (content, signature), strict=True):
        store.write(name, data)


def verdict(store: S3Store, found: StoredObject, keys: bytes | None) -> SignatureVerdict:
    """Whether what is published is proven. Raises `CouldNotAskError`."""
    return verdicts(store, [found], keys)[found.key]


def verdicts(store: S3Store, found: Iterable[StoredObject], keys: bytes | None) -> dict[str, SignatureVerdict]:
    """The same of many files, by their keys. Without a public key nothing is asked, and nothing proven."""
    every = list(found)
    if not keys:
        return {one.key: SignatureVerdict(NO_KEY) for one in every}
    faults = {one.key: _fault(one) for one in every}
    whole = [one for one in every if not faults[one.key]]
    with ThreadPoolExecutor(store.workers) as pool:
        signed = dict(zip((one.key for one in whole), pool.map(lambda one: _signed(store, one), whole), strict=True))
    return {key: SignatureVerdict(fault) for key, fault in faults.items()} | verify_all(signed, keys)


def signature_of(store: S3Store, found: StoredObject) -> bytes:
    """The signature of what is published; empty if there is none. Raises `CouldNotAskError`."""
    return _signed(store, found).signature


def _fault(found: StoredObject) -> str:
    """What is wrong with a file before its signature is looked at; empty if nothing is.

    Its content is held against its record as far as the server's word goes: what is downloaded has a sha256 besides.
    """
    record = own_record(found)
    if record is None:
        return "has no record, or that of another file"
    is_whole = found.size == record.size and (not record.etags or found.tag.strip('"') in record.etags.split())
    return "" if is_whole else "has another content than its record says"


def _signed(store: S3Store, found: StoredObject) -> Signed:
    record = own_record(found)
    return Signed(record.to_signed(), _read(store, proof_names(record)[1])) if record else Signed(b"", b"")


def _read(store: S3Store, key: str) -> bytes:
    """A small object; empty if there is none."""
    content = b""
    with suppress(NotThereError):
        for block in store.stream(key):
            content += block
            if len(content) > _LARGEST:
                break
    return content
