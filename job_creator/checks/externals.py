"""What an environment takes from outside: nobody here sees whether the images have it.

Source for externals: lib/spack/spack/externals.py of Spack v1.1 and `external_spec` in solver/asp.py before.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from foundation.errors import Fault
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.checks.folders import environments_reused, paths_read
from job_creator.checks.mirrors import mirror_urls
from job_creator.definitions.paths import PathKind, read_path
from job_creator.definitions.recipes import written_repositories
from job_creator.environments.marks import unmarked


def external_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Externals that Spack passes over, or that are elsewhere on each machine."""
    for location, name, external in _externals(file):
        written = external.get("spec")
        spec = parse_spec(written, file.line) if isinstance(written, str) else None
        if isinstance(spec, AbstractSpec) and spec.name:
            if spec.name != name:
                message = f"{written!r} is no external of {name!r}"
                yield file.fault((*location, "spec"), message, f"put it below the key {spec.name!r}")
            if not spec.versions or not spec.versions.is_single:
                message = f"{written!r} does not say which version it is, and Spack passes over it"
                yield file.fault((*location, "spec"), message, f"write its version, as in '{spec.name}@1.2'")
        if not external.get("prefix") and not external.get("modules"):
            message = f"the external {written!r} has no 'prefix', so that Spack would build it"
            yield file.fault(location, message, "say where it is installed", of_key=True)
        prefix = external.get("prefix")
        if isinstance(prefix, str) and read_path(prefix, "").kind is not PathKind.ABSOLUTE:
            message = f"the prefix {prefix!r} is not the same place in all images"
            yield file.fault((*location, "prefix"), message, "write an absolute path")


def _externals(file: EnvironmentFile) -> Iterator[tuple[Location, str, Mapping[str, Any]]]:
    """Every external, its place and the package below whose key it stands."""
    for location, name, kind, listed in file.package_settings():
        for index, external in enumerate(_listed(listed) if kind == "externals" else ()):
            if isinstance(external, Mapping):
                yield (*location, index), name, external


def unseen_externals(file: EnvironmentFile) -> Iterator[str]:
    """Packages that are not built: programs that are linked with them need them at run time, too."""
    found = list(_externals(file))
    if prefixes := [f"{name} in {one['prefix']}" for _, name, one in found if isinstance(one.get("prefix"), str)]:
        yield f"whether the builder and the runtime image have {', '.join(prefixes)}"
    if modules := [str(module) for _, _, one in found for module in _listed(one.get("modules"))]:
        yield f"whether the builder and the runtime image have the modules {', '.join(modules)}"


def unseen_programs(file: EnvironmentFile) -> Iterator[str]:
    """Programs that Spack is told to use while it builds, which only the builder image could have."""
    config = _plain(file.unmarked_section.get("config"))
    wanted = ["ccache"] if config.get("ccache") is True else []
    if str(config.get("url_fetch_method")).startswith("curl"):
        wanted.append("curl")
    if wanted:
        yield f"whether the builder image has {', '.join(wanted)}"


def unseen_folders(file: EnvironmentFile) -> Iterator[str]:
    """What is looked for at absolute paths, which only the builder image could have."""
    folder = posixpath.dirname(file.document.path)
    paths = [entry for _, entry in written_repositories(file.section) if isinstance(entry, str)]
    paths += [text for _, text in paths_read(file)]
    paths += [path for _, path in environments_reused(file) if path]
    if found := [path for path in paths if read_path(path, folder).kind is PathKind.ABSOLUTE]:
        yield f"whether the builder image has {', '.join(found)}"


def unseen_mirrors(file: EnvironmentFile) -> Iterator[str]:
    """Mirrors at absolute paths, which jobs could see if runners mount them."""
    folder = posixpath.dirname(file.document.path)
    urls = [url for _, url in mirror_urls(file.section)]
    if found := [url for url in urls if read_path(url, folder).kind is PathKind.ABSOLUTE]:
        yield f"whether jobs and the builds of images see {', '.join(dict.fromkeys(found))}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain(value: Any) -> dict[str, Any]:
    return {unmarked(str(key)): inner for key, inner in value.items()} if isinstance(value, Mapping) else {}
