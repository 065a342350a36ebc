"""Where things are kept: buckets, build caches, mirrors."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from foundation.stores.schemes import (
    BUCKET,
    FOLDER,
    REGISTRY,
    WEB_SERVER,
    bucket_url,
    folder_url,
    is_plain_registry,
    kind_of,
    split_url,
)
from foundation.validation import Form, Items, Value
from job_creator.site.words import Url, VariableName, url_without_credentials

_Branches = TypeVar("_Branches", "BranchCache", "BranchContainers")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")


_FOLDER = re.compile(r"(/[A-Za-z0-9._+-]+)+/?")


_REPOSITORY = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+")


_GLOB = re.compile(r"[^\s$~^:\\]+")


_BRANCHES_KEY_ID = "AWS_BRANCHES_ACCESS_KEY_ID"


_BRANCHES_SECRET = "AWS_BRANCHES_SECRET_ACCESS_KEY"


def _mirror_url(text: str) -> str:
    kind, rest = kind_of(text), split_url(text)[1]
    if kind is BUCKET:
        raise ValueError("{name} is for folders and web servers; write 'bucket:', 'prefix:' and 'endpoint:' instead")
    if kind is FOLDER and _FOLDER.fullmatch(rest):
        if ".." in rest.split("/"):
            raise ValueError(f"{text!r} is no plain path")
        return folder_url(rest.rstrip("/"))
    is_repository = kind is REGISTRY and not is_plain_registry(text) and _REPOSITORY.fullmatch(rest)
    return text if is_repository else url_without_credentials(text).rstrip("/")


def _fingerprint(text: str) -> str:
    found = re.sub(r"\s", "", text).upper()
    if not _FINGERPRINT.fullmatch(found):
        raise ValueError(f"{text!r} is no whole fingerprint of a key; 'gpg --list-keys' shows its 40 digits")
    return found


def _branch(text: str) -> str:
    if not _GLOB.fullmatch(text):
        raise ValueError(f"{text!r} is no branch, and no pattern such as 'release/*'")
    return text


Prefix = Annotated[
    str,
    Form(
        r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$",
        "a folder in the bucket, without '/' at either end, such as 'cache/amd64'",
    ),
]


BucketName = Annotated[
    str,
    Form(
        r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        "the name of a bucket alone: 3 to 63 lower case letters, digits, '.' and '-', such as 'spack-cache'",
    ),
]


class KeyVariables(Value):
    """A pair of S3 keys, by the names (not values) of the CI variables that hold it."""

    access_key_id_variable: VariableName
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName
    """Name (not value) of the CI variable that holds the secret access key."""

    @property
    def names(self) -> tuple[str, str]:
        """Both names, that of the id first."""
        return self.access_key_id_variable, self.secret_access_key_variable

    def as_job_variables(self) -> dict[str, str]:
        """Job variables through which S3 clients find the keys; they hold references, not values."""
        key, secret = self.names
        return {"AWS_ACCESS_KEY_ID": f"${key}", "AWS_SECRET_ACCESS_KEY": f"${secret}"}


class BucketKeys(Value):
    """The keys that say which bucket is meant and how to get into it. What is added here, every kind of bucket has."""

    bucket: BucketName | None = None
    prefix: Prefix = ""
    """Folder in the bucket, without slash at either end."""
    endpoint: Url | None = None
    """URL of an S3 server other than Amazon's."""
    access_key_id_variable: VariableName = "AWS_CACHE_ACCESS_KEY_ID"
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName = "AWS_CACHE_SECRET_ACCESS_KEY"
    """Name (not value) of the CI variable that holds the secret access key."""
    reader: KeyVariables | None = None
    """Keys that may list and read, and nothing else, for all jobs that only read; without them these read without keys.
    They hold for the place of branches as well, unless that names its own."""

    @property
    def writer(self) -> KeyVariables:
        """The keys of those who may write."""
        return KeyVariables(
            access_key_id_variable=self.access_key_id_variable,
            secret_access_key_variable=self.secret_access_key_variable,
        )


