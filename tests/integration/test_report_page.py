"""The page of a report in a real browser: nothing is in anybody's way, all of it can be read without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from job_creator.reports.forms.page import page
from job_creator.reports.report import StackReport
from tests.integration.browser import in_the_way, left_by_browser, seen_by_browser
from tests.report_samples import DIAMOND, HOSTILE, failed_run, large_plan, planned

pytestmark = pytest.mark.usefixtures("components")

SECONDS = {"zlib": 100.0, "hdf5": 5000.0, "python": 80.0, "app": 20.0}
REPORTS: dict[str, Callable[[], StackReport]] = {
    "plan": lambda: planned(DIAMOND, SECONDS, before={"zlib": (), "old": ()}),
    "run": failed_run,
    "nothing": lambda: planned(DIAMOND, SECONDS, before=DIAMOND),
    "large": lambda: large_plan(300),
}


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_in_anybodys_way(name: str, tmp_path: Path) -> None:
    assert in_the_way(page(REPORTS[name]()), tmp_path, width=1600) == []


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_nor_in_a_narrow_window(is_dark: bool, tmp_path: Path) -> None:
    assert in_the_way(page(failed_run()), tmp_path, width=375, is_dark=is_dark) == []


@pytest.mark.parametrize("name", ["run", "large"])
def test_the_page_is_no_wider_than_a_narrow_window(name: str, tmp_path: Path) -> None:
    script = "done([document.documentElement.scrollWidth, window.innerWidth]);"
    wide, window = seen_by_browser(page(REPORTS[name]()), script, tmp_path, width=375)
    assert window == 375
    assert wide <= window


def test_dark_is_dark(tmp_path: Path) -> None:
    script = "done(getComputedStyle(document.body).backgroundColor);"
    found = [seen_by_browser(page(failed_run()), script, tmp_path, is_dark=dark) for dark in (False, True)]
    assert found == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_without_scripts_all_is_there(tmp_path: Path) -> None:
    text = re.sub(r"<script>.*?</script>", "", page(large_plan(300)), flags=re.DOTALL)
    script = """
const rows = document.querySelectorAll("#packages-table tbody tr");
const visible = [...rows].filter(row => row.getBoundingClientRect().height > 0);
const picture = document.getElementById("schedule-picture").getBoundingClientRect();
done({rows: visible.length, buttons: document.querySelectorAll("button").length, high: picture.height,
      form: document.querySelector("form").getBoundingClientRect().height});
"""
    found = seen_by_browser(text, script, tmp_path)
    assert (found["rows"], found["buttons"], found["form"]) == (300, 0, 0)
    assert found["high"] > 100


def test_search_sort_and_pointing(tmp_path: Path) -> None:
    script = """
const rows = () => [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[0].textContent.trim());
const click = name => [...table.tHead.querySelectorAll("button")].find(one => one.textContent === name).click();
const found = {};
click("expected"); found.rising = rows();
click("expected"); found.falling = rows();
click("package"); found.names = rows();
const search = document.getElementById("search");
search.value = "Py"; search.dispatchEvent(new Event("input"));
found.searched = rows(); found.told = document.getElementById("found").textContent;
search.value = ""; search.dispatchEvent(new Event("input"));
found.all = rows().length;
const box = picture.getBoundingClientRect();
const point = (x, y) => {
  picture.dispatchEvent(new MouseEvent("mousemove", {clientX: box.left + x * box.width, clientY: box.top + y}));
  return said.textContent;
};
found.first = point(0.05, 12 * box.width / 1000);
found.end = point(0.5, 12 * box.width / 1000);
found.outside = point(0.05, box.height - 2);
done(found);
"""
    found = seen_by_browser(page(planned(DIAMOND, SECONDS)), script, tmp_path)
    assert found["rising"] == ["app@1.0", "python@1.0", "zlib@1.0", "hdf5@1.0"]
    assert found["falling"] == found["rising"][::-1]
    assert found["names"] == ["app@1.0", "hdf5@1.0", "python@1.0", "zlib@1.0"]
    assert (found["searched"], found["told"], found["all"]) == (["python@1.0"], "1 of 4", 4)
    assert found["first"].startswith("package zlib@1.0, expected 1:40, start 0:00")
    assert found["end"].startswith("package hdf5@1.0")
    assert found["outside"] == "No package at this place."


def test_hostile_words_do_nothing(tmp_path: Path) -> None:
    """With the page's own policy, and with one that would let them."""
    text = page(failed_run())
    for opened in (text, re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)):
        left = left_by_browser(opened, tmp_path)
        assert "<title>Run " in left
        assert "owned</title>" not in left
        assert "<img" not in left
    script = "done([document.title, document.querySelectorAll('script').length]);"
    assert seen_by_browser(text, script, tmp_path) == [f"Run {HOSTILE}", 2]


def test_the_own_script_runs_under_the_policy_of_the_page_and_no_other(tmp_path: Path) -> None:
    text = page(planned(DIAMOND, SECONDS))
    assert '<button type="button">expected</button>' in left_by_browser(text, tmp_path)
    changed = left_by_browser(text.replace('"use strict";', '"use strict"; document.title = "owned";'), tmp_path)
    assert "<button" not in changed
    assert "owned</title>" not in changed
