"""What this repository ships, a fork's as well: valid, in step, and good enough for the linters. The only tests of it.

How many containers there are and what they are called is for the repository to say, and for no test.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from foundation.yaml_io import load, parse
from job_creator import project_files
from job_creator.__main__ import main
from job_creator.definitions.definitions import SpackDefinition
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import expand
from job_creator.inputs import read_all
from job_creator.pipelines.base import make_plan, outputs, parent_document
from job_creator.repository import part
from job_creator.schemas import schema
from job_creator.scripts.rendering import render_text
from tests.pipeline_checks import schema_errors, shellcheck
from tests.programs import program
from tests.samples import REPOSITORY as SHIPPED
from tests.samples import RICH_DOCKERFILE

FOLDERS = (*project_files.BASE_IMAGES, project_files.IMAGE_FILES_FOLDER)


def image_files(pattern: str) -> list[Path]:
    """Of the folders that images are made from, the repository's own or those of `jc`."""
    return [path for name in FOLDERS for path in sorted(part(SHIPPED, name).path.glob(pattern))]


def container_dockerfile(epilogue: str) -> str:
    template = part(SHIPPED, project_files.DOCKERFILE_TEMPLATE).path.read_text()
    return render_text(template, **{**RICH_DOCKERFILE, "epilogue": epilogue})


def jc(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["-C", str(SHIPPED), *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def lint(*command: str, text: str | None = None) -> str:
    """What a linter says; empty if nothing."""
    argv = [program(command[0]), *command[1:]]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_all_that_users_wrote_is_valid() -> None:
    code, printed = jc("check")
    assert code == 0, printed


def test_the_committed_parent_pipeline_is_in_step() -> None:
    code, printed = jc("render-ci", "--check")
    assert code == 0, printed


def test_gitlab_accepts_the_pipelines() -> None:
    written = read_all(SHIPPED, project_files.SITE_FILE)
    files, limits = outputs(make_plan(SHIPPED, written, {}, offline=True), written, names.GENERATED_PIPELINE)
    parent = load(parent_document(written).encode(), names.PARENT_PIPELINE)
    base = load(files[names.GENERATED_PIPELINE], names.GENERATED_PIPELINE)
    assert limits.findings == check(parent, written.site.gitlab.limits, depth=0).findings == ()
    for document in (parent, base):
        assert schema_errors(document) == []
        for job in expand(document).values():
            assert shellcheck("\n".join(job.get("script", ()))) == ""


def test_the_whole_chain_can_be_rehearsed() -> None:
    code, printed = jc("rehearse", "--json")
    assert code == 0, printed


def test_the_schemas_accept_what_users_wrote_and_editors_find_them() -> None:
    site = SHIPPED / project_files.SITE_FILE
    definitions = [SHIPPED / one.path for one in read_all(SHIPPED, site.name).definitions]
    for which, paths in (("site", [site]), ("definition", definitions)):
        validator = Draft202012Validator(schema(which))
        for path in paths:
            if path.suffix in (".yaml", ".yml"):
                assert list(validator.iter_errors(parse(path.read_bytes(), str(path)).value)) == []
                assert_is_found(path)


def assert_is_found(path: Path) -> None:
    """The schema that the first line of a file names, if it does."""
    said = re.match(r"# yaml-language-server: \$schema=(\S+)", path.read_text())
    if said and "://" not in said[1]:
        found: Any = json.loads((path.parent / said[1]).read_text())
        assert found["$schema"]


def test_dockerfiles_pass_hadolint_and_use_nothing_that_buildah_loses_or_cannot_read() -> None:
    for path in image_files("Dockerfile*"):
        assert lint("hadolint", "--no-color", str(path)) == ""
        require_portable([path.read_text()])


def test_containers_pass_hadolint_with_their_epilogues() -> None:
    definitions = read_all(SHIPPED, project_files.SITE_FILE).definitions
    written = [one.epilogue for one in definitions if isinstance(one, SpackDefinition) and one.epilogue]
    for epilogue in ("RUN true", *((SHIPPED / path).read_text() for path in written)):
        text = container_dockerfile(epilogue)
        assert lint("hadolint", "--no-color", "-", text=text) == ""
        require_portable([text])


def require_portable(dockerfiles: Iterable[str]) -> None:
    for text in dockerfiles:
        assert "ONBUILD" not in text
        assert "<<" not in text


def test_scripts_of_images_pass_shellcheck() -> None:
    for path in image_files("*.sh"):
        assert lint("shellcheck", str(path)) == ""


def test_python_packages_of_images_are_pinned_with_checksums() -> None:
    for path in image_files("requirements.txt"):
        pins = re.findall(r"^(\S+)==.*((?:\n    .*)*)", path.read_text(), re.MULTILINE)
        assert pins
        assert not [name for name, hashes in pins if "--hash=sha256:" not in hashes]
        wanted = path.with_suffix(".in")
        names_of = re.findall(r"^[\w.-]+", wanted.read_text(), re.MULTILINE) if wanted.is_file() else []
        assert set(names_of) <= {name.partition("[")[0] for name, _ in pins}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_image_has_its_files(name: str) -> None:
    assert part(SHIPPED, name).files()
