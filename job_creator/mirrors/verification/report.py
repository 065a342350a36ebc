"""What verifying a mirror gave, for people."""

from __future__ import annotations

import click
from rich.text import Text

from foundation.command_line import console
from foundation.tables import new_table
from job_creator.mirrors.findings import VerificationReport


def print_report(report: VerificationReport) -> None:
    """Every finding: in a table on a terminal, one in each line elsewhere."""
    where = console()
    if where.is_terminal and report.findings:
        table = new_table(("what", "package", "where", ""))
        for one in report.findings:
            known = "".join(f"\n{url}" for url in one.urls[:1]) + (f"\nsha256 {one.sha256}" if one.sha256 else "")
            style = "red" if one.is_damage else ""
            table.add_row(Text(one.kind, style), Text(one.package), Text(one.key), Text(f"{one.message}{known}"))
        where.print(table)
    else:
        for one in report.findings:
            click.echo(str(one))
    click.echo(report.summary())
    if report.counts.get("specs") and not report.counts.get("signed"):
        click.echo("its binaries are not signed: Spack takes them only where its mirror says 'signed: false'")
    for fingerprint in report.signers:
        click.echo(f"signed by {fingerprint}")
    if report.remedy:
        click.echo(f"what can be had again is put there by: {report.remedy}")
