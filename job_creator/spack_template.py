"""Template + definition -> `spack.yaml`, valid for the Spack line in use. One environment serves both the build cache
and the container, so that both see the same hashes.

Three layers, each stronger than the one before: what the site says (target, compiler, mirrors, CI), the template
`spack.yaml`, the definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_creator.architectures import Architecture, BinaryMirror, BranchCache, Bucket, BuildCache, Mirror
from job_creator.job_scripts import render
from job_creator.spack_line import SpackLine

DESTINATION = "buildcache-destination"
"""The mirror that `spack ci` pushes to; mandatory from Spack 0.23 on (lib/spack/spack/cmd/ci.py)."""
DEFAULT_BRANCH_CACHE = "buildcache-default-branch"
SOURCE_MIRROR = "source-mirror"
BINARY_MIRROR = "binary-mirror"

_MARKS = (":", "+", "-")
"""What Spack's `key::`, `key+:` and `key-:` leave at the end of a key that YAML has read."""
_NOT_CONFIGURATION = {"specs", "definitions", "view", "include", "include_concrete"}
"""Keys of an environment that no lower configuration scope has, so that a mark on them means nothing to Spack."""


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

    @property
    def signs(self) -> bool:
        """Only the default branch signs: everyone may write a merge request, and then read what its jobs see."""
        return self.is_default_branch and self.architecture.build_cache.signed

    @property
    def caches(self) -> dict[str, BuildCache | BranchCache]:
        """The caches by their names: the one that is pushed to, and for branches the default branch's, to read.

        A merge request may come from anyone, so the cache of the default branch is not named in its environments.
        """
        own: dict[str, BuildCache | BranchCache] = {DESTINATION: self.destination}
        if self.is_default_branch or self.is_merge_request:
            return own
        return {**own, DEFAULT_BRANCH_CACHE: self.architecture.build_cache}

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

    def credentials(self) -> dict[str, str]:
        """Job variables with the S3 keys, for lines whose mirrors cannot name the variables themselves."""
        return {} if self.line.credentials_by_variable else self.destination.credential_variables()


