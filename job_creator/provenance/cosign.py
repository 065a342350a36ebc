"""Signatures of cosign beside images, for whoever verifies images with it. Nothing outside of the site is asked.

What is laid there is cosign's own: a signature of the image, and an in-toto statement with the predicate that `intoto`
writes, each as a bundle of Sigstore among the image's referrers. Neither Rekor nor Fulcio nor an authority of times
takes part, so that those who verify say `--insecure-ignore-tlog`.

Sources: `cosign sign --help`, `cosign attest --help` of cosign 3.1; Sigstore's protobuf specifications,
`SigningConfig` and `TrustedRoot`; docker/cli, "Configuration file" (`auths`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError, NotReadyError, RefusedError
from foundation.registries.reference import ImageReference
from job_creator.provenance.intoto import Origin
from job_creator.provenance.statements import canonical
from job_creator.site.spack import Cosign

PROGRAM: Final = "cosign"
_SECONDS: Final = 120
_PASSWORD: Final = "COSIGN_PASSWORD"
_TYPE: Final = "slsaprovenance1"
"""What cosign calls the predicate of `intoto`."""
_PREDICATE: Final = "predicate.json"
_CONFIGURATION: Final = {
    "signing.json": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
    "root.json": {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"},
}
"""That no service signs along, and that none is believed; without these files cosign asks Sigstore's servers."""


@dataclass(frozen=True, slots=True)
class CosignKey:
    """A private key as cosign writes it, and its password."""

    path: Path
    """The file that GitLab makes of the CI variable."""
    password: str


def cosign_key(cosign: Cosign, environment: Mapping[str, str]) -> CosignKey:
    """The key that a job has. Raises `NotReadyError` where it has none, and `FileAccessError`."""
    path = environment.get(cosign.private_key_variable)
    if not path:
        raise NotReadyError(
            f"{cosign.private_key_variable} is not set for this job, and the site file has 'signing: cosign:'"
        )
    if b"PRIVATE KEY" not in read_file(Path(path)):
        raise NotReadyError(f"{cosign.private_key_variable}: names a file without a private key of cosign")
    return CosignKey(Path(path), environment.get(cosign.password_variable, ""))


def sign_with_cosign(
    image: ImageReference, origin: Origin, key: CosignKey, logins: Mapping[str, tuple[str, str]]
) -> bool:
    """Lay both beside an image that is named by its digest; `False` if this key has signed both before.

    Raises `NotReadyError` without the program, `RefusedError` where the key cannot be used, and `CouldNotAskError`.
    """
    with _workplace(key, logins.get(image.registry), image.registry) as (folder, environment):
        public = folder / "cosign.pub"
        try:
            said = run((PROGRAM, "public-key", "--key", str(key.path)), seconds=_SECONDS, environment=environment)
        except ProcessError as error:
            raise RefusedError(f"{PROGRAM}: the private key cannot be used: {_last_line(error)}") from None
        write_files(folder, {public.name: said.encode(), _PREDICATE: canonical(origin.to_value()["predicate"])})
        if _is_signed(image, public, environment):
            return False
        config = ("--signing-config", str(folder / "signing.json"), "--trusted-root", str(folder / "root.json"))
        common = ("--key", str(key.path), *config, "--yes")
        for command in (("sign",), ("attest", "--type", _TYPE, "--predicate", str(folder / _PREDICATE))):
            try:
                run((PROGRAM, *command, *common, str(image)), seconds=_SECONDS, environment=environment)
            except ProcessError as error:
                raise CouldNotAskError(f"{image}: {PROGRAM} {command[0]}: {_last_line(error)}") from None
        return True


def _is_signed(image: ImageReference, public: Path, environment: Mapping[str, str]) -> bool:
    """Whether this key has signed image and statement. A statement of an earlier run is as good: subject and type."""
    config = ("--key", str(public), "--insecure-ignore-tlog", str(image))
    for command in (("verify",), ("verify-attestation", "--type", _TYPE)):
        try:
            run((PROGRAM, *command, *config), seconds=_SECONDS, environment=environment)
        except ProcessError:
            # Not signed, or no answer: signing tells the two apart.
            return False
    return True


@contextmanager
def _workplace(key: CosignKey, login: tuple[str, str] | None, registry: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder of its own with what cosign reads, and the variables that it gets besides; no secret is on argv."""
    with TemporaryDirectory(prefix="cosign-") as name:
        folder = Path(name)
        files: dict[str, Any] = dict(_CONFIGURATION)
        environment = {_PASSWORD: key.password}
        if login:
            auth = base64.b64encode(":".join(login).encode()).decode()
            files["config.json"] = {"auths": {registry: {"auth": auth}}}
            environment["DOCKER_CONFIG"] = name
        write_files(folder, {file: json.dumps(value).encode() for file, value in files.items()})
        yield folder, environment


def _last_line(error: ProcessError) -> str:
    """What cosign said last, which is why; before it stand warnings."""
    lines = [line.strip() for line in error.said.splitlines() if line.strip()]
    why = next((line for line in reversed(lines) if line.startswith("Error:")), lines[-1] if lines else str(error))
    return why.removeprefix("Error: ")
