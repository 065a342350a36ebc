"""The site's target and compiler hold for every package, whatever is said of one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.releases import SpackLine
from job_creator.environments.requirements import SiteRequirements, with_requirements
from tests.samples import site

OLD, NEW = SpackLine(0, 23), SpackLine(1, 1)
BOTH = "%gcc@13 target=x86_64_v3"
COMPILER = "%[when=%c]c=gcc@13 %[when=%cxx]cxx=gcc@13 %[when=%fortran]fortran=gcc@13"
TARGET = "target=x86_64_v3"


def section(packages: Any, line: SpackLine = NEW, toolchains: tuple[str, ...] = ()) -> dict[str, Any]:
    return with_requirements(packages, SiteRequirements.of(line, site().architectures["amd64"]), toolchains)


@pytest.mark.parametrize(
    ("written", "old", "new"),
    [
        ({"require": "@1.0.8"}, {"require": ["@1.0.8", BOTH]}, {"require": ["@1.0.8", COMPILER]}),
        ({"require:": ["@1", "+x"]}, {"require:": ["@1", "+x", BOTH]}, {"require:": ["@1", "+x", COMPILER]}),
        (
            {"require": [{"any_of": ["@1", "@2"], "when": "+x", "message": "m"}]},
            {"require": [{"any_of": ["@1", "@2"], "when": "+x", "message": "m"}, BOTH]},
            {"require": [{"any_of": ["@1", "@2"], "when": "+x", "message": "m"}, COMPILER]},
        ),
        ({"require": "target=zen3"}, {"require": ["target=zen3", "%gcc@13"]}, {"require": ["target=zen3", COMPILER]}),
        ({"require": "%clang@18"}, {"require": ["%clang@18", TARGET]}, {"require": "%clang@18"}),
        (
            {"require": [{"spec": "%c,cxx=llvm"}]},
            {"require": [{"spec": "%c,cxx=llvm"}, TARGET]},
            {"require": [{"spec": "%c,cxx=llvm"}]},
        ),
        ({"require": "^cmake%clang"}, {"require": ["^cmake%clang", BOTH]}, {"require": ["^cmake%clang", COMPILER]}),
        ({"prefer": ["+x"]}, {"prefer": ["+x"]}, {"prefer": ["+x", TARGET]}),
        (
            {"prefer": [{"spec": "target=zen3"}]},
            {"prefer": [{"spec": "target=zen3"}]},
            {"prefer": [{"spec": "target=zen3"}]},
        ),
        ({"require": []}, {"require": []}, {"require": []}),
        ({"variants": "+x"}, {"variants": "+x"}, {"variants": "+x"}),
        ({"externals": [{"spec": "x@1", "prefix": "/x"}]},) * 3,
    ],
)
def test_the_sites_part_is_added_to_what_would_hide_it(
    written: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert section({"bzip2": written}, OLD)["bzip2"] == old
    assert section({"bzip2": written}, NEW)["bzip2"] == new


@pytest.mark.parametrize(
    ("everything", "old", "new"),
    [
        ({}, {"require": BOTH}, {"prefer": [TARGET], "require": COMPILER}),
        ({"require": "+x"}, {"require": ["+x", BOTH]}, {"prefer": [TARGET], "require": ["+x", COMPILER]}),
        ({"require:": "%clang"}, {"require:": ["%clang", TARGET]}, {"prefer": [TARGET], "require:": "%clang"}),
        ({"prefer": ["+x"]}, {"require": BOTH, "prefer": ["+x"]}, {"require": COMPILER, "prefer": ["+x", TARGET]}),
        (
            {"require": ["%clang", "target=zen3"]},
            {"require": ["%clang", "target=zen3"]},
            {"prefer": [TARGET], "require": ["%clang", "target=zen3"]},
        ),
    ],
)
@pytest.mark.parametrize("key", ["all", "all:"])
def test_what_is_required_of_all_packages_keeps_the_sites_part(
    key: str, everything: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert section({key: everything}, OLD) == {key: old}
    assert section({key: everything}, NEW) == {key: new}


@pytest.mark.parametrize(
    "requirement",
    [
        {"require": "mpich"},
        {"require": ["mpich@4 +x"]},
        {"require": [{"one_of": ["mpich", "openmpi"]}]},
        {"prefer": ["mpich"]},
        {"require": "mpi@3"},
        {"require": [{"spec": "mpi@3:"}, "mpi@:4"]},
    ],
)
@pytest.mark.parametrize("line", [OLD, NEW])
def test_virtual_packages_are_left_alone(line: SpackLine, requirement: dict[str, Any]) -> None:
    assert section({"mpi": requirement}, line)["mpi"] == requirement


@pytest.mark.parametrize("requirement", ["hdf5@1.14", "builtin.hdf5+mpi", "build_type=Release", "@1.14", "+mpi"])
def test_names_of_the_package_itself_make_no_virtual_of_it(requirement: str) -> None:
    assert section({"hdf5": {"require": requirement}})["hdf5"]["require"] == [requirement, COMPILER]


def test_compilers_are_not_built_by_the_compiler_that_they_are() -> None:
    packages = {"gcc": {"require": "+binutils"}, "gcc-runtime": {"require": "@13"}}
    assert {name: section(packages)[name] for name in packages} == packages


def test_toolchains_are_compilers() -> None:
    packages = {"hdf5": {"require": "%mine"}}
    assert section(packages, toolchains=("mine",))["hdf5"] == {"require": "%mine"}
    assert section(packages)["hdf5"] == {"require": ["%mine", COMPILER]}


requirements = st.lists(
    st.sampled_from(["@1", "+x", "target=zen3", "%clang", "%gcc@12", "~y"])
    | st.fixed_dictionaries({"spec": st.just("+z")}),
    min_size=1,
    max_size=3,
)


@given(requirements, st.sampled_from(["bzip2", "all"]), st.sampled_from([OLD, NEW]))
def test_a_target_and_a_compiler_are_always_said_and_nothing_is_lost(
    own: list[Any], name: str, line: SpackLine
) -> None:
    made = section({name: {"require": own}}, line)
    said = made[name]["require"]
    assert said[: len(own)] == own
    assert "%" in str(said)
    assert "target=" in str(said) + str(made["all"].get("prefer"))
    assert with_requirements(made, SiteRequirements.of(line, site().architectures["amd64"])) == made
