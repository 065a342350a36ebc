"""`signing: cosign:` with a real cosign, and a real registry that asks for a login."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foundation.errors import ExitCode
from tests.commands import jc
from tests.integration.apptainer import ROOT_VARIABLE
from tests.integration.components import give_up
from tests.integration.registry_server import GROUP, Registry, TokenService, push_image, run_registry
from tests.integration.signing_keys import KeyPair, key_pair
from tests.samples import DEFAULT_BRANCH, SITE

FINGERPRINT = "a" * 64
PASSWORD = "only for cosign's key"


@pytest.fixture(scope="module", name="program")
def program_fixture(components: None) -> Path:
    """The one on PATH, or that of the root folder of Apptainer, which starts on any Debian."""
    installed = shutil.which("cosign") or f"{os.environ.get(ROOT_VARIABLE, '')}/usr/bin/cosign"
    if not Path(installed).is_file():
        give_up(f"cosign is not installed, and {ROOT_VARIABLE} names no root folder that has it")
    return Path(installed)


@dataclass(frozen=True)
class Signer:
    """A job that signs an image, and whoever verifies it afterwards."""

    program: Path
    registry: Registry
    folder: Path
    pair: KeyPair

    @property
    def repository(self) -> str:
        return f"{self.registry.host}/{GROUP}app"

    def environment(self, **more: str) -> dict[str, str]:
        assert self.registry.tokens is not None
        programs = self.folder / "bin"
        return {
            **DEFAULT_BRANCH,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CI_REGISTRY_USER": self.registry.tokens.user,
            "CI_REGISTRY_PASSWORD": self.registry.tokens.password,
            "SPACK_DEPLOYMENT_KEY_PRIVATE": str(self.folder / "private"),
            "SPACK_DEPLOYMENT_KEY_PUBLIC": str(self.folder / "public"),
            "COSIGN_PRIVATE_KEY": str(self.folder / "cosign.key"),
            "COSIGN_PASSWORD": PASSWORD,
            **more,
        }

    def sign(self, digest: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        about = ("--kind", "base image", "--architecture", "amd64", "--fingerprint", FINGERPRINT)
        given = dict(environment or self.environment())
        done = jc("-C", str(self.folder), "sign-image", f"{self.repository}@{digest}", *about, environment=given)
        return done.exit_code, done.output

    def cosign(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the program says to somebody who is logged in; it asks none of Sigstore's servers."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "DOCKER_CONFIG": str(self.folder),
                "COSIGN_PASSWORD": PASSWORD,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def verified(self, digest: str, *what: str, key: str = "cosign.pub") -> subprocess.CompletedProcess[str]:
        return self.cosign(*what, "--key", key, "--insecure-ignore-tlog", f"{self.repository}@{digest}")

    def push(self, name: str) -> str:
        """An image of its own."""
        labels = {"org.spacktainers.fingerprint": FINGERPRINT, "name": name}
        return push_image(self.registry, f"{GROUP}app", name, "amd64", labels)


@pytest.fixture(scope="module", name="signer")
def signer_fixture(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    folder = tmp_path_factory.mktemp("cosign")
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService()) as registry:
        pair = key_pair()
        (folder / "bin").mkdir()
        (folder / "bin" / "cosign").symlink_to(program)
        (folder / "private").write_bytes(pair.private)
        (folder / "public").write_bytes(pair.public)
        assert registry.tokens is not None
        login = base64.b64encode(f"{registry.tokens.user}:{registry.tokens.password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
        image = f"{registry.host}/{GROUP}app"
        site = SITE.replace("registry.example.org/group/containers", image.rpartition("/")[0])
        (folder / "spacktainers.yaml").write_text(f"{site}signing: {{cosign: {{}}}}\n")
        found = Signer(program, registry, folder, pair)
        made = found.cosign("generate-key-pair")
        assert made.returncode == 0, made.stderr
        yield found


def test_cosign_verifies_image_and_statement(signer: Signer) -> None:
    digest, other = signer.push("signed"), signer.push("other")
    assert signer.verified(digest, "verify").returncode != 0
    code, said = signer.sign(digest)
    assert code == 0, said
    done = signer.verified(digest, "verify")
    assert done.returncode == 0, done.stderr
    assert {one["critical"]["image"]["docker-manifest-digest"] for one in json.loads(done.stdout)} == {digest}
    (statement,) = _statements(signer, digest)
    assert statement["subject"][0]["digest"] == {"sha256": digest.removeprefix("sha256:")}
    assert statement["predicate"]["buildDefinition"]["internalParameters"] == {"fingerprint": FINGERPRINT}
    # Nothing of it holds for another image, nor under another key.
    assert signer.verified(other, "verify").returncode != 0
    strangers = signer.cosign("generate-key-pair", "--output-key-prefix", "stranger")
    assert strangers.returncode == 0, strangers.stderr
    assert signer.verified(digest, "verify", key="stranger.pub").returncode != 0
    # What else lies beside the image is still found there.
    public = signer.folder / "public"
    site = jc(
        "-C",
        str(signer.folder),
        "verify",
        f"{signer.repository}@{digest}",
        "--key",
        str(public),
        "--json",
        environment=signer.environment(DOCKER_CONFIG=str(signer.folder)),
    )
    links = {one["name"]: one for one in json.loads(site.stdout)["links"]}
    assert links["in-toto statement"]["state"] == "holds", site.stdout


def test_a_retried_job_signs_once(signer: Signer) -> None:
    digest = signer.push("retried")
    found: list[Any] = []
    for _ in range(2):
        code, said = signer.sign(digest)
        assert code == 0, said
        found.append(json.loads(signer.verified(digest, "verify").stdout))
        assert len(_statements(signer, digest)) == 1
    assert found[0] == found[1]


def test_without_key_or_program_nothing_is_signed_at_all(signer: Signer) -> None:
    digest = signer.push("unsigned")
    empty = signer.folder / "empty"
    empty.mkdir()
    cases = (
        ({"COSIGN_PRIVATE_KEY": ""}, ExitCode.NOT_READY, "COSIGN_PRIVATE_KEY is not set"),
        ({"COSIGN_PRIVATE_KEY": str(signer.folder / "public")}, ExitCode.NOT_READY, "without a private key"),
        ({"COSIGN_PASSWORD": "another"}, ExitCode.REFUSED, "cannot be used"),
        ({"CI_REGISTRY_PASSWORD": "another"}, ExitCode.COULD_NOT_ASK, ""),
        ({"PATH": str(empty)}, ExitCode.NOT_READY, "cosign"),
    )
    key = (signer.folder / "cosign.key").read_text().splitlines()[1]
    for changes, code, said in cases:
        found, output = signer.sign(digest, signer.environment(**changes))
        assert (found, said in output) == (code, True), output
        assert PASSWORD not in output
        assert key not in output
    public = str(signer.folder / "public")
    site = jc(
        "-C",
        str(signer.folder),
        "verify",
        f"{signer.repository}@{digest}",
        "--key",
        public,
        environment=signer.environment(DOCKER_CONFIG=str(signer.folder)),
    )
    assert site.exit_code == ExitCode.NOT_READY, site.output


def test_no_secret_is_an_argument(signer: Signer, tmp_path: Path) -> None:
    """A program in cosign's place writes down what it is started with."""
    digest = signer.push("watched")
    watched = tmp_path / "cosign"
    watched.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/seen\nexec {signer.program} "$@"\n')
    watched.chmod(0o755)
    environment = signer.environment(PATH=f"{tmp_path}:{os.environ['PATH']}")
    code, said = signer.sign(digest, environment)
    assert code == 0, said
    seen = (tmp_path / "seen").read_text()
    assert {"sign", "attest", "verify"} <= set(seen.split())
    key = (signer.folder / "cosign.key").read_text().splitlines()[1]
    for secret in (PASSWORD, environment["CI_REGISTRY_PASSWORD"], key):
        assert secret not in seen


def _statements(signer: Signer, digest: str) -> list[dict[str, Any]]:
    done = signer.verified(digest, "verify-attestation", "--type", "slsaprovenance1")
    assert done.returncode == 0, done.stderr
    envelopes = [json.loads(line) for line in done.stdout.splitlines()]
    return [json.loads(base64.b64decode(one["payload"])) for one in envelopes]
