"""Compilers and targets that a definition names for some builds of a package, so that nobody names them for others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundation.errors import Fault
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import key_of, unmarked
from job_creator.environments.requirements import SiteRequirements, named_under_condition


def condition_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Requirements with a condition in whose place the site's compiler or target does not step where it is false.

    The site's cannot be required beside them, since it would hold where the condition is true as well.
    """
    if file.definition is None:
        return
    wanted = SiteRequirements.of(file.line, file.site.architectures[file.definition.architecture])
    toolchains = file.merged.get("toolchains")
    names = [unmarked(key) for key in toolchains] if isinstance(toolchains, Mapping) else []
    for key, packages in file.section.items():
        for name, settings in packages.items() if unmarked(key) == "packages" and isinstance(packages, Mapping) else ():
            if not isinstance(settings, Mapping):
                continue
            for index, what, usual in named_under_condition(unmarked(name), settings, wanted, names):
                place = (key, name, key_of(settings, "require"), index, "when")
                message = f"where this does not hold, nothing says which {what} is used, not even the site"
                yield file.fault(place, message, f"add an entry for the other case, with spec: '{usual}'")
