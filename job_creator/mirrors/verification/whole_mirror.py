"""`jc mirror verify`: looks at a mirror, reads what has to be read, and lets the checks judge it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from foundation.errors import NotThereError
from foundation.openpgp.frame import has_private_key, message_fault
from foundation.openpgp.keys import Signature, State
from foundation.openpgp.ring import key_ring
from foundation.progress import StageProgress
from foundation.spack import layout_v3
from foundation.spack.lockfile import Lockfile
from foundation.spack.source_needs import NEEDS_KEY, SourceNeeds, read_needs
from foundation.stores.store import Store
from job_creator.mirrors.findings import FindingKind, MirrorFinding, VerificationReport, in_order
from job_creator.mirrors.verification import recipe_repositories, source_checks
from job_creator.mirrors.verification.binaries import Evidence, check_v2, check_v3
from job_creator.mirrors.verification.published_keys import check_keys, published_keys
from job_creator.mirrors.view import View, look, read_through

_SMALL: Final = 1 << 16
"""Larger files are no keys."""
_NO_KEYS: Final = re.compile(r"(.*/)?(blobs|_source-cache)/|recipes/[^/]*/objects/")
"""What is named after its content, in which nothing is looked for."""
_OTHERS: Final = ("recipes/", "bootstrap/")


@dataclass(frozen=True)
class MirrorRules:
    """What a mirror has to be. `allowed` are fingerprints of the keys that may have signed it; if empty, any may."""

    is_deep: bool = False
    """Whether everything is read and held against its checksums, not only looked at."""
    must_be_signed: bool = False
    allowed: frozenset[str] = frozenset()
    jobs: int = 2
    """How many objects are read at once."""


def default_jobs() -> int:
    """How many checksums this machine can make at once, and a few more that wait for a disk or a server."""
    return min(16, 2 * (os.cpu_count() or 1))


def verify(
    store: Store, lockfiles: Iterable[Lockfile], rules: MirrorRules, progress: StageProgress
) -> VerificationReport:
    """Everything that is wrong with a mirror. Raises `NotThereError` if there is none."""
    view, found = look(store), Evidence()
    needs = _needs(view, found)
    check_v3(view, found, is_deep=rules.is_deep)
    check_v2(view, found)
    if not view.objects:
        raise NotThereError(f"{store.url}: no mirror; there is nothing")
    signers = _check_signatures(view, found, rules)
    _check_sources(view, found, needs, lockfiles)
    _look_for_private_keys(view, found)
    size = _read_all(view, found, needs, rules, progress) if rules.is_deep else 0
    found.findings += recipe_repositories.check_repositories(view) if rules.is_deep else ()
    counts = {
        "specs": len(found.specs),
        "signed": len(found.signed),
        "sources": sum(key.startswith(source_checks.SOURCES) for key in view.objects),
        "objects": len(view.objects),
        "bytes read": size,
    }
    return VerificationReport(
        store.url, rules.is_deep, in_order((*found.findings, *_unchecked(view, is_deep=rules.is_deep))), counts, signers
    )


def _needs(view: View, found: Evidence) -> SourceNeeds:
    data = view.read([NEEDS_KEY]).get(NEEDS_KEY)
    if data is None:
        return SourceNeeds()
    found.seen.add(NEEDS_KEY)
    needs = read_needs(data, f"{view.store.url}/{NEEDS_KEY}")
    view.ask_for(source_checks.wanted_keys(needs))
    return needs


def _check_signatures(view: View, found: Evidence, rules: MirrorRules) -> tuple[str, ...]:
    """Keys, and all signatures at once; returns the fingerprints of who signed."""
    keys = published_keys(view)
    found.findings += keys.findings
    for key, data in found.signed.items():
        if (fault := message_fault(data)) and not layout_v3.is_manifest(key):
            found.findings.append(MirrorFinding(FindingKind.SIGNATURE, key, fault))
    if found.signed or rules.must_be_signed:
        found.findings += [
            MirrorFinding(FindingKind.UNSIGNED, key, "is not signed" + (", others are" if found.signed else ""))
            for key in found.unsigned
        ]
    if not keys.files and not found.signed:
        return ()
    with key_ring(data for _, data in keys.files.values()) as ring:
        found.findings += check_keys(keys, ring, view.store.now())
        signatures = ring.verify(found.signed, rules.jobs)
    found.seen |= keys.files.keys()
    found.findings += _judged(signatures, rules)
    return tuple(sorted({one.fingerprint for one in signatures.values() if one.state is State.GOOD}))


def _judged(signatures: Mapping[str, Signature], rules: MirrorRules) -> Iterator[MirrorFinding]:
    missing: dict[str, list[str]] = {}
    for key, one in signatures.items():
        if one.state is State.NO_KEY:
            missing.setdefault(one.fingerprint, []).append(key)
        elif one.state is not State.GOOD:
            yield MirrorFinding(FindingKind.SIGNATURE, key, str(one.state))
        elif rules.allowed and one.fingerprint not in rules.allowed:
            yield MirrorFinding(
                FindingKind.SIGNATURE, key, f"is signed by {one.fingerprint}, which is none of those that may"
            )
    for fingerprint, keys in missing.items():
        message = f"the public key {fingerprint} is not in the mirror; {len(keys)} specs are signed with it"
        yield MirrorFinding(FindingKind.MISSING, layout_v3.KEYS, message)


def _check_sources(view: View, found: Evidence, needs: SourceNeeds, lockfiles: Iterable[Lockfile]) -> None:
    found.findings += source_checks.names_and_links(view.objects, is_listed=view.is_listed)
    found.findings += source_checks.recorded_sources(needs, view.objects, found.specs)
    for lockfile in lockfiles:
        found.findings += source_checks.coverage(lockfile, needs, view.objects, found.specs)


def _look_for_private_keys(view: View, found: Evidence) -> None:
    """In whatever small files lie about that belong to nothing known."""
    loose = [
        key
        for key, one in view.objects.items()
        if one.size <= _SMALL and not one.leads_to and key not in found.seen and not _NO_KEYS.match(key)
    ]
    for key, data in view.read(loose).items():
        if has_private_key(data):
            found.findings.append(_private_key(key))


def _private_key(key: str) -> MirrorFinding:
    return MirrorFinding(FindingKind.PRIVATE_KEY, key, "holds the private half of a key; who reads it can sign as you")


def _read_all(view: View, found: Evidence, needs: SourceNeeds, rules: MirrorRules, progress: StageProgress) -> int:
    """Compare the content of everything that has a checksum with it; returns how many bytes were read."""
    wanted = source_checks.expected_digests(view.objects, needs)
    wanted |= {key: digest for key, digest in found.digests.items() if key in view.objects}
    wanted = {key: digest for key, digest in wanted.items() if key not in found.seen}
    total = sum(view.objects[key].size for key in wanted)
    size = 0
    for one in read_through(view.store, wanted, rules.jobs):
        size += one.size
        progress("reading", size, total)
        said = wanted[one.key][1]
        if not one.digest:
            found.findings.append(MirrorFinding(FindingKind.MISSING, one.key, "was there a moment ago"))
        elif said and one.digest != said:
            message = f"has the {wanted[one.key][0]} {one.digest}, not {said}"
            found.findings.append(MirrorFinding(FindingKind.CHECKSUM, one.key, message))
        if one.key in found.packed and not one.starts_like_gzip:
            found.findings.append(
                MirrorFinding(FindingKind.CHECKSUM, one.key, "is not packed by gzip, as it should be")
            )
        if one.has_private_key and not one.key.startswith(source_checks.SOURCES):
            found.findings.append(_private_key(one.key))
    return size


def _unchecked(view: View, *, is_deep: bool) -> Iterator[MirrorFinding]:
    """What no check knows how to judge."""
    repositories = tuple(f"{one}/" for one in recipe_repositories.repositories(view)) if is_deep else ()
    for folder in _OTHERS:
        count = sum(
            key.startswith(folder)
            and not key.startswith(repositories)
            and not source_checks.digest_in(key)
            and not one.leads_to
            for key, one in view.objects.items()
        )
        if count:
            hint = "; --deep lets git check them" if folder == "recipes/" and not is_deep else ""
            yield MirrorFinding(
                FindingKind.NOT_CHECKED, folder, f"{count} files have no checksum that is known here{hint}"
            )
