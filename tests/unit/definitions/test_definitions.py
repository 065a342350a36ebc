"""Container definitions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import FileAccessError, InvalidInputError
from foundation.spack.releases import SpackLine
from foundation.yaml_io import dump
from job_creator.definitions.definitions import (
    Definition,
    ImportedDefinition,
    SpackDefinition,
    read_definitions,
)
from job_creator.definitions.extra_files import ExtraFile
from job_creator.definitions.header import read_imported_image
from tests.samples import FROZEN_SITE, write_repository
from tests.strategies import trees

SPECS = "spack:\n  specs: [hdf5]\n"


def read(root: Path, files: Mapping[str, str]) -> tuple[Definition, ...]:
    write_repository(root, {f"container_definitions/{name}": content for name, content in files.items()})
    return read_definitions(root, ["amd64", "arm64"])


def faults(root: Path, files: Mapping[str, str]) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        read(root, files)
    return [str(fault).removeprefix("container_definitions/") for fault in caught.value.faults]


def test_all_kinds_of_definitions_are_found_in_order(tmp_path: Path) -> None:
    """D26, D27: files and folders that are no definitions broke the first system; `.yml` was left out."""
    found = read(
        tmp_path,
        {
            "arm64/a.yaml": SPECS,
            "amd64/b.yml": SPECS,
            "amd64/folder/spack.yaml": SPECS,
            "amd64/folder/Dockerfile.epilogue": "RUN true\n",
            "amd64/folder2/spack.yml": SPECS,
            "amd64/c.def": "Bootstrap: docker\nFrom: x/y:1\n",
            "amd64/_off/spack.yaml": "nonsense: [",
            "amd64/.hidden/spack.yaml": "nonsense: [",
            "amd64/.DS_Store": "x",
            "amd64/README.md": "x",
            "amd64/_off.yaml": "nonsense: [",
            "amd64/_b.yaml.orig": "x",
            "amd64/folder/README.md": "x",
            "amd64/folder/_notes.txt": "x",
            "amd64/readme": "x",
            "_arm32/a.yaml": "nonsense: [",
            "CHANGES.md": "x",
            "README.md": "x",
            ".DS_Store": "x",
        },
    )
    assert [(one.architecture, one.name) for one in found] == [
        ("amd64", "b"),
        ("amd64", "c"),
        ("amd64", "folder"),
        ("amd64", "folder2"),
        ("arm64", "a"),
    ]
    folder = found[2]
    assert isinstance(folder, SpackDefinition)
    assert folder.epilogue == "container_definitions/amd64/folder/Dockerfile.epilogue"
    assert folder.environment == {"specs": ["hdf5"]}


def test_the_whole_spack_section_is_handed_on(tmp_path: Path) -> None:
    """D13: only specs and packages reached the build cache, so the container had other hashes."""
    text = """\
spack:
  definitions:
  - mpis: [mpich, openmpi]
  specs:
  - matrix: [[hdf5], [^$mpis]]
  - $mpis
  concretizer: {unify: when_possible}
  config: {build_jobs: 2}
  toolchains: {}
  repos: {}
  packages: {all: {require: "%gcc"}}
