"""For which run of which site an environment is merged, and where its build cache is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foundation.spack.releases import SpackLine
from job_creator.environments.mirror_names import BINARY_MIRROR, DEFAULT_BRANCH_CACHE, DESTINATION, SOURCE_MIRROR
from job_creator.site.architectures import Architecture
from job_creator.site.places import BinaryMirror, BranchCache, Bucket, BuildCache, KeyVariables, Mirror


@dataclass(frozen=True, slots=True)
class Setting:
    """What the environments of one architecture are generated for."""

    architecture: Architecture
    line: SpackLine
    builder: str
    """Reference of the builder image that packages are compiled in."""
    is_default_branch: bool
    is_merge_request: bool
    signing_key_variable: str
    public_key_variable: str
    branch: str = ""
    """The branch of this run; empty for merge requests and tags."""
    installer: str | None = None
    """Which of Spack's installers the site wants."""

    @property
    def signs(self) -> bool:
        """Only the default branch signs: everyone may write a merge request, and then read what its jobs see."""
        return self.is_default_branch and self.architecture.build_cache.signed

    @property
    def reads_signed(self) -> bool:
        """Whether jobs read packages whose signatures count, so that they have to know keys."""
        caches = self.caches.values()
        signed = any(isinstance(cache, BuildCache) and cache.signed for cache in caches)
        binaries = self.architecture.binary_mirror
        return signed or bool(binaries and binaries.signed)

    @property
    def caches(self) -> dict[str, BuildCache | BranchCache]:
        """The caches by their names: the one that is pushed to, and for all others the default branch's, to read."""
        own: dict[str, BuildCache | BranchCache] = {DESTINATION: self.destination}
        return own if self.is_default_branch else {**own, DEFAULT_BRANCH_CACHE: self.architecture.build_cache}

    @property
    def destination(self) -> BuildCache | BranchCache:
        """The build cache that this run pushes to."""
        cache = self.architecture.build_cache
        return cache if self.is_default_branch else cache.of_branches()

    def pushes_to(self, mirror: Mirror) -> bool:
        """Whether this run may write to a mirror. Its keys are named nowhere else."""
        return mirror.may_be_pushed_to(self.branch, is_default=self.is_default_branch)

    @property
    def mirrors(self) -> dict[str, Mirror]:
        """The site's mirrors by their names, in the order in which Spack asks them."""
        here = self.architecture
        named = {BINARY_MIRROR: here.binary_mirror, SOURCE_MIRROR: here.source_mirror}
        return {name: mirror for name, mirror in named.items() if mirror}

    def credentials(self, *, writes: bool = True) -> dict[str, str]:
        """Job variables with the S3 keys, for lines whose mirrors cannot name the variables themselves."""
        return {} if self.line.credentials_by_variable else self.destination.credential_variables(writes=writes)


def mirrors(setting: Setting, *, writes: bool = True) -> dict[str, Any]:
    """The build caches and mirrors of a run, as Spack's configuration names them, for jobs that write or only read."""
    cache = setting.architecture.build_cache
    caches = {
        name: mirror(
            found,
            setting.line,
            _keys(found, owner=name == DESTINATION, writes=writes),
            signed=cache.signed if found is cache else False,
        )
        for name, found in setting.caches.items()
    }
    return caches | {name: _site_mirror(found, setting) for name, found in setting.mirrors.items()}


def _keys(bucket: Bucket, *, owner: bool, writes: bool) -> dict[str, KeyVariables | None]:
    """The keys of a bucket by what they are for; whoever only reads is given no others."""
    read = {"fetch": bucket.keys_of(owner=owner, writes=False)}
    return {**read, "push": bucket.writer} if owner and writes else read


def reading_variables(setting: Setting) -> tuple[str, ...]:
    """Names of the variables in which Spack looks for the keys of mirrors that it only reads.

    For a public one they are not set.
    """
    if setting.line.credentials_by_variable:
        return named_variables(mirrors(setting, writes=False))
    return tuple(setting.credentials(writes=False))


def with_destination(mirrors_section: Any, setting: Setting) -> dict[str, Any]:
    """A section `mirrors` with the destination in it: `spack ci` needs that, also where `mirrors::` drops the rest."""
    destination = {DESTINATION: mirrors(setting)[DESTINATION]}
    return {**destination, **(mirrors_section if isinstance(mirrors_section, Mapping) else {})}


def named_variables(mirrors_section: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the variables in which mirrors say that their keys are."""
    names: list[str] = []
    for found in mirrors_section.values():
        connections = [found, found.get("fetch")] if isinstance(found, Mapping) else []
        for one in connections:
            if not isinstance(one, Mapping):
                continue
            pair = one.get("access_pair")
            keys = (pair.get("id_variable"), pair.get("secret_variable")) if isinstance(pair, Mapping) else ()
            names += [name for name in (*keys, one.get("access_token_variable")) if isinstance(name, str)]
    return tuple(dict.fromkeys(names))


def mirror(cache: Bucket, line: SpackLine, keys: Mapping[str, KeyVariables | None], *, signed: bool) -> dict[str, Any]:
    """One bucket as Spack's configuration describes it, with the names of variables instead of keys.

    `keys` are those to `fetch` and to `push`, which stand apart where they differ: foreign code only gets the former.
    """
    place = {"url": cache.url, **({"endpoint_url": cache.endpoint} if cache.endpoint else {})}
    pairs = {
        use: {"access_pair": dict(zip(("id_variable", "secret_variable"), pair.names, strict=True))} if pair else {}
        for use, pair in keys.items()
        if line.credentials_by_variable
    }
    alike = all(pair == pairs.get("fetch") for pair in pairs.values())
    described: dict[str, Any] = place if alike else {use: {**place, **pair} for use, pair in pairs.items()}
    if line.mirrors_can_be_unsigned:
        described["signed"] = signed
    return {**described, **pairs.get("fetch", {})} if alike else described


def _site_mirror(found: Mirror, setting: Setting) -> dict[str, Any]:
    """A mirror of the site for those who read it, as all jobs do that Spack runs in. At its `url` nobody needs keys.

    Where Spack cannot name keys in a mirror, it has those of the build cache, or none.
    """
    bucket, is_binary = found.in_bucket, isinstance(found, BinaryMirror)
    if bucket and not found.url:
        pair = found.reading_pair if isinstance(found, BinaryMirror) and setting.pushes_to(found) else found.reader
        described = mirror(bucket, setting.line, {"fetch": pair}, signed=False)
    else:
        described = {"url": found.url}
    described.pop("signed", None)
    described |= {"source": not is_binary, "binary": is_binary}
    if isinstance(found, BinaryMirror) and setting.line.mirrors_can_be_unsigned:
        described["signed"] = found.signed
    return described
