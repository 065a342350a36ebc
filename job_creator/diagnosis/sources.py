"""The git repositories of Spack and its packages, and whether they have the refs that the site names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from foundation.doors.git import resolve
from foundation.doors.processes import without_credentials
from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Patient
from job_creator.site.site import Site
from job_creator.site.spack import GitSource


def source_examinations(site: Site) -> Iterator[Examination]:
    """A question for each repository."""
    sources = {"spack": GitSource(repository=site.spack.repository, ref=site.spack.ref)}
    if site.spack.packages:
        sources["spack: packages"] = site.spack.packages
    for name, source in sources.items():
        patient = Patient("sources", name)
        advice = "correct 'repository:' in the site file, or see what keeps git from it"
        yield Examination(patient, partial(_resolved, patient, source), advice)


def _resolved(patient: Patient, source: GitSource) -> Iterator[Diagnosis]:
    repository = without_credentials(source.repository)
    commit = resolve(source.repository, source.ref)
    if commit is None:
        yield patient.fault(f"{repository} has no branch or tag {source.ref}", "correct 'ref:' in the site file")
    elif commit == source.ref:
        yield patient.not_checked(f"{source.ref} is a commit, which no repository tells without a fetch")
    else:
        yield patient.ok(f"{source.ref} of {repository} is {commit}")
