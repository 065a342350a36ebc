"""An image by its manifest and configuration, against what is said of it. Pure."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from foundation.registries.manifests import held, value_of
from job_creator.proving.chain import Link, broken, holds, unchecked
from job_creator.proving.claims import OriginClaims
from job_creator.proving.embedding import ImageDocuments

FINGERPRINT: Final = ".container_checksum"
LOCK: Final = ".spack_lock_sha256"


def labels_of(config: str) -> dict[str, str]:
    """The labels in the configuration of an image; none where it has none."""
    inner = value_of(config.encode(errors="replace")).get("config")
    labels: Any = inner.get("Labels") if isinstance(inner, dict) else None
    return {name: text for name, text in labels.items() if isinstance(text, str)} if isinstance(labels, dict) else {}


def said_by(labels: dict[str, str], suffix: str) -> str:
    """What a label says whose prefix is the site's."""
    return next((text for name, text in sorted(labels.items()) if name.endswith(suffix)), "")


def documents_links(documents: ImageDocuments, claims: OriginClaims) -> Link:
    """Manifest, configuration and labels of an image, in this order."""
    if documents.digest != claims.image_digest:
        return broken("image", f"the manifest has digest {documents.digest}, not {claims.image_digest}")
    return holds(
        "image", f"{documents.name}@{documents.digest}", config_link(documents), labels_link(documents, claims)
    )


def config_link(documents: ImageDocuments) -> Link:
    """The configuration, which the manifest names by its digest."""
    described, _ = held(documents.manifest.encode(errors="replace"))
    found = f"sha256:{hashlib.sha256(documents.config.encode(errors='replace')).hexdigest()}"
    if described.get("digest") != found:
        return broken("configuration", f"has digest {found}, not {described.get('digest')} as the manifest says")
    return holds("configuration", f"has digest {found}")


def labels_link(documents: ImageDocuments, claims: OriginClaims) -> Link:
    """The labels, which say what the image was made from."""
    labels = labels_of(documents.config)
    pairs = ((FINGERPRINT, claims.fingerprint), (LOCK, claims.lock_sha256))
    said = [(suffix.removeprefix("."), said_by(labels, suffix), expected) for suffix, expected in pairs]
    if wrong := [f"{name} {found or 'nothing'}, not {wanted}" for name, found, wanted in said if wanted != found]:
        return broken("labels", f"say {'; '.join(wrong)}")
    if not any(wanted for _, _, wanted in said):
        return unchecked("labels", "nothing says what they should be")
    return holds("labels", "fingerprint and lockfile are those of record and statement")


def layers_of(documents: ImageDocuments) -> list[dict[str, Any]]:
    """The layers that a manifest names, lowest first."""
    return [dict(one) for one in held(documents.manifest.encode(errors="replace"))[1]]
