"""What differs from one architecture to the next: runners, proxy, target, buckets, resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from job_creator.validation import Form, Items, Value

JobKind = Literal["images", "environments", "packages", "containers", "tools"]
"""What a job does, for settings that depend on it: build base images, concretize, compile, build containers, run
the commands of this project."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ACCESS_KEY = re.compile(r"(AKIA|ASIA)[0-9A-Z]{16}")
_DURATION = re.compile(r"\d+ ?(s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)( \d+ ?(s|m|h|d|w|minutes?|hours?))*")
_TARGET = re.compile(r"[a-z0-9_.]+")
_COMPILER = re.compile(r"[a-z0-9-]+(@[A-Za-z0-9_.:=,-]+)?")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_FOLDER = re.compile(r"(file://)?(/[A-Za-z0-9._+-]+)+/?")
_OCI = re.compile(r"oci://[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+")
_GLOB = re.compile(r"[^\s$~^:\\]+")


def _variable_name(text: str) -> str:
    if _ACCESS_KEY.fullmatch(text):
        raise ValueError(
            "{name} looks like a key itself; write the name of the CI variable that holds it, and revoke it"
        )
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a CI variable; letters, digits and _ only, without $")
    return text


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write for example '90 minutes' or '2h 30m'")
    return text


def url_without_credentials(text: str) -> str:
    """The URL itself. Raises `ValueError` when it holds a password, or is no http(s) URL."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no URL: {error}") from None
    if "@" in parts.netloc:
        raise ValueError("{name} holds a user or password; keep those in a masked CI variable on the runner")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no http or https URL")
    return text


def _mirror_url(text: str) -> str:
    if text.startswith("s3://"):
        raise ValueError("{name} is for folders and web servers; write 'bucket:', 'prefix:' and 'endpoint:' instead")
    if _FOLDER.fullmatch(text):
        if ".." in text.split("/"):
            raise ValueError(f"{text!r} is no plain path")
        return f"file://{text.removeprefix('file://').rstrip('/')}"
    return text if _OCI.fullmatch(text) else url_without_credentials(text).rstrip("/")


def _fingerprint(text: str) -> str:
    found = re.sub(r"\s", "", text).upper()
    if not _FINGERPRINT.fullmatch(found):
        raise ValueError(f"{text!r} is no whole fingerprint of a key; 'gpg --list-keys' shows its 40 digits")
    return found


def _branch(text: str) -> str:
    if not _GLOB.fullmatch(text):
        raise ValueError(f"{text!r} is no branch, and no pattern such as 'release/*'")
    return text


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise ValueError(f"{text!r} is no Spack target; 'spack arch --known-targets' lists them")
    return text


def _compiler(text: str) -> str:
    if not _COMPILER.fullmatch(text):
        raise ValueError(f"{text!r} is no compiler; write for example 'gcc@13', without %")
    return text


VariableName = Annotated[str, AfterValidator(_variable_name)]
Duration = Annotated[str, AfterValidator(_duration)]
Url = Annotated[str, AfterValidator(url_without_credentials)]
Text = Annotated[str, Field(min_length=1)]
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


class Proxy(Value):
    """The proxy of the runners of an architecture. It is set in every job, in both spellings."""

    http: Url | None = None
    https: Url | None = None
    no_proxy: Items[Text] = ()
    """Hosts that are reached directly."""

    def variables(self) -> dict[str, str]:
        """The variables that programs look for; some read the lower, some the upper case ones."""
        values = {"http_proxy": self.http, "https_proxy": self.https, "no_proxy": ",".join(self.no_proxy) or None}
        return {spelling: value for name, value in values.items() if value for spelling in (name, name.upper())}


class Resources(Value):
    """What a job asks the Kubernetes executor for; other executors ignore it."""

    cpu: Annotated[str, Form(r"^\d+(\.\d+)?m?$", "a number of cores such as '4' or '500m'")] | None = None
    memory: Annotated[str, Form(r"^\d+(\.\d+)?([KMGT]i?)?$", "an amount such as '8Gi' or '500M'")] | None = None

    def variables(self) -> dict[str, str]:
        """The runner's variables (GitLab Runner, Kubernetes executor, "Overwrite container resources")."""
        values = {"KUBERNETES_CPU_REQUEST": self.cpu}
        values |= {f"KUBERNETES_MEMORY_{bound}": self.memory for bound in ("REQUEST", "LIMIT")}
        return {name: value for name, value in values.items() if value}


class JobSettings(Value):
    """How jobs of one kind run."""

    timeout: Duration | None = None
    runner_tags: Items[Text] | None = None
    """Runner tags instead of the architecture's."""
    variables: Mapping[VariableName, str] = {}
    resources: Resources = Resources()


class Bucket(Value):
    """An S3 bucket, or a part of it."""

    bucket: BucketName
    prefix: Prefix = ""
    """Folder in the bucket, without slash at either end."""
    endpoint: Url | None = None
    """URL of an S3 server other than Amazon's."""
    access_key_id_variable: VariableName = "AWS_CACHE_ACCESS_KEY_ID"
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName = "AWS_CACHE_SECRET_ACCESS_KEY"
    """Name (not value) of the CI variable that holds the secret access key."""

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def credential_variables(self) -> dict[str, str]:
        """Job variables through which S3 clients find keys and server; they hold references, not values."""
        endpoint = {"AWS_ENDPOINT_URL": self.endpoint, "S3_ENDPOINT_URL": self.endpoint} if self.endpoint else {}
        return {
            "AWS_ACCESS_KEY_ID": f"${self.access_key_id_variable}",
            "AWS_SECRET_ACCESS_KEY": f"${self.secret_access_key_variable}",
            **endpoint,
        }


