"""Who is given which S3 keys: nothing that branches are given may write what the default branch uses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from foundation.errors import Fault
from foundation.yaml_io import Document
from job_creator.site.architectures import Architecture
from job_creator.site.places import BinaryMirror, Bucket, BuildCache, ContainersBucket, KeyVariables, Mirror

_REFERENCE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)|%([A-Za-z_][A-Za-z0-9_]*)%")
"""How values of variables name others (GitLab: lib/expand_variables.rb)."""

_Keys = tuple[str, ...]
"""Where something stands in an architecture of the site file."""


def key_faults(architectures: Mapping[str, Architecture], document: Document) -> Iterator[Fault]:
    """What of a site file would put keys of the default branch into the sight of others, or mix both their places."""
    own = released_keys(architectures)
    for name, architecture in architectures.items():
        for location, names in (*_given_to_branches(architecture), *_in_variables(architecture)):
            if shared := [one for one in names if one in own]:
                yield document.fault(
                    ("architectures", name, *location),
                    f"branches would be given {' and '.join(shared)}, which may write what the default branch uses",
                    "name the variables of another pair of keys, which may not",
                )
        for key, bucket in _kept(architecture):
            if bucket.branches and _place(bucket.branches) == _place(bucket):
                yield document.fault(
                    ("architectures", name, key, "branches"),
                    f"is the place of the default branch itself, {bucket.url}",
                    "name another bucket, or another prefix",
                )
    yield from _reader_faults(architectures, document)


def released_keys(architectures: Mapping[str, Architecture]) -> frozenset[str]:
    """The names of the variables with the keys that write what the default branch uses."""
    buckets = (bucket for one in architectures.values() for bucket in _released(one))
    return frozenset(name for bucket in buckets for name in bucket.writer.names)


def writing_keys(architectures: Mapping[str, Architecture]) -> dict[str, str]:
    """The names of the variables with keys that write anything, each with the place that it writes.

    Nothing writes to a mirror of packages, so that its keys are there to read it.
    """
    found: dict[str, str] = {}
    for one in architectures.values():
        kept = [(bucket, bucket.of_branches()) for _, bucket in _kept(one)]
        places: list[Bucket | None] = [place for pair in kept for place in pair]
        places.append(one.source_mirror.in_bucket if one.source_mirror else None)
        for place in places:
            for name in place.writer.names if place else ():
                found.setdefault(name, f"writes {place.url}" if place else "")
    return found


def _reader_faults(architectures: Mapping[str, Architecture], document: Document) -> Iterator[Fault]:
    """Keys that foreign code reads with, and that write something; those of the default branch are told already."""
    writing, own = writing_keys(architectures), released_keys(architectures)
    for name, architecture in architectures.items():
        for location, names in _given_to_foreign_code(architecture):
            is_told = location[-1] == "reader" and any(one in own for one in names)
            if not is_told and (shared := [one for one in names if one in writing]):
                yield document.fault(
                    ("architectures", name, *location),
                    f"what builds packages would be given {' and '.join(shared)}, which {writing[shared[0]]}",
                    "name keys below 'reader:' that may only read",
                )


def _given_to_foreign_code(architecture: Architecture) -> Iterator[tuple[_Keys, _Keys]]:
    for name, bucket in _kept(architecture):
        yield from _reader((name, "reader"), bucket.reader)
        yield from _reader((name, "branches", "reader"), bucket.branches.reader if bucket.branches else None)
    for name, mirror in architecture.mirrors():
        yield from _reader((name, "reader"), mirror.reader)
        if isinstance(mirror, BinaryMirror) and mirror.bucket and not mirror.reader:
            yield from _reader((name,), mirror.reading_pair)


def secret_faults(
    architectures: Mapping[str, Architecture], secrets: Mapping[str, str], document: Document
) -> Iterator[Fault]:
    """Variables of a site file by which foreign code would get `secrets`; those of `key_faults` are told there."""
    own = released_keys(architectures)
    for name, architecture in architectures.items():
        for location, given in _in_variables(architecture):
            told = () if any(one in own for one in given) else given
            for secret in given_away(location[-1], told, secrets):
                yield document.fault(("architectures", name, *location), *told_of(secret, secrets))


def given_away(name: str, referred_to: Iterable[str], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets that whoever sees a variable sees: by its value, or by its name, of which a project's own value wins.

    Source: GitLab docs, "CI/CD variable precedence".
    """
    return tuple(one for one in dict.fromkeys((name, *referred_to)) if one in secrets)


def told_of(secret: str, secrets: Mapping[str, str]) -> tuple[str, str]:
    """The message, and the hint, where a secret would be given away."""
    message = f"recipes and builds would be given {secret}, which {secrets[secret]}"
    return message, "name another variable; what they read with must not do more than read"


def referred(text: str) -> tuple[str, ...]:
    """The names of the variables that GitLab would replace in the value of a variable."""
    return tuple(plain or percent for plain, percent in _REFERENCE.findall(text))


def _released(architecture: Architecture) -> Iterator[Bucket]:
    yield from (bucket for _, bucket in _kept(architecture))
    for _, mirror in architecture.mirrors():
        if mirror.in_bucket and mirror.push == "default branch":
            yield mirror.in_bucket


def _kept(architecture: Architecture) -> Iterator[tuple[str, BuildCache | ContainersBucket]]:
    """The buckets of which branches have a part of their own."""
    yield "build_cache", architecture.build_cache
    if architecture.containers:
        yield "containers", architecture.containers


def _given_to_branches(architecture: Architecture) -> Iterator[tuple[_Keys, _Keys]]:
    """The names of the keys that jobs of branches are given, and where they stand."""
    for name, bucket in _kept(architecture):
        branches = bucket.of_branches()
        there = (name, "branches") if bucket.branches else (name,)
        yield there, branches.writer.names
        yield from _reader((*there, "reader"), bucket.branches.reader if bucket.branches else None)
        yield from _reader((name, "reader"), bucket.reader)
    for name, mirror in architecture.mirrors():
        yield from _reader((name, "reader"), mirror.reader)
        if mirror.bucket and _is_pushed_by_branches(mirror):
            yield (name, "push"), mirror.writer.names


def _reader(location: _Keys, keys: KeyVariables | None) -> Iterator[tuple[_Keys, _Keys]]:
    if keys:
        yield location, keys.names


def _is_pushed_by_branches(mirror: Mirror) -> bool:
    return mirror.push not in ("default branch", "nobody")


def _in_variables(architecture: Architecture) -> Iterator[tuple[_Keys, _Keys]]:
    """The variables that those of all jobs refer to."""
    yield from _references(("variables",), architecture.variables)
    for place, settings in (("jobs", architecture.jobs), ("packages", architecture.packages)):
        for name, one in settings.items():
            yield from _references((place, name, "variables"), one.variables)


def _references(location: _Keys, variables: Mapping[str, str]) -> Iterator[tuple[_Keys, _Keys]]:
    for name, text in variables.items():
        yield (*location, name), referred(text)


def _place(bucket: Bucket) -> tuple[str | None, str]:
    return bucket.endpoint, bucket.url
