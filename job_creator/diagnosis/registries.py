"""The registries that images are pushed to: whether the logins that jobs will have may pull and push there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from foundation.registries.changes import ChangeableRepository
from foundation.registries.logins import logins
from foundation.registries.reference import DOCKER_HUB, parse_reference
from foundation.stores.schemes import registry_url
from job_creator import project_files
from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Patient
from job_creator.site.run import Context
from job_creator.site.site import Site

_AREA: Final = "registry"


@dataclass(frozen=True, slots=True)
class PushPlace:
    """A group of repositories, and the variables with the user that may push there."""

    name: str
    """The key of the site file."""
    group: str
    user_variable: str
    password_variable: str

    def login(self, environment: Mapping[str, str]) -> tuple[str, str] | None:
        """User and password: of the variables, or else of the file that `docker login` writes."""
        user, password = environment.get(self.user_variable), environment.get(self.password_variable)
        if user and password:
            return user, password
        return logins(environment).get(parse_reference(self.group).registry)


def registry_examinations(site: Site, environment: Mapping[str, str]) -> Iterator[Examination | Diagnosis]:
    """A question for each registry; what cannot be asked is said at once."""
    registry = site.registry
    group = registry.image or Context.from_environment(environment).registry_image
    places = [PushPlace("registry", group, registry.user_variable, registry.password_variable)] if group else []
    if not group:
        said = "the project's own registry: CI_REGISTRY_IMAGE is not set here"
        yield Patient(_AREA, "registry").not_checked(
            said, "set it to what stands on the project's page, or run this in a job"
        )
    if hub := site.publish.dockerhub:
        places.append(
            PushPlace("publish: dockerhub", f"{DOCKER_HUB}/{hub.namespace}", hub.user_variable, hub.password_variable)
        )
    for place in places:
        patient = Patient(_AREA, place.name)
        advice = f"correct the address, or {place.user_variable} and {place.password_variable}"
        yield Examination(patient, partial(_rights, patient, place, environment), advice)


def _rights(patient: Patient, place: PushPlace, environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """What may be done in the repository of the builder, whether it is there yet or not."""
    login = place.login(environment)
    builder = replace(parse_reference(f"{place.group}/{project_files.BASE_IMAGES[0]}"), tag=None)
    repository = ChangeableRepository(registry_url(str(builder)), {builder.registry: login} if login else {})
    who = login[0] if login else "without a login"
    tags = repository.tags(page=1)
    yield patient.ok(f"{place.group} can be read ({who})" + ("" if tags is not None else "; nothing is there yet"))
    if login is None:
        said = f"pushing to {place.group}: {place.user_variable} and {place.password_variable} are not set here"
        yield patient.not_checked(said, "set them for this command, or run it in a job")
    elif refusal := repository.why_not_written():
        yield patient.fault(f"{who} may not push to {place.group}: {refusal}", "give the user the right to push there")
    else:
        yield patient.ok(f"{who} may push to {place.group}; an upload was begun and given up")
