"""The command that says what takes the space, as a table, a file for programs, or a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from foundation.command_line import Command, console, json_option
from foundation.errors import ExitCode
from spackitor.cli.options import FOLDER, MIRROR, inventory_of, may_be_empty, mirror

if TYPE_CHECKING:
    from foundation.spack.grammar.concrete import ConcreteNode
    from foundation.spack.specs import Spec
    from spackitor.sizes.groups import SizedSpec, SizeGroup

_NodeOf = Callable[[str], "ConcreteNode | None"]


@click.command("sizes", cls=Command, exit_codes=(*MIRROR, ExitCode.INVALID_INPUT))
@mirror
@may_be_empty
@click.option(
    "--by",
    type=click.Choice(["name", "version", "target", "root", "license"]),
    default="name",
    show_default=True,
    help="A root is what nothing else that is there needs to run.",
)
@click.option(
    "--recipes",
    type=FOLDER,
    multiple=True,
    metavar="DIR",
    help="A clone of Spack's packages, or a package repository, that says licenses. May be repeated.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page with a treemap and a table.",
)
@json_option
@click.pass_context
def sizes(
    context: click.Context,
    /,
    mirror: str,
    endpoint_url: str | None,
    may_be_empty: bool,
    **options: object,
) -> None:
    """Say what takes the space, in numbers or as a picture.

    MIRROR may also be the folder of an install tree. Sizes of mirrors are those of their listing and manifests; nothing
    is downloaded for them. What specs share counts once.

    \b
    Examples:
      spackitor sizes s3://cache/amd64 --html sizes.html
      spackitor sizes /opt/spack/opt/spack --by root --csv
      spackitor sizes /shared/cache --by license --recipes spack-packages
    """
    from foundation.doors.files import write_files
    from spackitor.sizes.groups import size_groups
    from spackitor.sizes.page import page

    by, html = str(options["by"]), options["html"]
    if options["as_csv"] and options["as_json"]:
        raise click.UsageError("--csv and --json: one of them")
    specs, node_of = _specs(context, mirror, endpoint_url, may_be_empty=may_be_empty)
    recipes = options["recipes"] if isinstance(options["recipes"], tuple) else ()
    if by == "license" and not recipes:
        raise click.UsageError("--by license: only recipes know licenses; give --recipes DIR")
    groups = size_groups(specs, by, _license_of(recipes, node_of))
    if isinstance(html, Path):
        write_files(html.parent, {html.name: page(mirror, by, groups).encode(errors="replace")})
    if options["as_csv"]:
        click.echo(_csv(by, groups), nl=False)
    elif options["as_json"]:
        values = [{"name": one.name, "specs": one.specs, "bytes": one.size} for one in groups]
        total = sum(one.size for one in groups)
        click.echo(json.dumps({"by": by, "specs": len(specs), "bytes": total, "groups": values}, indent=2))
    elif html is None:
        _print(by, groups)


def _print(by: str, groups: tuple[SizeGroup, ...]) -> None:
    from foundation.shown import shown_size
    from foundation.tables import print_table

    total = sum(one.size for one in groups)
    rows = [
        (one.name, str(one.specs), shown_size(one.size), f"{one.size / total:.1%}" if total else "-") for one in groups
    ]
    print_table((by, "specs", "size", "share"), rows, console())
    click.echo(f"{sum(one.specs for one in groups)} specs, {shown_size(total)}")


def _csv(by: str, groups: tuple[SizeGroup, ...]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((by, "specs", "bytes"))
    writer.writerows((one.name, one.specs, one.size) for one in groups)
    return stream.getvalue()


def _specs(
    context: click.Context, place: str, endpoint_url: str | None, *, may_be_empty: bool
) -> tuple[tuple[SizedSpec, ...], _NodeOf]:
    """The specs of an install tree or a mirror, and where their nodes come from."""
    from foundation.spack.grammar.concrete import concrete_node
    from spackitor.sizes.groups import sized_specs
    from spackitor.sizes.install_tree import is_install_tree, read_install_tree

    parts = urlsplit(place)
    folder = Path(unquote(parts.path)) if parts.scheme == "file" else Path(place)
    if parts.scheme in ("", "file") and is_install_tree(folder):
        specs, nodes = read_install_tree(folder)
        return specs, lambda hash_: concrete_node(nodes[hash_], hash_) if hash_ in nodes else None
    inventory = inventory_of(context, place, endpoint_url, may_be_empty=may_be_empty)
    return sized_specs(inventory), inventory.node_of


def _license_of(folders: tuple[Path, ...], node_of: _NodeOf) -> Callable[[Spec], str]:
    """What says which license a spec has. Raises `InvalidInputError` where there are no recipes."""
    from foundation.spack.grammar.licenses import NamedLicense, license_name, licenses_in
    from foundation.spack.grammar.matching import Matcher
    from foundation.spack.releases import USUAL
    from spackitor.policy.repositories import canonical, read_recipes
    from spackitor.sizes.groups import UNKNOWN

    recipes: Mapping[tuple[str, str], Path] = read_recipes(folders)
    read: dict[tuple[str, str], tuple[NamedLicense, ...]] = {}
    matcher = Matcher(USUAL, node_of, {name for _, name in recipes})

    def license_of(spec: Spec) -> str:
        key = spec.namespace, canonical(spec.name)
        if key not in recipes:
            return UNKNOWN
        if key not in read:
            read[key] = licenses_in(recipes[key].read_text(encoding="utf-8", errors="replace"))
        node = node_of(spec.hash)
        return (license_name(read[key], node, matcher) if node else "") or UNKNOWN

    return license_of
