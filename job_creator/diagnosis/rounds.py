"""All that the doctor looks at, at once, in the order in which it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Final

from job_creator.diagnosis.buckets import bucket_examinations
from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Patient
from job_creator.diagnosis.gitlab_api import GitLabQuestions
from job_creator.diagnosis.gitlab_project import project_examinations
from job_creator.diagnosis.machine import machine
from job_creator.diagnosis.registries import registry_examinations
from job_creator.diagnosis.signing_keys import key_examinations
from job_creator.diagnosis.sources import source_examinations
from job_creator.site.site import Site

_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class GitLabAccess:
    """What is known of the GitLab project; nothing of it is asked where something is missing."""

    api_url: str = ""
    project: str = ""
    token: str = ""

    def missing(self, variable: str) -> tuple[str, ...]:
        """What has to be given, in the words of the command line."""
        named = {
            "--api-url": self.api_url,
            "--project": self.project,
            f"{variable} or --private-token-file": self.token,
        }
        return tuple(name for name, value in named.items() if not value)


def examine(site: Site | None, environment: Mapping[str, str], access: GitLabAccess) -> tuple[Diagnosis, ...]:
    """What there is to say of this machine and, if there is one, of a site. Nothing is changed anywhere."""
    signs = site is not None and any(one.build_cache.signed for one in site.architectures.values())
    here = tuple(machine(environment, signs=signs))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(_diagnoses, _questions(site, environment, access) if site else ())
        return (*here, *chain.from_iterable(answers))


def _questions(site: Site, environment: Mapping[str, str], access: GitLabAccess) -> Iterator[Examination | Diagnosis]:
    yield from source_examinations(site)
    yield from registry_examinations(site, environment)
    yield from bucket_examinations(site, environment)
    yield from key_examinations(site.signing, environment)
    if missing := access.missing(site.gitlab.api_token_variable):
        said = "server, project, variables and runners were not asked"
        yield Patient("gitlab", "all").not_checked(said, f"give {', '.join(missing)}")
    else:
        yield from project_examinations(site, GitLabQuestions(access.api_url, access.project, access.token))


def _diagnoses(question: Examination | Diagnosis) -> tuple[Diagnosis, ...]:
    return (question,) if isinstance(question, Diagnosis) else question.diagnoses()