def merged_environment(setting: Setting, template: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The `spack.yaml` of one container, as plain values."""
    generated = {
        "packages": {"all": requirements(setting.line, setting.architecture)},
        "mirrors": mirrors(setting),
        "ci": pipeline_generation(setting),
    }
    environment = merge(merge(generated, template), definition)
    first = {"specs": environment.pop("specs", [])}
    return {"spack": _padded(_valid_for_line({**first, **environment}), setting.architecture.binary_mirror)}


def merge(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Two levels of an environment as one; neither argument is changed.

    Mappings merge key by key, everything else is replaced, unless the stronger key carries one of Spack's marks
    (Spack docs, "Configuration files"): `key::` drops what the weaker side has under it, and stays marked so that
    Spack drops its own lower scopes as well; `key+:` puts a list before the weaker one, `key-:` after it.
    """
    result = dict(weaker)
    for marked, value in stronger.items():
        name, mark = _split(marked)
        below = next((key for key in result if _split(key)[0] == name), None)
        inherited = result.get(below) if below is not None else None
        if mark == ":":
            result = _replaced(result, below, name if name in _NOT_CONFIGURATION else marked, value)
        elif isinstance(value, Mapping):
            inner = merge(inherited if isinstance(inherited, Mapping) else {}, value)
            result = _replaced(result, below, below or marked, inner)
        elif mark and isinstance(value, list) and isinstance(inherited, list):
            joined = [*value, *inherited] if mark == "+" else [*inherited, *value]
            result = _replaced(result, below, below or name, joined)
        else:
            key = marked if mark and below is None and name not in _NOT_CONFIGURATION else name
            result = _replaced(result, below, key, value)
    return result


def requirements(line: SpackLine, architecture: Architecture) -> dict[str, Any]:
    """`packages:all:` so that everything is built for one target by one compiler.

    From Spack 1.0 on what follows `%` binds to the compiler, which is a package with a target of its own, and not
    every package has one: hence a preference for the target and a conditional requirement for each language.
    """
    target = f"target={architecture.target}" if architecture.target else ""
    compiler = architecture.compiler
    if not line.compilers_are_dependencies:
        parts = [f"%{compiler}" if compiler else "", target]
        text = " ".join(part for part in parts if part)
        return {"require": text} if text else {}
    languages = " ".join(f"%[when=%{language}]{language}={compiler}" for language in ("c", "cxx", "fortran"))
    return {**({"prefer": [target]} if target else {}), **({"require": languages} if compiler else {})}


def mirrors(setting: Setting) -> dict[str, Any]:
    """The build caches and mirrors of a run, as Spack's configuration names them."""
    cache = setting.architecture.build_cache
    caches = {
        name: mirror(found, setting.line, signed=cache.signed if found is cache else False)
        for name, found in setting.caches.items()
    }
    return caches | {name: _site_mirror(found, setting) for name, found in setting.mirrors.items()}


def credential_variables(setting: Setting) -> tuple[str, ...]:
    """Names of the variables in which Spack looks for the keys of these mirrors; for a public one they are not set."""
    if not setting.line.credentials_by_variable:
        return tuple(setting.credentials())
    pushed = [found for found in setting.mirrors.values() if found.bucket and setting.pushes_to(found)]
    keyed = (*setting.caches.values(), *pushed)
    pairs = [(one.access_key_id_variable, one.secret_access_key_variable) for one in keyed]
    return tuple(dict.fromkeys(name for pair in pairs for name in pair))


def pipeline_generation(setting: Setting) -> dict[str, Any]:
    """The `ci:` section (lib/spack/spack/schema/ci.py).

    `script::` replaces Spack's own script, which would otherwise run as well.
    """
    variables = {**setting.credentials(), **setting.architecture.job_variables("packages")}
    any_job: dict[str, Any] = {
        "image": {"name": setting.builder, "entrypoint": [""]},
        "tags": list(setting.architecture.tags("packages")),
        "before_script": [render("spack_setup.sh.j2", public_key=setting.public_key_variable)],
        **({"variables": variables} if variables else {}),
    }
    build_job: dict[str, Any] = {"script:": [render("spack_rebuild.sh.j2")]}
    if setting.signs:
        build_job["before_script-"] = [render("spack_sign.sh.j2", private_key=setting.signing_key_variable)]
    return {"target": "gitlab", "pipeline-gen": [{"any-job": any_job}, {"build-job": build_job}]}


def mirror(cache: Bucket, line: SpackLine, *, signed: bool) -> dict[str, Any]:
    """One bucket as Spack's configuration describes it, with the names of variables instead of keys."""
    described: dict[str, Any] = {"url": cache.url}
    if cache.endpoint:
        described["endpoint_url"] = cache.endpoint
    if line.mirrors_can_be_unsigned:
        described["signed"] = signed
    if line.credentials_by_variable:
        described["access_pair"] = {
            "id_variable": cache.access_key_id_variable,
            "secret_variable": cache.secret_access_key_variable,
        }
    return described


def _site_mirror(found: Mirror, setting: Setting) -> dict[str, Any]:
    """A mirror of the site for those who read it. Whoever reads it at its `url` needs no keys.

    The keys of a bucket are named only in runs that may push to it: who may change the jobs of another branch could
    send them anywhere. Where Spack cannot name keys in a mirror, it has those of the build cache, or none.
    """
    bucket = found.in_bucket
    if bucket and not found.url:
        described = mirror(bucket, setting.line, signed=False)
        if not setting.pushes_to(found):
            described.pop("access_pair", None)
    else:
        described = {"url": found.url}
    described.pop("signed", None)
    is_binary = isinstance(found, BinaryMirror)
    described |= {"source": not is_binary, "binary": is_binary}
    if isinstance(found, BinaryMirror) and setting.line.mirrors_can_be_unsigned:
        described["signed"] = found.signed
    return described


def _padded(environment: dict[str, Any], promise: BinaryMirror | None) -> dict[str, Any]:
    """Who installs from a mirror relies on the length of its paths, so neither template nor definition changes it."""
    if promise is None or promise.padded_length is None:
        return environment
    key = _key_of(environment, "config")
    config = environment.get(key)
    values = config if isinstance(config, Mapping) else {}
    inner = _key_of(values, "install_tree")
    tree = values.get(inner)
    # A definition may have replaced all of it by a path, which only is a mapping further up.
    written = {"root": tree} if isinstance(tree, str) else tree if isinstance(tree, Mapping) else {}
    return {**environment, key: {**values, inner: {**written, "padded_length": promise.padded_length}}}


def _key_of(mapping: Mapping[str, Any], name: str) -> str:
    """How a key is written here, whose mark is part of it."""
    return next((key for key in mapping if unmarked(key) == name), name)


def _valid_for_line(environment: dict[str, Any]) -> dict[str, Any]:
    """A plain path as `install_tree` is refused from Spack 1.1 on; the mapping is known to all lines."""
    config = environment.get("config")
    if isinstance(config, Mapping) and isinstance(config.get("install_tree"), str):
        environment["config"] = {**config, "install_tree": {"root": config["install_tree"]}}
    return environment


def unmarked(key: str) -> str:
    """The name of a key, without the mark that may stand at its end."""
    return _split(key)[0]


def _split(key: str) -> tuple[str, str]:
    return (key[:-1], key[-1]) if len(key) > 1 and key.endswith(_MARKS) else (key, "")


def _replaced(mapping: Mapping[str, Any], old: str | None, new: str, value: Any) -> dict[str, Any]:
    """The mapping with one entry exchanged at its place, or added at the end."""
    if old is None:
        return {**mapping, new: value}
    return {(new if key == old else key): (value if key == old else inner) for key, inner in mapping.items()}
