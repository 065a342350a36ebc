"""Which of Spack's installers an environment asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import InvalidInputError
from job_creator.inputs import read_all
from tests.samples import TEMPLATE, write_repository
from tests.unit.checks.environments import DEFINITION, faults, merged, site_of

SPECS = "spack:\n  specs: [zlib]\n"
SINCE = "needs Spack 1.1 or newer"


def wanting(installer: str) -> str:
    return f"{SPECS}  config:\n    installer: {installer}\n"


def with_site_key(root: Path, installer: str, line: str, definition: str = SPECS) -> object:
    text = site_of(line).replace("spack:\n", f"spack:\n  installer: {installer}\n", 1)
    write_repository(root, {"spack.yaml": TEMPLATE, DEFINITION: definition}, text)
    return merged(read_all(root, "spacktainers.yaml")).get("config", {}).get("installer")


@pytest.mark.parametrize("line", ["0.23", "1.0"])
@pytest.mark.parametrize("installer", ["old", "new"])
def test_spack_without_a_choice_is_asked_for_none(tmp_path: Path, line: str, installer: str) -> None:
    (fault,) = faults(tmp_path, wanting(installer), line=line)
    assert fault.startswith("here:4:5: ")
    assert fault.endswith(f"{SINCE}; this site builds with {line}")
    template = TEMPLATE.replace("  config:\n", "  config:\n    installer: old\n")
    assert any(SINCE in one for one in faults(tmp_path, SPECS, template=template, line=line))
    with pytest.raises(InvalidInputError, match=SINCE):
        with_site_key(tmp_path, installer, line)


def test_an_installer_that_would_not_find_what_was_just_built_is_refused(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, wanting("new"), line="1.1")
    assert fault.startswith("here:4:5: the new installer of Spack 1.1 only finds packages that the index of the cache")
    assert faults(tmp_path, wanting("old"), line="1.1") == []
    with pytest.raises(InvalidInputError, match=r"it can be used from Spack 1\.2 on"):
        with_site_key(tmp_path, "new", "1.1")


@pytest.mark.parametrize("installer", ["old", "new"])
def test_both_may_be_configured_and_the_definition_is_stronger(tmp_path: Path, installer: str) -> None:
    other = {"old": "new", "new": "old"}[installer]
    assert faults(tmp_path / "a", wanting(installer), line="1.2") == []
    assert with_site_key(tmp_path / "b", installer, "1.2") == installer
    assert with_site_key(tmp_path / "c", installer, "1.2", wanting(other)) == other


def test_where_nothing_is_said_spack_chooses(tmp_path: Path) -> None:
    write_repository(tmp_path, {"spack.yaml": TEMPLATE, DEFINITION: SPECS}, site_of("1.2"))
    section = merged(read_all(tmp_path, "spacktainers.yaml"))
    assert "installer" not in section.get("config", {})
    # Its default is the new one, for which the script makes room.
    assert "export SPACK_CI_FAIL_FAST=" in str(section["ci"])
