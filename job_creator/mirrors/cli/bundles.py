"""Commands of `jc mirror`: taking a mirror to a site without internet."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from foundation.command_line import Command, Size, json_option
from job_creator.mirrors.bundles import SMALLEST_PART
from job_creator.mirrors.cli.options import EXIT_CODES
from job_creator.options import SPACK, Options

if TYPE_CHECKING:
    from job_creator.mirrors.bundles.bundle import Bundle
    from job_creator.mirrors.bundles.imports import ImportPlan
    from job_creator.mirrors.keys.signatures import Signer

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "export",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.argument("folder", metavar="DIRECTORY", type=_FOLDER)
@click.option("-o", "--output", "out", type=_FOLDER, required=True, help="The folder that becomes the bundle.")
@click.option("--since", type=_FILE, metavar="LIST", help="Take only what an earlier bundle's bundle.json lacks.")
@click.option(
    "--max-size",
    "most",
    type=Size(least=SMALLEST_PART),
    default="4G",
    show_default=True,
    help="Of each file of the bundle. The default fits on sticks with FAT.",
)
@click.option("--sign", "fingerprint", metavar="FINGERPRINT", help="Sign the list with this private key.")
@click.option("--unsigned", is_flag=True, help="Do not sign the list, on purpose.")
@click.option(
    "--gpg-home",
    type=_FOLDER,
    help="Where that key is. Without it, Spack's key ring, then gpg's. [variables: SPACK_GNUPGHOME, GNUPGHOME]",
)
@SPACK
@json_option
@click.pass_obj
def export(
    options: Options,
    /,
    folder: Path,
    out: Path,
    since: Path | None,
    most: int,
    fingerprint: str | None,
    unsigned: bool,
    gpg_home: Path | None,
    program: str,
    as_json: bool,
) -> None:
    """Write a mirror as files that can be carried. Or what was added to it, for a site without internet.

    The list of what is in them is written last: a bundle with a bundle.json is complete. Keep that file for --since.
    The same mirror always gives the same parts; a run that was ended goes on where it was.

    \b
    Examples:
      jc mirror export /shared/mirror -o /media/stick/march --sign 0123456789ABCDEF0123456789ABCDEF01234567
      jc mirror export /shared/mirror -o april --since march/bundle.json --max-size 700MiB --unsigned
    """
    from foundation.openpgp.keys import whole_fingerprint
    from foundation.progress import transfer_progress
    from job_creator.mirrors.bundles import exports
    from job_creator.mirrors.bundles.folder import look

    if fingerprint and unsigned:
        raise click.UsageError("--sign or --unsigned, not both")
    signer = _signer(options, whole_fingerprint(fingerprint), gpg_home, program) if fingerprint else None
    survey = look(folder)
    exports.require_usable(out, folder)
    before = _earlier(since) if since else None
    with transfer_progress(f"exporting {folder}", survey.size, quiet=options.quiet) as done:
        plan = exports.make_plan(folder, survey, most, before, done)
        bundle = exports.export(plan, out, signer, done)
    if not (signer or unsigned):
        click.echo("the list is not signed, so that nobody can tell who made it; see --sign", err=True)
    import_it = (
        f"jc mirror import {out} --to DIRECTORY {f'--fingerprint {signer.fingerprint}' if signer else '--unsigned'}"
    )
    if as_json:
        click.echo(json.dumps({**_values(bundle), "bundle": str(out), "import": import_it}, indent=2))
    elif not options.quiet:
        _print_parts(bundle)
        click.echo(f"{out}: {_counted(bundle)}")
        click.echo(f"there: {import_it}")


@click.command(
    "import",
    cls=Command,
    exit_codes=EXIT_CODES,
)
@click.argument("source", metavar="BUNDLE", type=_FOLDER)
@click.option("--to", "root", type=_FOLDER, required=True, help="The mirror, which is made if there is none.")
@click.option("--fingerprint", metavar="FINGERPRINT", help="Of the key that the list must be signed with.")
@click.option("--unsigned", is_flag=True, help="Take the list without a signature.")
@click.option(
    "--deep", is_flag=True, help="Also read the files of earlier bundles that carry their checksum in the name."
)
@click.option(
    "--group", metavar="NAME", help="The group that shares the mirror; it may write, and new files are its own."
)
@click.option("--dry-run", is_flag=True, help="Verify everything, and only say what would be written.")
@json_option
@click.pass_obj
def import_(
    options: Options,
    /,
    source: Path,
    root: Path,
    fingerprint: str | None,
    unsigned: bool,
    deep: bool,
    group: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put a bundle into a mirror. All of it is verified, then what is not there is written.

    Nothing is written unless signature, checksums and the files that an incremental bundle builds on are right. No file
    is ever removed. Indexes and the like take what the bundle has beside what they have: an older bundle, or that of
    another mirror, takes nothing back. This can be interrupted anywhere and run again.

    \b
    Examples:
      jc mirror import /media/stick/march --to /shared/mirror --fingerprint 0123456789ABCDEF0123456789ABCDEF01234567
      jc mirror import april --to /shared/mirror --unsigned --group spack --dry-run
    """
    from foundation.openpgp.keys import whole_fingerprint
    from foundation.progress import transfer_progress
    from job_creator.mirrors.bundles import imports
    from job_creator.mirrors.permissions import permissions_of

    if bool(fingerprint) == unsigned:
        raise click.UsageError("say --fingerprint with that of the key that you trust, or --unsigned")
    permissions = permissions_of(group)
    bundle = imports.open_bundle(source, whole_fingerprint(fingerprint) if fingerprint else None)
    with transfer_progress(f"verifying {source}", sum(part.size for part in bundle.parts), quiet=options.quiet) as done:
        imports.verify(source, bundle, done)
    with transfer_progress(f"comparing {root}", sum(file.size for file in bundle.files), quiet=options.quiet) as done:
        plan = imports.compare(source, bundle, root, done, deep=deep)
    if not dry_run:
        with transfer_progress(f"importing into {root}", plan.size, quiet=options.quiet) as done:
            imports.carry_out(plan, permissions, done)
    if as_json:
        click.echo(json.dumps(_imported(plan, dry_run=dry_run), indent=2))
    elif not options.quiet:
        from foundation.shown import shown_size

        there = len(bundle.files) - len(plan.files) - len(plan.merges)
        said = "would be written" if dry_run else "written"
        click.echo(f"{root}: {len(plan.written)} files ({shown_size(plan.size)}) {said}, {there} were there")
        for merge in plan.merges:
            click.echo(f"{merge.key}: what the bundle has {'would be' if dry_run else 'is'} added to what is there")
        if plan.kept:
            some = ", ".join(plan.kept[:3])
            click.echo(f"{len(plan.kept)} files stay as later bundles brought them, such as {some}")


