"""Target and compiler of the site, as requirements of every package.

What an environment says of one package below `require` or `prefer` hides what stands below `packages: all:`
(`_raw_yaml_data` in lib/spack/spack/solver/requirements.py), so the site's part is added to each such list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.spack.releases import SpackLine
from job_creator.environments.marks import key_of, unmarked
from job_creator.site.architectures import Architecture

COMPILERS: Final = frozenset(
    [
        "acfl",
        "aocc",
        "apple-clang",
        "cce",
        "clang",
        "fj",
        "gcc",
        "intel",
        "intel-oneapi-compilers",
        "intel-oneapi-compilers-classic",
        "llvm",
        "llvm-amdgpu",
        "msvc",
        "nag",
        "nvhpc",
        "oneapi",
        "xl",
    ]
)
"""Packages that have compilers (tag `compiler` in v2025.11 of the recipes), and the names of older lines for them."""

RUNTIMES: Final = frozenset(["compiler-wrapper", "gcc-runtime", "glibc", "intel-oneapi-runtime", "musl"])
"""Packages that belong to compilers (tag `runtime`)."""

VIRTUALS: Final = frozenset(
    [
        *("armci", "awk", "blas", "c", "cxx", "daal", "elf", "fftw-api", "flame", "fortran", "fortran-rt", "fuse"),
        *("gl", "glu", "go-or-gccgo-bootstrap", "golang", "iconv", "ipp", "java", "jpeg", "lapack", "libc"),
        *("libgfortran", "libglx", "libifcore", "libllvm", "lua-lang", "luajit", "mariadb-client", "mkl", "mpe", "mpi"),
        *("mysql-client", "onedal", "opencl", "pbs", "pil", "pkgconfig", "qmake", "rpc", "scalapack", "sycl", "szip"),
        *("tbb", "unwind", "uuid", "wasi-sdk", "xkbdata-api", "xxd", "yacc", "ziglang", "zlib-api"),
    ]
)
"""Virtual packages of v2025.11 of the recipes. Others are known by the providers that are named for them."""

_LANGUAGES: Final = ("c", "cxx", "fortran")
_TARGET: Final = re.compile(r"(?:^|[\s\]])(?:target|arch|architecture)\s*=\s*\S")
_COMPILER: Final = re.compile(
    r"%%?(?:\[(?P<attributes>[^\]]*)\])?\s*(?:(?P<virtuals>[\w.,-]+)\s*=\s*)?(?P<name>[A-Za-z0-9_][\w.-]*)?"
)
_NAME: Final = re.compile(r"^\s*(?:[\w-]+\.)*(?P<name>[A-Za-z0-9_][\w-]*)(?!\s*=|\w)")


@dataclass(frozen=True, slots=True)
class SiteRequirements:
    """What the site wants of every package, for one line of Spack."""

    line: SpackLine
    target: str
    """As a constraint, `target=x86_64_v3`; empty if the site names none."""
    compiler: str
    """As a constraint of this line; empty if the site names none."""

    @classmethod
    def of(cls, line: SpackLine, architecture: Architecture) -> SiteRequirements:
        """Those of an architecture.

        From Spack 1.0 on what follows `%` binds to the compiler, which is a package with a target of its own, and not
        every package has one: hence a conditional requirement for each language.
        """
        target = f"target={architecture.target}" if architecture.target else ""
        compiler = architecture.compiler
        if not compiler:
            return cls(line, target, "")
        if not line.compilers_are_dependencies:
            return cls(line, target, f"%{compiler}")
        languages = (f"%[when=%{language}]{language}={compiler}" for language in _LANGUAGES)
        return cls(line, target, " ".join(languages))

    def of_all(self) -> dict[str, Any]:
        """`packages: all:` where no environment says anything of its own.

        From Spack 1.0 on the target is a preference, since a requirement would hold for compilers as well.
        """
        if not self.line.compilers_are_dependencies:
            both = " ".join(part for part in (self.compiler, self.target) if part)
            return {"require": both} if both else {}
        return {
            **({"prefer": [self.target]} if self.target else {}),
            **({"require": self.compiler} if self.compiler else {}),
        }


def with_requirements(packages: Any, wanted: SiteRequirements, toolchains: Collection[str] = ()) -> dict[str, Any]:
    """A section `packages` in which the site's target and compiler hold for every package.

    Where an environment names a target or a compiler for a package, that counts instead. `toolchains` are names that
    mean compilers after `%`. Virtual packages are left alone: what they say is of their providers.
    """
    written = packages if isinstance(packages, Mapping) else {}
    key = key_of(written, "all")
    everything = written.get(key)
    result = {key: _of_all(everything if isinstance(everything, Mapping) else {}, wanted, toolchains)}
    for name, settings in written.items():
        if name != key:
            result[name] = settings
            if isinstance(settings, Mapping) and not _is_virtual(unmarked(name), settings):
                result[name] = _of_package(unmarked(name), settings, wanted, toolchains)
    return {name: result[name] for name in (*written, *result) if name in result}


def named_under_condition(
    name: str, settings: Mapping[str, Any], wanted: SiteRequirements, toolchains: Collection[str]
) -> Iterator[tuple[int, str, str]]:
    """Which entry of a package's `require` is the only one to name a compiler, or a target, and does so conditionally.

    With it comes which of the two it is, and what the site wants. Conditions that begin with `%` are no such: what does
    not use a language needs no compiler for it.
    """
    required = settings.get(key_of(settings, "require"))
    if not isinstance(required, list) or name in COMPILERS | RUNTIMES | VIRTUALS:
        return
    said = [[_own_part(text) for text in _specs(entry)] for entry in required]
    naming = {
        ("compiler", wanted.compiler): [any(_names_compiler(one, wanted.line, toolchains) for one in t) for t in said],
        ("target", wanted.target): [any(_TARGET.search(one) for one in texts) for texts in said],
    }
    for (what, usual), names in naming.items():
        if usual and names.count(True) == 1:
            entry = required[names.index(True)]
            when = entry.get("when") if isinstance(entry, Mapping) else None
            if isinstance(when, str) and not when.startswith("%"):
                yield names.index(True), what, usual


def _of_all(settings: Mapping[str, Any], wanted: SiteRequirements, toolchains: Collection[str]) -> dict[str, Any]:
    usual = wanted.of_all()
    missing = {kind: value for kind, value in usual.items() if not settings.get(key_of(settings, kind))}
    kept = {name: value for name, value in settings.items() if unmarked(name) not in missing}
    return _completed({**missing, **kept}, wanted, toolchains, is_compiler=False)


def _of_package(
    name: str, settings: Mapping[str, Any], wanted: SiteRequirements, toolchains: Collection[str]
) -> dict[str, Any]:
    is_compiler = wanted.line.compilers_are_dependencies and name in COMPILERS | RUNTIMES
    return _completed(settings, wanted, toolchains, is_compiler=is_compiler)


def _completed(
    settings: Mapping[str, Any], wanted: SiteRequirements, toolchains: Collection[str], *, is_compiler: bool
) -> dict[str, Any]:
    """The settings of a package whose own lists would hide those of `all`, with the site's part in them."""
    required, preferred = key_of(settings, "require"), key_of(settings, "prefer")
    texts = list(_specs(settings.get(required)))
    has_target = any(_TARGET.search(_own_part(text)) for text in texts)
    has_compiler = is_compiler or any(_names_compiler(_own_part(text), wanted.line, toolchains) for text in texts)
    result = dict(settings)
    if not wanted.line.compilers_are_dependencies:
        parts = ["" if has_compiler else wanted.compiler, "" if has_target else wanted.target]
        result[required] = _added(settings.get(required), " ".join(part for part in parts if part))
    else:
        result[required] = _added(settings.get(required), "" if has_compiler else wanted.compiler)
        has_target = has_target or any(_TARGET.search(_own_part(text)) for text in _specs(settings.get(preferred)))
        result[preferred] = _added(settings.get(preferred), "" if has_target else wanted.target)
    return {name: value for name, value in result.items() if name in settings or value}


