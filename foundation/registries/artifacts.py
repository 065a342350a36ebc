"""What lies beside images: small texts, and documents that whoever knows an image's digest finds.

Texts are the annotations of manifests without layers, so that one request fetches all of it. Documents name the image
as their subject; a registry that does not list referrers by itself, and so answers without `OCI-Subject`, gets an index
under the tag `sha256-<digest>`.

Sources: OCI image specification, "Guidelines for Artifact Usage", "Annotations"; OCI distribution specification 1.1,
"Pushing Manifests with Subject" and "Referrers Tag Schema".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.blobs import has_blob, put_blob
from foundation.registries.connections import INDEXES, MANIFESTS, WORKERS, RegistryConnections, mapping
from foundation.registries.manifests import value_of
from foundation.registries.reference import ImageReference, parse_reference

_EMPTY: Final = b"{}"
_NOTHING: Final = {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}",
    "size": len(_EMPTY),
}
"""The blob that stands where there is nothing to say."""


def read_annotations(
    registries: RegistryConnections, references: Collection[str], artifact_type: str
) -> dict[str, dict[str, str]]:
    """What artifacts of a type say, by their references; nothing where there is none, or something else.

    Raises `CouldNotAskError` naming every reference that got no answer.
    """

    def asked(reference: str) -> dict[str, str] | CouldNotAskError:
        parsed = parse_reference(reference)
        try:
            content = registries.document(parsed, f"manifests/{parsed.digest or parsed.tag}", MANIFESTS[0])
        except (CouldNotAskError, *NoAnswer) as error:
            return CouldNotAskError(f"{reference}: {registries.reason(error)}")
        return _annotations(content, artifact_type)

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        answers = dict(zip(references, pool.map(asked, references), strict=True))
    problems = sorted({str(one) for one in answers.values() if isinstance(one, CouldNotAskError)})
    if problems:
        raise CouldNotAskError("\n".join(["the registry gave no answer", *problems]))
    return {reference: one for reference, one in answers.items() if not isinstance(one, CouldNotAskError)}


def put_annotations(
    registries: RegistryConnections, reference: str, artifact_type: str, said: Mapping[str, str]
) -> None:
    """Let a tag say something, instead of what it said before. Raises `CouldNotAskError`."""
    parsed = parse_reference(reference)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        "artifactType": artifact_type,
        "config": _NOTHING,
        "layers": [_NOTHING],
        "annotations": dict(said),
    }
    try:
        digest = str(_NOTHING["digest"])
        if not has_blob(registries, parsed, digest):
            put_blob(registries, parsed, digest, BytesIO(_EMPTY))
        registries.put_manifest(parsed, MANIFESTS[0], json.dumps(manifest, separators=(",", ":")).encode())
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{reference}: {registries.reason(error)}") from None


def _annotations(content: bytes | None, artifact_type: str) -> dict[str, str]:
    """Whoever may push may put anything there: what is no such artifact says nothing, and is no error."""
    try:
        manifest: Any = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    match manifest:
        case {"artifactType": str(found), "annotations": dict(said)} if found == artifact_type:
            return {name: text for name, text in said.items() if isinstance(text, str)}
    return {}


def put_referrer(client: RegistryConnections, image: ImageReference, artifact_type: str, content: bytes) -> str:
    """Lay a document beside an image, once, however often this is done; returns the digest of its manifest.

    Raises `NotThereError` if there is no such image, and `CouldNotAskError`.
    """
    try:
        return _put(client, image, artifact_type, content)
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {client.reason(error)}") from None


def referrers(client: RegistryConnections, image: ImageReference) -> tuple[dict[str, Any], ...]:
    """The descriptors of all that belongs to an image. Raises `CouldNotAskError`."""
    try:
        found = client.document(image, f"referrers/{image.digest}", INDEXES[0])
        if found is None or "manifests" not in value_of(found):
            found = client.document(image, f"manifests/{_tag(image)}", INDEXES[0])
        return tuple(value_of(found or b"").get("manifests") or ())
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {client.reason(error)}") from None


def read_referrer(client: RegistryConnections, image: ImageReference, descriptor: dict[str, Any]) -> bytes | None:
    """The document that a descriptor leads to; `None` if it is not there, or another. Raises `CouldNotAskError`."""
    try:
        manifest = client.document(image, f"manifests/{descriptor['digest']}", MANIFESTS[0]) or b""
        layers = value_of(manifest).get("layers") or [{}]
        content = client.document(image, f"blobs/{layers[0].get('digest')}")
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {client.reason(error)}") from None
    if content is None or _digest(content) != layers[0].get("digest") or _digest(manifest) != descriptor["digest"]:
        return None
    return content


def _put(client: RegistryConnections, image: ImageReference, artifact_type: str, content: bytes) -> str:
    subject = client.document(image, f"manifests/{image.digest}", ", ".join(MANIFESTS))
    if subject is None:
        raise NotThereError(f"{image}: there is no such image")
    for blob in (_EMPTY, content):
        if not has_blob(client, image, _digest(blob)):
            put_blob(client, image, _digest(blob), BytesIO(blob))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        "artifactType": artifact_type,
        "config": _NOTHING,
        "layers": [_descriptor(content, artifact_type)],
        "subject": _descriptor(subject, mapping(subject).get("mediaType", MANIFESTS[0])),
    }
    data = json.dumps(manifest, separators=(",", ":")).encode()
    headers = {"Content-Type": MANIFESTS[0]}
    with client.ask(image, f"manifests/{_digest(data)}", headers, method="PUT", content=data) as answer:
        if answer.status_code not in (200, 201):
            raise CouldNotAskError(client.refusal(answer))
        is_listed = "OCI-Subject" in answer.headers
    if not is_listed:
        _list(client, image, {**_descriptor(data, MANIFESTS[0]), "artifactType": artifact_type})
    return _digest(data)


def _list(client: RegistryConnections, image: ImageReference, new: dict[str, Any]) -> None:
    """Put a descriptor into the index under the image's tag, in place of another document of its type."""
    found = client.document(image, f"manifests/{_tag(image)}", INDEXES[0])
    others = [one for one in value_of(found or b"").get("manifests") or () if isinstance(one, dict)]
    kept = [one for one in others if one.get("artifactType") != new["artifactType"]]
    index = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": [*kept, new]}
    content = json.dumps(index, separators=(",", ":")).encode()
    client.put_manifest(image.with_tag(_tag(image)), INDEXES[0], content)


def _tag(image: ImageReference) -> str:
    return str(image.digest).replace(":", "-")


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
