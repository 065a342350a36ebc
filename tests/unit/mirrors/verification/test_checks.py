"""What is missing, and what that means: sources, the packages that lack them, and lockfiles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode
from foundation.spack import layout_v3
from foundation.spack.lockfile import Lockfile, read_lockfile
from foundation.stores.store import StoredObject
from job_creator.mirrors.findings import FindingKind, MirrorFinding, VerificationReport, in_order
from job_creator.mirrors.verification.binary_checks import check_manifest
from job_creator.mirrors.verification.source_checks import (
    coverage,
    digest_in,
    expected_digests,
    names_and_links,
    recorded_sources,
)
from tests.unit.spackitor.mirrors import dag_hash
from tests.unit.spackitor.source_mirrors import Package, key_of, lockfile, needs_of, sha256

PACKAGES = (
    Package("app", ["app 1.0", "a patch"], ["lib", "glibc"], ["tool"]),
    Package("lib", ["lib 1.0"], [], ["deep"]),
    Package("tool", ["tool 1.0"]),
    Package("deep", ["deep 1.0"]),
    Package("glibc", [], is_external=True),
)
NEEDS = needs_of(PACKAGES)


def objects(*contents: str, **links: str) -> Mapping[str, StoredObject]:
    found = [StoredObject(key_of(content), 10, 0.0, "") for content in contents]
    found += [StoredObject(f"{key}/link", 0, 0.0, "link", target) for key, target in links.items()]
    return {one.key: one for one in found}


def locked(*packages: Package, roots: tuple[str, ...] = ("app",)) -> Lockfile:
    return read_lockfile(lockfile(packages or PACKAGES, roots), "spack.lock")


def of(*kinds: FindingKind) -> VerificationReport:
    return VerificationReport("mirror", True, tuple(MirrorFinding(kind, "key", "message") for kind in kinds))


@pytest.mark.parametrize("kind", FindingKind)
def test_damage_wins_over_what_is_missing_and_notes_are_no_fault(kind: FindingKind) -> None:
    expected = {
        FindingKind.MISSING: ExitCode.NOT_READY,
        FindingKind.LINK: ExitCode.NOT_READY,
        FindingKind.NEVER: ExitCode.OK,
        FindingKind.NOT_CHECKED: ExitCode.OK,
        FindingKind.LEFT_OVER: ExitCode.OK,
    }
    assert of(kind).exit_code is expected.get(kind, ExitCode.DAMAGED)
    assert of(kind, FindingKind.CHECKSUM).exit_code is ExitCode.DAMAGED
    assert of(kind, FindingKind.MISSING).exit_code is not ExitCode.OK


def test_findings_are_told_once_and_damage_first() -> None:
    note, missing, damage = (
        MirrorFinding(kind, "a", "b") for kind in (FindingKind.NEVER, FindingKind.MISSING, FindingKind.SIZE)
    )
    assert in_order([note, missing, damage, missing]) == (damage, missing, note)


def test_a_missing_source_is_named_with_package_url_and_checksum() -> None:
    (finding,) = recorded_sources(NEEDS, objects("app 1.0", "lib 1.0", "tool 1.0", "deep 1.0"), ())
    assert (finding.kind, finding.key) == (FindingKind.MISSING, key_of("a patch"))
    assert finding.package == f"app@1.0/{dag_hash('app')[:7]}"
    assert finding.urls == ("https://example.org/app/1.tar.gz",)
    assert finding.sha256 == sha256("a patch")
    assert str(finding).endswith(f"its patch is not there ({finding.urls[0]} sha256 {finding.sha256})")


def test_what_there_is_a_binary_of_can_do_without_its_sources() -> None:
    there = objects("lib 1.0", "tool 1.0", "deep 1.0")
    assert list(recorded_sources(NEEDS, there, {dag_hash("app")})) == []


def test_every_node_of_a_lockfile_is_covered_by_sources_or_a_binary() -> None:
    everything = objects("app 1.0", "a patch", "lib 1.0", "tool 1.0", "deep 1.0")
    assert list(coverage(locked(), NEEDS, everything, ())) == []
    assert list(coverage(locked(), NEEDS, {}, {dag_hash("app"), dag_hash("lib")})) == []  # the others only build
    without = {one.package.partition("@")[0] for one in coverage(locked(), NEEDS, {}, {dag_hash("app")})}
    assert without == {"lib", "deep"}  # lib has to be built, with what builds it
    without = {one.package.partition("@")[0] for one in coverage(locked(), NEEDS, {}, ())}
    assert without == {"app", "lib", "tool", "deep"}


def test_a_node_of_which_nothing_is_known_is_not_covered() -> None:
    (finding,) = coverage(locked(Package("other", []), roots=("other",)), NEEDS, {}, ())
    assert finding.kind is FindingKind.MISSING
    assert "no record of its sources; 'jc mirror create'" in finding.message


def test_what_can_never_be_mirrored_is_only_missing_where_a_lockfile_needs_it() -> None:
    manual = (Package("app", ["app 1.0"], obstacle="has to be fetched by hand"),)
    (note,) = recorded_sources(needs_of(manual), {}, ())
    assert note.kind is FindingKind.NEVER
    (finding,) = coverage(locked(*manual), needs_of(manual), {}, ())
    assert finding.kind is FindingKind.MISSING
    assert "has to be fetched by hand" in finding.message
    assert list(coverage(locked(*manual), needs_of(manual), {}, {dag_hash("app")})) == []


@given(st.sampled_from(sorted(hashlib.algorithms_guaranteed - {"shake_128", "shake_256", "blake2s"})), st.binary())
def test_a_name_says_what_the_content_is(algorithm: str, content: bytes) -> None:
    digest = hashlib.new(algorithm, content).hexdigest()
    found = digest_in(f"_source-cache/archive/{digest[:2]}/{digest}.tar.gz")
    assert found is not None
    assert found[1] == digest
    assert algorithm in (found[0], "blake2b") or len(hashlib.new(found[0]).hexdigest()) == len(digest)


@pytest.mark.parametrize(
    "key",
    [
        "_source-cache/git/spack/spack.git/v1.tar.gz",
        f"_source-cache/archive/00/{'1' * 64}",
        f"_source-cache/archive/11/{'1' * 63}",
        "_source-cache/archive/no/name.tar.gz",
        "app/app-1.0.tar.gz",
    ],
)
def test_other_names_say_nothing(key: str) -> None:
    assert digest_in(key) is None


def test_sources_of_bootstrapping_are_named_like_all_others() -> None:
    assert digest_in(f"bootstrap/bootstrap_cache/{key_of('x')}") == ("sha256", sha256("x"))


def test_links_must_lead_to_something_within_the_mirror() -> None:
    there = objects("app 1.0", app=key_of("app 1.0"), lib=key_of("lib 1.0"), out="../elsewhere", far="/etc/passwd")
    found = {one.key: one.kind for one in names_and_links(there, is_listed=True)}
    assert found == {"lib/link": FindingKind.LINK, "out/link": FindingKind.LINK, "far/link": FindingKind.LINK}


def test_copies_under_readable_names_have_to_be_copies() -> None:
    """As a mirror has them that was copied to a server that knows no links."""
    copied = StoredObject("app/app-1.0-0.tar.gz", 7, 0.0, "")
    assert expected_digests({copied.key: copied}, NEEDS) == {copied.key: ("sha256", sha256("app 1.0"))}


def test_checkouts_are_told_of_and_no_error() -> None:
    key = "_source-cache/git/some/repository.git/abc.tar.gz"
    (finding,) = names_and_links({key: StoredObject(key, 1, 0.0, "")}, is_listed=True)
    assert finding.kind is FindingKind.NOT_CHECKED


MANIFEST = {
    "version": 3,
    "data": [
        {
            "contentLength": 5,
            "mediaType": "application/vnd.spack.db.v8+json",
            "compression": "none",
            "checksumAlgorithm": "sha256",
            "checksum": "a" * 64,
        }
    ],
}
UNSIGNED = json.dumps(MANIFEST, indent=0, separators=(",", ":")).encode()
_CHECKSUM = range(UNSIGNED.index(b"aaaa"), UNSIGNED.index(b"aaaa") + 64)
_LENGTH = UNSIGNED.index(b":5") + 1
_VERSION = UNSIGNED.index(b".v8") + 2


@given(st.integers(0, len(UNSIGNED) - 1), st.integers(0, 255))
def test_no_byte_of_a_manifest_without_signature_changes_unseen(position: int, byte: int) -> None:
    """Checksum, length and version are compared with the blob; all else can only be what it is."""
    changed = bytearray(UNSIGNED)
    changed[position] = byte
    manifest, findings = check_manifest(layout_v3.INDEX, bytes(changed))
    if bytes(changed) == UNSIGNED:
        assert findings == ()
    elif not findings:
        assert position in (*_CHECKSUM, _LENGTH, _VERSION)
        (blob,) = manifest.blobs
        assert (blob.size, blob.media_type, blob.key[-64:]) != (5, "application/vnd.spack.db.v8+json", "a" * 64)
