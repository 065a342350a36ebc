"""`jc verify` of SIF files: every link is broken in turn, and is the one that is named."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from foundation.doors import blocks
from foundation.errors import ExitCode
from foundation.sif.contents import opened_contents
from foundation.sif.files import add_objects
from foundation.sif.headers import DESCRIPTOR, NewObject, ObjectKind, added
from job_creator.provenance.sif_subjects import IMAGE, STATEMENT
from job_creator.proving.embedding import embed
from job_creator.publishing.record import PublicationRecord
from job_creator.sbom.documents import BomDocuments, written
from job_creator.sbom.gathering import BomRequest, bom_of_lockfile
from tests.commands import jc
from tests.integration.recorded_cache import lockfile, nodes
from tests.integration.sif_world import PROJECT, Inside, SignedSif, documents, file_system, sif_file, signed_sif
from tests.integration.signing_keys import KeyPair, expired, key_pair, revoked

pytestmark = pytest.mark.usefixtures("components")

RECORD = PublicationRecord("app", "1.0", "1.0-amd64", "amd64", "refs/heads/main", True, "a" * 64, commit="c" * 40)


@pytest.fixture(scope="module", name="pair")
def pair_fixture(components: None) -> KeyPair:
    # Long ago, so that it can have expired.
    return key_pair(made="20200101T000000")


@pytest.fixture(scope="module", name="made")
def made_fixture(pair: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> SignedSif:
    files = {"usr/bin/app": b"#!/bin/sh\n" * 1000, "etc/os-release": b"ID=debian\n"}
    return signed_sif(tmp_path_factory.mktemp("made"), pair, files, lockfile(), RECORD)


@pytest.fixture
def sif(made: SignedSif, tmp_path: Path) -> SignedSif:
    """A copy that a test may change."""
    for name in (made.path, made.recorded, made.signature):
        shutil.copy(name, tmp_path)
    return replace(made, path=tmp_path / made.path.name)


ABOUT = "app 1.0 for amd64, made on refs/heads/main"


def verified(sif: SignedSif, *more: str | Path, key: bytes | None = None) -> tuple[Result, dict[str, Any]]:
    public = sif.path.with_name("site.asc")
    public.write_bytes(key if key is not None else sif.pair.public)
    result = jc("verify", str(sif.path), "--key", str(public), "--json", *map(str, more))
    return result, json.loads(result.stdout)


def states(value: dict[str, Any]) -> dict[str, str]:
    found = {value["name"]: value["state"]} if "name" in value else {}
    for link in value.get("links", []):
        found |= states(link)
    return found


def test_a_file_with_its_record_is_proven(sif: SignedSif) -> None:
    result, value = verified(sif)
    assert result.exit_code == 0, result.output
    assert value["proven"]
    found = states(value)
    held = ["signature of the record", "bytes", "signature of the statement", "layout", "image", "configuration"]
    held += ["labels", "lockfile", "bill of materials (CycloneDX)", "bill of materials (SPDX)"]
    assert {name: found[name] for name in held} == dict.fromkeys(held, "holds")
    assert {name for name, state in found.items() if state != "holds"} == {"packages", "registry"}


def test_another_good_file_in_its_place_is_proven_to_be_another(sif: SignedSif, pair: KeyPair, tmp_path: Path) -> None:
    (tmp_path / "older").mkdir()
    base = replace(RECORD, version="0.9", ref="refs/heads/trial", is_release=False)
    older = signed_sif(tmp_path / "older", pair, {"usr/bin/app": b"old"}, lockfile(), base)
    shutil.copy(older.path, sif.alone().path)
    result, value = verified(sif)
    about = "app 0.9 for amd64, made on refs/heads/trial"
    assert (result.exit_code, value["is"]) == (0, about)
    assert f": proven to be {about}; " in value["verdict"]
    # Where nothing is proven, nothing is said to be so.
    _, value = verified(sif, key=key_pair("Another").public)
    assert (value["is"], about in value["verdict"]) == ("", False)


def test_a_file_alone_proves_itself_without_a_network(sif: SignedSif) -> None:
    result, value = verified(sif.alone())
    assert result.exit_code == 0, result.output
    assert states(value)["object 2, the file system"] == "holds"


def test_the_tree_says_what_was_not_checked_and_why(sif: SignedSif, tmp_path: Path) -> None:
    (tmp_path / "site.asc").write_bytes(sif.pair.public)
    text = jc("verify", str(sif.path), "--key", str(tmp_path / "site.asc"), "--explain").stdout
    assert f"└── packages: not checked: {len(nodes())}; say where the build cache is: --cache URL" in text
    assert text.splitlines()[-1] == f"{sif.path}: proven to be {ABOUT}; 2 links were not checked, --explain says which"


def _rename(sif: SignedSif) -> None:
    one = sif.file.header.named(IMAGE)
    assert one
    sif.change(sif.file.header.table + one.index * DESCRIPTOR.size + 73, b"x")


def _overlay(sif: SignedSif, kind: ObjectKind) -> None:
    """One more object with the name of the statement, which is the one that no checksum can be of.

    As a partition, Apptainer lays it over the file system (`PartOverlay`).
    """
    extra = struct.pack("<ii3s", 1, 4, b"02\0") if kind is ObjectKind.PARTITION else b""
    new = added(sif.file.header, sif.file.size, NewObject(kind, STATEMENT, b"evil", extra), 0)
    blocks.overwrite(sif.path, new)


MUTATIONS: dict[str, tuple[Callable[[SignedSif], Any], str]] = {
    "a byte of the file system": (lambda sif: sif.flip(_system(sif) + 200), "object 2, the file system"),
    "a byte of the definition": (lambda sif: sif.flip(sif.file.header.objects[0].offset), "object 1, container.def"),
    "the program that starts it": (lambda sif: sif.change(0, b"#!/bin/sh -c 'evil'\n"), "layout"),
    "the name of an object": (_rename, "layout"),
    "one more object": (
        lambda sif: add_objects(sif.path, [NewObject(ObjectKind.LABELS, "more", b"{}")], 0),
        "layout",
    ),
    "a partition with the name of the statement": (lambda sif: _overlay(sif, ObjectKind.PARTITION), "layout"),
    "a second statement": (lambda sif: _overlay(sif, ObjectKind.JSON), "layout"),
    "a byte of the statement": (lambda sif: sif.flip(_named(sif, STATEMENT) + 40), "statement"),
    "another key": (lambda sif: None, "signature of the statement"),
}


def _system(sif: SignedSif) -> int:
    system = sif.file.header.system
    assert system
    return system.offset


def _named(sif: SignedSif, name: str) -> int:
    found = sif.file.header.named(name)
    assert found
    return found.offset


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_is_changed_in_a_file_alone_is_named(sif: SignedSif, name: str) -> None:
    change, link = MUTATIONS[name]
    change(sif.alone())
    key = key_pair("Another").public if name == "another key" else None
    result, value = verified(sif, key=key)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, link), result.output
    assert not value["proven"]


@pytest.mark.parametrize("name", [name for name in MUTATIONS if name != "another key"])
def test_beside_its_record_whatever_is_changed_are_bytes(sif: SignedSif, name: str) -> None:
    MUTATIONS[name][0](sif)
    result, value = verified(sif)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "bytes"), result.output


def test_a_changed_record_is_not_what_was_signed(sif: SignedSif) -> None:
    text = sif.recorded.read_text()
    sif.recorded.write_text(text.replace("a" * 64, "b" * 64))
    result, value = verified(sif)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "signature of the record")


@pytest.mark.parametrize("place", [60, 100, -60])
def test_a_changed_signature_counts_for_nothing(sif: SignedSif, place: int) -> None:
    data = bytearray(sif.signature.read_bytes())
    data[place] ^= 1
    sif.signature.write_bytes(bytes(data))
    result, value = verified(sif)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "signature of the record")


def test_an_unsigned_record_makes_nobody_believe_the_bytes(sif: SignedSif) -> None:
    """Whoever changes a file can write a record of it; what is signed in the file goes before that."""
    sif.flip(_system(sif) + 200)
    sif.record_anew()
    sif.signature.unlink()
    result, value = verified(sif)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "object 2, the file system")


@pytest.mark.parametrize(
    ("change", "link"),
    [
        ({"spack_lock_sha256": "e" * 64}, "record and statement"),
        ({"image_digest": f"sha256:{'e' * 64}"}, "record and statement"),
        ({"container_checksum": "e" * 64}, "record and statement"),
    ],
)
def test_a_signed_record_of_something_else_is_named(sif: SignedSif, change: dict[str, str], link: str) -> None:
    sif.record_anew(**change)
    result, value = verified(sif)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, link)


def test_without_a_key_nothing_is_proven_and_nothing_is_broken(sif: SignedSif) -> None:
    result = jc("verify", str(sif.path))
    assert result.exit_code == ExitCode.NOT_READY
    assert "not proven: the site's public key is needed" in result.stdout


def test_a_byte_of_the_key_is_named(sif: SignedSif) -> None:
    public = sif.pair.public
    assert states(verified(sif)[1])["key"] == "holds"
    for place in range(0, len(public), 41):
        result, value = verified(sif, key=public[:place] + bytes([public[place] ^ 1]) + public[place + 1 :])
        assert (place, result.exit_code, value["first_broken"]) == (place, ExitCode.DAMAGED, "key")


def test_a_file_that_is_no_key_is_named(sif: SignedSif) -> None:
    for content in (b"", b"no key", sif.signature.read_bytes()):
        result, value = verified(sif, key=content)
        assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "key")


def test_a_lockfile_that_is_not_the_one_that_was_signed_is_named(sif: SignedSif, tmp_path: Path) -> None:
    """As if the job that signs had been told of another one than is in the file."""
    place = tmp_path / "root/opt/spack-environment"
    place.mkdir(parents=True)
    (place / "spack.lock").write_bytes(lockfile() + b"\n")
    path = sif_file(tmp_path / "other.sif", file_system(tmp_path / "root", tmp_path / "root.squashfs"))
    embed(path, sif.record, documents(sif.record), sif.pair.private, PROJECT)
    result, value = verified(replace(sif, path=path))
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "lockfile")


def test_of_two_keys_either_may_have_signed(sif: SignedSif) -> None:
    other = key_pair("Other")
    for keys in (sif.pair.public + other.public, other.public + sif.pair.public):
        assert verified(sif, key=keys)[0].exit_code == 0


def test_a_key_that_was_revoked_or_replaced_proves_nothing(sif: SignedSif) -> None:
    for key in (revoked(sif.pair), key_pair("The next one").public):
        result, value = verified(sif, key=key)
        assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "signature of the record")


def test_a_key_that_has_expired_proves_nothing(sif: SignedSif) -> None:
    old = expired(sif.pair)
    for link in ("signature of the record", "signature of the statement"):
        result, value = verified(sif, key=old)
        assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, link)
        assert "by a key that has expired" in value["verdict"]
        sif.alone()


def bills_of(lock: bytes) -> tuple[BomDocuments, BomDocuments]:
    """The bills of materials of a lockfile, and of one with nothing in it."""
    bom = bom_of_lockfile(lock, "spack.lock", BomRequest("app"))
    return written(bom), written(replace(bom, packages=bom.packages[1:]))


def with_bills(folder: Path, pair: KeyPair, documents: BomDocuments) -> SignedSif:
    """A container that the site signed with these bills of materials in it."""
    return signed_sif(folder, pair, {}, lockfile(), RECORD, inside=Inside(bills=documents))


STANDARDS = {"spacktainers.cdx.json": "CycloneDX", "spacktainers.spdx.json": "SPDX"}


@pytest.mark.parametrize(("name", "standard"), STANDARDS.items())
def test_a_bill_of_materials_that_is_changed_or_wrong_is_named(
    pair: KeyPair, tmp_path: Path, name: str, standard: str
) -> None:
    right, wrong = bills_of(lockfile())
    sif = with_bills(tmp_path, pair, right).alone()
    sif.flip(_named(sif, name) + 40)
    result, value = verified(sif)
    assert result.exit_code == ExitCode.DAMAGED
    assert value["first_broken"].endswith(f", {name}")
    field = "cyclonedx" if standard == "CycloneDX" else "spdx"
    (tmp_path / "other").mkdir()
    mixed = with_bills(tmp_path / "other", pair, replace(right, **{field: getattr(wrong, field)}))
    result, value = verified(mixed)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, f"bill of materials ({standard})")


def test_a_file_that_nobody_signed_is_not_proven(sif: SignedSif) -> None:
    one = sif.file.header.named(STATEMENT)
    assert one
    sif.alone().change(sif.file.header.table + one.index * DESCRIPTOR.size + 4, struct.pack("?", False))
    result, value = verified(sif)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.NOT_READY, None)


@pytest.mark.parametrize("content", [b"", b"<html>" * 9, b"#!/bin/sh\n" * 9])
def test_what_is_no_sif_file_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.sif").write_bytes(content)
    assert jc("verify", str(tmp_path / "x.sif")).exit_code == ExitCode.DAMAGED


def test_a_file_that_is_not_there_is_told_from_an_image(tmp_path: Path) -> None:
    assert jc("verify", str(tmp_path / "x.sif")).exit_code == ExitCode.NOT_THERE


def test_files_of_the_container_are_read_without_mounting_it(sif: SignedSif) -> None:
    with opened_contents(sif.file) as contents:
        found = {*contents.files("/")}
        assert found == {"/etc/os-release", "/opt/spack-environment/spack.lock", "/usr/bin/app"}
        assert contents.read("/usr/bin/app") == b"#!/bin/sh\n" * 1000
        assert contents.read("/usr/bin/none") is None
