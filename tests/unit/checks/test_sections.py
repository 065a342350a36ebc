"""Sections that work in all places, or are faults."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from foundation.spack.sections.section import Rule
from foundation.spack.sections.table import SECTIONS
from tests.containers import container
from tests.locks import concrete
from tests.unit.checks.environments import DEFINITION, fault, faults, merged, values, written

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


@pytest.mark.parametrize(
    "modules",
    ["default: {enable: [lmod]}", "default: {enable:: [tcl], roots: {tcl: /opt/modules}}", "other: {enable: [tcl]}"],
)
def test_module_files_reach_no_image(tmp_path: Path, modules: str) -> None:
    found = fault(tmp_path, f"{SPECS}  modules:\n    {modules}\n")
    assert found.startswith("here:4:")
    assert "module files are written into Spack's own folder, which is not in the image; remove 'enable'" in found


def test_modules_that_nothing_is_written_for_are_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, f"{SPECS}  modules:\n    prefix_inspections: {{lib: [LIBRARY_PATH]}}\n") == []
    assert faults(tmp_path, f"{SPECS}  modules:\n    default: {{enable: [], tcl: {{hash_length: 0}}}}\n") == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("develop: {x: {spec: x@=1}}", "'develop' cannot be used"),
        ("upstreams: {x: {install_tree: /srv}}", "'upstreams' cannot be used"),
        ("repos: {own: ./recipes}", "'repos' cannot differ between groups"),
        ("'mirrors:': {own: https://cache.example.org}", "'mirrors' cannot differ between groups"),
        ("config: {install_tree: {root: /opt/mine}}", "the install tree cannot differ between groups"),
    ],
)
def test_what_all_groups_share_stands_in_none_of_them(tmp_path: Path, override: str, message: str) -> None:
    group = f"spack:\n  specs:\n  - group: a\n    specs: [bzip2]\n    override:\n      {override}\n"
    found = faults(tmp_path, group, line="1.2")
    assert next(one for one in found if message in one).startswith("here:6:7: ")


def test_what_images_have_is_told_as_not_checked(tmp_path: Path) -> None:
    definition = (
        f"{SPECS}  packages:\n    openssl:\n      buildable: false\n      externals:\n"
        "      - {spec: openssl@3.0.17, prefix: /usr}\n  repos: {own: /opt/recipes}\n"
    )
    assert written(tmp_path, {DEFINITION: definition}).not_checked[:2] == (
        f"{DEFINITION}: whether the builder and the runtime image have openssl in /usr",
        f"{DEFINITION}: whether the builder image has /opt/recipes",
    )


PROOFS: Final = {
    "specs": "[bzip2]",
    "definitions": "[{mine: [bzip2], when: 'arch.satisfies(\"target=x86_64:\")'}]",
    "packages": "{bzip2: {variants: +pic}}",
    "concretizer": "{reuse: false}",
    "toolchains": "{plain: [{spec: '%c=gcc@13', when: '%c'}]}",
    "compilers": "[{compiler: {spec: gcc@13, operating_system: ubuntu24.04, modules: [], "
    "paths: {cc: gcc, cxx: g++, f77: null, fc: null}}}]",
    "config": "{build_jobs: 2}",
    "repos": "{own: /opt/recipes}",
    "view": "{a: {root: /opt/a}}",
    "env_vars": "{set: {A: b}}",
    "modules": "{prefix_inspections: {lib: [LIBRARY_PATH]}}",
    "mirrors": "{own: https://cache.example.org}",
    "container": "{labels: {app: demo}}",
    "include": "[../_shared.yaml]",
    "ci": "{rebuild-index: false}",
    "cdash": "{build-group: nightly, url: https://cdash.example.org, project: a, site: b}",
    "bootstrap": "{enable: true}",
    "include_concrete": "[/opt/base]",
    "develop": "{bzip2: {spec: bzip2@=1.0.8}}",
    "upstreams": "{store: {install_tree: /srv/store}}",
}
"""What each section may hold."""


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_goes_where_the_table_says(tmp_path: Path, name: str) -> None:
    """From the definition to the merged environment, which two places see, and to that of the image."""
    rule = SECTIONS[name].rule
    text = SPECS if name == "specs" else f"{SPECS}  {name}: {PROOFS[name]}\n"
    shared = {"container_definitions/_shared.yaml": "packages: {xz: {variants: +pic}}\n"}
    if rule is Rule.REFUSED:
        assert fault(tmp_path, text).startswith(f"here:3:3: {name!r} cannot be used: {SECTIONS[name].why}")
        return
    found = merged(written(tmp_path, {DEFINITION: text, **shared}))
    image = concrete(found)
    if rule is Rule.MERGED:
        assert name not in found
        assert found["packages"]["xz"] == {"variants": "+pic"}
        return
    value = values(PROOFS[name])
    assert found[name] == value if isinstance(value, list) else found[name].items() >= value.items()
    assert (name in image.shipped["spack"]) == (rule is Rule.TRAVELS)
    if name == "mirrors":
        made = container(environment=image).files["mirrors.yaml"].decode()
        assert values(made)["mirrors:"]["own"] == "https://cache.example.org"
    if name == "container":
        assert "app=demo" in container(environment=image).files["labels"].decode().splitlines()