class BuildCache(Bucket):
    """The Spack build cache of the default branch, and where other branches have theirs."""

    max_age_days: Annotated[int, Field(ge=1)] = 180
    """Packages older than this that nothing refers to are removed by `clean build cache`."""
    signed: bool = True
    """Whether packages of the default branch are signed with the deployment key."""
    branches: BranchCache | None = None
    """Where other branches and merge requests push; without it, to `<prefix>/branches` of the same bucket."""

    def of_branches(self) -> BranchCache:
        """The cache of everything that is not the default branch."""
        if self.branches:
            return self.branches
        prefix = f"{self.prefix}/branches".lstrip("/")
        shared = self.model_dump(exclude={"signed", "branches", "prefix", "max_age_days"})
        return BranchCache(prefix=prefix, **shared)


class BranchCache(Bucket):
    """The build cache of branches and merge requests: never signed, cleaned sooner."""

    max_age_days: Annotated[int, Field(ge=1)] = 30


class Mirror(Value):
    """A mirror: in a bucket, in a folder that the runners see, or on a web server, where it can only be read."""

    bucket: BucketName | None = None
    """S3 bucket. Runs that may not push are not given its keys, and read it without, or at `url`."""
    prefix: Prefix = ""
    """Folder in the bucket, without slash at either end."""
    endpoint: Url | None = None
    """URL of an S3 server other than Amazon's."""
    access_key_id_variable: VariableName = "AWS_CACHE_ACCESS_KEY_ID"
    """Name (not value) of the CI variable that holds the access key id."""
    secret_access_key_variable: VariableName = "AWS_CACHE_SECRET_ACCESS_KEY"
    """Name (not value) of the CI variable that holds the secret access key."""
    url: Annotated[str, AfterValidator(_mirror_url)] | None = None
    """Without a bucket: a folder, or an https URL. With one: the https URL at which everyone reads the same files."""
    push: Literal["default branch", "nobody"] | Items[Annotated[str, AfterValidator(_branch)]] = "default branch"
    """Who may write to it: names of branches, or patterns such as `release/*`. Merge requests and tags never may."""

    @model_validator(mode="after")
    def _check(self) -> Mirror:
        if not self.bucket and not self.url:
            raise ValueError("{name} has no place; add 'bucket:' or 'url:'")
        if not self.bucket and self.model_fields_set & (Bucket.model_fields.keys() - {"bucket"}):
            raise ValueError("has keys of a bucket, but none is named; add 'bucket:'")
        if self.bucket and self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("beside a bucket, 'url:' is the https URL at which the same files can be read")
        if "push" in self.model_fields_set and self.push != "nobody" and not self.target:
            raise ValueError("a web server can only be read; leave out 'push:', or name the bucket behind it")
        return self

    @property
    def in_bucket(self) -> Bucket | None:
        """Its bucket, if it is in one."""
        return Bucket(**self.model_dump(include=set(Bucket.model_fields))) if self.bucket else None

    @property
    def target(self) -> str:
        """The URL to which it is pushed; empty if it can only be read."""
        bucket = self.in_bucket
        if bucket:
            return bucket.url
        return self.url if self.url and self.url.startswith("file://") else ""

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
        if self.url and self.url.startswith("oci://"):
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

    @model_validator(mode="after")
    def _check_kind(self) -> BinaryMirror:
        if self.url and self.url.startswith("file://"):
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


class ContainersBucket(Bucket):
    """Where SIF files are published."""

    prefix: str = "containers"
    retention: Retention = Retention()
    access_key_id_variable: VariableName = "AWS_INFRASTRUCTURE_ACCESS_KEY_ID"
    secret_access_key_variable: VariableName = "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY"


class Architecture(Value):
    """One architecture: the key is OCI's name of it (`amd64`, `arm64`) and a folder of the definitions."""

    runner_tags: Items[Text]
    """Tags of the GitLab runners that have this architecture."""
    target: Annotated[str, AfterValidator(_target)] | None = None
    """Spack target that everything is built for, such as `x86_64_v3`."""
    compiler: Annotated[str, AfterValidator(_compiler)] | None = None
    """Compiler that everything is built with, such as `gcc@13`."""
    proxy: Proxy = Proxy()
    variables: Mapping[VariableName, str] = {}
    """Variables of all jobs of this architecture."""
    jobs: Mapping[JobKind, JobSettings] = {}
    """Time-out, runner tags, variables and resources by kind of job."""
    packages: Mapping[str, JobSettings] = {}
    """Settings for the jobs of packages whose name fits a pattern, such as `llvm*`; the first one that fits counts."""
    build_cache: BuildCache
    containers: ContainersBucket | None = None
    """Bucket that SIF files are published in."""
    source_mirror: SourceMirror | None = None
    """Where sources are kept, so that builds need no internet."""
    binary_mirror: BinaryMirror | None = None
    """A further mirror of packages, which is read like the build cache."""

    def settings(self, kind: JobKind) -> JobSettings:
        """How jobs of this kind run here."""
        return self.jobs.get(kind, JobSettings())

    def tags(self, kind: JobKind) -> tuple[str, ...]:
        """The runner tags of jobs of this kind."""
        own = self.settings(kind).runner_tags
        return self.runner_tags if own is None else own

    def job_variables(self, kind: JobKind) -> dict[str, str]:
        """The variables of every job of this kind: the one place where proxies and resources are set."""
        settings = self.settings(kind)
        return {**self.proxy.variables(), **settings.resources.variables(), **self.variables, **settings.variables}
