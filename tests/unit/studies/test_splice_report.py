"""Heat maps that show every cell in its place, and matrices that say the same in every form."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foundation.errors import ExitCode
from job_creator.__main__ import main
from job_creator.studies.splices.facts.values import SpecNode
from job_creator.studies.splices.prediction.verdicts import (
    Confidence,
    MissingKind,
    MissingPart,
    Prediction,
    SpliceVerdict,
)
from job_creator.studies.splices.report.drawing import svg_of
from job_creator.studies.splices.report.geometry import COLOURS, INK, geometry_of, label
from job_creator.studies.splices.report.matrix import (
    Cell,
    CellKind,
    SpliceMatrix,
    csv_of,
    matrix_from_csv,
    matrix_from_symbolator,
    matrix_of,
)
from job_creator.studies.splices.report.page import page_of
from job_creator.studies.splices.report.pictures import pdf_of, png_of

CELLS = (
    None,
    Cell(SpliceVerdict.UNKNOWN),
    Cell(SpliceVerdict.FAILS, None, "x is gone"),
    Cell(SpliceVerdict.WORKS, Confidence.SYMBOLS),
    Cell(SpliceVerdict.WORKS, Confidence.TYPES),
)
SHAPES = [(1, 1), (1, 40), (40, 1), (437, 116), (2, 3)]


def matrix(rows: int, columns: int, seed: int = 1) -> SpliceMatrix:
    """A matrix of all kinds of cells; in one of one cell, that one fails."""
    random = Random(seed)
    cells = {
        (row, column): cell
        for row in range(rows)
        for column in range(columns)
        if (cell := CELLS[2] if rows == columns == 1 else random.choice(CELLS))
    }
    names = tuple(f"curl@7.{number}.0/{number:032x}:{number}" for number in range(rows))
    return SpliceMatrix(names, tuple(f"openssl@1.1.1{number}/abc" for number in range(columns)), cells)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_cell_is_found_by_its_colour_at_its_place(shape: tuple[int, int]) -> None:
    """The picture that the seed shipped of 437 x 116 cells shows none of them."""
    made = matrix(*shape)
    geometry = geometry_of(made)
    image = Image.open(io.BytesIO(png_of(made, "all"))).convert("RGB")
    assert image.size == (geometry.width, geometry.height)
    pixels = image.load()
    assert pixels
    for row in range(shape[0]):
        for column in range(shape[1]):
            x, y = geometry.place(row, column)
            side = geometry.cell - geometry.has_grid
            corners = {pixels[x + dx, y + dy] for dx in (0, side - 1) for dy in (0, side - 1)}
            assert corners == {rgb(COLOURS[made.kind(row, column)])}, (row, column)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_svg_has_every_cell_too(shape: tuple[int, int]) -> None:
    made = matrix(*shape)
    geometry = geometry_of(made)
    kinds = {colour: kind for kind, colour in COLOURS.items()}
    found = {}
    drawn = ElementTree.fromstring(svg_of(made, "all"))  # noqa: S314 - our own
    for path in drawn.iter("{http://www.w3.org/2000/svg}path"):
        for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v\d+h-\d+z", path.attrib["d"]):
            row, first = (int(y) - geometry.top) // geometry.cell, (int(x) - geometry.left) // geometry.cell
            for column in range(first, first + max(int(width) // geometry.cell, 1)):
                assert (row, column) not in found
                found[row, column] = kinds[path.attrib["fill"]]
    assert found == {(r, c): made.kind(r, c) for r in range(shape[0]) for c in range(shape[1])}


def test_the_same_matrix_gives_the_same_picture() -> None:
    made = matrix(3, 4)
    for draw in (png_of, pdf_of):
        assert draw(made, "all") == draw(made, "all")
    assert pdf_of(made, "all").startswith(b"%PDF")


@pytest.mark.parametrize(("count", "grid"), [(1, True), (250, True), (320, False), (500, False)])
def test_there_are_no_lines_between_small_cells(count: int, grid: bool) -> None:
    assert geometry_of(matrix(count, 1)).has_grid == grid


@given(st.integers(0, 500), st.integers(0, 500))
def test_maps_of_all_sizes_hold_what_they_show(rows: int, columns: int) -> None:
    made = SpliceMatrix(("r" * 30,) * rows, ("c" * 80,) * columns, {})
    geometry = geometry_of(made)
    x, y = geometry.place(rows, columns)
    assert x <= geometry.width
    assert y <= geometry.legend_top < geometry.height
    # Labels neither touch each other nor what is left of them.
    assert geometry.label_step * geometry.cell >= 12
    assert geometry.left >= len(label("r" * 30)) * 6.6 * bool(rows)
    assert geometry.top >= len(label("c" * 80)) * 6.6 * bool(columns)
    assert max(geometry.width, geometry.height) < 3000


# Colours

_BLINDNESS = {
    # Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009.
    "none": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "grey": ((0.2126, 0.7152, 0.0722),) * 3,
}


def linear(colour: str) -> list[float]:
    return [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (one / 255 for one in rgb(colour))
    ]


def lab(colour: str, blindness: str) -> tuple[float, float, float]:
    """In CIE L*a*b*, where distances are about as large as they look."""
    seen = [
        min(max(sum(a * b for a, b in zip(row, linear(colour), strict=True)), 0), 1) for row in _BLINDNESS[blindness]
    ]
    weights = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    xyz = (sum(a * b for a, b in zip(row, seen, strict=True)) / w for row, w in zip(weights, white, strict=True))
    x, y, z = (one ** (1 / 3) if one > 0.008856 else 7.787 * one + 16 / 116 for one in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("blindness", _BLINDNESS)
def test_everybody_can_tell_the_colours_apart(blindness: str) -> None:
    for one, other in combinations(CellKind, 2):
        first, second = lab(COLOURS[one], blindness), lab(COLOURS[other], blindness)
        distance = sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5
        # Without any colour it is the signs in the cells that tell two of them apart.
        assert distance > (5 if blindness == "grey" else 20), (one, other, distance)


def test_signs_in_cells_can_be_read() -> None:
    for kind in CellKind:
        light, dark = sorted((lab(COLOURS[kind], "none")[0], lab(INK[kind], "none")[0]), reverse=True)
        assert light - dark > 45, kind


# Matrices


def spec(name: str, version: str) -> SpecNode:
    return SpecNode(
        f"{name}{version}".replace(".", "x").ljust(32, "a"), name, version, is_external=False, dependencies=()
    )


def prediction(version: str, other: str, verdict: int | None, *, old: str = "1.0") -> Prediction:
    missing = (MissingPart(MissingKind.SYMBOL, "gone<script>", "zlib: lib/libz.so", "curl: bin/curl"),)
    return Prediction(
        spec("curl", version),
        spec("zlib", old),
        spec("zlib", other),
        is_transitive=False,
        verdict=None if verdict is None else SpliceVerdict(verdict),
        reason="because",
        confidence=Confidence.SYMBOLS if verdict else None,
        missing=missing if verdict == -1 else (),
    )


def test_rows_and_columns_are_in_the_order_of_versions() -> None:
    made = matrix_of([prediction(version, "1.10", 1) for version in ("8.10", "8.9")] + [prediction("8.9", "1.9", 1)])
    assert [one.partition("/")[0] for one in made.rows] == ["curl@8.9", "curl@8.10"]
    assert [one.partition("/")[0] for one in made.columns] == ["zlib@1.9", "zlib@1.10"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("verdicts", "worst"), [((-1, 1), -1), ((0, 1), 0), ((-1, 0), -1), ((1, None), 1)])
def test_of_several_verdicts_for_a_place_all_have_to_be_good(
    verdicts: tuple[int | None, ...], worst: int, order: int
) -> None:
    """In the seed the last one won, so that what fails was drawn as working."""
    made = matrix_of([prediction("8.9", "1.9", one, old=f"1.{n}") for n, one in enumerate(verdicts)][::order])
    assert made.cells[0, 0].verdict == worst


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 9))
def test_a_csv_says_what_its_matrix_says(rows: int, columns: int, seed: int) -> None:
    made = matrix(rows, columns, seed)
    text = csv_of(made)
    read = matrix_from_csv(text, "x.csv")
    assert (read.rows, read.columns) == (made.rows, made.columns)
    assert {place: cell.verdict for place, cell in read.cells.items()} == {
        place: cell.verdict for place, cell in made.cells.items()
    }
    assert csv_of(read) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "x.csv:1:1: no matrix"),
        (",a,b\nc,1\n", "x.csv:2:1: has 2 cells, not 3"),
        (",a\nb,yes\n", "x.csv:2:1: 'yes' is no verdict"),
        (",a\nb,2\n", "x.csv:2:1: '2' is no verdict"),
    ],
)
def test_what_is_no_matrix_is_told_with_its_place(text: str, fault: str) -> None:
    from foundation.errors import InvalidInputError

    with pytest.raises(InvalidInputError, match=re.escape(fault)):
        matrix_from_csv(text, "x.csv")


SYMBOLATOR = {
    "curl@7.49.1/63pw:3046": [
        {"missing": [], "prediction": True, "specA": "curl@7.49.1/63pw:3046", "specB": "zlib@1.2.11/aaaa:2"},
        {"missing": ["inflate"], "prediction": False, "specA": "curl@7.49.1/63pw:3046", "specB": "zlib@1.2.11/aaaa:2"},
    ],
    "curl@7.50.0/7q73:2591": [{"missing": [], "prediction": True, "specA": "x", "specB": "openssl@1.1.1l/bbbb:10"}],
}


def test_predictions_of_symbolator_are_read() -> None:
    made = matrix_from_symbolator(SYMBOLATOR, "x.json")
    lines = list(csv.reader(io.StringIO(csv_of(made))))
    assert lines == [
        ["", "openssl@1.1.1l/bbbb:10", "zlib@1.2.11/aaaa:2"],
        ["curl@7.49.1/63pw:3046", "0", "-1"],
        ["curl@7.50.0/7q73:2591", "1", "0"],
    ]
    assert "missing: inflate" in made.cells[0, 1].text


# The page


def test_the_page_needs_nothing_else_and_holds_what_names_say() -> None:
    made = matrix_of([prediction("8.9", "1.9", -1), prediction("8.10", "1.9", 1)])
    page = page_of(made, "a </script><b> title")
    assert "<b>" not in page
    assert "<script>gone" not in page
    assert not re.search(r'(src|href)="', page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert data["cells"] == ["2", "1"]
    assert "gone<script>" in data["texts"][data["said"]["0,0"]]


# The command


def report(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["splices", "report", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize("name", ["predictions.jsonl", "curl.csv", "symbolator-predictions.json"])
def test_reports_are_made_of_all_that_there_is(name: str, tmp_path: Path) -> None:
    source = tmp_path / name
    found = [prediction("8.9", "1.9", -1), prediction("8.9", "1.8", 0)]
    sources = {
        "predictions.jsonl": "".join(f"{json.dumps(one.as_value())}\n" for one in found),
        "curl.csv": csv_of(matrix(3, 4)),
        "symbolator-predictions.json": json.dumps(SYMBOLATOR),
    }
    source.write_text(sources[name])
    made = {form: tmp_path / "out" / f"report.{form}" for form in ("csv", "html", "svg", "png", "pdf")}
    done = report("--from", source, "--json", *(word for form, path in made.items() for word in (f"--{form}", path)))
    assert done.exit_code == 0, done.output
    assert sum(json.loads(done.stdout)["cells"].values()) > 0
    starts = {form: path.read_bytes()[:9] for form, path in made.items()}
    assert starts["png"].startswith(b"\x89PNG")
    assert starts["pdf"].startswith(b"%PDF")
    assert starts["html"] == b"<!DOCTYPE"
    again = report("--from", made["csv"], "--csv", tmp_path / "again.csv")
    assert again.exit_code == 0
    assert (tmp_path / "again.csv").read_text() == made["csv"].read_text()


def test_jsonl_round_trip(tmp_path: Path) -> None:
    found = [prediction("8.9", "1.9", -1), prediction("8.9", "1.8", None), prediction("8.9", "1.7", 1)]
    source = tmp_path / "predictions.jsonl"
    source.write_text("".join(f"{json.dumps(one.as_value(), sort_keys=True)}\n" for one in found))
    # Somebody was killed in the last line.
    source.write_text(source.read_text() + '{"consumer": {"na')
    assert report("-d", tmp_path, "--jsonl", tmp_path / "again.jsonl").exit_code == 0
    assert (tmp_path / "again.jsonl").read_text() == source.read_text().rpartition("\n")[0] + "\n"


def test_a_report_of_nothing_is_told(tmp_path: Path) -> None:
    done = report("-d", tmp_path)
    assert done.exit_code == ExitCode.NOT_THERE
    assert "run 'jc splices predict' first" in done.output
    (tmp_path / "x.jsonl").write_text('{"consumer": 1}\n{"a": 2}\n')
    assert report("--from", tmp_path / "x.jsonl").exit_code == ExitCode.INVALID_INPUT
