"""Commands around images: `jc tag-image`, `jc copy-image`, `jc take-image`, `jc sign-image`.

Imports stand in the commands, so that `jc --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundation.command_line import Command, json_option
from foundation.errors import ExitCode
from job_creator.options import READING, Options

if TYPE_CHECKING:
    from foundation.registries.reference import ImageReference

_KINDS = ("base image", "container image")


@click.command(
    "tag-image", cls=Command, exit_codes=(*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.REFUSED)
)
@click.argument("image")
@click.argument("sources", nargs=-1, required=True)
@click.option("--skip-missing", is_flag=True, help="Leave sources out that are not there, as long as one is.")
@click.option(
    "--only-proven",
    is_flag=True,
    help="Of sources that are tags, leave out what the default branch has not signed as the container of this version. "
    "Only where the public key is known.",
)
@click.option(
    "--digest-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the digest of the index there."
)
@json_option
@click.pass_obj
def tag_image(
    options: Options,
    image: str,
    sources: tuple[str, ...],
    skip_missing: bool,
    only_proven: bool,
    digest_file: Path | None,
    as_json: bool,
) -> None:
    """Give one tag to several images. IMAGE then points to SOURCES, one for each architecture, in one step.

    SOURCES are tags or digests of its repository. User and password are those that the site file names variables for.

    \b
    Examples:
      jc tag-image registry.example.org/group/hdf5:1.14.5 1.14.5-amd64 1.14.5-arm64
      jc tag-image --skip-missing registry.example.org/group/hdf5:1.14.5 1.14.5-amd64 1.14.5-arm64
      jc tag-image --only-proven registry.example.org/group/hdf5:1.14.5 sha256:<64 hex digits> 1.14.5-arm64
    """
    import json

    from foundation.doors.files import write_files
    from job_creator import inputs
    from job_creator.pipelines import images

    _parsed(image, "IMAGE")
    site = inputs.read_site_file(options.directory, options.site_file)
    done = images.tag_image(
        site, options.environment, image, sources, skip_missing=skip_missing, only_proven=only_proven
    )
    if digest_file:
        write_files(digest_file.parent, {digest_file.name: done.index.digest.encode()})
    if as_json:
        value = {"image": image, "digest": done.index.digest, "digests": dict(done.index.members)}
        click.echo(json.dumps({**value, "left_out": dict(done.left_out)}, indent=2))
        return
    for architecture, digest in done.index.members.items():
        click.echo(f"{image} for {architecture} is {digest}")


@click.command(
    "copy-image",
    cls=Command,
    exit_codes=(*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE),
)
@click.argument("source")
@click.argument("image")
@click.option(
    "--labels",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="Labels to add: name=value on each line.",
)
@click.option(
    "--digest-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the digest of the copy there."
)
@json_option
@click.pass_obj
def copy_image(
    options: Options, source: str, image: str, labels: Path, digest_file: Path | None, as_json: bool
) -> None:
    """Copy an image to a registry, and add labels. Nothing of it is run.

    SOURCE is the image of one architecture. Its layers stay what they are; commands that it holds for whoever builds
    on it (ONBUILD) are left out. User and password are those that the site file names variables for.

    \b
    Examples:
      jc copy-image ubuntu:24.04 registry.example.org/group/ubuntu:24.04-amd64 --labels labels
      jc copy-image quay.io/group/tool@sha256:<64 hex digits> registry.example.org/group/tool:1 --labels labels
    """
    import json

    from foundation.doors.files import write_files
    from job_creator import inputs
    from job_creator.pipelines import images

    _parsed(source, "SOURCE")
    if _parsed(image, "IMAGE").digest:
        raise click.BadParameter("what is copied there has a digest of its own; name a tag", param_hint="IMAGE")
    site = inputs.read_site_file(options.directory, options.site_file)
    digest = images.copy_image(site, options.environment, source, image, labels)
    if digest_file:
        write_files(digest_file.parent, {digest_file.name: f"{digest}\n".encode()})
    if as_json:
        click.echo(json.dumps({"image": image, "digest": digest}, indent=2))
        return
    click.echo(f"{image} is {digest}")


@click.command("take-image", cls=Command, exit_codes=(*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE))
@click.argument("source")
@click.argument("images", nargs=-1, required=True)
@json_option
@click.pass_obj
def take_image(options: Options, source: str, images: tuple[str, ...], as_json: bool) -> None:
    """Give tags to an image that is there already. IMAGES then point to SOURCE, which is named by its digest.

    It stays what it is, byte for byte. Between repositories of one registry, no layer is moved. User and password are
    those that the site file names variables for.

    \b
    Examples:
      jc take-image registry.example.org/group/hdf5@sha256:<64 hex digits> registry.example.org/group/hdf5:1.14.5-amd64
    """
    import json

    from job_creator import inputs
    from job_creator.pipelines import images as registry

    _by_digest(source, "SOURCE")
    for image in images:
        if _parsed(image, "IMAGES").digest:
            raise click.BadParameter("a digest cannot be set; name a tag", param_hint="IMAGES")
    site = inputs.read_site_file(options.directory, options.site_file)
    digest = registry.take_image(site, options.environment, source, images)
    if as_json:
        click.echo(json.dumps({"images": list(images), "digest": digest}, indent=2))
        return
    for image in images:
        click.echo(f"{image} is {digest}")


@click.command(
    "sign-image",
    cls=Command,
    exit_codes=(*READING, ExitCode.COULD_NOT_ASK, ExitCode.NOT_THERE, ExitCode.NOT_READY, ExitCode.REFUSED),
)
@click.argument("image")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What the image is.")
@click.option("--architecture", required=True, help="The architecture, as the site file calls it.")
@click.option("--fingerprint", required=True, help="Of everything that it was made from: 64 hex digits.")
@click.option("--lock-sha256", default="", help="sha256 of the lockfile in it, if it has one.")
@click.option(
    "--bills",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The folder with its bills of materials, as 'jc sbom make -o' writes them: these are signed, too.",
)
@json_option
@click.pass_obj
def sign_image(options: Options, /, image: str, as_json: bool, **arguments: Any) -> None:
    """Sign where an image comes from. IMAGE is named by its digest; what is signed lies beside it in the registry.

    Nothing of the image is run. The key is in the variable that the site file names; the default branch reads what was
    signed before it uses an image.

    \b
    Examples:
      jc sign-image registry.example.org/group/builder@sha256:<64 hex digits> --kind "base image" \\
        --architecture amd64 --fingerprint <64 hex digits>
    """
    import re

    from job_creator import inputs
    from job_creator.pipelines import images as registry

    _by_digest(image, "IMAGE")
    for name in ("fingerprint", "lock_sha256"):
        given = arguments[name]
        if not re.fullmatch(r"[0-9a-f]{64}", given) and (given or name == "fingerprint"):
            raise click.BadParameter(f"{given!r} is not 64 hex digits", param_hint=f"--{name.replace('_', '-')}")
    site = inputs.read_site_file(options.directory, options.site_file)
    statement = registry.sign_image(site, options.environment, registry.SigningRequest(image, **arguments))
    click.echo(statement.to_bytes().decode() if as_json else f"signed: {image} is {statement.fingerprint}")


def _parsed(image: str, argument: str) -> ImageReference:
    from foundation.registries.reference import parse_reference

    try:
        return parse_reference(image)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None


def _by_digest(image: str, argument: str) -> None:
    parsed = _parsed(image, argument)
    if not parsed.digest or parsed.tag:
        raise click.BadParameter("name it by its digest: REPOSITORY@sha256:<64 hex digits>", param_hint=argument)


COMMANDS = (tag_image, copy_image, take_image, sign_image)
