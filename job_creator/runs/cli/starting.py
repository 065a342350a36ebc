"""Command of `jc build`: building what a build cache lacks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from foundation.command_line import Command, Size, is_quiet, json_option
from foundation.errors import ExitCode
from job_creator.options import ENDPOINT, SCOPES, SPACK, Options
from job_creator.runs.cli.launching import HOURS_OF_ALLOCATION, NODES, WITHIN, launched
from job_creator.runs.cli.pooling import COMPILE_ON, RANKS, require_sense, step_pools
from job_creator.runs.engines import ENGINES, SCHEDULERS

if TYPE_CHECKING:
    from job_creator.runs.folder import RunFolder
    from job_creator.runs.order import BuildOrder
    from job_creator.runs.start import PlannedRun

_EXIT_CODES: Final = (
    ExitCode.INVALID_INPUT,
    ExitCode.COULD_NOT_ASK,
    ExitCode.NOT_THERE,
    ExitCode.NOT_READY,
    ExitCode.REFUSED,
    ExitCode.DAMAGED,
    ExitCode.PACKAGES_FAILED,
)
_CORES_OF_A_JOB: Final = 4


@click.command("start", cls=Command, exit_codes=_EXIT_CODES)
@click.argument("wanted", nargs=-1, required=True, metavar="(DEFINITION | LOCK | FOLDER)...")
@click.option(
    "--mirror", required=True, metavar="MIRROR", help="The build cache: a folder, s3://bucket or oci://host/repository."
)
@click.option(
    "--engine", type=click.Choice(sorted(ENGINES)), default="local", show_default=True, help="Who runs the builds."
)
@click.option("--joined", "is_joined", is_flag=True, help="With ray: build on machines that 'jc cluster join' alone.")
@click.option(
    "--container",
    "image",
    type=click.Path(path_type=Path, exists=True),
    metavar="IMAGE.sif",
    help="Build in a container of Apptainer or Singularity.",
)
@click.option("--bind", "binds", multiple=True, metavar="FOLDER", help="Let it be seen in there. May be repeated.")
@click.option(
    "--launch", type=click.Choice(WITHIN), help="Do it in an allocation of a scheduler, which is asked for now."
)
@NODES
@HOURS_OF_ALLOCATION
@click.option(
    "-j",
    "--cores",
    type=click.IntRange(1),
    help="Take so many cores: in all on this machine, for each package elsewhere.  [default: all, or 4 for each]",
)
@click.option(
    "--only", multiple=True, metavar="NAME|HASH", help="Build this package and what it needs. May be repeated."
)
@click.option("--with-dependents", is_flag=True, help="With --only: and all that depends on it.")
@click.option("--dry-run", is_flag=True, help="Only say what would be built.")
@click.option("--unsigned", is_flag=True, help="Push packages that nobody signed.")
@click.option(
    "--collect",
    type=click.Choice(("bitcode", "sources", "licenses")),
    multiple=True,
    help="Keep this of each build beside the build cache; see 'jc corpus'. May be repeated.",
)
@click.option(
    "--sources", default="", metavar="MIRROR", help="Where sources are looked for first; see 'jc mirror create'."
)
@click.option(
    "--no-internet", is_flag=True, help="Builds have none: look first whether --sources has all that they need."
)
@click.option(
    "--hours",
    type=click.FloatRange(0, min_open=True),
    default=12.0,
    show_default=True,
    help="How long a package may take.",
)
@click.option(
    "--scratch",
    default="",
    metavar="FOLDER",
    help="Where packages are built and installed meanwhile.  [default: TMPDIR or /tmp]",
)
@click.option(
    "--least-free",
    type=Size(),
    default="5GiB",
    show_default=True,
    metavar="SIZE",
    help="Start no package with less room than this in --scratch.",
)
@click.option(
    "--submit-option",
    "submit_options",
    multiple=True,
    metavar="WORD",
    help="Say this to the scheduler as well, such as --partition=long. May be repeated.",
)
@click.option(
    "--max-jobs",
    "most_jobs",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Give a scheduler so many jobs at once.",
)
@click.option(
    "--durations",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help='Expected seconds by package, JSON as in {"llvm": 5400, "*": 90}, or records of another run.',
)
@COMPILE_ON
@RANKS
@click.option("--architecture", default="", metavar="NAME", help="Of definitions.  [default: this machine's]")
@click.option(
    "--run",
    "run_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the run.  [default: jc-build-<time>]",
)
@SPACK
@SCOPES
@ENDPOINT
@json_option
@click.pass_obj
def start(options: Options, /, as_json: bool, dry_run: bool, run_dir: Path | None, **told: Any) -> None:
    """Build what the build cache lacks. Each package from its sources, what it needs from the cache.

    What is concrete is built as it is: a lockfile, a folder with a spack.lock, or with one '*.lock' for each of many
    environments. Definitions are concretized first. Packages are pushed one by one, signed; so a run that was ended,
    however, goes on when it is started again. A package that fails keeps what needs it from being built and nothing
    else, and the exit code is 12.

    \b
    Examples:
      jc build amd64/neuron --mirror s3://cache/amd64 --dry-run
      jc build spack.lock --mirror /shared/cache -j 16
      jc build spack.lock --mirror /shared/cache --only hdf5 --with-dependents
      jc build locks/ --mirror /shared/cache --launch slurm -N 16
      jc build spack.lock --mirror /shared/cache --compile-on mpi --ranks 64 --durations records.jsonl
    """
    import json
    import time

    from job_creator.runs import report
    from job_creator.runs.folder import RunFolder

    _require_sense(told)
    if told["launch"]:
        for line in launched(click.get_current_context(), options):
            _say(line, as_json=as_json)
        return
    order, planned = _planned(options, told)
    if order.pools:
        pooled = sorted(order.pools.packages & {step.package for step in planned.plan.steps.values()})
        told_of = f"on {order.pools.ranks} ranks each: {', '.join(pooled)}" if pooled else "by a pool: no package"
        _say(f"compiled {told_of}", as_json=as_json)
    if dry_run or not planned.plan.steps:
        if not dry_run:
            _mend_index(options, order)
        _show_plan(planned, as_json=as_json, names=dry_run)
        return
    path = run_dir or Path(time.strftime("jc-build-%Y%m%d-%H%M%S"))
    folder = RunFolder(path)
    if told["no_internet"]:
        _require_sources(options, order, planned)
    _say(f"{planned.plan}; what happens is kept in {path}", as_json=as_json)
    _carry_out(options, order, planned, folder, as_json=as_json)
    made = report.make_report(folder.edges, folder.records())
    if as_json:
        click.echo(json.dumps(report.report_value(made, str(path)), indent=2))
    else:
        for line in report.report_lines(made, str(path)):
            click.echo(line)
    if not made.is_complete:
        click.get_current_context().exit(int(ExitCode.PACKAGES_FAILED))


def _require_sense(told: dict[str, Any]) -> None:
    """Raise `click.UsageError` for an option that has nothing to say beside the others."""
    require_sense(told)
    if told["with_dependents"] and not told["only"]:
        raise click.UsageError("--with-dependents says more about --only; name packages with it")
    if told["submit_options"] and not told["launch"] and told["engine"] not in SCHEDULERS:
        raise click.UsageError("--submit-option is for a scheduler; leave it out, or say --engine or --launch")
    if told["is_joined"] and told["engine"] != "ray":
        raise click.UsageError("--joined is for --engine ray")
    if told["binds"] and not told["image"]:
        raise click.UsageError("--bind is about a container; name one with --container")
    if told["no_internet"] and not told["sources"]:
        raise click.UsageError("--no-internet: say with --sources where sources are then")
    if told["nodes"] > 1 and not told["launch"]:
        raise click.UsageError("--nodes is about an allocation; say --launch, or call jc build in one")


def _planned(options: Options, told: dict[str, Any]) -> tuple[BuildOrder, PlannedRun]:
    """What is ordered, and what of that is to be built."""
    from foundation.doors.files import read_file
    from foundation.spack.program import SpackProgram
    from job_creator.builds.durations import default_durations, read_durations
    from job_creator.mirrors.needs.locks import Repository
    from job_creator.runs import environments, start
    from job_creator.runs.order import BuildOrder
    from job_creator.runs.plan import Selection

    spack = SpackProgram(start.program_path(told["program"]), scopes=told["scopes"])
    repository = Repository(options.directory, options.site_file, options.environment, told["architecture"])
    found = environments.find_environments(told["wanted"], repository, spack)
    path = told["durations"]
    durations = read_durations(read_file(path), str(path), 0.0) if path else default_durations()
    selection = Selection(told["only"], told["with_dependents"])
    collect = tuple(sorted({*told["collect"], *(kind for one in found.values() for kind in one.collect)}))
    planned = start.plan_run(
        found, told["mirror"], told["endpoint_url"], options.environment, selection, durations, collect
    )
    order = BuildOrder(
        mirror=told["mirror"],
        spack=spack.program,
        scopes=told["scopes"],
        line=start.line_of(spack),
        engine=told["engine"],
        cores=told["cores"] or (len(os.sched_getaffinity(0)) if told["engine"] == "local" else _CORES_OF_A_JOB),
        seconds=told["hours"] * 3600,
        signed=not told["unsigned"],
        endpoint=start.endpoint_of(told["mirror"], told["endpoint_url"], options.environment),
        sources=told["sources"],
        scratch=told["scratch"],
        least_free_bytes=told["least_free"],
        submit_options=told["submit_options"],
        most_jobs=told["most_jobs"],
        is_joined=told["is_joined"],
        image=told["image"],
        binds=told["binds"],
        pools=step_pools(options, told, durations),
        collect=collect,
    )
    return order, planned


def _carry_out(options: Options, order: BuildOrder, planned: PlannedRun, folder: RunFolder, *, as_json: bool) -> None:
    """Build, and write the index. An interruption ends the builds first."""
    from uuid import uuid4

    from foundation.spack.program import SpackProgram
    from job_creator.mirrors.places import open_place
    from job_creator.runs import engines, report, start
    from job_creator.runs.machines.probing import require_ready

    spack = SpackProgram(order.spack, scopes=order.scopes)
    run = uuid4().hex[:12]
    engines.require_nobody_at_work(order)
    require_ready(spack, order.mirror, options.environment)
    works = start.prepare(folder, run, order, planned, options.environment, start.warm_cache(spack, _home(options)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    with start.scratch_removed(run, order, options.environment), _told_how_to_go_on(folder, order):
        start.drive(
            folder,
            planned,
            ENGINES[order.engine](order, folder, options.environment),
            works,
            lambda record: _say(report.record_line(record), as_json=as_json),
        )
    if any(record.state == "built" for record in folder.records().values()):
        start.update_index(spack, order)
        if order.collect:
            start.list_collected(open_place(order.mirror, order.endpoint or None, options.environment))


def _require_sources(options: Options, order: BuildOrder, planned: PlannedRun) -> None:
    """Raise `RefusedError` if the mirror of sources lacks some of what is to be built."""
    from foundation.spack.program import SpackProgram
    from job_creator.mirrors.needs.questions import Lock
    from job_creator.runs.machines.sources import require_sources

    spack = SpackProgram(order.spack, scopes=order.scopes)
    locks = [Lock(one.name, one.lock, one.lockfile) for one in planned.environments.values()]
    require_sources(spack, locks, planned.plan.steps.keys(), order.sources, options.environment, _home(options))


def _mend_index(options: Options, order: BuildOrder) -> None:
    """Write the index that a run which was killed left behind."""
    from foundation.spack.program import SpackProgram
    from job_creator.mirrors.places import open_place
    from job_creator.runs import start

    if start.is_index_behind(open_place(order.mirror, order.endpoint or None, options.environment)):
        start.update_index(SpackProgram(order.spack, scopes=order.scopes), order)


@contextmanager
def _told_how_to_go_on(folder: RunFolder, order: BuildOrder) -> Iterator[None]:
    """Says what becomes of a run that is interrupted."""
    try:
        yield
    except SystemExit:
        jobs = "" if order.engine == "local" else f"; its jobs go on, and 'jc build cancel {folder.path}' ends them"
        click.echo(f"interrupted{jobs}; 'jc build' with the same mirror builds the rest", err=True)
        raise


def _interrupt(number: int, frame: object) -> NoReturn:
    """What `jc build cancel` and schedulers say is taken as Ctrl-C is."""
    del frame
    sys.exit(128 + number)


def _home(options: Options) -> Path:
    return Path(options.environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spacktainers"


def _say(line: str, *, as_json: bool) -> None:
    if not is_quiet():
        click.echo(line, err=as_json)


def _show_plan(planned: PlannedRun, *, as_json: bool, names: bool) -> None:
    import json

    from foundation.graph import topological_order

    plan = planned.plan
    steps = [plan.steps[key] for key in topological_order(plan.edges)] if names else []
    if as_json:
        counts = {"to_build": len(plan.steps), "present": plan.present, "external": plan.external}
        listed = [{"hash": step.hash, "package": step.package, "version": step.version} for step in steps]
        click.echo(json.dumps({**counts, "left_out": plan.left_out, "packages": listed}, indent=2))
        return
    click.echo(str(plan))
    for step in steps if not is_quiet() else []:
        click.echo(f"  {step.named}/{step.hash[:7]}")
