"""The lower levels of Spack's sections: which keys there are, and what stands below them.

Sources: lib/spack/spack/schema/*.py of Spack v0.21.3, v0.23.1, v1.0.2 and v1.1.0. Where a schema takes keys that no
code looks at, they are unknown here, so that a misspelt one is found; where it hands them on, as GitLab's keywords and
attributes of externals, they are `Anything`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from foundation.spack.releases import SpackLine
from foundation.spack.sections.ci_shape import CI
from foundation.spack.sections.compilers_shape import COMPILERS
from foundation.spack.sections.container_shape import CONTAINER
from foundation.spack.sections.mirrors_shape import MIRRORS
from foundation.spack.sections.shape import (
    Anything,
    Either,
    Empty,
    Keys,
    ListOf,
    Shape,
    Since,
    Switch,
    Text,
    Until,
    Whole,
)

_V022, _V023 = SpackLine(0, 22), SpackLine(0, 23)
_V10, _V11, _V12 = SpackLine(1, 0), SpackLine(1, 1), SpackLine(1, 2)

_TEXT: Final = Text()
_TEXTS: Final = ListOf(_TEXT)
_TEXT_OR_TEXTS: Final = Either((_TEXT, _TEXTS))
_TEXT_OR_NOTHING: Final = Either((_TEXT, Empty()))
_AS_TEXT: Final = Text(or_number=True)
_PROJECTIONS: Final = Keys(others=_TEXT)
_DOWNLOADERS: Final = ("urllib", "curl")
_PATH_MAX: Final = 4095
"""How long a path may be (`PATH_MAX` of Linux, which counts the end as well)."""
_MODULE_SYSTEMS: Final = ("tcl", "lmod")


def _since(line: SpackLine, **known: Shape) -> dict[str, Shape]:
    return {name: Since(line, shape) for name, shape in known.items()}


_VARIABLES: Final = Keys(
    {
        "set": Keys(others=_AS_TEXT),
        "unset": ListOf(_AS_TEXT),
        "prepend_path": Keys(others=_AS_TEXT),
        "append_path": Keys(others=_AS_TEXT),
        "remove_path": Keys(others=_AS_TEXT),
    }
)

_REQUIREMENT: Final = Keys(
    {"one_of": _TEXTS, "any_of": _TEXTS, "spec": _TEXT, "message": _TEXT, "when": _TEXT},
    one_of=("spec", "one_of", "any_of"),
)
_REQUIREMENTS: Final = Either((ListOf(Either((_REQUIREMENT, _TEXT))), _TEXT))
_PREFERENCES: Final = ListOf(
    Either((Keys({"spec": _TEXT, "message": _TEXT, "when": _TEXT}, required=("spec",)), _TEXT))
)
_WHO: Final = Text(("user", "group", "world"))
_OF_ANY_PACKAGE: Final[Mapping[str, Shape]] = {
    "require": _REQUIREMENTS,
    **_since(_V022, prefer=_PREFERENCES, conflict=_PREFERENCES),
    "buildable": Switch(),
    "permissions": Keys({"read": _WHO, "write": _WHO, "group": _TEXT}),
    "package_attributes": Keys(others=Anything()),
    "variants": _TEXT_OR_TEXTS,
}
_EXTERNAL: Final = Keys(
    {
        "spec": _TEXT,
        "prefix": _TEXT,
        "modules": _TEXTS,
        "extra_attributes": Keys(others=Anything()),
        **_since(_V11, id=_TEXT, dependencies=ListOf(Keys(others=Anything()))),
    },
    required=("spec",),
)
_PACKAGES: Final = Keys(
    {
        "all": Keys(
            {
                **_OF_ANY_PACKAGE,
                "target": _TEXTS,
                "compiler": Until(_V023, _TEXTS, "Spack 1.0 and newer ignore it; write require: '%gcc@13'"),
                "providers": Keys(others=_TEXTS),
            }
        ),
    },
    others=Keys({**_OF_ANY_PACKAGE, "version": ListOf(_AS_TEXT), "externals": ListOf(_EXTERNAL)}),
)

_REUSED_FROM: Final = Keys(
    {
        "type": Either(
            (
                Until(_V022, Text(("local", "buildcache", "external"))),
                Since(_V023, Text(("local", "buildcache", "external", "environment"))),
            )
        ),
        **_since(_V023, path=_TEXT),
        "include": _TEXTS,
        "exclude": _TEXTS,
    }
)
_CONCRETIZER: Final = Keys(
    {
        "reuse": Either(
            (
                Switch(),
                Text(("dependencies",)),
                Since(
                    _V022,
                    Keys({"roots": Switch(), "include": _TEXTS, "exclude": _TEXTS, "from": ListOf(_REUSED_FROM)}),
                ),
            )
        ),
        "unify": Either((Switch(), Text(("when_possible",)))),
        "targets": Keys({"host_compatible": Switch(), "granularity": Text(("generic", "microarchitectures"))}),
        "duplicates": Keys(
            {"strategy": Text(("none", "minimal", "full")), **_since(_V10, max_dupes=Keys(others=Whole(1)))}
        ),
        "enable_node_namespace": Switch(),
        **_since(
            _V023,
            splice=Keys(
                {
                    "explicit": ListOf(
                        Keys(
                            {"target": _TEXT, "replacement": _TEXT, "transitive": Switch()},
                            required=("target", "replacement"),
                        )
                    ),
                    "automatic": Switch(),
                }
            ),
        ),
        **_since(_V022, os_compatible=Keys(others=ListOf(Anything()))),
        **_since(
            _V10,
            force=Switch(),
            static_analysis=Switch(),
            timeout=Whole(),
            error_on_timeout=Switch(),
            concretization_cache=Keys(
                {"enable": Switch(), "url": _TEXT, "entry_limit": Whole(), "size_limit": Whole()}
            ),
        ),
        **_since(
            _V11,
            compiler_mixing=Either((Switch(), ListOf(Anything()))),
            externals=Keys({"completion": Text(("architecture_only", "default_variants"))}),
        ),
    }
)

_CONFIG: Final = Keys(
    {
        **dict.fromkeys(
            (
                *("stage_name", "develop_stage_link", "test_stage", "license_dir", "source_cache", "misc_cache"),
                *("environments_root", "ssl_certs", "build_language", "binary_index_root"),
            ),
            _TEXT,
        ),
        "url_fetch_method": Either((Until(_V023, Text(_DOWNLOADERS)), Since(_V10, Text(_DOWNLOADERS, "curl ")))),
        **{
            name: Switch()
            for name in (
                *("verify_ssl", "suppress_gpg_warnings", "debug", "checksum", "deprecated", "locks", "dirty"),
                *("ccache", "allow_sgid", "install_status"),
            )
        },
        **dict.fromkeys(("extensions", "template_dirs", "additional_external_search_paths"), _TEXTS),
        **dict.fromkeys(("install_hash_length", "build_jobs", "db_lock_timeout"), Whole(1)),
        **dict.fromkeys(("connect_timeout", "binary_index_ttl"), Whole()),
        "flags": Keys({"keep_werror": Text(("all", "specific", "none"))}),
        "shared_linking": Either(
            (
                Text(("rpath", "runpath")),
                Keys(
                    {
                        "type": Text(("rpath", "runpath")),
                        "bind": Switch(),
                        **_since(_V10, missing_library_policy=Text(("error", "warn", "ignore"))),
                    }
                ),
            )
        ),
        # A path alone is written as a mapping where Spack wants one.
        "install_tree": Either(
            (
                Keys(
                    {
                        "root": _TEXT,
                        "padded_length": Either((Whole(most=_PATH_MAX), Switch())),
                        "projections": _PROJECTIONS,
                    }
                ),
                _TEXT,
            )
        ),
        "install_path_scheme": Until(_V023, _TEXT, "write install_tree: {projections: {all: …}}"),
        "install_missing_compilers": Until(SpackLine(0, 22), Switch(), "compilers are packages now"),
        "concretizer": Until(SpackLine(0, 22), Text(("original", "clingo")), "there is one concretizer now"),
        "build_stage": _TEXT_OR_TEXTS,
        "package_lock_timeout": Either((Whole(1), Empty())),
        "aliases": Keys(others=_TEXT),
        **_since(_V11, concurrent_packages=Whole()),
        "installer": Since(_V11, Text(("old", "new"))),
    }
)

_VIEW: Final = Keys(
    {
        "root": _TEXT,
        "link": Text(("roots", "all", "run")),
        "link_type": Text(("symlink", "hardlink", "hard", "copy", "relocate", "add", "soft")),
        "select": _TEXTS,
        "exclude": _TEXTS,
        "projections": _PROJECTIONS,
        **_since(_V12, group=_TEXT_OR_TEXTS),
    },
    required=("root",),
)

_OF_A_MODULE: Final = Keys(
    {
        "filter": Keys({"exclude_env_vars": _TEXTS}),
        "template": _TEXT,
        "autoload": Text(("none", "run", "direct", "all")),
        "prerequisites": Text(("none", "run", "direct", "all")),
        "conflict": _TEXTS,
        "load": _TEXTS,
        "suffixes": Keys(others=_TEXT),
        "environment": _VARIABLES,
    }
)
_MODULE_SYSTEM: Final[Mapping[str, Shape]] = {
    "verbose": Switch(),
    "hash_length": Whole(),
    "include": _TEXTS,
    "exclude": _TEXTS,
    "exclude_implicits": Switch(),
    "hide_implicits": Switch(),
    "defaults": _TEXTS,
    "naming_scheme": _TEXT,
    "projections": _PROJECTIONS,
    "all": _OF_A_MODULE,
}
_LMOD: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(("core_compilers", "hierarchy", "core_specs"), _TEXTS),
    "filter_hierarchy_specs": Keys(others=_TEXTS),
}
_INSPECTIONS: Final = Keys(others=_TEXTS)
_MODULE_SET: Final = Keys(
    {
        "use_view": Either((_TEXT, Switch())),
        "arch_folder": Switch(),
        "roots": Keys(dict.fromkeys(_MODULE_SYSTEMS, _TEXT)),
        "enable": ListOf(Text(_MODULE_SYSTEMS)),
        "tcl": Keys(_MODULE_SYSTEM, others=_OF_A_MODULE),
        "lmod": Keys({**_MODULE_SYSTEM, **_LMOD}, others=_OF_A_MODULE),
        "prefix_inspections": _INSPECTIONS,
    }
)

_MATRIX: Final = Keys({"matrix": ListOf(_TEXTS), "exclude": _TEXTS}, required=("matrix",))

SHAPES: Final[Mapping[str, Shape]] = {
    "definitions": ListOf(Keys({"when": _TEXT}, others=ListOf(Either((_MATRIX, _TEXT, Empty()))))),
    "packages": _PACKAGES,
    "concretizer": _CONCRETIZER,
    "config": _CONFIG,
    "view": Either((Switch(), _TEXT, Keys(others=_VIEW))),
    "env_vars": _VARIABLES,
    "mirrors": MIRRORS,
    "modules": Keys({"prefix_inspections": _INSPECTIONS}, others=_MODULE_SET),
    "develop": Keys(others=Keys({"spec": _TEXT, "path": _TEXT}, required=("spec",))),
    "toolchains": Keys(others=Either((_TEXT, ListOf(Keys({"spec": _TEXT, "when": _TEXT}, required=("spec",)))))),
    "repos": Either(
        (
            _TEXTS,
            Since(
                _V10,
                Keys(
                    others=Either(
                        (
                            _TEXT,
                            Keys(
                                {
                                    **dict.fromkeys(("git", "branch", "commit", "tag", "destination"), _TEXT),
                                    "paths": _TEXTS,
                                }
                            ),
                        )
                    )
                ),
            ),
        )
    ),
    "bootstrap": Keys(
        {
            "enable": Switch(),
            "root": _TEXT,
            "sources": ListOf(Keys({"name": _TEXT, "metadata": _TEXT}, required=("name", "metadata"))),
            "trusted": Keys(others=Switch()),
        }
    ),
    "cdash": Keys(dict.fromkeys(("build-group", "url", "project", "site"), _TEXT), required=("build-group",)),
    "ci": CI,
    "compilers": COMPILERS,
    "container": CONTAINER,
}
"""By the name of the section. Specs and their matrices are in `SPECS`."""

_GROUP: Final = Keys(
    {"group": _TEXT, "override": Keys(SHAPES, others=Anything())}, others=Anything(), required=("group",)
)

SPECS: Final[Shape] = ListOf(Either((_MATRIX, _GROUP, _TEXT, Empty())))
