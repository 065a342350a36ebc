"""What a build cache says of a package: the files that a package travels with, byte for byte. Pure.

A SIF file carries them, so that its packages are proven without a network.

Source of the layouts: `foundation.spack.layout_v3`, `layout_v2` and `layout_oci`.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from foundation.errors import DamagedError, RefusedError
from foundation.openpgp.frame import message_fault
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.specs import SpecFile, is_signed, read_spec_file
from foundation.stores.store import Content
from job_creator.provenance.statements import canonical, read_canonical

PACKAGES: Final = "spacktainers.packages"
"""The name of the object of a SIF file with the papers of its packages."""
_LARGEST: Final = 256 << 20
_GZIP: Final = b"\x1f\x8b"
_LARGEST_SPEC: Final = 64 << 20


class CacheLayout(StrEnum):
    """How a build cache is laid out."""

    V3 = "v3"
    V2 = "v2"
    OCI = "oci"


@dataclass(frozen=True, slots=True)
class PackageArchive:
    """The archive that a package is installed from, as its papers say."""

    key: str
    """In its cache; of a registry, the digest."""
    sha256: str
    size: int = -1
    """In bytes; -1 where the papers do not say it."""


@dataclass(frozen=True, slots=True)
class PackagePapers:
    """What a cache has of one package, besides its archive."""

    layout: CacheLayout
    cache: str
    """Its URL, without credentials."""
    key: str
    """Of the manifest; in layout v2, of the spec file; of a registry, the tag."""
    manifest: bytes
    """What is signed: the manifest, or in layout v2 the spec file. Nothing in registries is signed."""
    spec: bytes = b""
    """The spec file, packed or not, where it is another file: the manifest has its checksum."""

    @property
    def is_signed(self) -> bool:
        """Whether there is a signature; what it is worth, gpg has to say."""
        return self.layout is not CacheLayout.OCI and is_signed(self.manifest)

    @property
    def form_fault(self) -> str:
        """What no Spack would have written around what it signs; empty if nothing."""
        if self.layout is CacheLayout.V3:
            return next(layout_v3.irregularities(self.manifest), message_fault(self.manifest))
        return message_fault(self.manifest)

    @property
    def spec_checksum(self) -> str:
        """The sha256 that the manifest says the spec file has; empty in layout v2, where both are one.

        Raises `DamagedError`.
        """
        if self.layout is CacheLayout.V2:
            return ""
        if self.layout is CacheLayout.OCI:
            return layout_oci.read_manifest(self.manifest, self.key).config.digest.removeprefix("sha256:")
        blob = layout_v3.spec_blob(self._manifest_v3())
        if blob is None:
            raise DamagedError(f"{self.key}: leads to no spec file")
        return blob.key.rpartition("/")[2]

    def spec_file(self) -> SpecFile:
        """The spec file. Raises `DamagedError` for one that cannot be read, or is another than the manifest says."""
        expected, packed = self.spec_checksum, self.spec
        if self.layout is CacheLayout.V2:
            packed = self.manifest
        elif (found := hashlib.sha256(packed).hexdigest()) != expected:
            raise DamagedError(f"has sha256 {found}, not {expected}")
        try:
            return read_spec_file(_unpacked(packed), self.key)
        except RefusedError as error:
            raise DamagedError(str(error)) from None

    def archive(self) -> PackageArchive:
        """The archive that belongs to it. Raises `DamagedError`."""
        if self.layout is CacheLayout.V3:
            blob = self._manifest_v3().blob(layout_v3.ARCHIVE_TYPE)
            if blob is None:
                raise DamagedError(f"{self.key}: leads to no archive")
            return PackageArchive(blob.key, blob.key.rpartition("/")[2], blob.size)
        file = self.spec_file()
        if not file.archive_sha256:
            raise DamagedError(f"{self.key}: does not say which checksum the archive has")
        if self.layout is CacheLayout.V2:
            return PackageArchive(layout_v2.archive_of(file.nodes[0]), file.archive_sha256)
        own = layout_oci.read_manifest(self.manifest, self.key).own
        if own.digest != f"sha256:{file.archive_sha256}":
            raise DamagedError(f"{self.key}: its last layer is {own.digest}, not that of its spec file")
        return PackageArchive(own.digest, file.archive_sha256, own.size)

    def _manifest_v3(self) -> layout_v3.SpecManifest:
        try:
            found = layout_v3.read_manifest(Content(self.manifest, ""), self.key)
        except RefusedError as error:
            raise DamagedError(str(error)) from None
        if found.damage:
            raise DamagedError(found.damage)
        return found

    def to_value(self) -> dict[str, str]:
        """As JSON has it."""
        said = {"layout": str(self.layout), "cache": self.cache, "key": self.key}
        return {**said, "manifest": _text(self.manifest), "spec": _text(self.spec)}


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(data, _LARGEST_SPEC)
    except zlib.error as error:
        raise DamagedError(f"cannot be unpacked: {error}") from None
    if not unpacker.eof:
        raise DamagedError("cannot be unpacked: it is cut short, or too large")
    return content


def to_bytes(papers: Mapping[str, PackagePapers]) -> bytes:
    """The papers of packages, by DAG hash, as a SIF file carries them."""
    # Base64 in gzip takes a fifth more than the packed spec files; texts of manifests shrink by half.
    value = canonical({hash_: one.to_value() for hash_, one in papers.items()})
    return gzip.compress(value, mtime=0)


def from_bytes(content: bytes) -> dict[str, PackagePapers] | None:
    """Read what `to_bytes` wrote; `None` for anything else."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        value = read_canonical(unpacker.decompress(content, _LARGEST), _LARGEST)
        if value is None or not unpacker.eof or unpacker.unused_data:
            return None
        return {hash_: _read(one) for hash_, one in value.items()}
    except (zlib.error, binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        return None


def _read(value: Mapping[str, Any]) -> PackagePapers:
    texts = [str(value[name]) for name in ("cache", "key")]
    files = [base64.b64decode(value[name], validate=True) for name in ("manifest", "spec")]
    return PackagePapers(CacheLayout(value["layout"]), texts[0], texts[1], files[0], files[1])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
