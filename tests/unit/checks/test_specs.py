"""Specs of environments: those that Spack would refuse, and names that no package has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundation.spack.package_index import VERSION, read_package_index
from tests.unit.checks.environments import fault, faults, written

PINNED = "v2025.11.0"
BOOL = ["false", "true"]
INDEX = {
    "version": VERSION,
    "commit": "1" * 40,
    "refs": [PINNED],
    "virtuals": ["mpi", "c", "cxx"],
    "variants": [
        ["mpi", BOOL, False],
        ["api", ["default", "v18", "v110"], False],
        ["fabrics", ["none", "ucx", "ofi"], True],
        ["languages", None, True],
        ["build_system", ["cmake"], False],
    ],
    "licenses": ["BSD-3-Clause"],
    "packages": {
        "hdf5": [[0, 1, 4], [0]],
        "openmpi": [[2], []],
        "gcc": [[3], []],
        "llvm": [[0], []],
        "bzip2": [[], []],
        "mpich": [[], []],
        "odd": None,
    },
}


def section(text: str) -> str:
    return "spack:\n" + "".join(f"  {line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("specs: [hdf5, openmpi@]", "2:24", "needs a version"),
        ("specs:\n- hdf5 ++mpi +", "3:16", "needs the name of a variant"),
        ("specs:\n- 'hdf5 build_type = Release'", "3:22", "build_type=Release"),
        ("specs:\n- +mpi", "3:5", "names no package"),
        ("specs:\n- hdf5/abcdef", "3:5", "a package of one store"),
        ("specs:\n- hdf5 ^", "3:10", "followed by no dependency"),
        ("specs:\n- hdf5 target=x86_64_v9", "3:10", "is no target"),
        ("specs:\n- matrix:\n  - [hdf5]\n  - ['@1.2', '+']", "5:17", "needs the name of a variant"),
        ("specs:\n- matrix:\n  - ['@1.2', '+mpi']", "4:5", "no row of this matrix"),
        ("specs:\n- matrix:\n  - [hdf5]\n  exclude: ['hdf5 =']", "5:21", "without spaces"),
        ("definitions:\n- packs: [zlib, hdf5@]\nspecs: [$packs]", "3:23", "needs a version"),
        ("specs: [hdf5]\npackages: {hdf5: {require: '@1.14:1.10'}}", "3:31", "empty range"),
        ("specs: [hdf5]\npackages: {hdf5: {require: [{one_of: ['+']}]}}", "3:42", "name of a variant"),
        ("specs: [hdf5]\npackages: {hdf5: {require: [{spec: '+mpi', when: '@'}]}}", "3:53", "needs a version"),
        ("specs: [hdf5]\npackages: {hdf5: {prefer: ['+']}}", "3:31", "name of a variant"),
        ("specs: [hdf5]\npackages: {all: {conflict: [{spec: '%'}]}}", "3:39", "'%'"),
        ("specs: [hdf5]\npackages: {all: {target: [x86_64_v8]}}", "3:29", "is no target"),
        ("specs: [hdf5]\npackages: {'hdf5 +mpi': {}}", "3:14", "is not the name of a package"),
        ("specs: [hdf5]\npackages: {builtin.hdf5: {require: '@1'}}", "3:14", "is not the name of a package"),
        ("specs: [hdf5]\npackages: {mpi: {require: +x}}", "3:29", "names no provider"),
        ("specs: [hdf5]\npackages: {mpi: {require: [openmpi, '@3:']}}", "3:40", "is refused by Spack 1.1"),
        ("specs: [hdf5]\npackages: {mpi: {require: [{one_of: [+x, mpich]}]}}", "3:40", "names no provider"),
        ("specs: [hdf5]\npackages: {mpi: {prefer: ['%gcc']}}", "3:30", "has no effect"),
        ("specs: [hdf5]\npackages: {mpi: {version: ['3']}}", "3:20", "is a virtual package"),
        ("specs: [hdf5]\npackages: {hdf5: {externals: [{spec: '@1', prefix: /opt/x}]}}", "3:41", "names no package"),
        ("specs: [hdf5]\nview: {default: {root: /opt/v, select: ['hdf5@']}}", "3:48", "needs a version"),
        ("specs: [hdf5]\nview: {default: {root: /opt/v, projections: {'hdf5@': x}}}", "3:48", "needs a version"),
        ("specs: [hdf5]\nconcretizer: {reuse: {exclude: ['+']}}", "3:36", "name of a variant"),
        ("specs: [hdf5]\ntoolchains: {tools: [{spec: '%gcc@', when: '%c'}]}", "3:36", "needs a version"),
        ("specs: [hdf5 %tools +mpi]\ntoolchains: {tools: '%gcc'}", "2:23", "nothing may follow a toolchain"),
        (
            "specs: [hdf5]\nci: {pipeline-gen: [{submapping: [{match: ['hdf5@'], build-job: {tags: [a]}}]}]}",
            "3:51",
            "needs a version",
        ),
        (
            "specs: [hdf5]\nconcretizer:\n  splice: {explicit: [{target: mpich/abcdef, replacement: openmpi}]}",
            "4:61",
            "'openmpi' says not which binary is spliced in",
        ),
    ],
)
def test_what_spack_refuses_is_told_at_its_place(tmp_path: Path, text: str, place: str, words: str) -> None:
    found = fault(tmp_path, section(text))
    assert found.startswith(f"here:{place}: ")
    assert words in found


@pytest.mark.parametrize(
    "text",
    [
        "definitions:\n- mpis: [openmpi, mpich]\nspecs:\n- matrix:\n  - [hdf5]\n  - [$^mpis, ~mpi]\n  - ['%gcc@12']",
        "specs:\n- hdf5 %c,cxx=gcc@12 ^openmpi fabrics=ucx %gcc\n- zlib cflags='-O2 -g'",
        "specs: [hdf5 +mpi %tools]\ntoolchains: {tools: [{spec: '%c=gcc', when: '%c'}]}",
        "specs: [mpi]\npackages: {mpi: {require: [openmpi]}, all: {require: ['%gcc', target=x86_64_v3]}}",
        "specs: [hdf5]\nconcretizer: {splice: {explicit: [{target: mpi, replacement: mpich/abcdef}]}}",
    ],
)
def test_what_spack_accepts_is_no_fault(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, section(text)) == []


def test_compilers_are_no_packages_before_spack_1(tmp_path: Path) -> None:
    assert faults(tmp_path, section("specs: [hdf5 %gcc@12 +mpi]"), line="0.23", **indexed()) == []
    assert "no meaning" in fault(tmp_path, section("specs: ['hdf5 %c=gcc']"), line="0.23")


def indexed(**changes: object) -> dict[str, str]:
    return {"package_index.json": json.dumps({**INDEX, **changes})}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("specs: [hdf55]", "2:11", "there is no package 'hdf55'; did you mean 'hdf5'?"),
        ("specs: [hdf5 ^opnmpi]", "2:17", "did you mean 'openmpi'?"),
        ("specs: [hdf5 %gc]", "2:17", "did you mean 'gcc'?"),
        ("specs: [hdf5 +mpii]", "2:16", "hdf5 has no variant 'mpii'; did you mean 'mpi'?"),
        ("specs: [hdf5 api=v19]", "2:16", "hdf5: api cannot be 'v19'; did you mean 'v18'?"),
        ("specs: ['hdf5 api=v18,v110']", "2:17", "takes one value"),
        ("specs: [openmpi +fabrics]", "2:19", "write for example fabrics=ofi"),
        ("specs: [hdf5 mpi=maybe]", "2:16", "hdf5: mpi cannot be 'maybe'"),
        ("specs: ['hdf5 %[virtuals=fortran] gcc']", "2:17", "no virtual package 'fortran'"),
        ("specs: [hdf5]\npackages: {hdf5: {require: +mpii}}", "3:30", "hdf5 has no variant 'mpii'"),
        ("specs: [hdf5]\npackages: {openmp: {require: +mpi}}", "3:14", "did you mean 'openmpi'?"),
        ("specs:\n- matrix: [[hdf5], [^openmp]]", "3:24", "did you mean 'openmpi'?"),
    ],
)
def test_names_are_those_of_the_package_repository(tmp_path: Path, text: str, place: str, words: str) -> None:
    (tmp_path / "package_index.json").write_text(json.dumps(INDEX))
    found = fault(tmp_path, section(text))
    assert found.startswith(f"here:{place}: ")
    assert words in found


@pytest.mark.parametrize(
    "text",
    [
        "specs: [mpi, odd +anything, hdf5 ++shared cflags=-O2 target=zen3, hdf5 commit=abc]",
        "specs: ['openmpi fabrics=ucx,ofi', 'openmpi fabrics=*', 'gcc languages=c,rust', other.name +x]",
        "specs: [hdf5 %clang, hdf5 %oneapi, hdf5 %tools]\ntoolchains: {tools: '%gcc'}",
        "specs: [hdf5]\npackages: {all: {variants: +unknown, require: ['%gcc']}, mpi: {buildable: false}}",
        "specs: [hdf5]\npackages: {hip-rocclr: {buildable: false, externals: [{spec: hip-rocclr@5, prefix: /opt}]}}",
        "specs: [hdf5]\nview: {default: {root: /opt/v, exclude: [hdf5 +unknown]}}",
    ],
)
def test_what_no_index_knows_is_no_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "package_index.json").write_text(json.dumps(INDEX))
    assert faults(tmp_path, section(text)) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (None, f"there is no package index of {PINNED}; 'jc index packages' makes one"),
        ({"refs": ["v2025.07.0"]}, f"the package index is of v2025.07.0, and the site pins {PINNED}"),
        ({"refs": []}, f"the package index is of {'1' * 40}, and the site pins {PINNED}"),
    ],
)
def test_without_an_index_of_the_commit_names_are_not_checked(
    tmp_path: Path, changes: dict[str, object] | None, reason: str
) -> None:
    files = {} if changes is None else indexed(**changes)
    found = written(tmp_path, {"container_definitions/amd64/a.yaml": section("specs: [hdf55]"), **files})
    assert found.not_checked[0].startswith(f"names of packages and variants: {reason}")


def test_an_index_is_of_its_commit_and_of_the_refs_that_name_it() -> None:
    index = read_package_index(json.dumps(INDEX).encode(), "x")
    assert [index.is_of(ref) for ref in (PINNED, "1" * 40, "1" * 7, "1" * 6, "develop")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("line", "packages", "words"),
    [
        ("0.23", "{mpi: {require: '@3:'}}", ""),
        ("0.23", "{mpi: {require: target=x86_64_v2}}", ""),
        ("0.23", "{mpi: {require: +x}}", "is refused by Spack 0.23"),
        ("0.23", "{mpi: {require: '%gcc'}}", "is refused by Spack 0.23"),
        ("0.23", "{mpi: {prefer: [mpich]}}", "'prefer' has no effect for virtual packages"),
        ("0.23", "{mpi: {conflict: [mpich]}}", "'conflict' has no effect for virtual packages"),
        ("1.1", "{mpi: {prefer: [mpich], conflict: [openmpi], buildable: false}}", ""),
        ("1.1", "{mpi: {require: [{spec: mpich, when: '@3:'}]}}", ""),
    ],
)
def test_what_is_said_of_virtual_packages_takes_effect(tmp_path: Path, line: str, packages: str, words: str) -> None:
    """As real Spacks do it (`test_requirements_of_virtual_packages`)."""
    text = section(f"specs: [hdf5]\npackages: {packages}")
    found = faults(tmp_path, text, line=line)
    assert [words in one for one in found] == ([True] if words else [])
