"""Bills of materials of recorded lockfiles and of distributions, held against the standards' own validators."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from job_creator.sbom import distribution
from job_creator.sbom.components import Bom, BomPackage, PackageKind, bom_of
from job_creator.sbom.difference import ChangeKind, differences, read_document
from job_creator.sbom.documents import written
from job_creator.sbom.gathering import BomRequest, bom_of_lockfile
from job_creator.sbom.licences import expression, known_expression
from tests.samples import REPOSITORY

LOCKS = sorted((REPOSITORY / "tests" / "data" / "spack_ci").glob("*/*/concrete_environment/spack.lock"))
RECIPES = {
    "bzip2": 'class Bzip2(Package):\n    license("bzip2-1.0.6", when="@1:")\n    license("MIT", when="@:0.9")\n',
    "zlib": 'class Zlib(Package):\n    license("Zlib")\n',
    "hdf5": 'class Hdf5(Package):\n    license("custom")\n',
    "xz": 'class Xz(Package):\n    license("GPL-2.0-or-later AND Public-Domain AND LGPL-2.1-or-later")\n',
    "openssl": 'class Openssl(Package):\n    license("Apache-2.0 OR free for (all")\n',
}
DEBIAN = distribution.Distribution("debian", "12")
STATUS = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 Version: 9 is no field here.

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1:1.0~rc1-2

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024b-0+deb12u1
"""


def faults_of_spdx(content: bytes) -> list[Any]:
    """What the validator of spdx-tools says."""
    parser: Any = JsonLikeDictParser
    return list(validate_full_spdx_document(parser().parse(json.loads(content))))


def valid(bom: Bom) -> None:
    """Both documents are what the standards' validators take, and are the same when they are written again."""
    documents = written(bom)
    assert documents == written(bom_of(bom.name, bom.version, reversed(bom.packages), bom.facts))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(documents.cyclonedx.decode()) is None
    assert faults_of_spdx(documents.spdx) == []
    for one in bom.packages:
        purl = PackageURL.from_string(one.purl)
        assert (purl.type, purl.name, purl.version) == (one.kind, one.name, one.version)
    assert list(differences(*(read_document(data, "x") for data in documents.files("x").values()))) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: "-".join(path.parts[-4:-2]))
def test_what_is_recorded_of_each_spack_is_valid(lock: Path) -> None:
    bom = bom_of_lockfile(lock.read_bytes(), str(lock), BomRequest("app", "1.0", recipes=RECIPES.get))
    assert bom.packages
    valid(bom)
    references = {one.reference for one in bom.packages}
    assert all(other in references for one in bom.packages for other in one.depends)
    licences = [one.licence for one in bom.packages if one.licence]
    assert all(get_spdx_licensing().parse(one.expression) is not None for one in licences)


READER = """\
import json, sys
from lib4sbom.parser import SBOMParser

for path in sys.argv[1:]:
    parser = SBOMParser()
    parser.parse_file(path)
    print(json.dumps([parser.get_packages(), parser.get_relationships()]))
"""
"""lib4sbom has parsers that share nothing with the validators. It leaves files open, so it has a process of its own."""


def test_somebody_elses_reader_finds_the_same_in_both(tmp_path: Path) -> None:
    boms = [
        bom_of_lockfile(lock.read_bytes(), str(lock), BomRequest("app", "1.0", recipes=RECIPES.get)) for lock in LOCKS
    ]
    paths = [tmp_path / f"{number}-{name}" for number, bom in enumerate(boms) for name in written(bom).files("app")]
    for path, content in zip(paths, (one for bom in boms for one in written(bom).files("app").values()), strict=True):
        path.write_bytes(content)
    command = [sys.executable, "-c", READER, *map(str, paths)]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for bom, line in zip((bom for bom in boms for _ in range(2)), read, strict=True):
        packages, relationships = json.loads(line)
        # The container itself has no package URL.
        listed = [one for one in packages if one.get("externalreference")]
        found = {(_reference(one), one["name"], one["version"], one["externalreference"][0][2]) for one in listed}
        assert found == {(one.reference, one.name, one.version, one.purl) for one in bom.packages}
        needs = {tuple(map(_plain, (one["source_id"], one["target_id"]))) for one in relationships if _is_need(one)}
        assert needs == {(one.reference, other) for one in bom.packages for other in one.depends}


