"""The bills of materials that Spack itself writes, one for each package that it installs. Pure.

Source: `lib/spack/spack/hooks/sbom_generate.py` of Spack's develop, on the way to 1.2: an SPDX 2.3 document below the
package's prefix, `.spack/spdx-2.3-sbom.json`. The name of the document is `<name>-<version>-<DAG hash>`, and its first
package the one that was installed. Of the others only the names are good: they have its version and its checksum.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from job_creator.sbom.components import BomPackage
from job_creator.sbom.licences import expression

_SUFFIX: Final = "/.spack/spdx-2.3-sbom.json"
_NOBODY_SAYS: Final = ("", "NOASSERTION", "NONE")
_LARGEST: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class OwnBill:
    """What Spack wrote of a package that it installed."""

    name: str
    version: str
    hash: str
    declared: str
    """The license as its recipe names it; empty where it names none."""
    needs: frozenset[str]
    """The names of the packages that it was built with and needs."""


def is_own_bill(path: str) -> bool:
    """Whether a file of a container is one by its name."""
    return path.endswith(_SUFFIX)


def read_own_bill(content: bytes) -> OwnBill | None:
    """Read one; `None` for anything else."""
    if len(content) > _LARGEST:
        return None
    try:
        value = json.loads(content)
        package, *others = value["packages"]
        name, version = package["name"], package["versionInfo"]
        start, hash_ = f"{name}-{version}-", value["name"]
        declared = package.get("licenseDeclared", "")
        needs = frozenset(one["name"] for one in others)
        if value["spdxVersion"] != "SPDX-2.3" or not hash_.startswith(start) or not isinstance(declared, str):
            return None
        return OwnBill(name, version, hash_.removeprefix(start), "" if declared in _NOBODY_SAYS else declared, needs)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def disagreements(packages: Iterable[BomPackage], own: Mapping[str, OwnBill]) -> Iterator[str]:
    """Where a bill says something else than Spack wrote, by DAG hash, when it installed the package."""
    every = tuple(packages)
    names = {one.reference: one.name for one in every}
    for package in every:
        bill = own.get(package.hash)
        if not package.hash or bill is None:
            continue
        if (bill.name, bill.version) != (package.name, package.version):
            yield f"{package.name}@{package.version} is {bill.name}@{bill.version}"
        said = expression(bill.declared)
        if package.licence and said and said.expression != package.licence.expression:
            yield f"{package.name} declares {said.expression}, not {package.licence.expression}"
        if unknown := sorted({names[one] for one in package.depends} - bill.needs):
            yield f"{package.name} needs no {', '.join(unknown)}"
