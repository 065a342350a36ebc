"""How jobs run: proxies, resources, settings of a kind of job, what is compiled by many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from foundation.validation import Form, Items, Value
from job_creator.site.words import PackageName, Text, Timeout, Url, VariableName

JobKind = Literal["images", "environments", "packages", "containers", "tools"]
"""What a job does, for settings that depend on it: build base images, concretize, compile, build containers, run
the commands of this project."""


class Proxy(Value):
    """The proxy of the runners of an architecture. It is set in every job, in both spellings."""

    http: Url | None = None
    """For http URLs."""
    https: Url | None = None
    """For https URLs."""
    no_proxy: Items[Text] = ()
    """Hosts that are reached directly."""

    def variables(self) -> dict[str, str]:
        """The variables that programs look for; some read the lower, some the upper case ones."""
        values = {"http_proxy": self.http, "https_proxy": self.https, "no_proxy": ",".join(self.no_proxy) or None}
        return {spelling: value for name, value in values.items() if value for spelling in (name, name.upper())}


class Resources(Value):
    """What a job asks the Kubernetes executor for; other executors ignore it."""

    cpu: Annotated[str, Form(r"^\d+(\.\d+)?m?$", "a number of cores such as '4' or '500m'")] | None = None
    """Processors, as in `4` or `500m`."""
    memory: Annotated[str, Form(r"^\d+(\.\d+)?([KMGT]i?)?$", "an amount such as '8Gi' or '500M'")] | None = None
    """Memory, as in `16Gi`."""

    def variables(self) -> dict[str, str]:
        """The runner's variables (GitLab Runner, Kubernetes executor, "Overwrite container resources")."""
        values = {"KUBERNETES_CPU_REQUEST": self.cpu}
        values |= {f"KUBERNETES_MEMORY_{bound}": self.memory for bound in ("REQUEST", "LIMIT")}
        return {name: value for name, value in values.items() if value}


class JobSettings(Value):
    """How jobs of one kind run."""

    timeout: Timeout | None = None
    """How long a job may take, as in `90 minutes`."""
    runner_tags: Items[Text] | None = None
    """Runner tags instead of the architecture's."""
    variables: Mapping[VariableName, str] = {}
    """Variables of these jobs."""
    resources: Resources = Resources()


class CompilePools(Value):
    """Packages whose compiles `jc build --compile-on` spreads over many cores, and how these find each other."""

    packages: Items[PackageName] = ()
    """Names of packages."""
    minutes: Annotated[float, Field(gt=0)] = 30.0
    """Also every package that took at least so many minutes, as the records of `--durations` say."""
    pmi: Annotated[str, Form(r"^[^\s'\"\\]+$", "one word without quotes")] = "pmi2"
    """How ranks of Slurm find each other; `srun --mpi=list` shows what a cluster has."""
