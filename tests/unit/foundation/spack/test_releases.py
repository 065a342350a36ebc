"""The table of Spack's versions, and that everything which depends on it follows."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from click.testing import CliRunner

from foundation.errors import InvalidInputError
from foundation.spack.lockfile import read_lockfile
from foundation.spack.releases import (
    DATABASE_OF_SPECFILE,
    RELEASES,
    SUPPORTED,
    USUAL,
    Layout,
    Novelty,
    SpackLine,
    databases_of,
    since_of,
)
from foundation.spack.specs import upgraded
from job_creator.__main__ import main
from job_creator.site.spack import Spack
from tests.documentation import DOCS, section, table
from tests.samples import FROZEN_SITE, site


def test_rows_are_in_order_and_formats_only_grow() -> None:
    for older, newer in pairwise(RELEASES):
        assert older.line < newer.line
        assert (older.lockfile, older.specfile, older.database) <= (newer.lockfile, newer.specfile, newer.database)
        assert older.is_built_with <= newer.is_built_with


def test_each_novelty_comes_with_one_line_only() -> None:
    found = [novelty for one in RELEASES for novelty in one.new]
    assert len(set(found)) == len(found)
    assert set(Novelty) <= set(found)


def test_a_novelty_stays() -> None:
    assert [line for line in SUPPORTED if line.has(Novelty.ACCESS_PAIR)] == [one for one in SUPPORTED if one >= (0, 23)]


def test_layouts_share_no_version_of_indexes_but_registries_hold_all() -> None:
    assert {layout: databases_of(layout) for layout in Layout} == {
        Layout.V2: range(6, 8),
        Layout.V3: range(8, 9),
        Layout.OCI: range(6, 9),
    }


def test_a_node_can_be_written_for_every_newer_index() -> None:
    node = {"name": "zlib", "hash": "a" * 32, "dependencies": [], "compiler": {"name": "gcc", "version": "13"}}
    versions = sorted(DATABASE_OF_SPECFILE.values())
    for old in versions:
        for new in [one for one in versions if one >= old]:
            assert upgraded(node, old, new)["hash"] == node["hash"]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: str(release.line))
def test_the_lockfile_of_every_line_is_read(release: object) -> None:
    version = next(one.lockfile for one in RELEASES if one is release)
    text = '{"_meta": {"file-type": "spack-lockfile", "lockfile-version": %d}, "roots": [], "concrete_specs": {}}'
    assert read_lockfile((text % version).encode(), "spack.lock").roots == ()
    with pytest.raises(InvalidInputError, match="lockfile version 99 is not known"):
        read_lockfile((text % 99).encode(), "spack.lock")


# What follows the table


def test_the_usual_line_is_that_of_the_site_that_documentation_shows() -> None:
    assert site((FROZEN_SITE / "spacktainers.yaml").read_text()).spack.line == USUAL


def test_commands_take_the_usual_line_by_default() -> None:
    text = CliRunner().invoke(main, ["mirror", "config", "--help"]).output
    assert re.search(rf"--spack-line.*?\[default: {re.escape(str(USUAL))}\]", text, re.DOTALL)


def test_the_documentation_names_the_oldest_and_the_newest_cache() -> None:
    text = " ".join((DOCS / "cache.md").read_text().split())
    assert f"caches of Spack {RELEASES[0].line} to {RELEASES[-1].line}" in text


def test_the_documentation_of_differences_has_all_lines_and_says_since_when() -> None:
    text = section(DOCS / "definitions.md", "What differs between releases of Spack")
    heading, rows = text.strip().splitlines()[0], {row[0]: row[1:] for row in table(text)}
    together, apart = ([one for one in SUPPORTED if one.recipes_apart is wanted] for wanted in (False, True))
    for lines in (together, apart):
        assert re.search(rf"\| {re.escape(str(lines[0]))} \S {re.escape(str(lines[-1]))} \|", heading)
    assert f"from {since_of(Novelty.ACCESS_PAIR)}" in rows["S3 keys of mirrors"][0]
    assert f"from {since_of(Novelty.SIGNED_MIRRORS)}" in rows["unsigned mirrors"][0]


@pytest.mark.parametrize("line", SUPPORTED, ids=str)
def test_the_site_file_takes_every_supported_line(line: SpackLine) -> None:
    packages = {"packages": {"repository": "https://example.org/p.git", "ref": "main"}} if line.recipes_apart else {}
    for given in ({"ref": f"v{line}.0"}, {"ref": "develop", "version": str(line)}):
        assert Spack.model_validate({**given, **packages}).line == line
