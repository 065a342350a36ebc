"""What people reported or use, in one place: what `jc check` says of each, and what becomes of what it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import InvalidInputError
from job_creator.definitions.definitions import ImportedDefinition
from job_creator.inputs import read_all
from tests.samples import SITE, TEMPLATE, write_repository
from tests.unit.checks.environments import DEFINITION, FOLDER, faults, merged, written

SPECS = "spack:\n  specs: [bzip2]\n"
CASES = {
    "version-as-number": (
        f"{SPECS}  packages: {{cmake: {{version: [3.30]}}}}\n  env_vars: {{set: {{RELEASE: 2025.10, PATCH: 010}}}}\n",
        ["here:3:32: 3.30 is the number", "here:4:29: 2025.10 is the number", "here:4:45: 010 is the number"],
    ),
    "sections-of-older-lines": (
        f"{SPECS}  concretization: together\n  upstreams: {{a: {{}}}}\n  gitlab-ci: {{script: [x]}}\n",
        [
            "here:3:3: 'concretization' is a section of Spack 0.18 and older; write 'concretizer: {unify: true}'",
            "here:4:3: 'upstreams' cannot be used",
            "here:5:3: 'gitlab-ci' is a section of Spack 0.22 and older; today's section is 'ci:'",
        ],
    ),
    "container-images": (
        f"{SPECS}  container: {{images: {{os: 'x:1'}}, os_packages: {{final: [tini]}}, labels: {{app: demo}}}}\n",
        ["here:3:23: 'images' has no effect"],
    ),
    "another-concrete-environment": (
        f"{SPECS}  include_concrete: [/opt/base]\n",
        ["here:3:3: 'include_concrete' cannot be used"],
    ),
    "view-on-a-folder-of-the-image": (
        f"{SPECS}  view:\n    default: {{root: /usr/local}}\n    tools: {{root: /opt/t, select: [bzip2]}}\n",
        ["here:4:21: the view's root /usr/local is a folder that exists already"],
    ),
    "module-files-and-missing-recipes": (
        f"{SPECS}  modules: {{default: {{enable: [lmod]}}}}\n  repos: {{site: $CI_PROJECT_DIR/own}}\n",
        ["here:3:23: module files are written", "here:4:17: own is no package repository; it has no repo.yaml"],
    ),
    "sources-beside-the-environment": (
        f"{SPECS}  develop: {{bzip2: {{spec: bzip2@=1.0.8, path: ../bzip2}}}}\n",
        ["here:3:3: 'develop' cannot be used"],
    ),
    "groups-before-they-were-known": (
        "spack:\n  specs:\n  - {group: base, specs: [bzip2]}\n  - {group: top, needs: [base], specs: [lz4]}\n",
        ["here:3:6: spec groups need Spack 1.2 or newer", "here:4:6: spec groups need Spack 1.2 or newer"],
    ),
    "config-without-install-tree": (
        f"{SPECS}  config::\n    build_jobs: 2\n",
        ["here:3:3: 'config: install_tree: root' is missing"],
    ),
    "an-at-sign-without-quotes": (
        "spack:\n  specs:\n  - matrix:\n    - [xz]\n    - [@5.4.6, @5.6.3]\n",
        ["here:5:8: '@' cannot start a value; put the value in quotes"],
    ),
    "compiler-and-target-for-some-builds-alone": (
        f"{SPECS}  packages:\n    bzip2:\n      require:\n"
        "      - {spec: '%clang@18', when: +pic}\n      - {spec: target=zen3, when: +pic}\n",
        [
            "here:6:35: where this does not hold, nothing says which compiler is used, not even the site; add an entry",
            "here:7:35: where this does not hold, nothing says which target is used",
        ],
    ),
    "a-compiler-for-each-case": (
        f"{SPECS}  packages:\n    bzip2:\n      require:\n"
        "      - {spec: '%clang@18', when: +pic}\n      - {spec: '%gcc@13', when: ~pic}\n"
        "    lz4: {require: [{spec: '%c=llvm', when: '%c'}]}\n    xz: {require: [{spec: +pic, when: '@5'}]}\n",
        [],
    ),
    "requirement-of-one-package": (f"{SPECS}  packages: {{bzip2: {{require: '@1.0.8'}}}}\n", []),
    "excluded-first-combination": (
        "spack:\n  definitions: [{vers: ['@5.4.6', '@5.6.3']}]\n  concretizer: {unify: false}\n  view: false\n"
        "  specs:\n  - matrix: [[xz], [$vers], [libs=static]]\n    exclude: [xz@5.4.6 libs=static]\n",
        [],
    ),
    "variants-before-the-version": (
        "spack:\n  concretizer: {unify: when_possible}\n  view: false\n  specs: [xz libs=shared @5.4.6, xz@5.6.3]\n",
        [],
    ),
    "further-mirrors": (
        f"{SPECS}  mirrors:\n    old: https://a.example.org\n    b: {{url: 's3://b/c', signed: false}}\n",
        [],
    ),
    "names-that-look-like-values": ("spack:\n  specs:\n  - 7zip\n  - yes\n  - 2024-01-01\n", []),
    "variables-of-python": (f"{SPECS}  env_vars: {{set: {{PYTHONHASHSEED: '0'}}, unset: [PYTHONHOME]}}\n", []),
    "no-index": (f"{SPECS}  ci: {{rebuild-index: false}}\n", []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_case_is_accepted_or_told_with_its_places(tmp_path: Path, name: str) -> None:
    definition, expected = CASES[name]
    found = faults(tmp_path, definition)
    assert len(found) == len(expected), found
    for one, beginning in zip(found, expected, strict=True):
        assert one.startswith(beginning)


def test_the_sites_compiler_holds_beside_a_requirement_of_one_package(tmp_path: Path) -> None:
    required = merged(written(tmp_path, {DEFINITION: CASES["requirement-of-one-package"][0]}))["packages"]["bzip2"]
    assert required["require"][0] == "@1.0.8"
    assert "gcc@13" in required["require"][1]


def test_what_spack_wrote_for_one_package_stands_before_what_the_site_says(tmp_path: Path) -> None:
    """The example of docs/definitions.md."""
    submapping = "[{match: [bzip2], build-job: {tags: [huge], timeout: 11 hours, variables: {MEMORY: 64Gi}}}]"
    definition = f"{SPECS}  ci:\n    pipeline-gen+:\n    - submapping: {submapping}\n"
    first, *others = merged(written(tmp_path, {DEFINITION: definition}))["ci"]["pipeline-gen"]
    job = {"tags": ["huge"], "timeout": "11 hours", "variables": {"MEMORY": "64Gi"}}
    assert first["submapping"] == [{"match": ["bzip2"], "build-job": job}]
    assert [list(one) for one in others] == [["any-job"], ["build-job"]]


def test_a_runtime_image_of_an_older_distribution_is_told(tmp_path: Path) -> None:
    """Which C libraries they have, the job that concretizes knows (tests/integration/test_spack_sections.py)."""
    images = "images: {builder: {base: 'ubuntu:24.04'}, runtime: {base: 'ubuntu:20.04'}}\n"
    write_repository(tmp_path, {"spack.yaml": TEMPLATE, DEFINITION: SPECS}, SITE + images)
    found = read_all(tmp_path, "spacktainers.yaml").not_checked
    assert found[0].endswith("whether the C library of ubuntu:20.04 is as new as that of ubuntu:24.04")
    assert not any("C library" in one for one in written(tmp_path, {DEFINITION: SPECS}).not_checked)


def test_mirrors_that_replace_all_others_keep_the_destination(tmp_path: Path) -> None:
    definition = f"{SPECS}  mirrors::\n    community: https://cache.example.org/develop\n"
    found = merged(written(tmp_path, {DEFINITION: definition}))
    assert list(found["mirrors:"]) == ["buildcache-destination", "community"]


def test_a_file_beside_a_definition_travels_along(tmp_path: Path) -> None:
    files = {
        f"{FOLDER}/spack.yaml": f"{SPECS}  include: [./packages.yaml]\n  view: false\n",
        f"{FOLDER}/packages.yaml": "packages:\n  bzip2: {variants: ~shared}\n",
    }
    found = merged(written(tmp_path, files))
    assert "include" not in found
    assert found["packages"]["bzip2"]["variants"] == "~shared"


IMAGES = {
    "arguments": (
        "Bootstrap: docker\nFrom: rockylinux:{{ OS_VER }}\n\n%arguments\n    OS_VER=9\n",
        "docker.io/library/rockylinux:9",
    ),
    "capitals-comments-and-a-digest": (
        f"# first\n\nBootStrap: Docker\n# between\nFrom:    tool:v1@sha256:{'a' * 64}   \nRegistry: ghcr.io\n",
        f"ghcr.io/tool:v1@sha256:{'a' * 64}",
    ),
    "a-registry-twice": (
        "Bootstrap: docker\nFrom: ghcr.io/a/tool:v1\nRegistry: ghcr.io\n",
        "web.def:3:11: 'From' begins with ghcr.io as well, and Apptainer puts one before the other; remove this line",
    ),
    "two-stages": (
        "Bootstrap: docker\nFrom: golang:1\nStage: build\n\nBootstrap: docker\nFrom: alpine:3\n",
        "'Stage: build' is no keyword of a header",
    ),
    "another-bootstrap": ("Bootstrap: oras\nFrom: ghcr.io/a/b:1\n", "only 'Bootstrap: docker' can be built here"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_each_def_file_wraps_an_image_or_is_told(tmp_path: Path, name: str) -> None:
    text, expected = IMAGES[name]
    files = {"spack.yaml": TEMPLATE, "container_definitions/amd64/web.def": text}
    write_repository(tmp_path, files, SITE)
    try:
        (found,) = read_all(tmp_path, "spacktainers.yaml").definitions
    except InvalidInputError as error:
        assert any(expected in str(fault) for fault in error.faults)
    else:
        assert isinstance(found, ImportedDefinition)
        assert str(found.image) == expected
