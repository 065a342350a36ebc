"""What OCI registries hold, asked over HTTP: concurrently, with time-outs and retries.

Sources: OCI distribution specification (pulling), OCI image specification (index, manifest, configuration), and
distribution/distribution, "Token Authentication".

404 is the answer "not there". Everything else that is no image, 401, 403, 429, 5xx and silence, is no answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.connections import INDEXES, MANIFESTS, WORKERS, RegistryConnections, mapping, verified
from foundation.registries.published import Published, Query
from foundation.registries.reference import ImageReference, parse_reference


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """What a tag points to: the digest of the index itself, and those of its images by architecture, as OCI says it."""

    digest: str
    members: Mapping[str, str]


class RegistryClient(RegistryConnections):
    """Asks any number of registries for images, and lets tags point to them."""

    def look_up(self, queries: Collection[Query]) -> dict[Query, Published | None]:
        """What is published for each query, `None` where nothing is.

        Raises `CouldNotAskError` naming every reference that got no answer.
        """
        answers = self.answers(queries)
        problems = {str(one) for one in answers.values() if isinstance(one, CouldNotAskError)}
        if problems:
            raise CouldNotAskError("\n".join(["the registry gave no answer", *sorted(problems)]))
        return {query: one for query, one in answers.items() if not isinstance(one, CouldNotAskError)}

    def answers(self, queries: Collection[Query]) -> dict[Query, Published | CouldNotAskError | None]:
        """What is published for each query, `None` where nothing is, and the error where there was no answer."""
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            return dict(zip(queries, pool.map(self._answer_to, queries), strict=True))

    def _answer_to(self, query: Query) -> Published | CouldNotAskError | None:
        try:
            return self._published(query)
        except (CouldNotAskError, *NoAnswer) as error:
            return CouldNotAskError(f"{query.reference}: {self.reason(error)}")

    def put_index(self, target: str, sources: Collection[str], *, skip_missing: bool = False) -> ImageIndex:
        """Let the tag `target` point to images of its own repository, one for each architecture.

        `sources` are tags or digests; the same images give the same index. Raises `NotThereError` when a source is not
        there (with `skip_missing`, when none is), `CouldNotAskError` when the registry does not do it.
        """
        reference = parse_reference(target)
        try:
            with ThreadPoolExecutor(max_workers=WORKERS) as pool:
                found = dict(
                    zip(sources, pool.map(lambda source: self._member_of(reference, source), sources), strict=True)
                )
            missing = [source for source, member in found.items() if member is None]
            members = [member for member in found.values() if member is not None]
            if not members or (missing and not skip_missing):
                raise NotThereError(f"{target}: the repository has no {' and no '.join(missing)}")
            _refuse_doubles({source: member for source, member in found.items() if member})
            index = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": members}
            content = json.dumps(index, separators=(",", ":")).encode()
            self.put_manifest(reference, INDEXES[0], content)
        except (CouldNotAskError, *NoAnswer) as error:
            raise CouldNotAskError(f"{target}: {self.reason(error)}") from None
        by_architecture = {member["platform"]["architecture"]: member["digest"] for member in members}
        return ImageIndex(f"sha256:{hashlib.sha256(content).hexdigest()}", by_architecture)

    def _member_of(self, reference: ImageReference, source: str) -> dict[str, Any] | None:
        """An image as an index describes it (OCI image specification, "OCI Image Index")."""
        found = self.document(reference, f"manifests/{source}", accept=", ".join(MANIFESTS))
        if found is None:
            return None
        digest, manifest = verified(found, source), mapping(found)
        configuration = self.configuration(reference, manifest)
        platform = {key: configuration[key] for key in ("architecture", "os", "variant") if configuration.get(key)}
        if "architecture" not in platform:
            raise CouldNotAskError(f"{source} says for no architecture")
        media_type = manifest.get("mediaType", MANIFESTS[0])
        return {"mediaType": media_type, "size": len(found), "digest": digest, "platform": platform}

    def _published(self, query: Query) -> Published | None:
        reference = parse_reference(query.reference)
        found = self._manifest(reference, reference.digest or reference.tag or "latest")
        if found is None:
            return None
        digest, manifest = found
        if "manifests" in manifest:
            member = _member(manifest, query.architecture)
            if member is None:
                return None
            found = self._manifest(reference, member)
            if found is None:
                raise CouldNotAskError(f"the index names {member}, which the registry does not have")
            digest, manifest = found
        configuration = self.configuration(reference, manifest)
        inner = configuration.get("config")
        said = inner if isinstance(inner, dict) else {}
        labels, variables = said.get("Labels") or {}, said.get("Env") or []
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise CouldNotAskError("the labels are no JSON object of texts")
        if not isinstance(variables, list):
            raise CouldNotAskError("the variables are no JSON array")
        pairs = (str(entry).partition("=") for entry in variables)
        environment = {name: value for name, _, value in pairs}
        return Published(digest, labels, str(configuration.get("architecture", "")), environment)

    def _manifest(self, reference: ImageReference, which: str) -> tuple[str, dict[str, Any]] | None:
        content = self.document(reference, f"manifests/{which}", accept=", ".join((*INDEXES, *MANIFESTS)))
        if content is None:
            return None
        return verified(content, which), mapping(content)


def _refuse_doubles(members: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `CouldNotAskError` when two images are for one architecture: clients would take either."""
    sources: dict[str, str] = {}
    for source, member in members.items():
        architecture = member["platform"]["architecture"]
        if architecture in sources:
            raise CouldNotAskError(f"{sources[architecture]} and {source} are both for {architecture}")
        sources[architecture] = source


def _member(index: Mapping[str, Any], architecture: str) -> str | None:
    """The digest of the image for an architecture (and Linux) in an index."""
    try:
        for entry in index["manifests"]:
            platform = entry.get("platform") or {}
            if platform.get("architecture") == architecture and platform.get("os", "linux") == "linux":
                return str(entry["digest"])
    except (AttributeError, TypeError, KeyError):
        raise CouldNotAskError("the answer is no image index") from None
    return None
