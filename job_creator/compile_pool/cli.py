"""`jc compile-pool`: one command, its compiles on many cores."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from foundation.command_line import Group, json_option
from foundation.errors import ExitCode
from job_creator.compile_pool.allocation.cli import config
from job_creator.compile_pool.launchers import Launcher
from job_creator.options import Options

_TO_THE_END: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}
_COMMAND: Final = click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
_LOG: Final = click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that gets a line of JSON for each command of a compiler: where it was done, or why here.",
)


@click.group("compile-pool", cls=Group, exit_codes=())
def compile_pool() -> None:
    """Compile one package on many nodes.

    The compiler, the hash and the objects stay what they are.

    \b
    Examples:
      jc compile-pool mpi -n 64 -- spack install /abcdef1 -j 128
      jc compile-pool mpi -n 3 -- make -j4 CC="ccache gcc"
      jc compile-pool explain -- g++ -c a.cc -o a.o
      jc compile-pool trace --database compile_commands.json -- make
    """


compile_pool.add_command(config)


@compile_pool.command("mpi", exit_codes=(ExitCode.NOT_READY,), context_settings=_TO_THE_END)
@click.option(
    "-n", "--ranks", type=click.IntRange(min=2), required=True, help="Ranks of MPI; all but one of them compile."
)
@click.option(
    "--launcher",
    type=click.Choice(["auto", *(one.value for one in Launcher)]),
    default="auto",
    show_default=True,
    help="What starts the ranks; 'auto' is srun or flux in an allocation, mpiexec elsewhere.",
)
@click.option(
    "--pmi", default="pmi2", show_default=True, help="How ranks of srun find each other; see 'srun --mpi=list'."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=900.0,
    show_default=True,
    help="For one compile elsewhere; after that it is done here, and the ranks are started anew.",
)
@click.option(
    "--launcher-option",
    "launcher_options",
    multiple=True,
    metavar="WORD",
    help="Say this to the launcher as well, such as --het-group=1. May be repeated.",
)
@click.option(
    "--jobserver",
    is_flag=True,
    help="Let all that COMMAND builds at the same time share the cores of the pool; for GNU make 4.4 and newer alone.",
)
@_LOG
@_COMMAND
@click.pass_obj
def mpi_command(options: Options, /, log: Path | None, command: tuple[str, ...], **told: Any) -> None:
    """Run COMMAND here, and its compiles on ranks of MPI. Ends with the exit code of COMMAND.

    In the environment of COMMAND 'ccache' is a program that hands compiles on: 'spack' gets '-c config:ccache:true', so
    that its compiler wrapper calls it, CMake is told, and elsewhere 'CC="ccache gcc"' does. Preprocessing and linking
    stay here, and so does every compile that could come out differently elsewhere. Ranks that die, hang or have
    another compiler cost time, never a build. Needs the extra 'mpi', or mpi4py of the site.

    \b
    Examples:
      jc compile-pool mpi -n 64 -- spack install /abcdef1 -j 128
      jc compile-pool mpi -n 64 --launcher srun --log compiles.jsonl -- spack -e . install -j 128
      jc compile-pool mpi -n 3 -- make -j4 CC="ccache gcc"
    """
    from job_creator.compile_pool.launchers import launcher_here
    from job_creator.compile_pool.running import PoolSettings, run_with_ranks

    told["launcher"] = launcher_here(options.environment) if told["launcher"] == "auto" else Launcher(told["launcher"])
    settings = PoolSettings(**told)
    code, summary = run_with_ranks(settings, command, options.environment, log)
    click.echo(f"compile pool: {summary}", err=True)
    sys.exit(code)


@compile_pool.command("explain", exit_codes=(), context_settings=_TO_THE_END)
@json_option
@_COMMAND
@click.pass_obj
def explain_command(options: Options, command: tuple[str, ...], as_json: bool) -> None:
    """Say where COMMAND, one of a compiler, would be done. Nothing is run.

    What only the preprocessed text shows ('.incbin') is not looked for.

    \b
    Examples:
      jc compile-pool explain -- g++ -c a.cc -o a.o
      jc compile-pool explain -- gcc -march=native -c a.c
    """
    from job_creator.compile_pool.commands import HereOnly
    from job_creator.compile_pool.running import explain

    found = explain(command, str(Path.cwd()), options.environment)
    if as_json:
        value: dict[str, Any] = {"elsewhere": not isinstance(found, HereOnly)}
        if isinstance(found, HereOnly):
            value["because"] = found.reason
        else:
            value |= {"preprocess": found.preprocess, "options": found.options, "output": found.output}
            value |= {"dependencies": found.dependencies or None}
        click.echo(json.dumps(value, indent=2))
    elif isinstance(found, HereOnly):
        click.echo(f"here: it {found.reason}")
    else:
        from shlex import join

        click.echo(f"elsewhere\n  text, here:        {join(found.preprocess)}")
        click.echo(f"  object, elsewhere: {join([found.compiler, *found.options])} -x {found.language} -c")


@compile_pool.command("trace", exit_codes=(), context_settings=_TO_THE_END)
@_LOG
@click.option(
    "--database",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A compilation database to write, which Clang's tools and editors read.",
)
@_COMMAND
@click.pass_obj
def trace_command(options: Options, log: Path | None, database: Path | None, command: tuple[str, ...]) -> None:
    """Run COMMAND, and write down all that it asks of compilers. Ends with the exit code of COMMAND.

    Everything is done here; 'why' in the log is why a pool would do it here, too.

    \b
    Examples:
      jc compile-pool trace --log compiles.jsonl -- spack install zlib
      jc compile-pool trace --database compile_commands.json -- make CC="ccache gcc"
    """
    from job_creator.compile_pool.running import run_and_trace

    sys.exit(run_and_trace(command, options.environment, log, database))