def _is_need(relationship: Mapping[str, str]) -> bool:
    return relationship["type"] == "DEPENDS_ON"


def _plain(identifier: str) -> str:
    return identifier.removeprefix("SPDXRef-")


def _reference(package: Mapping[str, Any]) -> str:
    return _plain(package.get("bom-ref") or package["id"])


def test_dependencies_and_conditions_of_licenses_are_those_of_the_spec() -> None:
    lock = next(path for path in LOCKS if "spack-1.1/hdf5-tools" in str(path))
    bom = bom_of_lockfile(lock.read_bytes(), str(lock), BomRequest("app", recipes=RECIPES.get))
    found = {one.name: one for one in bom.packages}
    assert found["bzip2"].licence
    assert found["bzip2"].licence.expression == "bzip2-1.0.6"
    assert found["hdf5"].licence
    assert (found["hdf5"].licence.expression, found["hdf5"].licence.texts) == (
        "LicenseRef-custom",
        {"LicenseRef-custom": "custom"},
    )
    assert found["c-blosc"].licence is None
    # What was only there to build others is not in a container.
    assert "cmake" not in found
    assert found["c-blosc"].reference in found["hdf5"].depends or found["c-blosc"].depends


def test_what_a_site_concluded_is_never_declared() -> None:
    lock = next(path for path in LOCKS if "spack-1.1/hdf5-tools" in str(path))
    concluded = {name: expression(text) for name, text in (("c-blosc", "BSD-3-Clause"), ("hdf5", "LicenseRef-HDF"))}
    said = {name: licence for name, licence in concluded.items() if licence}
    bom = bom_of_lockfile(lock.read_bytes(), str(lock), BomRequest("app", recipes=RECIPES.get, concluded=said))
    valid(bom)
    documents = written(bom)
    spdx = {one["name"]: one for one in json.loads(documents.spdx)["packages"]}
    cyclonedx = {one["name"]: one for one in json.loads(documents.cyclonedx)["components"]}

    def licences(name: str) -> tuple[Any, ...]:
        return spdx[name]["licenseConcluded"], spdx[name]["licenseDeclared"], cyclonedx[name].get("licenses")

    assert licences("c-blosc") == (
        "BSD-3-Clause",
        "NOASSERTION",
        [{"expression": "BSD-3-Clause", "acknowledgement": "concluded"}],
    )
    assert licences("hdf5") == (
        "LicenseRef-HDF",
        "LicenseRef-custom",
        [{"expression": "LicenseRef-HDF", "acknowledgement": "concluded"}],
    )
    declared = {"name": "spacktainers:declared license", "value": "LicenseRef-custom"}
    assert declared in cyclonedx["hdf5"]["properties"]
    assert licences("bzip2") == (
        "NOASSERTION",
        "bzip2-1.0.6",
        [{"expression": "bzip2-1.0.6", "acknowledgement": "declared"}],
    )
    assert "c-blosc" not in bom.unlicensed
    assert all(licences(name) == ("NOASSERTION", "NOASSERTION", None) for name in bom.unlicensed)
    assert bom.unlicensed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MIT", "MIT"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("AGPL-3.0-only OR LicenseRef-Oracle-Proprietary", "AGPL-3.0-only OR LicenseRef-Oracle-Proprietary"),
        ("GPL-2.0-or-later AND Public-Domain", "GPL-2.0-or-later AND LicenseRef-Public-Domain"),
        ("custom", "LicenseRef-custom"),
        ("free for all (see COPYING", "LicenseRef-free-for-all-see-COPYING"),
        ("(((", "LicenseRef-unknown"),
    ],
)
def test_what_recipes_say_becomes_an_expression(text: str, said: str) -> None:
    found = expression(text)
    assert found
    assert found.expression == said


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_recipes_and_sites_say_the_documents_are_valid(text: str, concluded: str) -> None:
    said = expression(text), expression(concluded)
    package = BomPackage(PackageKind.SPACK, "a", "1", licence=said[0], concluded=said[1], hash="abc")
    valid(bom_of("x", "1", [package], {}))


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)
def test_names_and_versions_may_be_anything(name: str, version: str) -> None:
    bom = bom_of("x", "1", [BomPackage(PackageKind.DEB, f"p{name}", f"1{version}", "debian", "amd64")], {"a": name})
    documents = written(bom)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(documents.cyclonedx.decode()) is None
    assert faults_of_spdx(documents.spdx) == []


