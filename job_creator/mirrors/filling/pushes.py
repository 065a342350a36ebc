"""Putting binaries into a mirror: what is installed is pushed by Spack, what another build cache has is copied.

Binaries are signed. An unsigned one is refused by a Spack that asks for signatures, which then builds from source
without a word; so one is only ever put there when that was asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, DamagedError, NotThereError, RefusedError, naming
from foundation.spack.layout_v3 import MANIFESTS, Blob, read_manifest
from foundation.spack.program import SpackProgram
from foundation.stores.schemes import BUCKET, kind_of
from foundation.stores.store import Store
from job_creator.mirrors.filling.destinations import BinaryDestination, Destination
from job_creator.mirrors.needs.binaries import SPEC_MANIFESTS, manifest_keys

_NAME: Final = "jc-mirror-destination"
_LAYOUT: Final = "v3/layout.json"
_KEYS: Final = f"{MANIFESTS}key/"
_KEY: Final = re.compile(rf"{_KEYS}[0-9A-F]+\.key\.manifest\.json")
_SECONDS: Final = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class BinarySigning:
    """How binaries are signed: with a key (by Spack's choice if there is only one), or not at all."""

    key: str = ""
    unsigned: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """For `spack buildcache push`, in Spack v0.21 to v1.1."""
        if self.unsigned:
            return ("--unsigned",)
        return ("--key", self.key) if self.key else ()


def require_s3(spack: SpackProgram, url: str) -> None:
    """Raise `NotThereError` if Spack's Python lacks what it writes to buckets with. Raises `CouldNotAskError`."""
    if kind_of(url) is not BUCKET:
        return
    try:
        spack.run("python", "-c", "import boto3")
    except ProcessError as error:
        if "No module named 'boto3" not in str(error):
            raise CouldNotAskError(f"{spack.program}: what its Python has cannot be told: {error}") from None
        raise NotThereError(
            f"{spack.program}: its Python has no boto3, without which Spack writes to no bucket; install it there "
            "(pip install boto3), or name another Python with SPACK_PYTHON"
        ) from None


def push(
    spack: SpackProgram,
    destination: BinaryDestination,
    hashes: Collection[str],
    signing: BinarySigning,
    *,
    private: bool,
) -> frozenset[str]:
    """Push those of the packages that are installed, and return them. Raises `CouldNotAskError`."""
    inside = _with_mirror(spack, destination, signing)
    try:
        installed = frozenset(hashes) & set(spack.run("find", "--format", "{hash}").split())
        if installed:
            inside.run(
                "buildcache",
                "push",
                *signing.arguments,
                # What is asked for is not there, or not whole; Spack only looks whether something of the name is.
                "--force",
                *(("--private",) if private and spack.line().pushes_privately else ()),
                "--only",
                "package",
                _NAME,
                *(f"/{hash_}" for hash_ in sorted(installed)),
                seconds=_SECONDS,
            )
    except (ProcessError, ValueError) as error:
        raise CouldNotAskError(f"{destination.url}: Spack could not push binaries: {error}") from None
    return installed


def update_index(spack: SpackProgram, destination: BinaryDestination, signing: BinarySigning) -> None:
    """Let Spack write the index of binaries and that of keys. Raises `CouldNotAskError`."""
    inside = _with_mirror(spack, destination, signing)
    try:
        inside.run("buildcache", "update-index", "--keys", _NAME, seconds=_SECONDS)
    except ProcessError as error:
        raise CouldNotAskError(f"{destination.url}: Spack could not write the index: {error}") from None


def copy(
    source: Store, destination: Destination, hashes: Collection[str], signing: BinarySigning, *, anew: bool = False
) -> frozenset[str]:
    """Copy binaries of layout v3 from another build cache, verified, and return those that it has.

    Its public keys and the note of the layout come along. A blob that is there in its size stays, unless `anew`.
    Raises `RefusedError` for what is unsigned, `DamagedError`, `NotThereError` for what the cache lost, and
    `CouldNotAskError`.
    """
    keys = manifest_keys(one.key for one in source.list(SPEC_MANIFESTS))
    found = frozenset(hashes) & keys.keys()
    if found and (layout := source.read(_LAYOUT)):
        destination.store.write(_LAYOUT, layout.data)
        for key in [one.key for one in source.list(_KEYS) if _KEY.fullmatch(one.key)]:
            _copy_manifest(source, destination, key, needs_signature=False, anew=anew)
    for hash_ in sorted(found):
        _copy_manifest(source, destination, keys[hash_], needs_signature=not signing.unsigned, anew=anew)
    return found


def _copy_manifest(source: Store, destination: Destination, key: str, *, needs_signature: bool, anew: bool) -> None:
    content = source.read(key)
    if content is None:
        raise NotThereError(f"{source.url}/{key}: was there a moment ago; run this again")
    manifest = read_manifest(content, key)
    if manifest.damage:
        raise DamagedError(f"{source.url}/{manifest.damage}; nothing more is copied")
    if needs_signature and not manifest.is_signed:
        raise RefusedError(f"{source.url}/{key}: is not signed; --unsigned takes it nevertheless")
    for blob in manifest.blobs:
        _copy_blob(source, destination, blob, anew=anew)
    # Last, because it leads to the others.
    destination.store.write(key, content.data)


def _copy_blob(source: Store, destination: Destination, blob: Blob, *, anew: bool) -> None:
    folder = f"{blob.key.rpartition('/')[0]}/"
    if not anew and any(one.key == blob.key and one.size == blob.size for one in destination.store.list(folder)):
        return
    staged = destination.staging / "blob"
    digest = hashlib.sha256()
    with naming(staged):
        staged.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("wb") as stream:
            for block in source.stream(blob.key):
                digest.update(block)
                stream.write(block)
    if digest.hexdigest() != blob.key.rpartition("/")[2]:
        raise DamagedError(f"{source.url}/{blob.key}: does not have the checksum of its name; nothing more is copied")
    destination.put(staged, blob.key, ())


def _with_mirror(spack: SpackProgram, destination: BinaryDestination, signing: BinarySigning) -> SpackProgram:
    """The same Spack, with the destination under a name in its configuration, where its server and signing stand."""
    described: dict[str, Any] = {"url": destination.url}
    if destination.endpoint:
        described["endpoint_url"] = destination.endpoint
    if spack.line().mirrors_can_be_unsigned:
        described["signed"] = not signing.unsigned
    scope = destination.staging / "scope-binaries"
    write_files(scope, {"mirrors.yaml": json.dumps({"mirrors": {_NAME: described}}).encode()})
    inside = spack.with_scope(scope)
    if not destination.endpoint:
        return inside
    # Where there is an `aws` on the path, Spack lists buckets with it, and tells it nothing of the mirror's endpoint.
    return replace(inside, variables={**inside.variables, "AWS_ENDPOINT_URL_S3": destination.endpoint})
