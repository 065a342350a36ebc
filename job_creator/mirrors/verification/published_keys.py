"""The public keys that lie in a mirror, where Spack looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from foundation.openpgp.frame import armor_fault, has_private_key
from foundation.openpgp.keys import Key
from foundation.openpgp.ring import KeyRing
from foundation.spack import layout_v2, layout_v3
from foundation.stores.documents import json_of
from job_creator.mirrors.findings import FindingKind, MirrorFinding
from job_creator.mirrors.verification.binary_checks import check_manifest
from job_creator.mirrors.view import View


@dataclass
class PublishedKeys:
    """Keys: the content of their files by the key of what names them, the fingerprints in the lists, and the lists."""

    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """The fingerprint that the name says, and the content."""
    listed: dict[str, frozenset[str]] = field(default_factory=dict)
    findings: list[MirrorFinding] = field(default_factory=list)


def published_keys(view: View) -> PublishedKeys:
    """All keys in a mirror, in both layouts."""
    keys = PublishedKeys()
    for index, is_v3 in ((layout_v3.KEY_INDEX, True), (layout_v2.KEY_INDEX, False)):
        listed = _list(view, keys, index, is_v3=is_v3)
        pattern = layout_v3.KEY_MANIFEST if is_v3 else layout_v2.KEY
        names = {key: match[1] for key in view.objects if (match := pattern.fullmatch(key))}
        folder, end = (layout_v3.KEYS, ".key.manifest.json") if is_v3 else (layout_v2.KEYS, ".pub")
        names |= {f"{folder}{fingerprint}{end}": fingerprint for fingerprint in listed or ()}
        contents = view.read(names)
        blobs = _blobs(contents) if is_v3 else {}
        contents |= {key: data for key, blob in blobs.items() if (data := view.read([blob]).get(blob)) is not None}
        keys.files |= {key: (names[key], data) for key, data in contents.items() if not is_v3 or key in blobs}
        keys.findings += _differences(index, listed, {names[key] for key in contents})
    return keys


def _list(view: View, keys: PublishedKeys, index: str, *, is_v3: bool) -> frozenset[str] | None:
    data = view.read([index]).get(index)
    if data is not None and is_v3:
        manifest, _ = check_manifest(index, data)
        blob = manifest.blob(layout_v3.KEY_INDEX_TYPE)
        data = view.read([blob.key]).get(blob.key) if blob else None
    if data is None:
        return None
    try:
        text = data.decode()
        value = json_of(text)
        listed = frozenset(map(str, value["keys"]))
        if value.keys() != {"keys"} or not layout_v3.is_plain_json(text):
            keys.findings.append(MirrorFinding(FindingKind.KEY, index, "is not laid out like a list of keys"))
    except (ValueError, KeyError, TypeError, AttributeError):
        keys.findings.append(MirrorFinding(FindingKind.KEY, index, "cannot be read as a list of keys"))
        return None
    keys.listed[index] = listed
    return listed


def _blobs(manifests: dict[str, bytes]) -> dict[str, str]:
    read = {key: check_manifest(key, data)[0].blob(layout_v3.KEY_TYPE) for key, data in manifests.items()}
    return {key: blob.key for key, blob in read.items() if blob}


def _differences(index: str, listed: frozenset[str] | None, there: set[str]) -> Iterator[MirrorFinding]:
    if listed is None and there:
        yield MirrorFinding(
            FindingKind.KEY, index, f"there is no list of the {len(there)} keys, so that Spack finds none of them"
        )
    for fingerprint in sorted((listed or frozenset()) - there):
        yield MirrorFinding(FindingKind.MISSING, index, f"lists the key {fingerprint}, which is not there")
    for fingerprint in sorted(there - (listed or there)):
        yield MirrorFinding(
            FindingKind.KEY, index, f"does not list the key {fingerprint}, so that Spack does not find it"
        )


def check_keys(keys: PublishedKeys, ring: KeyRing, now: float) -> Iterator[MirrorFinding]:
    """Whether each file holds the key that its name says, and nothing that should not be seen."""
    for place, (fingerprint, data) in sorted(keys.files.items()):
        found = ring.keys_in(data)
        if has_private_key(data) or any(key.is_private for key in found):
            yield MirrorFinding(
                FindingKind.PRIVATE_KEY, place, "holds the private half of a key; who reads it can sign as you"
            )
        elif fault := armor_fault(data, "PUBLIC KEY BLOCK"):
            yield MirrorFinding(FindingKind.KEY, place, fault)
        elif [key.fingerprint for key in found] != [fingerprint]:
            names = ", ".join(key.fingerprint for key in found) or "no key at all"
            yield MirrorFinding(FindingKind.KEY, place, f"holds {names}")
        else:
            yield from _condition(place, found[0], now)


def _condition(place: str, key: Key, now: float) -> Iterator[MirrorFinding]:
    if key.is_revoked:
        yield MirrorFinding(FindingKind.KEY, place, f"{key} was revoked")
    elif key.is_over(now):
        yield MirrorFinding(FindingKind.KEY, place, f"{key} has expired")