"""
    (found,) = read(tmp_path, {"amd64/a.yaml": text})
    assert isinstance(found, SpackDefinition)
    assert set(found.environment) == {
        "definitions",
        "specs",
        "concretizer",
        "config",
        "toolchains",
        "repos",
        "packages",
    }


def test_extra_files_are_pairs_of_a_source_that_exists_and_an_absolute_target(tmp_path: Path) -> None:
    write_repository(tmp_path, {"spacktainer/files/x/run.sh": "true\n"})
    (found,) = read(tmp_path, {"amd64/a.yaml": SPECS + "spacktainer: {files: ['files/x/run.sh:/opt/run.sh']}\n"})
    assert isinstance(found, SpackDefinition)
    assert found.files == (ExtraFile("files/x/run.sh", "/opt/run.sh"),)


def test_a_spacktainer_section_may_be_empty(tmp_path: Path) -> None:
    """D30: iteration over None."""
    (found,) = read(tmp_path, {"amd64/a.yaml": SPECS + "spacktainer:\n"})
    assert isinstance(found, SpackDefinition)
    assert found.files == ()


def test_faults_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    """D30, D31 and the list of the issue."""
    files = {
        "amd46/x.yaml": SPECS,
        "amd64/a.yaml": "spack:\n  specs: []\n  pakages: {}\nspacktaner: 1\n",
        "amd64/b.yaml": "spack:\n  specs:: [x]\n  packages:: 1\n  packages: {}\n",
        "amd64/all.yaml": SPECS,
        "amd64/builder.yaml": SPECS,
        "amd64/c.yaml": SPECS + "spacktainer:\n  files: [a:b:c, x, 'a: /b', ../x:/b, gone:/b, a:b]\n",
        "amd64/d/README": "",
        "amd64/e.yaml": SPECS,
        "amd64/e.yml": SPECS,
        "amd64/f.yaml": "spack:\n\tspecs: [x]\n",
        "amd64/g.yaml": "spack:\n  specs: ['', 1, {matrix: []}, {a: b}]\n  packages: []\n  view: 1\n",
        f"amd64/{'n' * 64}.yaml": SPECS,
    }
    assert faults(tmp_path, files) == [
        "amd46:1:1: the site file knows no architecture 'amd46'; "
        "add it below 'architectures:', which has amd64, arm64, or rename the folder",
        "amd64/a.yaml:2:10: 'specs' must be a non-empty list",
        "amd64/a.yaml:3:3: unknown key 'pakages'; did you mean 'packages'?",
        "amd64/a.yaml:4:1: unknown key 'spacktaner'; did you mean 'spacktainer'?",
        "amd64/all.yaml:1:1: 'all' means all containers where one is asked for; give it another name",
        "amd64/b.yaml:3:14: 'packages:' stands here twice",
        "amd64/builder.yaml:1:1: 'builder' is the name of a base image; give the container another name",
        "amd64/c.yaml:4:11: 'a:b:c' has two colons; write one 'source:target' per line",
        "amd64/c.yaml:4:18: 'x' must be 'source:target'; the source lies below spacktainer/",
        "amd64/c.yaml:4:21: 'a: /b' has a space beside the colon; write 'source:target' without",
        "amd64/c.yaml:4:30: the source '../x' must lie below spacktainer/; write it relative to that folder",
        "amd64/c.yaml:4:48: the target 'b' must be an absolute path; it is a place in the container",
        "amd64/d:1:1: the folder has no spack.yaml; add it, or start the folder's name with '_' to switch it off",
        "amd64/e.yml:1:1: 'e' is already defined in container_definitions/amd64/e.yaml; give one of them another name",
        "amd64/f.yaml:2:1: a tab where YAML wants spaces; indent with spaces",
        "amd64/g.yaml:2:11: a spec must be text such as 'hdf5@1.14 +mpi', or a mapping with 'matrix'",
        "amd64/g.yaml:2:15: a spec must be text such as 'hdf5@1.14 +mpi', or a mapping with 'matrix'",
        "amd64/g.yaml:2:32: a spec must be text such as 'hdf5@1.14 +mpi', or a mapping with 'matrix'",
        "amd64/g.yaml:3:13: 'packages' must be a mapping",
        "amd64/g.yaml:4:9: 'view' must be a boolean or a text or a mapping",
        f"amd64/{'n' * 64}.yaml:1:1: the name is 64 characters long; at most 63 are possible",
    ]


OFF = "start its name with '_' if it is to be left alone"
UNUSED = "the definition in this folder does not use it"
ELSEWHERE = f"files for the container lie below spacktainer/, or {OFF}"
DOCKERFILE = "lines for a Dockerfile are Dockerfile.epilogue in the folder of a definition, beside its spack.yaml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("foo.yaml", "definitions lie in the folder of an architecture; move it into container_definitions/amd64/"),
        ("foo.def", "definitions lie in the folder of an architecture; move it into container_definitions/amd64/"),
        ("notes.txt", f"definitions lie in the folder of an architecture; {OFF}"),
        ("Dockerfile.epilogue", f"definitions lie in the folder of an architecture; {DOCKERFILE}"),
        ("amd64/t.yaml.txt", f"'t.yaml.txt' is no definition; call it t.yaml if it is one, or {OFF}"),
        ("amd64/t.YAML", f"'t.YAML' is no definition; call it t.yaml if it is one, or {OFF}"),
        ("amd64/gcc.13.Def.txt", f"'gcc.13.Def.txt' is no definition; call it gcc.13.def if it is one, or {OFF}"),
        ("amd64/t.ymal", f"'t.ymal' is no definition; call it t.yml if it is one, or {OFF}"),
        ("amd64/a.yaml.bak", f"'a.yaml.bak' is no definition; {OFF}"),
        ("amd64/a.yaml~", f"'a.yaml~' is no definition; {OFF}"),
        ("amd64/t", f"'t' is no definition; {OFF}"),
        ("amd64/t.json", f"'t.json' is no definition; {OFF}"),
        ("amd64/dockerfile.epilogue", f"'dockerfile.epilogue' is no definition; {DOCKERFILE}"),
        ("amd64/f/Dockerfile.epilog", f"{UNUSED}; call it Dockerfile.epilogue, or {OFF}"),
        ("amd64/f/dockerfile.epilogue", f"{UNUSED}; call it Dockerfile.epilogue, or {OFF}"),
        ("amd64/f/run.sh", f"{UNUSED}; {ELSEWHERE}"),
        ("amd64/f/spack.lock", f"{UNUSED}; {ELSEWHERE}"),
    ],
)
def test_what_is_neither_understood_nor_switched_off_is_a_fault(tmp_path: Path, name: str, message: str) -> None:
    assert faults(tmp_path, {"amd64/a.yaml": SPECS, "amd64/f/spack.yaml": SPECS, name: "x"}) == [
        f"{name}:1:1: {message}"
    ]


def test_a_folder_in_a_folder_is_no_definition(tmp_path: Path) -> None:
    assert faults(tmp_path, {"amd64/a.yaml": SPECS, "amd64/group/b/spack.yaml": SPECS}) == [
        "amd64/group:1:1: the folder has no spack.yaml; add it, or start the folder's name with '_' to switch it off",
        f"amd64/group/b:1:1: {UNUSED}; {ELSEWHERE}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty; it needs spack:"),
        ("# nothing yet\n", "1:1: the file is empty; it needs spack:"),
        ("specs: [x]\n", "1:1: unknown key 'specs'; indent it below spack:"),
        ("spack: {specs: [x]}\nfiles: [a:/b]\n", "2:1: unknown key 'files'; indent it below spacktainer:"),
        ("spack: {specs: [x]}\ntest: [x]\n", "2:1: unknown key 'test'; indent it below spacktainer:"),
        (
            "spack:\n  specs: [x]\n  spacktainer: {}\n",
            "3:3: unknown key 'spacktainer'; it is known further out; indent it less than spack:",
        ),
        (
            SPECS + "spacktainer:\n  test:\n  - echo a: b\n",
            "5:5: this value must be text; "
            "YAML makes a mapping of what holds ': '; put all of it in quotes: 'echo a: b'",
        ),
        (
            SPECS + "spacktainer:\n  test:\n  - echo a:\n      b: c\n",
            "5:5: this value must be text; "
            "YAML makes a mapping of what holds ': '; put all of it in quotes: 'echo a: …'",
        ),
        (SPECS + "spacktainer: {test: [true]}\n", "3:22: this value must be text; put it in quotes"),
        (SPECS + "spacktainer: {test: [5]}\n", "3:22: this value must be text; put the number in quotes"),
        (SPECS + "spacktainer: {test: make}\n", "3:21: 'test' must be a list; write a line for each entry: - make"),
        (SPECS + "spacktainer: {files: {a: b}}\n", "3:22: 'files' must be a list; write a line for each entry: - a:b"),
        (
            SPECS + "spacktainer:\n  files:\n  - a: /b\n",
            "5:5: 'a: /b' has a space beside the colon; write 'source:target' without",
        ),
        (SPECS + "spacktainer: {source_builds: yes}\n", "3:30: 'source_builds' must be true or false"),
        (
            SPECS + "spacktainer: {host_libraries: [/usr/lib/libmpi.so.12]}\n",
            "3:32: '/usr/lib/libmpi.so.12' is no name of a library; write it as in 'libmpi.so.12', "
            "where '*' may be anything",
        ),
        (
            "spack:\n  specs:\n<<<<<<< HEAD\n  - a\n=======\n  - b\n>>>>>>> branch\n",
            "3:1: git could not merge this by itself; "
            "keep what is right of both sides, and remove the lines of <<<<<<<, ======= and >>>>>>>",
        ),
        (SPECS + ">>>>>>> branch\n", "3:1: git could not merge this by itself"),
    ],
)
def test_what_often_goes_wrong_is_said_in_words(tmp_path: Path, text: str, message: str) -> None:
    found = faults(tmp_path, {"amd64/a.yaml": text})
    assert found[0].startswith(f"amd64/a.yaml:{message}")


def test_marks_of_a_merge_are_found_in_a_def_file_too(tmp_path: Path) -> None:
    text = "Bootstrap: docker\n<<<<<<< HEAD\nFrom: a\n=======\nFrom: b\n>>>>>>> branch\n"
    (message,) = faults(tmp_path, {"amd64/a.def": text})
    assert message.startswith("amd64/a.def:2:1: git could not merge this by itself")


def test_what_only_looks_like_a_merge_is_left_alone(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"amd64/a.yaml": SPECS + "spacktainer:\n  test:\n  - |\n    <<<<<<< x\n    =======\n"})
    assert isinstance(found, SpackDefinition)


def test_a_source_that_is_missing_is_a_fault_at_its_line(tmp_path: Path) -> None:
    text = SPECS + "spacktainer:\n  files:\n  - gone.sh:/opt/gone.sh\n"
    assert faults(tmp_path, {"amd64/a.yaml": text}) == ["amd64/a.yaml:5:5: there is no spacktainer/gone.sh"]


@pytest.mark.parametrize("name", ["Upper", "a__b", "-a", "a-", "ä", "a b", "a..b"])
def test_a_name_must_do_for_an_image_and_a_sif_file(tmp_path: Path, name: str) -> None:
    (message,) = faults(tmp_path, {f"amd64/{name}.yaml": SPECS})
    assert "cannot name an image and a SIF file" in message


@pytest.mark.parametrize(
    ("line", "section", "message"),
    [
        ((0, 23), "toolchains: {}", "'toolchains' needs Spack 1.0 or newer; this site builds with 0.23"),
        ((0, 21), "include_concrete: []", "'include_concrete' needs Spack 0.22 or newer; this site builds with 0.21"),
        ((0, 23), "repos: {a: /b}", "'repos' as a mapping needs Spack 1.0 or newer; this site builds with 0.23"),
    ],
)
def test_sections_that_the_spack_in_use_lacks_are_faults(
    tmp_path: Path, line: tuple[int, int], section: str, message: str
) -> None:
    write_repository(tmp_path, {"container_definitions/amd64/a.yaml": f"spack:\n  specs: [x]\n  {section}\n"})
    with pytest.raises(InvalidInputError) as caught:
        read_definitions(tmp_path, ["amd64"], SpackLine(*line))
    assert str(caught.value) == f"container_definitions/amd64/a.yaml:3:3: {message}"
    assert read_definitions(tmp_path, ["amd64"], SpackLine(1, 1))


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="container_definitions"):
        read_definitions(tmp_path, ["amd64"])


@pytest.mark.parametrize(
    ("source", "image"),
    [
        ("nexus-storage", "docker.io/library/nexus-storage:latest"),
        ("bluebrain/nexus-storage:1.2", "docker.io/bluebrain/nexus-storage:1.2"),
        ("registry.example.org:5050/group/image", "registry.example.org:5050/group/image:latest"),
        ("localhost/image:1", "localhost/image:1"),
        (f"ubuntu@sha256:{'a' * 64}", f"docker.io/library/ubuntu@sha256:{'a' * 64}"),
        (f"host:1/a/b:t@sha256:{'a' * 64}", f"host:1/a/b:t@sha256:{'a' * 64}"),
    ],
)
def test_the_wrapped_image_is_read_in_all_its_spellings(source: str, image: str) -> None:
    """D35: no tag, a registry port and a digest all went wrong."""
    header = f"# comment\n\nBootstrap: docker\nFrom: {source}   \n%post\n  From: other\n"
    assert str(read_imported_image(header.encode(), "x.def")) == image


def test_registry_and_namespace_may_stand_apart() -> None:
    header = b"BootStrap: docker\nRegistry: host.example.org\nNamespace: group/sub\nFrom: image:1\n"
    assert str(read_imported_image(header, "x.def")) == "host.example.org/group/sub/image:1"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "x.def:1:1: 'Bootstrap' is missing; start the file with 'Bootstrap: docker'"),
        ("Bootstrap: library\nFrom: x\n", "x.def:1:12: 'Bootstrap: library' wraps no image of a registry"),
        ("Bootstrap: docker\nFrom:\n", "x.def:2:6: 'From' is missing"),
        ("Boostrap: docker\nFrom: x\n", "x.def:1:1: 'Boostrap: docker' is no keyword of a header"),
        ("Bootstrap: docker\nFrom: b/A\n", "x.def:2:7: 'b/A' is no legal image name"),
        ("Bootstrap: docker\nFrom: a:b:c\n", "x.def:2:7: 'b:c' is no legal image tag"),
        (
            "Bootstrap: docker\nFrom: docker://nginx:1.27\n",
            "x.def:2:7: the name of an image begins with its registry or group; leave out 'docker://'",
        ),
        (
            "Bootstrap: docker\nRegistry: https://registry.example.org\nFrom: a\n",
            "x.def:2:11: the name of an image begins with its registry or group; leave out 'https://'",
        ),
        ("Bootstrap: docker\nFrom: a@sha256:1\n", "x.def:2:7: 'sha256:1' is no digest"),
        ("Bootstrap: docker\nFrom: a\nBootstrap: docker\nFrom: b\n", "x.def:3:1: a second 'Bootstrap'"),
    ],
)
def test_a_header_that_cannot_be_used_says_why(header: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_imported_image(header.encode(), "x.def")
    assert message in str(caught.value)


@pytest.mark.parametrize("target", ["/nowhere/a.yaml", "nothing.yaml", "../../../outside.yaml"])
def test_a_link_that_leads_to_nothing_in_the_repository_is_a_fault(tmp_path: Path, target: str) -> None:
    """One such file hid the faults of all others."""
    root = tmp_path / "repository"
    write_repository(root, {"container_definitions/amd64/b.yaml": "spack: {}\n"})
    (tmp_path / "outside.yaml").write_text(SPECS)
    (root / "container_definitions/amd64/a.yaml").symlink_to(target)
    first, second = faults(root, {})
    assert first.startswith("amd64/a.yaml:1:1: it is a link to ")
    assert second.startswith("amd64/b.yaml:1:8: ")


def test_a_link_within_the_repository_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    write_repository(tmp_path, {"container_definitions/arm64/a.yaml": SPECS})
    (tmp_path / "container_definitions/amd64").mkdir()
    (tmp_path / "container_definitions/amd64/a.yaml").symlink_to("../arm64/a.yaml")
    assert [one.architecture for one in read(tmp_path, {})] == ["amd64", "arm64"]


@given(st.binary(max_size=200))
def test_any_bytes_as_header_give_an_image_or_faults(content: bytes) -> None:
    try:
        read_imported_image(content, "x.def")
    except InvalidInputError as error:
        assert all(fault.line >= 1 for fault in error.faults)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100) | trees.map(lambda tree: dump({"spack": tree}).encode()))
def test_any_content_as_definition_gives_one_or_faults_with_places(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "container_definitions" / "amd64" / "a.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        assert len(read_definitions(tmp_path, ["amd64"])) == 1
    except InvalidInputError as error:
        assert all(fault.line >= 1 and fault.column >= 1 for fault in error.faults)


def test_the_frozen_definitions_show_every_kind_for_both_architectures() -> None:
    found = read_definitions(FROZEN_SITE, ["amd64", "arm64"])
    for architecture in ("amd64", "arm64"):
        here = {one.name: one for one in found if one.architecture == architecture}
        nexus = here["nexus-storage"]
        assert isinstance(nexus, ImportedDefinition)
        assert str(nexus.image) == "docker.io/bluebrain/nexus-storage:latest"
        assert any(isinstance(one, SpackDefinition) and one.files and one.epilogue for one in here.values())
        assert len(here) >= 5
