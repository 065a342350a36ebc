"""Install trees and views, as template and definition together say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_creator.environments.views import MOUNTED, STANDARD_FOLDERS
from tests.samples import TEMPLATE
from tests.unit.checks.environments import DEFINITION, fault, faults, written

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


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("bootstrap: {sources: [{name: own, metadata: ./solver}]}", "'./solver' is looked for beside the environment"),
        ("bootstrap: {sources: [{name: own, metadata: ../x}]}", "'../x' is looked for beside the environment"),
        ("bootstrap:: {sources:: [{name: own, metadata: $env/x}]}", "'$env/x' is looked for beside the environment"),
        ("bootstrap: {root: solver}", "'solver' is looked for beside the environment"),
        ("bootstrap: {sources: [{name: own, metadata: 'https://x.example.org'}]}", "'https://x.example.org' is a URL"),
        (
            "bootstrap: {sources: [{name: own, metadata: $CI_PROJECT_DIR/solver}]}",
            "solver describes no source of Spack's solver; it has no metadata.yaml",
        ),
        (
            "concretizer: {reuse: {from: [{type: environment}]}}",
            "this reuses what the environment has been concretized",
        ),
        ("concretizer: {reuse: {from: [{type: environment, path: base}]}}", "'base' is looked for where Spack"),
        (
            "concretizer: {reuse: {from: [{type: local}, {type: environment, path: ../x}]}}",
            "'../x' is looked for where",
        ),
        (
            "concretizer:: {reuse:: {from: [{type: environment, path: $CI_PROJECT_DIR/x}]}}",
            "'$CI_PROJECT_DIR/x' is looked for where",
        ),
    ],
)
def test_what_spack_solves_with_is_found_in_every_job(tmp_path: Path, section: str, told: str) -> None:
    found = fault(tmp_path, f"{SPECS}  {section}\n")
    assert found.startswith("here:3:")
    assert told in found


def test_what_spack_solves_with_may_be_in_the_repository_or_the_builder(tmp_path: Path) -> None:
    sources = "[{name: own, metadata: $CI_PROJECT_DIR/solver}, {name: its, metadata: $spack/share/spack/bootstrap/x}]"
    reuse = "{from: [{type: local}, {type: environment, path: /opt/environments/base}]}"
    definition = f"{SPECS}  bootstrap: {{sources: {sources}}}\n  concretizer: {{reuse: {reuse}}}\n"
    found = written(tmp_path, {DEFINITION: definition, "solver/metadata.yaml": "type: buildcache\n"})
    assert f"{DEFINITION}: whether the builder image has /opt/environments/base" in found.not_checked


def test_environments_are_reused_since_a_line_of_spack(tmp_path: Path) -> None:
    definition = f"{SPECS}  concretizer: {{reuse: {{from: [{{type: environment, path: /opt/base}}]}}}}\n"
    assert faults(tmp_path, definition, line="0.23") == []
    of_type, of_path = faults(tmp_path, definition, line="0.22")
    assert "'type' must not be 'environment'" in of_type
    assert "unknown key 'path'; it needs Spack 0.23 or newer" in of_path
