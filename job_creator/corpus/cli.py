"""`jc corpus`: what was collected beside a build cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from foundation.command_line import Command, Group, json_option
from foundation.errors import ExitCode
from job_creator.options import ENDPOINT, Options

_READING: Final = (ExitCode.NOT_THERE, ExitCode.COULD_NOT_ASK, ExitCode.DAMAGED, ExitCode.REFUSED)
_MIRROR: Final = click.argument("mirror", metavar="MIRROR")


@click.group(cls=Group, exit_codes=())
def corpus() -> None:
    """Look at bitcode and sources of builds. And licenses, as 'jc build --collect' collects them, beside a build cache.

    \b
    Examples:
      jc corpus sizes /shared/cache
      jc corpus failures locks/ jc-build-20261128-091500
      jc corpus licenses /shared/cache --allow MIT --allow BSD-3-Clause
    """


@corpus.command("sizes", cls=Command, exit_codes=_READING)
@_MIRROR
@ENDPOINT
@json_option
@click.pass_obj
def sizes(options: Options, mirror: str, endpoint_url: str | None, as_json: bool) -> None:
    """Say how much there is of each package. The largest first, and the sum.

    MIRROR is a build cache: a folder, s3://bucket, or a URL that shows one of them. Nothing but the list of what was
    collected is read. With --json, sizes are in bytes.

    \b
    Examples:
      jc corpus sizes /shared/cache
      jc corpus sizes s3://cache/amd64 --json
    """
    from foundation.command_line import console
    from foundation.tables import print_table
    from job_creator.corpus.reading import require_corpus
    from job_creator.corpus.sizes import HEADINGS, size_rows, size_value
    from job_creator.mirrors.places import store_of

    entries = tuple(require_corpus(store_of(mirror, endpoint_url, options.environment)).values())
    if as_json:
        click.echo(json.dumps(size_value(entries), indent=2))
        return
    print_table(HEADINGS, size_rows(entries), console())


@corpus.command("failures", cls=Command, exit_codes=(ExitCode.NOT_THERE, ExitCode.DAMAGED, ExitCode.INVALID_INPUT))
@click.argument("folders", nargs=-1, required=True, metavar="(RUN | LOCKS)...", type=click.Path(path_type=Path))
@json_option
def failures(folders: tuple[Path, ...], as_json: bool) -> None:
    """Say what is not there, and why. What could not be concretized, and what was not built.

    RUN is the folder of a 'jc build', LOCKS one that 'jc packages lock' filled. Of packages, the one that keeps most
    others from being built comes first, with its log.

    \b
    Examples:
      jc corpus failures locks/ jc-build-20261128-091500
      jc corpus failures locks/ --json
    """
    from foundation.errors import NotThereError
    from job_creator.corpus.failures import CorpusFailures, failure_lines, failures_value
    from job_creator.package_lists.folder import LIST, LockFailure, LockFolder
    from job_creator.runs.folder import RUN_FILE, RunFolder
    from job_creator.runs.report import BuildReport, make_report

    locks: list[LockFailure] = []
    runs: list[tuple[str, BuildReport]] = []
    for folder in folders:
        if (folder / RUN_FILE).is_file():
            run = RunFolder(folder)
            runs.append((str(folder), make_report(run.edges, run.records())))
        elif (folder / LIST).is_file():
            locks += LockFolder(folder).failures().values()
        else:
            raise NotThereError(f"{folder}: is neither the folder of a run nor one of lockfiles")
    found = CorpusFailures(tuple(locks), tuple(runs))
    if as_json:
        click.echo(json.dumps(failures_value(found), indent=2))
        return
    for line in failure_lines(found):
        click.echo(line)


@corpus.command("licenses", cls=Command, exit_codes=_READING)
@_MIRROR
@click.option(
    "--allow", multiple=True, metavar="SPDX", help="List packages that nobody may use under these. May be repeated."
)
@ENDPOINT
@json_option
@click.pass_obj
def licenses(options: Options, mirror: str, allow: tuple[str, ...], endpoint_url: str | None, as_json: bool) -> None:
    """Say under which licenses packages are. As their recipes state it, and how much there is under each.

    With --allow, it lists the packages whose license is not covered by those that are named, or not stated at all, and
    ends with code 9 if there are any. Texts of licenses are in the archives, where 'licenses' was collected.

    \b
    Examples:
      jc corpus licenses /shared/cache
      jc corpus licenses /shared/cache --allow MIT --allow Apache-2.0
    """
    from foundation.command_line import console
    from foundation.errors import RefusedError
    from foundation.tables import print_table
    from job_creator.corpus.reading import require_corpus
    from job_creator.corpus.sizes import LICENSE_HEADINGS, license_rows, license_value, not_allowed
    from job_creator.mirrors.places import store_of

    entries = tuple(require_corpus(store_of(mirror, endpoint_url, options.environment)).values())
    refused = not_allowed(entries, allow) if allow else ()
    if as_json:
        click.echo(json.dumps(license_value(entries, refused), indent=2))
    else:
        print_table(LICENSE_HEADINGS, license_rows(refused or entries), console())
    if refused:
        raise RefusedError(f"{mirror}: {len(refused)} of {len(entries)} packages are not allowed by these licenses")
