"""Commands for folders that are no mirrors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import CouldNotAskError, ExitCode

if TYPE_CHECKING:
    from foundation.doors.trees import MeasuredTree

_SHOWN = 10


@click.command("delete-tree", cls=Command, exit_codes=(ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.REFUSED))
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--may-be-missing", is_flag=True, help="It is fine if a folder is not there (any more).")
@click.option("--workers", type=click.IntRange(1, 256), default=16, show_default=True, help="How many delete at once.")
@json_option
def delete_tree(*, folders: tuple[Path, ...], dry_run: bool, may_be_missing: bool, workers: int, as_json: bool) -> None:
    """Delete large folders, many files at once.

    All are looked at first. Links are deleted, never followed; a folder that is a mount point, or has one in it, is
    refused. A run that was killed is repeated with --may-be-missing.

    \b
    Examples:
      spackitor delete-tree /scratch/me/build-1 /scratch/me/build-2 --dry-run
      spackitor delete-tree /scratch/me/build-* --may-be-missing
    """
    from foundation.doors.trees import delete
    from foundation.shown import shown_size
    from foundation.tables import print_table

    trees = _measured(folders, may_be_missing=may_be_missing)
    values: list[dict[str, object]] = []
    failed: dict[str, str] = {}
    for tree in trees:
        if not as_json:
            rows = [(name, shown_size(size)) for name, size in list(tree.largest.items())[:_SHOWN]]
            if rows:
                print_table(("largest", "size"), rows, console())
            goes = "would go" if dry_run else "go"
            click.echo(f"{tree.path}: {tree.files} files in {tree.folders} folders {goes}, {shown_size(tree.size)}")
        value: dict[str, object] = {
            "path": str(tree.path),
            "files": tree.files,
            "folders": tree.folders,
            "bytes": tree.size,
        }
        if not dry_run:
            done = delete(tree, workers)
            failed |= done.failed
            value |= {"deleted_files": done.files, "deleted_folders": done.folders, "failed": done.failed}
        values.append(value)
    if as_json:
        click.echo(json.dumps(values, indent=2))
    if failed:
        path, why = next(iter(failed.items()))
        raise CouldNotAskError(f"{len(failed)} things could not be deleted, such as {path}: {why}")


def _measured(folders: Iterable[Path], *, may_be_missing: bool) -> list[MeasuredTree]:
    """Each folder once; what is below another one goes with that."""
    from foundation.doors.trees import measure
    from foundation.errors import NotThereError

    found: dict[Path, MeasuredTree] = {}
    for folder in folders:
        try:
            tree = measure(folder)
        except NotThereError:
            if not may_be_missing:
                raise
        else:
            found[tree.path] = tree
    return [tree for path, tree in found.items() if found.keys().isdisjoint(path.parents)]
