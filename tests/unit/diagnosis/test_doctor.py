"""`jc doctor` on sites and projects in which one fault is planted at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.gitlab import REPORT_TOKEN_VARIABLE
from job_creator.__main__ import main
from job_creator.diagnosis.diagnoses import Diagnosis, Health
from job_creator.diagnosis.gitlab_project import runner_needs
from job_creator.diagnosis.machine import machine
from job_creator.diagnosis.project_variables import judged, variable_uses
from tests.fakes.gitlab_project import PATH, TOKEN, VALUE, GitLabProject, variable
from tests.samples import SITE, site

PUBLIC_SITE = SITE.replace("max_age_days: 90}", "max_age_days: 90, signed: false}").replace(
    "bucket: cache-arm64,", "bucket: cache-arm64, signed: false,"
)


READER = "reader: {access_key_id_variable: READ_ID, secret_access_key_variable: READ_SECRET}"


@pytest.fixture(name="sources")
def sources_fixture(tmp_path: Path) -> Mapping[str, Path]:
    """Repositories of Spack and of its packages, with a tag each."""
    made = {}
    for name, tag in (("spack", "v1.1.0"), ("packages", "v2025.11.0")):
        made[name] = tmp_path / f"{name}.git"
        git = ["git", "-C", str(made[name]), "-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "init", "--quiet", str(made[name])], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
        subprocess.run([*git, "tag", tag], check=True)
    return made


@pytest.fixture(name="gitlab")
def gitlab_fixture() -> Iterator[GitLabProject]:
    """A project that has all that the site asks for."""
    uses = variable_uses(site(SITE))
    kinds = {True: "file", False: "env_var"}
    variables = [variable(one.name, protected=one.is_protected, variable_type=kinds[one.is_file]) for one in uses]
    variables += [variable("READ_ID"), variable("READ_SECRET")]
    runners = [(frozenset(need.tags), True) for need in runner_needs(site(SITE))]
    with GitLabProject(variables=variables, runners=runners) as found:
        yield found


class Surgery:
    """A folder with a site file, and what is around it."""

    def __init__(self, folder: Path, sources: Mapping[str, Path], gitlab: GitLabProject) -> None:
        self.folder = folder
        self.gitlab = gitlab
        # The site signs, so gpg is needed; whether it is installed is nothing that these tests are about.
        (folder / "bin").mkdir()
        (folder / "bin" / "gpg").write_text("#!/bin/sh\necho gpg 2.4\n")
        (folder / "bin" / "gpg").chmod(0o755)
        (folder / "token").write_text(TOKEN)
        # Without keys to read with, everybody's right to read would be asked for, of servers that are nowhere.
        text = SITE.replace("{bucket: cache-", f"{{{READER}, bucket: cache-")
        text = text.replace("https://git.example.org/spack-packages.git", str(sources["packages"]))
        self.write(text.replace("  ref: v1.1.0", f"  repository: {sources['spack']}\n  ref: v1.1.0"))

    def write(self, text: str) -> None:
        self.text = text
        (self.folder / "spacktainers.yaml").write_text(text)

    def doctor(self, *options: str) -> Result:
        command = ["-C", str(self.folder), "doctor", "--project", PATH, "--api-url", self.gitlab.api_url]
        command += ["--private-token-file", str(self.folder / "token"), *options]
        environment = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        environment["PATH"] = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        result = CliRunner().invoke(main, command, env=environment, catch_exceptions=False)
        assert VALUE not in result.output
        assert TOKEN not in result.output
        return result

    def found(self, *areas: str) -> list[dict[str, Any]]:
        every = json.loads(self.doctor("--json").stdout)
        return [one for one in every if one["area"] in areas and one["health"] != "ok"]


@pytest.fixture(name="surgery")
def surgery_fixture(tmp_path: Path, sources: Mapping[str, Path], gitlab: GitLabProject) -> Surgery:
    folder = tmp_path / "site"
    folder.mkdir()
    # No registry is asked: none is named, and the project's own is not known here.
    made = Surgery(folder, sources, gitlab)
    made.write(made.text.replace("registry: {image: registry.example.org/group/containers}\n", ""))
    return made


AREAS = ("sources", "gitlab", "variables", "runners")


def test_where_nothing_is_wrong_nothing_is_said_to_be(surgery: Surgery) -> None:
    found = surgery.found(*AREAS)
    # What an administrator alone is told remains.
    assert [(one["subject"], one["health"]) for one in found] == [("server", "not checked")]
    result = surgery.doctor()
    assert result.exit_code == ExitCode.OK, result.output
    assert "0 fault" not in result.output
    assert "not checked" in result.output.splitlines()[-1]


def test_a_ref_that_is_not_there(surgery: Surgery) -> None:
    surgery.write(surgery.text.replace("ref: v2025.11.0", "ref: v2025.11.9"))
    (one,) = surgery.found("sources")
    assert (one["subject"], one["health"]) == ("spack: packages", "fault")
    assert "no branch or tag v2025.11.9" in one["said"]
    assert surgery.doctor().exit_code == ExitCode.NOT_READY


def test_a_repository_that_is_not_there(surgery: Surgery, sources: Mapping[str, Path]) -> None:
    surgery.write(surgery.text.replace(str(sources["spack"]), str(sources["spack"]) + "x"))
    (one,) = surgery.found("sources")
    assert (one["subject"], one["health"]) == ("spack", "fault")


def test_a_commit_is_not_said_to_be_there(surgery: Surgery) -> None:
    surgery.write(surgery.text.replace("ref: v2025.11.0", f"ref: {'a' * 40}"))
    (one,) = surgery.found("sources")
    assert one["health"] == "not checked"


@pytest.mark.parametrize(
    ("changes", "subject", "health", "said"),
    [
        ({"scopes": ("read_user",)}, "token", "fault", "may not read the API"),
        ({"expires": (datetime.now(UTC) + timedelta(days=3)).date().isoformat()}, "token", "warning", "expires on"),
        ({"version": "18.4.0"}, "server", "warning", "before GitLab 19.2"),
        ({"protects": False}, "project", "fault", "main is not protected"),
        ({"settings": {"default_branch": None}}, "project", "warning", "no default branch"),
    ],
)
def test_faults_of_token_server_and_project(
    surgery: Surgery, changes: dict[str, Any], subject: str, health: str, said: str
) -> None:
    for name, value in changes.items():
        setattr(surgery.gitlab, name, value)
    found = [one for one in surgery.found("gitlab") if one["health"] == health]
    assert [one["subject"] for one in found] == [subject]
    assert said in found[0]["said"]
    assert found[0]["advice"]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("builds_access_level", "disabled", "CI/CD is switched off"),
        ("container_registry_access_level", "disabled", "container registry is switched off"),
        ("ci_config_path", "other.yml", "come from other.yml"),
        ("ci_pipeline_variables_minimum_override_role", "no_one_allowed", "SPACKTAINERS_ONLY"),
    ],
)
def test_faults_of_the_projects_settings(surgery: Surgery, setting: str, value: str, said: str) -> None:
    surgery.gitlab.settings[setting] = value
    (one,) = [one for one in surgery.found("gitlab") if one["subject"] == "project"]
    assert said in one["said"]


def test_what_the_token_may_not_ask_is_not_checked(surgery: Surgery) -> None:
    surgery.gitlab.refused = "runners|variables"
    found = surgery.found("variables", "runners")
    assert {one["health"] for one in found} == {"not checked"}
    assert {one["area"] for one in found} == {"variables", "runners"}
    assert all("Maintainer" in one["advice"] for one in found)


def test_a_wrong_token_and_a_wrong_project(surgery: Surgery) -> None:
    (surgery.folder / "token").write_text("wrong")
    assert {one["health"] for one in surgery.found("gitlab")} == {"not checked"}
    (surgery.folder / "token").write_text(TOKEN)
    result = surgery.doctor("--project", "no/such", "--json")
    assert result.exit_code == ExitCode.NOT_READY
    assert "projects/no%2Fsuch: HTTP 404" in result.stdout


def test_runners_that_are_not_there_or_not_running(surgery: Surgery) -> None:
    first, *others = surgery.gitlab.runners
    surgery.gitlab.runners = [(first[0], False), *others[1:]]
    found = surgery.found("runners")
    assert {one["health"] for one in found} == {"fault"}
    assert ["offline" in one["said"] for one in found] == [True, False]


def test_more_variables_than_a_page_has(surgery: Surgery) -> None:
    surgery.gitlab.variables = [variable(f"OTHER_{number}") for number in range(250)] + surgery.gitlab.variables
    assert not surgery.found("variables")


KEY = "AWS_CACHE_ACCESS_KEY_ID"


@pytest.mark.parametrize(
    ("name", "changes", "health", "said"),
    [
        (KEY, {"protected": False}, Health.FAULT, "can read it"),
        ("AWS_BRANCHES_ACCESS_KEY_ID", {"protected": True}, Health.FAULT, "branches and merge requests need it"),
        (KEY, {"variable_type": "file"}, Health.FAULT, "wrong type"),
        ("SPACK_DEPLOYMENT_KEY_PRIVATE", {"variable_type": "env_var"}, Health.FAULT, "wrong type"),
        (KEY, {"environment_scope": "production"}, Health.FAULT, "production"),
        (KEY, {"masked": False}, Health.WARNING, "not masked"),
        (REPORT_TOKEN_VARIABLE, {"masked": False}, Health.WARNING, "not masked"),
        (REPORT_TOKEN_VARIABLE, {"protected": True}, Health.WARNING, "merge requests of other branches get none"),
        (REPORT_TOKEN_VARIABLE, {"variable_type": "file"}, Health.FAULT, "wrong type"),
        (REPORT_TOKEN_VARIABLE, {"environment_scope": "production"}, Health.FAULT, "production"),
    ],
)
def test_flags_of_variables(name: str, changes: dict[str, Any], health: Health, said: str) -> None:
    uses = variable_uses(site(SITE))
    kinds = {True: "file", False: "env_var"}
    there = [variable(one.name, protected=one.is_protected, variable_type=kinds[one.is_file]) for one in uses]
    assert {one.health for one in judged(uses, there)} == {Health.OK}
    wrong = [one | changes if one["key"] == name else one for one in there]
    (found,) = (one for one in judged(uses, wrong) if one.health is not Health.OK)
    assert (found.subject, found.health) == (name, health)
    assert said in found.said
    absent = [one for one in there if one["key"] != name]
    (found,) = (one for one in judged(uses, absent) if one.subject == name)
    assert found.health is (Health.OK if name == REPORT_TOKEN_VARIABLE else Health.WARNING)


def test_readers_of_branches_and_tokens_of_reports_are_variables() -> None:
    own = "reader: {access_key_id_variable: OF_BRANCHES_ID, secret_access_key_variable: OF_BRANCHES_SECRET}"
    text = SITE.replace(
        "{bucket: cache-amd64,", f"{{branches: {{bucket: cache-of-branches, {own}}}, bucket: cache-amd64,"
    )
    assert text != SITE
    uses = {one.name: one for one in variable_uses(site(text))}
    assert not uses["OF_BRANCHES_ID"].is_protected
    assert uses[REPORT_TOKEN_VARIABLE].is_secret
    without = {one.name for one in variable_uses(site(f"gitlab: {{reports: false}}\n{SITE}"))}
    assert REPORT_TOKEN_VARIABLE not in without
    named = {one.name for one in variable_uses(site(f"gitlab: {{report_token_variable: NOTES}}\n{SITE}"))}
    assert "NOTES" in named - without


def test_what_gitlab_makes_itself_and_an_unsigned_cache_need_no_variable() -> None:
    every = {one.name for one in variable_uses(site(SITE))}
    assert {"SPACK_DEPLOYMENT_KEY_PRIVATE", "AWS_INFRASTRUCTURE_ACCESS_KEY_ID"} <= every
    assert not [name for name in every if name.startswith("CI_")]
    unsigned = {one.name for one in variable_uses(site(PUBLIC_SITE))}
    assert every - unsigned == {"SPACK_DEPLOYMENT_KEY_PRIVATE", "SPACK_DEPLOYMENT_KEY_PUBLIC"}


def test_without_a_project_only_that_is_said(surgery: Surgery) -> None:
    result = CliRunner().invoke(main, ["-C", str(surgery.folder), "doctor", "--json"], catch_exceptions=False)
    (one,) = [one for one in json.loads(result.stdout) if one["area"] == "gitlab"]
    assert one["health"] == "not checked"
    assert one["advice"] == "give --api-url, --project, GITLAB_API_TOKEN or --private-token-file"
    assert not surgery.gitlab.server.requests


def test_without_a_site_the_machine_is_looked_at(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["-C", str(tmp_path), "doctor"], catch_exceptions=False)
    assert result.exit_code == ExitCode.OK
    assert "jc init" in result.output


def test_quiet_says_faults_alone(surgery: Surgery) -> None:
    assert surgery.doctor("-q").output == ""
    surgery.gitlab.protects = False
    printed = surgery.doctor("-q").output
    assert "is not protected" in printed
    assert "not checked" not in printed


def by_subject(environment: Mapping[str, str]) -> Mapping[str, Diagnosis]:
    return {one.subject: one for one in machine(environment, signs=False)}


def test_certificates_and_proxies_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "good.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n" * 2)
    (tmp_path / "bad.pem").write_text("nothing")
    found = by_subject({"REQUESTS_CA_BUNDLE": str(tmp_path / "good.pem"), "AWS_CA_BUNDLE": str(tmp_path / "bad.pem")})
    assert (found["REQUESTS_CA_BUNDLE"].health, found["AWS_CA_BUNDLE"].health) == (Health.OK, Health.FAULT)
    assert "2 certificates" in found["REQUESTS_CA_BUNDLE"].said
    assert by_subject({"SSL_CERT_FILE": str(tmp_path / "none")})["SSL_CERT_FILE"].health is Health.FAULT
    proxy = "http://user:secret-of-the-proxy@proxy.example.org:3128"
    found = by_subject({"http_proxy": proxy})
    assert "secret-of-the-proxy" not in found["http_proxy"].said
    assert found["https_proxy"].health is Health.WARNING
    assert "https_proxy" in by_subject({"http_proxy": proxy, "HTTPS_PROXY": proxy})
    assert by_subject({"http_proxy": proxy, "HTTPS_PROXY": proxy})["https_proxy"].health is Health.OK


def test_a_program_that_is_always_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_subject({})
    assert found["git"].health is Health.FAULT
    assert found["spack"].health is Health.NOT_CHECKED
    signing = {one.subject: one for one in machine({}, signs=True)}
    assert signing["gpg"] == replace(signing["gpg"], health=Health.FAULT)
