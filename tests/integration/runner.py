"""A runner for generated pipelines: real shells, variables, artifacts and dotenv reports; no containers of its own.

What GitLab does around a script, as its documentation says: variables are expanded, `needs` decide what arrives, a
dotenv report becomes variables of the jobs that need it, a failed job skips those behind it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_creator.engines.gitlab.objects import expand
from tests.integration.registry_server import Registry

SHELL = ("bash", "-eo", "pipefail", "-c")
"""How GitLab Runner starts the script of a job."""


@dataclass(frozen=True)
class Done:
    """A job that ran, or was skipped."""

    name: str
    exit_code: int | None
    log: str

    @property
    def succeeded(self) -> bool:
        """Whether it ran, and ended well."""
        return self.exit_code == 0


def machine(folder: Path, registry: Registry) -> dict[str, str]:
    """The environment of a runner: buildah with its own storage, and what GitLab puts into every job."""
    folder.mkdir()
    storage = f'driver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
    (folder / "storage.conf").write_text(f"[storage]\n{storage}")
    (folder / "registries.conf").write_text("unqualified-search-registries = []\n")
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    assert registry.tokens is not None
    return {
        # The environment that the tests run in has jc, as the images of jobs may have.
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "STORAGE_DRIVER": "vfs",
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "SSL_CERT_FILE": str(registry.certificate),
        "REQUESTS_CA_BUNDLE": str(registry.certificate),
        "NO_PROXY": "*",
        "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        "CI_REGISTRY_USER": registry.tokens.user,
        "CI_REGISTRY_PASSWORD": registry.tokens.password,
        "CI_PROJECT_URL": "https://gitlab.example.org/group/containers",
        "CI_COMMIT_SHA": "d" * 40,
        "CI_JOB_ID": "4711",
    }


def run_script(
    script: list[str] | tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a job's script as the runner's shell does, with nothing to read."""
    return subprocess.run(
        [*SHELL, "\n".join(script)],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_pipeline(document: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> dict[str, Done]:
    """Run all jobs in a checkout, each after those that it needs; other pipelines have left their files there."""
    jobs = expand(document)
    done: dict[str, Done] = {}
    handed_on: dict[str, dict[str, str]] = {}
    while len(done) < len(jobs):
        name = next(name for name, job in jobs.items() if name not in done and set(_needs(job)) <= done.keys())
        job = jobs[name]
        if not all(done[one].succeeded for one in _needs(job)):
            done[name] = Done(name, None, "")
            continue
        arrived = [handed_on.get(one, {}) for one, artifacts in _needs(job).items() if artifacts]
        reports = {key: value for report in arrived for key, value in report.items()}
        # Also those of reports (as people found on GitLab.com: firecow/gitlab-ci-local, issue 1492).
        variables = _expanded(job.get("variables", {}), {**environment, **reports})
        result = run_script(job["script"], folder, {**environment, **variables, **reports})
        done[name] = Done(name, result.returncode, result.stdout)
        report = job.get("artifacts", {}).get("reports", {}).get("dotenv")
        if report and result.returncode == 0:
            handed_on[name] = read_dotenv(folder / report)
            (folder / report).unlink()
    return done


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a dotenv report."""
    return {name: value for name, _, value in (line.partition("=") for line in path.read_text().splitlines())}


def _needs(job: Mapping[str, Any]) -> dict[str, bool]:
    """The jobs of the same pipeline that a job needs, and whether their artifacts arrive."""
    needs = [{"job": need} if isinstance(need, str) else need for need in job.get("needs", [])]
    return {str(need["job"]): bool(need.get("artifacts", True)) for need in needs if "pipeline" not in need}


def _expanded(variables: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables with references to others replaced, as GitLab does before a job starts."""
    return {
        name: re.sub(r"\$(\w+)", lambda match: environment.get(match[1], ""), str(value))
        for name, value in variables.items()
    }
