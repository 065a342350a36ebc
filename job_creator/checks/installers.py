"""The installer that an environment asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundation.errors import Fault
from foundation.spack.releases import Novelty
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked


def installer_faults(subject: EnvironmentFile) -> Iterator[Fault]:
    """`config: installer` that cannot build packages in a pipeline; that a line lacks the key is for `shapes`."""
    if not subject.line.has(Novelty.INSTALLERS):
        return
    for section, config in subject.section.items():
        if unmarked(section) == "config" and isinstance(config, Mapping):
            for key, value in config.items():
                if unmarked(key) == "installer" and (reason := subject.line.why_no_installer(value)):
                    yield subject.fault((section, key), *reason.split("; "), of_key=True)
