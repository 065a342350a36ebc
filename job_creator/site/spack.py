"""Which Spack builds everything, and how packages are signed."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from foundation.spack.releases import SpackLine, line_of_ref
from foundation.stores.schemes import WEB_SERVER, kind_of
from foundation.validation import Value
from job_creator.site.words import Text, VariableName, url_without_credentials

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")

_FIXED = re.compile(r"v?[0-9]+([.][0-9]+)+([.-]?(a|b|rc|alpha|beta)[0-9.]*)?|[0-9a-f]{40}|[0-9a-f]{64}")


def _git_url(text: str) -> str:
    if kind_of(text) is WEB_SERVER:
        return url_without_credentials(text)
    if not re.fullmatch(r"(ssh://|file://|[\w.-]+@[\w.-]+:|/)[^\s]+", text):
        raise ValueError(f"{text!r} is no git URL")
    # A user alone, as in ssh://git@example.org, is no secret.
    if "://" in text and (":" in urlsplit(text).netloc.rpartition("@")[0] or "?" in text):
        raise ValueError("{name} holds a password; keep it in a masked CI variable on the runner")
    return text


def _git_ref(text: str) -> str:
    if not _REF.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is no branch, tag or commit")
    return text


GitUrl = Annotated[str, AfterValidator(_git_url)]


GitRef = Annotated[str, AfterValidator(_git_ref)]


class GitSource(Value):
    """A git repository at one of its refs."""

    repository: GitUrl
    """URL of the repository."""
    ref: GitRef
    """Branch, tag or commit."""


class Spack(Value):
    """Which Spack builds everything, and for Spack 1.0 and newer, with which package repository."""

    repository: GitUrl = "https://github.com/spack/spack.git"
    """URL of Spack's repository, or of a fork of it."""
    ref: GitRef
    """Branch, tag or commit."""
    version: Text | None = None
    """Release line such as `"1.1"`, needed where `ref` does not say it."""
    installer: Literal["old", "new"] | None = None
    """Which of Spack's installers builds and installs packages, from Spack 1.1 on; without, Spack's own choice.

    A `config: installer` of the template or of a definition is stronger.
    """
    packages: GitSource | None = None
    """Package repository; Spack 0.23 and older bring their own."""

    @model_validator(mode="after")
    def _check(self) -> Spack:
        line = self.line
        if line.recipes_apart and not self.packages:
            raise ValueError(f"Spack {line} has its recipes in a repository of its own; add 'packages:' with its ref")
        if not line.recipes_apart and self.packages:
            raise ValueError(f"Spack {line} brings its own recipes; remove 'packages:'")
        if self.installer and (reason := line.why_no_installer(self.installer)):
            raise ValueError(reason)
        return self

    @property
    def line(self) -> SpackLine:
        """The release line. Raises `ValueError` when it is unknown or unsupported."""
        return SpackLine.parse(self.version) if self.version else line_of_ref(self.ref)

    @property
    def recipes_ref(self) -> str:
        """The ref that recipes come from: that of the package repository, or of a Spack that brings its own."""
        return self.packages.ref if self.packages else self.ref

    @property
    def recipes_stay(self) -> bool:
        """Whether the ref of the recipes always names the same commit, as releases and commits do."""
        return bool(_FIXED.fullmatch(self.recipes_ref))


def _file_of_the_repository(path: str) -> str:
    if path and (not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*", path) or ".." in path.split("/")):
        raise ValueError(f"{path!r} is no path of a file below the repository's folder, such as keys/public.asc")
    return path


class Cosign(Value):
    """Images are signed by the program cosign as well, which the image of the jobs that sign has to have."""

    private_key_variable: VariableName = "COSIGN_PRIVATE_KEY"
    """Name of the CI variable, of type file, with the private key that `cosign generate-key-pair` made; protect it."""
    password_variable: VariableName = "COSIGN_PASSWORD"
    """Name of the CI variable with the password of that key; protect and mask it."""

    def secrets(self) -> dict[str, str]:
        """The names of both variables, each with what it does."""
        return {self.private_key_variable: "signs images", self.password_variable: "opens the key that signs images"}


class Signing(Value):
    """Names of the CI variables, of type file, that hold the key pair which packages are signed with."""

    private_key_variable: VariableName = "SPACK_DEPLOYMENT_KEY_PRIVATE"
    """Name of the CI variable that signs; protect it."""
    public_key_variable: VariableName = "SPACK_DEPLOYMENT_KEY_PUBLIC"
    """Name of the CI variable that verifies."""
    public_key: Annotated[str, AfterValidator(_file_of_the_repository)] = ""
    """File of this repository with the keys that verify, where no CI variable has them; that goes before it."""
    cosign: Cosign | None = None
    """For those who verify images with cosign; `{}` takes the usual names of variables."""