def _added(written: Any, constraint: str) -> Any:
    """A list of requirements with one more; what hides nothing stays as it is."""
    if not written or not constraint:
        return written
    listed = written if isinstance(written, list) else [written]
    return written if constraint in listed else [*listed, constraint]


def _specs(written: Any) -> Iterator[str]:
    """The specs of `require` or `prefer`, in any of their forms (lib/spack/spack/schema/packages.py)."""
    if isinstance(written, str):
        yield written
    elif isinstance(written, list):
        for one in written:
            yield from _specs(one)
    elif isinstance(written, Mapping):
        for key in ("spec", "one_of", "any_of"):
            yield from _specs(written.get(key))


def _own_part(spec: str) -> str:
    """What a spec says of the package itself, and not of its dependencies."""
    return spec.partition("^")[0]


def _names_compiler(spec: str, line: SpackLine, toolchains: Collection[str]) -> bool:
    if not line.compilers_are_dependencies:
        return "%" in spec
    for found in _COMPILER.finditer(spec):
        attributes, virtuals = found["attributes"] or "", (found["virtuals"] or "").split(",")
        named = re.search(r"virtuals\s*=\s*([\w.,-]+)", attributes)
        languages = {*virtuals, *(named[1].split(",") if named else ())}
        if languages & {*_LANGUAGES} or found["name"] in COMPILERS or found["name"] in toolchains:
            return True
    return False


def _is_virtual(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether what is said is of providers: requirements of a virtual package name others, or itself with a version.

    Spack refuses what names nobody there.
    """
    if name in VIRTUALS:
        return True
    texts = [text for kind in ("require", "prefer") for text in _specs(settings.get(key_of(settings, kind)))]
    named = [found["name"] for text in texts if (found := _NAME.match(text))]
    return any(other != name for other in named)
