"""What docs/variables-and-permissions.md says is protected, and what not: for each sentence, the tests that hold it."""

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
PLACES: Final = "tests/unit/containers/test_places.py"
COPIES: Final = "tests/integration/test_registry_copies.py"
KEYS: Final = "tests/unit/engines/gitlab/test_keys_of_branches.py"
READER: Final = "tests/integration/test_reader_keys.py"
IMAGES: Final = "tests/integration/test_spack_images.py"
PLANS: Final = "tests/unit/engines/gitlab/test_container_pipeline.py"
FOREIGN: Final = "tests/unit/environments/test_foreign_code.py"
MERGED: Final = "tests/unit/environments/test_merged.py"
OF_BUCKETS: Final = {
    "No file that is generated": [f"{KEYS}::test_no_writing_key_of_the_default_branch_is_named_for_others"],
    "A site file that would give": [f"{KEYS}::test_a_site_that_would_give_them_away_is_refused_at_the_place"],
    "The parent pipeline": [
        "tests/unit/engines/gitlab/test_parent_pipeline.py"
        "::test_jobs_get_no_keys_but_those_that_clean_up_after_branches"
    ],
    "Whoever has the reader's keys": [f"{READER}::test_the_readers_keys_read_and_can_do_nothing_else"],
    "Packages are installed from it only": [
        f"{IMAGES}::test_nothing_is_compiled_or_taken_without_its_signature",
        "tests/integration/test_signing_scripts.py::test_a_job_that_reads_what_is_signed_has_to_trust_somebody",
    ],
    "The default branch reads neither": [
        f"{PLANS}::test_only_branches_look_into_the_place_of_the_default_branch_and_only_with_keys_that_read",
        f"{MERGED}::test_the_default_branch_never_reads_the_cache_of_branches",
        f"{READER}::test_what_a_branch_puts_under_the_default_branchs_names_changes_nothing_there",
        "tests/unit/engines/gitlab/test_hostile_branch.py"
        "::test_nothing_that_others_write_is_read_by_the_default_branch",
    ],
    "A branch can fill and empty": [f"{READER}::test_the_keys_of_branches_fill_and_empty_their_own_place_alone"],
    "Containers are built with the reader's keys": [
        f"{PLANS}::test_containers_are_built_with_the_keys_that_only_read",
        f"{FOREIGN}::test_foreign_code_gets_no_key_but_those_that_read",
    ],
    "Whoever can push a branch can read": [
        f"{READER}::test_a_branch_reads_what_is_released_and_publishes_a_copy_in_its_place"
    ],
    "Where the keys that write are not protected": [
        f"{IMAGES}::test_nothing_is_compiled_or_taken_without_its_signature"
    ],
    "Without `reader:`, whoever": [
        f"{PLANS}::test_without_a_reader_containers_are_built_without_keys",
        f"{FOREIGN}::test_without_a_reader_foreign_code_reads_without_keys",
        "tests/integration/test_doctor_places.py::test_a_cache_that_nobody_reads_without_keys_is_a_fault",
    ],
    "Spack 0.22 and older": [
        f"{MERGED}::test_credentials_are_named_in_the_mirror_where_spack_can_and_else_in_job_variables"
    ],
}
OF_THE_REGISTRY: Final = {
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
    "Docker Hub gets": [f"{PLANS}::test_docker_hub_is_compared_by_labels"],
    "Without a public key everybody": [
        f"{TRUST}::test_without_a_key_they_are_used_and_the_plan_says_that_nothing_is_proven"
    ],
    "Whoever may push can put an older image": [f"{TRUST}::test_an_older_image_that_was_signed_can_come_back"],
    "Whoever may push can remove": [f"{TRUST}::test_what_was_removed_is_built_again"],
    "Tags that people pull": [
        f"{TRUST}::test_tags_that_people_pull_lead_to_what_was_pushed_last",
        f"{PLANS}::test_a_tag_that_points_elsewhere_is_set",
    ],
    "Branches and merge requests believe": [f"{PLACES}::test_branches_take_from_each_other_by_labels"],
}
STAND_IN: Final = "tests/integration/test_apart.py"
SPIED: Final = "tests/integration/test_apart_spack.py::test_a_hostile_recipe_sees_no_key_and_breaks_nothing"
SIGNED: Final = "tests/integration/test_apart_spack.py::test_what_it_leaves_makes_nobody_root_and_is_signed"
PHASES: Final = f"{STAND_IN}::test_each_phase_has_its_user_its_variables_and_its_end"
ANSWERS: Final = "tests/unit/mirrors/needs/test_answers.py"
MIRRORS: Final = "tests/integration/test_mirror_apart.py"
OF_PACKAGES: Final = {
    "Recipes and builds get the variables": [
        SPIED,
        PHASES,
        f"{FOREIGN}::test_foreign_code_gets_no_key_but_those_that_read",
        f"{FOREIGN}::test_a_mirror_of_packages_is_read_with_its_own_keys_and_never_with_those_of_the_build_cache",
        "tests/unit/engines/gitlab/test_keys_of_branches.py"
        "::test_a_site_that_would_give_recipes_more_than_they_read_with_is_refused",
        f"{STAND_IN}::test_the_program_brings_what_an_environment_names_and_takes_what_was_made",
    ],
    "They cannot read": [SPIED, PHASES, f"{STAND_IN}::test_an_environment_brings_nothing_else"],
    "They cannot write": [SPIED, f"{STAND_IN}::test_what_was_built_becomes_roots"],
    "No process of theirs": [SPIED, PHASES],
    "What they leave in folders": [SPIED, PHASES],
    "A package is pushed if": [
        SIGNED,
        f"{STAND_IN}::test_what_no_build_may_leave_is_not_pushed",
        f"{STAND_IN}::test_a_second_name_of_a_file_of_root_is_not_pushed",
        "tests/integration/test_apart_spack.py::test_a_package_that_says_it_is_another_is_not_pushed",
    ],
    "Whatever a build does to": [PHASES, f"{STAND_IN}::test_what_was_built_becomes_roots"],
    "No recipe is read": [SPIED],
    "What recipes have Spack write": [
        "tests/unit/builds/test_own_words.py::test_what_is_added_is_found",
        "tests/unit/builds/test_own_words.py::test_jobs_that_build_nothing_say_no_more_either",
        "tests/integration/test_apart_spack.py::test_recipes_see_no_key_either_where_an_environment_is_concretized",
    ],
    "A lockfile whose packages": [
        "tests/unit/foundation/spack/test_lockfile.py::test_what_is_no_name_of_a_package_is_refused",
    ],
    "`mirror sources for <arch>` reads": [
        f"{MIRRORS}::test_recipes_say_what_they_need_and_fetch_it_and_see_no_key",
        f"{MIRRORS}::test_what_is_fetched_is_a_file_of_the_recipes_checksum_or_nothing",
        f"{MIRRORS}::test_recipes_do_not_say_where_other_things_lie",
        f"{ANSWERS}::test_recipes_put_nothing_but_sources_into_a_mirror",
    ],
    "A job whose builder image": [f"{STAND_IN}::test_what_others_cannot_get_to_ends_the_job"],
    "A job that does not run as root": [f"{STAND_IN}::test_who_is_not_root_is_told_and_gives_what_it_can"],
    "A recipe decides": [SPIED],
    "What a definition or the template": [
        "tests/integration/test_ci_section.py::test_what_a_definition_says_of_a_package_is_in_its_job"
    ],
    "What a recipe has fetched": [
        "tests/unit/mirrors/needs/test_answers.py::test_a_commit_can_be_mirrored_but_not_verified"
    ],
    "Where packages are built on": [f"{STAND_IN}::test_what_was_built_becomes_roots"],
}
HELD_BY: Final = {
    "The cache of the default branch": OF_BUCKETS,
    "The registry": OF_THE_REGISTRY,
    "Packages": OF_PACKAGES,
}
"""By section, and by how the sentences begin."""
TESTS: Final = sorted({test for section in HELD_BY.values() for tests in section.values() for test in tests})


def sentences(section: str) -> list[str]:
    text = (DOCS / "variables-and-permissions.md").read_text().partition(f"### {section}\n")[2]
    return re.findall(r"^- (.+?)(?=\n\S|\n\n)", re.split(r"\n##+ ", text)[0], re.MULTILINE | re.DOTALL)


@cache
def functions_in(module: str) -> set[str]:
    tree = ast.parse((REPOSITORY / module).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("section", HELD_BY)
def test_every_sentence_has_its_tests_and_none_is_left_over(section: str) -> None:
    held = HELD_BY[section]
    found = {start for sentence in sentences(section) for start in held if sentence.startswith(start)}
    assert found == set(held)
    assert len(sentences(section)) == len(held)


@pytest.mark.parametrize("test", TESTS)
def test_the_tests_are_there(test: str) -> None:
    module, _, name = test.partition("::")
    assert name in functions_in(module)
