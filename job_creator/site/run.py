"""What GitLab told the job: branch, pipeline, registry. Read once, at the start of a command."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PARENT_PIPELINE_ID: Final = "PARENT_PIPELINE_ID"
"""The variable in which the parent's trigger job hands its own pipeline id to the base pipeline."""

LONGEST_SLUG: Final = 63
_CHECKSUM_DIGITS: Final = 12
_CHECKSUM: Final = re.compile(rf"(^|-)[0-9a-f]{{{_CHECKSUM_DIGITS}}}$")


@dataclass(frozen=True, slots=True)
class Context:
    """The run that a command takes part in. Outside CI everything is empty, and nothing is the default branch.

    Source of the variables: GitLab, "Predefined CI/CD variables reference".
    """

    branch: str = ""
    """Branch or tag name as git knows it (`CI_COMMIT_REF_NAME`)."""
    default_branch: str = ""
    is_tag: bool = False
    is_merge_request: bool = False
    merge_request: str = ""
    """Its number in the project (`CI_MERGE_REQUEST_IID`)."""
    commit: str = ""
    project_url: str = ""
    pipeline_id: str = "0"
    pipeline_url: str = ""
    parent_pipeline: int = 0
    """The id of the pipeline that a push started, which says what is newer: children that are retried get new ids."""
    registry_image: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Context:
        """Read GitLab's predefined variables."""
        branch = environment.get("CI_COMMIT_REF_NAME", "")
        return cls(
            branch=branch,
            default_branch=environment.get("CI_DEFAULT_BRANCH", ""),
            is_tag=bool(environment.get("CI_COMMIT_TAG")),
            # In a child pipeline the source is always parent_pipeline, but the merge request's id is handed down.
            is_merge_request=bool(environment.get("CI_MERGE_REQUEST_IID") or environment.get("CI_MERGE_REQUEST_ID")),
            merge_request=environment.get("CI_MERGE_REQUEST_IID", ""),
            commit=environment.get("CI_COMMIT_SHA", ""),
            project_url=environment.get("CI_PROJECT_URL", ""),
            pipeline_id=environment.get("CI_PIPELINE_ID", "0"),
            pipeline_url=environment.get("CI_PIPELINE_URL", ""),
            parent_pipeline=_number(environment.get(PARENT_PIPELINE_ID) or environment.get("CI_PIPELINE_ID", "")),
            registry_image=environment.get("CI_REGISTRY_IMAGE", ""),
        )

    @property
    def ref(self) -> str:
        """The branch or tag in full, as `git ls-remote` names it; empty outside CI."""
        kind = "tags" if self.is_tag else "heads"
        return f"refs/{kind}/{self.branch}" if self.branch else ""

    @property
    def ref_slug(self) -> str:
        """What stands for branch, tag or merge request in tags and file names: no two of them have the same."""
        if not self.branch:
            return "local"
        if self.is_merge_request:
            # Its branch may be a fork's, and called like one of ours.
            return unique_slug(f"refs/merge-requests/{self.merge_request}/head", self.branch)
        return unique_slug(self.ref, self.branch)

    @property
    def pushing_branch(self) -> str:
        """The branch that this run may push for; empty for tags, and for merge requests, whatever their branch is."""
        return "" if self.is_merge_request or self.is_tag else self.branch

    @property
    def is_default_branch(self) -> bool:
        """Whether this run may touch what is published: the default branch itself, never a merge request or tag.

        A merge request from a fork can have a source branch of the same name, so the name alone does not count.
        """
        named = bool(self.default_branch) and self.branch == self.default_branch
        return named and not self.is_merge_request and not self.is_tag


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,16}", text) else 0


def slug(name: str) -> str:
    """A branch name as GitLab makes its own slug of it: lower case, 63 characters, `-` for the rest."""
    return re.sub(r"[^0-9a-z]", "-", name.lower())[:LONGEST_SLUG].strip("-")


def unique_slug(ref: str, name: str) -> str:
    """A slug that no other ref has: a short name as it is if that is one, and otherwise with a checksum of the ref.

    GitLab's own is the same for `x/y` and `x-y`. Names that end like a checksum get one, too.
    """
    short = slug(name)
    if short == name and ref == f"refs/heads/{name}" and not _CHECKSUM.search(short):
        return short
    checksum = hashlib.sha256(ref.encode(errors="surrogateescape")).hexdigest()[:_CHECKSUM_DIGITS]
    return f"{short[: LONGEST_SLUG - _CHECKSUM_DIGITS - 1]}-{checksum}".lstrip("-")
