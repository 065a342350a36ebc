"""Lower levels of sections: keys, kinds of values, numbers, names of lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.checks.environments import fault, faults, merged, written

HEAD = "spack:\n  specs: [zlib]\n"


def of(root: Path, section: str, line: str = "1.1") -> list[str]:
    return faults(root, HEAD + "".join(f"  {one}\n" for one in section.splitlines()), line=line)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("packages: {zlib: {requires: '+pic'}}", "unknown key 'requires'; did you mean 'require'?"),
        ("packages: {zlib: +pic}", "'zlib' must be a mapping; for a package, write {require: '+pic'}"),
        ("packages: {zlib: {require: 3.10}}", "'require' must be a list or text; put it in quotes"),
        ("packages: {zlib: {require: [{oneof: ['+pic']}]}}", "unknown key 'oneof'; did you mean 'one_of'?"),
        ("packages: {zlib: {buildable: no}}", "'buildable' must be true or false; write false; 'no' is text"),
        ("packages: {all: {provider: {mpi: [mpich]}}}", "unknown key 'provider'; did you mean 'providers'?"),
        ("packages: {all: {version: ['1']}}", "unknown key 'version'"),
        ("packages: {zlib: {externals: [{prefix: /usr}]}}", "'spec' is missing"),
        ("concretizer: {unify: on}", "'unify' must be true or false; write true; 'on' is text"),
        ("concretizer: {unify: when_posible}", "'unify' must not be 'when_posible'; did you mean 'when_possible'?"),
        ("concretizer: {resue: true}", "unknown key 'resue'; did you mean 'reuse'?"),
        ("concretizer: {targets: {granularity: genric}}", "did you mean 'generic'?"),
        ("config: {build_jobs: '4'}", "'build_jobs' must be a whole number; write it without quotes"),
        ("config: {build_job: 4}", "did you mean 'build_jobs'?"),
        ("config: {build_jobs: 0}", "'build_jobs' must be 1 or more"),
        ("view: yes", "'view' must be true or false; write true; 'yes' is text"),
        ("view: {default: {root: /opt/x, selct: [x]}}", "unknown key 'selct'; did you mean 'select'?"),
        ("view: {default: {root: /opt/x, link: rot}}", "'link' must not be 'rot'"),
        ("env_vars: {sett: {A: b}}", "unknown key 'sett'; did you mean 'set'?"),
        ("env_vars: {set: {A: true}}", "'A' must be text; put it in quotes"),
        ("mirrors: {mine: {urll: 'https://x.example.org'}}", "unknown key 'urll'; did you mean 'url'?"),
        ("mirrors: {mine: {url: 'https://x.example.org', signed: yes}}", "'signed' must be true or false"),
        ("modules: {default: {enabl: [tcl]}}", "unknown key 'enabl'; did you mean 'enable'?"),
        ("modules: {default: {tcl: {all: {autoload: directt}}}}", "did you mean 'direct'?"),
        ("toolchains: {mine: [{specs: '%c=gcc'}]}", "unknown key 'specs'; did you mean 'spec'?"),
        ("ci: {pipelinegen: []}", "unknown key 'pipelinegen'; did you mean 'pipeline-gen'?"),
        ("ci: {pipeline-gen: [{submapping: [{match: [x], build-jobs: {}}]}]}", "did you mean 'build-job'?"),
        ("ci: {target: jenkins}", "'target' must not be 'jenkins'"),
        ("ci: {pipeline-gen: [{build-job: {tags: huge}}]}", "'tags' must be a list; write a list: [huge]"),
        ("ci: {pipeline-gen: [{build-job: {before_script: [a], before_script-: [b]}}]}", "stands here twice"),
    ],
)
def test_what_spack_refuses_or_passes_over_is_a_fault(tmp_path: Path, section: str, message: str) -> None:
    found = of(tmp_path, section)
    assert any(message in one for one in found), found
    assert all(one.startswith("here:3:") for one in found)
    assert len(found) <= 2


@pytest.mark.parametrize(
    "section",
    [
        "packages: {zlib: {require: '+pic', version: [1.3], variants: +pic}}",
        "packages:: {'all:': {'require:': ['@1'], providers: {mpi: [mpich]}}}",
        "packages: {zlib: {externals: [{spec: zlib@1, prefix: /z, extra_attributes: {a: {b: c}}}], buildable: false}}",
        "concretizer: {unify: when_possible, reuse: {roots: true, from: [{type: local}]}}",
        "config: {build_jobs: 4, install_tree: {root: /opt/software, padded_length: 9, projections: {all: '{name}'}}}",
        "view: {default: {root: /opt/x, link: roots, projections: {all: '{name}', ^mpi: '{name}'}}}",
        "env_vars: {set: {A: 3, B: 'yes', C: yes}, prepend_path: {PATH: /x}, unset: [D]}",
        "ci: {pipeline-gen: [{any-job: {tags: [x], cache: {key: y}, variables: {A: 1}}}], rebuild-index: true}",
        "toolchains: {mine: [{spec: '%c=gcc', when: '%c'}]}",
    ],
)  # fmt: skip
def test_what_spack_takes_is_no_fault(tmp_path: Path, section: str) -> None:
    assert of(tmp_path, section) == []


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("packages: {cmake: {version: [3.10]}}", "3.10 is the number 3.1 in YAML; put it in quotes, or write 3.1"),
        ("packages: {cmake: {version: [3.30, '3.31']}}", "3.30 is the number 3.3"),
        ("env_vars: {set: {A: 2025.10}}", "2025.10 is the number 2025.1"),
        ("env_vars: {set: {A: 010}}", "010 is the number 10"),
        ("env_vars: {set: {A: 0x1F}}", "0x1F is the number 31"),
        ("env_vars: {set: {A: 1e3}}", "1e3 is the number 1000.0"),
        ("env_vars: {set: {A: 1_000}}", "1_000 is the number 1000"),
        ("config: {build_jobs: 010}", "010 is the number 10"),
        ("ci: {pipeline-gen: [{build-job: {variables: {A: 1.10}}}]}", "1.10 is the number 1.1"),
        ("ci: {pipeline-gen: [{build-job: {id_tokens: {A: {aud: 1.10}}}}]}", "1.10 is the number 1.1"),
        ("packages: {cmake: {externals: [{spec: cmake@3, prefix: /x, extra_attributes: {a: 1.10}}]}}", "1.10 is"),
    ],
)
def test_a_number_that_would_not_stay_as_it_was_written_is_a_fault(tmp_path: Path, section: str, message: str) -> None:
    (found,) = of(tmp_path, section)
    assert message in found


def test_numbers_where_spack_wants_numbers_are_numbers(tmp_path: Path) -> None:
    assert of(tmp_path, "config: {build_jobs: +4, connect_timeout: 1_0}") == []


def test_words_and_dates_are_written_out_as_they_were_meant(tmp_path: Path) -> None:
    definition = HEAD + "  env_vars: {set: {A: yes, B: 2024-01-01, C: 12:30, D: on, E: 3}}\n"
    found = written(tmp_path, {"container_definitions/amd64/tool-set.yaml": definition})
    assert merged(found)["env_vars"]["set"] == {"A": "yes", "B": "2024-01-01", "C": "12:30", "D": "on", "E": 3}


def test_keys_of_other_lines_say_which(tmp_path: Path) -> None:
    (found,) = of(tmp_path, "concretizer: {force: true}", line="0.23")
    assert "it needs Spack 1.0 or newer; this site builds with 0.23" in found


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("  specs: [$listz]\n  definitions: [{lists: [gcc]}]\n", "no list 'listz' is defined; did you mean 'lists'?"),
        ("  specs:\n    - matrix: [[$^mpis], [zlib]]\n", "no list 'mpis' is defined; define it below"),
        ("  specs: [$a]\n  definitions: [{a: [$%b]}]\n", "no list 'b' is defined"),
        ("  specs:\n    - matrix: [[zlib], ['@1.3']]\n      exlude: [zlib]\n", "'exlude'; did you mean 'exclude'?"),
        ("  specs:\n    - matrix: [zlib]\n", "this value must be a list; write a list: [zlib]"),
    ],
)  # fmt: skip
def test_lists_of_specs(tmp_path: Path, definition: str, message: str) -> None:
    assert message in fault(tmp_path, "spack:\n" + definition)


def test_lists_that_the_template_or_a_condition_defines_are_defined(tmp_path: Path) -> None:
    template = "spack:\n  config: {install_tree: {root: /opt/software}}\n  definitions:\n  - a: [zlib]\n"
    assert faults(tmp_path, "spack:\n  specs: [$a]\n", template=template) == []
    own = "spack:\n  definitions:\n  - {when: 'True', a: [zlib]}\n  - b: [$a]\n  specs:\n  - matrix: [[$b], ['@1.3']]\n"
    assert faults(tmp_path, own) == []


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """One file with an unknown section kept the lower levels of all others from being looked at."""
    other = {"container_definitions/amd64/other.yaml": "spack: {specs: [zlib], packges: {}}\n"}
    found = faults(tmp_path, HEAD + "  packages: {zlib: {requires: '+pic'}}\n", **other)
    assert any("'packges'" in one for one in found)
    assert any("'requires'" in one for one in found)


def test_a_file_with_a_fault_of_its_outer_form_is_looked_at_further(tmp_path: Path) -> None:
    """What a whole environment would be is not said of it, and nothing is told twice."""
    found = faults(
        tmp_path,
        HEAD + "  concretization: together\n  upstreams: {a: {}}\n  packages: []\n  definitons: [{a: [zlib]}]\n"
        "  config: {build_jobs: many, install_tree: here}\n",
        template="spack:\n  pakages: {}\n  config: {build_jobs: few}\n",
    )
    words = [
        "'concretization' is",
        "'upstreams' cannot",
        "'packages' must be",
        "unknown key 'definitons'",
        "'build_jobs' must",
    ]
    assert [one.partition(": ")[2][: len(word)] for one, word in zip(found, words, strict=False)] == words
    assert [one.split(": ")[0] for one in found[len(words) :]] == ["spack.yaml:2:3", "spack.yaml:3:24"]


@pytest.mark.parametrize("value", ["3", "text", "[3]", "{a: 3}", "[{spec: 3}]", "null"])
@pytest.mark.parametrize(
    "section",
    ["packages: {gcc: {externals: VALUE}}", "packages: {gcc: {require: VALUE}}", "repos: VALUE", "view: VALUE"],
)
def test_values_of_any_kind_are_faults_or_nothing(tmp_path: Path, section: str, value: str) -> None:
    """Whatever stands there, other checks look at it as well."""
    assert all(one.startswith("here:") for one in of(tmp_path, section.replace("VALUE", value)))
