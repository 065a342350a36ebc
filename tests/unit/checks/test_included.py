"""Files that definitions and the template include, and folders of recipes: from the check to the image."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.locks import concrete
from tests.samples import TEMPLATE
from tests.unit.checks.environments import DEFINITION, FOLDER, faults, merged, values, written

SPECS = "spack:\n  specs: [bzip2]\n"
RECIPES = {"repo.yaml": "repo: {namespace: own}\n", "packages/x/package.py": "class X: pass\n"}


def folder(root: Path, files: dict[str, str], template: str = TEMPLATE, **more: str) -> dict[str, object]:
    """The environment of a definition that is a folder with these files."""
    here = {f"{FOLDER}/{name}": content for name, content in files.items()}
    return merged(written(root, {**here, **more}, template=template))


def test_an_included_file_is_stronger_than_the_template_and_weaker_than_the_definition(tmp_path: Path) -> None:
    """Spack would rank it below the environment that it gets, of which the template is a part by then."""
    section = folder(
        tmp_path,
        {
            "spack.yaml": f"{SPECS}  include: [./packages.yaml]\n  packages: {{bzip2: {{variants: +pic}}}}\n",
            "packages.yaml": "packages:\n  bzip2: {variants: ~shared}\n  all: {providers: {mpi: [openmpi]}}\n",
        },
    )
    packages = section["packages"]
    assert isinstance(packages, dict)
    assert packages["bzip2"] == {"variants": "+pic"}
    assert packages["all"]["providers"] == {"mpi": ["openmpi"]}
    assert "include" not in section


def test_files_rank_as_spack_ranks_them(tmp_path: Path) -> None:
    """As `spack config get packages` of Spack 1.1 says for the same files."""
    section = folder(
        tmp_path,
        {
            "spack.yaml": (
                'spack:\n  include:\n  - ./a.yaml\n  - path: "$CI_PROJECT_DIR/container_definitions/_shared/b.yaml"\n'
                '    name: second\n  specs: [bzip2]\n  packages:\n    bzip2: {require: ["@1.0.8"]}\n'
            ),
            "a.yaml": (
                'include: [$env/nested.yaml]\npackages:\n  bzip2: {variants: ~shared, require: ["~pic"]}\n'
                '  zlib: {version: ["1"]}\n'
            ),
            "nested.yaml": 'packages:\n  zlib: {version: ["9"]}\n  foo: {version: ["9"]}\n',
        },
        **{
            "container_definitions/_shared/b.yaml": (
                'packages:\n  bzip2: {variants: +shared}\n  zlib: {version: ["2"]}\n'
            )
        },
    )
    packages = section["packages"]
    assert isinstance(packages, dict)
    assert packages["bzip2"]["require"][:-1] == ["@1.0.8", "~pic"]
    assert packages["bzip2"]["variants"] == "~shared"
    assert packages["zlib"] == {"version": ["1", "9", "2"]}
    assert packages["foo"] == {"version": ["9"]}


def test_a_folder_is_included_by_its_sections(tmp_path: Path) -> None:
    files = {
        "spack.yaml": f"{SPECS}  include: [settings]\n",
        "settings/config.yaml": "config:: {install_tree: {root: /opt/mine}}\n",
        "settings/view.yaml": "view: /opt/other\n",
        "settings/README.md": "for people\n",
    }
    section = folder(tmp_path, files)
    assert section["view"] == "/opt/other"
    assert section["config:"] == {"install_tree": {"root": "/opt/mine"}}


def test_the_template_includes_as_well(tmp_path: Path) -> None:
    template = f"{TEMPLATE}  include: [container_definitions/common.yaml]\n"
    more = {"container_definitions/common.yaml": "packages: {zlib: {variants: +pic}}\nview: /opt/weaker\n"}
    section = folder(tmp_path, {"spack.yaml": SPECS}, template, **more)
    assert section["view"] == "/opt/view"
    packages = section["packages"]
    assert isinstance(packages, dict)
    assert packages["zlib"] == {"variants": "+pic"}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("missing.yaml", "here:3:13: there is no container_definitions/amd64/missing.yaml; paths are seen"),
        ("/etc/spack/packages.yaml", "here:3:13: '/etc/spack/packages.yaml' is not in the repository"),
        ("../../../other/packages.yaml", "here:3:13: '../../../other/packages.yaml' is not in the repository"),
        ("~/packages.yaml", "here:3:13: '~/packages.yaml' is not in the repository"),
        ("$HOME/packages.yaml", "here:3:13: '$HOME/packages.yaml' is not in the repository"),
        ("https://host.example.org/p.yaml", "here:3:13: 'https://host.example.org/p.yaml' is not in the"),
        ("{path: s.yaml, when: 'os == \"x\"'}", "here:3:28: 'when' cannot be used: its condition"),
        ("{git: u, branch: b, paths: [p.yaml]}", "here:3:14: 'git' cannot be used: a git repository may"),
        ("{paths: [p.yaml]}", "here:3:13: an entry of 'include' must be a path; or a mapping with 'path'"),
    ],
)
def test_what_is_not_in_the_repository_is_a_fault(tmp_path: Path, entry: str, fault: str) -> None:
    found = faults(tmp_path, f"{SPECS}  include: [{entry}]\n")
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("packages: {}\n")
    root = tmp_path / "repository"
    (root / "container_definitions/amd64").mkdir(parents=True)
    (root / "container_definitions/amd64/_p.yaml").symlink_to(tmp_path / "outside.yaml")
    assert "is not in the repository" in faults(root, f"{SPECS}  include: [_p.yaml]\n")[0]


def test_an_optional_file_may_be_missing_and_a_checksum_is_meant(tmp_path: Path) -> None:
    content = "packages: {}\n"
    right = hashlib.sha256(content.encode()).hexdigest()
    more = {"container_definitions/_p.yaml": content}
    optional = f"{SPECS}  include: [{{path: x.yaml, optional: true}}, {{path: ../_p.yaml, sha256: %s}}]\n"
    assert faults(tmp_path, optional % right, **more) == []
    found = faults(tmp_path, optional % ("f" * 64), **more)
    assert [one.split("; ")[0].partition(": ")[2] for one in found] == [f"the file's sha256 is {right}"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("pakages: {}\n", "1:1: unknown key 'pakages'; did you mean 'packages'?"),
        ("spack:\n  packages: {}\n", "1:1: an included file has its sections at the top; remove the line"),
        ("- a\n", "1:1: the file must be a mapping"),
        ("a: [\n", "2:1: "),
        ("specs: [x]\n", "1:1: unknown key 'specs'"),
        ("packages: {}\ndevelop: {x: {spec: x@=1}}\n", "2:1: 'develop' cannot be used"),
        ("view:\n  x: {root: /usr/local}\n", "2:13: the view's root /usr/local is a folder that exists"),
        ("concretization: together\n", "1:1: 'concretization' is a section of Spack 0.18"),
        ("mirrors: {source-mirror: x}\n", "1:11: the mirror 'source-mirror' is the site's"),
        ("packages: {cmake: {version: [3.30]}}\n", "1:30: 3.30 is the number 3.3 in YAML; put it in quotes"),
        ("packages:\n  all: {require: ['%gcc hdf5@']}\n", "2:29: Spack 1.1 refuses '%gcc hdf5@'"),
        ("include: [shared.yaml]\n", "1:11: container_definitions/_shared/shared.yaml is included by itself"),
        ("include: [other.yaml]\n", "1:11: there is no container_definitions/_shared/other.yaml"),
    ],
)
def test_faults_of_an_included_file_are_told_there(tmp_path: Path, content: str, fault: str) -> None:
    path = "container_definitions/_shared/shared.yaml"
    found = faults(tmp_path, f"{SPECS}  include: [../_shared/shared.yaml]\n", **{path: content})
    assert found
    assert found[0].startswith(f"{path}:{fault}")


def test_what_several_include_is_told_once(tmp_path: Path) -> None:
    definition = f"{SPECS}  include: [../_shared.yaml]\n"
    more = {
        "container_definitions/amd64/other.yaml": definition,
        "container_definitions/_shared.yaml": "upstreams: {a: {}}\n",
    }
    assert len(faults(tmp_path, definition, **more)) == 1


def test_what_nothing_names_is_still_a_fault(tmp_path: Path) -> None:
    more = {
        f"{FOLDER}x/spack.yaml": f"{SPECS}  include: [packages.yaml, more/config.yaml]\n",
        f"{FOLDER}x/packages.yaml": "packages: {}\n",
        f"{FOLDER}x/more/config.yaml": "config: {}\n",
        f"{FOLDER}x/more/left.yaml": "config: {}\n",
        f"{FOLDER}x/other.yaml": "config: {}\n",
    }
    found = [one.split(";")[0].removeprefix(f"{FOLDER}x/") for one in faults(tmp_path, SPECS, **more)]
    assert found == [
        "more/left.yaml:1:1: no definition uses this file",
        "other.yaml:1:1: the definition in this folder does not use it",
    ]


# Recipes


@pytest.mark.parametrize(
    ("line", "repos"),
    [("1.1", "repos: {own: ./recipes}"), ("1.1", "repos: [./recipes]"), ("0.23", "repos: [$env/recipes]")],
)
def test_recipes_beside_a_definition_are_found_in_every_place(tmp_path: Path, line: str, repos: str) -> None:
    here = {f"{FOLDER}/recipes/{name}": content for name, content in RECIPES.items()}
    found = merged(written(tmp_path, {f"{FOLDER}/spack.yaml": f"{SPECS}  {repos}\n", **here}, line=line))
    kept = values(repos)["repos"]
    place = f"$CI_PROJECT_DIR/{FOLDER}/recipes"
    assert found["repos"] == ({"own": place} if isinstance(kept, dict) else [place])

    environment = concrete({**found, "config": {"install_tree": {"root": "/opt/software"}}})
    assert environment.recipes == (f"{FOLDER}/recipes",)
    shipped = environment.shipped["spack"]["repos"]
    place = f"/opt/spack-environment/recipes/{FOLDER}/recipes"
    assert shipped == ({"own": place} if isinstance(kept, dict) else [place])


def test_recipes_of_an_included_file_are_seen_from_there(tmp_path: Path) -> None:
    more = {f"container_definitions/_site/recipes/{name}": content for name, content in RECIPES.items()}
    more["container_definitions/_site/repos.yaml"] = "repos: {own: recipes}\n"
    found = merged(written(tmp_path, {DEFINITION: f"{SPECS}  include: [../_site/repos.yaml]\n", **more}))
    assert found["repos"] == {"own": "$CI_PROJECT_DIR/container_definitions/_site/recipes"}


@pytest.mark.parametrize(
    ("repos", "message"),
    [
        ("{own: ../../../elsewhere}", "is not in the repository"),
        ("{builtin: {commit: abc}}", "nothing says which git repository this is"),
        ("{own: ~/recipes}", "is not in the repository"),
        ("{own: recipes}", "container_definitions/amd64/recipes is no package repository; it has no repo.yaml"),
        ("{own: 'https://git.example.org/recipes.git'}", "is no path of a package repository; write a mapping"),
        ("{own: {git: 'https://git.example.org/recipes.git', branch: main}}", "may change while packages are built"),
        ("{own: {git: 'https://git.example.org/recipes.git'}}", "pin it with 'commit:' or 'tag:'"),
    ],
)
def test_recipes_that_are_not_everywhere_are_a_fault(tmp_path: Path, repos: str, message: str) -> None:
    found = faults(tmp_path, f"{SPECS}  repos: {repos}\n")
    assert len(found) == 1
    assert found[0].startswith("here:3:")
    assert message in found[0]


@pytest.mark.parametrize(
    "repos",
    [
        "{own: {git: 'https://git.example.org/recipes.git', commit: abc}}",
        "[$spack/var/spack/repos/builtin]",
        "{own: /opt/recipes}",
    ],
)
def test_recipes_that_every_place_gets_the_same_way(tmp_path: Path, repos: str) -> None:
    assert faults(tmp_path, f"{SPECS}  repos: {repos}\n") == []
