"""The installer that an environment asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundation.errors import Fault
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked


def installer_faults(subject: EnvironmentFile) -> Iterator[Fault]:
    """`config: installer` where the line of Spack lacks it, or lacks it for packages that are built in a pipeline."""
    for section, config in subject.section.items():
        if unmarked(section) == "config" and isinstance(config, Mapping):
            for key, value in config.items():
                if unmarked(key) == "installer" and (reason := subject.line.why_no_installer(value)):
                    yield subject.fault((section, key), *reason.split("; "), of_key=True)
