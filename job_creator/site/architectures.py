"""What differs from one architecture to the next: runners, proxy, target, buckets, resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Final

from pydantic import AfterValidator

from foundation.registries.published import PLATFORMS, SPELLINGS
from foundation.spack.grammar.targets import meant_target, unknown_targets
from foundation.validation import Form, Items, Value, did_you_mean
from job_creator.site.places import BinaryMirror, BuildCache, ContainersBucket, Mirror, SourceMirror
from job_creator.site.runners import JobKind, JobSettings, Proxy
from job_creator.site.words import Text, VariableName

_TARGET = re.compile(r"[a-z0-9_.]+")
_COMPILER = re.compile(r"[a-z0-9-]+(@[A-Za-z0-9_.:=,-]+)?")


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise ValueError(f"{text!r} is no Spack target; 'spack arch --known-targets' lists them")
    if unknown_targets(text):
        raise ValueError(f"{text!r} is no Spack target; {meant_target(text)}")
    return text


def _compiler(text: str) -> str:
    if not _COMPILER.fullmatch(text):
        raise ValueError(f"{text!r} is no compiler; write for example 'gcc@13', without %")
    return text


def _oci(text: str) -> str:
    if text not in PLATFORMS:
        meant = SPELLINGS.get(text)
        hint = f"did you mean {meant!r}?" if meant else did_you_mean(text, PLATFORMS)
        raise ValueError(f"{text!r} is no architecture of OCI images; {hint}")
    return text


ArchitectureName = Annotated[
    str, Form(r"^[a-z0-9][a-z0-9_]*$", "a name of lower case letters, digits and '_', such as 'amd64' or 'zen3'")
]


_ABOUT_PROGRAMS: Final = ("HOME", "LANG", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "XDG_RUNTIME_DIR")
_ABOUT_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Architecture(Value):
    """One architecture: the key is the site's own name of it, and that of a folder of the definitions.

    It stands in names of jobs and files and in tags of images.
    """

    oci: Annotated[str, AfterValidator(_oci)] | None = None
    """OCI's name of the architecture, such as `amd64`, where the key is another one, such as `zen3`."""

    runner_tags: Items[Text]
    """Tags of the GitLab runners that have this architecture."""
    target: Annotated[str, AfterValidator(_target)] | None = None
    """Spack target that everything is built for, such as `x86_64_v3`."""
    compiler: Annotated[str, AfterValidator(_compiler)] | None = None
    """Compiler that everything is built with, such as `gcc@13`."""
    proxy: Proxy = Proxy()
    variables: Mapping[VariableName, str] = {}
    """Variables of all jobs of this architecture."""
    jobs: Mapping[JobKind, JobSettings] = {}
    """Time-out, runner tags, variables and resources by kind of job."""
    packages: Mapping[str, JobSettings] = {}
    """Settings for the jobs of packages whose name fits a pattern, such as `llvm*`; the first one that fits counts."""
    build_cache: BuildCache
    containers: ContainersBucket | None = None
    """Bucket that SIF files are published in."""
    source_mirror: SourceMirror | None = None
    """Where sources are kept, so that builds need no internet."""
    binary_mirror: BinaryMirror | None = None
    """A further mirror of packages, which is read like the build cache."""

    def mirrors(self) -> Iterator[tuple[str, Mirror]]:
        """The mirrors that it has, each with its key in the site file."""
        named: tuple[tuple[str, Mirror | None], ...] = (
            ("source_mirror", self.source_mirror),
            ("binary_mirror", self.binary_mirror),
        )
        yield from ((name, mirror) for name, mirror in named if mirror)

    def settings(self, kind: JobKind) -> JobSettings:
        """How jobs of this kind run here."""
        return self.jobs.get(kind, JobSettings())

    def settings_of(self, package: str) -> JobSettings:
        """How the job of a package runs here: what the first pattern says that fits its name."""
        fitting = (settings for pattern, settings in self.packages.items() if fnmatchcase(package, pattern))
        return next(fitting, JobSettings())

    def tags(self, kind: JobKind) -> tuple[str, ...]:
        """The runner tags of jobs of this kind."""
        own = self.settings(kind).runner_tags
        return self.runner_tags if own is None else own

    def job_variables(self, kind: JobKind) -> dict[str, str]:
        """The variables of every job of this kind: the one place where proxies and resources are set."""
        settings = self.settings(kind)
        return {**self.proxy.variables(), **settings.resources.variables(), **self.variables, **settings.variables}

    def seen_by_foreign_code(self, kind: JobKind) -> list[str]:
        """Names of the variables that programs get which run foreign code: no secret of GitLab's is among them."""
        return sorted({*_ABOUT_PROGRAMS, *_ABOUT_PROXIES, *self.job_variables(kind)})