class Bucket(BucketKeys):
    """An S3 bucket, or a part of it."""

    bucket: BucketName
    """Name of the bucket."""

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return bucket_url(self.bucket, self.prefix)

    def keys_of(self, *, owner: bool, writes: bool) -> KeyVariables | None:
        """The keys with which a job uses it; `None` for none. Only runs of its `owner` are given those that write.

        Who only reads may be foreign code, which gets no key that writes, whoever owns the bucket.
        """
        return self.writer if owner and writes else self.reader

    def credential_variables(self, *, writes: bool = True) -> dict[str, str]:
        """Job variables through which S3 clients of its owner find keys and server; they hold references, not values.

        A job that only reads is given the keys that can do nothing else, where there are any, and none elsewhere.
        """
        endpoint = {"AWS_ENDPOINT_URL": self.endpoint, "S3_ENDPOINT_URL": self.endpoint} if self.endpoint else {}
        keys = self.keys_of(owner=True, writes=writes)
        return {**(keys.as_job_variables() if keys else {}), **endpoint}


class BuildCache(Bucket):
    """The Spack build cache of the default branch, and where other branches have theirs."""

    max_age_days: Annotated[int, Field(ge=1)] = 180
    """Packages older than this that nothing refers to are removed by `clean build cache`."""
    signed: bool = True
    """Whether packages of the default branch are signed with the deployment key."""
    index: Literal["spack", "spackitor"] = "spack"
    """Who adds new packages to the index at the end of a package pipeline, in `rebuild-index`: Spack reads every spec
    file for that, `spackitor index` only new ones. The index of keys is Spack's alone."""
    branches: BranchCache | None = None
    """Where other branches and merge requests push; without it, to `<prefix>/branches` of the same bucket."""

    def of_branches(self) -> BranchCache:
        """The cache of everything that is not the default branch."""
        return _with_reader(self.branches, self.reader) or BranchCache(**_part_of_branches(self))


class BranchCache(Bucket):
    """The build cache of branches and merge requests: never signed, cleaned sooner."""

    access_key_id_variable: VariableName = _BRANCHES_KEY_ID
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName = _BRANCHES_SECRET
    """Name (not value) of the CI variable that holds the secret access key."""
    max_age_days: Annotated[int, Field(ge=1)] = 30
    """Packages older than this that nothing refers to are removed by `clean build cache`."""


class Mirror(BucketKeys):
    """A mirror: in a bucket, in a folder that the runners see, or on a web server, where it can only be read."""

    bucket: BucketName | None = None
    """S3 bucket. Runs that may not push are not given its keys, and read it without, or at `url`."""
    url: Annotated[str, AfterValidator(_mirror_url)] | None = None
    """Without a bucket: a folder, or an https URL. With one: the https URL at which everyone reads the same files."""
    push: Literal["default branch", "nobody"] | Items[Annotated[str, AfterValidator(_branch)]] = "default branch"
    """Who may write to it: names of branches, or patterns such as `release/*`. Merge requests and tags never may."""

    @model_validator(mode="after")
    def _check(self) -> Mirror:
        if not self.bucket and not self.url:
            raise ValueError("{name} has no place; add 'bucket:' or 'url:'")
        if not self.bucket and self.model_fields_set & (BucketKeys.model_fields.keys() - {"bucket"}):
            raise ValueError("has keys of a bucket, but none is named; add 'bucket:'")
        if self.bucket and self.url and kind_of(self.url) is not WEB_SERVER:
            raise ValueError("beside a bucket, 'url:' is the https URL at which the same files can be read")
        if "push" in self.model_fields_set and self.push != "nobody" and not self.target:
            raise ValueError("a web server can only be read; leave out 'push:', or name the bucket behind it")
        return self

    @property
    def in_bucket(self) -> Bucket | None:
        """Its bucket, if it is in one."""
        return Bucket(**_bucket_keys(self)) if self.bucket else None

    @property
    def target(self) -> str:
        """The URL to which it is pushed; empty if it can only be read."""
        bucket = self.in_bucket
        if bucket:
            return bucket.url
        return self.url if self.url and kind_of(self.url) is FOLDER else ""

    def may_be_pushed_to(self, branch: str, *, is_default: bool) -> bool:
        """Whether a run for this branch, which is empty for merge requests and tags, may write to it."""
        if not self.target or not branch or self.push == "nobody":
            return False
        if self.push == "default branch":
            return is_default
        return any(fnmatchcase(branch, pattern) for pattern in self.push)


