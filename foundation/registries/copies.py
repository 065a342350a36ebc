"""Images copied from registry to registry, by digest, as they are or with labels added; nothing in them is run.

Sources: OCI distribution specification, "Pushing", and OCI image specification (manifest, configuration). `OnBuild`,
whose commands run in whoever builds on an image, is Docker's alone ("ONBUILD" in the Dockerfile reference).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.blobs import RegistryBlob, fetch_blob, has_blob, mount_blob, put_blob
from foundation.registries.connections import INDEXES, MANIFESTS, RegistryConnections, mapping, verified
from foundation.registries.reference import ImageReference, parse_reference

_AT_ONCE: Final = 4
_MANIFEST: Final = ("schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations")
_DESCRIPTOR: Final = ("mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform")
_CONFIGURATION: Final = ("architecture", "os", "os.version", "os.features", "variant", "config", "rootfs", "history")
_CONFIG: Final = ("User", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "ExposedPorts")
"""Names in manifests, descriptors and configurations, as the image specification spells them."""


def copy_image(registries: RegistryConnections, source: str, target: str, labels: Mapping[str, str]) -> str:
    """Copy the image of one architecture to the tag `target`, with more labels; its layers stay what they are.

    Commands that whoever builds on it would run are left out. The same image and labels always give the same digest,
    which is returned. Raises `NotThereError`, and `CouldNotAskError` when a registry does not do it.
    """
    here, there = parse_reference(source), parse_reference(target)
    with _naming(registries, source):
        which = here.digest or here.tag or "latest"
        found = registries.document(here, f"manifests/{which}", ", ".join((*INDEXES, *MANIFESTS)))
        if found is None:
            raise NotThereError(f"{source}: there is no such image")
        verified(found, which)
        manifest = _told_apart(mapping(found), _MANIFEST)
        configuration = _labelled(registries.configuration(here, manifest), labels)
        layers = [RegistryBlob.described_by(layer) for layer in _layers(manifest)]
        described = [_told_apart(layer, _DESCRIPTOR) for layer in _layers(manifest)]
    _copy_blobs(registries, here, there, layers)
    written = _written(configuration)
    config = {**_told_apart(manifest["config"], _DESCRIPTOR), "digest": _digest(written), "size": len(written)}
    config.pop("data", None)
    copied = _written({**manifest, "config": config, "layers": described})
    with _naming(registries, target):
        put_blob(registries, there, _digest(written), BytesIO(written))
        registries.put_manifest(there, manifest.get("mediaType", MANIFESTS[0]), copied)
    return _digest(copied)


def take_image(registries: RegistryConnections, source: str, targets: Collection[str]) -> str:
    """Let tags of one repository point to an image of one architecture, named by its digest, which is returned.

    Byte for byte: it keeps its digest. From another repository of the registry its layers are mounted, not moved.
    Raises `NotThereError`, and `CouldNotAskError` when a registry does not do it.
    """
    here, tags = parse_reference(source), [parse_reference(target) for target in targets]
    if not here.digest:
        raise NotThereError(f"{source}: names no digest")
    with _naming(registries, source):
        found = registries.document(here, f"manifests/{here.digest}", ", ".join(MANIFESTS))
        if found is None:
            raise NotThereError(f"{source}: there is no such image")
        digest, manifest = verified(found, here.digest), mapping(found)
        blobs = [RegistryBlob.described_by(one) for one in (manifest.get("config"), *_layers(manifest))]
    for there in tags:
        if (there.registry, there.repository) != (here.registry, here.repository):
            _copy_blobs(registries, here, there, blobs)
        with _naming(registries, str(there)):
            registries.put_manifest(there, manifest.get("mediaType", MANIFESTS[0]), found)
    return digest


def _layers(manifest: Mapping[str, Any]) -> list[Any]:
    layers = manifest.get("layers") or []
    if not isinstance(layers, list):
        raise CouldNotAskError("the layers are no JSON array")
    return layers


def _copy_blobs(
    registries: RegistryConnections, here: ImageReference, there: ImageReference, blobs: Iterable[RegistryBlob]
) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda blob: _copy_blob(registries, here, there, blob), dict.fromkeys(blobs)))


def _labelled(configuration: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    inner = configuration.get("config") or {}
    if not isinstance(inner, dict) or not isinstance(own := inner.get("Labels") or {}, dict):
        raise CouldNotAskError("the configuration of the image is damaged")
    kept = {name: value for name, value in _told_apart(inner, _CONFIG).items() if name.casefold() != "onbuild"}
    # What "docker commit" once noted of the container; builders read the other one.
    rest = {name: value for name, value in configuration.items() if name.casefold() != "container_config"}
    return {**_told_apart(rest, _CONFIGURATION), "config": {**kept, "Labels": {**own, **labels}}}


def _told_apart(value: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """A JSON object without names that only look like known ones.

    Go, which most builders are written in, takes `onbuild` for `OnBuild`, and of two such names the last one.
    """
    folded = {name.casefold() for name in known}
    return {name: inner for name, inner in value.items() if name in known or name.casefold() not in folded}


def _copy_blob(
    registries: RegistryConnections, here: ImageReference, there: ImageReference, blob: RegistryBlob
) -> None:
    """Mounted in the same registry, otherwise through a file, so that what is not whole is never sent on.

    Not if it is there already.
    """
    with _naming(registries, str(there)):
        if has_blob(registries, there, blob.digest) or mount_blob(registries, here, there, blob.digest):
            return
    with tempfile.TemporaryFile() as spooled:
        with _naming(registries, str(here)):
            fetch_blob(registries, here, blob, spooled)
        with _naming(registries, str(there)):
            put_blob(registries, there, blob.digest, spooled)


@contextmanager
def _naming(registries: RegistryConnections, image: str) -> Iterator[None]:
    """Says which image there was no answer about."""
    try:
        yield
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {registries.reason(error)}") from None


def _written(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
