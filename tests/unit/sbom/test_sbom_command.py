"""`jc sbom make` of lockfiles: which packages are without a license, and what the site concluded."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands import jc
from tests.samples import REPOSITORY, SITE

LOCK = REPOSITORY / "tests/data/spack_ci/spack-1.1/hdf5-tools/concrete_environment/spack.lock"


def test_packages_without_a_license_are_named_until_the_site_says_it(tmp_path: Path) -> None:
    made = jc("-C", str(tmp_path), "sbom", "make", str(LOCK), "-o", str(tmp_path / "before"))
    assert made.exit_code == 0
    named = made.stdout.strip().partition("no license is on record of ")[2].split(", ")
    assert "hdf5" in named
    concluded = "".join(f"  {name}: MIT\n" for name in named if name != "hdf5")
    (tmp_path / "spacktainers.yaml").write_text(f"{SITE}licenses:\n{concluded}")
    made = jc("-C", str(tmp_path), "sbom", "make", str(LOCK), "-o", str(tmp_path / "after"))
    assert made.stdout.endswith("; no license is on record of hdf5\n")
    (path,) = (tmp_path / "after").glob("*.spdx.json")
    packages = {one["name"]: one for one in json.loads(path.read_text())["packages"]}
    assert {packages[name]["licenseConcluded"] for name in named if name != "hdf5"} == {"MIT"}
    assert {one["licenseDeclared"] for one in packages.values()} == {"NOASSERTION"}
    # Differences are told in what holds, concluded or declared, whichever standard each of the two is in.
    (old,), (new,) = (tmp_path / "before").glob("*.cdx.json"), (tmp_path / "after").glob("*.spdx.json")
    told = json.loads(jc("sbom", "diff", str(old), str(new), "--json").stdout)["changes"]
    assert {(one["change"], one["after"]) for one in told} == {("license", "MIT")}
    assert len(told) == len(named) - 1


def test_what_is_printed_is_the_document_alone(tmp_path: Path) -> None:
    made = jc("-C", str(tmp_path), "sbom", "make", str(LOCK))
    assert json.loads(made.stdout)["bomFormat"] == "CycloneDX"
    assert "no license is on record of" in made.stderr
