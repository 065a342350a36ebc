"""Bills of materials beside those that Spack itself writes for each package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.lockfile import LockedSpec, read_lockfile
from job_creator.environments.views import LOCK_PATH
from job_creator.sbom.components import Bom
from job_creator.sbom.gathering import BomRequest, bom_of_container
from job_creator.sbom.own_bills import read_own_bill
from tests.samples import REPOSITORY

LOCK = (REPOSITORY / "tests/data/spack_ci/spack-1.1/hdf5-tools/concrete_environment/spack.lock").read_bytes()
SPECS = {spec.name: spec for spec in read_lockfile(LOCK, LOCK_PATH).installed()}
DISAGREES = "disagrees with what Spack wrote"


class Files:
    """A container with these files."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents

    def read(self, path: str) -> bytes | None:
        return self._contents.get(path)

    def files(self, path: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        yield from (one for one in self._contents if one.startswith(path) and wanted(one.rpartition("/")[0]))


def own_bill(spec: LockedSpec, licence: str, needs: tuple[str, ...], **changes: Any) -> bytes:
    """A document with the fields that Spack's hook writes; what is needed has the version of the package itself."""
    package = {
        "SPDXID": f"SPDXRef-PACKAGE-{spec.name}-{spec.version}",
        "name": spec.name,
        "versionInfo": spec.version,
        "licenseDeclared": licence,
        "licenseConcluded": "NOASSERTION",
        **changes,
    }
    others = [{**package, "SPDXID": f"SPDXRef-PACKAGE-{name}", "name": name} for name in needs]
    value = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": f"SPDXRef-DOCUMENT-{spec.name}-{spec.version}",
        "name": f"{package['name']}-{package['versionInfo']}-{spec.hash}",
        "packages": [package, *others],
    }
    return json.dumps(value).encode()


def needs_of(name: str) -> tuple[str, ...]:
    by_hash = {spec.hash: spec.name for spec in SPECS.values()}
    return tuple(by_hash[one] for one in SPECS[name].runtime_dependencies if one in by_hash)


def bill(own: Mapping[str, bytes], recipes: Mapping[str, str] | None = None) -> Bom:
    """Of a container in which Spack wrote `own`."""
    files = {f"/opt/software/{name}/.spack/spdx-2.3-sbom.json": content for name, content in own.items()}
    asked = BomRequest("app", recipes=(recipes or {}).get)
    return bom_of_container(Files({LOCK_PATH: LOCK, **files}), asked, lambda data: hashlib.sha256(data).hexdigest())


def test_where_no_recipe_is_there_what_spack_wrote_counts() -> None:
    own = {"hdf5": own_bill(SPECS["hdf5"], "LicenseRef-HDF", needs_of("hdf5"))}
    found = bill(own)
    assert {one.name: one.licence.expression for one in found.packages if one.licence} == {"hdf5": "LicenseRef-HDF"}
    assert DISAGREES not in found.facts


def test_all_packages_agree() -> None:
    own = {name: own_bill(spec, "MIT", (*needs_of(name), "gmake")) for name, spec in SPECS.items()}
    found = bill(own, {"hdf5": 'class Hdf5(Package):\n    license("MIT")\n'})
    assert DISAGREES not in found.facts
    assert not found.unlicensed


@pytest.mark.parametrize(
    ("changes", "needs", "said"),
    [
        ({}, None, "hdf5 declares Zlib, not MIT"),
        ({"versionInfo": "0"}, None, f"hdf5@{SPECS['hdf5'].version} is hdf5@0; hdf5 declares Zlib, not MIT"),
        ({"licenseDeclared": "NOASSERTION"}, (), f"hdf5 needs no {', '.join(sorted(needs_of('hdf5')))}"),
    ],
)
def test_what_differs_is_said(changes: dict[str, str], needs: tuple[str, ...] | None, said: str) -> None:
    own = own_bill(SPECS["hdf5"], "Zlib", needs_of("hdf5") if needs is None else needs, **changes)
    found = bill({"hdf5": own}, {"hdf5": 'class Hdf5(Package):\n    license("MIT")\n'})
    assert found.facts[DISAGREES] == said
    (hdf5,) = (one for one in found.packages if one.name == "hdf5")
    assert hdf5.licence
    assert hdf5.licence.expression == "MIT"


@given(
    st.recursive(
        st.none() | st.text(max_size=4) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["packages", "name", "spdxVersion", "versionInfo"]), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_what_is_no_such_document_says_nothing(value: object) -> None:
    assert read_own_bill(json.dumps(value).encode()) is None
