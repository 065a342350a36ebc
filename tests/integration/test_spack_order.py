"""What the job that concretizes asks a real Spack: the order of the specs, and what cannot be made of them.

`SPACKTAINERS_SPACK_ROOT` names the roots of working Spacks, as in `test_spack.py`; what they concretize are packages of
our own, which takes seconds.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.environments.from_spack import read_from_spack
from tests.integration.real_spack import ROOTS
from tests.integration.tiny_spack import SCRIPT, TinySpack

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

WHEN_POSSIBLE = "when_possible"
SPELLINGS: list[tuple[str, object, dict[str, Any], str]] = [
    ("variant first", False, {"specs": ["tiny-lib ~shared @1.0", "tiny-lib@2.1"]}, "1.0"),
    ("value first", WHEN_POSSIBLE, {"specs": ["tiny-lib flavour=plain @2.1", "tiny-lib@2.0"]}, "2.1"),
    ("lower first", WHEN_POSSIBLE, {"specs": ["tiny-lib flavour=plain @2.0", "tiny-lib@1.0"]}, "2.0"),
    ("quoted value", False, {"specs": ['tiny-lib flavour="rich" @1.0', "tiny-lib@2.0"]}, "1.0"),
    ("target first", False, {"specs": ["tiny-lib arch=linux-None-x86_64 @1.0", "tiny-lib@2.0"]}, "1.0"),
    ("no version", False, {"specs": ["tiny-lib flavour=rich", "tiny-lib@1.0"]}, "2.1"),
    ("range", False, {"specs": ["tiny-lib@:2.0", "tiny-lib@=1.0"]}, "2.0"),
    ("several ranges", False, {"specs": ["tiny-lib@1,2.0:2.0", "tiny-lib@2.1"]}, "2.0"),
    ("namespace", False, {"specs": ["tiny.tiny-lib@1.0:2.0", "tiny-lib@2.1"]}, "2.0"),
    ("of a dependency", False, {"specs": ["tiny-app@2.0 ^tiny-lib@1.0", "tiny-lib@2.1"]}, "2.0"),
    ("another package first", True, {"specs": ["tiny-lib@1.0", "tiny-app@2.0"]}, "1.0"),
    ("another package second", True, {"specs": ["tiny-app@2.0", "tiny-lib@1.0"]}, "2.0"),
    ("the same twice", False, {"specs": ["tiny-lib@2.0", "tiny-lib @2.0", "tiny-lib@1.0"]}, "2.0"),
    ("compiler before a variant", False, {"specs": ["tiny-tool@1.0 %gcc", "tiny-tool@2.0"]}, "1.0"),
    (
        "a condition that does not hold",
        WHEN_POSSIBLE,
        {
            "definitions": [{"tools": ["tiny-lib@2.0"], "when": "re.match('x', 'y')"}, {"tools": ["tiny-lib@1.0"]}],
            "specs": ["$tools", "tiny-lib@2.1"],
        },
        "1.0",
    ),
    (
        "a condition that holds",
        WHEN_POSSIBLE,
        {
            "definitions": [
                {"tools": ["tiny-lib@1.0"], "when": "target == 'none'"},
                {"tools": ["tiny-lib ~shared@2.0"], "when": "platform == 'linux'"},
                {"tools": ["tiny-lib@2.1"]},
            ],
            "specs": ["$tools"],
        },
        "2.0",
    ),
    (
        "a definition in two parts",
        False,
        {"definitions": [{"tools": ["tiny-lib@1.0"]}, {"tools": ["tiny-lib@2.0"]}], "specs": ["$tools"]},
        "1.0",
    ),
    (
        "a definition in a definition",
        False,
        {"definitions": [{"a": ["tiny-lib@1.0", "tiny-lib@2.0"]}, {"b": ["$a"]}], "specs": ["$b"]},
        "1.0",
    ),
    (
        "first combination excluded",
        WHEN_POSSIBLE,
        {
            "specs": [
                {"matrix": [["tiny-lib"], ["@2.1", "@1.0"]], "exclude": ["tiny-lib@2.1"]},
                "tiny-lib@2.0",
            ]
        },
        "1.0",
    ),
    (
        "variants before versions of a matrix",
        False,
        {"specs": [{"matrix": [["tiny-lib"], ["~shared", "+shared"], ["@1.0", "@2.0"]]}]},
        "1.0",
    ),
    (
        "a matrix that a definition has",
        WHEN_POSSIBLE,
        {
            "definitions": [{"all": [{"matrix": [["tiny-app", "tiny-lib"], ["flavour=rich@1.0"]]}]}],
            "specs": ["$all", "tiny-app@2.1"],
        },
        "1.0",
    ),
    (
        "sigil of a compiler",
        WHEN_POSSIBLE,
        {
            "definitions": [{"tools": ["tiny-tool@1.0 ~shared"]}, {"compilers": ["gcc"]}],
            "specs": [{"matrix": [["$tools"], ["$%compilers"]]}, "tiny-tool@2.0"],
        },
        "1.0",
    ),
    (
        "sigil of a dependency",
        False,
        {
            "definitions": [{"apps": ["tiny-app flavour=rich @1.0"]}, {"libs": ["tiny-lib@2.0"]}],
            "specs": [{"matrix": [["$apps"], ["$^libs"]]}, "tiny-app@2.0"],
        },
        "1.0",
    ),
    (
        "toolchain",
        False,
        {"toolchains": {"gnu": "%gcc"}, "specs": ["tiny-tool@1.0 %gnu", "tiny-tool@2.0"]},
        "1.0",
    ),
    (
        "toolchain with conditions",
        WHEN_POSSIBLE,
        {"toolchains": {"gnu": [{"spec": "%c=gcc", "when": "%c"}]}, "specs": ["tiny-tool ~shared@1.0%gnu", "tiny-lib"]},
        "1.0",
    ),
]


@pytest.fixture(params=ROOTS)
def spack(request: pytest.FixtureRequest, tmp_path: Path) -> TinySpack:
    return TinySpack.made(request.param, tmp_path)


def test_the_version_is_that_of_what_is_asked_for_first(spack: TinySpack) -> None:
    """Whatever the spelling, and whatever order the lockfile has."""
    known = [one for one in SPELLINGS if "toolchains" not in one[2] or spack.line.compilers_are_dependencies]
    sections = {name: {**section, "concretizer": {"unify": unify}} for name, unify, section, _ in known}
    answers = spack.answers(sections)
    found = {}
    for name, answer in answers.items():
        assert isinstance(answer, dict), f"{name}: {answer}"
        folder = spack.folder_of(name)
        lock, manifest, said = ((folder / file).read_bytes() for file in ("spack.lock", "spack.yaml", "answer.json"))
        environment = ConcreteEnvironment.read(lock, manifest, str(folder), said)
        found[name] = environment.lock.specs[environment.root].version
        assert {root["hash"] for root in answer["roots"]} == set(environment.lock.roots), name
    assert found == {name: version for name, _, _, version in known}


def test_what_cannot_be_made_is_known_before_anything_compiles(spack: TinySpack) -> None:
    occupied = spack.folder / "occupied"
    (occupied / "bin").mkdir(parents=True)
    two = {"specs": ["tiny-lib@1.0", "tiny-lib@2.0"], "concretizer": {"unify": False}}
    apart = {"root": str(spack.folder / "apart"), "projections": {"all": "{name}/{version}"}}
    only_one = {"root": str(spack.folder / "one"), "select": ["tiny-lib@2"]}
    answers = spack.answers(
        {
            "occupied": {"specs": ["tiny-lib"], "view": {"tools": {"root": str(occupied)}}},
            "free": {"specs": ["tiny-lib"], "view": str(spack.folder / "free")},
            "two versions": {**two, "view": str(spack.folder / "view")},
            "projected": {**two, "view": {"default": apart}},
            "selected": {**two, "view": {"default": only_one}},
        }
    )
    faults = {name: answer["faults"] if isinstance(answer, dict) else answer for name, answer in answers.items()}
    message = f"the view tools cannot be made at {occupied}, where the builder image has something already"
    assert faults["occupied"] == [message]
    assert len(faults["two versions"]) == 1
    assert "tiny-lib@1.0" in faults["two versions"][0]
    assert "tiny-lib@2.0" in faults["two versions"][0]
    assert (faults["free"], faults["projected"], faults["selected"]) == ([], [], [])


def test_what_images_will_lack_is_known_before_anything_compiles(spack: TinySpack) -> None:
    """Recipes, mirrors and install trees are judged as Spack sees them, after all of its configuration."""
    tree = {"install_tree": {"root": "$CI_PROJECT_DIR/software"}}
    moved, mirror, lost = (str(spack.folder / name) for name in ("checkout/recipes", "checkout/cache", "nowhere"))
    shutil.copytree(spack.recipes, moved)
    mapping = spack.line.compilers_are_dependencies

    def repos(path: str) -> object:
        return {"tiny": path} if mapping else [path]

    cases: dict[str, dict[str, Any]] = {
        "carried": {"specs": ["tiny-lib"], "repos:": repos("$CI_PROJECT_DIR/recipes")},
        "in a folder of the job": {"specs": ["tiny-lib"], "config": tree},
        "in a folder of Spack": {"specs": ["tiny-lib"], "config": {"install_tree": {"root": "$spack/x"}}},
        "a mirror of the checkout": {"specs": ["tiny-lib"], "mirrors": {"near": f"file://{mirror}"}},
        "a mirror of nobody": {"specs": ["tiny-lib"], "mirrors": {"far": {"fetch": {"url": lost}, "push": "s3://x/y"}}},
        "mirrors of all": {"specs": ["tiny-lib"], "mirrors": {"web": "https://example.org", "oci": "oci://h/x"}},
    }
    answers = spack.answers(cases, CI_PROJECT_DIR=str(spack.folder / "checkout"))
    faults = {name: answer["faults"] if isinstance(answer, dict) else answer for name, answer in answers.items()}
    assert (faults["carried"], faults["mirrors of all"]) == ([], [])
    for name, words in {
        "in a folder of the job": "'$CI_PROJECT_DIR/software'",
        "in a folder of Spack": "'$spack/x'",
        "a mirror of the checkout": f"the mirror near at {mirror}",
        "a mirror of nobody": f"the mirror far at {lost}",
    }.items():
        assert len(faults[name]) == 1, faults[name]
        assert words in faults[name][0]


def test_recipes_that_stay_behind_are_known_before_anything_compiles(spack: TinySpack) -> None:
    """What somebody reads from a checkout without the environment naming it, and what is gone since it was locked."""
    folder = spack.environment("environment", {"specs": ["tiny-app"]})
    done = spack.run("-e", str(folder), "concretize")
    assert done.returncode == 0, done.stdout

    def faults(**variables: str) -> tuple[str, ...]:
        answer = folder / "answer.json"
        spack.run("python", str(SCRIPT), str(folder), str(answer), "", "", **variables)
        return read_from_spack(answer.read_bytes(), "").faults

    assert faults() == ()
    [fault] = faults(CI_PROJECT_DIR=str(spack.folder))
    assert f"is in {spack.recipes}" in fault
    shutil.rmtree(next(spack.recipes.glob("packages/tiny?lib")))
    [fault] = faults()
    assert "tiny.tiny-lib" in fault
    lock = folder / "spack.lock"
    lock.write_text(lock.read_text().replace('"namespace":"tiny"', '"namespace":"other"'))
    assert any("other.tiny-lib" in fault for fault in faults())


@pytest.mark.parametrize(
    ("builder", "runtime", "runs"),
    [
        ("glibc@2.39", "glibc@2.31", False),
        ("glibc@2.9", "glibc@2.36", True),
        ("glibc@2.36", "glibc@2.36", True),
        ("glibc@2.36", "musl@1.2.5", False),
        ("", "glibc@2.31", True),
        ("glibc@2.39", "", True),
    ],
)
def test_an_older_c_library_runs_nothing(spack: TinySpack, builder: str, runtime: str, *, runs: bool) -> None:
    folder = spack.environment("environment", {"specs": []})
    answer = folder / "answer.json"
    done = spack.run("python", str(SCRIPT), str(folder), str(answer), builder, runtime)
    assert done.returncode == (0 if runs else 1), done.stdout
    faults = read_from_spack(answer.read_bytes(), "").faults
    assert runs == (not faults)
    assert all(builder in fault and runtime in fault for fault in faults)
