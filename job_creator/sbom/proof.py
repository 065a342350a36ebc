"""The links of bills of materials: that they list what the lockfile installs, agree, and are those that were signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from foundation.errors import CouldNotAskError, InvalidInputError
from foundation.registries.artifacts import read_referrer, referrers
from foundation.registries.connections import RegistryConnections
from foundation.registries.reference import ImageReference
from foundation.spack.lockfile import read_lockfile
from job_creator.provenance.image_origin import read_origins
from job_creator.provenance.intoto import Origin
from job_creator.proving.chain import Link, LinkState, broken, holds, unanswered, unchecked
from job_creator.proving.sif_links import signature_link
from job_creator.sbom import cyclonedx, spdx
from job_creator.sbom.components import PackageKind
from job_creator.sbom.difference import ListedPackage, differences, read_document

NAME: Final = "bill of materials"
STANDARDS: Final = {cyclonedx.MEDIA_TYPE: "CycloneDX", spdx.MEDIA_TYPE: "SPDX"}
"""The standards by the media types of their documents."""


def bill_links(documents: Mapping[str, bytes], lock: bytes | None) -> tuple[Link, ...]:
    """A link for each document, given by its media type: what it lists, against the lockfile and the other one."""
    found: list[tuple[str, tuple[ListedPackage, ...]]] = []
    links: list[Link] = []
    for media_type, standard in STANDARDS.items():
        name = f"{NAME} ({standard})"
        if media_type not in documents:
            links.append(unchecked(name, "there is none"))
            continue
        try:
            listed = read_document(documents[media_type], name)
        except InvalidInputError as error:
            links.append(broken(name, str(error)))
            continue
        links.append(_listed_link(name, listed, lock))
        found.append((name, listed))
    if len(found) == len(STANDARDS):
        (_, one), (name, two) = found
        if change := next(differences(one, two), None):
            links.append(broken(NAME, f"the two differ in {change.package}: {change.kind}"))
    return tuple(links)


def _listed_link(name: str, listed: tuple[ListedPackage, ...], lock: bytes | None) -> Link:
    others = sum(one.kind != PackageKind.SPACK for one in listed)
    said = f"{len(listed) - others} packages of Spack, {others} of the distribution"
    if lock is None:
        return holds(name, said)
    try:
        wanted = {(spec.name, spec.version, spec.hash) for spec in read_lockfile(lock, "spack.lock").installed()}
    except InvalidInputError as error:
        return unchecked(name, f"cannot be held against the lockfile: {error}")
    there = {(one.name, one.version, one.hash) for one in listed if one.kind == PackageKind.SPACK}
    if there == wanted:
        return holds(name, f"{said}, as the lockfile installs them")
    which, _, _ = min(there ^ wanted)
    return broken(name, f"lists other packages of Spack than the lockfile installs, such as {which}")


def image_bills_link(
    client: RegistryConnections, image: ImageReference, lock: bytes | None, keys: bytes | None
) -> Link:
    """The in-toto statement beside an image that is named by its digest, and the bills of materials that it names."""
    name = "in-toto statement"
    try:
        every = read_origins(client, image, keys)
        about = [one for one in every if one.origin and _is_about(one.origin, image)]
        best = next((one for one in about if one.verdict.is_good), about[0] if about else None)
        if best is None or best.origin is None:
            why = "is no statement about this image" if every else "none lies beside the image"
            return broken(name, why) if every else unchecked(name, why)
        signature = signature_link("signature of the in-toto statement", best.verdict)
        if signature.state is LinkState.BROKEN:
            return Link(name, LinkState.NOT_CHECKED, "lies beside the image", (signature,))
        signed = {one.name: one.sha256 for one in best.origin.by_products}
        links, documents = _signed_links(client, image, signed)
    except CouldNotAskError as error:
        return unanswered(name, str(error))
    return holds(name, "lies beside the image", signature, *links, *bill_links(documents, lock))


def _is_about(origin: Origin, image: ImageReference) -> bool:
    name = f"{image.registry}/{image.repository}"
    # By its digest alone, another image of the site could be put under this name.
    return any((one.name, f"sha256:{one.sha256}") == (name, image.digest) for one in origin.subjects)


def _signed_links(
    client: RegistryConnections, image: ImageReference, signed: Mapping[str, str]
) -> tuple[list[Link], dict[str, bytes]]:
    """Whether the documents that a statement names are beside the image; and those that are.

    Raises `CouldNotAskError`.
    """
    described: dict[str, list[dict[str, Any]]] = {}
    for one in referrers(client, image):
        described.setdefault(str(one.get("artifactType")), []).append(one)
    links: list[Link] = []
    documents: dict[str, bytes] = {}
    for media_type, sha256 in signed.items():
        contents = [read_referrer(client, image, one) for one in described.get(media_type, ())]
        right = next((one for one in contents if one and hashlib.sha256(one).hexdigest() == sha256), None)
        if right is None:
            why = "is another than was signed" if contents else "was signed, and is not there"
            links.append(broken(f"{NAME} ({STANDARDS.get(media_type, media_type)})", f"{why}: sha256 {sha256}"))
        else:
            documents[media_type] = right
    return links, documents
