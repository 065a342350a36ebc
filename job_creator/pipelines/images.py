"""Images in registries: tags, copies, signatures, and what is proven of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.doors import blocks
from foundation.doors.files import read_file
from foundation.errors import Fault, InvalidInputError, NotReadyError, RefusedError
from foundation.registries.published import Published, Query
from foundation.registries.reference import DOCKER_HUB, parse_reference
from job_creator.containers.versions import VERSION_LABEL, legal_version
from job_creator.images.knowledge import Knowledge, WantedImage, registry_of
from job_creator.provenance.intoto import Ingredient
from job_creator.provenance.proofs import Claim, Proofs
from job_creator.provenance.signing import private_key, public_key
from job_creator.provenance.statements import Statement, StatementKind
from job_creator.sbom import cyclonedx, spdx
from job_creator.site.registries import Registry
from job_creator.site.run import Context
from job_creator.site.site import Site

if TYPE_CHECKING:
    from foundation.registries.images import ImageIndex, RegistryClient

logger = logging.getLogger(__name__)


def with_proofs(
    knowledge: Knowledge,
    wanted: Iterable[WantedImage],
    client: RegistryClient,
    site: Site,
    environment: Mapping[str, str],
) -> Knowledge:
    """What is known of images, with what is proven of those that would do. Raises `CouldNotAskError`."""
    from job_creator.provenance.registry import read_proofs

    keys = public_key(site.signing, environment)
    if keys is None:
        why = f"{site.signing.public_key_variable} is not set, so no signature can be verified"
        return replace(knowledge, proofs=Proofs(why_none=why))
    return replace(knowledge, proofs=read_proofs(client, knowledge.candidates(wanted), keys))


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What the command was asked to sign."""

    image: str
    """By its digest."""
    kind: str
    architecture: str
    fingerprint: str
    lock_sha256: str = ""
    bills: Path | None = None
    """The folder with its bills of materials."""


