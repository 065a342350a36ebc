"""What is written here was read by Spack 1.1, 0.23 and 0.21 (`spack -C FOLDER config get`)."""

from __future__ import annotations

import pytest

from foundation.spack.releases import SUPPORTED, SpackLine
from job_creator.mirrors.configuration.scope import (
    Holdings,
    admin_instructions,
    as_mapping,
    holdings_of,
    instructions,
    scope,
    warnings,
)

NEWEST = SpackLine(1, 1)


@pytest.mark.parametrize("line", SUPPORTED)
def test_every_line_has_one_mirror_and_none_besides(line: SpackLine) -> None:
    (mirror,) = scope("file:///m", line, Holdings())["mirrors.yaml"]["mirrors:"].values()
    assert mirror["url"] == "file:///m"
    assert ("signed" in mirror) == (line >= (0, 22))
    assert (mirror["source"], mirror["binary"]) == (True, True)


def test_bootstrap_stays_enabled_because_gpg_needs_it() -> None:
    section = scope("s3://bucket/m", NEWEST, Holdings())["bootstrap.yaml"]["bootstrap"]
    assert section == {"enable": True, "sources:": [], "trusted:": {}}


def test_bootstrap_packages_of_the_mirror_are_used_and_trusted() -> None:
    holdings = Holdings(has_bootstrap_sources=True, has_bootstrap_binaries=True)
    section = scope("file:///m", NEWEST, holdings)["bootstrap.yaml"]["bootstrap"]
    assert [one["metadata"] for one in section["sources:"]] == [
        "/m/bootstrap/metadata/binaries",
        "/m/bootstrap/metadata/sources",
    ]
    assert set(section["trusted:"]) == {one["name"] for one in section["sources:"]}
    assert scope("https://x/m", NEWEST, holdings)["bootstrap.yaml"]["bootstrap"]["sources:"] == []


def test_recipes_are_named_where_they_are_apart_and_git_can_read_them() -> None:
    holdings = Holdings(has_packages=True, packages_commit="c" * 40)
    files = scope("file:///m", NEWEST, holdings)
    assert files["repos.yaml"]["repos"]["builtin"] == {"git": "file:///m/recipes/packages.git", "commit": "c" * 40}
    assert "repos.yaml" not in scope("file:///m", SpackLine(0, 23), holdings)
    for url in ("s3://bucket/m", "https://host/m", "oci://host/m"):
        assert "repos.yaml" not in scope(url, NEWEST, holdings)
    assert "repos.yaml" not in scope("file:///m", NEWEST, Holdings())


def test_other_mirrors_may_stay() -> None:
    found = as_mapping(scope("file:///m", NEWEST, Holdings(), "http://localhost:1", only_this=False))
    assert found["mirrors"]["site"]["endpoint_url"] == "http://localhost:1"
    assert "sources" in found["bootstrap"]


def test_holdings_are_told_by_keys() -> None:
    assert holdings_of({"_source-cache/"}) == Holdings(has_binaries=False)
    assert holdings_of({"v3/layout.json", "recipes/packages.git/HEAD"}, packages_commit="c") == Holdings(
        has_sources=False, has_packages=True, packages_commit="c"
    )
    assert holdings_of({"build_cache/index.json"}).has_binaries
    assert holdings_of({"bootstrap/metadata/sources/metadata.yaml"}).has_bootstrap_sources


def test_users_trust_a_named_key_and_never_build_without_a_word() -> None:
    trust, install = instructions("file:///m", "/scope", Holdings())
    assert "--fingerprint" in trust
    assert install == "spack -C /scope install --use-buildcache=only SPEC"
    assert instructions("file:///m", "/scope", Holdings(has_binaries=False)) == ("spack -C /scope install SPEC",)
    assert len(instructions("file:///m", "/scope", Holdings(is_signed=False))) == 1


def test_git_has_to_be_allowed_to_read_what_another_user_owns() -> None:
    (command,) = admin_instructions("file:///m", Holdings(has_packages=True))
    assert command.endswith("safe.directory /m/recipes/packages.git")
    assert admin_instructions("https://x/m", Holdings(has_packages=True)) == ()
    assert admin_instructions("file:///m", Holdings()) == ()


@pytest.mark.parametrize(
    ("url", "count"),
    [("file:///m", 0), ("s3://m/m", 0), ("https://x/m", 1), ("oci://x/m", 1), ("oci+http://x/m", 2)],
)
def test_whoever_runs_a_mirror_is_told_what_its_host_cannot_do(url: str, count: int) -> None:
    assert len(warnings(url, Holdings(has_packages=True))) == count
    assert warnings("https://x/m", Holdings()) == ()
