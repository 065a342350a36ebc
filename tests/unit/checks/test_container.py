"""The section `container`: honoured in the image, or a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foundation.errors import InvalidInputError
from job_creator.containers.identity import Container
from job_creator.environments.container_section import PACKAGE_MANAGERS, PROVENANCE
from job_creator.environments.dockerfile_template import VARIABLES
from job_creator.inputs import read_all
from job_creator.project_files import DOCKERFILE_TEMPLATE as TEMPLATE_FILE
from job_creator.repository import default
from job_creator.scripts.rendering import used_variables
from tests.containers import container
from tests.locks import ENVIRONMENT, concrete
from tests.samples import SITE, TEMPLATE, write_repository
from tests.unit.checks.environments import FOLDER, fault, faults

SPECS = "spack:\n  specs: [curl]\n"
OTHER = "spack:\n  specs: [zlib]\n"


def made(section: dict[str, Any]) -> Container:
    return container(environment=concrete({**ENVIRONMENT, "container": section}))


def test_labels_are_those_of_the_image() -> None:
    one = made({"labels": {"app": "demo", "org.example.released": True, "n": 3, "text": "a = b"}})
    labels = one.files["labels"].decode().splitlines()
    assert {"app=demo", "org.example.released=true", "n=3", "text=a = b"} <= set(labels)


def test_a_changed_section_makes_another_container() -> None:
    assert container().identity == made({}).identity == made({"format": "docker", "strip": False}).identity
    sections: list[dict[str, Any]] = [{"labels": {"a": "b"}}, {"labels": {"a": "c"}}, {"os_packages": {"final": ["x"]}}]
    others = [made(section) for section in sections]
    assert len({one.record.container_checksum for one in (container(), *others)}) == 4


@pytest.mark.parametrize("command", [None, *PACKAGE_MANAGERS])
def test_packages_are_installed_in_the_image_that_is_shipped(command: str | None) -> None:
    packages = {"final": ["libgomp1", "tini"], **({"command": command} if command else {})}
    dockerfile = made({"os_packages": packages}).files["Dockerfile"].decode()
    _, _, final = dockerfile.rpartition("\nFROM ")
    run = final.partition("COPY --from")[0]
    assert "libgomp1 tini" in run
    assert {None: "apt-get update", "apt": "apt-get update", "apk": "apk add", "zypper": "zypper --"}.get(
        command, "yum install"
    ) in run


def test_lists_of_packages_are_only_fetched_where_that_is_wanted() -> None:
    dockerfile = made({"os_packages": {"final": ["tini"], "update": False}}).files["Dockerfile"].decode()
    assert "apt-get install" in dockerfile
    assert "apt-get update" not in dockerfile


@pytest.mark.parametrize(
    ("section", "place", "message"),
    [
        ('images: {os: "ubuntu:24.04", spack: v1.1.0}', "4:5", "'images' has no effect: containers are made with"),
        ("strip: true", "4:5", "'strip' has no effect"),
        ("template: x", "4:5", "'template' has no effect: the Dockerfile is the site's; add lines"),
        ("singularity: {runscript: x}", "4:19", "'runscript' has no effect"),
        ("singularity: {test: x}", "4:19", "'test' has no effect"),
        ("os_packages: {build: [make]}", "4:19", "'build' has no effect: packages are built in the site's"),
        ("os_packages: {command: dnf}", "4:19", "'dnf' is unknown; known here: apt"),
        ("os_packages: {final: ['a; b']}", "4:27", "'a; b' names no package"),
        ("labels: {a b: c}", "4:14", "'a b' cannot be the name of a label"),
        ("labels: {a: [b]}", "4:14", "the label 'a' must be one line of text"),
        ("labels: {org.spacktainers.spack_dag: x}", "4:14", "the label 'org.spacktainers.spack_dag' says where"),
        ("imagse: {}", "4:5", "'imagse' is no key of 'container'"),
    ],
)
def test_what_no_image_is_made_after_is_a_fault(tmp_path: Path, section: str, place: str, message: str) -> None:
    found = fault(tmp_path, f"{SPECS}  container:\n    {section}\n")
    assert found.partition(": ")[0].startswith(f"here:{place[0]}:")
    assert message in found


def test_what_is_honoured_or_asks_for_nothing_is_valid(tmp_path: Path) -> None:
    section = (
        "  container:\n    format: singularity\n    strip: false\n    singularity: {}\n    depfile: false\n"
        "    os_packages: {command: apt, update: true, final: [libgomp1, 'libc6:i386'], build: []}\n"
        "    labels: {app: demo, org.opencontainers.image.authors: somebody}\n"
    )
    assert faults(tmp_path, SPECS + section) == []


def test_no_label_of_the_project_can_be_taken() -> None:
    labels = [line.partition("=")[0] for line in container().files["labels"].decode().splitlines()]
    reserved = ("org.spacktainers", *PROVENANCE)
    assert [one for one in labels if not any(one == name or one.startswith(f"{name}.") for name in reserved)] == []


def test_a_template_of_dockerfiles_that_leaves_out_what_is_asked_for_is_told(tmp_path: Path) -> None:
    definition = (
        "spack:\n  specs: [zlib]\n  container: {os_packages: {final: [tini]}, labels: {app: demo}}\n"
        "  repos: [./recipes]\nspacktainer:\n  source_builds: true\n"
        "  host_libraries: [libmpi.so.*]\n"
    )
    more = {
        f"{FOLDER}x/spack.yaml": definition,
        f"{FOLDER}x/recipes/repo.yaml": "repo: {namespace: own}\n",
        f"{FOLDER}x/Dockerfile.epilogue": "ENV A=b\n",
    }
    whole = "{{ asked }}{{ epilogue }}{{ recipes }}{{ source_builds }}{{ host_libraries }}"
    assert faults(tmp_path / "a", OTHER, **more, **{TEMPLATE_FILE: whole}) == []
    left = faults(tmp_path / "b", OTHER, **more, **{TEMPLATE_FILE: "FROM {{ builder }}\nRUN {{ lokc }}\n"})
    assert [one.removeprefix(f"{FOLDER}x/").partition("; ")[0] for one in left] == [
        f"Dockerfile.epilogue:1:1: this has no effect: {TEMPLATE_FILE} does not use 'epilogue'",
        f"spack.yaml:3:36: this has no effect: {TEMPLATE_FILE} does not use 'asked'",
        f"spack.yaml:4:10: this has no effect: {TEMPLATE_FILE} does not use 'recipes'",
        f"spack.yaml:6:3: this has no effect: {TEMPLATE_FILE} does not use 'source_builds'",
        f"spack.yaml:7:3: this has no effect: {TEMPLATE_FILE} does not use 'host_libraries'",
        f"{TEMPLATE_FILE}:2:1: there is no variable 'lokc'",
    ]
    (broken,) = faults(tmp_path / "c", OTHER, **{TEMPLATE_FILE: "FROM\n{% for x in %}"})
    assert broken.startswith(f"{TEMPLATE_FILE}:2:1: not readable as a Jinja template")


def test_the_template_that_comes_with_jc_uses_every_variable() -> None:
    assert used_variables(default(TEMPLATE_FILE).path.read_text()).keys() == VARIABLES


@pytest.mark.parametrize(
    ("tool", "known"),
    [
        ("apptainer: {version: 1.1.9}", False),
        ("apptainer: {version: 1.2.0}", True),
        ("singularity_ce: {version: 3.11.4}", False),
        ("singularity_ce: {version: 4.0.0}", True),
    ],
)
def test_arguments_of_def_files_need_a_program_that_knows_them(tmp_path: Path, tool: str, known: bool) -> None:
    text = "Bootstrap: docker\nFrom: rockylinux:{{ VERSION }}\n\n%arguments\n    VERSION=9\n"
    files = {"spack.yaml": TEMPLATE, "container_definitions/amd64/web.def": text}
    write_repository(tmp_path, files, SITE + f"images: {{singularitah: {{{tool}}}}}\n")
    if known:
        assert read_all(tmp_path, "spacktainers.yaml").definitions
        return
    with pytest.raises(InvalidInputError, match="names, knows no '%arguments'; write the values out, or name") as error:
        read_all(tmp_path, "spacktainers.yaml")
    assert [(one.path, one.line) for one in error.value.faults] == [("container_definitions/amd64/web.def", 4)]