COMMANDS: tuple[click.Command, ...] = (export, import_)


def _signer(options: Options, fingerprint: str, given: Path | None, program: str) -> Signer:
    """The private key, from the first place that has it. Raises `NotThereError` and `CouldNotAskError`."""
    from contextlib import suppress

    from foundation.errors import CouldNotAskError, NotReadyError, NotThereError
    from job_creator.mirrors.keys.signatures import Signer
    from job_creator.mirrors.keys.spack_ring import SpackKeys

    own = Signer(fingerprint, options.environment.get("GNUPGHOME", ""))
    if given:
        own = Signer(fingerprint, str(given))
    else:
        with suppress(CouldNotAskError, NotReadyError, NotThereError):
            signer = Signer(fingerprint, options.environment.get("SPACK_GNUPGHOME") or SpackKeys(program).home())
            signer.require_key()
            return signer
    own.require_key()
    return own


def _earlier(path: Path) -> tuple[Bundle, str]:
    """The list of an earlier bundle, and its checksum."""
    import hashlib

    from foundation.doors.files import read_file
    from foundation.errors import NotThereError
    from job_creator.mirrors.bundles.bundle import read_bundle

    if not path.is_file():
        raise NotThereError(f"{path}: no such file; name the bundle.json of the earlier bundle")
    content = read_file(path)
    return read_bundle(content, str(path)), hashlib.sha256(content).hexdigest()


def _print_parts(bundle: Bundle) -> None:
    from foundation.shown import shown_size

    inside = bundle.placed()
    for number, part in enumerate(bundle.parts, start=1):
        folders = Counter(file.key.partition("/")[0] for file, _ in inside[number])
        held = ", ".join(f"{count} of {name}" for name, count in folders.items())
        click.echo(f"{part.name}: {shown_size(part.size)}, {held}")


def _counted(bundle: Bundle) -> str:
    from foundation.shown import shown_size

    text = f"{len(bundle.held)} files, {shown_size(sum(file.size for file in bundle.held))}"
    return f"{text}; {len(bundle.earlier)} more came before" if bundle.since else text


def _values(bundle: Bundle) -> dict[str, Any]:
    """What a bundle holds, for JSON."""
    return {
        "parts": [{"name": part.name, "bytes": part.size, "sha256": part.sha256} for part in bundle.parts],
        "files": len(bundle.held),
        "bytes": sum(file.size for file in bundle.held),
        "earlier": len(bundle.earlier),
        "links": len(bundle.links),
    }


def _imported(plan: ImportPlan, *, dry_run: bool) -> dict[str, Any]:
    """What an import wrote, for JSON."""
    return {
        "mirror": str(plan.root),
        "written": list(plan.written),
        "merged": [merge.key for merge in plan.merges],
        "kept": list(plan.kept),
        "links": sorted(plan.links),
        "bytes": plan.size,
        "there": len(plan.bundle.files) - len(plan.files) - len(plan.merges),
        "dry_run": dry_run,
    }
