"""The packages of a lockfile: signature, spec file and archive of each, by papers in the container or in a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from foundation.doors.blocks import sha256_of
from foundation.errors import CouldNotAskError, DamagedError, FileAccessError, NotThereError
from foundation.openpgp.keys import Signature, State
from foundation.openpgp.ring import key_ring
from foundation.spack.lockfile import LockedSpec, Lockfile, nodes_in
from job_creator.proving.chain import Link, LinkState, broken, holds, unanswered, unchecked
from job_creator.proving.papers import CacheLayout, PackageArchive, PackagePapers
from job_creator.proving.shelves import CacheShelf, LockedNode, manifest_key

_OTHER_KEY: Final = "is signed by a key that is not the site's"
_NO_KEY: Final = "the site's public key is needed: --key FILE"
_SIGNATURE: Final = "manifest and signature"


@dataclass(frozen=True, slots=True)
class PackageRules:
    """How packages are looked at."""

    keys: bytes | None
    shelves: Sequence[CacheShelf] = ()
    """The caches to look in; the first one counts that has a package."""
    carried: Mapping[str, PackagePapers] = field(default_factory=dict)
    """The papers that the container carries, by DAG hash."""
    is_deep: bool = False
    """Whether archives are read, not only looked for."""


def title(spec: LockedSpec) -> str:
    """How a package is called."""
    return f"{spec.name}@{spec.version}/{spec.hash[:7]}"


def cached_specs(lock: bytes, lockfile: Lockfile) -> list[LockedNode]:
    """The packages that Spack installed, and that are not only there to build others, with their nodes."""
    nodes = nodes_in(lock, "spack.lock")
    return [(spec, nodes[spec.hash]) for spec in lockfile.installed() if not spec.is_external]


def packages_link(lock: bytes, lockfile: Lockfile, rules: PackageRules) -> Link:
    """All packages that a lockfile installs. Raises `CouldNotAskError` if gpg cannot be asked."""
    specs = cached_specs(lock, lockfile)
    external = len(lockfile.installed()) - len(specs)
    others = f"; {external} external ones are of the base image" if external else ""
    if not (rules.shelves or rules.carried):
        return unchecked("packages", f"{len(specs)}{others}; say where the build cache is: --cache URL")
    links = package_links(specs, rules)
    states = {link.state for link in links}
    count = sum(link.state is LinkState.HOLDS for link in links)
    where = "in the cache" if rules.shelves else "on record in the container"
    said = f"{count} of {len(links)} are {where} as they were signed{others}"
    if LinkState.BROKEN in states:
        # The package itself is named, not all of them.
        return Link("packages", LinkState.NOT_CHECKED, said, links)
    rest = LinkState.HOLDS if count == len(links) else LinkState.NOT_CHECKED
    return Link("packages", LinkState.NO_ANSWER if LinkState.NO_ANSWER in states else rest, said, links)


def package_links(specs: Sequence[LockedNode], rules: PackageRules) -> tuple[Link, ...]:
    """A link for each package. What the container carries is checked, and what the caches have."""
    carried = _Papers.verified(
        {spec.hash: rules.carried[spec.hash] for spec, _ in specs if spec.hash in rules.carried}, rules
    )
    cached, silent = _cached(specs, rules)
    return tuple(_link(one, carried, cached, silent, rules) for one in specs)


def _cached(specs: Sequence[LockedNode], rules: PackageRules) -> tuple[_Papers, str]:
    """What the caches have, and why the last one did not answer that did not."""
    found = _Papers()
    silent = ""
    for shelf in rules.shelves:
        left = [one for one in specs if one[0].hash not in found.papers]
        try:
            papers = _Papers.verified(shelf.papers(left), rules)
            archives = _archives(papers.papers)
            sizes = shelf.sizes([one.key for one in archives.values()])
        except (CouldNotAskError, FileAccessError) as error:
            silent = str(error)
            continue
        found.papers.update(papers.papers)
        found.signatures.update(papers.signatures)
        found.archives.update({hash_: (shelf, sizes.get(one.key)) for hash_, one in archives.items()})
    return found, silent


def _archives(papers: Mapping[str, PackagePapers]) -> dict[str, PackageArchive]:
    found: dict[str, PackageArchive] = {}
    for hash_, one in papers.items():
        try:
            found[hash_] = one.archive()
        except DamagedError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class _Papers:
    """Papers of packages by DAG hash, what their signatures are worth, and where caches have the archives."""

    papers: dict[str, PackagePapers] = field(default_factory=dict)
    signatures: dict[str, Signature] = field(default_factory=dict)
    archives: dict[str, tuple[CacheShelf, int | None]] = field(default_factory=dict)

    @classmethod
    def verified(cls, papers: Mapping[str, PackagePapers], rules: PackageRules) -> _Papers:
        """With their signatures, all at once."""
        signed = {hash_: one.manifest for hash_, one in papers.items() if one.is_signed}
        if not (rules.keys and signed):
            return cls({**papers})
        with key_ring((rules.keys,)) as ring:
            return cls({**papers}, {**ring.verify(signed)})


def _link(one: LockedNode, carried: _Papers, cached: _Papers, silent: str, rules: PackageRules) -> Link:
    """One package: its papers in the container, and in a cache."""
    spec = one[0]
    inside, there = carried.papers.get(spec.hash), cached.papers.get(spec.hash)
    links: list[Link] = []
    if inside:
        links += _paper_links(one, inside, carried.signatures.get(spec.hash), rules, is_ours=True)
    if there and (inside is None or (there.manifest, there.spec) != (inside.manifest, inside.spec)):
        links += _paper_links(one, there, cached.signatures.get(spec.hash), rules, is_ours=False)
    if there:
        links.append(_archive_link(there, *cached.archives.get(spec.hash, (None, None)), is_deep=rules.is_deep))
    elif silent:
        return unanswered(title(spec), silent)
    elif rules.shelves:
        said = f"none of the caches has its manifest {manifest_key(spec)}"
        if not inside:
            return broken(title(spec), said)
        links.append(unchecked("archive", f"{said}; it may have been cleaned away"))
    if not links:
        return unchecked(
            title(spec), "the container carries no papers of it; say where the build cache is: --cache URL"
        )
    return _summary(spec, links, there or inside)


def _summary(spec: LockedSpec, links: Sequence[Link], papers: PackagePapers | None) -> Link:
    for state in (LinkState.BROKEN, LinkState.NO_ANSWER, LinkState.NOT_CHECKED):
        worst = next((one for one in links if one.state is state), None)
        if worst:
            return Link(title(spec), state, f"its {worst.name}: {worst.said}", tuple(links))
    return holds(title(spec), f"{papers.cache if papers else ''} has what is signed", *links)


def _paper_links(
    one: LockedNode, papers: PackagePapers, signature: Signature | None, rules: PackageRules, *, is_ours: bool
) -> list[Link]:
    """Manifest, signature and spec file; `is_ours` says that the container carries them: the site signed them, too."""
    return [_signature_link(papers, signature, rules, is_ours=is_ours), _spec_link(one, papers)]


def _signature_link(papers: PackagePapers, signature: Signature | None, rules: PackageRules, *, is_ours: bool) -> Link:
    try:
        expected = papers.spec_checksum
    except DamagedError as error:
        return broken(_SIGNATURE, str(error))
    if not papers.is_signed:
        why = "nothing in a registry is signed" if papers.layout is CacheLayout.OCI else "is not signed"
        return unchecked(_SIGNATURE, why)
    if rules.keys is None:
        return unchecked(_SIGNATURE, _NO_KEY)
    if fault := papers.form_fault:
        return broken(_SIGNATURE, fault)
    if signature is not None and signature.state is State.GOOD:
        return holds(_SIGNATURE, f"by {signature.fingerprint}; the spec file has sha256 {expected or 'of its own'}")
    state = signature.state if signature else State.UNREADABLE
    if state is State.NO_KEY:
        # A site may have packages that another one signed; which of them it took, it says with its own signature.
        return (
            unchecked(_SIGNATURE, "is signed by a key that was not given")
            if is_ours
            else broken(_SIGNATURE, _OTHER_KEY)
        )
    return broken(_SIGNATURE, str(state))


def _spec_link(one: LockedNode, papers: PackagePapers) -> Link:
    name, (spec, node) = "spec file", one
    if not papers.spec and papers.layout is not CacheLayout.V2:
        return broken(name, f"{papers.key} leads to none that is there")
    try:
        first = papers.spec_file().nodes[0]
        archive = papers.archive()
    except DamagedError as error:
        return broken(name, str(error))
    if first.get("hash") != spec.hash:
        return broken(name, f"is about /{first.get('hash')}, not /{spec.hash}")
    differ = [key for key in sorted(node) if key != "hash" and first.get(key) != node[key]]
    if differ:
        return broken(name, f"says another {', '.join(differ)} than the lockfile")
    return holds(name, f"as in the lockfile; its archive has sha256 {archive.sha256}")


def _archive_link(papers: PackagePapers, shelf: CacheShelf | None, size: int | None, *, is_deep: bool) -> Link:
    try:
        archive = papers.archive()
    except DamagedError as error:
        return broken("archive", str(error))
    if shelf is None or size is None:
        return broken("archive", f"{archive.key} is not there")
    if -1 not in (size, archive.size) and size != archive.size:
        return broken("archive", f"{archive.key} has {size} bytes, not {archive.size}")
    if not is_deep:
        return holds("archive", f"{archive.key} is there in its size; --deep reads it")
    try:
        found = sha256_of(shelf.stream(archive.key))
    except NotThereError as error:
        return broken("archive", str(error))
    except CouldNotAskError as error:
        return unanswered("archive", str(error))
    if found != archive.sha256:
        return broken("archive", f"{archive.key} has sha256 {found}")
    return holds("archive", f"{archive.key} has its sha256")
