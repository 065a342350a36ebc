"""`jc splices`: what may be spliced into the binaries of a cache."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundation.command_line import Command, Group, console, json_option
from foundation.errors import ExitCode, NotThereError
from job_creator.options import SCOPES, SPACK, Options
from job_creator.studies.extra import SPLICES, require_extra
from job_creator.studies.splices.options import (
    EXIT_CODES,
    FOLDER,
    TRANSITIVE,
    SplicesRequest,
    gather_facts,
    request_options,
)

if TYPE_CHECKING:
    from job_creator.studies.splices.gathering import Gathered
    from job_creator.studies.splices.prediction.verdicts import Prediction


@click.group("splices", cls=Group, exit_codes=())
def splices() -> None:
    """What may be spliced into what. Of the binaries in a build cache, which are not installed for it.

    \b
    Examples:
      jc splices predict --mirror s3://cache/amd64 --of curl --with zlib --with openssl
      jc splices report --html splices.html --csv splices.csv
    """


@splices.command("facts", cls=Command, exit_codes=EXIT_CODES)
@request_options
@json_option
@click.pass_obj
def facts_command(options: Options, /, as_json: bool, **arguments: Any) -> None:
    """Read what files say of themselves. Those of the binaries, and of all that they link or run.

    Every archive and every file in it is read once; whoever ends this loses no more than the archives that were being
    read. 'predict' does this by itself.

    \b
    Examples:
      jc splices facts --mirror /shared/mirror --of curl --with zlib
      jc splices facts --mirror oci://registry.example.org/cache --of curl --with zlib -d curl-zlib --json
    """
    from job_creator.studies.splices.facts.collection import as_value

    request = SplicesRequest(**arguments)
    _, _, gathered = gather_facts(options, request)
    value = as_value(gathered.facts, gathered.damaged)
    if as_json:
        click.echo(json.dumps(value, indent=2))
        return
    found = gathered.facts
    files = {sha256 for one in found.binaries.values() for sha256 in one.files.values()}
    click.echo(f"{len(found.binaries)} binaries with {len(files)} ELF files; {found.read} archives were read for it")
    _print_failures({**gathered.damaged, **found.failures})


@splices.command("plan", cls=Command, exit_codes=EXIT_CODES)
@request_options
@TRANSITIVE
@json_option
@click.pass_obj
def plan_command(options: Options, /, transitive: bool, as_json: bool, **arguments: Any) -> None:
    """Show which splices a cache allows. And why others are left out; no archive is read.

    \b
    Examples:
      jc splices plan --mirror /shared/mirror --of curl --with zlib
      jc splices plan --mirror /shared/mirror --of osu-micro-benchmarks --with mpich=openmpi --json
    """
    from foundation.tables import print_table
    from job_creator.studies.splices.gathering import find
    from job_creator.studies.splices.options import open_caches
    from job_creator.studies.splices.prediction.running import dags_of, make_plan

    request = SplicesRequest(**arguments)
    found = find(open_caches(options, request), request.question)
    made = make_plan(found, request.question, is_transitive=transitive)
    nodes = {hash_: node for dag in dags_of(found).values() for hash_, node in dag.items()}
    if as_json:
        rows = [
            {"consumer": one.consumer, "replaced": one.replaced, "replacement": one.replacement} for one in made.splices
        ]
        click.echo(json.dumps({"splices": rows, "left_out": list(made.left_out)}, indent=2))
        return
    table = [[str(nodes[hash_]) for hash_ in (one.consumer, one.replaced, one.replacement)] for one in made.splices]
    print_table(["binary", "replaced", "by"], table, console())
    click.echo(f"{len(table)} splices")
    for reason in made.left_out:
        click.echo(f"left out: {reason}")


@splices.command("predict", cls=Command, exit_codes=EXIT_CODES)
@request_options
@TRANSITIVE
@click.option("--symbols-only", is_flag=True, help="Do not ask libabigail's programs about types, if they are there.")
@json_option
@click.pass_obj
def predict_command(options: Options, /, transitive: bool, symbols_only: bool, as_json: bool, **arguments: Any) -> None:
    """Say which splices work. From what the files of all binaries say to the loader; nothing is run.

    A splice fails (-1) where a library, a version or a strong symbol would be missing that was there before; all
    libraries and all files that bind to them are looked at. With debug information on both sides and libabigail
    installed, types are compared as well, and it works (1) with the confidence 'types'; otherwise with the confidence
    'symbols', which cannot see a changed struct. What went wrong is not known (0), and where nothing binds to the
    library the splice is not applicable.

    What was said before of the same files is not looked at again.

    \b
    Examples:
      jc splices predict --mirror /shared/mirror --of curl --with zlib
      jc splices predict --mirror s3://cache/amd64 --of curl --with zlib --with openssl --json
    """
    _, predictions = _predict(options, SplicesRequest(**arguments), transitive=transitive, symbols_only=symbols_only)
    if as_json:
        # A line for each: indented, thousands of them would take longer to print than to look up.
        click.echo("[" + ",\n ".join(json.dumps(one.as_value()) for one in predictions) + "]")
        return
    _print_predictions(predictions)


def _output(flag: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        flag, flag.lstrip("-"), type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=text
    )


@splices.command("report", cls=Command, exit_codes=(ExitCode.INVALID_INPUT, ExitCode.NOT_THERE, ExitCode.NOT_READY))
@FOLDER
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Other predictions than those in the folder: a predictions.jsonl, a CSV matrix, or symbolator's JSON.",
)
@_output("--jsonl", "Write the predictions, a line for each.")
@_output("--csv", "Write the matrix of 1, 0 and -1; nothing stands for not applicable.")
@_output("--html", "Write a page with the heat map, what is missing, and a filter.")
@_output("--svg", "Write the heat map.")
@_output("--png", "Write the heat map.")
@_output("--pdf", "Write the heat map.")
@click.option("--title", default="", help="Of the heat map.  [default: what the predictions are about]")
@json_option
def report_command(folder: Path, source: Path | None, title: str, as_json: bool, **files: Path | None) -> None:
    """Show what was predicted. As a matrix of binaries and replacements, in files of many kinds.

    Where a binary has two predictions for one replacement, both have to be good.

    \b
    Examples:
      jc splices report
      jc splices report --html splices.html --csv splices.csv
      jc splices report --from curl.csv --png curl.png
      jc splices report --from symbolator-predictions.json --pdf curl.pdf
    """
    from foundation.doors.files import read_file, write_files
    from job_creator.studies.splices.prediction.running import FILE
    from job_creator.studies.splices.report.files import Report, summary_of
    from job_creator.studies.splices.report.sources import read_matrix

    path = source or folder / FILE
    if not path.exists():
        raise NotThereError(f"{path}: there are no predictions; run 'jc splices predict' first")
    report = Report(*read_matrix(read_file(path), str(path)), title)
    wanted = {form: target for form, target in files.items() if target}
    if {"png", "pdf"} & wanted.keys():
        require_extra(SPLICES)
    for form, target in wanted.items():
        write_files(target.parent, {target.name: report.content(form)})
    summary = summary_of(report.matrix)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    click.echo(f"{summary['binaries']} binaries, {summary['replacements']} replacements")
    for kind, count in summary["cells"].items():
        click.echo(f"{kind}: {count}")


@splices.command("verify", cls=Command, exit_codes=EXIT_CODES)
@request_options
@TRANSITIVE
@click.option("--symbols-only", is_flag=True, help="As for 'predict'.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Try so many of the splices, always the same.")
@click.option(
    "--test",
    "commands",
    multiple=True,
    metavar="COMMAND",
    help="What is run to see whether a splice works; {prefix} stands for the binary's prefix. May be repeated. "
    "[default: each program in bin with --version]",
)
@SPACK
@SCOPES
@click.option("--no-check-signature", "unsigned", is_flag=True, help="Binaries need not be signed.")
@json_option
@click.pass_obj
def verify_command(
    options: Options,
    /,
    transitive: bool,
    symbols_only: bool,
    sample: int | None,
    commands: tuple[str, ...],
    program: str,
    scopes: tuple[Path, ...],
    unsigned: bool,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Make splices, and see what becomes of them. With a real Spack, in a store of its own that is removed afterwards.

    Binary and replacement are installed from the cache alone and spliced. The loader then binds every symbol of all
    files that Spack rewired, and commands are run in the original and in the splice, with LD_BIND_NOW and without the
    environment of this command. What the original does and the splice does not is a failure.

    This runs programs of the cache: do it where they may run, and where no secrets are.

    \b
    Examples:
      jc splices verify --mirror /shared/mirror --of curl --with zlib
      jc splices verify --mirror /shared/mirror --of curl --with zlib --sample 20 \\
         --test '{prefix}/bin/curl --version' --spack ~/spack/bin/spack
    """
    import tempfile

    from foundation.progress import counted_progress
    from foundation.stores.opening import url_of
    from job_creator.studies.splices.verification.report import print_outcomes, report_value
    from job_creator.studies.splices.verification.running import VerificationOrder, sampled, verify_all
    from job_creator.studies.splices.verification.sessions import SpliceSettings

    request = SplicesRequest(**arguments)
    gathered, predictions = _predict(options, request, transitive=transitive, symbols_only=symbols_only)
    chosen = sampled(predictions, sample)
    settings = SpliceSettings(program, tuple(one.resolve() for one in scopes), url_of(request.mirror), unsigned)
    with (
        tempfile.TemporaryDirectory(prefix="splices-") as workplace,
        counted_progress("tried", len(chosen), quiet=options.quiet) as advance,
    ):
        trial = VerificationOrder(Path(workplace), request.folder, gathered.found, commands)
        outcomes = verify_all(settings, trial, chosen, lambda one: advance(1, f"{one.actual}: {one.evidence[0]}"))
    if as_json:
        click.echo(json.dumps(report_value(outcomes), indent=2))
    else:
        print_outcomes(outcomes, console())


