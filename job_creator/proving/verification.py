"""What `jc verify` does: finds out what it was given, and has each part of the chain checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from foundation.errors import CouldNotAskError, InvalidInputError, NotThereError
from foundation.registries.images import RegistryClient
from foundation.registries.logins import logins
from foundation.registries.reference import parse_reference
from foundation.sif.files import SifFile, open_sif
from foundation.spack.lockfile import read_lockfile
from job_creator.provenance.sif_subjects import IMAGE
from job_creator.proving.chain import Chain, Link, broken, unanswered, unchecked
from job_creator.proving.claims import OriginClaims
from job_creator.proving.embedding import ImageDocuments, image_documents
from job_creator.proving.image_facts import documents_links
from job_creator.proving.image_links import image_links, statement_link
from job_creator.proving.package_links import PackageRules, packages_link
from job_creator.proving.papers import PACKAGES, PackagePapers, from_bytes
from job_creator.proving.shelves import CacheShelf, open_shelf
from job_creator.proving.sif_links import beside, key_links, record_at, sif_links
from job_creator.sbom import cyclonedx, spdx
from job_creator.sbom.documents import CYCLONEDX, SPDX
from job_creator.sbom.proof import bill_links, image_bills_link


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What is to be looked at, besides the file or the image itself."""

    keys: bytes | None = None
    record: Path | None = None
    caches: tuple[CacheShelf, ...] = ()
    is_online: bool = False
    is_deep: bool = False
    architecture: str = ""


def open_caches(urls: tuple[str, ...], endpoint: str | None, environment: Mapping[str, str]) -> tuple[CacheShelf, ...]:
    """The build caches to look for packages in. Raises `ValueError`, `NotThereError` and `CouldNotAskError`."""
    return tuple(open_shelf(url, endpoint, environment) for url in urls)


def verify_sif(path: Path, asked: VerifyOptions, environment: Mapping[str, str]) -> Chain:
    """The chain of a SIF file, or of a link to one.

    Raises `DamagedError` for what is no SIF file, `InvalidInputError` for a record that is none, and `FileAccessError`.
    """
    real = path.resolve()
    record = record_at(asked.record) if asked.record else beside(real)
    file = open_sif(path)
    found = sif_links(file, record, asked.keys)
    links = [*key_links(asked.keys), *found.links, *bill_links(_bills(file), found.lock)]
    content = file.named(IMAGE)
    documents = ImageDocuments.from_bytes(content) if content else None
    links.append(_registry_link(documents, found.claims, asked, environment))
    carried = file.named(PACKAGES)
    links.append(_packages_link(found.lock, asked, carried))
    return Chain(str(path), tuple(links), found.claims.title)


def verify_image(image: str, asked: VerifyOptions, environment: Mapping[str, str]) -> Chain:
    """The chain of an image in a registry. Raises `NotThereError`, `CouldNotAskError` and `InvalidInputError`."""
    client = RegistryClient(logins(environment))
    found = image_links(client, image, asked.architecture, asked.keys)
    bills = image_bills_link(client, found.reference, found.lock, asked.keys)
    links = (*key_links(asked.keys), *found.links, bills, _packages_link(found.lock, asked))
    return Chain(image, links, found.about)


def _bills(file: SifFile) -> dict[str, bytes]:
    names = {cyclonedx.MEDIA_TYPE: CYCLONEDX, spdx.MEDIA_TYPE: SPDX}
    found = {media_type: file.named(name) for media_type, name in names.items()}
    return {media_type: content for media_type, content in found.items() if content is not None}


def _registry_link(
    documents: ImageDocuments | None, claims: OriginClaims, asked: VerifyOptions, environment: Mapping[str, str]
) -> Link:
    """The image of a SIF file in its registry: the manifest again, and the statement beside it."""
    name = "registry"
    if documents is None or not claims.image_digest:
        return unchecked(name, "the file does not say where its image is")
    if not asked.is_online:
        return unchecked(name, f"{documents.name}: say --online to ask it")
    client = RegistryClient(logins(environment))
    reference = parse_reference(f"{documents.name}@{claims.image_digest}")
    try:
        there = image_documents(client, str(reference))
        _, statement = statement_link(client, reference, asked.keys)
    except NotThereError as error:
        return unchecked(name, f"{error}; it may have been cleaned away")
    except CouldNotAskError as error:
        return unanswered(name, str(error))
    link = documents_links(there, claims)
    # That somebody signed the image proves nothing of the bytes of this file.
    statement = replace(statement, proves=False)
    return Link(name, statement.state, f"has the same image; its statement {statement.said}", (link, statement))


def _packages_link(lock: bytes | None, asked: VerifyOptions, carried: bytes | None = None) -> Link:
    if lock is None:
        return unchecked("packages", "there is no lockfile that says which")
    papers: dict[str, PackagePapers] | None = {}
    if carried is not None and (papers := from_bytes(carried)) is None:
        return broken("packages", "what the file carries of them is not what was put there")
    try:
        lockfile = read_lockfile(lock, "spack.lock")
    except InvalidInputError as error:
        return broken("packages", str(error))
    return packages_link(lock, lockfile, PackageRules(asked.keys, asked.caches, papers or {}, asked.is_deep))
