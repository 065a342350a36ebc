"""Root causes of differences between lockfiles, on made-up graphs in which it is known who changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode
from foundation.graph import reachable
from foundation.spack.grammar.concrete import concrete_node
from job_creator.__main__ import main
from job_creator.builds.durations import Durations, default_durations
from job_creator.reports.changes import LockChanges, LockedPackage, Packages, compare
from job_creator.reports.changes_text import markdown, summary
from job_creator.reports.locked import read_packages
from tests.spack_ci import RECORDINGS


@dataclass(frozen=True)
class Made:
    """A package before it has a hash; what it needs is named."""

    name: str
    version: str = "1.0"
    variants: tuple[tuple[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    target: str = "x86_64_v3"
    recipe: str = "recipe"
    is_external: bool = False
    salt: str = ""
    """Of which only the hash tells."""


def nodes(*packages: Made) -> dict[str, dict[str, Any]]:
    """Nodes by DAG hash; what is needed comes before what needs it, and a hash follows from all below it."""
    hashes: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for one in packages:
        text = json.dumps([one.__dict__, [hashes[need] for need in one.needs]], default=str)
        hashes[one.name] = hashlib.sha256(text.encode()).hexdigest()[:32]
        found[hashes[one.name]] = {
            "name": one.name,
            "version": one.version,
            "arch": {"platform": "linux", "platform_os": "debian12", "target": one.target},
            "namespace": "builtin",
            "parameters": {"build_system": "generic", **dict(one.variants)},
            "package_hash": one.recipe,
            "dependencies": [
                {"name": need, "hash": hashes[need], "parameters": {"deptypes": ["link"], "virtuals": []}}
                for need in one.needs
            ],
            "hash": hashes[one.name],
            **({"external": {"path": "/usr"}} if one.is_external else {}),
        }
    return found


def locked(*packages: Made) -> Packages:
    return {
        key: LockedPackage(concrete_node(node), node["package_hash"], "external" in node)
        for key, node in nodes(*packages).items()
    }


def changes(before: tuple[Made, ...], after: tuple[Made, ...]) -> LockChanges:
    return compare(locked(*before), locked(*after), Durations(default=60.0))


BASE = (Made("zlib"), Made("hdf5", needs=("zlib",)), Made("python"), Made("app", needs=("hdf5", "python")))


def but(**changed: Any) -> tuple[Made, ...]:
    """The same with `hdf5` changed."""
    return tuple(replace(one, **changed) if one.name == "hdf5" else one for one in BASE)


def test_nothing_changes() -> None:
    found = changes(BASE, BASE)
    assert (found.causes, found.followers, found.added, found.removed, found.unchanged) == ((), (), (), (), 4)
    assert list(summary(found)) == ["nothing changes: 4 packages are the same"]
    assert found.to_build == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": "2.0"}, ["version 1.0 -> 2.0"]),
        ({"variants": (("mpi", True),)}, ["mpi none -> on"]),
        ({"variants": (("cflags", ["-g"]),)}, ["cflags none -> -g"]),
        ({"target": "zen3"}, ["target x86_64_v3 -> zen3"]),
        ({"recipe": "another"}, ["recipe recipe -> another"]),
        ({"is_external": True}, ["external no -> yes"]),
        ({"needs": ("zlib",), "version": "2.0", "recipe": "another"}, ["version 1.0 -> 2.0"]),
        ({"needs": ()}, ["dependency zlib link -> none"]),
    ],
)
def test_what_changed_in_a_package_itself(changed: dict[str, Any], said: list[str]) -> None:
    found = changes(BASE, but(**changed))
    (cause,) = found.causes
    assert cause.change.after.node.name == "hdf5"
    assert list(map(str, cause.change.traits)) == said
    assert cause.followers == 1
    assert [one.after.node.name for one in found.followers] == ["app"]
    assert found.unchanged == 2


def test_what_no_lockfile_tells_is_said_to_be_that() -> None:
    (cause,) = changes(BASE, but(salt="patch")).causes
    assert "what lockfiles do not tell" in str(cause.change.traits[0])


def test_two_causes_and_one_follower_of_both() -> None:
    after = (Made("zlib", "2"), Made("hdf5", needs=("zlib",)), Made("python", "3"), BASE[3])
    found = changes(BASE, after)
    assert [(one.change.after.node.name, one.followers) for one in found.causes] == [("zlib", 2), ("python", 1)]


def test_what_is_new_and_what_goes() -> None:
    found = changes(BASE, (*BASE[:2], Made("curl"), Made("app", needs=("hdf5", "curl"))))
    assert [one.name for one in found.added] == ["curl@1.0"]
    assert [one.name for one in found.removed] == ["python@1.0"]
    (cause,) = found.causes
    assert list(map(str, cause.change.traits)) == ["dependency python link -> none", "dependency curl none -> link"]
    assert "added: curl@1.0" in list(summary(found))
    assert (found.to_build, found.work_seconds, found.longest_seconds) == (2, 120.0, 120.0)


def test_the_two_most_alike_of_a_name_are_compared() -> None:
    before = {**locked(Made("gmake", "4.4")), **locked(Made("gmake", "4.2", recipe="old"))}
    after = {**locked(Made("gmake", "4.4", recipe="new")), **locked(Made("gmake", "4.2", recipe="newer"))}
    found = compare(before, after, Durations())
    said = {one.change.after.name: str(one.change.traits[0]) for one in found.causes}
    assert said == {"gmake@4.4": "recipe recipe -> new", "gmake@4.2": "recipe old -> newer"}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[tuple[Made, ...], frozenset[str]]:
    """A graph, and which of its packages get another version."""
    count = draw(st.integers(1, 12))
    made = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        made.append(Made(f"p{number}", needs=tuple(f"p{one}" for one in sorted(needs))))
    return tuple(made), draw(st.frozensets(st.sampled_from([one.name for one in made])))


@given(graphs())
def test_causes_are_those_that_changed_and_followers_what_depends_on_them(
    drawn: tuple[tuple[Made, ...], frozenset[str]],
) -> None:
    packages, changed = drawn
    after = tuple(replace(one, version="2.0") if one.name in changed else one for one in packages)
    found = changes(packages, after)
    below = reachable({one.name: frozenset(one.needs) for one in packages})
    followers = {name for name, needs in below.items() if needs & changed and name not in changed}
    assert {one.change.after.node.name for one in found.causes} == changed
    assert {one.after.node.name for one in found.followers} == followers
    assert found.unchanged == len(packages) - len(changed) - len(followers)
    for cause in found.causes:
        name = cause.change.after.node.name
        assert cause.followers == sum(name in below[one] for one in followers)
    assert found.to_build == len(changed) + len(followers)
    assert found.longest_seconds <= found.work_seconds == 60.0 * found.to_build
    # The other way round it is as much.
    back = changes(after, packages)
    assert (len(back.causes), len(back.followers)) == (len(found.causes), len(found.followers))


LOCKS = sorted(RECORDINGS.rglob("spack.lock"))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: "-".join(path.parts[-4:-1]))
def test_recorded_lockfiles_of_every_line(path: Path) -> None:
    packages = read_packages(path)
    assert not compare(packages, packages, default_durations()).causes
    found = compare({}, packages, default_durations())
    assert len(found.added) == len(packages)
    assert (found.causes, found.removed) == ((), ())


def recorded(*parts: str) -> Packages:
    return read_packages(RECORDINGS.joinpath(*parts))


def test_causes_between_recordings_as_somebody_found_them_by_hand() -> None:
    """The two were concretized on machines of other targets. By hand, field by field: only the externals gcc and glibc
    say something else of themselves, and six packages differ in nothing but hashes of what they need."""
    before, after = recorded("spack-1.0", "zlib-bzip2"), recorded("spack-1.2", "zlib-bzip2")
    found = compare(before, after, default_durations())
    told = {one.change.after.node.name: (list(map(str, one.change.traits)), one.followers) for one in found.causes}
    assert told == dict.fromkeys(("gcc", "glibc"), (["target x86_64_v4 -> x86_64"], 6))
    followers = {one.after.node.name for one in found.followers}
    assert followers == {"bzip2", "diffutils", "gcc-runtime", "gmake", "libiconv", "zlib-ng"}
    assert (found.unchanged, found.to_build) == (1, 6)
    assert (found.added, found.removed) == ((), ())


@pytest.mark.parametrize(
    ("line", "same", "osu"),
    [("spack-0.23", 40, "osu-micro-benchmarks@7.5"), ("spack-1.1", 42, "osu-micro-benchmarks@7.5.1")],
)
def test_recorded_environments_that_share_packages_have_no_causes(line: str, same: int, osu: str) -> None:
    """By hand: no name has another hash in the second one; what stands in one of them alone came or went."""
    before, after = recorded(line, "hdf5-tools"), recorded(line, "system-benchmarks")
    found = compare(before, after, default_durations())
    assert (found.causes, found.followers, found.unchanged) == ((), (), same)
    assert sorted(f"{one.node.name}@{one.node.version}" for one in found.added) == ["ior@3.3.0", osu]
    assert len(found.removed) == len(before) - same


def test_the_command(tmp_path: Path) -> None:
    def write(name: str, *packages: Made) -> Path:
        value = {
            "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
            "roots": [],
            "concrete_specs": nodes(*packages),
        }
        path = tmp_path / name / "app" / "spack.lock"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
        return path

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["report", "changes", *arguments], catch_exceptions=False)
        assert result.exit_code == ExitCode.OK, result.output
        return result.stdout

    before, after = write("before", *BASE), write("after", *but(variants=(("a|b", "*x*"),)))
    assert "a|b none -> *x*" in run(str(before), str(after))
    assert run(str(before.parent.parent), str(after.parent.parent)) == run(str(before), str(after))
    value: Mapping[str, Any] = json.loads(run(str(before), str(after), "--json"))
    assert (value["to_build"], value["unchanged"], value["causes"][0]["followers"]) == (2, 2, 1)
    shown = run(str(before), str(after), "--format", "markdown")
    assert "a\\|b none -\\> \\*x\\*" in shown
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(main, ["report", "changes", str(before), str(tmp_path / "empty")])
    assert result.exit_code == ExitCode.NOT_THERE


def test_markdown_without_causes_has_no_table() -> None:
    assert "|" not in markdown(changes(BASE, BASE))