def _predict(
    options: Options, request: SplicesRequest, *, transitive: bool, symbols_only: bool
) -> tuple[Gathered, list[Prediction]]:
    import tempfile

    from foundation.progress import counted_progress
    from job_creator.studies.splices.prediction.abigail import Abigail, abigail_version
    from job_creator.studies.splices.prediction.running import Predictor, make_plan, predict_all

    caches, kept, gathered = gather_facts(options, request)
    made = make_plan(gathered, request.question, is_transitive=transitive)
    for reason in made.left_out:
        click.echo(f"left out: {reason}", err=True)
    version = "" if symbols_only else abigail_version()
    with (
        tempfile.TemporaryDirectory(prefix="splices-") as workplace,
        counted_progress("splices", len(made.splices), quiet=options.quiet) as advance,
    ):
        place = request.folder / "abigail"
        path = {"PATH": options.environment.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
        abigail = Abigail(version, place, Path(workplace), caches, gathered.found, path)
        predictor = Predictor(gathered, kept, abigail if version else None)
        told = predict_all(predictor, made.splices, request.folder, lambda one, _: advance(1, one.reason))
    return gathered, told


def _print_predictions(predictions: list[Prediction]) -> None:
    from foundation.tables import print_table

    rows = [
        [str(one.consumer), str(one.replaced), str(one.replacement), one.shown_verdict, one.reason]
        for one in predictions
    ]
    print_table(["binary", "replaced", "by", "verdict", "because"], rows, console())
    counts = Counter(one.shown_verdict for one in predictions)
    click.echo(", ".join(f"{verdict}: {count}" for verdict, count in sorted(counts.items())) or "no splices")


def _print_failures(failures: dict[str, str]) -> None:
    for reason in sorted(failures.values()):
        click.echo(f"not read: {reason}", err=True)
