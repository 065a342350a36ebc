"""What GitLab refuses."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import LimitExceededError
from foundation.yaml_io import parse
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.sizes import PARSED_SIZE_SAFETY, archive_size, parsed_size
from job_creator.site.gitlab import Limits
from tests.integration.components import require
from tests.samples import REPOSITORY

LIMITS = Limits()


def keywords(document: dict[str, Any], limits: Limits = LIMITS, **more: Any) -> list[str]:
    return [finding.keyword for finding in check(document, limits, **more).findings]


def test_a_sound_pipeline_has_no_findings() -> None:
    document = {
        "workflow": {"rules": [{"when": "always"}]},
        "stages": ["a", "b"],
        ".hidden": {"stage": "a"},
        "x": {"extends": ".hidden", "script": ["true"]},
        "y": {"stage": "b", "needs": ["x", {"pipeline": "$P", "job": "z"}], "script": ["true"]},
        "t": {
            "stage": "b",
            "needs": ["x"],
            "trigger": {"include": [{"artifact": "p.yml", "job": "x"}], "strategy": "depend"},
        },
    }
    assert keywords(document) == []


def chain(count: int, **extra: Any) -> dict[str, Any]:
    return {f"j{index}": {"script": ["true"], **extra} for index in range(count)}


@pytest.mark.parametrize(
    ("document", "keyword"),
    [
        ({}, ""),
        ({".a": {"script": ["true"]}, "stages": ["x"]}, ""),
        ({"a": {"stage": "nowhere", "script": ["true"]}}, "stage"),
        ({"a": {"stage": "test"}}, ""),
        ({"a": {"script": ["true"], "needs": ["b"]}}, "needs"),
        ({**chain(1), "a": {"script": ["true"], "needs": ["j0", "j0"]}}, "needs"),
        ({**chain(51), "a": {"script": ["true"], "needs": [f"j{n}" for n in range(51)]}}, "needs of one job"),
        ({"a": {"script": ["x"], "needs": [{"pipeline": "$P", "job": f"{n}"} for n in range(6)]}}, "needs"),
        ({"a": {"script": ["x"], "needs": ["b"]}, "b": {"script": ["x"], "stage": "deploy"}}, "needs"),
        ({"a": {"script": ["x"], "needs": ["b"]}, "b": {"script": ["x"], "needs": ["a"]}}, "needs"),
        ({"a": {"script": ["x"], "needs": ["a"]}}, "needs"),
        ({"a" * 256: {"script": ["x"]}}, ""),
        ({"a" * 129: {"script": ["x"]}, "b": {"script": ["x"], "needs": ["a" * 129]}}, "needs"),
        ({"a" * 250: {"script": ["x"], "parallel": {"matrix": [{"V": ["long value"]}]}}}, "parallel"),
        (
            {"a": {"script": ["x"], "parallel": {"matrix": [{"V": list(range(15)), "W": list(range(15))}]}}},
            "parallel:matrix",
        ),
        ({"a": {"script": ["x"], "parallel": 201}}, "parallel"),
        ({"a": {"trigger": {"include": "p.yml"}, "needs": [{"pipeline": "$P", "job": "x"}]}}, "needs:0:pipeline"),
        ({"a": {"trigger": {"include": ["p.yml"] * 4}}}, "trigger:include"),
        ({**chain(1), "a": {"trigger": {"include": [{"artifact": "p.json", "job": "j0"}]}}}, "trigger:include"),
        ({"a": {"trigger": {"include": [{"artifact": "p.yml", "job": "gone"}]}}}, "trigger:include"),
        (
            {**chain(1), "a": {"needs": [], "trigger": {"include": [{"artifact": "p.yml", "job": "j0"}]}}},
            "trigger:include",
        ),
        ({"a": {"extends": ".gone", "script": ["x"]}}, "extends"),
        ({"a": {"extends": "a", "script": ["x"]}}, "extends"),
        (
            {"a": {"script": [["x"]] * 20_000, "variables": {str(n): "v" * 99 for n in range(20_000)}}},
            "parsed size (bytes)",
        ),
        ({"a": {"script": ["x"], "x": [[[[[[[[[[1]]]]]]]]]]}}, "x"),
    ],
)
def test_each_thing_that_gitlab_refuses_is_found_once(document: dict[str, Any], keyword: str) -> None:
    assert keywords(document) == [keyword]


def test_a_trigger_job_has_no_script() -> None:
    assert keywords({"a": {"trigger": {"include": "p.yml"}, "script": ["x"]}}) == ["trigger", "trigger"]


def test_optional_needs_may_be_absent() -> None:
    assert keywords({"a": {"script": ["x"], "needs": [{"job": "b", "optional": True}]}}) == []


def test_trigger_jobs_are_refused_below_the_second_level_of_children() -> None:
    document = {"a": {"trigger": {"include": "p.yml"}}}
    assert keywords(document, depth=1) == []
    assert keywords(document, depth=2) == ["trigger"]


def test_the_limits_come_from_the_site() -> None:
    document = {**chain(6), "a": {"script": ["x"], "needs": [f"j{number}" for number in range(6)]}}
    assert keywords(document, Limits(max_needs=5)) == ["needs of one job"]
    assert keywords(document, Limits(max_jobs=6)) == ["jobs"]
    assert keywords(document, Limits(max_yaml_bytes=100)) == ["parsed size (bytes)"]
    assert keywords(document, Limits(max_yaml_depth=2)) == ["YAML depth"]
    long = {"a" * 129: {"script": ["x"]}, "b": {"script": ["x"], "needs": ["a" * 129]}}
    assert keywords(long, Limits(max_needed_name=129)) == []


def test_the_archive_and_each_file_in_it_must_fit_the_trigger() -> None:
    big = bytes(6 * 1024 * 1024)
    report = check(chain(1), LIMITS, archive={"p.yml": big})
    assert [str(finding) for finding in report.findings] == [
        "pipeline: largest file in it (bytes): 6,291,456 of 5,242,880"
    ]


def test_a_refusal_names_the_pipeline_and_every_finding() -> None:
    report = check({"a": {"script": ["x"], "needs": ["b"], "retry": 1}, "c": {"script": ["x"], "stage": "d"}}, LIMITS)
    with pytest.raises(LimitExceededError) as caught:
        report.require("p.yml")
    assert str(caught.value) == (
        "p.yml: GitLab would refuse this pipeline\n"
        "  a: needs: 'b' is not in this pipeline\n"
        "  c: stage: 'd' is none of the stages: .pre, build, test, deploy, .post"
    )


def test_the_parsed_size_is_that_of_ruby() -> None:
    """Against `ObjectSpace.memsize_of` of what `YAML.load` gave in Ruby 3.1.2 and 3.3.8; the larger one counts."""
    for length, size in {15: 40, 16: 80, 24: 80, 55: 96, 56: 160, 136: 320, 296: 640, 616: 657}.items():
        assert parsed_size("x" * length) == size
    for length, size in {3: 40, 4: 200, 20: 200, 21: 336, 38: 488, 57: 720, 86: 1064, 437: 5280}.items():
        assert parsed_size([1] * length) == size
    for length, size in {8: 168, 9: 928, 17: 992, 33: 1824, 65: 3488, 200: 7328, 1000: 28832, 2100: 114848}.items():
        assert parsed_size({str(number): None for number in range(length)}) == size + 40 * length
    shared = ["x"]
    assert parsed_size([shared, shared]) == 40 + 2 * (40 + 40)


DEEP_SIZE = """
require 'yaml'; require 'objspace'
def deep(o)
  inner = case o when Hash then o.sum { |k, v| deep(k) + deep(v) } when Array then o.sum { |v| deep(v) } else 0 end
  inner + (o.is_a?(Hash) || o.is_a?(Array) || o.is_a?(String) ? ObjectSpace.memsize_of(o) : 0)
end
puts deep(YAML.safe_load(STDIN.read, aliases: true))
"""


@pytest.mark.usefixtures("components")
@pytest.mark.parametrize("path", sorted((REPOSITORY / "tests" / "golden").rglob("generated_pipeline.yaml")), ids=str)
def test_the_parsed_size_is_what_the_ruby_at_hand_counts(path: Path) -> None:
    text = path.read_text()
    command = [require("ruby"), "-e", DEEP_SIZE]
    real = int(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)
    assert real <= parsed_size(parse(text.encode(), "p").value) * PARSED_SIZE_SAFETY <= real * 1.2


@given(st.dictionaries(st.text("abc/.", min_size=1, max_size=20), st.binary(max_size=3000), max_size=5))
def test_the_archive_size_is_close_to_a_real_zip(files: dict[str, bytes]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    real = len(stream.getvalue())
    assert real <= archive_size(files) <= real + 60 * len(files)
