"""The buckets of a site: whether each pair of keys may do what it is for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from foundation.stores.s3_client import S3Keys, parse_s3_url
from foundation.stores.s3_rights import BucketRights, ExpiryRule
from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Patient
from job_creator.site.places import Bucket, BuildCache, ContainersBucket, KeyVariables
from job_creator.site.site import Site

_AREA: Final = "buckets"
_ADVICE: Final = "correct bucket, endpoint or keys; nothing that needs them can work"


@dataclass(frozen=True, slots=True)
class BucketUse:
    """Who is to do what in a bucket; without `keys`, whoever has none."""

    name: str
    """Where the site file has it: `amd64: build_cache: reader`."""
    url: str
    endpoint: str | None
    keys: KeyVariables | None
    writes: bool


def bucket_uses(site: Site) -> tuple[BucketUse, ...]:
    """All pairs of keys and what they are for; a pair that several architectures have, for the first of them."""
    found: dict[tuple[str, str | None, KeyVariables | None, bool], BucketUse] = {}
    for architecture, one in site.architectures.items():
        kept = {"build_cache": one.build_cache, "containers": one.containers}
        named = {name: mirror.in_bucket for name, mirror in one.mirrors()}
        for name, bucket in (*kept.items(), *named.items()):
            for use in _uses(f"{architecture}: {name}", bucket) if bucket else ():
                found.setdefault((use.url, use.endpoint, use.keys, use.writes), use)
    return tuple(found.values())


def bucket_examinations(site: Site, environment: Mapping[str, str]) -> Iterator[Examination | Diagnosis]:
    """A question for each; what cannot be asked, since its keys are not here, is said at once."""
    for use in bucket_uses(site):
        patient = Patient(_AREA, use.name)
        absent = [name for name in use.keys.names if not environment.get(name)] if use.keys else []
        if absent:
            said = f"{use.url}: {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not set here"
            yield patient.not_checked(said, "set them for this command, or run it in a job that has them")
            continue
        keys = S3Keys(*(environment[name] for name in use.keys.names)) if use.keys else None
        yield Examination(patient, partial(_rights, patient, use, keys), _ADVICE)


def _uses(name: str, bucket: Bucket) -> Iterator[BucketUse]:
    yield BucketUse(name, bucket.url, bucket.endpoint, bucket.writer, writes=True)
    if bucket.reader:
        yield BucketUse(f"{name}: reader", bucket.url, bucket.endpoint, bucket.reader, writes=False)
    if not isinstance(bucket, BuildCache | ContainersBucket):
        return
    if not bucket.reader and isinstance(bucket, BuildCache):
        yield BucketUse(f"{name}, without keys", bucket.url, bucket.endpoint, None, writes=False)
    branches = bucket.of_branches()
    yield BucketUse(f"{name}: branches", branches.url, branches.endpoint, branches.writer, writes=True)
    if bucket.branches and branches.reader:
        yield BucketUse(f"{name}: branches: reader", branches.url, branches.endpoint, branches.reader, writes=False)


def _rights(patient: Patient, use: BucketUse, keys: S3Keys | None) -> Iterator[Diagnosis]:
    bucket = BucketRights(parse_s3_url(use.url), use.endpoint, keys)
    yield _listing(patient, use, bucket.why_not_listed())
    yield from _writing(patient, use, bucket.why_not_written())
    if use.writes:
        yield from _settings(patient, use, bucket)


def _listing(patient: Patient, use: BucketUse, refusal: str) -> Diagnosis:
    if not refusal:
        return patient.ok(f"{use.url} can be listed")
    if use.keys is None:
        said = f"{use.url} cannot be listed without keys ({refusal}), so no job finds the packages in it"
        return patient.fault(said, "name keys that may only read, 'reader:', or let everyone read the bucket")
    return patient.fault(f"{use.url} cannot be listed: {refusal}", "give these keys the right to list the whole bucket")


def _writing(patient: Patient, use: BucketUse, refusal: str) -> Iterator[Diagnosis]:
    if use.writes and refusal:
        yield patient.fault(
            f"{use.url} cannot be written: {refusal}", "give these keys the right to write and delete there"
        )
    elif use.writes:
        yield patient.ok(f"{use.url} can be written; an upload was begun and given up. Deleting was not tried")
    elif not refusal:
        who = "everyone, without any keys," if use.keys is None else "these keys, which every branch is given,"
        said = f"{who} can write to {use.url}: what the default branch uses is in nobody's hand"
        yield patient.fault(
            said, "hold them to reading, by the bucket's policy (docs/variables-and-permissions.md has one)"
        )
    elif use.keys is not None:
        yield patient.ok(f"{use.url} cannot be written with these keys, as it should be")


def _settings(patient: Patient, use: BucketUse, bucket: BucketRights) -> Iterator[Diagnosis]:
    rules = bucket.expiry_rules()
    if rules is None:
        yield patient.not_checked("rules by which the server removes objects: these keys may not ask for them")
    for rule in rules or ():
        if not rule.only_old_versions:
            yield patient.fault(
                f"{use.url}: {_removal(rule)}",
                "take this place out of the rule: what goes by itself is still in the index",
            )
    versions = bucket.keeps_versions()
    if versions is None:
        yield patient.not_checked("whether old versions are kept: these keys may not ask for it")
    elif versions and not any(rule.only_old_versions for rule in rules or ()):
        said = f"{use.url} keeps old versions, and no rule removes them: what is cleaned goes on to take space"
        yield patient.warning(
            said, "add a rule of the bucket that removes versions that are not current after some days"
        )


def _removal(rule: ExpiryRule) -> str:
    when = "on a fixed day" if rule.days is None else f"after {rule.days} days"
    return f"a rule of the bucket removes what starts with {rule.prefix!r} {when}, whether it is in use or not"
