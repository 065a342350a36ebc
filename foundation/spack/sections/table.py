"""All sections of Spack's environments, and what becomes of each: the only table of them.

An environment is used in three places: the job that concretizes, the jobs that build packages, and the build of the
image. A section works in all of them that it has an effect on, or is refused. docs/definitions.md shows this table.

Sources, Spack v0.21 to v1.1 and its development branch of 2026-01: lib/spack/spack/schema/env.py and the schemas that
it merges (merged.py); where files of an environment are looked for, `generate_pipeline` in ci/gitlab.py and
`canonicalize_path` in util/path.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from foundation.spack.releases import SpackLine
from foundation.spack.sections.section import FormerSection, Place, Rule, Section

_EVERYWHERE: Final = frozenset(Place)
_BUILDS: Final = frozenset({Place.CONCRETIZATION, Place.PACKAGES})
_CONCRETIZATION: Final = frozenset({Place.CONCRETIZATION})
_IMAGE: Final = frozenset({Place.IMAGE})

_ROWS: Final = (
    Section(name="specs", rule=Rule.TRAVELS, effect=_EVERYWHERE, why="as it was written"),
    Section(name="definitions", rule=Rule.TRAVELS, effect=_CONCRETIZATION, why="as it was written"),
    Section(
        name="packages",
        rule=Rule.TRAVELS,
        effect=_EVERYWHERE,
        why="as it was written; externals have to be in the builder and in the runtime image",
    ),
    Section(
        name="concretizer",
        rule=Rule.TRAVELS,
        effect=_CONCRETIZATION,
        why="as it was written; the lockfile has the result",
    ),
    Section(
        name="toolchains",
        rule=Rule.TRAVELS,
        effect=_CONCRETIZATION,
        why="as it was written",
        since=SpackLine(1, 0),
    ),
    Section(
        name="compilers",
        rule=Rule.TRAVELS,
        effect=_BUILDS,
        why="as it was written; from Spack 1.0 on compilers are externals below `packages:`",
        deprecated_since=SpackLine(1, 0),
    ),
    Section(
        name="config",
        rule=Rule.TRAVELS,
        effect=_EVERYWHERE,
        why="`install_tree: root` is an absolute path, the same in all places",
    ),
    Section(
        name="repos",
        rule=Rule.TRAVELS,
        effect=_EVERYWHERE,
        why="folders of the repository are found in every checkout and copied into the image",
        mapping_since=SpackLine(1, 0),
    ),
    Section(
        name="view",
        rule=Rule.TRAVELS,
        effect=_IMAGE,
        why="made in the image; no root may be a folder that base images have, or lie in another view",
    ),
    Section(
        name="env_vars",
        rule=Rule.TRAVELS,
        effect=_IMAGE,
        why="set when the container starts; no job activates the environment, and no build sees its variables",
        since=SpackLine(1, 0),
    ),
    Section(
        name="modules",
        rule=Rule.TRAVELS,
        effect=_IMAGE,
        why="without module files, whose folder is Spack's own and not in the image: `enable` is a fault",
    ),
    Section(
        name="mirrors",
        rule=Rule.APART,
        effect=_EVERYWHERE,
        why="the image is installed from all mirrors of its environment; none is named in the image",
    ),
    Section(
        name="container",
        rule=Rule.APART,
        effect=_IMAGE,
        why="`labels` and the final `os_packages` are the image's; whatever else it holds is a fault",
    ),
    Section(
        name="include",
        rule=Rule.MERGED,
        effect=_EVERYWHERE,
        why="files of the repository are merged: stronger than the template, weaker than what includes them",
    ),
    Section(name="ci", rule=Rule.STAYS_OUT, effect=_BUILDS, why="only the jobs that build packages need it"),
    Section(name="cdash", rule=Rule.STAYS_OUT, effect=_BUILDS, why="only the jobs that build packages need it"),
    Section(name="bootstrap", rule=Rule.STAYS_OUT, effect=_BUILDS, why="nothing is concretized in the image"),
    Section(
        name="include_concrete",
        rule=Rule.REFUSED,
        effect=frozenset(),
        why="the other environment is in none of the places that this one is moved to",
        instead="name its specs here, too; what both have is built once",
        since=SpackLine(0, 22),
    ),
    Section(
        name="develop",
        rule=Rule.REFUSED,
        effect=frozenset(),
        why="the absolute path of the sources becomes part of the hash, and each runner has its checkout elsewhere",
        instead="name a version or commit with its sources, as in 'zlib@git.v1.3=1.3'",
    ),
    Section(
        name="upstreams",
        rule=Rule.REFUSED,
        effect=frozenset(),
        why="what an upstream has installed is neither in the build cache nor in the image",
        instead="remove it; a build cache that has the packages goes below 'mirrors:'",
    ),
)

SECTIONS: Final[Mapping[str, Section]] = {one.name: one for one in _ROWS}
"""All sections that a supported line knows, by name."""

FORMER_SECTIONS: Final[Mapping[str, FormerSection]] = {
    one.name: one
    for one in (
        FormerSection("concretization", SpackLine(0, 18), "write 'concretizer: {unify: true}' for 'together'"),
        FormerSection("gitlab-ci", SpackLine(0, 22), "today's section is 'ci:', with a list 'pipeline-gen:'"),
    )
}
"""Sections that only older lines took, by name. None is read here, whatever the line."""


def shipped(section: str) -> bool:
    """Whether a section stands in the `spack.yaml` of the image."""
    return section in SECTIONS and SECTIONS[section].rule is Rule.TRAVELS
