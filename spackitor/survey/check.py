"""Whether a mirror is what it says it is: the index against the objects, and what is missing, broken or in the way."""

from __future__ import annotations

import hashlib
import json
import math
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from foundation.errors import DamagedError, NotThereError
from foundation.spack import layout_v3
from foundation.spack.releases import Layout
from foundation.stores.store import Store, look_at_all
from spackitor.inventory.inventory import Entry, Inventory
from spackitor.inventory.quarantine import spared
from spackitor.inventory.roots import key_of
from spackitor.policy.verdicts import DAY
from spackitor.survey.signatures import distrusted
from spackitor.survey.spec_files import spec_file_of
from spackitor.survey.survey import CacheSurvey, read_objects

_BUILD_INFO: Final = "/.spack/binary_distribution"
_PADDING: Final = "__spack_path_placeholder__"
"""What Spack fills install prefixes up with (`config:install_tree:padded_length`); lib/spack/spack/util/path.py."""


class CacheFault(StrEnum):
    """What can be wrong. The first is what `--fix` mends, the second what `clean` removes.

    With public keys, `--fix` also removes what is unsigned, and what none of them signed.
    """

    INDEX = "index"
    ORPHAN = "orphan"
    BROKEN = "broken"
    UNSIGNED = "unsigned"
    SIGNATURE = "signature"
    DEPENDENCY = "dependency"
    PADDING = "padding"
    RECORD = "record"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class CacheFinding:
    """Something that is wrong, and with what."""

    kind: CacheFault
    what: str
    message: str


def check(seen: CacheSurvey, *, by_keys: bool = False) -> tuple[CacheFinding, ...]:
    """Everything that can be found without reading archives; of signatures only whether there are some.

    Not even that `by_keys`, for which `check_signatures` looks.
    """
    inventory = seen.inventory
    return (
        *_indexes(inventory),
        *_entries(inventory),
        *_sizes(inventory, seen.manifests),
        *_orphans(inventory),
        *(() if by_keys else _signatures(inventory)),
        *_dependencies(inventory),
        *_records(inventory),
        *_times(inventory),
    )


def _indexes(inventory: Inventory) -> Iterator[CacheFinding]:
    for file in inventory.indexes:
        if file.damage:
            yield CacheFinding(CacheFault.INDEX, file.key, file.damage)
            continue
        whole = {one.hash for one in inventory.entries if one.layout is file.layout and one.hash in inventory.usable}
        whole &= {one.hash for one in inventory.entries if one.layout is file.layout and one.is_whole}
        if file.index is None:
            if whole and not inventory.has_views(file.layout):
                yield CacheFinding(CacheFault.INDEX, file.key, f"there is none, for {len(whole)} specs")
            continue
        if not file.is_consistent:
            yield CacheFinding(CacheFault.INDEX, file.key, "does not fit the checksum beside it")
        for hash_ in sorted(file.index.listed - whole):
            yield CacheFinding(CacheFault.INDEX, file.key, f"lists {inventory.specs[hash_]}, which is not in the cache")
        for hash_ in sorted(whole - file.index.listed) if not file.view else ():
            yield CacheFinding(CacheFault.INDEX, file.key, f"does not list {inventory.specs[hash_]}")


def _entries(inventory: Inventory) -> Iterator[CacheFinding]:
    for entry in inventory.entries:
        for missing in entry.missing:
            yield CacheFinding(CacheFault.BROKEN, entry.metadata[0].key, f"{missing} is not there")
        if entry.damage:
            yield CacheFinding(CacheFault.BROKEN, entry.metadata[0].key, entry.damage)


def _sizes(inventory: Inventory, manifests: Mapping[str, layout_v3.SpecManifest]) -> Iterator[CacheFinding]:
    sizes = {one.key: one.size for entry in inventory.entries for one in entry.archives if not one.leads_to}
    for key, manifest in manifests.items():
        for blob in manifest.blobs:
            if sizes.get(blob.key, blob.size) != blob.size:
                yield CacheFinding(
                    CacheFault.BROKEN, blob.key, f"has {sizes[blob.key]} bytes, not {blob.size} as {key} says"
                )


def _orphans(inventory: Inventory) -> Iterator[CacheFinding]:
    waiting = spared(inventory.runs, inventory.now)
    for orphan in inventory.orphans:
        # What is young may belong to a push that is not yet done.
        if orphan.object.key not in waiting and orphan.object.modified < inventory.now - DAY:
            yield CacheFinding(CacheFault.ORPHAN, orphan.object.key, orphan.why)


def _signatures(inventory: Inventory) -> Iterator[CacheFinding]:
    """Specs without signature where others have one: Spack refuses them, unless told not to check any."""
    if any(entry.is_signed for entry in inventory.entries):
        for entry in inventory.entries:
            if not entry.is_signed:
                yield CacheFinding(
                    CacheFault.UNSIGNED,
                    entry.metadata[0].key,
                    "is not signed, others are; see spackitor purge --unsigned",
                )


def check_signatures(store: Store, inventory: Inventory, keys: bytes) -> Iterator[CacheFinding]:
    """Specs that none of these keys signed. Raises `RefusedError` where there is no key, and `CouldNotAskError`."""
    for one in distrusted(store, inventory, keys):
        kind = CacheFault.SIGNATURE if one.entry.is_signed else CacheFault.UNSIGNED
        yield CacheFinding(kind, one.entry.metadata[0].key, one.reason)


