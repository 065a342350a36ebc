"""`jc audit`. Imports stand in the command, so that `jc --help` answers at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from job_creator.audit.findings import AuditReport


@click.command(
    "audit",
    cls=Command,
    exit_codes=(
        *READING,
        ExitCode.COULD_NOT_ASK,
        ExitCode.NOT_THERE,
        ExitCode.REFUSED,
        ExitCode.DAMAGED,
    ),
)
@click.argument("target", metavar="(SIF | IMAGE)")
@click.option("--from-host", multiple=True, metavar="PATTERN", help="Names of libraries that the host brings.")
@click.option("--architecture", default="amd64", show_default=True, help="Which image of an index, as OCI says.")
@click.option("--report-only", is_flag=True, help="Say what is found, and end with 0 all the same.")
@json_option
@click.pass_obj
def audit(
    options: Options,
    /,
    target: str,
    from_host: tuple[str, ...],
    architecture: str,
    report_only: bool,
    as_json: bool,
) -> None:
    """Look whether a container can run. Instructions above the target, libraries, search paths, interpreters.

    What Spack installed is looked at, file by file; nothing is run. Faults: instructions that the target of a package
    lacks, in a file that does not choose by the processor; a library or an interpreter that is not in the container; a
    search path that is relative, or leads to where others may write. The rest is only odd. With faults it ends with 9.

    \b
    Examples:
      jc audit neuron.sif
      jc audit neuron.sif --from-host 'libmpi.so*' --json
      jc audit registry.example.org/group/neuron:9.0
    """
    from foundation.tables import print_table

    report = _report(options, target, architecture, from_host)
    if as_json:
        values = {"files": report.files, "faults": len(report.faults), "not_looked_at": list(report.unlooked)}
        click.echo(json.dumps({**values, "findings": [one.to_value() for one in report.findings]}, indent=2))
    else:
        if report.findings:
            print_table(("", "package", "kind", "files", "first"), report.rows(), console())
        for why in report.unlooked if not options.quiet else ():
            click.echo(f"not looked at: {why}")
        if not options.quiet:
            odd = len(report.findings) - len(report.faults)
            click.echo(f"{target}: {report.files} files, {len(report.faults)} faults, {odd} things that are odd")
    if report.faults and not report_only:
        sys.exit(ExitCode.REFUSED)


def _report(options: Options, target: str, architecture: str, from_host: tuple[str, ...]) -> AuditReport:
    """A file, if there is one of that name or it can only be one; an image otherwise."""
    from foundation.errors import NotThereError
    from job_creator.audit.auditing import audit_image, audit_sif
    from job_creator.pipelines.images import client_for

    if Path(target).exists():
        return audit_sif(Path(target), from_host)
    if target.endswith(".sif") or target.startswith(("/", ".")):
        raise NotThereError(f"{target}: there is no such file")
    client = client_for(options.directory, options.site_file, options.environment)
    try:
        return audit_image(client, target, architecture, from_host)
    except ValueError as error:
        raise click.BadParameter(f"{target!r} is no file, and no image: {error}", param_hint="SIF | IMAGE") from None


COMMANDS = (audit,)
