"""Which variables recipes and builds get."""

from __future__ import annotations

import pytest

from foundation.spack.releases import SUPPORTED, SpackLine
from foundation.yaml_io import parse
from job_creator.environments.foreign_code import apart_options
from job_creator.environments.setting import Setting
from job_creator.scripts.templates import apart
from tests.samples import SITE, site
from tests.spack_ci import RECORDINGS

READER = "reader: {access_key_id_variable: READ_ID, secret_access_key_variable: READ_SECRET}"
TEXT = SITE.replace("build_cache: {", "build_cache: {" + f"{READER}, ")
RUNS = ("default", "branch", "merge request")
ALWAYS = {run: ["READ_ID", "READ_SECRET"] for run in RUNS}


def setting(text: str, run: str, line: SpackLine = SUPPORTED[-1]) -> Setting:
    return Setting(
        architecture=site(text).architectures["amd64"],
        line=line,
        builder="builder",
        is_default_branch=run == "default",
        is_merge_request=run == "merge request",
        branch={"default": "main", "branch": "feature"}.get(run, ""),
        signing_key_variable="SPACK_DEPLOYMENT_KEY_PRIVATE",
        public_key_variable="SPACK_DEPLOYMENT_KEY_PUBLIC",
    )


def options(found: str) -> dict[str, list[str]]:
    words = found.split()
    return {name: values.split(",") for name, values in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize("line", SUPPORTED)
@pytest.mark.parametrize("run", RUNS)
def test_foreign_code_gets_no_key_but_those_that_read(line: SpackLine, run: str) -> None:
    where = setting(TEXT, run, line)
    found = options(apart_options(where, [{}]))
    assert "PATH" in found["--see"]
    assert not [name for name in found["--see"] if "KEY" in name]
    writer = where.architecture.build_cache.writer
    assert not {name for one in found["--read"] for name in one.split("=")} & set(writer.names)
    sources = {one.rpartition("=")[2] for one in found["--read"]}
    if run == "default":
        assert sources == {"READ_ID", "READ_SECRET"}
    # Where mirrors cannot name variables, the ones of Spack get the values.
    assert ("AWS_ACCESS_KEY_ID" in {one.partition("=")[0] for one in found["--read"]}) == (
        not line.credentials_by_variable
    )


@pytest.mark.parametrize("line", SUPPORTED)
@pytest.mark.parametrize("run", RUNS)
def test_without_a_reader_foreign_code_reads_without_keys(line: SpackLine, run: str) -> None:
    assert "--read" not in options(apart_options(setting(SITE, run, line), [{}]))
    mirror = "source_mirror: {bucket: one, access_key_id_variable: X_ID, secret_access_key_variable: X_KEY}"
    text = SITE.replace("    target: x86_64_v3\n", f"    target: x86_64_v3\n    {mirror}\n")
    assert "--read" not in options(apart_options(setting(text, run, line), [{}]))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    ("keys", "given"),
    [
        ("", {}),
        ("access_key_id_variable: X_ID, secret_access_key_variable: X_KEY", {"default": ["X_ID", "X_KEY"]}),
        (f"access_key_id_variable: X_ID, {READER}", ALWAYS),
        (READER, ALWAYS),
    ],
)
def test_a_mirror_of_packages_is_read_with_its_own_keys_and_never_with_those_of_the_build_cache(
    run: str, keys: str, given: dict[str, list[str]]
) -> None:
    mirror = f"binary_mirror: {{bucket: one, {keys}}}"
    text = SITE.replace("    target: x86_64_v3\n", f"    target: x86_64_v3\n    {mirror}\n")
    assert options(apart_options(setting(text, run), [{}])).get("--read", []) == given.get(run, [])


def test_what_site_and_definition_set_is_seen_and_what_their_mirrors_name_is_read() -> None:
    text = SITE.replace(
        "    target: x86_64_v3\n", "    target: x86_64_v3\n    packages: {'py-*': {variables: {OF_A_PACKAGE: x}}}\n"
    )
    jobs = [{"any-job": {"variables": {"OF_JOBS": 1}}}, {"submapping": [{"build-job": {"variables+": {"OF_ONE": 2}}}]}]
    pair = {"id_variable": "ITS_ID", "secret_variable": "ITS_SECRET"}
    definition = {"ci": {"pipeline-gen": jobs}, "mirrors": {"own": {"url": "s3://x", "access_pair": pair}}}
    found = options(apart_options(setting(text, "default"), [{}, definition]))
    assert {"OF_A_PACKAGE", "OF_JOBS", "OF_ONE"} <= set(found["--see"])
    assert {"ITS_ID", "ITS_SECRET"} <= set(found["--read"])


def test_nothing_is_taken_away_that_spack_itself_puts_into_jobs() -> None:
    """Spack 0.22 ends where one of its own variables is missing."""
    written = {
        name
        for file in RECORDINGS.glob("*/*/pipeline.yml")
        for name in parse(file.read_bytes(), str(file)).value.get("variables", {})
    }
    assert "SPACK_LOCAL_MIRROR_DIR" in written
    # Whether it is to sign is nothing for whoever has no key.
    assert written - set(apart.ABOUT_SPACK) == {"SPACK_REQUIRE_SIGNING"}