def sign_image(site: Site, environment: Mapping[str, str], asked: SigningRequest) -> Statement:
    """Sign where an image comes from, and lay the statement beside it, in both of its forms.

    Where the site says so, cosign signs as well.

    Raises `NotReadyError` without a key or cosign, `InvalidInputError` for an unknown architecture, `RefusedError` for
    a merge request, for a key that cannot sign or is not believed, and for an image that says of itself that it was
    made from something else; `NotThereError` and `CouldNotAskError`.
    """
    from foundation.registries.images import RegistryClient
    from job_creator.provenance.cosign import cosign_key, sign_with_cosign
    from job_creator.provenance.image_origin import origin_of_image, put_origin
    from job_creator.provenance.registry import image_to_sign, put_statement

    context = Context.from_environment(environment)
    if context.is_merge_request:
        raise RefusedError("signing: what a merge request makes is not signed")
    key = private_key(site.signing, environment)
    if key is None:
        raise NotReadyError(f"{site.signing.private_key_variable} is not set for this job, so nothing can be signed")
    cosign = cosign_key(site.signing.cosign, environment) if site.signing.cosign else None
    if asked.architecture not in site.architectures:
        raise InvalidInputError([Fault("--architecture", 1, 1, f"the site file knows no {asked.architecture!r}")])
    client = RegistryClient(logins(site, environment))
    found = image_to_sign(client, asked.image, site.platform(asked.architecture))
    kind = StatementKind(asked.kind)
    label = f"{site.registry.label_prefix}.{_FINGERPRINTS[kind]}"
    if found.labels.get(label) != asked.fingerprint:
        said = found.labels.get(label, "nothing")
        raise RefusedError(f"{asked.image}: its label {label} says {said}, not {asked.fingerprint}; it is not signed")
    reference = parse_reference(asked.image)
    statement = Statement(
        kind=kind,
        subject=found.digest,
        name=str(replace(reference, digest=None)),
        architecture=asked.architecture,
        fingerprint=asked.fingerprint,
        ref=context.ref,
        is_default_branch=context.is_default_branch,
        lock_sha256=asked.lock_sha256,
        commit=context.commit,
        pipeline_url=context.pipeline_url,
        made=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
    keys = public_key(site.signing, environment)
    origin = origin_of_image(statement, context.project_url, _bills_in(asked.bills))
    if cosign:
        # Before the statement: what has one counts as signed, and is not signed again.
        sign_with_cosign(reference, origin, cosign, logins(site, environment))
    put_origin(client, reference, origin, key, keys)
    put_statement(client, statement, key, keys)
    return statement


def _bills_in(folder: Path | None) -> tuple[Ingredient, ...]:
    """The bills of materials in a folder, by their media types. Raises `InvalidInputError` and `FileAccessError`."""
    if folder is None:
        return ()
    found: list[Ingredient] = []
    for media_type, suffix in ((cyclonedx.MEDIA_TYPE, cyclonedx.SUFFIX), (spdx.MEDIA_TYPE, spdx.SUFFIX)):
        paths = sorted(folder.glob(f"*{suffix}"))
        if len(paths) != 1:
            said = f"has {len(paths)} files *{suffix}, where one is wanted"
            raise InvalidInputError([Fault(str(folder), 1, 1, said)])
        found.append(Ingredient(media_type, blocks.sha256(paths[0])))
    return tuple(found)


_FINGERPRINTS = {StatementKind.BASE_IMAGE: "fingerprint", StatementKind.CONTAINER_IMAGE: "container_checksum"}
"""The labels in which images say what they were made from."""


def take_image(site: Site, environment: Mapping[str, str], source: str, targets: Collection[str]) -> str:
    """Let tags point to an image that is named by its digest, which is returned.

    Raises `NotThereError` and `CouldNotAskError`.
    """
    from foundation.registries.connections import RegistryConnections
    from foundation.registries.copies import take_image

    return take_image(RegistryConnections(logins(site, environment)), source, targets)


@dataclass(frozen=True, slots=True)
class TaggedImages:
    """What a tag points to now, and the sources that were left out, with the reasons."""

    index: ImageIndex
    left_out: Mapping[str, str]


def tag_image(
    site: Site,
    environment: Mapping[str, str],
    image: str,
    sources: Collection[str],
    *,
    skip_missing: bool = False,
    only_proven: bool = False,
) -> TaggedImages:
    """Let a tag point to images of its repository.

    With `only_proven`, sources that are tags are left out unless the default branch made what they lead to, as the
    container image of this version; without public keys, all are taken, and the log says so. Raises `NotThereError`,
    `RefusedError` where none is proven, and `CouldNotAskError`.
    """
    from foundation.registries.images import RegistryClient
    from job_creator.provenance.registry import read_proofs

    client = RegistryClient(logins(site, environment))
    keys = public_key(site.signing, environment) if only_proven else None
    if only_proven and keys is None:
        logger.warning("%s is not set: what tags lead to is not proven", site.signing.public_key_variable)
    if keys is None:
        return TaggedImages(client.put_index(image, sources, skip_missing=skip_missing), {})
    target = parse_reference(image)
    repository = str(replace(target, tag=None))
    queries = {source: Query(f"{repository}:{source}", "") for source in sources if not source.startswith("sha256:")}
    answers = client.look_up(set(queries.values()))
    found = {source: there for source, query in queries.items() if (there := answers[query])}
    proofs = read_proofs(client, {f"{repository}@{one.digest}" for one in found.values()}, keys)
    faults = {
        source: fault
        for source, there in found.items()
        if (fault := index_member_fault(site, proofs, repository, str(target.tag), there))
    }
    for source, fault in faults.items():
        logger.warning("%s:%s %s: it is left out until its own pipeline makes it anew", repository, source, fault)
    # By digest, so that it is what was verified.
    pinned = [found[one].digest if one in found else one for one in sources if one not in faults]
    if not pinned:
        raise RefusedError(f"{image}: none of {', '.join(sources)} is proven; the tag stays where it is")
    return TaggedImages(client.put_index(image, pinned, skip_missing=skip_missing), faults)


def index_member_fault(site: Site, proofs: Proofs, repository: str, version: str, there: Published) -> str:
    """Why an image may not stand in the index of a container's version; goes after its name. Empty if it may."""
    fingerprint = there.labels.get(f"{site.registry.label_prefix}.{_FINGERPRINTS[StatementKind.CONTAINER_IMAGE]}", "")
    said = legal_version(there.labels.get(VERSION_LABEL, ""))
    architectures = [name for name in site.architectures if site.platform(name) == there.architecture]
    if not architectures:
        return f"is for {there.architecture or 'no architecture'}, which the site file does not know"
    claims = [Claim(StatementKind.CONTAINER_IMAGE, repository, name, fingerprint) for name in architectures]
    faults = [proofs.fault(claim, there.digest) for claim in claims]
    if all(faults):
        return faults[0]
    return "" if said == version else f"is version {said}"


def copy_image(site: Site, environment: Mapping[str, str], source: str, target: str, labels: Path) -> str:
    """Copy an image and add the labels of a file, `name=value` on each line. Returns the digest of the copy.

    Raises `NotThereError`, `CouldNotAskError`, `InvalidInputError` and `FileAccessError`.
    """
    from foundation.registries.connections import RegistryConnections
    from foundation.registries.copies import copy_image

    added: dict[str, str] = {}
    for number, line in enumerate(read_file(labels).decode().splitlines(), start=1):
        name, equals, value = line.partition("=")
        if not name or not equals:
            raise InvalidInputError([Fault(str(labels), number, 1, f"{line!r} is no label; write 'name=value'")])
        added[name] = value
    return copy_image(RegistryConnections(logins(site, environment)), source, target, added)


def logins(site: Site, environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """User and password by registry host: of the one that images are pushed to, and of Docker Hub."""
    own = registry_of(site, Context.from_environment(environment))
    found = {} if own.startswith("$") else credentials(site.registry, own, environment)
    hub = site.publish.dockerhub
    if hub and environment.get(hub.user_variable) and environment.get(hub.password_variable):
        found[DOCKER_HUB] = environment[hub.user_variable], environment[hub.password_variable]
    return found


def client_for(directory: Path, site_file: str, environment: Mapping[str, str]) -> RegistryClient:
    """Asks registries with the logins of this user, and in a repository with those of the site's jobs.

    Raises `InvalidInputError` for a site file that cannot be read, and `FileAccessError`.
    """
    from foundation.registries import logins as own
    from foundation.registries.images import RegistryClient
    from job_creator.inputs import read_site_file

    users = own.logins(environment)
    if not (directory / site_file).is_file():
        return RegistryClient(users)
    return RegistryClient(users | logins(read_site_file(directory, site_file), environment))


def credentials(registry: Registry, image: str, environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """User and password of the registry that images are pushed to, by its host, where the site's variables are set."""
    user, password = environment.get(registry.user_variable), environment.get(registry.password_variable)
    return {parse_reference(image).registry: (user, password)} if user and password else {}
