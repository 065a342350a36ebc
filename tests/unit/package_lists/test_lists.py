"""What definitions select, how lockfiles are called, and what Spack's errors mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode, InvalidInputError, NotThereError, RefusedError
from foundation.spack.licenses import is_allowed
from foundation.spack.package_index import VERSION, read_package_index
from foundation.spack.program import SpackProgram
from job_creator.definitions.file import PackageSelection
from job_creator.inputs import read_all
from job_creator.mirrors.needs.locks import Repository
from job_creator.package_lists.classes import CLASSES, class_of
from job_creator.package_lists.folder import LockFailure, LockFolder, wish
from job_creator.package_lists.selection import selected
from job_creator.runs.environments import find_environments
from tests.commands import jc
from tests.locks import write_environment
from tests.samples import SITE, TEMPLATE, write_repository

INDEX = {
    "version": VERSION,
    "commit": "1" * 40,
    "refs": ["v2025.11.0"],
    "virtuals": ["mpi"],
    "variants": [["build_system", ["cmake"], False], ["build_system", ["autotools", "cmake"], False]],
    "licenses": ["MIT", "GPL-2.0-only OR MIT", "GPL-2.0-only"],
    "packages": {
        "zlib": [[1], [0]],
        "hdf5": [[0], []],
        "cuda": [[], []],
        "py-a": [[0], [1]],
        "py-b": [[1], [0, 2]],
        "odd": None,
    },
}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["cuda", "hdf5", "py-a", "py-b", "zlib"]),
        ({"build_systems": ["autotools"]}, ["py-b", "zlib"]),
        ({"build_systems": ["autotools", "cmake"], "exclude": ["py-*"]}, ["hdf5", "zlib"]),
        ({"licenses": ["MIT"]}, ["py-a", "zlib"]),
        ({"licenses": ["mit", "gpl-2.0-only"]}, ["py-a", "py-b", "zlib"]),
        ({"limit": 2, "exclude": ["cuda"]}, ["hdf5", "py-a"]),
        ({"exclude": ["*"]}, []),
    ],
)
def test_what_fits_is_selected(wanted: dict[str, object], names: list[str]) -> None:
    index = read_package_index(json.dumps(INDEX).encode(), "x")
    assert [one.name for one in selected(PackageSelection.model_validate(wanted), index)] == names


@pytest.mark.parametrize(
    ("expression", "allowed", "expected"),
    [
        ("MIT", ["MIT"], True),
        ("MIT", ["BSD-2-Clause"], False),
        ("MIT AND BSD-2-Clause", ["MIT"], False),
        ("MIT AND BSD-2-Clause", ["MIT", "BSD-2-Clause"], True),
        ("GPL-2.0-only OR MIT", ["MIT"], True),
        ("A OR B AND C", ["A"], True),
        ("(A OR B) AND C", ["A"], False),
        ("(A OR B) AND C", ["B", "C"], True),
        ("Apache-2.0 WITH LLVM-exception", ["Apache-2.0"], True),
        ("Apache-2.0 WITH LLVM-exception", ["Apache-2.0 WITH LLVM-exception"], True),
        ("custom license of somebody", ["custom license of somebody"], True),
        ("custom license of somebody", ["custom"], False),
        ("(MIT", ["MIT"], False),
        ("MIT OR", ["MIT"], False),
        ("", ["MIT"], False),
    ],
)
def test_a_license_is_allowed_as_its_expression_says(expression: str, allowed: list[str], expected: bool) -> None:
    assert is_allowed(expression, allowed) is expected


@given(st.text(alphabet="AB()ORNDWITH ", max_size=30), st.sets(st.sampled_from("AB")))
def test_any_text_has_an_answer(expression: str, allowed: set[str]) -> None:
    if is_allowed(expression, allowed):
        # More that is allowed never forbids.
        assert is_allowed(expression, {*allowed, "A", "B"})


@given(st.lists(st.text(min_size=1, max_size=120).filter(str.strip), unique=True, max_size=20))
def test_each_spec_has_a_file_of_its_own(specs: list[str]) -> None:
    names = [wish([spec]).name for spec in specs]
    assert len(set(names)) == len(names)
    assert all(name and name[0] not in ".-" and "/" not in name and len(name) < 100 for name in names)


@pytest.mark.parametrize(
    ("kinds", "message", "expected"),
    [
        (
            ["UnsatisfiableSpecError", "SpecError"],
            "failed to concretize `x` for the following reasons",
            "unsatisfiable",
        ),
        (["UnsatisfiableSpecError"], "cannot concretize 'a', since 'b' does not exist", "unknown"),
        (["UnsatisfiableSpecError"], "cannot concretize 'a', since 'b', 'c' do not exist", "unknown"),
        (["UnknownPackageError", "UnknownEntityError"], "Package 'spack.pkg.builtin.b' not found.", "unknown"),
        (["UnknownVariantError"], "No such variant {'colour'} for spec: 'b colour=blue'", "unknown"),
        (["KeyError"], "x", "crash"),
        (["SystemExit"], "1", "crash"),
    ],
)
def test_spacks_errors_are_of_a_class(kinds: list[str], message: str, expected: str) -> None:
    assert class_of(kinds, message) == expected
    assert expected in CLASSES


def test_of_a_file_of_failures_the_last_word_counts_and_half_a_line_does_not(tmp_path: Path) -> None:
    folder = LockFolder(tmp_path)
    for name, kind in (("a", "crash"), ("b", "unknown"), ("a", "time-out"), ("c", "crash")):
        folder.add_failure(LockFailure(name, (name,), kind, "why", 1.5))
    folder.add_lock("c", b"{}")
    with (tmp_path / "failures.jsonl").open("ab") as stream:
        stream.write(b'{"name": "d", "spe')
    assert {name: one.kind for name, one in folder.failures().items()} == {"a": "time-out", "b": "unknown"}
    (tmp_path / "failures.jsonl").write_text("[]\n")
    with pytest.raises(InvalidInputError):
        folder.failures()


def test_lockfiles_of_others_are_not_taken_for_ones_of_this_command(tmp_path: Path) -> None:
    (tmp_path / "zlib.lock").write_text("{}")
    with pytest.raises(RefusedError):
        LockFolder(tmp_path).claim("amd64/a", "f", [], {})
    (tmp_path / "locks.json").write_text("[]")
    with pytest.raises(RefusedError):
        LockFolder(tmp_path).claim("amd64/a", "f", [], {})


def repository(root: Path, spacktainer: str, spack: str = "{}") -> Path:
    files = {
        "spack.yaml": TEMPLATE,
        "container_definitions/amd64/corpus.yaml": f"spack: {spack}\nspacktainer: {spacktainer}\n",
        "container_definitions/amd64/hdf5.yaml": "spack: {specs: [hdf5]}\n",
        "package_index.json": json.dumps(INDEX),
    }
    return write_repository(root, files, SITE)


def test_the_list_of_a_definition_needs_no_spack(tmp_path: Path) -> None:
    select = "{build_only: true, select: {licenses: [MIT], exclude: [py-b]}}"
    root = repository(tmp_path, select, "{specs: [hdf5 build_system=cmake]}")
    words = ["-C", str(root), "packages", "list", "amd64/corpus", "--spack", "/nowhere/spack"]
    assert jc(*words).stdout == "hdf5 build_system=cmake\npy-a\nzlib\n"
    found = json.loads(jc(*words, "--json").stdout)
    assert found["specs"] == ["hdf5 build_system=cmake"]
    assert found["selected"][0] == {"name": "py-a", "build_systems": ["cmake"], "licenses": ["GPL-2.0-only OR MIT"]}


@pytest.mark.parametrize(
    ("spacktainer", "spack", "told"),
    [
        ("{select: {limit: 1}}", "{}", "2:14: 'select' makes no image; write build_only: true beside it"),
        ("{build_only: true, test: [a]}", "{specs: [hdf5]}", "2:14: 'test' would go into an image, and build_only"),
        ("{build_only: true}", "{}", "1:8: 'specs' is missing"),
        ("{build_only: true, select: {limit: 0}}", "{}", "'limit'"),
        ("{build_only: true, select: {exclude: ['a b']}}", "{}", "'a b' is no name of a package; write it as in"),
        ("{build_only: true, select: {build_system: [cmake]}}", "{}", "did you mean 'build_systems'?"),
        ("{build_only: true}", "{specs: [hdf5], container: {}}", "1:24: 'container' is about an image, and build_only"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, spacktainer: str, spack: str, told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_all(repository(tmp_path, spacktainer, spack), "spacktainers.yaml")
    assert any(told in str(one) for one in caught.value.faults), caught.value


@pytest.mark.parametrize(
    ("select", "told"),
    [
        ("{build_systems: [cmak]}", "2:58: no package is built by 'cmak'; did you mean 'cmake'?"),
        ("{exclude: [coda]}", "2:52: no package is called 'coda'"),
    ],
)
def test_what_selects_nothing_is_told_where_an_index_is_at_hand(tmp_path: Path, select: str, told: str) -> None:
    root = repository(tmp_path, f"{{build_only: true, select: {select}}}")
    done = jc("-C", str(root), "packages", "list", "amd64/corpus")
    assert done.exit_code == ExitCode.INVALID_INPUT
    assert told in done.stderr


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    root = repository(tmp_path, "{build_only: true, select: {}}")
    done = jc("-C", str(root), "packages", "list", "amd64/corpsu")
    assert done.exit_code == ExitCode.NOT_THERE
    assert "did you mean 'amd64/corpus'?" in done.stderr


def test_what_selects_is_in_no_pipeline_and_what_only_builds_makes_no_image(tmp_path: Path) -> None:
    root = repository(tmp_path, "{build_only: true, select: {}}")
    words = ["-C", str(root), "plan", "--offline", "--json"]
    decisions = [one for one in json.loads(jc(*words).stdout)["decisions"] if one["name"] == "corpus"]
    assert [(one["subject"], one["action"]) for one in decisions] == [("environment", "leave out")]
    with pytest.raises(
        NotThereError, match="selects packages, or collects something; 'jc packages lock' makes a folder"
    ):
        find_environments(["amd64/corpus"], Repository(root, "spacktainers.yaml", {}), SpackProgram("/nowhere"))
    root = repository(tmp_path, "{build_only: true}", "{specs: [zlib]}")
    decisions = [one for one in json.loads(jc(*words).stdout)["decisions"] if one["name"] == "corpus"]
    assert [(one["subject"], one["action"]) for one in decisions] == [("environment", "concretize")]


def test_lists_are_counted_and_make_no_pipeline_by_themselves(tmp_path: Path) -> None:
    root = repository(tmp_path, "{build_only: true, select: {}}")
    assert jc("-C", str(root), "check").stdout.startswith("all valid: 1 containers and 1 lists of packages for amd64\n")
    (root / "container_definitions" / "amd64" / "hdf5.yaml").unlink()
    assert jc("-C", str(root), "check").stdout.startswith("all valid: 1 lists of packages for amd64\n")
    for words in (["plan", "--offline"], ["create-jobs", "--offline", "-o", str(tmp_path / "x")], ["render-ci"]):
        done = jc("-C", str(root), *words)
        assert done.exit_code == ExitCode.INVALID_INPUT
        assert (
            "all definitions select packages or collect something, which no pipeline does; add a container, or use"
            in done.stderr
        )


def test_the_pipeline_of_containers_leaves_out_what_makes_no_image(tmp_path: Path) -> None:
    root = repository(tmp_path, "{build_only: true}", "{specs: [zlib]}")
    write_environment(root / "jobs_scratch_dir.amd64" / "hdf5")
    out = tmp_path / "out"
    words = ["generate-spacktainer-workflow", "--architecture", "amd64", "--offline", "--out-dir", str(out)]
    done = jc("-C", str(root), *words, "--environments", str(root / "jobs_scratch_dir.amd64"), "--json")
    assert done.exit_code == ExitCode.OK, done.output
    assert "hdf5" in done.stdout
    assert "corpus" not in done.stdout
    assert "corpus" not in (out / "spacktainer_pipeline.yaml").read_text()
