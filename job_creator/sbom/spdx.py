"""A bill of materials as SPDX 2.3 in JSON. Pure; the same bill always gives the same bytes.

Source: SPDX 2.3, and its JSON schema.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from job_creator.sbom.components import Bom, BomPackage, Licence

MEDIA_TYPE: Final = "application/spdx+json"
SUFFIX: Final = ".spdx.json"
_NOBODY_SAYS: Final = "NOASSERTION"
_DOCUMENT: Final = "SPDXRef-DOCUMENT"
_CONTAINER: Final = "SPDXRef-container"


def to_spdx(bom: Bom, created: str) -> bytes:
    """The document; `created` is a time such as `1980-01-02T00:00:00Z`."""
    licences = (licence for one in bom.packages for licence in (one.concluded, one.licence) if licence)
    texts = {ref: text for licence in licences for ref, text in licence.texts.items()}
    container: dict[str, Any] = {
        **_package(_CONTAINER, bom.name, bom.version),
        "primaryPackagePurpose": "CONTAINER",
    }
    if bom.facts:
        container["comment"] = "\n".join(f"{name}: {text}" for name, text in bom.facts.items())
    packages = [container, *(_of(one) for one in bom.packages)]
    relationships = [
        _relationship(_DOCUMENT, "DESCRIBES", _CONTAINER),
        *(_relationship(_CONTAINER, "CONTAINS", _id(one.reference)) for one in bom.packages),
        *(_relationship(_id(one.reference), "DEPENDS_ON", _id(other)) for one in bom.packages for other in one.depends),
    ]
    inside = {
        "packages": packages,
        "relationships": relationships,
        **({"hasExtractedLicensingInfos": [_extracted(*pair) for pair in sorted(texts.items())]} if texts else {}),
    }
    checksum = hashlib.sha256(json.dumps(inside, sort_keys=True).encode()).hexdigest()
    value = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{bom.name} {bom.version}".rstrip(),
        "documentNamespace": f"urn:spacktainers:sbom:{checksum}",
        "creationInfo": {"created": created, "creators": ["Tool: spacktainers"]},
        **inside,
    }
    return f"{json.dumps(value, indent=1)}\n".encode()


def _of(package: BomPackage) -> dict[str, Any]:
    value = _package(_id(package.reference), package.name, package.version, package.licence, package.concluded)
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.purl}
    value["externalRefs"] = [reference]
    if package.is_external:
        value["comment"] = "found in the image by Spack, which did not install it"
    return value


def _package(
    identifier: str, name: str, version: str, declared: Licence | None = None, concluded: Licence | None = None
) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": name,
        **({"versionInfo": version} if version else {}),
        "downloadLocation": _NOBODY_SAYS,
        "filesAnalyzed": False,
        "licenseConcluded": concluded.expression if concluded else _NOBODY_SAYS,
        "licenseDeclared": declared.expression if declared else _NOBODY_SAYS,
        "copyrightText": _NOBODY_SAYS,
    }


def _relationship(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _extracted(reference: str, text: str) -> dict[str, str]:
    return {"licenseId": reference, "name": text, "extractedText": text}


def _id(reference: str) -> str:
    return f"SPDXRef-{reference}"
