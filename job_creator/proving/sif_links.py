"""The links of a SIF file: its record, the statement in it, the image that it was made from, and its lockfile.

The bytes of the file are read once: held against the record beside it where there is a signed one, and otherwise
object by object against the statement that it carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors import blocks
from foundation.doors.files import read_file
from foundation.errors import DamagedError
from foundation.openpgp.frame import PUBLIC, armor_fault
from foundation.openpgp.ring import key_ring
from foundation.sif.contents import opened_contents
from foundation.sif.files import SifFile
from foundation.sif.headers import ObjectKind, SifObject
from job_creator.environments.views import LOCK_PATH
from job_creator.provenance.intoto import Origin, opened
from job_creator.provenance.sif_subjects import IMAGE, covered, layout_of, statement_of, subject_name
from job_creator.provenance.signing import NO_KEY, UNSIGNED, SignatureVerdict, verify
from job_creator.proving.chain import Link, LinkState, broken, holds, unchecked
from job_creator.proving.claims import OriginClaims, of_origin, of_record
from job_creator.proving.embedding import ImageDocuments
from job_creator.proving.image_facts import documents_links
from job_creator.publishing.record import PublicationRecord

_KEY: Final = re.compile(PUBLIC + b".*?" + PUBLIC.replace(b"BEGIN", b"END") + b"\n?", re.DOTALL)
SIGNATURE_SUFFIX: Final = ".asc"
RECORD_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class BesideFile:
    """The record that lies beside a file, and its signature."""

    place: str
    record: PublicationRecord
    signature: bytes


def beside(path: Path) -> BesideFile | None:
    """What lies beside a file: `<file>.json`, and `<file>.json.asc`; `None` without a record.

    Raises `InvalidInputError` for a file of that name that is no record, and `FileAccessError`.
    """
    record = path.with_name(path.name + RECORD_SUFFIX)
    return record_at(record) if record.exists() else None


def record_at(record: Path) -> BesideFile:
    """The record in a file, as `jc` writes it or as it was signed, and the signature beside it.

    Raises `InvalidInputError` if it is no record, and `FileAccessError`.
    """
    signature = record.with_name(record.name + SIGNATURE_SUFFIX)
    found = PublicationRecord.from_json(read_file(record), str(record))
    return BesideFile(str(record), found, read_file(signature) if signature.exists() else b"")


def signature_link(name: str, verdict: SignatureVerdict) -> Link:
    """A signature, and what it is worth."""
    if verdict.is_good:
        return holds(name, f"by {verdict.fingerprint}", proves=True)
    if verdict.reason == NO_KEY:
        return unchecked(name, "the site's public key is needed: --key FILE")
    if verdict.reason == UNSIGNED:
        return unchecked(name, "there is none")
    return broken(name, verdict.reason)


def key_links(keys: bytes | None) -> tuple[Link, ...]:
    """Whether what was given as the site's keys can be read, and which they are; nothing if none were given.

    Raises `CouldNotAskError` if gpg cannot be asked.
    """
    if keys is None:
        return ()
    armored = _KEY.findall(keys)
    if len(armored) != keys.count(PUBLIC):
        return (broken("key", "a key that was given is cut short"),)
    for number, block in enumerate(armored, start=1):
        if fault := armor_fault(block, "PUBLIC KEY BLOCK"):
            return (broken("key", f"of the keys that were given, number {number} {fault}"),)
    with key_ring() as ring:
        found = ring.keys_in(keys)
    if not found:
        return (broken("key", "there is no public key that can be read in what was given"),)
    return (holds("key", ", ".join(one.fingerprint for one in found)),)


@dataclass(frozen=True, slots=True)
class SifLinks:
    """The links of a file, and what is said in it by whoever signed."""

    links: tuple[Link, ...]
    claims: OriginClaims
    lock: bytes | None


def sif_links(file: SifFile, record: BesideFile | None, keys: bytes | None) -> SifLinks:
    """Everything that is proven by what is on this machine. Raises `CouldNotAskError` if gpg cannot be asked."""
    links: list[Link] = []
    claims, are_bytes_proven = OriginClaims(), False
    if record:
        verdict = verify(record.record.to_signed(), record.signature, keys)
        # Only what is signed makes it needless to read the objects.
        is_whole = verdict.is_good or keys is None or statement_of(file.header) is None
        link = _bytes_link(file, record.record) if is_whole else unchecked("bytes", "the record is not signed")
        links.append(holds("record", f"{record.place}", signature_link("signature of the record", verdict), link))
        claims = of_record(record.record) if is_whole else claims
        are_bytes_proven = verdict.is_good and link.state is LinkState.HOLDS
    statement, origin = _statement_link(file, keys, is_read=are_bytes_proven)
    links.append(statement)
    if origin:
        said = of_origin(origin)
        if record and (differ := of_record(record.record).differences(said)):
            links.append(broken("record and statement", f"differ in {', '.join(differ)}"))
        claims = said if claims == OriginClaims() else claims
    links.append(_image_link(file, claims))
    lock, link = _lockfile_link(file, claims)
    links.append(link)
    if any(one.kind == ObjectKind.SIGNATURE for one in file.header.objects):
        links.append(
            unchecked("signature of Apptainer", "'apptainer verify' checks it; the links above cover the same")
        )
    return SifLinks(tuple(links), claims, lock)


def _bytes_link(file: SifFile, record: PublicationRecord) -> Link:
    if file.size != record.size:
        return broken("bytes", f"the file has {file.size} bytes, not {record.size} as recorded")
    if (found := blocks.sha256(file.path)) != record.sha256:
        return broken("bytes", f"the file has sha256 {found}, not {record.sha256 or 'any'} as recorded")
    return holds("bytes", f"{file.size} with sha256 {found}")


def _statement_link(file: SifFile, keys: bytes | None, *, is_read: bool) -> tuple[Link, Origin | None]:
    """The statement that the file carries; `is_read` says that all bytes were held against a record before."""
    found = statement_of(file.header)
    if found is None:
        return unchecked("statement", "the file carries none"), None
    inside = opened(file.content(found), keys)
    if inside.origin is None:
        return broken("statement", inside.verdict.reason), None
    signature = signature_link("signature of the statement", inside.verdict)
    said = {one.name: one.sha256 for one in inside.origin.subjects}
    links = [signature, _layout_link(file, said), *_object_links(file, said, is_read=is_read)]
    return holds("statement", "an in-toto statement is in the file", *links), inside.origin


def _layout_link(file: SifFile, said: dict[str, str]) -> Link:
    layout = layout_of(file.header)
    names = {layout.name, *(subject_name(one) for one in covered(file.header))}
    if said.get(layout.name) != layout.sha256 or said.keys() != names:
        return broken("layout", "the headers are not those that were signed: objects were added, taken away or renamed")
    return holds("layout", "headers say what was signed")


def _object_links(file: SifFile, said: dict[str, str], *, is_read: bool) -> Iterator[Link]:
    for one in covered(file.header):
        name = f"{_title(file, one)}"
        expected = said.get(subject_name(one), "")
        if is_read:
            yield holds(name, "part of the bytes that the record is about")
        elif (found := blocks.sha256_of(file.blocks(one))) == expected:
            yield holds(name, f"sha256 {found}")
        else:
            yield broken(name, f"has sha256 {found}, and {expected or 'nothing'} was signed")


def _title(file: SifFile, one: SifObject) -> str:
    if one == file.header.system:
        return f"{subject_name(one)}, the file system"
    return f"{subject_name(one)}, {one.name}" if one.name else subject_name(one)


def _image_link(file: SifFile, claims: OriginClaims) -> Link:
    if not claims.image_digest:
        return unchecked("image", "nothing says which image the file was made from")
    content = file.named(IMAGE)
    if content is None:
        return unchecked("image", f"{claims.image_digest}; the file does not carry its manifest")
    documents = ImageDocuments.from_bytes(content)
    if documents is None:
        return broken("image", "what the file carries of it is not what was put there")
    return documents_links(documents, claims)


def _lockfile_link(file: SifFile, claims: OriginClaims) -> tuple[bytes | None, Link]:
    try:
        with opened_contents(file) as contents:
            lock = contents.read(LOCK_PATH)
    except DamagedError as error:
        return None, broken("lockfile", str(error))
    return lock, lockfile_link(lock, claims)


def lockfile_link(lock: bytes | None, claims: OriginClaims) -> Link:
    """The lockfile in a container against what is said of it."""
    if lock is None:
        if claims.lock_sha256:
            return broken("lockfile", f"{LOCK_PATH} is not in the container")
        return unchecked("lockfile", "the container has none; it was not made by Spack")
    found = blocks.sha256_of([lock])
    if not claims.lock_sha256:
        return unchecked("lockfile", f"{LOCK_PATH} has sha256 {found}, and nothing says which it should have")
    if found != claims.lock_sha256:
        return broken("lockfile", f"{LOCK_PATH} has sha256 {found}, not {claims.lock_sha256}")
    return holds("lockfile", f"{LOCK_PATH} has sha256 {found}")
