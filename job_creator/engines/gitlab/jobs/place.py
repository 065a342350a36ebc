"""What the jobs of one architecture have in common, whatever they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from job_creator.engines.gitlab.objects import Job, Need
from job_creator.site.architectures import Architecture
from job_creator.site.runners import JobKind
from job_creator.site.site import Site


@dataclass(frozen=True, slots=True)
class JobPlace:
    """For which architecture of which site jobs are made. Those who need to know more of a run inherit from this."""

    name: str
    """Of the architecture: `amd64`."""
    architecture: Architecture
    site: Site

    def timeout(self, kind: JobKind, usual: str) -> str:
        """How long a job may take, in GitLab's words (`2 hours`): what the site file says, or else what is usual."""
        return self.architecture.settings(kind).timeout or usual

    def tool_job(
        self,
        name: str,
        stage: str,
        *,
        kind: str,
        needed: Sequence[str],
        script: tuple[str, ...],
        variables: Mapping[str, str],
    ) -> Job:
        """A job that runs this project's own commands on what the `needed` jobs left.

        `kind` is a word; jobs of one kind and architecture share a hidden job. The usual time-out is an hour.
        """
        return Job(
            name=name,
            kind=f"{kind} {self.name}",
            stage=stage,
            image=self.site.images.job_creator,
            tags=self.architecture.tags("tools"),
            needs=tuple(Need(job) for job in needed),
            script=script,
            variables={**self.architecture.job_variables("tools"), **variables},
            timeout=self.timeout("tools", "1 hour"),
        )
