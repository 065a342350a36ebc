"""Mirrors of definitions, from the check to the container."""

from __future__ import annotations

from pathlib import Path

import pytest

from job_creator.environments.mirror_names import DESTINATION, SITE_MIRRORS
from tests.containers import container
from tests.locks import ENVIRONMENT, concrete
from tests.unit.checks.environments import DEFINITION, fault, faults, merged, values, written

SPECS = "spack:\n  specs: [bzip2]\n"


@pytest.mark.parametrize("name", sorted(SITE_MIRRORS))
@pytest.mark.parametrize("key", ["mirrors", "mirrors:"])
def test_a_mirror_of_the_site_keeps_its_name(tmp_path: Path, name: str, key: str) -> None:
    found = fault(tmp_path, f"{SPECS}  {key}: {{{name}: https://cache.example.org}}\n")
    assert found == f"here:3:{13 + len(key) - 7}: the mirror {name!r} is the site's; give yours another name"


@pytest.mark.parametrize(
    "mirror",
    [
        "./cache",
        "{url: ../cache}",
        "file://$CI_PROJECT_DIR/cache",
        "{fetch: ~/cache, push: https://cache.example.org}",
        "{fetch: {url: $HOME/cache}}",
    ],
)
def test_a_mirror_on_one_machine_is_a_fault(tmp_path: Path, mirror: str) -> None:
    found = fault(tmp_path, f"{SPECS}  mirrors: {{own: {mirror}}}\n")
    assert "is not there where images are built; name one" in found


@pytest.mark.parametrize("key", ["mirrors", "mirrors:"])
@pytest.mark.parametrize("mirror", ["https://cache.example.org/develop", "{url: 's3://bucket/x', signed: false}"])
def test_the_destination_stays_beside_further_mirrors(tmp_path: Path, key: str, mirror: str) -> None:
    """Spack demands it: `spack ci generate` ends without a mirror of this name."""
    section = merged(written(tmp_path, {DEFINITION: f"{SPECS}  {key}: {{community: {mirror}}}\n"}))
    found = section[key]
    assert list(found) == [DESTINATION, "community"]
    assert found["community"] == values(mirror)


def test_a_container_reads_every_mirror_that_its_packages_may_be_found_on() -> None:
    """`spack ci generate` builds nothing that is found on any mirror of the environment."""
    own = {
        "url": "https://cache.example.org/develop",
        "access_pair": {"id_variable": "COMMUNITY_ID", "secret_variable": "COMMUNITY_SECRET"},
        "fetch": {"url": "https://cache.example.org/develop", "access_token_variable": "COMMUNITY_TOKEN"},
    }
    others = {key: value for key, value in ENVIRONMENT.items() if key != "mirrors"}
    mirrors = {**ENVIRONMENT["mirrors"], "community": own}
    made = container(environment=concrete({**others, "mirrors:": mirrors}))
    assert values(made.files["mirrors.yaml"].decode())["mirrors:"]["community"] == own
    assert {"COMMUNITY_ID", "COMMUNITY_SECRET", "COMMUNITY_TOKEN"} <= set(made.files["secrets"].decode().split())
    assert "--mount=type=secret,id=COMMUNITY_TOKEN" in made.files["Dockerfile"].decode()


def test_mirrors_without_keys_need_no_secrets(tmp_path: Path) -> None:
    assert faults(tmp_path, f"{SPECS}  mirrors: {{own: oci://registry.example.org/cache}}\n") == []
