"""The verdict on the text of a file, whoever wrote it, and what only a server could say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from job_creator.engines.gitlab.sizes import RUBY_3_3, nesting, size_in
from job_creator.engines.gitlab.verdict.judging import MAX_NAME, judge
from job_creator.engines.gitlab.verdict.reading import PipelineText, read
from job_creator.engines.gitlab.verdict.values import Finding, UnreadableError
from job_creator.site.gitlab import Limits

NOT_CHECKED: Final = (
    "what a server decides when jobs are created: how many there may be, their needs, and resource groups",
    "files that are included or triggered, values from inputs, and whether projects and templates exist",
    "whether there are runners for the tags, and whether images, variables and environments exist",
    "durations of nothing and less, and what only one engine of regular expressions understands",
    "what keywords hold that only GitLab's Enterprise Edition has ('limits: edition: ee' in the site file allows them)",
)
"""What nobody can say without a server; a sentence each."""


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What GitLab would say of a file."""

    name: str
    findings: tuple[tuple[int, Finding], ...]
    """What it would refuse the file for, each with its line; 0 where that is not known."""

    @property
    def is_accepted(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def lines(self) -> Iterator[str]:
        """`file:line: job: keyword: what`, as editors find it."""
        for line, finding in self.findings:
            yield f"{self.name}{f':{line}' if line else ''}: {finding}"

    def as_value(self) -> dict[str, Any]:
        """For JSON."""
        findings = [
            {"job": finding.job, "keyword": finding.keyword, "message": finding.message} for _, finding in self.findings
        ]
        return {"file": self.name, "accepted": self.is_accepted, "findings": findings}


def judge_file(name: str, content: bytes, limits: Limits) -> FileVerdict:
    """Read a file as GitLab reads it, and hold it against its rules.

    Needed names may be as long as GitLab 18 allows, unless the site file says how long they may be.
    """
    is_said = "max_needed_name" in limits.model_fields_set
    try:
        text = _read(content, limits)
    except UnreadableError as error:
        return FileVerdict(name, ((error.line, error.finding),))
    if text.has_header and b"$[[" in content:
        return FileVerdict(name, ())  # what it is depends on its inputs
    judged = judge(text, limits.max_needed_name if is_said else MAX_NAME, is_enterprise=limits.edition == "ee")
    return FileVerdict(name, tuple((text.line(finding.job, finding.keyword), finding) for finding in judged.findings))


def _read(content: bytes, limits: Limits) -> PipelineText:
    if len(content) > limits.max_yaml_bytes:
        raise UnreadableError(f"has {len(content):,} bytes, GitLab allows {limits.max_yaml_bytes:,}")
    text = read(content)
    depth = nesting(text.value)
    if depth > limits.max_yaml_depth:
        raise UnreadableError(f"nests {depth} levels deep, GitLab allows {limits.max_yaml_depth}")
    size = size_in(RUBY_3_3, text.value)
    if size > limits.max_yaml_bytes:
        raise UnreadableError(f"takes {size:,} bytes when parsed, GitLab allows {limits.max_yaml_bytes:,}")
    return text
