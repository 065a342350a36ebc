"""Sections that work in all places, or are faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.checks.environments import fault, faults

SPECS = "spack:\n  specs: [bzip2]\n"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("concretization: together", "'concretization' is a section of Spack 0.18 and older; write 'concretizer:"),
        ("gitlab-ci: {mappings: []}", "'gitlab-ci' is a section of Spack 0.22 and older; today's section is 'ci:'"),
        ("include_concrete: [/opt/base]", "'include_concrete' cannot be used: the other environment"),
        ("develop: {bzip2: {spec: bzip2@=1.0.8}}", "'develop' cannot be used: the absolute path"),
        ("upstreams: {store: {install_tree: /srv/store}}", "'upstreams' cannot be used: what an upstream"),
    ],
)
@pytest.mark.parametrize("mark", ["", ":"])
def test_what_cannot_work_in_all_places_is_refused_with_its_place(
    tmp_path: Path, section: str, message: str, mark: str
) -> None:
    found = fault(tmp_path, SPECS + "  " + section.replace(":", f"{mark}:", 1) + "\n")
    assert found.startswith(f"here:3:3: {message}")
    assert "; " in found


def test_every_section_of_a_file_is_told(tmp_path: Path) -> None:
    found = faults(tmp_path, f"{SPECS}  concretization: together\n  gitlab-ci: {{}}\n  pakages: {{}}\n")
    assert [one.split(": ")[0] for one in found] == ["here:3:3", "here:4:3", "here:5:3"]


def test_an_empty_section_harms_nobody(tmp_path: Path) -> None:
    assert faults(tmp_path, f"{SPECS}  upstreams: {{}}\n  develop: {{}}\n") == []
