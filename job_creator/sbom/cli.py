"""`jc sbom`. Imports stand in the commands, so that `jc --help` answers at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundation.command_line import Command, Group, console, json_option
from foundation.errors import ExitCode
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job_creator.sbom.components import Bom, Licence
    from job_creator.sbom.gathering import BomRequest

_CODES = (*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.DAMAGED)
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_ARCHITECTURE = click.option(
    "--architecture", default="amd64", show_default=True, help="Which image of an index, as OCI says."
)


@click.group(cls=Group, exit_codes=())
def sbom() -> None:
    """Say what is in a container. As CycloneDX and as SPDX, from its own files.

    \b
    Examples:
      jc sbom make neuron.sif
      jc sbom diff old.cdx.json new.cdx.json
    """


@sbom.command(cls=Command, exit_codes=_CODES)
@click.argument("target", metavar="(SIF | IMAGE | LOCKFILE)")
@click.option("--record", metavar="FILE", help="The record of a SIF file, which has the container's name and version.")
@click.option(
    "--standard", type=click.Choice(["cyclonedx", "spdx"]), default="cyclonedx", show_default=True, help="To print."
)
@click.option("-o", "--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Write both into this folder.")
@click.option("--add", is_flag=True, help="Put both into the SIF file.")
@click.option("--attach", is_flag=True, help="Lay both beside the image; it has to be named by its digest.")
@click.option(
    "--recipes",
    "folders",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    help="A repository of recipes, for licenses, where the container keeps none. May be repeated.",
)
@_ARCHITECTURE
@click.pass_obj
def make(
    options: Options,
    /,
    target: str,
    record: str | None,
    standard: str,
    out_dir: Path | None,
    add: bool,
    attach: bool,
    folders: tuple[Path, ...],
    architecture: str,
) -> None:
    """Make the bill of materials of a container. Spack's packages with licenses, and those of the distribution.

    What Spack installed is what the lockfile in the container says. Licenses are those that the recipe says which the
    package was installed with, and those that the site file has below 'licenses', as concluded. Of the distribution,
    what dpkg, apk or RPM (SQLite) has on record is in it. Packages of Spack of which nobody says the license are named.

    \b
    Examples:
      jc sbom make neuron.sif -o sbom
      jc sbom make registry.example.org/group/neuron:9.0 --standard spdx
      jc sbom make spack.lock --recipes ~/spack-packages/repos/spack_repo/builtin
    """
    from dataclasses import replace

    from foundation.doors.files import write_files
    from job_creator.pipelines.images import client_for
    from job_creator.sbom.documents import add_to_sif, attach_to_image, written

    asked = replace(_request(target, record, folders), concluded=_concluded(options))
    bom = _bom(options, target, asked, architecture)
    documents = written(bom)
    if add:
        add_to_sif(Path(target), documents)
    if attach:
        attach_to_image(client_for(options.directory, options.site_file, options.environment), target, documents)
    if out_dir:
        write_files(out_dir, documents.files(bom.name))
    elif not (add or attach):
        click.echo((documents.spdx if standard == "spdx" else documents.cyclonedx).decode(), nl=False)
    if not options.quiet:
        without = f"; no license is on record of {', '.join(bom.unlicensed)}" if bom.unlicensed else ""
        click.echo(f"{bom.name}: {len(bom.packages)} packages{without}", err=not (add or attach or out_dir))


@sbom.command(cls=Command, exit_codes=(ExitCode.INVALID_INPUT,))
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@json_option
@click.pass_obj
def diff(options: Options, /, old: Path, new: Path, as_json: bool) -> None:
    """Say what is another in the second of two bills. Packages, versions, licenses, and what was built otherwise.

    Each may be CycloneDX or SPDX, in JSON.

    \b
    Example:
      jc sbom diff neuron-8.cdx.json neuron-9.cdx.json
    """
    from foundation.doors.files import read_file
    from foundation.tables import print_table
    from job_creator.sbom.difference import differences, read_document

    found = [*differences(*(read_document(read_file(path), str(path)) for path in (old, new)))]
    if as_json:
        click.echo(json.dumps({"changes": [one.to_value() for one in found]}, indent=2))
    elif found:
        rows = [(str(one.kind), one.package, one.before, one.after) for one in found]
        print_table(("change", "package", "before", "after"), rows, console())
    elif not options.quiet:
        click.echo("nothing differs")


def _request(target: str, record: str | None, folders: tuple[Path, ...]) -> BomRequest:
    from foundation.doors.files import read_file
    from foundation.registries.reference import parse_reference
    from job_creator.publishing.record import PublicationRecord
    from job_creator.sbom.documents import recipes_in
    from job_creator.sbom.gathering import BomRequest

    recipes = recipes_in(folders)
    if record:
        found = PublicationRecord.from_json(read_file(Path(record)), record)
        return BomRequest(found.container, found.version, {"architecture": found.architecture}, recipes)
    path = Path(target)
    if path.exists():
        return BomRequest(path.name.removesuffix(".sif"), recipes=recipes)
    try:
        reference = parse_reference(target)
    except ValueError as error:
        raise click.BadParameter(f"{target!r} is no file, and no image: {error}", param_hint="TARGET") from None
    return BomRequest(reference.repository.rpartition("/")[2], reference.tag or "", recipes=recipes)


def _concluded(options: Options) -> Mapping[str, Licence]:
    """What the site says of licenses, in a repository; nothing elsewhere."""
    from job_creator.inputs import read_site_file
    from job_creator.sbom.licences import expression

    if not (options.directory / options.site_file).is_file():
        return {}
    said = read_site_file(options.directory, options.site_file).licenses
    return {name: licence for name, text in said.items() if (licence := expression(text))}


def _bom(options: Options, target: str, request: BomRequest, architecture: str) -> Bom:
    from foundation.errors import NotThereError
    from job_creator.pipelines.images import client_for
    from job_creator.sbom.documents import bom_of_image, bom_of_lock, bom_of_sif

    path = Path(target)
    if path.exists():
        is_lock = path.suffix in (".lock", ".json")
        return bom_of_lock(path, request) if is_lock else bom_of_sif(path, request)
    if target.endswith((".sif", ".lock")) or target.startswith(("/", ".")):
        raise NotThereError(f"{target}: there is no such file")
    client = client_for(options.directory, options.site_file, options.environment)
    return bom_of_image(client, target, architecture, request)