def _dependencies(inventory: Inventory) -> Iterator[CacheFinding]:
    for hash_ in sorted(inventory.usable):
        spec = inventory.specs[hash_]
        for dependency in spec.dependencies:
            needed = inventory.specs.get(dependency)
            if dependency not in inventory.usable and not (needed and needed.is_external):
                name = str(needed) if needed else f"/{dependency}"
                yield CacheFinding(CacheFault.DEPENDENCY, str(spec), f"needs {name}, which is not in the cache")


def _records(inventory: Inventory) -> Iterator[CacheFinding]:
    """What spackitor itself has recorded and cannot read any more."""
    for run in inventory.runs:
        if not run.is_readable:
            yield CacheFinding(CacheFault.RECORD, run.key, "not a record of a run; see 'spackitor empty-quarantine'")
    for one in inventory.roots:
        if one.damage:
            yield CacheFinding(CacheFault.RECORD, key_of(one.name), one.damage)


def _times(inventory: Inventory) -> Iterator[CacheFinding]:
    """What is dated in the future would be too young to go until that day."""
    for entry in inventory.entries:
        for one in entry.metadata:
            if inventory.now + DAY < one.modified < math.inf:
                days = (one.modified - inventory.now) / DAY
                yield CacheFinding(
                    CacheFault.TIME, one.key, f"is dated {days:.0f} days in the future, and stays as long"
                )


def check_deeply(store: Store, inventory: Inventory) -> Iterator[CacheFinding]:
    """Read every archive: checksums, and whether some install prefixes are padded and others are not."""
    prefixes: dict[str, str] = {}
    for key, sha256 in (*_expected(store, inventory), *_expected_of_registry(inventory)):
        try:
            found, prefix = _read_archive(store, key)
        except NotThereError:
            yield CacheFinding(CacheFault.BROKEN, key, "is not there")
            continue
        if found != sha256:
            yield CacheFinding(CacheFault.BROKEN, key, f"has the sha256 {found}, not {sha256}")
        elif prefix:
            prefixes[key] = prefix
    padded = {key for key, prefix in prefixes.items() if _PADDING in prefix}
    if padded:
        for key in sorted(prefixes.keys() - padded):
            yield CacheFinding(
                CacheFault.PADDING, key, f"was installed to {prefixes[key]}, without padding; others have it"
            )


def _expected(store: Store, inventory: Inventory) -> Iterator[tuple[str, str]]:
    """The keys of all archives, with the sha256 that they should have."""
    archives = {one for entry in inventory.entries if entry.layout is Layout.V3 for one in entry.archives}
    for one in sorted(archives, key=lambda one: one.key):
        yield one.leads_to or one.key, one.key.rpartition("/")[2]
    v2_entries: dict[str, Entry] = {
        entry.spec_file: entry for entry in inventory.entries if entry.layout is Layout.V2 and entry.is_whole
    }
    for key, content in read_objects(store, (entry.spec_object for entry in v2_entries.values())):
        try:
            sha256 = spec_file_of(content, v2_entries[key].hash, key).archive_sha256
        except DamagedError:
            continue  # told of already
        for one in v2_entries[key].archives if sha256 else ():
            yield one.leads_to or one.key, sha256


def _expected_of_registry(inventory: Inventory) -> Iterator[tuple[str, str]]:
    digests = {one.key for entry in inventory.entries if entry.layout is Layout.OCI for one in entry.archives}
    for digest in sorted(digests):
        yield digest, digest.partition(":")[2]


def check_blobs(store: Store, inventory: Inventory) -> Iterator[CacheFinding]:
    """Whether a registry has the blobs that its manifests lead to; of buckets and folders, that was seen before."""
    sizes = {one.key: one.size for entry in inventory.entries if entry.layout is Layout.OCI for one in entry.archives}
    found = {one.key: one.size for one in look_at_all(store, sizes)} if sizes else {}
    for digest, size in sizes.items():
        if digest not in found:
            yield CacheFinding(CacheFault.BROKEN, digest, "is not there")
        elif found[digest] not in (size, -1):
            yield CacheFinding(CacheFault.BROKEN, digest, f"has {found[digest]} bytes, not {size} as its manifest says")


def _read_archive(store: Store, key: str) -> tuple[str, str]:
    """The sha256 of an object and, if it is an archive, the prefix that it was installed to."""
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as stream:
        for block in store.stream(key):
            digest.update(block)
            stream.write(block)
        stream.seek(0)
        return digest.hexdigest(), _prefix(stream)


def _prefix(stream: IO[bytes]) -> str:
    try:
        with tarfile.open(fileobj=stream, mode="r:gz") as archive:
            for member in archive:
                if member.name.endswith(_BUILD_INFO) and (file := archive.extractfile(member)):
                    value: Any = YAML(typ="safe").load(file.read())
                    return str(value["buildpath"])
    except (tarfile.TarError, OSError, EOFError, YAMLError, KeyError, TypeError):
        pass
    return ""


def as_json(findings: Iterable[CacheFinding]) -> str:
    """Findings for machines."""
    return json.dumps([{"kind": one.kind, "what": one.what, "message": one.message} for one in findings], indent=2)
