"""What the documentation says, held against the code: commands, links, files, settings, exit codes, messages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel, ValidationError

from foundation.errors import ExitCode, InvalidInputError
from foundation.yaml_io import dump, load, parse
from job_creator import project_files
from job_creator.definitions.file import DefinitionFile
from job_creator.diagnosis.gitlab_project import VARIABLES_SETTING
from job_creator.site.site import read_site
from tests.documentation import (
    DOCS,
    PAGES,
    PROGRAMS,
    Block,
    anchors,
    blocks,
    commands,
    inline_code,
    links,
    program_of,
    prose,
    section,
    sub_command,
    table,
    usage_fault,
)
from tests.messages import documented_messages, texts_of_the_code
from tests.samples import A_SITES_OWN, FROZEN_SITE, REPOSITORY

LANGUAGES = {"sh", "text", "yaml", "dockerfile", "singularity"}
PAGE_IDS = [page.name for page in PAGES]


def shell_blocks() -> list[Block]:
    return [one for page in PAGES for one in blocks(page) if one.is_shell]


@cache
def shown_commands() -> frozenset[str]:
    """The commands of this project that stand in a block, and so are run or say what they need."""
    found = (words for block in shell_blocks() for words in commands(block.text))
    return frozenset(sub_command(words) for words in found if program_of(words) in PROGRAMS)


# Commands


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_every_block_says_what_it_is(page: Path) -> None:
    """A block without a language, or one that is only indented, would be neither run nor checked."""
    assert {one.language for one in blocks(page)} <= LANGUAGES
    paragraphs = re.split(r"\n\s*\n", prose(page))
    assert not [one for one in paragraphs if all(line.startswith("    ") for line in one.splitlines() if line)]


@pytest.mark.parametrize("block", shell_blocks(), ids=str)
def test_commands_in_blocks_exist_with_their_options(block: Block) -> None:
    for words in commands(block.text):
        if program_of(words) in PROGRAMS:
            assert usage_fault(words) == "", shlex.join(words)
        elif program_of(words) == "make":
            assert {word for word in words[1:] if not word.startswith("-")} <= make_targets()


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_commands_in_sentences_exist_and_are_shown_in_a_block_somewhere(page: Path) -> None:
    for text in inline_code(prose(page)):
        words = text.split()
        if words[0] == "make":
            assert set(words[1:]) <= make_targets(), text
        elif words[0] == "python" and words[1:2] == ["-m"]:
            assert (REPOSITORY / words[2].replace(".", "/")).with_suffix(".py").is_file(), text
        elif words[0] in PROGRAMS and len(words) > 1:
            words = shlex.split(text)
            assert usage_fault(words, is_whole=False) == "", text
            if words[1][0].isalpha():
                said = sub_command(words)
                # A group of commands is shown by its commands.
                assert any(shown == said or shown.startswith(f"{said} ") for shown in shown_commands()), text


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


# Links and files


@pytest.mark.parametrize("page", [*PAGES, *(REPOSITORY / name for name in ("CONTRIBUTING.md", "CHANGELOG.md"))])
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_is_linked_from_the_first_one() -> None:
    first = {(REPOSITORY / target.partition("#")[0]).resolve() for target in links(PAGES[0])}
    assert {page for page in PAGES[1:] if page not in first} == set()


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_files_that_are_named_are_there(page: Path) -> None:
    roots = (REPOSITORY, FROZEN_SITE)
    folders = {path.name for root in roots for path in root.iterdir() if path.is_dir()} - {"build"}
    made = "".join(one.text for one in blocks(page))
    for text in inline_code(prose(page)):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", text) and text.split("/")[0] in folders:
            # What the documentation says of containers is true of the frozen ones.
            places = (FROZEN_SITE,) if text.startswith(A_SITES_OWN) else roots
            assert any((root / text).exists() for root in places) or text in made, text


# Settings


@pytest.mark.parametrize("block", [one for page in PAGES for one in blocks(page) if one.language == "yaml"], ids=str)
def test_examples_of_files_are_valid(block: Block) -> None:
    """As a definition, or as a part of the site file that replaces the same part of a whole one."""
    text = block.text.replace("https://…", "https://example.org/package.deb").replace("…", "0a" * 32)
    value = load(text.encode(), str(block))
    if not (is_definition(value) or is_part_of_a_site(value)):
        pytest.fail(f"{block}: valid neither as a definition nor as a part of the site file")


def is_definition(value: Any) -> bool:
    return is_valid(DefinitionFile, value)


def is_part_of_a_site(value: Any) -> bool:
    whole = load((FROZEN_SITE / project_files.SITE_FILE).read_bytes(), project_files.SITE_FILE)
    try:
        read_site(parse(dump(merged(whole, value)).encode(), project_files.SITE_FILE))
    except InvalidInputError:
        return False
    return True


def is_valid(model: type[BaseModel], value: Any) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


def merged(weaker: Any, stronger: Any) -> Any:
    if not (isinstance(weaker, Mapping) and isinstance(stronger, Mapping)):
        return stronger
    return {**weaker, **{key: merged(weaker.get(key), value) for key, value in stronger.items()}}


# Exit codes and messages


def test_the_table_of_exit_codes_is_complete() -> None:
    rows = table(section(PAGES[0], "Exit codes of `jc`, `ga` and `spackitor`"))
    assert [int(row[0]) for row in rows] == list(ExitCode)


def test_other_pages_only_name_codes_that_exist() -> None:
    for page in PAGES[1:]:
        codes = re.findall(r"\b[Cc]ode (\d+)\b", prose(page)) + re.findall(r"^\| (\d+) \|", prose(page), re.MULTILINE)
        assert {int(code) for code in codes} <= set(ExitCode), page


def test_troubleshooting_has_a_section_for_each_code() -> None:
    headings = re.findall(r"^## Code (\d+): ", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert [int(number) for number in headings] == [code for code in ExitCode if code is not ExitCode.OK]


@pytest.mark.parametrize("message", documented_messages())
def test_messages_are_those_of_the_code(message: str) -> None:
    if message.startswith(("build ", "No such option")):
        return
    # What is wrong and what to do about it may be two texts of the code.
    texts = texts_of_the_code()
    assert texts.say(message) or all(map(texts.say, message.split("; "))), message


def test_what_click_says_is_still_that() -> None:
    assert click.NoSuchOption("--x").format_message().startswith("No such option")


# What GitLab has to allow


def test_whoever_is_told_to_start_a_pipeline_with_variables_is_told_how_to_allow_it() -> None:
    """New projects on GitLab.com refuse it, and the first pipeline of a fork is such a one."""
    step = " ".join(prose(DOCS / "set-up-a-fork.md").partition("## 4. The first pipeline")[2].split())
    asked, refused = step.index("`SPACKTAINERS_ONLY`"), step.index("Insufficient permissions to set pipeline variables")
    assert asked < refused < step.index(f"*{VARIABLES_SETTING}*")
    assert "*Developer* or *Maintainer*" in step
    telling = {page.name for page in PAGES if f"*{VARIABLES_SETTING}*" in " ".join(prose(page).split())}
    assert telling == {"set-up-a-fork.md", "troubleshooting.md", "variables-and-permissions.md"}
