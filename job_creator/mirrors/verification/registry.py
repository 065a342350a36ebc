"""`jc mirror verify` for a registry, which holds binaries and nothing else.

Manifests, configurations and the index are always read and compared with their digests; archives are with `is_deep`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from foundation.errors import NotThereError
from foundation.spack.index import Index
from foundation.spack.layout_oci import INDEX_TAG, Descriptor, ImageManifest, spec_tags
from foundation.spack.lockfile import Lockfile
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.store import in_groups
from job_creator.mirrors.findings import FindingKind, MirrorFinding, VerificationReport, in_order
from job_creator.mirrors.verification import registry_checks
from job_creator.mirrors.verification.source_checks import coverage

if TYPE_CHECKING:
    from foundation.progress import StageProgress
    from foundation.registries.repository import OciRepository
    from job_creator.mirrors.verification.whole_mirror import MirrorRules

_GROUP: Final = 64


def verify_registry(
    repository: OciRepository, lockfiles: Iterable[Lockfile], rules: MirrorRules, progress: StageProgress
) -> VerificationReport:
    """Everything that is wrong with a build cache in a registry. Raises `NotThereError` if there is none."""
    tags = repository.tags()
    if not tags:
        raise NotThereError(f"{repository.url}: no mirror; there is nothing")
    specs = spec_tags(tags)
    with ThreadPoolExecutor(repository.workers) as pool:
        look = _Look(repository, pool, [*registry_checks.check_tags(tags)])
        manifests = look.manifests([*specs.values(), *({INDEX_TAG} & {*tags})])
        sizes = look.sizes(manifests.values())
        look.findings += registry_checks.check_blobs(manifests, sizes)
        index = look.index(manifests.pop(INDEX_TAG, None), specs)
        readable = {hash_: tag for hash_, tag in specs.items() if tag in manifests}
        look.check_specs(readable, manifests, index)
        if rules.is_deep:
            look.check_archives(registry_checks.archives(manifests.values(), sizes), progress)
    if rules.must_be_signed:
        look.findings += [MirrorFinding(FindingKind.UNSIGNED, tag, "is not signed") for tag in specs.values()]
    whole = {hash_ for hash_, tag in readable.items() if registry_checks.is_whole(manifests[tag], sizes)}
    for lockfile in lockfiles:
        look.findings += coverage(lockfile, SourceNeeds(), (), whole)
    counts = {"specs": len(specs), "objects": len(sizes), "bytes read": look.bytes_read}
    return VerificationReport(repository.url, rules.is_deep, in_order(look.findings), counts)


@dataclass
class _Look:
    """What was found so far."""

    repository: OciRepository
    pool: ThreadPoolExecutor
    findings: list[MirrorFinding] = field(default_factory=list)
    bytes_read: int = 0

    def manifests(self, tags: list[str]) -> dict[str, ImageManifest]:
        """The manifests that can be read, by tag; the others are findings."""
        found = {}
        for tag, one in zip(tags, self.pool.map(self.repository.manifest, tags), strict=True):
            if one is None:
                self.findings.append(MirrorFinding(FindingKind.MISSING, tag, "was there a moment ago"))
                continue
            manifest, findings = registry_checks.check_manifest(tag, one.data, one.said)
            self.findings += findings
            if manifest:
                found[tag] = manifest
        return found

    def sizes(self, manifests: Iterable[ImageManifest]) -> dict[str, int | None]:
        """The sizes of all blobs by digest; `None` is not there."""
        digests = dict.fromkeys(blob.digest for manifest in manifests for blob in manifest.blobs)
        return dict(zip(digests, self.pool.map(self.repository.blob_size, digests), strict=True))

    def index(self, manifest: ImageManifest | None, specs: Mapping[str, str]) -> Index:
        """The index, which is compared with the tags of specs."""
        data = self._read(manifest.own) if manifest else None
        if data is None:
            return Index(0)
        index, findings = registry_checks.check_index(data, specs)
        self.findings += findings
        return index

    def check_specs(self, specs: Mapping[str, str], manifests: Mapping[str, ImageManifest], index: Index) -> None:
        """Hold the configuration of each tag, which is a spec file, against its digest."""
        for group in in_groups(specs.items(), _GROUP):
            configs = self.pool.map(lambda one: self.repository.blob(manifests[one[1]].config.digest), group)
            for (hash_, tag), config in zip(group, configs, strict=True):
                if config is not None and self._is_right(manifests[tag].config, config):
                    self.findings += registry_checks.check_spec(tag, hash_, manifests[tag], config, index)

    def check_archives(self, archives: Mapping[str, int], progress: StageProgress) -> None:
        """Read all layers and compare them with their digests."""
        total, done = sum(archives.values()), 0
        for group in in_groups(archives, _GROUP):
            for digest, (found, size) in zip(group, self.pool.map(self._digest, group), strict=True):
                done += size
                progress("reading", done, total)
                if found != digest:
                    self.findings.append(MirrorFinding(FindingKind.CHECKSUM, digest, f"has the digest {found}"))
        self.bytes_read += done

    def _digest(self, digest: str) -> tuple[str, int]:
        found, size = hashlib.sha256(), 0
        for block in self.repository.stream(digest):
            found.update(block)
            size += len(block)
        return f"sha256:{found.hexdigest()}", size

    def _read(self, blob: Descriptor) -> bytes | None:
        data = self.repository.blob(blob.digest)
        return data if data is not None and self._is_right(blob, data) else None

    def _is_right(self, blob: Descriptor, data: bytes) -> bool:
        self.bytes_read += len(data)
        wrong = [*registry_checks.check_content(blob, data)]
        self.findings += wrong
        return not wrong
