"""The machine that `jc` runs on: programs that some commands need, proxies, certificates."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError, run, without_credentials
from foundation.errors import NotReadyError
from job_creator import __version__
from job_creator.diagnosis.diagnoses import Diagnosis, Patient

_AREA: Final = "machine"
_SECONDS: Final = 60.0
_AUTHORITIES: Final = (
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE", "CI_SERVER_TLS_CA_FILE"),
    "GIT_SSL_CAINFO",
)
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is called by its name."""

    name: str
    needed_for: str
    is_always_needed: bool = False


PROGRAMS: Final = (
    Program("git", "resolving the refs of Spack and its packages", is_always_needed=True),
    Program("gpg", "signing and verifying"),
    Program("spack", "'jc mirror', 'jc packages', 'jc index packages --spack'"),
    Program("apptainer", "'jc install-sif', which verifies what it installs"),
    Program("node", "'jc rehearse --executor shell'"),
)
"""What `jc` itself calls. What jobs call comes in their images, or on the runners of clusters."""


def machine(environment: Mapping[str, str], *, signs: bool) -> Iterator[Diagnosis]:
    """What is here. `signs` says whether the site has anything signed, for which gpg is needed."""
    yield Patient(_AREA, "jc").ok(f"{__version__}, Python {platform.python_version()}")
    for program in PROGRAMS:
        yield _program(program, is_needed=program.is_always_needed or (signs and program.name == "gpg"))
    yield from _proxies(environment)
    yield from _authorities(environment)


def _program(program: Program, *, is_needed: bool) -> Diagnosis:
    patient = Patient(_AREA, program.name)
    try:
        said = run((program.name, "--version"), seconds=_SECONDS).partition("\n")[0].strip()
    except NotReadyError:
        if is_needed:
            return patient.fault("is not installed", f"install it; it is needed for {program.needed_for}")
        return patient.not_checked(f"is not installed; only needed for {program.needed_for}")
    except ProcessError as error:
        return patient.warning(str(error), f"repair it before you use it for {program.needed_for}")
    return patient.ok(said)


def _proxies(environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Lower case goes before upper case, as programs have it; git and curl know no `HTTP_PROXY` in upper case."""
    proxies = {
        kind: environment.get(f"{kind}_proxy") or environment.get(f"{kind}_proxy".upper(), "") for kind in _KINDS
    }
    for kind, proxy in proxies.items():
        if proxy:
            yield Patient(_AREA, f"{kind}_proxy").ok(without_credentials(proxy))
    if proxies["http"] and not proxies["https"] and not environment.get("all_proxy"):
        said = "http_proxy is set and https_proxy is not: nearly everything here speaks https, and goes past the proxy"
        yield Patient(_AREA, "https_proxy").warning(said, "set https_proxy to the same, if https needs it as well")


_KINDS: Final = ("http", "https")


def _authorities(environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """The variables that name files of certificates to trust: a wrong one makes every https request fail."""
    for variable in _AUTHORITIES:
        if not (named := environment.get(variable)):
            continue
        patient = Patient(_AREA, variable)
        path = Path(named)
        if path.is_dir() and variable == "REQUESTS_CA_BUNDLE":
            yield patient.ok(f"{named}, a folder of certificates")
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            yield patient.fault(f"{named}: {error.strerror}", "name the file with the certificates, or unset it")
            continue
        count = content.count(_CERTIFICATE)
        if count:
            yield patient.ok(f"{named}, {count} certificate{'' if count == 1 else 's'}")
        else:
            yield patient.fault(f"{named}: holds no certificate", "name a file with certificates in PEM, or unset it")
