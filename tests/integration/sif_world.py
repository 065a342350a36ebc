"""SIF files made without Apptainer: headers by hand, a file system by mksquashfs, and all that a signing job adds."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foundation.doors import blocks
from foundation.sif.files import SifFile, open_sif
from foundation.sif.headers import DESCRIPTOR, HEADER, MAGIC, VERSION, ObjectKind
from job_creator.provenance.signing import sign
from job_creator.proving.embedding import ImageDocuments, embed
from job_creator.proving.papers import PackagePapers
from job_creator.publishing.record import PublicationRecord
from job_creator.sbom.documents import BomDocuments, add_to_sif, written
from job_creator.sbom.gathering import BomRequest, bom_of_lockfile
from tests.integration.components import require
from tests.integration.signing_keys import KeyPair

DESCRIPTORS = 48
PROJECT = "https://gitlab.example.org/group/containers"
GROUP = 0xF0000001


def file_system(folder: Path, target: Path) -> bytes:
    """The files of a folder as a partition has them."""
    command = [require("mksquashfs"), str(folder), str(target), "-noappend", "-quiet", "-no-progress", "-all-root"]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_bytes()


def sif_file(path: Path, partition: bytes, definition: bytes = b"Bootstrap: docker\n", padding: int = 0) -> Path:
    """A file with a definition and the partition that it starts from, laid out as Apptainer does it.

    Behind the file system, its partition has so many random bytes.
    """
    start = 32768
    objects = [
        (ObjectKind.DEFINITION, b"container.def", b"", definition),
        (ObjectKind.PARTITION, b"squash", struct.pack("<ii3s", 1, 2, b"02\0"), partition),
    ]
    table, data, offset = b"", b"", start
    for number, (kind, name, extra, content) in enumerate(objects, start=1):
        padded = content if kind is ObjectKind.PARTITION else content.ljust(-(-len(content) // 4096) * 4096, b"\0")
        size = len(content) + (padding if kind is ObjectKind.PARTITION else 0)
        numbers = (kind, True, number, GROUP, 0, offset, size, size, 0, 0, 0, 0)
        table += DESCRIPTOR.pack(*numbers, name, extra)
        data, offset = data + padded, offset + len(padded)
    free = DESCRIPTORS - len(objects)
    launcher = b"#!/usr/bin/env run-singularity\n"
    sizes = (0, 0, free, DESCRIPTORS, HEADER.size, DESCRIPTORS * DESCRIPTOR.size, start, len(data))
    head = HEADER.pack(launcher, MAGIC, VERSION, b"02\0", bytes(16), *sizes)
    with path.open("wb") as stream:
        stream.write((head + table.ljust(DESCRIPTORS * DESCRIPTOR.size, b"\0")).ljust(start, b"\0") + data)
        for _ in range(padding >> 20):
            stream.write(os.urandom(1 << 20))
    return path


def documents(record: PublicationRecord) -> ImageDocuments:
    """An image whose labels say what a record says."""
    labels = {"org.example.container_checksum": record.container_checksum}
    labels["org.example.spack_lock_sha256"] = record.spack_lock_sha256
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": labels}})
    digest = f"sha256:{hashlib.sha256(config.encode()).hexdigest()}"
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}
    manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": []})
    return ImageDocuments("registry.example.org/group/app", manifest, config)


@dataclass(frozen=True)
class SignedSif:
    """A file as it lies on a cluster, with its record and the signature of that beside it."""

    path: Path
    record: PublicationRecord
    pair: KeyPair

    @property
    def recorded(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def signature(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json.asc")

    @property
    def file(self) -> SifFile:
        return open_sif(self.path)

    def alone(self) -> SignedSif:
        """Without what lies beside it, as somebody copied it home."""
        self.recorded.unlink(missing_ok=True)
        self.signature.unlink(missing_ok=True)
        return self

    def record_anew(self, **changes: Any) -> None:
        """Sign a record of the file as it is now, which says something else."""
        own: dict[str, Any] = {"sha256": blocks.sha256(self.path), "size": self.path.stat().st_size}
        record = replace(self.record, **own | changes)
        self.recorded.write_text(record.to_json())
        self.signature.write_bytes(sign(record.to_signed(), self.pair.private))

    def change(self, place: int, content: bytes) -> None:
        """Write bytes at a place of the file."""
        with self.path.open("r+b") as stream:
            stream.seek(place)
            stream.write(content)

    def flip(self, place: int) -> None:
        """Change one bit."""
        self.change(place, bytes([self.path.read_bytes()[place] ^ 1]))


@dataclass(frozen=True)
class Inside:
    """What a file carries besides: papers of its packages, and bills of materials, if they are other ones."""

    papers: Mapping[str, PackagePapers] | None = None
    bills: BomDocuments | None = None


def signed_sif(
    folder: Path,
    pair: KeyPair,
    files: Mapping[str, bytes],
    lock: bytes,
    base: PublicationRecord,
    padding: int = 0,
    inside: Inside = Inside(),
) -> SignedSif:
    """A container with these files and this lockfile, as the signing job leaves it."""
    root = folder / "root"
    for name, content in {**files, "opt/spack-environment/spack.lock": lock}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    record = replace(base, spack_lock_sha256=hashlib.sha256(lock).hexdigest())
    image = documents(record)
    record = replace(record, image_digest=image.digest)
    path = sif_file(folder / record.file_name, file_system(root, folder / "root.squashfs"), padding=padding)
    add_to_sif(path, inside.bills or written(bom_of_lockfile(lock, "spack.lock", BomRequest(record.container))))
    embed(path, record, image, pair.private, PROJECT, inside.papers)
    signed = SignedSif(path, record, pair)
    signed.record_anew()
    return signed
