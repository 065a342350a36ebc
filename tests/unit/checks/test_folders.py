"""Install trees and views, as template and definition together say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_creator.environments.views import MOUNTED, STANDARD_FOLDERS
from tests.samples import TEMPLATE
from tests.unit.checks.environments import fault, faults

SPECS = "spack:\n  specs: [bzip2]\n"


def test_what_replaces_the_section_config_has_to_say_where_packages_go(tmp_path: Path) -> None:
    found = fault(tmp_path, f"{SPECS}  config::\n    build_jobs: 2\n")
    assert found == ("here:3:3: 'config: install_tree: root' is missing; set an absolute path, such as /opt/software")


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ("config: {install_tree: {root: ~/store}}", "3:33"),
        ("config: {install_tree: $spack/opt}", "3:26"),
        ("config:: {install_tree: {root: store}}", "3:34"),
        ("config: {install_tree:: {root: /opt/a b}}", "3:34"),
        ("config: {install_tree:: {padded_length: 10}}", "3:12"),
        ("config: {install_tree: {root: /srv}}", "3:33"),
        ("config: {install_tree: {root: /opt/spack-environment/x}}", "3:33"),
        ("config: {install_tree: {root: /opt/software/../x}}", "3:33"),
    ],
)
def test_an_install_tree_that_is_not_everywhere_is_a_fault(tmp_path: Path, config: str, place: str) -> None:
    found = fault(tmp_path, f"{SPECS}  {config}\n")
    assert found.startswith(f"here:{place}: ")
    assert found.endswith("set an absolute path, such as /opt/software")


@pytest.mark.parametrize(
    "config", ["config: {build_jobs: 2}", "config: {install_tree: /opt/mine}", "config:: {install_tree:: /opt/mine}"]
)
def test_other_install_trees_are_as_good(tmp_path: Path, config: str) -> None:
    assert faults(tmp_path, f"{SPECS}  {config}\n") == []


def test_what_the_template_lacks_is_told_once_and_there(tmp_path: Path) -> None:
    template = TEMPLATE.replace("install_tree: {root: /opt/software, padded_length: 128}", "build_jobs: 2")
    more = {"container_definitions/amd64/other.yaml": SPECS}
    assert faults(tmp_path, SPECS, template=template, **more) == [
        "spack.yaml:3:3: 'config: install_tree: root' is missing; set an absolute path, such as /opt/software"
    ]


@pytest.mark.parametrize("root", sorted(STANDARD_FOLDERS) + [f"{one}/view" for one in MOUNTED])
def test_a_view_cannot_be_where_something_is_already(tmp_path: Path, root: str) -> None:
    assert fault(tmp_path, f"{SPECS}  view:\n    default:\n      root: {root}\n").startswith("here:5:13: ")


@pytest.mark.parametrize(
    "view",
    [
        "view: ~/view",
        "view: $CI_PROJECT_DIR/view",
        "view: /opt/software",
        "view: /opt/software/view",
        "view: /opt/../usr/local",
        "view: {a: {root: /opt/a}, b: {root: /opt/a}}",
        "view: {a: {root: /opt/a}, b: {root: /opt/a/b}}",
        "view: {a: {root: /opt/a/b}, b: {root: /opt/a}}",
        "view: /opt/spack-environment",
    ],
)
def test_views_that_no_container_can_have(tmp_path: Path, view: str) -> None:
    assert fault(tmp_path, f"{SPECS}  {view}\n").startswith("here:3:")


@pytest.mark.parametrize(
    "view",
    [
        "view: true",
        "view: false",
        "view: view",
        "view: /usr/local/tools",
        "view: /opt/views",
        "view:: {a: {root: /opt/a, projections: {all: '{name}/{version}'}}, b: {root: /opt/ab, link: roots}}",
    ],
)
def test_views_that_a_container_can_have(tmp_path: Path, view: str) -> None:
    assert faults(tmp_path, f"{SPECS}  {view}\n") == []


def test_a_view_of_the_template_is_told_there(tmp_path: Path) -> None:
    found = fault(tmp_path, SPECS, template=TEMPLATE.replace("/opt/view", "/usr/local"))
    assert found.startswith("spack.yaml:7:9: the view's root /usr/local is a folder that exists already")


@pytest.mark.parametrize("option", ["template_dirs: [./templates]", "extensions: [$env/x]", "license_dir: licenses"])
def test_folders_are_not_looked_for_beside_an_environment_that_moves(tmp_path: Path, option: str) -> None:
    found = fault(tmp_path, f"{SPECS}  config: {{{option}}}\n")
    assert "is looked for beside the environment, which is moved from job to job; begin it with" in found


@pytest.mark.parametrize("option", ["template_dirs: [$CI_PROJECT_DIR/t]", "extensions: [/opt/x]", "build_stage: [~/s]"])
def test_other_folders_are_where_the_jobs_are(tmp_path: Path, option: str) -> None:
    assert faults(tmp_path, f"{SPECS}  config: {{{option}}}\n") == []
