"""`jc audit`. Imports stand in the command, so that `jc --help` answers at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from job_creator.options import Options


@click.command("audit", cls=Command, exit_codes=(ExitCode.INVALID_INPUT, ExitCode.REFUSED, ExitCode.DAMAGED))
@click.argument("sif", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--from-host", multiple=True, metavar="PATTERN", help="Names of libraries that the host brings.")
@click.option("--report-only", is_flag=True, help="Say what is found, and end with 0 all the same.")
@json_option
@click.pass_obj
def audit(options: Options, /, sif: Path, from_host: tuple[str, ...], report_only: bool, as_json: bool) -> None:
    """Look whether a container can run. Instructions above the target, libraries, search paths, interpreters.

    What Spack installed is looked at, file by file; nothing is run. Faults: instructions that the target of a package
    lacks, in a file that does not choose by the processor; a library or an interpreter that is not in the container; a
    search path that is relative, or leads to where others may write. The rest is only odd. With faults it ends with 9.

    \b
    Examples:
      jc audit neuron.sif
      jc audit neuron.sif --from-host 'libmpi.so*' --json
    """
    from foundation.tables import print_table
    from job_creator.audit.auditing import audit_sif

    report = audit_sif(sif, from_host)
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
            click.echo(f"{sif}: {report.files} files, {len(report.faults)} faults, {odd} things that are odd")
    if report.faults and not report_only:
        sys.exit(ExitCode.REFUSED)


COMMANDS = (audit,)
