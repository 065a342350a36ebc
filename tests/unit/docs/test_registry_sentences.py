"""What docs/variables-and-permissions.md says of the registry: for each sentence, the tests that hold it."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final

import pytest

from tests.documentation import DOCS
from tests.samples import REPOSITORY

TRUST: Final = "tests/integration/test_image_trust.py"
BASE: Final = "tests/unit/engines/gitlab/test_base_pipeline.py"
CONTAINERS: Final = "tests/unit/engines/gitlab/test_container_pipeline.py"
PLACES: Final = "tests/unit/containers/test_places.py"
COPIES: Final = "tests/integration/test_registry_copies.py"
HELD_BY: Final = {
    "An image that anyone pushed": [f"{TRUST}::test_forged_images_are_built_anew"],
    "A statement counts for the image alone": [
        f"{TRUST}::test_a_statement_that_belongs_to_something_else_proves_nothing"
    ],
    "A signature by another key": [
        f"{TRUST}::test_signatures_of_others_and_damaged_ones_prove_nothing",
        f"{TRUST}::test_the_signature_of_a_key_that_has_expired_proves_nothing",
    ],
    "Branches and merge requests push": [
        f"{TRUST}::test_the_default_branch_does_not_read_what_branches_have",
        f"{BASE}::test_branches_take_what_the_default_branch_has_and_it_never_reads_theirs",
        f"{PLACES}::test_the_default_branch_takes_nothing_of_a_branch_that_nobody_signed",
    ],
    "Generated jobs name base images": [f"{BASE}::test_no_job_names_a_base_image_by_a_tag"],
    "Merge requests sign nothing": [f"{TRUST}::test_what_cannot_be_signed_or_believed_is_not_signed"],
    "No branch and no merge request moves": [f"{BASE}::test_branches_move_their_own_tag"],
    "A registry that answers with another image": [
        f"{COPIES}::test_a_registry_that_answers_with_another_manifest_is_not_believed"
    ],
    "The tag of all architectures gets": [
        f"{TRUST}::test_the_tag_of_all_architectures_holds_what_the_default_branch_signed"
    ],
    "Docker Hub gets": [f"{CONTAINERS}::test_docker_hub_is_compared_by_labels"],
    "Without a public key everybody": [
        f"{TRUST}::test_without_a_key_they_are_used_and_the_plan_says_that_nothing_is_proven"
    ],
    "Whoever may push can put an older image": [f"{TRUST}::test_an_older_image_that_was_signed_can_come_back"],
    "Whoever may push can remove": [f"{TRUST}::test_what_was_removed_is_built_again"],
    "Tags that people pull": [
        f"{TRUST}::test_tags_that_people_pull_lead_to_what_was_pushed_last",
        f"{CONTAINERS}::test_a_tag_that_points_elsewhere_is_set",
    ],
    "Branches and merge requests believe": [f"{PLACES}::test_branches_take_from_each_other_by_labels"],
}
"""By how the sentences begin."""


def sentences() -> list[str]:
    section = (DOCS / "variables-and-permissions.md").read_text().partition("### The registry\n")[2]
    return re.findall(r"^- (.+?)(?=\n\S|\n\n)", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)


@cache
def functions_in(module: str) -> set[str]:
    tree = ast.parse((REPOSITORY / module).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_sentence_has_its_tests_and_none_is_left_over() -> None:
    found = {start for sentence in sentences() for start in HELD_BY if sentence.startswith(start)}
    assert found == set(HELD_BY)
    assert len(sentences()) == len(HELD_BY)


@pytest.mark.parametrize("test", sorted({test for tests in HELD_BY.values() for test in tests}))
def test_the_tests_are_there(test: str) -> None:
    module, _, name = test.partition("::")
    assert name in functions_in(module)
