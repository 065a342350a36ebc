"""What signed statements prove of images."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.containers.versions import tag_of
from job_creator.provenance.namespaces import (
    Namespace,
    content_tag,
    is_of_branches,
    statement_reference,
)
from job_creator.provenance.proofs import Claim, Proofs, Witness
from job_creator.provenance.statements import Statement, StatementKind
from job_creator.site.run import Context
from tests.documentation import DOCS

DIGEST = f"sha256:{'d' * 64}"
REGISTRY = "registry.example.org/group/containers"
BUILDER = f"{REGISTRY}/builder"
STATEMENT = Statement(StatementKind.BASE_IMAGE, DIGEST, BUILDER, "amd64", "f" * 64, "refs/heads/main", True)
CLAIM = Claim(StatementKind.BASE_IMAGE, BUILDER, "amd64", "f" * 64)


def fault(statement: Statement | None, claim: Claim = CLAIM, digest: str = DIGEST, reason: str = "") -> str:
    return Proofs({f"{claim.repository}@{digest}": Witness(statement, reason)}).fault(claim, digest)


def test_a_statement_about_just_this_image_is_a_proof() -> None:
    assert fault(STATEMENT) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": StatementKind.CONTAINER_IMAGE}, "is signed as another kind: container image"),
        ({"subject": f"sha256:{'e' * 64}"}, f"is signed as another image: sha256:{'e' * 64}"),
        ({"name": f"{REGISTRY}/runtime"}, f"is signed as another name: {REGISTRY}/runtime"),
        ({"name": "elsewhere.example.org/group/containers/builder"}, "is signed as another name"),
        ({"architecture": "arm64"}, "is signed as another architecture: arm64"),
        ({"fingerprint": "e" * 64}, f"is signed as another fingerprint: {'e' * 64}"),
        (
            {"is_default_branch": False, "ref": "refs/heads/x"},
            "was made by refs/heads/x, not by the default branch",
        ),
    ],
)
def test_a_statement_about_something_else_is_none(changed: dict[str, object], said: str) -> None:
    assert fault(replace(STATEMENT, **changed)).startswith(said)  # type: ignore[arg-type]


def test_what_nobody_trusted_signed_counts_for_nothing() -> None:
    assert fault(STATEMENT, reason="is signed by a key that has expired") == "is signed by a key that has expired"
    assert fault(None, reason="is not signed") == "is not signed"
    assert Proofs().fault(CLAIM, DIGEST) == "is not signed"
    assert Proofs(why_none="no key is known").fault(CLAIM, DIGEST) == "is not proven: no key is known"


def test_of_what_branches_have_any_branch_may_be_the_maker() -> None:
    """If its pipeline had the key: whoever may use the key is believed."""
    name = f"{REGISTRY}/branches__hdf5"
    claim = Claim(StatementKind.CONTAINER_IMAGE, name, "amd64", "f" * 64)
    made = replace(STATEMENT, kind=claim.kind, name=name, is_default_branch=False, ref="refs/heads/release/1")
    assert fault(made, claim) == ""


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.booleans(), st.text(max_size=30))
def test_the_rule_of_the_docs_protects_all_tags_of_the_default_branch_and_no_other(
    branch: str, is_default: bool, version: str
) -> None:
    """RE2, which GitLab reads, knows no look-ahead; a rule may have 100 characters (docs/variables-and-permissions)."""
    text = (DOCS / "variables-and-permissions.md").read_text()
    (rule,) = re.findall(r"^(\^_\?.*\$)$", text, re.MULTILINE)
    assert len(rule) <= 100
    context = Context(branch="main" if is_default else branch, default_branch="main")
    own = context.is_default_branch
    where = Namespace(REGISTRY, own).repository("hdf5")
    tags = [
        f"{tag_of(version, context)}-amd64",
        tag_of(version, context),
        content_tag(where, "f" * 64, "amd64"),
        statement_reference(where, DIGEST).rpartition(":")[2],
        "latest" if own else f"branch__{context.ref_slug}",
    ]
    assert is_of_branches(where) is not own
    for tag in tags:
        assert len(tag) <= 128
        assert bool(re.search(rule, tag)) is own, tag
