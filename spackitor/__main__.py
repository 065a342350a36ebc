"""The command line. The only reader of the process environment."""

from __future__ import annotations

import os

import click

from foundation.command_line import CONTEXT_SETTINGS, Group
from job_creator import __version__
from spackitor.cli import inspection, removal, roots, sizes, trees


@click.group(cls=Group, exit_codes=(), context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, package_name="spacktainers", prog_name="spackitor")
@click.pass_context
def main(context: click.Context) -> None:
    """Keep a Spack build cache small, correct and recoverable.

    MIRROR is s3://bucket/prefix, oci://registry/repository, file:///folder or a folder. For S3, keys come from where
    boto3 looks for them (environment, profile, role); without any, the mirror is read anonymously. Logins at registries
    are those of 'docker login'.

    \b
    Examples:
      spackitor clean s3://cache/amd64 --max-age 30 -e spack.lock --dry-run
      spackitor keep s3://cache/amd64 -e spack.lock --as main
      spackitor stats /shared/cache
      spackitor restore s3://cache/amd64
    """
    context.obj = os.environ


for _command in (
    removal.clean,
    removal.purge,
    removal.restore,
    removal.empty_quarantine,
    roots.keep,
    roots.forget,
    roots.show_roots,
    inspection.list_specs,
    inspection.stats,
    sizes.sizes,
    inspection.check,
    inspection.index,
    inspection.reindex,
    trees.delete_tree,
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
