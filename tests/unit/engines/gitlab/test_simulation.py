"""Pipelines in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode
from foundation.graph import finish_times
from job_creator.engines.gitlab.running_pipelines import SimulationError
from job_creator.engines.gitlab.simulation import Simulation, Timeline, prepare

Document = dict[str, Any]


def job(seconds: float, **keywords: Any) -> Document:
    return {"script": [seconds], **keywords}


def trigger(path: str, strategy: str | None = None, **keywords: Any) -> Document:
    include = [{"artifact": path, "job": "generator"}]
    return {"trigger": {"include": include, **({"strategy": strategy} if strategy else {})}, **keywords}


def expected(_: str, keywords: Mapping[str, Any]) -> float:
    return float(keywords["script"][0])


def play(root: Document, runners: int = 100, /, **children: Document) -> Timeline:
    documents = {f"{name}.yml": document for name, document in children.items()}
    return prepare({"root.yml": root, **documents}, "root.yml", expected).run(runners)


def times(timeline: Timeline) -> dict[str, tuple[float, float]]:
    assert len({played.job for played in timeline.jobs}) == len(timeline.jobs)
    return {played.job: (played.start, played.finish) for played in timeline.jobs}


def starts(root: Document, runners: int = 100, /, **children: Document) -> dict[str, float]:
    return {name: start for name, (start, _) in times(play(root, runners, **children)).items()}


def test_a_job_without_needs_waits_for_all_jobs_of_all_earlier_stages() -> None:
    stages = {
        "a": job(1, stage="build"),
        "b": job(5, stage="build"),
        "c": job(1),
        "d": job(1, stage="deploy"),
        "first": job(2, stage=".pre"),
        "last": job(1, stage=".post"),
    }
    timeline = play(stages)
    assert times(timeline) == {
        "first": (0, 2),
        "a": (2, 3),
        "b": (2, 7),
        "c": (7, 8),
        "d": (8, 9),
        "last": (9, 10),
    }
    assert (timeline.makespan, timeline.busy) == (10, 11)


def test_stages_without_jobs_hold_nobody_up_but_pass_on_what_came_before() -> None:
    document = {"stages": ["a", "b", "c"], "x": job(3, stage="a"), "y": job(1, stage="c")}
    assert starts(document) == {"x": 0, "y": 3}


def test_outer_stages_that_are_named_stay_outside() -> None:
    document = {"stages": ["a", ".post", ".pre"], "x": job(1, stage="a"), "p": job(1, stage=".pre")}
    assert starts(document) == {"p": 0, "x": 1}


def test_a_job_with_needs_waits_for_those_only() -> None:
    document = {
        "a": job(1, stage="build"),
        "b": job(9, stage="build"),
        "c": job(1, stage="deploy", needs=["a"]),
        "d": job(1, stage=".post", needs=[]),
        "e": job(1, needs=[{"job": "c2", "artifacts": False}, "a", "a"]),
        "c2": job(3, needs=["a"]),
    }
    assert starts(document) == {"a": 0, "b": 0, "c": 1, "d": 0, "e": 4, "c2": 1}


def test_jobs_of_other_pipelines_are_not_waited_for() -> None:
    elsewhere = [{"pipeline": "$P", "job": "x"}, {"project": "g/p", "job": "x", "ref": "main"}, {"pipeline": "g/p"}]
    assert starts({"a": job(5, stage="build"), "b": job(1, needs=elsewhere)}) == {"a": 0, "b": 0}


def test_optional_needs_may_be_absent() -> None:
    document = {
        "a": job(5, stage="build"),
        "b": job(1, needs=[{"job": "gone", "optional": True}]),
        "c": job(1, needs=[{"job": "a", "optional": True}]),
    }
    assert starts(document) == {"a": 0, "b": 0, "c": 5}


def test_extends_is_resolved_and_hidden_jobs_do_not_run() -> None:
    document = {
        ".base": job(4, stage="build"),
        "before_script": ["true"],
        "variables": {"A": "1"},
        "a": {"extends": ".base"},
        "b": {"extends": ".base", "needs": ["a"]},
    }
    assert times(play(document)) == {"a": (0, 4), "b": (4, 8)}


@pytest.mark.parametrize(
    ("keywords", "runs"),
    [
        ({}, True),
        ({"when": "always"}, True),
        ({"when": "delayed", "start_in": "1 hour"}, True),
        ({"when": "on_failure"}, False),
        ({"when": "manual"}, False),
        ({"when": "never"}, False),
        ({"rules": [{"when": "manual"}]}, False),
        ({"rules": [{"when": "never"}, {"when": "always"}]}, False),
        ({"rules": [{"if": "$A", "when": "never"}, {"when": "always"}]}, True),
        ({"rules": [{"if": "$A"}]}, True),
        ({"rules": [{"if": "$A", "when": "always"}, {"when": "never"}]}, True),
        ({"rules": [{"if": "$A", "when": "on_failure"}]}, False),
        ({"rules": [{"if": "$A"}], "when": "manual"}, False),
        ({"rules": [{"changes": ["x"], "when": "manual"}, {"when": "on_success"}]}, True),
        ({"rules": []}, False),
    ],
)
def test_jobs_that_do_not_start_where_all_succeed_count_as_ended(keywords: Document, runs: bool) -> None:
    document = {
        "x": job(7, stage="build", **keywords),
        "staged": job(1),
        "needing": job(1, needs=["x"]),
        "other": job(2, stage="build"),
    }
    found = starts(document)
    assert ("x" in found) == runs
    assert (found["staged"], found["needing"]) == ((7, 7) if runs else (2, 0))


def test_a_trigger_that_does_not_run_needs_no_file() -> None:
    assert starts({"a": job(1), "t": trigger("gone.yml", rules=[{"when": "never"}])}) == {"a": 0}


def test_parallel_jobs_are_copies_and_a_need_on_them_waits_for_all() -> None:
    document = {"a": job(2, parallel=3), "b": job(1, needs=["a"]), "c": job(1, needs=["a 1/3"])}
    timeline = play(document, 2)
    assert times(timeline) == {"a 1/3": (0, 2), "a 2/3": (0, 2), "a 3/3": (2, 4), "c": (2, 3), "b": (4, 5)}
    assert timeline.busy == 8


def test_matrices_are_copies_with_the_names_that_gitlab_gives() -> None:
    matrix = [{"P": ["x", "y"], "Q": [1, 2]}, {"P": "z"}]
    document = {"a": job(1, parallel={"matrix": matrix}), "b": job(1, needs=["a"])}
    names = ["a: [x, 1]", "a: [x, 2]", "a: [y, 1]", "a: [y, 2]", "a: [z]"]
    assert starts(document, 1) == {**{name: index for index, name in enumerate(names)}, "b": 5}


def test_a_later_stage_waits_for_all_copies() -> None:
    assert starts({"a": job(2, stage="build", parallel=2), "b": job(1)}, 1) == {"a 1/2": 0, "a 2/2": 2, "b": 4}


def test_runners_take_the_lowest_id_first_by_stage_and_then_as_written() -> None:
    document = {
        "late": job(1, stage="deploy", needs=[]),
        "z": job(1, needs=[]),
        "a": job(1, needs=[]),
        "early": job(1, stage="build"),
    }
    assert list(starts(document, 1)) == ["early", "z", "a", "late"]


def test_what_ended_at_one_time_is_counted_before_runners_take_new_jobs() -> None:
    document = {
        "a": job(2, stage="build"),
        "b": job(2, stage="build"),
        "x": job(1, needs=["b"]),
        "y": job(1, needs=["b"]),
        "z": job(1, needs=["a"]),
    }
    assert starts(document, 2) == {"a": 0, "b": 0, "x": 2, "y": 2, "z": 3}


def test_jobs_of_no_length_take_their_turn() -> None:
    document = {"a": job(0), "c": job(3), "b": job(0, needs=["a"])}
    assert times(play(document, 1)) == {"a": (0, 0), "c": (0, 3), "b": (3, 3)}


@pytest.mark.parametrize("strategy", ["depend", "mirror"])
def test_a_trigger_with_a_strategy_ends_with_its_child(strategy: str) -> None:
    root = {
        "generator": job(1, stage="build"),
        "t": trigger("child.yml", strategy, needs=["generator"]),
        "after": job(1, needs=["t"]),
        "last": job(1, stage="deploy"),
    }
    timeline = play(root, child={"x": job(4), "y": job(1, stage="build")})
    assert times(timeline) == {
        "generator": (0, 1),
        "t": (1, 6),
        "y": (1, 2),
        "x": (2, 6),
        "after": (6, 7),
        "last": (7, 8),
    }
    assert timeline.busy == 8
    assert {played.job for played in timeline.jobs if played.pipeline == "child.yml"} == {"x", "y"}


def test_a_trigger_without_a_strategy_ends_at_once_but_its_child_counts() -> None:
    timeline = play({"t": trigger("child.yml"), "after": job(1, stage="deploy")}, child={"x": job(9)})
    assert times(timeline) == {"t": (0, 0), "after": (0, 1), "x": (0, 9)}
    assert timeline.makespan == 9


def test_a_strategy_does_not_wait_for_grandchildren_without_one() -> None:
    child = {"t2": trigger("grandchild.yml"), "x": job(2)}
    timeline = play({"t": trigger("child.yml", "depend")}, child=child, grandchild={"y": job(5)})
    assert times(timeline) == {"t": (0, 2), "t2": (0, 0), "x": (0, 2), "y": (0, 5)}


def test_triggers_wait_for_their_stage_and_take_no_runner() -> None:
    root = {"a": job(3, stage="build"), "t": trigger("child.yml", "depend"), "b": job(2, stage="deploy", needs=[])}
    assert times(play(root, 1, child={"x": job(1)})) == {"a": (0, 3), "b": (3, 5), "t": (3, 6), "x": (5, 6)}


def test_children_share_the_runners_and_come_after_what_was_created_before() -> None:
    root = {"t": trigger("child.yml", stage="build"), "a": job(2, needs=[]), "b": job(2, needs=[])}
    assert starts(root, 1, child={"x": job(1)}) == {"t": 0, "a": 0, "b": 2, "x": 4}


def test_children_that_are_created_at_one_time_have_ids_in_the_order_of_their_triggers() -> None:
    root = {
        "a": job(1, stage="build"),
        "b": job(1, stage="build"),
        "t": trigger("t.yml", needs=["b"]),
        "u": trigger("u.yml", needs=["a"]),
    }
    found = starts(root, 2, t={"x": job(1), "y": job(1)}, u={"v": job(1)})
    assert found == {"a": 0, "b": 0, "t": 1, "u": 1, "x": 1, "y": 1, "v": 2}


@pytest.mark.parametrize("include", ["child.yml", ["child.yml"], {"local": "child.yml"}, [{"local": "child.yml"}]])
def test_triggers_may_name_local_files(include: Any) -> None:
    assert starts({"t": {"trigger": {"include": include}}}, child={"x": job(1)}) == {"t": 0, "x": 0}


def test_a_file_may_be_triggered_several_times() -> None:
    timeline = play(
        {"t": trigger("child.yml", "depend", parallel=2), "u": trigger("child.yml")}, 1, child={"x": job(1)}
    )
    assert [(played.job, played.finish) for played in timeline.jobs] == [
        ("t 1/2", 1),
        ("t 2/2", 2),
        ("u", 0),
        *[("x", 1), ("x", 2), ("x", 3)],
    ]


def test_seconds_is_asked_once_with_the_name_in_the_file_and_what_it_extends() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def seconds(name: str, keywords: Mapping[str, Any]) -> float:
        asked.append((name, keywords))
        return 1

    documents: dict[str, Document] = {
        "r.yml": {"t": trigger("c.yml"), "u": trigger("c.yml"), "no": job(1, when="manual")},
        "c.yml": {".b": {"tags": ["x"]}, "a": {"extends": ".b", "script": ["y"], "parallel": 2}},
    }
    assert prepare(documents, "r.yml", seconds).run(1).makespan == 4
    assert asked == [("a", {"tags": ["x"], "script": ["y"], "parallel": 2})]


X = {"x": job(1)}
LATER = {"a": job(1, needs=["b"]), "b": job(1, stage="deploy")}


@pytest.mark.parametrize(
    ("root", "children", "message"),
    [
        ({"a": job(1, needs=["b"])}, {}, "root.yml: a: needs 'b', which is not in this pipeline"),
        ({**X, "a": job(1, needs=["b"], when="manual")}, {}, "root.yml: a: needs 'b', which is not in this pipeline"),
        ({"a": job(1, needs=["a"])}, {}, "root.yml: a: needs itself: a -> a"),
        (LATER, {}, "root.yml: a: needs 'b' of a later stage"),
        ({"a": job(1, stage="x")}, {}, "root.yml: a: stage 'x' is not in 'stages'"),
        ({"stages": ["x"], "a": job(1)}, {}, "root.yml: a: stage 'test' is not in 'stages'"),
        ({"a": job(-1)}, {}, "root.yml: a: expected to take -1.0 seconds; must be 0 or more, and finite"),
        ({"a": job(float("nan"))}, {}, "root.yml: a: expected to take nan seconds; must be 0 or more, and finite"),
        ({"a": {"extends": ".b"}}, {}, "root.yml: extends '.b' which is not there"),
        ({"a": {"extends": "a"}}, {}, "root.yml: extends goes round in a circle"),
        ({"t": trigger("c.yml")}, {}, "root.yml: t: triggers 'c.yml', which is not among the pipelines"),
        ({"t": {"trigger": "group/project"}}, {}, "root.yml: t: triggers neither an artifact nor a local file"),
        (
            {"t": {"trigger": {"include": [{"template": "x.yml"}]}}},
            {},
            "root.yml: t: triggers neither an artifact nor a local file",
        ),
        (
            {"t": {"trigger": {"include": ["c.yml", "d.yml"]}}},
            {},
            "root.yml: t: triggers 2 files; only one can be played",
        ),
        (
            {"t": trigger("c.yml")},
            {"c": {"t": trigger("d.yml")}, "d": {"t": trigger("e.yml")}, "e": X},
            "d.yml: t: child pipelines go 2 levels deep at most",
        ),
        ({"t": trigger("root.yml")}, {}, "root.yml: t: child pipelines go 2 levels deep at most"),
        *[
            (
                {"t": trigger("c.yml")},
                {"c": child},
                "c.yml: has no job (those in .pre and .post do not count); GitLab does not create it",
            )
            for child in (
                {},
                {".hidden": job(1), "stages": ["a"]},
                {"a": job(1, stage=".pre"), "b": job(1, rules=[{"when": "never"}])},
            )
        ],
    ],
)
def test_what_gitlab_refuses_is_named_with_its_pipeline_and_job(
    root: Document, children: dict[str, Document], message: str
) -> None:
    with pytest.raises(SimulationError) as caught:
        play(root, 1, **children)
    assert str(caught.value) == message
    assert caught.value.exit_code is ExitCode.INVALID_INPUT


def test_a_circle_of_needs_is_shown_as_who_needs_whom() -> None:
    with pytest.raises(SimulationError) as caught:
        play({"a": job(1, needs=["b"]), "b": job(1, needs=["c"]), "c": job(1, needs=["a"])})
    circle = str(caught.value).split(": ")[-1].split(" -> ")
    assert all({"a": "b", "b": "c", "c": "a"}[one] == other for one, other in pairwise(circle))
    assert (len(circle), circle[0]) == (4, circle[-1])


def test_a_child_whose_jobs_are_all_manual_is_created_and_has_ended() -> None:
    root = {"t": trigger("child.yml", "depend"), "a": job(1, stage="deploy")}
    assert starts(root, child={"x": job(9, when="manual")}) == {"t": 0, "a": 0}


def test_an_unknown_root_is_named() -> None:
    with pytest.raises(SimulationError, match=r"^gone\.yml: is not among the pipelines$"):
        prepare({"a.yml": X}, "gone.yml", expected)


@pytest.mark.parametrize("runners", [0, -1])
def test_there_must_be_a_runner(runners: int) -> None:
    with pytest.raises(SimulationError, match=rf"^root\.yml: needs at least one runner, not {runners}$"):
        play(X, runners)


def test_jobs_that_nothing_starts_are_named() -> None:
    """No document leads there, as a need of a later stage is refused; so the net is spoilt by hand."""
    net = prepare({"root.yml": {"a": job(1), "b": job(1, needs=["a"])}}, "root.yml", expected)._net
    stuck = net.shown[1].first
    nodes = [replace(node, waiting=node.waiting + (number == stuck)) for number, node in enumerate(net.nodes)]
    with pytest.raises(SimulationError, match=r"^root\.yml: b: never ends; it waits for what nothing starts$"):
        Simulation(replace(net, nodes=tuple(nodes))).run(1)


Needs = dict[str, frozenset[str]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Needs, dict[str, float]]:
    """Jobs that need some of those before them, named so that neither alphabet nor length gives the order away."""
    count = draw(st.integers(1, 12))
    names = draw(st.permutations([f"j{number}" for number in range(count)]))
    needs = {
        name: frozenset(draw(st.lists(st.sampled_from(names[:index]), max_size=4))) if index else frozenset()
        for index, name in enumerate(names)
    }
    return needs, {name: float(draw(st.integers(0, 20))) for name in names}


def pipeline(needs: Needs, seconds: Mapping[str, float]) -> Document:
    return {name: job(seconds[name], needs=sorted(needs[name])) for name in sorted(needs)}


@given(graphs(), st.integers(1, 15))
def test_makespans_keep_to_their_bounds(graph: tuple[Needs, dict[str, float]], runners: int) -> None:
    needs, seconds = graph
    timeline = play(pipeline(needs, seconds), runners)
    chain, work = max(finish_times(needs, seconds).values()), sum(seconds.values())
    assert timeline.busy == work
    assert max(chain, work / runners) - 1e-9 <= timeline.makespan <= work
    # R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969: holds for every list scheduler.
    assert timeline.makespan <= work / runners + chain + 1e-9
    if runners >= len(needs):
        assert {name: finish for name, (_, finish) in times(timeline).items()} == finish_times(needs, seconds)


def most_at_once(timeline: Timeline, *, of: str) -> int:
    """The most jobs of a kind that worked at one time; those that end when others start are not counted twice."""
    spans = [(played.start, played.finish) for played in timeline.jobs if played.job.startswith(of)]
    return max((sum(start <= time < finish for start, finish in spans) for time, _ in spans), default=0)


@given(graphs(), st.integers(1, 4))
def test_jobs_start_after_their_needs_and_never_more_at_once_than_runners(
    graph: tuple[Needs, dict[str, float]], runners: int
) -> None:
    needs, seconds = graph
    timeline = play(pipeline(needs, seconds), runners)
    found = times(timeline)
    for name, (start, finish) in found.items():
        assert finish == start + seconds[name]
        assert all(found[need][1] <= start for need in needs[name])
    assert found.keys() == needs.keys()
    assert most_at_once(timeline, of="j") <= runners


@given(graphs(), graphs(), st.integers(1, 4), st.sampled_from([None, "depend"]), st.data())
def test_children_share_runners_and_the_order_of_mappings_and_needs_is_no_matter(
    above: tuple[Needs, dict[str, float]],
    below: tuple[Needs, dict[str, float]],
    runners: int,
    strategy: str | None,
    data: st.DataObject,
) -> None:
    root, child = pipeline(*above), pipeline(*below)
    root |= {name: trigger("child.yml", strategy, needs=[data.draw(st.sampled_from(sorted(root)))]) for name in "tu"}
    documents = {"root.yml": root, "child.yml": child}
    simulation = prepare(documents, "root.yml", expected)
    timeline = simulation.run(runners)
    assert most_at_once(timeline, of="j") <= runners
    assert timeline.busy == sum(above[1].values()) + 2 * sum(below[1].values())
    assert timeline == simulation.run(runners)
    shuffled = {
        path: {
            name: dict(reversed([*keywords.items()])) | {"needs": keywords["needs"][::-1]}
            for name, keywords in documents[path].items()
        }
        for path in reversed(documents)
    }
    assert prepare(shuffled, "root.yml", expected).run(runners) == timeline


@given(graphs(), st.integers(1, 4), st.data())
def test_stages_are_what_needs_on_everything_before_would_be(
    graph: tuple[Needs, dict[str, float]], runners: int, data: st.DataObject
) -> None:
    names = sorted(graph[1])
    stage = {name: data.draw(st.integers(0, 3)) for name in names}
    stages = [f"s{number}" for number in range(4)]
    staged = {name: job(graph[1][name], stage=stages[stage[name]]) for name in names}
    spelled = {
        name: {**staged[name], "needs": [other for other in names if stage[other] < stage[name]]} for name in names
    }
    assert play({"stages": stages, **staged}, runners) == play({"stages": stages, **spelled}, runners)
