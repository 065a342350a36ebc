"""What takes the space: groups, the picture, licenses, and the command on mirrors and install trees."""

from __future__ import annotations

import csv
import json
import time
import xml.etree.ElementTree as ElementTree  # of pages that we made ourselves
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode
from foundation.spack.grammar.licenses import NamedLicense, licenses_in
from foundation.spack.specs import Spec
from foundation.stores.folder import FileSystemStore
from spackitor.__main__ import main
from spackitor.inventory.inventory import Inventory
from spackitor.sizes.groups import SHARED, SizedSpec, SizeGroup, size_groups, sized_specs
from spackitor.sizes.page import page
from spackitor.sizes.treemap import Rectangle, squarified
from spackitor.survey.survey import survey
from tests.unit.spackitor.mirrors import LAYOUTS, LayoutName, Made, MadeMirror, dag_hash, node_of

SPECS = (
    Made("app", ["lib", "base"], size=300),
    Made("tool", ["base"], size=200),
    Made("lib", size=100, version="2.0"),
    Made("base", size=50),
    Made("gone", is_cached=False),
)
RECIPE = """
class App(Package):
    license("MIT", when="@:0.9")
    with when("@1:"):
        license("Apache-2.0 OR MIT", checked_by="somebody")
"""


def sizes(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["-q", "sizes", *map(str, arguments)])


