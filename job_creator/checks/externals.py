"""What an environment takes from outside: nobody here sees whether the images have it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from job_creator.checks.environment_file import EnvironmentFile
from job_creator.checks.mirrors import mirror_urls
from job_creator.definitions.paths import PathKind, read_path
from job_creator.definitions.recipes import written_repositories
from job_creator.environments.marks import unmarked


def unseen_externals(file: EnvironmentFile) -> Iterator[str]:
    """Packages that are not built: programs that are linked with them need them at run time, too."""
    packages = _plain(file.unmarked_section.get("packages"))
    found = [
        f"{name} in {external['prefix']}"
        for name, settings in packages.items()
        for external in _listed(_plain(settings).get("externals"))
        if isinstance(external, Mapping) and isinstance(external.get("prefix"), str)
    ]
    if found:
        yield f"whether the builder and the runtime image have {', '.join(found)}"


def unseen_recipes(file: EnvironmentFile) -> Iterator[str]:
    """Package repositories at absolute paths, which only the builder image could have."""
    folder = posixpath.dirname(file.document.path)
    paths = [entry for _, entry in written_repositories(file.section) if isinstance(entry, str)]
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
