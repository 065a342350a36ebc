"""What is in a container, found in its own files: lockfile, recipes that packages keep, the distribution's records.

Spack keeps the recipe that a package was installed with below its prefix, in `.spack/repos` (`lib/spack/spack/repo.py`,
`dump_provenance`), so that licenses are those of the recipe that was used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from foundation.spack.grammar.concrete import concrete_node
from foundation.spack.grammar.licenses import NamedLicense, license_name, licenses_in
from foundation.spack.grammar.matching import Matcher
from foundation.spack.lockfile import Lockfile, nodes_in, read_lockfile
from foundation.spack.releases import USUAL
from foundation.spack.specs import spec_of
from job_creator.environments.views import LOCK_PATH
from job_creator.sbom import distribution
from job_creator.sbom.components import Bom, BomPackage, Licence, bom_of, spack_packages
from job_creator.sbom.licences import expression
from job_creator.sbom.own_bills import OwnBill, disagreements, is_own_bill, read_own_bill

_KEPT: Final = "/.spack/"
_RECIPE: Final = "/package.py"
_NO_FOLDERS: Final = ("/proc", "/sys", "/dev", "/usr/share", "/usr/lib/python3")
"""Where nobody installs with Spack."""


class ContainerFiles(Protocol):
    """The files of a container."""

    def read(self, path: str) -> bytes | None:
        """The content of a file; `None` where there is none. Raises `DamagedError`."""

    def files(self, path: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        """The files below a folder, those of folders that are not `wanted` left out."""


@dataclass(frozen=True, slots=True)
class BomRequest:
    """What is known of a container besides its files."""

    name: str
    version: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    recipes: Callable[[str], str | None] = lambda _: None
    """Gives the recipe of a package, where the container keeps none."""
    concluded: Mapping[str, Licence] = field(default_factory=dict)
    """What the site says of licenses, by the names of packages."""


def bom_of_container(files: ContainerFiles, asked: BomRequest, sha256: Callable[[bytes], str]) -> Bom:
    """The bill of materials of a container. Raises `DamagedError`, and `InvalidInputError` for a damaged lockfile."""
    lock = files.read(LOCK_PATH)
    facts = dict(asked.facts)
    unread = [path for path in distribution.UNREADABLE_RPM if files.read(path) is not None]
    packages = [*_of_distribution(files, unread)]
    if unread:
        facts["not read"] = ", ".join(unread)
    if lock is not None:
        facts["lockfile sha256"] = sha256(lock)
        names = {spec.name for spec in read_lockfile(lock, LOCK_PATH).installed()}
        paths = [*_kept(files)]
        kept = _recipes(files, paths, names)
        own = _own_bills(files, paths)
        listed = _of_lockfile(lock, lambda name: kept.get(name) or asked.recipes(name), asked.concluded)
        facts["disagrees with what Spack wrote"] = "; ".join(disagreements(listed, own))
        # What Spack wrote was read in the recipe that it installed with.
        packages += [
            replace(one, licence=one.licence or expression(own[one.hash].declared)) if one.hash in own else one
            for one in listed
        ]
    return bom_of(asked.name, asked.version, packages, facts)


def bom_of_lockfile(lock: bytes, place: str, asked: BomRequest) -> Bom:
    """The bill of materials of a lockfile alone. Raises `InvalidInputError`."""
    read_lockfile(lock, place)
    return bom_of(asked.name, asked.version, _of_lockfile(lock, asked.recipes, asked.concluded), asked.facts)


def _kept(files: ContainerFiles) -> Iterator[str]:
    """The files that Spack keeps beside what it installs."""
    for path in files.files("/", lambda folder: not folder.startswith(_NO_FOLDERS)):
        if _KEPT in path:
            yield path


def _recipes(files: ContainerFiles, kept: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """The recipes of these packages that installations keep, by package."""
    folders = {one.replace("-", "_"): one for one in names}
    found: dict[str, str] = {}
    for path in kept:
        if not path.endswith(_RECIPE):
            continue
        folder = path.removesuffix(_RECIPE).rpartition("/")[2]
        name = folders.get(folder.replace("-", "_").lstrip("_"))
        if name and name not in found:
            found[name] = (files.read(path) or b"").decode(errors="replace")
    return found


def _own_bills(files: ContainerFiles, kept: Iterable[str]) -> dict[str, OwnBill]:
    """What Spack wrote of the packages that it installed, by DAG hash; nothing before Spack 1.2."""
    found: dict[str, OwnBill] = {}
    for path in kept:
        if is_own_bill(path) and (bill := read_own_bill(files.read(path) or b"")):
            found[bill.hash] = bill
    return found


def _of_distribution(files: ContainerFiles, unread: list[str]) -> Iterator[BomPackage]:
    """What package managers have on record; databases that cannot be read are added to `unread`."""
    release = next((found for path in distribution.OS_RELEASE if (found := files.read(path)) is not None), b"")
    of = distribution.read_os_release(release)
    yield from distribution.dpkg_packages(files.read(distribution.DPKG) or b"", of)
    for path in files.files(distribution.DPKG_FOLDER, lambda _: True):
        if not path.endswith(".md5sums"):
            yield from distribution.dpkg_packages(files.read(path) or b"", of)
    yield from distribution.apk_packages(files.read(distribution.APK) or b"", of)
    for path in distribution.RPM:
        database = files.read(path)
        try:
            yield from distribution.rpm_packages(database, of) if database is not None else ()
        except ValueError:
            unread.append(path)


def _of_lockfile(
    lock: bytes, recipe_of: Callable[[str], str | None], concluded: Mapping[str, Licence]
) -> tuple[BomPackage, ...]:
    lockfile, nodes = read_lockfile(lock, LOCK_PATH), nodes_in(lock, LOCK_PATH)
    targets = {hash_: spec_of(node, hash_).target for hash_, node in nodes.items()}
    return spack_packages(lockfile, targets, _licences(lockfile, nodes, recipe_of), concluded)


def _licences(
    lockfile: Lockfile, nodes: Mapping[str, Mapping[str, Any]], recipe_of: Callable[[str], str | None]
) -> dict[str, Licence]:
    """The licenses of concrete specs, by DAG hash; conditions are held against the spec."""
    names = {spec.name for spec in lockfile.specs.values()}
    matcher = Matcher(USUAL, lambda hash_: concrete_node(nodes[hash_], hash_) if hash_ in nodes else None, names)
    said: dict[str, tuple[NamedLicense, ...]] = {}
    found: dict[str, Licence] = {}
    for spec in lockfile.installed():
        if spec.name not in said:
            said[spec.name] = licenses_in(recipe_of(spec.name) or "")
        if not said[spec.name]:
            continue
        node = concrete_node(nodes[spec.hash], spec.hash)
        if licence := expression(license_name(said[spec.name], node, matcher)):
            found[spec.hash] = licence
    return found
