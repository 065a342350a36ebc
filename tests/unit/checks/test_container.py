"""The section `container`: honoured in the image, or a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from job_creator.containers.identity import Container
from job_creator.environments.container_section import PACKAGE_MANAGERS, PROVENANCE
from tests.containers import container
from tests.locks import ENVIRONMENT, concrete
from tests.unit.checks.environments import fault, faults

SPECS = "spack:\n  specs: [curl]\n"


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
