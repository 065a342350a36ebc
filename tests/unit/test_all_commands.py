"""What all commands have in common: exit codes, short summaries, `-v` and `-q` anywhere, one option for JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from foundation.command_line import Command, Group, format_option, is_quiet, json_option
from foundation.errors import ExitCode
from foundation.logging_config import PACKAGES
from tests.documentation import PROGRAMS


def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for sub_name, sub_command in command.commands.items():
            yield from walk(f"{name} {sub_name}", sub_command)


COMMANDS = {
    name: command
    for program, main in PROGRAMS.items()
    for name, command in walk(program, main)
    # Speaks Spack's command line, not ours.
    if name != "jc stand-in-spack"
}
GROUPS = [name for name, command in COMMANDS.items() if isinstance(command, Group)]


def options_of(command: click.Command) -> dict[str, click.Parameter]:
    return {flag: param for param in command.params for flag in param.opts}


def help_of(name: str, width: int = 80) -> str:
    program, *words = name.split()
    return CliRunner().invoke(PROGRAMS[program], [*words, "--help"], terminal_width=width).stdout


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not command.hidden])
def test_every_help_shows_an_example(name: str) -> None:
    examples = re.split(r"Examples?:\n", help_of(name))[1].splitlines()
    assert any(re.match(rf"  .*\b{name.split()[0]} ", line) for line in examples)


# Exit codes


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_lists_its_exit_codes(name: str) -> None:
    command = COMMANDS[name]
    assert isinstance(command, Command | Group)
    table = help_of(name).partition("Exit codes:\n")[2]
    listed = [int(code) for code in re.findall(r"^  (\d+)  +\S", table, re.MULTILINE)]
    assert listed == sorted(command.exit_codes)


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_lists_the_codes_of_all_its_commands(name: str) -> None:
    inside = [one for path, one in COMMANDS.items() if path.startswith(f"{name} ")]
    codes = {code for one in inside for code in one.exit_codes}  # type: ignore[attr-defined]
    assert COMMANDS[name].exit_codes == codes  # type: ignore[attr-defined]


def test_all_codes_of_the_code_are_those_of_some_command() -> None:
    assert COMMANDS["jc"].exit_codes == set(ExitCode)  # type: ignore[attr-defined]


def test_a_command_without_codes_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="exit_codes"):
        click.command("forgetful", cls=Command)(lambda: None)


# Summaries


@pytest.mark.parametrize("name", GROUPS)
def test_summaries_of_commands_are_whole_in_80_columns(name: str) -> None:
    table = help_of(name).partition("Commands:\n")[2].partition("\n\n")[0]
    group = COMMANDS[name]
    assert isinstance(group, Group)
    lines = table.splitlines()
    # One line for each.
    assert [line.split()[0] for line in lines] == sorted(n for n, one in group.commands.items() if not one.hidden)
    assert not [line for line in lines if "..." in line or len(line) > 80]


# -v and -q


def toy() -> tuple[Group, list[tuple[bool, int]]]:
    """A command line of two groups and a command, and what the command saw: -q, and the level of logging."""
    seen: list[tuple[bool, int]] = []

    @click.command("leaf", cls=Command, exit_codes=())
    def leaf() -> None:
        (level,) = {logging.getLogger(package).level for package in PACKAGES}
        seen.append((is_quiet(), level))

    return Group("root", exit_codes=(), commands=[Group("inner", exit_codes=(), commands=[leaf])]), seen


@pytest.mark.parametrize("words", ["{} inner leaf", "inner {} leaf", "inner leaf {}"])
@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("", (False, logging.INFO)),
        ("-v", (False, logging.DEBUG)),
        ("-vv", (False, logging.DEBUG)),
        ("-q", (True, logging.WARNING)),
        ("--quiet", (True, logging.WARNING)),
        ("-v -q", (True, logging.WARNING)),
    ],
)
def test_both_work_at_every_place(words: str, flag: str, expected: tuple[bool, int]) -> None:
    root, seen = toy()
    assert CliRunner().invoke(root, words.format(flag).split()).exit_code == 0
    assert seen == [expected]


@pytest.mark.parametrize("words", ["-vv leaf", "-v leaf -v", "leaf -vv", "leaf -v -v"])
def test_counts_add_up(words: str) -> None:
    @click.command("leaf", cls=Command, exit_codes=())
    def leaf() -> None:
        logging.getLogger("job_creator.some.module").debug("said")

    root = Group("root", exit_codes=(), commands=[leaf])
    assert re.search(r"\d DEBUG job_creator.some.module: said\n", CliRunner().invoke(root, words.split()).stderr)
    once = words.replace("-vv", "-v").replace("-v leaf -v", "leaf -v").replace("-v -v", "-v")
    assert CliRunner().invoke(root, once.split()).stderr == "DEBUG: said\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_both(name: str) -> None:
    assert {"-v", "--verbose", "-q", "--quiet"} <= options_of(COMMANDS[name]).keys()


# JSON


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_one_option_everywhere(name: str) -> None:
    options = options_of(COMMANDS[name])
    assert ("--json" in options) == ("--format" in options)
    if "--format" in options:
        assert isinstance(options["--format"].type, click.Choice)
        assert list(options["--format"].type.choices)[:2] == ["text", "json"]


@json_option
def two_formats(as_json: bool) -> None:
    click.echo("json" if as_json else "text")


@format_option("gitlab")
def three_formats(form: str) -> None:
    click.echo(form)


@pytest.mark.parametrize("function", [two_formats, three_formats])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "text"),
        ("--format text", "text"),
        ("--format json", "json"),
        ("--json", "json"),
        ("--json --format json", "json"),
        ("--format json --json", "json"),
    ],
)
def test_both_spellings_mean_the_same(function: object, words: str, expected: str) -> None:
    assert said(function, words).stdout == f"{expected}\n"


@pytest.mark.parametrize("form", ["text", "gitlab"])
@pytest.mark.parametrize("words", ["--json --format {}", "--format {} --json"])
def test_a_contradiction_is_wrong_usage(form: str, words: str) -> None:
    done = said(three_formats, words.format(form))
    assert done.exit_code == ExitCode.USAGE
    assert f"leave out --json or '--format {form}'" in done.stderr
    assert said(three_formats, f"--format {form}").stdout == f"{form}\n"


def said(function: object, words: str) -> Result:
    return CliRunner().invoke(Command("some", callback=function, params=params_of(function), exit_codes=()), words)


def params_of(function: object) -> list[click.Parameter]:
    return list(reversed(function.__click_params__))  # type: ignore[attr-defined]