class SourceMirror(Mirror):
    """Archives, patches and resources, which `mirror sources` puts there, and builds look for there first."""

    @model_validator(mode="after")
    def _check_kind(self) -> SourceMirror:
        if self.url and kind_of(self.url) is REGISTRY:
            raise ValueError("registries hold binaries only; sources need a bucket, a folder or a web server")
        return self


class BinaryMirror(Mirror):
    """Packages that were built before, elsewhere perhaps, and are not built again."""

    signed: bool = True
    """Whether its packages have to be signed by a key that is trusted."""
    fingerprints: Items[Annotated[str, AfterValidator(_fingerprint)]] = ()
    """Of the keys that sign them. Jobs end if one of these is not among the public keys that they are given."""
    padded_length: Annotated[int, Field(ge=1, le=512)] | None = None
    """How long paths are made when packages are built, so that they can be installed into any shorter one."""

    @property
    def reading_pair(self) -> KeyVariables | None:
        """The keys by which runs read it that `push:` names, since nothing writes to it; `None` for none.

        What stands for keys that nobody names are those of the build cache, which write.
        """
        named = self.model_fields_set & KeyVariables.model_fields.keys()
        return self.reader or (self.writer if named else None)

    @model_validator(mode="after")
    def _check_kind(self) -> BinaryMirror:
        if self.url and kind_of(self.url) is FOLDER:
            raise ValueError("containers are built where no folder of the runner is seen; serve it by https")
        if self.fingerprints and not self.signed:
            raise ValueError("'fingerprints:' mean nothing for a mirror that is not signed")
        return self


class Retention(Value):
    """Which superseded SIF files go: those that are neither among the newest nor young, on the same branch."""

    keep: Annotated[int, Field(ge=1)] = 5
    """How many of a container stay, whatever their age."""
    older_than_days: Annotated[int, Field(ge=0)] = 90
    """Younger ones stay, however many there are."""


class SifBucket(Bucket):
    """Where SIF files are published."""

    prefix: Prefix = "containers"
    """Folder in the bucket, without slash at either end."""
    retention: Retention = Retention()


class ContainersBucket(SifBucket):
    """Where the SIF files of the default branch are published, and where other branches have theirs."""

    access_key_id_variable: VariableName = "AWS_INFRASTRUCTURE_ACCESS_KEY_ID"
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName = "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY"
    """Name (not value) of the CI variable that holds the secret access key."""
    branches: BranchContainers | None = None
    """Where other branches publish; without it, in `<prefix>/branches` of the same bucket."""

    def of_branches(self) -> BranchContainers:
        """The place of everything that is not the default branch."""
        own = _with_reader(self.branches, self.reader)
        return own or BranchContainers(**_part_of_branches(self), retention=self.retention)


class BranchContainers(SifBucket):
    """Where branches publish their SIF files. Merge requests publish none."""

    access_key_id_variable: VariableName = _BRANCHES_KEY_ID
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName = _BRANCHES_SECRET
    """Name (not value) of the CI variable that holds the secret access key."""


def _bucket_keys(place: BucketKeys) -> dict[str, Any]:
    """The keys that all kinds of buckets share, with their values."""
    return place.model_dump(include=set(BucketKeys.model_fields))


def _with_reader(branches: _Branches | None, reader: KeyVariables | None) -> _Branches | None:
    """The place of branches, with the keys to read it that the default branch's has, unless it names some."""
    if branches is None or branches.reader or reader is None:
        return branches
    return branches.model_copy(update={"reader": reader})


def _part_of_branches(place: BucketKeys) -> dict[str, Any]:
    """The part of a bucket that branches have, with keys of their own."""
    own = {name: value for name, value in _bucket_keys(place).items() if name not in KeyVariables.model_fields}
    return {**own, "prefix": f"{place.prefix}/branches".lstrip("/")}
