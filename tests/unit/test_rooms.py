"""Where things are added: a test for each "How do I add …" of CONTRIBUTING.md; it fails when a place is forgotten."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from foundation.spack.releases import RELEASES, Release
from foundation.stores.schemes import SCHEMES
from job_creator.__main__ import main as jc
from job_creator.definitions.file import SpackEnvironment, Spacktainer
from job_creator.site.places import Retention
from spackitor.__main__ import main as spackitor
from spackitor.commands import CleanRules
from spackitor.policy.verdicts import PolicyRules
from tests.documentation import DOCS
from tests.samples import REPOSITORY
from tests.spack_ci import RECORDINGS

ENGINES = [
    path for path in sorted((REPOSITORY / "job_creator" / "engines").iterdir()) if (path / "__init__.py").is_file()
]
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
PAGES = {path.name: path.read_text() for path in DOCS.glob("*.md")}


@pytest.mark.parametrize("which", ["site", "definition"])
def test_a_key_says_what_it_means(which: str) -> None:
    """In the schema, which editors and `jc schema` show; it is made of the docstrings of the models."""
    schema = json.loads((REPOSITORY / "job_creator" / "schemas" / f"{which}.schema.json").read_text())
    of_spack = SpackEnvironment.model_fields.keys()  # what those mean, Spack's own documentation says
    silent = {
        f"{place}.{name}"
        for place, properties in objects_of(schema)
        for name, value in properties.items()
        if not is_described(value, schema) and not (place == "SpackEnvironment" and name in of_spack)
    }
    assert silent == set()


def objects_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in {"": schema, **schema.get("$defs", {})}.items():
        yield name, value.get("properties", {})


def is_described(value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """By itself, or as what it refers to."""
    inner = [value, *value.get("anyOf", ()), *value.get("allOf", ())]
    names = [one["$ref"].rpartition("/")[2] for one in inner if "$ref" in one]
    return "description" in value or any("description" in schema["$defs"][name] for name in names)


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme])
def test_a_store_is_documented(scheme: str) -> None:
    """That each can be opened is tested in foundation/stores/test_schemes.py."""
    assert any(f"{scheme}://" in page for page in PAGES.values())


@pytest.mark.parametrize("release", [one for one in RELEASES if one.is_built_with], ids=lambda one: str(one.line))
def test_a_release_of_spack_has_a_recording(release: Release) -> None:
    """What it must agree with in the documentation is tested in foundation/spack/test_releases.py."""
    assert list((RECORDINGS / f"spack-{release.line}").glob("*/pipeline.yml"))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda path: path.name)
def test_an_engine_runs_steps_and_knows_no_other_engine(engine: Path) -> None:
    modules = sorted(engine.rglob("*.py"))
    imported = {name for path in modules for name in imports(path)}
    others = {path.name for path in ENGINES} - {engine.name}
    assert {"job_creator.builds.steps", "job_creator.engines.engine"} & imported
    assert not [name for name in imported for other in others if name.startswith(f"job_creator.engines.{other}")]
    assert f"{engine.name}/" in CONTRIBUTING


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("key", Spacktainer.model_fields)
def test_what_a_container_gets_or_is_tested_with_is_documented(key: str) -> None:
    assert any(f"{key}:" in PAGES[name] for name in ("definitions.md", "files-epilogue-and-tests.md", "containers.md"))


RULES_OF_CLEAN = {"keep_build_dependencies": "keep_build_deps", "packages": "folders"}
"""Options that are not called like their rule."""
RULES_OF_RETENTION = {"older_than_days": "older_than"}


def test_a_rule_of_retention_is_an_option() -> None:
    clean = options_of(spackitor, "clean")
    assert {RULES_OF_CLEAN.get(rule.name, rule.name) for rule in fields(CleanRules)} <= clean
    assert {rule.name for rule in fields(CleanRules)} <= {rule.name for rule in fields(PolicyRules)}
    assert {RULES_OF_RETENTION.get(key, key) for key in Retention.model_fields} <= options_of(jc, "publish-sif")


def options_of(group: click.Command, name: str) -> set[str]:
    assert isinstance(group, click.Group)
    return {option.name or "" for option in group.commands[name].params}
