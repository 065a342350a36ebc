"""What a mirror has, looked up, as the configuration of those who use it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from foundation.errors import NotThereError, RefusedError
from foundation.registries.repository import OciRepository
from foundation.spack import layout_oci, layout_v2, layout_v3
from foundation.spack.releases import SpackLine
from foundation.spack.source_needs import NEEDS_KEY
from foundation.spack.specs import is_signed as has_signature
from foundation.stores.opening import url_of
from foundation.stores.schemes import BUCKET, REGISTRY, kind_of
from foundation.stores.store import Store, read_all
from foundation.yaml_io import dump
from job_creator.mirrors import places
from job_creator.mirrors.configuration import scope as pure
from job_creator.mirrors.configuration.relocation import too_short
from job_creator.mirrors.configuration.scope import Holdings, holdings_of
from job_creator.mirrors.contents import COMMITS_KEY
from job_creator.mirrors.places import present

_TELLING: Final = (
    f"{pure.PACKAGES_REPOSITORY}/HEAD",
    f"{pure.SPACK_REPOSITORY}/HEAD",
    f"{pure.SOURCES_METADATA}/metadata.yaml",
    f"{pure.BINARIES_METADATA}/metadata.yaml",
    "v3/layout.json",
    "v3/manifests/index/index.manifest.json",
    "build_cache/index.json",
    NEEDS_KEY,
)
"""Keys of which a mirror has those that tell what it holds."""
_OVERRIDE: Final = re.compile(r"^( *)'(\w+:)':", re.MULTILINE)


@dataclass(frozen=True)
class Configuration:
    """A scope, file by file, and what its users run."""

    url: str
    files: Mapping[str, Mapping[str, Any]]
    holdings: Holdings

    def texts(self) -> dict[str, str]:
        """The files as they are written, with `key::` as Spack's own documentation writes it."""
        return {name: _OVERRIDE.sub(r"\1\2:", dump(content)) for name, content in self.files.items()}

    def instructions(self, folder: str) -> tuple[str, ...]:
        """What users run, for a scope in this folder."""
        return pure.instructions(self.url, folder, self.holdings)

    def warnings(self) -> tuple[str, ...]:
        """What whoever runs the mirror has to know."""
        return pure.warnings(self.url, self.holdings)

    def admin_instructions(self) -> tuple[str, ...]:
        """What the admin runs once on each machine."""
        return pure.admin_instructions(self.url, self.holdings)

    def as_value(self, folder: str) -> dict[str, Any]:
        """All of it for programs."""
        return {
            "files": self.texts(),
            "once_on_each_machine": self.admin_instructions(),
            "users_run": self.instructions(folder),
            "warnings": self.warnings(),
        }


def configuration(
    mirror: str,
    endpoint: str | None,
    environment: Mapping[str, str],
    line: SpackLine,
    *,
    is_signed: bool,
    only_this: bool,
) -> Configuration:
    """The configuration of a mirror's users. Raises `NotThereError`, `CouldNotAskError` and `RefusedError`."""
    place = places.open_place(mirror, endpoint, environment)
    if place is None:
        raise NotThereError(f"{mirror}: no such folder; 'jc mirror create' makes it")
    if isinstance(place, OciRepository):
        holdings = _holdings_of_registry(place)
    else:
        holdings = replace(_holdings(place), is_signed=is_signed)
        if is_signed and holdings.has_binaries and not _may_be_signed(place):
            raise RefusedError(
                f"{place.url}: none of its binaries is signed, so that Spack would take none; if users shall take them "
                "nevertheless, say --unsigned"
            )
    url = url_of(mirror)
    server = (endpoint or _endpoint(environment)) if kind_of(url) is BUCKET else None
    return Configuration(url, pure.scope(url, line, holdings, server, only_this=only_this), holdings)


def _may_be_signed(store: Store) -> bool:
    """Whether there is a signed binary; where nothing can be listed, that is not known."""
    if not store.can_be_listed:
        return True
    keys = [one.key for folder in (f"{layout_v3.MANIFESTS}spec/", layout_v2.FOLDER) for one in store.list(folder)]
    if any(key.endswith(".spec.json.sig") for key in keys):
        return True
    manifests = [key for key in keys if layout_v3.hash_of(key)]
    specs = manifests or [key for key in keys if layout_v2.is_spec_file(key)]
    found = read_all(store, manifests)
    return not specs or any(content is not None and has_signature(content.data) for _, content in found)


def _endpoint(environment: Mapping[str, str]) -> str | None:
    """The S3 server of this environment, which the mirror's users have not got."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT_URL")
    return next((environment[name] for name in names if environment.get(name)), None)


def require_room(mirror: str, endpoint: str | None, environment: Mapping[str, str], root: str) -> None:
    """Whether all binaries can be installed below a folder. Raises `RefusedError` with those that cannot."""
    if kind_of(mirror) is REGISTRY:
        raise RefusedError("--root: where binaries in registries were built is not looked at; leave it out")
    found = too_short(places.store_of(mirror, endpoint, environment), root)
    if found:
        longest = min(len(built.root) for built in found)
        listed = "\n".join(f"  {built.name}: {', '.join(built.files)}" for built in found)
        raise RefusedError(
            f"{root}: is longer ({len(root)} characters) than the folder in which these were built ({longest}), whose "
            f"name stands in their files; install into a shorter one, or build them with padded_length\n{listed}"
        )


def _holdings_of_registry(repository: OciRepository) -> Holdings:
    if not layout_oci.spec_tags(repository.tags() or ()):
        raise NotThereError(f"{repository.url}: no build cache; 'jc mirror create --binaries' makes it")
    return Holdings(has_sources=False, is_signed=False)


def _holdings(store: Store) -> Holdings:
    found = set(present(store, _TELLING))
    if store.can_be_listed:
        found |= {f"{name}/" for name in store.folders()}
    elif NEEDS_KEY in found:
        found.add("_source-cache/")
    commit = ""
    if store.can_be_listed and (content := store.read(COMMITS_KEY)):
        commit = (json.loads(content.data).get("packages") or [""])[0]
    return holdings_of(found, packages_commit=commit)
