"""`jc report`: what a push changes, before anything is built; and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foundation.command_line import Group, console, format_option
from foundation.errors import CouldNotAskError, ExitCode
from foundation.gitlab import REPORT_TOKEN_VARIABLE
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from job_creator.reports.changes import Packages
    from job_creator.reports.report import StackReport

_LOCKFILES = click.Path(path_type=Path, exists=True)


_LOCKED: Final = "packages.lock"
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
    help="Also write all forms there, and for plans packages.lock, what later plans are told against.",
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
    "--before-job",
    default="",
    metavar="NAME",
    help="In a job of GitLab: tell changes against what this job kept on the default branch.",
)
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
    from job_creator.reports.locked import merged_lock, read_packages
    from job_creator.reports.planned import PlanFacts, plan_report
    from job_creator.site.gitlab import GitLab

    has_site = (options.directory / options.site_file).is_file()
    gitlab = inputs.read_site_file(options.directory, options.site_file).gitlab if has_site else GitLab()
    with without_garbage_collection():
        durations = durations_of(told["durations"], gitlab.job_start)
        after = read_packages(locks)
        before, no_before = _before(options, told["before"], told["before_job"], out_dir)
        played = read_tree(told["pipeline"], durations, gitlab.job_start) if told["pipeline"] else None
        tree = reading.tree_of(played, after) if played else None
        limits = reading.limits_of(played, gitlab.limits) if played else ()
        title = told["title"] or f"Plan of {locks}"
        facts = PlanFacts(title, after, before, durations, told["runners"], tree, limits, no_before)
        _tell(plan_report(facts), form, out_dir, {_LOCKED: merged_lock(locks)})


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


@report.command("note", exit_codes=(*READING, ExitCode.COULD_NOT_ASK))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--part", required=True, metavar="NAME", help="The part of the note that FILE replaces.")
@click.option(
    "--token-variable",
    default=REPORT_TOKEN_VARIABLE,
    show_default=True,
    metavar="VARIABLE",
    help="The variable with a token that may comment (scope api, role Reporter).",
)
@click.option("--page", default="", metavar="PATH", help="Also link to this file of the job's artifacts.")
@click.pass_obj
def note_command(options: Options, /, file: Path, part: str, token_variable: str, page: str) -> None:
    """Show a report in the merge request that a job runs for. In one note, which is updated in place.

    FILE is Markdown, as 'jc report plan --out-dir' writes it. Each PART keeps its place, so that jobs of several
    architectures share the note. Where the job runs for no merge request, has no token, or one that may not comment, as
    in forks, nothing is done, that is told, and the exit code is 0.

    \b
    Example:
      jc report note report/report.md --part "plan amd64" --page report/report.html
    """
    from foundation.doors.files import read_file
    from job_creator.reports.notes.merge_request import MergeRequestPlace, NoteRefusedError, update_note
    from job_creator.reports.notes.note import PART_NAME

    if not PART_NAME.fullmatch(part):
        raise click.BadParameter(f"{part!r}: letters, digits, spaces, '.', '_' and '-'", param_hint="--part")
    place = MergeRequestPlace.of_job(options.environment)
    token = options.environment.get(token_variable, "")
    if place is None or not token:
        click.echo("no note: " + (f"{token_variable} is not set" if place else "this is no job of a merge request"))
        return
    text = read_file(file).decode("utf-8", "replace")
    if page and (job := options.environment.get("CI_JOB_URL", "")):
        text += f"\n\n[The whole report]({job}/artifacts/file/{page})\n"
    try:
        done = update_note(place, token, part, text)
    except NoteRefusedError as error:
        click.echo(f"no note: the token of {token_variable} may not write it: {error}")
        return
    click.echo(f"note of merge request !{place.number}: {done}")


def _before(options: Options, path: Path | None, job: str, out_dir: Path | None) -> tuple[Packages | None, str]:
    """What changes are told against, or why there is nothing. An answer that does not come fails no report."""
    from job_creator.reports.locked import packages_of, read_packages
    from job_creator.reports.notes.baseline import BranchArtifacts

    if path is not None and job:
        raise click.UsageError("--before and --before-job say the same in two ways; leave one out")
    if path is not None:
        return read_packages(path), ""
    if not job:
        return None, "no lockfiles of before were given (--before)"
    if out_dir is None:
        raise click.UsageError("--before-job looks for what --out-dir was called in that job; say --out-dir")
    branch = BranchArtifacts.of_job(options.environment)
    if branch is None:
        return None, "this is no job of GitLab, which knows a default branch"
    name = f"{out_dir.as_posix()}/{_LOCKED}"
    try:
        content = branch.file(job, name)
    except CouldNotAskError as error:
        return None, f"{branch.branch} could not be asked: {error}"
    return (packages_of(content, name), "") if content else (None, f"{job!r} kept no {_LOCKED} on {branch.branch}")


def _tell(made: StackReport, form: str, out_dir: Path | None, more: Mapping[str, bytes] | None = None) -> None:
    """Print a report in the form that is asked for, and write all of them."""
    from foundation.doors.files import write_files
    from job_creator.reports.forms.files import FILES, print_report

    if out_dir is not None:
        write_files(out_dir, {**{name: write(made).encode() for name, write in FILES.values()}, **(more or {})})
    if form == "text":
        print_report(made, console())
    else:
        click.echo(FILES[form][1](made), nl=False)
