"""Whether GitLab would accept a pipeline: against what GitLab said, against its source, and against Ruby."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode, InvalidInputError
from foundation.gitlab import MAX_JOB_TIMEOUT, duration_seconds
from foundation.yaml_io import dump
from job_creator.__main__ import main
from job_creator.engines.gitlab.objects import MAX_RESOURCE_GROUP, resource_group
from job_creator.engines.gitlab.verdict.expressions import expression_error, regexp_error
from job_creator.engines.gitlab.verdict.files import judge_file
from job_creator.engines.gitlab.verdict.judging import judge
from job_creator.engines.gitlab.verdict.reading import read, scalar
from job_creator.engines.gitlab.verdict.values import UnreadableError
from job_creator.site.gitlab import Limits
from tests.integration.components import require
from tests.recorded_verdicts import recorded_verdicts
from tests.samples import SITE, site


def verdict(text: str, limits: Limits | None = None) -> list[str]:
    return list(judge_file("p.yml", text.encode(), limits or Limits()).lines())


def accepts(text: str) -> bool:
    return not verdict(text)


def job(**keywords: Any) -> str:
    return dump({"j": {"script": ["x"], **keywords}, "k": {"script": ["x"], "stage": "build"}})


def trigger(**keywords: Any) -> str:
    return dump({"j": {"trigger": {"include": "x.yml"}, **keywords}, "k": {"script": ["x"], "stage": "build"}})


def test_the_verdict_is_that_of_gitlab_on_all_recorded_pipelines() -> None:
    cases = recorded_verdicts()
    wrong = {case.id: case.fault for case in cases if accepts(case.text) != case.accepted}
    assert (len(cases), wrong) == (401, {})


ACCEPTED: list[dict[str, Any]] = [
    {"cache": {"key": {"files": ["a"], "prefix": "p"}, "paths": ["x"], "policy": "$POLICY"}},
    {"cache": [{"paths": ["a"]}, {"paths": ["b"], "fallback_keys": ["k"]}]},
    {"services": ["postgres:16", {"name": "x", "alias": "db", "command": ["a", ["b"]]}]},
    {"environment": {"name": "review/$CI_COMMIT_REF_SLUG", "action": "access", "auto_stop_in": "1 day"}},
    {"environment": "production"},
    {"release": {"tag_name": "v1", "description": "x", "assets": {"links": [{"name": "a", "url": "b"}]}}},
    {"coverage": "/Total: [0-9]+%/"},
    {"inherit": {"default": ["image", "tags"], "variables": False}},
    {"retry": {"max": "2", "when": "always"}},
    {"only": ["main", "/^v[0-9]/"]},
    {"only": {"refs": ["main"], "variables": ["$A == 'x'"], "changes": ["a"]}},
    {"when": "delayed", "start_in": "1 week"},
    {"parallel": {"matrix": [{"A": ["x", 1], "B": "y"}]}},
    {"needs": [{"job": "k", "parallel": {"matrix": [{"A": ["x"]}]}}]},
    {"needs": {"job": "k"}},
    {"needs": ["k"], "dependencies": ["k"]},
    {"rules": [[{"when": "never"}], {"exists": {"paths": ["a"], "project": "p", "ref": "r"}}]},
    {"rules": [{"changes": {"paths": ["a"], "compare_to": "main"}}]},
    {"rules": None, "only": ["main"]},
    {"image": None, "stage": None, "timeout": None, "variables": None},
    {"hooks": {"pre_get_sources_script": ["a"]}},
    {"pages": {"path_prefix": "x", "expire_in": "$DAYS"}, "publish": "site"},
    {"artifacts": {"expose_as": "the log", "paths": ["a"]}},
    {"artifacts": {"reports": {"coverage_report": {"coverage_format": "cobertura", "path": "c.xml"}}}},
    {"manual_confirmation": "sure?", "when": "manual"},
    {"variables": {"A": {"value": "x", "expand": False}, "B": 1.5, "C": True}},
    {"tags": [f"t{number}" for number in range(49)]},
    {"resource_group": "a/$B"},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cache": {"key": "a/b"}}, "cache:key"),
    ({"cache": {"key": {"files": ["a", "b", "c"]}}}, "cache:key:files"),
    ({"cache": {"key": {"prefix": "p"}}}, "cache:key"),
    ({"cache": [{}] * 5}, "cache"),
    ({"services": [{"alias": "db"}]}, "services:0"),
    ({"environment": {"name": "/a"}}, "environment:name"),
    ({"environment": {"name": "a", "action": "halt"}}, "environment:action"),
    ({"environment": {"name": "a", "on_stop": "gone"}}, "environment:on_stop"),
    ({"release": {"tag_name": "v1"}}, "release"),
    ({"coverage": "Total"}, "coverage"),
    ({"coverage": "/(/"}, "coverage"),
    ({"inherit": {"default": ["imagee"]}}, "inherit:default:0"),
    ({"only": "main"}, "only"),
    ({"only": {}}, "only"),
    ({"only": ["main"], "rules": [{"when": "always"}]}, "only"),
    ({"start_in": "1 day"}, "start_in"),
    ({"when": "delayed", "start_in": "8 days"}, "start_in"),
    ({"parallel": {"matrix": [{}]}}, "parallel:matrix:0"),
    ({"parallel": 1.5}, "parallel"),
    ({"needs": [{"job": "k", "parallel": 2}]}, "needs:0:parallel"),
    ({"needs": ["k", {"job": "k", "optional": True}]}, "needs"),
    ({"rules": [{"when": "never", "start_in": "1 day"}]}, "rules:0:start_in"),
    ({"rules": [{"changes": {"compare_to": "main"}}]}, "rules:0:changes"),
    ({"rules": [{"exists": {"paths": ["a"], "ref": "r"}}]}, "rules:0:exists"),
    ({"rules": [{"variables": {"A": {"value": "x"}}}]}, "rules:0:variables:A"),
    ({"rules": [{"needs": [{"pipeline": "$P", "job": "x"}]}]}, "rules:0:needs:0:pipeline"),
    ({"rules": [None]}, "rules:0"),
    ({"publish": "site"}, "publish"),
    ({"artifacts": {"expose_as": "the log", "paths": ["*"]}}, "artifacts:paths"),
    ({"artifacts": {"access": "all", "public": True}}, "artifacts"),
    ({"artifacts": {"reports": {"coverage_report": {"path": "c.xml"}}}}, "artifacts:reports:coverage_report"),
    ({"hooks": {"post": ["a"]}}, "hooks:post"),
    ({"tags": [f"t{number}" for number in range(50)]}, "tags"),
    ({"run": []}, "run"),
    ({"script": [1]}, "script:0"),
    ({"id_tokens": {"A": {"aud": None}}}, "id_tokens:A:aud"),
    ({"allow_failure": {"exit_codes": ["1"]}}, "allow_failure:exit_codes"),
    ({"secrets": {}}, "secrets"),
]


@pytest.mark.parametrize("keywords", ACCEPTED, ids=str)
def test_what_gitlab_accepts_is_no_finding(keywords: dict[str, Any]) -> None:
    assert verdict(job(**keywords)) == []


@pytest.mark.parametrize(("keywords", "place"), REFUSED, ids=str)
def test_what_gitlab_refuses_is_found_where_it_stands(keywords: dict[str, Any], place: str) -> None:
    findings = judge(read(job(**keywords).encode())).findings
    assert [(finding.job, finding.keyword) for finding in findings] == [("j", place)]


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [
        ("a: {script: x}\na: {script: 1}\n", False),  # the last of two equal keys counts
        ("a: {script: 1}\na: {script: x}\n", True),
        ("a: {script: [yes]}\n", False),
        ("a: {script: [010]}\n", False),
        ("a: {script: [2026-01-01]}\n", False),
        ("a: {script: ['2026-01-01']}\n", True),
        ("true: {script: x}\n", False),
        ("1: {script: x}\n", False),
        ("a: &a {script: x}\nb: {<<: *a, stage: build}\n", True),
        ("a: &a {script: 1}\nb: {script: x, <<: *a}\n", False),  # what is merged wins over what stands before it
        (".a: {script: [x]}\nb: {script: [y, !reference [.a, script]]}\n", True),
        (".a: {script: [x]}\nb: {script: !reference [.a, gone]}\n", False),
        (".a: {script: !reference [.a, script]}\nb: {script: !reference [.a, script]}\n", False),
        ("a: {script: !x [y]}\n", True),
        ("a: {script: !ruby/object:Object {}}\n", False),
        (".a: {}\nb: {script: x}\n", False),
        (".a: 1\nb: {script: x}\n", True),
        ("a: {script: x}\n--- \nb: 1\n", True),
        ("spec: {inputs: {x: {default: 1}}}\n---\na: {script: x}\n", True),
        ("- a\n", False),
        ("", False),
        ("# nothing\n", False),
        ("a: [\n", False),
        ("a: &a [*a]\n", False),
        ("image: x\ndefault: {image: y}\na: {script: x}\n", False),
        ("default: {script: x, stage: build}\n", True),
        ("workflow: {name: 3}\na: {script: x}\n", True),
        ("stages: [[a, [b]]]\na: {script: x, stage: b}\n", True),
        ("stages: []\na: {script: x, stage: .pre}\n", False),
        ("include: x.yml\na: {extends: .b, needs: [c], stage: d, image: {entrypoint: []}}\n", True),
        ("include: x.yml\na: {extends: .b, retry: 3}\n", False),
        ("include: x.yml\na: {script: [!reference [.b, script]]}\n", True),
        ("include: x.yml\na: {tagz: [x]}\n", False),
        ("spec: {inputs: {x: {default: build}}}\n---\na: {script: x, stage: '$[[ inputs.x ]]'}\n", True),
        ("include: x.yml\na: {extends: .b, script: x, needs: [c], stage: d}\n", True),
        ("include: {local: x.json}\na: {script: x}\n", False),
        ("include: {local: a.yml, remote: b}\na: {script: x}\n", False),
        ("a: {needs: []}\n", False),
        ("a: {script: x, parallel: 2}\nb: {script: x, needs: [a]}\n", True),
        ("a: {script: x, parallel: 2}\nb: {script: x, needs: ['a 1/2']}\n", True),
        ("a: {script: x, parallel: 2}\nb: {script: x, needs: ['a 3/2']}\n", False),
        ("a: {script: x, parallel: {matrix: [{A: [b, c]}]}}\nd: {script: x, dependencies: ['a: [b]']}\n", True),
    ],
)
def test_yaml_is_read_as_gitlab_reads_it(text: str, is_accepted: bool) -> None:
    assert accepts(text) == is_accepted


def test_extends_goes_eleven_levels_deep() -> None:
    def chain(length: int) -> str:
        bases = {f".{number}": {"extends": f".{number + 1}"} for number in range(1, length)}
        return dump({"a": {"extends": ".1"}, **bases, f".{length}": {"script": ["x"]}})

    assert accepts(chain(11))
    assert not accepts(chain(12))


def test_trigger_jobs_have_keywords_of_their_own() -> None:
    assert accepts(trigger(resource_group="x", rules=[{"if": "$A"}], parallel={"matrix": [{"A": ["x"]}]}))
    refused: tuple[dict[str, Any], ...] = (
        {"image": "x"},
        {"retry": 1},
        {"parallel": 2},
        {"when": "delayed"},
        {"allow_failure": {}},
    )
    for keywords in refused:
        assert not accepts(trigger(**keywords))


def test_needed_names_are_as_long_as_the_newest_gitlab_allows_unless_the_site_says_otherwise() -> None:
    text = dump({"a" * 200: {"script": ["x"]}, "b": {"script": ["x"], "needs": ["a" * 200]}})
    assert verdict(text) == []
    assert len(verdict(text, Limits(max_needed_name=128))) == 1


def test_aliases_of_aliases_are_counted_and_not_expanded() -> None:
    levels = "".join(f"x{number}: &x{number} [*x{number - 1}, *x{number - 1}]\n" for number in range(1, 60))
    (line,) = verdict(f"x0: &x0 [text]\n{levels}")
    assert "when parsed" in line


EXPRESSIONS = {
    "$A": True,
    "$A == 'x' && ($B || $C =~ /^a/i)": True,
    "!$A": True,
    "$A && !($B)": True,
    "null == $A": True,
    "'x'": True,
    "$A != null || $B !~ /x\\/y/": True,
    "$A == true": True,
    "": False,
    "   ": False,
    "A": False,
    "$A $B": False,
    "$A =": False,
    "&& $A": False,
    "$A == 'x": False,
    "($A": False,
    "$A)": False,
    "()": False,
    "$A =~ /(/": False,
    "$A =~ /x": False,
    "!": False,
    "$A && " * 60 + "$A": False,
}


@pytest.mark.parametrize(("text", "is_valid"), EXPRESSIONS.items())
def test_expressions_of_rules(text: str, is_valid: bool) -> None:
    assert (expression_error(text) == "") == is_valid


def test_regular_expressions_are_those_of_more_than_python() -> None:
    for text in ("/^v\\d+\\z/", "/(?<year>\\d+)/", "/[[:alpha:]]+/", "/\\p{Lu}/U", "/a/i"):
        assert regexp_error(text) == ""
    for text in ("a", "/[/", "/a/x", "/*/"):
        assert regexp_error(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 hours", 7200),
        ("1h30m", 5400),
        ("3 hours 5 minutes", 11_100),
        ("1:30:00", 5400),
        ("1 day and 2 hrs", 93_600),
        ("hour", 3600),
        ("90", 90),
        ("1.5 mins", 90),
        ("2 weeks", 1_209_600),
        ("1 mo", 2_592_000),
        ("1 yr", 31_557_600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2 fortnights", "and", "1 h -"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        duration_seconds(text)


@pytest.mark.parametrize(("timeout", "message"), [("31 days", "longer than a month"), ("0 hours", "is nothing")])
def test_timeouts_of_the_site_are_durations_of_a_month_at_most(timeout: str, message: str) -> None:
    text = SITE.replace("runner_tags: [big]", f"runner_tags: [big]\n    jobs: {{packages: {{timeout: {timeout}}}}}")
    with pytest.raises(InvalidInputError, match=message) as caught:
        site(text)
    assert caught.value.faults[0].line > 1
    assert duration_seconds("30 days") <= MAX_JOB_TIMEOUT < duration_seconds("31 days")


@given(st.text())
def test_every_name_of_a_resource_group_is_one_that_gitlab_takes(text: str) -> None:
    name = resource_group(text)
    assert re.fullmatch(r"[A-Za-z0-9_/${}. -]+", name)
    assert not name.startswith("/")
    assert not name.endswith("/")
    assert len(name) <= MAX_RESOURCE_GROUP


SCALARS = [
    *(
        "yes",
        "No",
        "ON",
        "off",
        "~",
        "null",
        "y",
        "n",
        "010",
        "0o10",
        "0x1F",
        "0b11",
        "1_000",
        "1,000",
        "1:30",
        "1:30.5",
    ),
    *(
        "1.5",
        ".5",
        "5.",
        "1e3",
        "1.0e+3",
        ".inf",
        "-.INF",
        ".nan",
        ".",
        "+",
        "-1",
        ":a",
        ":'a b'",
        "::",
        ":",
        "a: b"[:1],
    ),
    *("09", "1.2.3", "v1", "-", "12:30:45", "0", "00", "0_7", "_1", "+1", "1__2", "true ", "truely", "1-2", "0.5_5"),
]


@pytest.mark.usefixtures("components")
def test_scalars_are_what_psych_makes_of_them() -> None:
    program = """
    require 'yaml'; require 'json'
    puts JSON.generate(JSON.parse(STDIN.read).map { |text|
      begin
        value = Psych::ScalarScanner.new(Psych::ClassLoader.new).tokenize(text)
        value.is_a?(Float) && !value.finite? ? ['Float', value.to_s] : [value.class.name, value]
      rescue ArgumentError
        ['error', nil]
      end })
    """
    command = [require("ruby"), "-e", program]
    answer = subprocess.run(command, input=json.dumps(SCALARS), capture_output=True, text=True, check=True).stdout
    kinds = {"String": "str", "Symbol": "Symbol", "Integer": "int", "Float": "float", "NilClass": "NoneType"}
    for text, (kind, value) in zip(SCALARS, json.loads(answer), strict=True):
        ours = scalar(text)
        assert type(ours).__name__ == kinds.get(kind, "bool"), text
        if kind != "Float" or isinstance(value, float):
            assert ours == value, text


def test_the_command_says_what_would_be_refused_and_where(tmp_path: Path) -> None:
    good, bad, broken = (tmp_path / name for name in ("good.yml", "bad.yml", "broken.yml"))
    good.write_text(job())
    bad.write_text("a:\n  script: [x]\n  retry: 3\n")
    broken.write_text("a: [\n")
    run = CliRunner().invoke
    result = run(main, ["-C", str(tmp_path), "check-pipeline", str(good), str(bad), str(broken)])
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED
    assert f"{good}: GitLab would accept it\n" in result.output
    assert f"{bad}:3: a: retry: must be an integer from 0 to 2, not 3\n" in result.output
    assert f"{broken}:" in result.output
    assert "not checked: " in result.output
    result = run(main, ["-C", str(tmp_path), "check-pipeline", "--format", "json", str(bad), str(good)])
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED
    message = "must be an integer from 0 to 2, not 3"
    assert json.loads(result.output) == [
        {"file": str(bad), "accepted": False, "findings": [{"job": "a", "keyword": "retry", "message": message}]},
        {"file": str(good), "accepted": True, "findings": []},
    ]
    assert run(main, ["-C", str(tmp_path), "check-pipeline", str(good)]).exit_code == 0
    assert run(main, ["-C", str(tmp_path), "check-pipeline", "gone.yml"]).exit_code == ExitCode.CANNOT_ACCESS_FILE


def test_the_command_takes_limits_from_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "spacktainers.yaml").write_text(f"{SITE}gitlab: {{limits: {{max_yaml_depth: 2}}}}\n")
    (tmp_path / "p.yml").write_text(job())
    result = CliRunner().invoke(main, ["-C", str(tmp_path), "check-pipeline", str(tmp_path / "p.yml")])
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED
    assert "nests 3 levels deep, GitLab allows 2" in result.output


@given(st.binary(max_size=200))
def test_no_text_ends_in_anything_but_a_verdict(content: bytes) -> None:
    assert judge_file("p.yml", content, Limits()).is_accepted in (True, False)


@given(
    st.dictionaries(
        st.sampled_from(["a", ".b", "stages", "default", "include", "workflow", "image"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-3, 300) | st.sampled_from(["x", "", ".b", "a", "1 day", "$A"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "script",
                            "trigger",
                            "needs",
                            "extends",
                            "rules",
                            "job",
                            "parallel",
                            "matrix",
                            "include",
                            "if",
                            "stage",
                            "variables",
                            "when",
                            "cache",
                            "environment",
                            "name",
                            "dependencies",
                            "artifacts",
                        ]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=20,
        ),
        max_size=5,
    )
)
def test_no_pipeline_ends_in_anything_but_a_verdict(document: dict[str, Any]) -> None:
    try:
        judge(read(dump(document).encode()))
    except UnreadableError as error:
        assert str(error)
