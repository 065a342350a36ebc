"""`jc report`: what a push changes, before anything is built; and what became of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foundation.command_line import Group, console, format_option
from foundation.errors import ExitCode
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from job_creator.reports.report import StackReport

_LOCKFILES = click.Path(path_type=Path, exists=True)


_FORMS: Final = ("markdown", "html", "trace")
_DURATIONS = click.option(
    "--durations",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='Expected seconds by package, JSON as in {"llvm": 5400, "*": 90}, or records that package jobs left.',
)
_BEFORE = click.option("--before", type=_LOCKFILES, metavar="LOCK|FOLDER", help="Tell changes against these lockfiles.")
_TITLE = click.option("--title", metavar="TEXT", help="What stands above it.  [default: what it was made from]")
_OUT_DIR = click.option(
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write all forms there: report.html, report.md, report.json, trace.json, metrics.txt.",
)


@click.group("report", cls=Group, exit_codes=())
def report() -> None:
    """Say what is to be built, why, and what was.

    \b
    Examples:
      jc report changes before/spack.lock after/spack.lock
      jc report plan jobs_scratch_dir.amd64 --pipeline spack.artifacts.amd64/spack_pipeline.yaml --out-dir report
      jc report run jc-build-20261128-091500 --format html > report.html
    """


@report.command("changes", exit_codes=(*READING, ExitCode.NOT_THERE))
@click.argument("before", type=_LOCKFILES)
@click.argument("after", type=_LOCKFILES)
@_DURATIONS
@format_option("markdown")
def changes_command(before: Path, after: Path, durations: Path | None, form: str) -> None:
    """Say which packages of lockfiles are other ones, and why. A change goes through all that depends on it, so root
    causes are told, with how many packages follow each.

    BEFORE and AFTER are lockfiles, or folders, of which all files called '*.lock' count together: what the jobs of two
    pipelines left. '--format markdown' is for a merge request. Nobody is asked anything.

    \b
    Examples:
      jc report changes main/spack.lock branch/spack.lock
      jc report changes main/jobs_scratch_dir.amd64 branch/jobs_scratch_dir.amd64 --format markdown
      jc report changes before.lock after.lock --json
    """
    from foundation.tables import print_table
    from job_creator.builds.durations import default_durations, read_durations
    from job_creator.reports import changes_text
    from job_creator.reports.changes import compare
    from job_creator.reports.locked import read_packages

    expected = read_durations(durations.read_bytes(), str(durations)) if durations else default_durations()
    found = compare(read_packages(before), read_packages(after), expected)
    if form == "json":
        click.echo(json.dumps(found.as_value(), indent=2))
    elif form == "markdown":
        click.echo(changes_text.markdown(found), nl=False)
    else:
        table: list[tuple[Any, ...]] = [*changes_text.rows(found)]
        if table:
            print_table(changes_text.HEADINGS, table, console())
        for line in changes_text.summary(found):
            click.echo(line)


@report.command("plan", exit_codes=(*READING, ExitCode.NOT_THERE))
@click.argument("locks", type=_LOCKFILES)
@_BEFORE
@click.option(
    "--pipeline",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What 'jc process-spack-pipeline' wrote of them.  [default: all that is new is to be built]",
)
@_DURATIONS
@click.option("--runners", type=click.IntRange(1), default=40, show_default=True, help="How many jobs run at once.")
@_TITLE
@_OUT_DIR
@format_option(*_FORMS)
@click.pass_obj
def plan_command(options: Options, /, locks: Path, form: str, out_dir: Path | None, **told: Any) -> None:
    """Say what is to be built, why, and how long it takes. Before anything runs; nobody is asked anything.

    LOCKS is a lockfile, or a folder, of which all files called '*.lock' count together. With --pipeline, that is played
    in virtual time, held against GitLab's limits as the site file has them, and what it does not build counts as built.

    \b
    Examples:
      jc report plan spack.lock --before main/spack.lock
      jc report plan jobs_scratch_dir.amd64 --before main --pipeline spack.artifacts.amd64/spack_pipeline.yaml
      jc report plan jobs_scratch_dir.amd64 --runners 20 --format html > report.html
    """
    from job_creator import inputs
    from job_creator.pipelines.packages import durations_of, read_tree, without_garbage_collection
    from job_creator.reports import reading
    from job_creator.reports.locked import read_packages
    from job_creator.reports.planned import PlanFacts, plan_report
    from job_creator.site.gitlab import GitLab

    has_site = (options.directory / options.site_file).is_file()
    gitlab = inputs.read_site_file(options.directory, options.site_file).gitlab if has_site else GitLab()
    with without_garbage_collection():
        durations = durations_of(told["durations"], gitlab.job_start)
        after = read_packages(locks)
        before = read_packages(told["before"]) if told["before"] else None
        played = read_tree(told["pipeline"], durations, gitlab.job_start) if told["pipeline"] else None
        tree = reading.tree_of(played, after) if played else None
        limits = reading.limits_of(played, gitlab.limits) if played else ()
        title = told["title"] or f"Plan of {locks}"
        _tell(plan_report(PlanFacts(title, after, before, durations, told["runners"], tree, limits)), form, out_dir)


@report.command("run", exit_codes=(*READING, ExitCode.NOT_THERE, ExitCode.DAMAGED))
@click.argument("run", type=click.Path(path_type=Path, exists=True), metavar="RUN|RECORDS")
@click.option("--locks", type=_LOCKFILES, metavar="LOCK|FOLDER", help="The lockfiles that were built from.")
@_BEFORE
@_DURATIONS
@_TITLE
@_OUT_DIR
@format_option(*_FORMS)
def run_command(
    run: Path, locks: Path | None, before: Path | None, form: str, out_dir: Path | None, **told: Any
) -> None:
    """Say what was built and what failed. And when and where, and what failures kept from being built.

    RUN is the folder of a 'jc build'; or else RECORDS are what package jobs of GitLab left: a folder with the artifacts
    of all of them, or a file 'packages.jsonl'. Records alone do not say what depends on what; --locks does.

    \b
    Examples:
      jc report run jc-build-20261128-091500
      jc report run artifacts/ --locks jobs_scratch_dir.amd64 --out-dir report
      jc report run artifacts/ --locks jobs_scratch_dir.amd64 --before main --format markdown
    """
    from job_creator.pipelines.packages import durations_of
    from job_creator.reports import reading
    from job_creator.reports.locked import read_packages
    from job_creator.reports.ran import RunFacts, edges_by_locks, run_report

    found = reading.read_run(run)
    after = read_packages(locks) if locks else None
    facts = RunFacts(
        told["title"] or f"Run of {run}",
        found.records,
        durations_of(told["durations"], 0.0),
        found.edges if after is None else edges_by_locks(after, found.records),
        found.named,
        found.present,
        found.errors,
        read_packages(before) if before else None,
        after,
    )
    _tell(run_report(facts), form, out_dir)


def _tell(made: StackReport, form: str, out_dir: Path | None) -> None:
    """Print a report in the form that is asked for, and write all of them."""
    from foundation.doors.files import write_files
    from job_creator.reports.forms.files import FILES, print_report

    if out_dir is not None:
        write_files(out_dir, {name: write(made).encode() for name, write in FILES.values()})
    if form == "text":
        print_report(made, console())
    else:
        click.echo(FILES[form][1](made), nl=False)
