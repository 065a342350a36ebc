"""What is another in two bills of materials, whichever of the two standards each is written in. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from foundation.errors import Fault, InvalidInputError


class ChangeKind(StrEnum):
    """What became of a package."""

    ADDED = "added"
    REMOVED = "removed"
    VERSION = "version"
    LICENCE = "license"
    REBUILT = "built otherwise"
    """The same version with another hash: another recipe, option or dependency."""


@dataclass(frozen=True, slots=True)
class ListedPackage:
    """A package as a document lists it."""

    kind: str
    name: str
    version: str
    hash: str
    licence: str
    """As it was concluded, or else declared."""


@dataclass(frozen=True, slots=True)
class BomChange:
    """One difference: versions, hashes or licenses of the old one and of the new one; empty where there are none."""

    kind: ChangeKind
    package: str
    before: str
    after: str

    def to_value(self) -> dict[str, str]:
        """As JSON has it."""
        return {"change": str(self.kind), "package": self.package, "before": self.before, "after": self.after}


def read_document(content: bytes, path: str) -> tuple[ListedPackage, ...]:
    """The packages of a document of CycloneDX or SPDX in JSON. Raises `InvalidInputError`."""
    try:
        value = json.loads(content)
        if value.get("bomFormat") == "CycloneDX":
            return tuple(_of_cyclonedx(one) for one in value.get("components", ()))
        if str(value.get("spdxVersion", "")).startswith("SPDX-2"):
            return tuple(_of_spdx(one) for one in value["packages"] if one.get("externalRefs"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _fault(path, f"cannot be read as a bill of materials: {error!r}") from None
    raise _fault(path, "is neither CycloneDX nor SPDX 2 in JSON")


def differences(old: tuple[ListedPackage, ...], new: tuple[ListedPackage, ...]) -> Iterator[BomChange]:
    """What is another in the new one, by package; several versions of a package are compared as sets."""
    before, after = _grouped(old), _grouped(new)
    for key in sorted(before.keys() | after.keys()):
        yield from _differences(f"{key[0]}:{key[1]}", before.get(key, ()), after.get(key, ()))


def _differences(
    package: str, before: tuple[ListedPackage, ...], after: tuple[ListedPackage, ...]
) -> Iterator[BomChange]:
    versions = [", ".join(sorted({one.version for one in some})) for some in (before, after)]
    if not before or not after:
        yield BomChange(ChangeKind.REMOVED if before else ChangeKind.ADDED, package, *versions)
        return
    if versions[0] != versions[1]:
        yield BomChange(ChangeKind.VERSION, package, *versions)
    elif {one.hash for one in before} != {one.hash for one in after}:
        hashes = [", ".join(sorted(one.hash[:7] for one in some)) for some in (before, after)]
        yield BomChange(ChangeKind.REBUILT, package, *hashes)
    licences = [", ".join(sorted({one.licence for one in some})) for some in (before, after)]
    if licences[0] != licences[1]:
        yield BomChange(ChangeKind.LICENCE, package, *licences)


def _grouped(packages: tuple[ListedPackage, ...]) -> dict[tuple[str, str], tuple[ListedPackage, ...]]:
    found: dict[tuple[str, str], tuple[ListedPackage, ...]] = {}
    for one in packages:
        key = one.kind, one.name
        found[key] = (*found.get(key, ()), one)
    return found


def _of_cyclonedx(component: Mapping[str, Any]) -> ListedPackage:
    licences = component.get("licenses") or ()
    texts = [one.get("expression") or (one.get("license") or {}).get("id") or "" for one in licences]
    return _listed(component["name"], component.get("version", ""), component.get("purl", ""), " AND ".join(texts))


def _of_spdx(package: Mapping[str, Any]) -> ListedPackage:
    purl = next((one["referenceLocator"] for one in package["externalRefs"] if one["referenceType"] == "purl"), "")
    licences = (package.get(field, "") for field in ("licenseConcluded", "licenseDeclared"))
    said = next((one for one in licences if one not in ("", "NOASSERTION", "NONE")), "")
    return _listed(package["name"], package.get("versionInfo", ""), purl, said)


def _listed(name: str, version: str, purl: str, licence: str) -> ListedPackage:
    parts = urlsplit(purl)
    kind = unquote(parts.path.partition("/")[0]) or "package"
    return ListedPackage(kind, name, version, parse_qs(parts.query).get("hash", [""])[0], licence)


def _fault(path: str, message: str) -> InvalidInputError:
    return InvalidInputError([Fault(path, 1, 1, message)])