def test_dpkg_and_apk_say_what_is_installed() -> None:
    found = [*distribution.dpkg_packages(STATUS, DEBIAN)]
    assert [(one.name, one.version) for one in found] == [("libc6", "2.36-9+deb12u10"), ("tzdata", "2024b-0+deb12u1")]
    assert found[0].purl == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"
    apk = b"C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36\nA:x86_64\nL:GPL-2.0 only maybe\n"
    licences = {one.name: one.licence for one in distribution.apk_packages(apk, distribution.Distribution("alpine"))}
    assert licences["musl"] == known_expression("MIT") != None  # noqa: E711
    assert licences["busybox"] is None
    valid(bom_of("x", "1", found, {}))


def test_os_release_is_read_with_and_without_quotes() -> None:
    assert distribution.read_os_release(b'ID="rocky"\nVERSION_ID="9.4"\n').release == "rocky-9.4"
    assert distribution.read_os_release(b"").release == "linux"


def rpm_database(headers: list[dict[int, str | int]]) -> bytes:
    """A database as RPM keeps it, with these packages."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    for header in headers:
        entries, data = b"", b""
        for tag, value in header.items():
            if isinstance(value, int):
                data = data.ljust(-(-len(data) // 4) * 4, b"\0")
            entries += struct.pack(">4I", tag, 4 if isinstance(value, int) else 6, len(data), 1)
            data += struct.pack(">I", value) if isinstance(value, int) else f"{value}\0".encode()
        blob = struct.pack(">2I", len(header), len(data)) + entries + data
        database.execute("INSERT INTO Packages (blob) VALUES (?)", [blob])
    database.commit()
    content = database.serialize()
    database.close()
    return content


def test_rpm_says_what_is_installed() -> None:
    headers: list[dict[int, str | int]] = [
        {1000: "bash", 1001: "5.1.8", 1002: "9.el9", 1014: "GPLv3+", 1022: "x86_64"},
        {1000: "dbus", 1001: "1.12", 1002: "8.el9", 1003: 1, 1014: "MIT", 1022: "x86_64"},
        {1000: "gpg-pubkey", 1001: "8483c65d", 1002: "5ccc5b19"},
    ]
    found = [*distribution.rpm_packages(rpm_database(headers), distribution.Distribution("rocky", "9"))]
    assert [(one.name, one.version) for one in found] == [("bash", "5.1.8-9.el9"), ("dbus", "1:1.12-8.el9")]
    assert [one.licence.expression if one.licence else "" for one in found] == ["", "MIT"]
    valid(bom_of("x", "1", found, {}))


@pytest.mark.parametrize("content", [b"", b"no database", rpm_database([])[:3000], b"\xff" * 9000])
def test_what_is_no_database_of_rpm_is_told(content: bytes) -> None:
    with pytest.raises(ValueError, match="RPM"):
        [*distribution.rpm_packages(content, DEBIAN)]


def test_a_difference_is_told_across_standards() -> None:
    old = bom_of(
        "x",
        "1",
        [
            BomPackage(PackageKind.SPACK, "a", "1", hash="aaaa", licence=expression("MIT")),
            BomPackage(PackageKind.SPACK, "b", "1", hash="bbbb"),
            BomPackage(PackageKind.SPACK, "c", "1", hash="cccc"),
        ],
        {},
    )
    new = bom_of(
        "x",
        "2",
        [
            BomPackage(PackageKind.SPACK, "a", "2", hash="aaab", licence=expression("Apache-2.0")),
            BomPackage(PackageKind.SPACK, "b", "1", hash="bbbc"),
            BomPackage(PackageKind.DEB, "c", "1"),
        ],
        {},
    )
    before, after = read_document(written(old).cyclonedx, "old"), read_document(written(new).spdx, "new")
    told = {(one.kind, one.package) for one in differences(before, after)}
    assert told == {
        (ChangeKind.VERSION, "spack:a"),
        (ChangeKind.LICENCE, "spack:a"),
        (ChangeKind.REBUILT, "spack:b"),
        (ChangeKind.REMOVED, "spack:c"),
        (ChangeKind.ADDED, "deb:c"),
    }


def test_references_are_what_spdx_allows() -> None:
    package = BomPackage(PackageKind.DEB, "libstdc++6", "12.2.0-14+deb12u1", architecture="amd64")
    assert re.fullmatch(r"[A-Za-z0-9.-]+", package.reference)