@pytest.fixture(name="mirror", params=LAYOUTS)
def mirror_fixture(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    layout: LayoutName = request.param
    return MadeMirror(tmp_path / "mirror", layout, SPECS, now=time.time()).root


def recipes(folder: Path, **texts: str) -> Path:
    """A package repository."""
    for name, text in texts.items():
        (folder / "packages" / name).mkdir(parents=True)
        (folder / "packages" / name / "package.py").write_text(text)
    (folder / "repo.yaml").write_text("repo: {namespace: builtin}\n")
    return folder


def install_tree(folder: Path) -> Path:
    """A tree in which two specs are, one with a link and a file of two names, and of which one prefix is gone."""
    installs = {}
    for made in SPECS[:3]:
        prefix = folder / "linux" / made.name
        installs[dag_hash(made.name)] = {"spec": node_of(made, 5), "path": str(prefix), "installed": True}
    for name, size in {"app": 1000, "tool": 500}.items():
        (folder / "linux" / name / "bin").mkdir(parents=True)
        (folder / "linux" / name / "bin" / "file").write_bytes(bytes(size))
        (folder / "linux" / name / "again").hardlink_to(folder / "linux" / name / "bin" / "file")
    (folder / ".spack-db").mkdir()
    (folder / ".spack-db" / "index.json").write_text(json.dumps({"database": {"version": "8", "installs": installs}}))
    return folder


@pytest.mark.parametrize("by", ["name", "version", "target", "root", "license"])
def test_nothing_is_lost_however_it_is_grouped(mirror: Path, by: str) -> None:
    inventory: Inventory = survey(FileSystemStore(mirror)).inventory
    groups = size_groups(sized_specs(inventory), by, lambda spec: spec.name[0])
    assert sum(group.specs for group in groups) == len(inventory.usable) == 4
    assert sum(group.size for group in groups) == inventory.size(inventory.usable)
    assert [group.size for group in groups] == sorted((group.size for group in groups), reverse=True)


def test_roots_have_what_they_alone_need(mirror: Path) -> None:
    found = json.loads(sizes(mirror, "--by", "root", "--json").stdout)
    specs = {group["name"].split("/")[0]: group["specs"] for group in found["groups"]}
    assert specs == {"app@1.0": 2, "tool@1.0": 1, SHARED: 1}
    assert found["specs"] == 4


@given(st.lists(st.sets(st.integers(0, 7), max_size=4), min_size=1, max_size=8))
def test_roots_are_found_as_by_trying_all_ways(needs: list[set[int]]) -> None:
    edges = {n: {one for one in needs[n] if one < n} for n in range(len(needs))}

    def reached(n: int) -> set[int]:
        return {n}.union(*(reached(one) for one in edges[n]))

    specs = [SizedSpec(Spec(str(n), f"p{n}", "1", "", "", False, tuple(map(str, edges[n])), ()), {n: 1}) for n in edges]
    roots = [n for n in edges if not any(n in edges[one] for one in edges)]
    owners = {n: [root for root in roots if n in reached(root)] for n in edges}
    expected = {str(specs[root].spec): sum(owners[n] == [root] for n in edges) for root in roots}
    shared = sum(len(found) > 1 for found in owners.values())
    assert {group.name: group.specs for group in size_groups(specs, "root", str)} == expected | (
        {SHARED: shared} if shared else {}
    )


def test_for_programs(mirror: Path) -> None:
    rows = list(csv.reader(sizes(mirror, "--csv", "--by", "version").stdout.splitlines()))
    assert rows[0] == ["version", "specs", "bytes"]
    assert {row[0] for row in rows[1:]} == {"app@1.0", "tool@1.0", "lib@2.0", "base@1.0"}
    text = sizes(mirror)
    assert (text.exit_code, "4 specs" in text.stdout) == (ExitCode.OK, True)
    assert sizes(mirror, "--csv", "--json").exit_code == ExitCode.USAGE


def test_licenses_come_from_recipes_alone(mirror: Path, tmp_path: Path) -> None:
    repository = recipes(
        tmp_path / "recipes",
        app=RECIPE,
        lib='class Lib(Package):\n    license("MIT")\n    license("Zlib")\n',
        tool="import os; os.remove('x')\nclass Tool(Package):\n    license(SOMETHING)\n",
    )
    found = json.loads(sizes(mirror, "--by", "license", "--recipes", repository, "--json").stdout)
    assert {group["name"]: group["specs"] for group in found["groups"]} == {
        "Apache-2.0 OR MIT": 1,
        "MIT AND Zlib": 1,
        "unknown": 2,
    }
    refused = sizes(mirror, "--by", "license")
    assert (refused.exit_code, "--recipes" in refused.output) == (ExitCode.USAGE, True)
    assert sizes(mirror, "--by", "license", "--recipes", tmp_path / "mirror").exit_code == ExitCode.INVALID_INPUT


@pytest.mark.parametrize("text", ["class A(", "\0", "license('MIT')", "class A:\n    license()\n"])
def test_what_is_no_recipe_names_no_license(text: str) -> None:
    assert licenses_in(text) == ()
    assert licenses_in(RECIPE) == (NamedLicense("MIT", "@:0.9"), NamedLicense("Apache-2.0 OR MIT", "@1:"))


def test_install_trees(tmp_path: Path) -> None:
    tree = install_tree(tmp_path / "tree")
    found = sizes(tree, "--json")
    assert found.exit_code == ExitCode.OK, found.output
    value = json.loads(found.stdout)
    assert {group["name"]: group["bytes"] for group in value["groups"]} == {"app": 1000, "tool": 500, "lib": 0}
    assert json.loads(sizes(tree.as_uri(), "--json").stdout) == value
    (tree / ".spack-db" / "index.json").write_text("{}")
    assert sizes(tree).exit_code == ExitCode.DAMAGED


def test_places_that_have_nothing(tmp_path: Path) -> None:
    assert sizes(tmp_path).exit_code == ExitCode.NOT_THERE
    done = sizes(tmp_path, "--may-be-empty", "--html", tmp_path / "page" / "sizes.html")
    assert done.exit_code == ExitCode.OK, done.output
    assert "<svg" in (tmp_path / "page" / "sizes.html").read_text()


def test_the_page_has_everything_in_it_and_nothing_from_elsewhere(mirror: Path, tmp_path: Path) -> None:
    target = tmp_path / "sizes.html"
    assert sizes(mirror, "--html", target).stdout == ""
    text = target.read_text()
    assert not any(word in text for word in ("<script", "http", "src=", "url(", "@import"))
    begin, end = text.index("<svg"), text.index("</main>")
    tree = ElementTree.fromstring(f"<all>{text[begin:end].replace('</figure>', '')}</all>")  # noqa: S314
    rows = [[cell.text for cell in row] for row in tree.iter("tr")][1:]
    assert [row[0] for row in rows] == ["app", "tool", "lib", "base"]
    assert len(list(tree.iter("rect"))) == 4


@given(st.lists(st.tuples(st.text(max_size=40), st.integers(0, 1 << 50)), max_size=100))
def test_pages_hold_any_name(found: list[tuple[str, int]]) -> None:
    groups = [SizeGroup(name, 1, size) for name, size in sorted(found, key=lambda one: -one[1])]
    text = page("<&>\0", "name", groups)
    picture = ElementTree.fromstring(text[text.index("<svg") : text.index("</figure>")])  # noqa: S314
    areas = [float(one.get("width", "")) * float(one.get("height", "")) for one in picture.iter("rect")]
    assert len(areas) <= 61
    assert not areas or abs(sum(areas) - 1000 * 720) < 1000


@given(st.lists(st.floats(1, 1e12), min_size=1, max_size=60), st.floats(1, 2000), st.floats(1, 2000))
def test_areas_are_as_the_sizes_and_fill_the_frame(values: list[float], width: float, height: float) -> None:
    frame = Rectangle(0, 0, width, height)
    ordered = sorted(values, reverse=True)
    found = squarified(ordered, frame)
    for size, box in zip(ordered, found, strict=True):
        assert box.width * box.height == pytest.approx(size / sum(values) * width * height, rel=1e-6, abs=1e-6)
        assert min(box.x, box.y) >= 0
        assert max((box.x + box.width) / width, (box.y + box.height) / height) <= 1 + 1e-6
    for index, one in enumerate(found):
        for other in found[:index]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert across <= 1e-6 * width or down <= 1e-6 * height


def test_equal_sizes_are_squares() -> None:
    assert all(box.width == pytest.approx(box.height) for box in squarified([1] * 16, Rectangle(0, 0, 8, 8)))
