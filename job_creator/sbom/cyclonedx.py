"""A bill of materials as CycloneDX 1.6 in JSON. Pure; the same bill always gives the same bytes.

Source: CycloneDX 1.6, JSON reference.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from job_creator.sbom.components import Bom, BomPackage

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
SUFFIX: Final = ".cdx.json"
_CONTAINER: Final = "container"
_PREFIX: Final = "spacktainers:"


def to_cyclonedx(bom: Bom, created: str) -> bytes:
    """The document; `created` is a time such as `1980-01-02T00:00:00Z`."""
    components = [_component(one) for one in bom.packages]
    dependencies = [
        {"ref": _CONTAINER, "dependsOn": [*bom.roots]},
        *({"ref": one.reference, "dependsOn": [*one.depends]} for one in bom.packages),
    ]
    inside = {"components": components, "dependencies": dependencies, "properties": _properties(bom.facts)}
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([bom.name, bom.version, inside], sort_keys=True))
    value = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "tools": {"components": [{"type": "application", "name": "spacktainers"}]},
            "component": {
                "type": "container",
                "bom-ref": _CONTAINER,
                "name": bom.name,
                **({"version": bom.version} if bom.version else {}),
            },
        },
        **inside,
    }
    return f"{json.dumps(value, indent=1)}\n".encode()


def _component(package: BomPackage) -> dict[str, Any]:
    facts = {"hash": package.hash, "external": "true" if package.is_external else ""}
    if package.licence and package.concluded:
        # Only one expression may stand there.
        facts["declared license"] = package.licence.expression
    value: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.reference,
        **({"group": package.namespace} if package.namespace else {}),
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    if licence := package.concluded or package.licence:
        acknowledgement = "concluded" if package.concluded else "declared"
        value["licenses"] = [{"expression": licence.expression, "acknowledgement": acknowledgement}]
    if properties := _properties(facts):
        value["properties"] = properties
    return value


def _properties(facts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"{_PREFIX}{name}", "value": text} for name, text in sorted(facts.items()) if text]
