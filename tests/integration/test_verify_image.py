"""`jc verify` of images in a real registry, whose disk somebody else writes to: the link that is broken is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from foundation.doors import blocks
from foundation.errors import ExitCode
from foundation.registries.artifacts import put_referrer, read_referrer, referrers
from foundation.registries.connections import INDEXES
from foundation.registries.images import RegistryClient
from foundation.registries.reference import parse_reference
from foundation.sif.files import add_objects
from foundation.sif.headers import NewObject, ObjectKind
from job_creator.containers.versions import VERSION_LABEL
from job_creator.provenance.image_origin import origin_of_image, put_origin
from job_creator.provenance.intoto import Ingredient
from job_creator.provenance.registry import put_statement
from job_creator.provenance.sif_subjects import IMAGE
from job_creator.provenance.statements import Statement, StatementKind
from job_creator.proving.embedding import image_documents
from job_creator.publishing.record import PublicationRecord
from job_creator.sbom import cyclonedx, spdx
from job_creator.sbom.documents import attach_to_image, bom_of_image, written
from job_creator.sbom.gathering import BomRequest
from job_creator.sbom.proof import STANDARDS
from tests.commands import jc
from tests.integration.recorded_cache import lockfile
from tests.integration.registry_server import (
    GROUP,
    Registry,
    digest_of,
    push_files,
    push_image,
    push_index,
    read_manifest,
    run_registry,
)
from tests.integration.sif_world import file_system, sif_file
from tests.integration.signing_keys import KeyPair, expired, key_pair, revoked

FINGERPRINT = "a" * 64
SIGNATURE = "signature of the in-toto statement"
LOCK = lockfile()
LOCK_SHA256 = hashlib.sha256(LOCK).hexdigest()
LABELS = {"org.example.container_checksum": FINGERPRINT, "org.example.spack_lock_sha256": LOCK_SHA256}
LABELS[VERSION_LABEL] = "1.0"


@pytest.fixture(scope="module", name="pair")
def pair_fixture(components: None) -> KeyPair:
    # Long ago, so that it can have expired.
    return key_pair(made="20200101T000000")


@dataclass(frozen=True)
class Image:
    """An image with its statement, in a registry of its own."""

    registry: Registry
    folder: Path
    digest: str
    pair: KeyPair

    @property
    def reference(self) -> str:
        return f"{self.registry.host}/{GROUP}app:1.0"

    @property
    def repository(self) -> str:
        return f"{self.registry.host}/{GROUP}app"

    def verified(self, reference: str = "", key: bytes | None = None, *more: str) -> tuple[Result, dict[str, Any]]:
        public = self.folder / "site.asc"
        public.write_bytes(key if key is not None else self.pair.public)
        result = jc("verify", reference or self.reference, "--key", str(public), "--json", *more)
        return result, json.loads(result.stdout)

    def state(self, **changes: Any) -> None:
        """Sign something of it."""
        statement = Statement(
            StatementKind.CONTAINER_IMAGE,
            self.digest,
            self.repository,
            "amd64",
            FINGERPRINT,
            "refs/heads/main",
            True,
            LOCK_SHA256,
        )
        put_statement(RegistryClient(), replace(statement, **changes), self.pair.private, self.pair.public)

    def attach(
        self, digest: str = "", signer: KeyPair | None = None, signed: Mapping[str, bytes] | None = None
    ) -> dict[str, bytes]:
        """Lay the bills of materials beside it, and a statement that names them; `signed` says other ones."""
        bom = bom_of_image(RegistryClient(), self.reference, "amd64", BomRequest("app"))
        documents = written(bom)
        reference = parse_reference(f"{self.repository}@{self.digest}")
        attach_to_image(RegistryClient(), str(reference), documents)
        bills = {cyclonedx.MEDIA_TYPE: documents.cyclonedx, spdx.MEDIA_TYPE: documents.spdx}
        beside = tuple(
            Ingredient(name, hashlib.sha256((signed or {}).get(STANDARDS[name], content)).hexdigest())
            for name, content in bills.items()
        )
        statement = Statement(
            *(StatementKind.CONTAINER_IMAGE, digest or self.digest, self.repository, "amd64", FINGERPRINT),
            *("refs/heads/main", True, LOCK_SHA256),
        )
        origin = origin_of_image(statement, "", beside)
        put_origin(RegistryClient(), reference, origin, (signer or self.pair).private, None)
        return bills

    def blob(self, digest: str) -> Path:
        """Where the registry keeps it on its disk."""
        digits = digest.removeprefix("sha256:")
        return self.folder / "data/docker/registry/v2/blobs/sha256" / digits[:2] / digits / "data"


@pytest.fixture
def image(pair: KeyPair, tmp_path: Path) -> Iterator[Image]:
    with run_registry(tmp_path) as registry:
        files = {"opt/spack-environment/spack.lock": LOCK}
        digest = push_files(registry, f"{GROUP}app", "1.0", LABELS, files)
        found = Image(registry, tmp_path, digest, pair)
        found.state()
        found.attach()
        yield found


def in_toto(value: dict[str, Any]) -> dict[str, Any]:
    """The statement beside an image, and what hangs on it."""
    found: dict[str, Any] = next(one for one in value["links"] if one["name"] == "in-toto statement")
    return found


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def test_an_image_is_proven_by_tag_and_by_digest_and_in_an_index(image: Image) -> None:
    push_index(image.registry, f"{GROUP}app", "all", {"amd64": image.digest})
    for reference in (image.reference, f"{image.repository}@{image.digest}", f"{image.repository}:all"):
        result, value = image.verified(reference)
        assert result.exit_code == 0, result.output
        assert value["proven"]
        assert [one["name"] for one in value["links"] if one["state"] == "holds"] == [
            *("key", "statement", "manifest", "configuration", "labels", "layers", "lockfile", "in-toto statement")
        ]
        assert {one["name"]: one["state"] for one in in_toto(value)["links"]} == dict.fromkeys(
            (SIGNATURE, "bill of materials (CycloneDX)", "bill of materials (SPDX)"), "holds"
        )
    with pytest.raises(json.JSONDecodeError):
        image.verified(f"{image.repository}:all", None, "--architecture", "arm64")


@pytest.mark.parametrize(
    ("part", "link"), [("layers", "layer 1 of 1"), ("config", "configuration"), ("manifest", "manifest")]
)
def test_a_byte_on_the_registrys_disk_is_named(image: Image, part: str, link: str) -> None:
    manifest = read_manifest(image.registry, f"{GROUP}app", "1.0")
    described = {"layers": manifest["layers"][0]["digest"], "config": manifest["config"]["digest"]}
    path = image.blob(described.get(part, image.digest))
    place = path.read_bytes().index(b"test" if part == "config" else b"size") if part != "layers" else 40
    _flip(path, place)
    result, value = image.verified(f"{image.repository}@{image.digest}")
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, link), result.output


def test_labels_of_something_else_are_named(image: Image) -> None:
    image.state(fingerprint="b" * 64)
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "labels")


def test_another_lockfile_is_named(image: Image) -> None:
    files = {"opt/spack-environment/spack.lock": LOCK + b"\n"}
    digest = push_files(image.registry, f"{GROUP}app", "1.0", LABELS, files)
    replace(image, digest=digest).state()
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "lockfile")


def test_an_image_without_a_statement_is_not_proven(image: Image) -> None:
    push_image(image.registry, f"{GROUP}app", "1.0", "amd64", {**LABELS, "more": "yes"})
    result, value = image.verified()
    assert result.exit_code == ExitCode.DAMAGED, "it says of itself which lockfile is in it, and has none"
    assert not value["proven"]
    push_image(image.registry, f"{GROUP}app", "1.0", "amd64", {})
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.NOT_READY, None)


def test_another_key_and_a_statement_about_another_image_prove_nothing(image: Image) -> None:
    result, value = image.verified("", key_pair("Another").public)
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "statement")


@pytest.mark.parametrize(("media_type", "standard"), STANDARDS.items())
def test_a_byte_of_a_bill_of_materials_is_named(image: Image, media_type: str, standard: str) -> None:
    _flip(image.blob(digest_of(image.attach()[media_type])), 300)
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, f"bill of materials ({standard})")
    assert "is another than was signed" in value["verdict"]


@pytest.mark.parametrize("standard", STANDARDS.values())
def test_a_bill_of_materials_that_nobody_signed_is_named(image: Image, standard: str) -> None:
    image.attach(signed={standard: b"what the site had signed"})
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, f"bill of materials ({standard})")


def test_a_bill_of_materials_that_was_signed_and_is_gone_is_named(image: Image) -> None:
    client, tagged = RegistryClient(), parse_reference(f"{image.repository}:{image.digest.replace(':', '-')}")
    index = json.loads(client.document(tagged, f"manifests/{tagged.tag}", INDEXES[0]) or b"{}")
    kept = [one for one in index["manifests"] if one["artifactType"] != cyclonedx.MEDIA_TYPE]
    assert len(kept) == len(index["manifests"]) - 1
    client.put_manifest(tagged, INDEXES[0], json.dumps({**index, "manifests": kept}).encode())
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "bill of materials (CycloneDX)")
    assert "was signed, and is not there" in value["verdict"]


def test_an_in_toto_statement_of_another_key_or_about_another_image_is_named(image: Image) -> None:
    image.attach(signer=key_pair("Another"))
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, SIGNATURE)
    image.attach(digest=f"sha256:{'e' * 64}")
    result, value = image.verified()
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "in-toto statement")


def test_of_two_keys_either_may_have_signed_an_image(image: Image) -> None:
    other = key_pair("Other").public
    for keys in (image.pair.public + other, other + image.pair.public):
        assert image.verified("", keys)[0].exit_code == 0


def test_a_key_that_was_revoked_replaced_or_has_expired_proves_no_image(image: Image) -> None:
    keys = {
        "that was revoked": revoked(image.pair),
        "that is not the site's": key_pair("The next one").public,
        "that has expired": expired(image.pair),
    }
    for said, key in keys.items():
        result, value = image.verified("", key)
        assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "statement")
        assert said in value["verdict"]


def test_a_signed_image_proves_nothing_of_a_file_that_says_to_be_made_from_it(image: Image, tmp_path: Path) -> None:
    """The attack: a file of somebody's own that carries the image's documents, beside a record that nobody signed."""
    root = tmp_path / "root"
    (root / "opt/spack-environment").mkdir(parents=True)
    (root / "opt/spack-environment/spack.lock").write_bytes(LOCK)
    (root / "evil").write_text("evil")
    path = sif_file(tmp_path / "app.sif", file_system(root, tmp_path / "root.squashfs"))
    documents = image_documents(RegistryClient(), f"{image.repository}@{image.digest}")
    add_objects(path, [NewObject(ObjectKind.JSON, IMAGE, documents.to_bytes())], 0)
    record = PublicationRecord("app", "1.0", "1.0-amd64", "amd64", "refs/heads/main", True, FINGERPRINT)
    record = replace(
        record,
        sha256=blocks.sha256(path),
        size=path.stat().st_size,
        image_digest=image.digest,
        spack_lock_sha256=LOCK_SHA256,
    )
    path.with_name("app.sif.json").write_text(record.to_json())
    result, value = image.verified(str(path), None, "--online")
    assert (result.exit_code, value["first_broken"]) == (ExitCode.NOT_READY, None), result.output
    (registry,) = (one for one in value["links"] if one["name"] == "registry")
    assert registry["state"] == "holds"
    assert not value["proven"]


def test_an_older_image_under_its_tag_is_proven_to_be_older(image: Image) -> None:
    result, value = image.verified()
    about = f"container image {image.repository} 1.0 for amd64, made on refs/heads/main"
    assert (result.exit_code, value["is"]) == (0, about)
    image.state(ref="refs/heads/trial", is_default_branch=False)
    result, value = image.verified()
    assert (result.exit_code, value["is"]) == (0, about.replace("main", "trial"))


def test_another_signed_image_under_this_name_is_not_proven(image: Image) -> None:
    """The attack: all that lies beside another image of the site is copied with it."""
    name = f"{GROUP}other"
    assert push_files(image.registry, name, "1.0", LABELS, {"opt/spack-environment/spack.lock": LOCK}) == image.digest
    other = parse_reference(f"{image.registry.host}/{name}@{image.digest}")
    for one in referrers(RegistryClient(), parse_reference(f"{image.repository}@{image.digest}")):
        content = read_referrer(RegistryClient(), parse_reference(f"{image.repository}@{image.digest}"), one)
        assert content
        put_referrer(RegistryClient(), other, one["artifactType"], content)
    result, value = image.verified(f"{image.registry.host}/{name}:1.0")
    assert (result.exit_code, value["first_broken"]) == (ExitCode.DAMAGED, "in-toto statement"), result.output
    assert not value["proven"]


def test_what_is_not_there_is_told_from_no_answer(image: Image) -> None:
    assert jc("verify", f"{image.repository}:none").exit_code == ExitCode.NOT_THERE
    assert jc("verify", "127.0.0.1:9/group/app:1").exit_code == ExitCode.COULD_NOT_ASK
    assert jc("verify", "No Image").exit_code == ExitCode.USAGE
