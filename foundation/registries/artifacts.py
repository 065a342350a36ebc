"""Small texts beside images: manifests without layers, whose annotations say something.

Source: OCI image specification, "Guidelines for Artifact Usage", "Annotations". One request fetches all of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError
from foundation.registries.blobs import has_blob, put_blob
from foundation.registries.connections import MANIFESTS, WORKERS, RegistryConnections
from foundation.registries.reference import parse_reference

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
