"""The configuration that those who use a mirror give to Spack (`spack -C FOLDER`). Pure.

Sources: lib/spack/spack/schema/{mirrors,repos,bootstrap}.py of Spack v0.21.3 to v1.1.0.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.spack.releases import SpackLine
from foundation.stores.schemes import FOLDER, REGISTRY, WEB_SERVER, is_plain_registry, kind_of, path_of

MIRROR_NAME: Final = "site"
BOOTSTRAP_SOURCES: Final = "site-sources"
BOOTSTRAP_BINARIES: Final = "site-binaries"
RECIPES: Final = "recipes/"
PACKAGES_REPOSITORY: Final = f"{RECIPES}packages.git"
SPACK_REPOSITORY: Final = f"{RECIPES}spack.git"
BOOTSTRAP_FOLDER: Final = "bootstrap/"
SOURCES_METADATA: Final = f"{BOOTSTRAP_FOLDER}metadata/sources"
BINARIES_METADATA: Final = f"{BOOTSTRAP_FOLDER}metadata/binaries"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a mirror has besides archives: a package repository, and packages to bootstrap Spack from."""

    has_sources: bool = True
    has_binaries: bool = True
    is_signed: bool = True
    has_packages: bool = False
    has_spack: bool = False
    """A repository of Spack itself."""
    packages_commit: str = ""
    has_bootstrap_sources: bool = False
    has_bootstrap_binaries: bool = False


def holdings_of(keys: Collection[str], *, is_signed: bool = True, packages_commit: str = "") -> Holdings:
    """What a mirror has, by the keys of its objects, or by as many of them as tell."""

    def has(*prefixes: str) -> bool:
        return any(key.startswith(prefixes) for key in keys)

    return Holdings(
        has_sources=has("_source-cache/"),
        has_binaries=has("v3/", "build_cache/"),
        is_signed=is_signed,
        has_packages=has(PACKAGES_REPOSITORY),
        has_spack=has(SPACK_REPOSITORY),
        packages_commit=packages_commit,
        has_bootstrap_sources=has(SOURCES_METADATA),
        has_bootstrap_binaries=has(BINARIES_METADATA),
    )


def scope(
    url: str, line: SpackLine, holdings: Holdings, endpoint: str | None = None, *, only_this: bool = True
) -> dict[str, dict[str, Any]]:
    """The files of a configuration scope by name, as plain values. `url` is the mirror's, without a slash at its end.

    With `only_this`, mirrors and bootstrap sources of lower scopes are dropped (`mirrors::`): where there is no
    internet, Spack would wait for each of them in vain.
    """
    local = path_of(url) if kind_of(url) is FOLDER else ""
    files: dict[str, dict[str, Any]] = {
        "mirrors.yaml": {"mirrors:" if only_this else "mirrors": {MIRROR_NAME: _mirror(url, line, holdings, endpoint)}},
        "bootstrap.yaml": _bootstrap(local, holdings, only_this),
    }
    if holdings.has_packages and line.recipes_apart and local:
        files["repos.yaml"] = {"repos": {"builtin": _repository(url, holdings)}}
    return files


def _mirror(url: str, line: SpackLine, holdings: Holdings, endpoint: str | None) -> dict[str, Any]:
    described: dict[str, Any] = {"url": url}
    if endpoint:
        described["endpoint_url"] = endpoint
    described |= {"source": holdings.has_sources, "binary": holdings.has_binaries}
    if line.mirrors_can_be_unsigned and holdings.has_binaries:
        described["signed"] = holdings.is_signed
    return described


def _repository(url: str, holdings: Holdings) -> dict[str, Any]:
    found = {"git": f"{url}/{PACKAGES_REPOSITORY}"}
    return {**found, "commit": holdings.packages_commit} if holdings.packages_commit else found


def _bootstrap(local: str, holdings: Holdings, only_this: bool) -> dict[str, Any]:
    """Where Spack gets clingo, GnuPG and patchelf from if this machine has none.

    It stays enabled even if the mirror has nothing to offer: without it, Spack refuses all of 'spack gpg', although
    the machine's own GnuPG would do. Metadata are read from folders only.
    """
    named = []
    if local and holdings.has_bootstrap_binaries:
        named.append((BOOTSTRAP_BINARIES, f"{local}/{BINARIES_METADATA}"))
    if local and holdings.has_bootstrap_sources:
        named.append((BOOTSTRAP_SOURCES, f"{local}/{SOURCES_METADATA}"))
    sources = [{"name": name, "metadata": metadata} for name, metadata in named]
    return {
        "bootstrap": {
            "enable": True,
            "sources:" if only_this else "sources": sources,
            "trusted:" if only_this else "trusted": {name: True for name, _ in named},
        }
    }


def instructions(url: str, folder: str, holdings: Holdings) -> tuple[str, ...]:
    """The two commands that a user needs: trust the key that the admin named, install."""
    trust = f"jc mirror trust {url} --fingerprint FINGERPRINT"
    install = f"spack -C {folder} install"
    if not holdings.has_binaries:
        return (f"{install} SPEC",)
    if not holdings.is_signed:
        return (f"{install} --use-buildcache=only SPEC",)
    return (trust, f"{install} --use-buildcache=only SPEC")


def admin_instructions(url: str, holdings: Holdings) -> tuple[str, ...]:
    """What the admin does once on each machine: git reads no repository of another user that nobody has allowed."""
    if kind_of(url) is not FOLDER:
        return ()
    there = ((PACKAGES_REPOSITORY, holdings.has_packages), (SPACK_REPOSITORY, holdings.has_spack))
    paths = (shlex.quote(f"{path_of(url)}/{repository}") for repository, is_there in there if is_there)
    return tuple(f"git config --system --add safe.directory {path}" for path in paths)


def warnings(url: str, holdings: Holdings) -> tuple[str, ...]:
    """What whoever runs the mirror has to know."""
    found = []
    if kind_of(url) is REGISTRY:
        found.append(f"{url}: nothing in a registry is signed; whoever may push there decides what your users run")
    if is_plain_registry(url):
        # `_fetch_and_cache_index` in lib/spack/spack/binary_distribution.py of Spack v1.1.0 knows `oci` only.
        found.append(
            f"{url}: Spack 1.1 reads no index there, only what a lockfile names is found; HTTPS (oci://) helps"
        )
    if kind_of(url) is WEB_SERVER and holdings.has_packages:
        # Git's protocol for plain web servers knows nothing of repositories whose history is cut off.
        found.append(f"{url}: git clones no recipes from a web server; give users the folder, or a clone of it")
    return tuple(found)


def as_mapping(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All files of a scope as one mapping, for an environment's `spack.yaml` or a look at all of it."""
    return {key: value for content in files.values() for key, value in content.items()}
