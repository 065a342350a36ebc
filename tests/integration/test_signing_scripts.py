"""The lines of package jobs that bring keys: a real gpg, and a Spack that only knows how to call it, or a real one.

Where the site signs, a job without exactly one key ends before anything is built; where signatures count, one that
trusts nobody does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundation.openpgp.ring import ring_folder
from job_creator.scripts.rendering import render
from tests.integration.components import require
from tests.integration.real_spack import ROOTS, alone
from tests.integration.signing_keys import key_pair

SETUP_ENV = """\
spack() {
  case "$1 $2 $3" in
    "gpg trust "*) gpg --batch --quiet --import "$3" ;;
    "gpg list --trusted") gpg --list-public-keys ;;
    "gpg list --signing") gpg --list-secret-keys ;;
    *) return 2 ;;
  esac
}
"""
PRIVATE, PUBLIC = "DEPLOYMENT_PRIVATE", "DEPLOYMENT_PUBLIC"
SETUP = render("spack_setup.sh.j2", public_key=PUBLIC, signed=True)
SIGN = render("spack_sign.sh.j2", private_key=PRIVATE)
DONE = "test \"$SPACK_REQUIRE_SIGNING\" = True\necho 'it goes on'\n"


class Job:
    """A shell with a key ring of its own."""

    def __init__(self, folder: Path, root: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **variables, "SPACK_ROOT": str(root)}
        for name in (PRIVATE, PUBLIC, "SPACK_REQUIRE_SIGNING"):
            self.environment.pop(name, None)

    def key(self, name: str, content: bytes) -> str:
        """A file variable of GitLab's."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script as GitLab's runner does."""
        environment = {**self.environment, **variables}
        command = ["bash", "-eo", "pipefail", "-c", script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(params=["", *ROOTS])
def job(request: pytest.FixtureRequest, tmp_path: Path, components: None) -> Iterator[Job]:
    require("gpg")
    root = Path(request.param or tmp_path / "spack")
    if not request.param:
        (root / "share" / "spack").mkdir(parents=True)
        (root / "share" / "spack" / "setup-env.sh").write_text(SETUP_ENV)
    with ring_folder(tmp_path / "ring"):
        ring = {"GNUPGHOME": str(tmp_path / "ring"), "SPACK_GNUPGHOME": str(tmp_path / "ring")}
        yield Job(tmp_path, root, {**(alone(tmp_path) if request.param else {}), **ring})


def test_a_job_that_signs_needs_exactly_one_key(job: Job) -> None:
    one, other = key_pair("One"), key_pair("Other")
    private = job.key("private", one.private)
    public = job.key("public", one.public)
    done = job.run(SETUP + SIGN + DONE, **{PUBLIC: public})
    assert done.returncode == 1
    assert f"{PRIVATE} is not set for this job" in done.stderr
    done = job.run(SETUP + SIGN + DONE, **{PUBLIC: public, PRIVATE: public})
    assert done.returncode == 1, done.stdout
    assert "Spack has 0 keys to sign with" in done.stderr
    done = job.run(SETUP + SIGN + DONE, **{PUBLIC: public, PRIVATE: private})
    assert done.returncode == 0, done.stderr
    assert "it goes on" in done.stdout
    both = job.key("both", one.private + other.private)
    done = job.run(SETUP + SIGN + DONE, **{PUBLIC: public, PRIVATE: both})
    assert done.returncode == 1
    assert "Spack has 2 keys to sign with" in done.stderr
    for pair in (one, other):
        assert pair.private.decode() not in done.stdout + done.stderr


def test_a_job_that_reads_what_is_signed_has_to_trust_somebody(job: Job) -> None:
    done = job.run(SETUP)
    assert done.returncode == 1
    assert f"set {PUBLIC}" in done.stderr
    assert job.run(render("spack_setup.sh.j2", public_key=PUBLIC, signed=False)).returncode == 0
    done = job.run(SETUP, **{PUBLIC: job.key("public", key_pair().public)})
    assert done.returncode == 0, done.stderr
