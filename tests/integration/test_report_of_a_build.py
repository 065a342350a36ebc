"""What `jc report run` says of a real `jc build`, with a stand-in for Spack."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from tests.build_project import BuildProject
from tests.build_runs import EIGHT
from tests.commands import jc


def test_a_build_is_reported_as_it_was(tmp_path: Path) -> None:
    project = BuildProject.made(tmp_path)
    project.tell("fail-g3")
    project.build("-j", "2", code=12)
    run = project.folder / "run"
    done = jc(
        "report",
        "run",
        str(run),
        "--before",
        str(project.folder / "toys.lock"),
        "--locks",
        str(project.folder / "toys.lock"),
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"] == {"failed": 1, "skipped": 4, "built": 3}
    (failure,) = told["failures"]
    assert (failure["name"], failure["kind"], failure["blocked"]) == ("g3@1.0", "own", 4)
    assert (run / failure["log"]).is_file()
    bars = told["schedule"]["bars"]
    assert {bar["name"].partition("@")[0] for bar in bars} == {"g1", "g2", "g3", "g4"}
    assert len(told["schedule"]["runners"]) <= 2
    # What needs g1 began after it; clocks of records are exact to a tenth of a second.
    ends = {bar["name"].partition("@")[0]: (bar["start"], bar["finish"]) for bar in bars}
    assert all(ends[need][1] <= ends[name][0] + 0.3 for name in ends for need in EIGHT[name])
    for lane in range(len(told["schedule"]["runners"])):
        own = sorted((bar["start"], bar["finish"]) for bar in bars if bar["lane"] == lane)
        assert all(one[1] <= other[0] + 0.3 for one, other in pairwise(own))
    assert told["changes"]["unchanged"] == len(EIGHT)
