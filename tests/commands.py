"""The command line as tests call it."""

from __future__ import annotations

from click.testing import CliRunner, Result

from job_creator.__main__ import main


def jc(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environment, catch_exceptions=False)
