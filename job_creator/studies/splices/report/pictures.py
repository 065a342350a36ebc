"""Heat maps as PNG, by Pillow, and as PDF, by reportlab; both are part of the extra `splices`."""

from __future__ import annotations

import io
from typing import Any, Final

from job_creator.studies.splices.report.geometry import COLOURS, FONT, INK, MARKS, MapGeometry, geometry_of, label
from job_creator.studies.splices.report.matrix import SpliceMatrix

SIDE: Final = 14
"""Of a square of the legend."""
_GAP: Final = 8


def png_of(matrix: SpliceMatrix, title: str) -> bytes:
    """The heat map in pixels; the same bytes for the same matrix."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    geometry = geometry_of(matrix)
    image = Image.new("RGB", (geometry.width, geometry.height), "#ffffff")
    _draw(_Pixels(image), matrix, geometry)
    information = PngInfo()
    information.add_itxt("Title", title)
    content = io.BytesIO()
    image.save(content, format="png", pnginfo=information)
    return content.getvalue()


def pdf_of(matrix: SpliceMatrix, title: str) -> bytes:
    """The heat map as a page of its own size, a point for each pixel; the same bytes for the same matrix."""
    from reportlab.pdfgen.canvas import Canvas

    geometry = geometry_of(matrix)
    content = io.BytesIO()
    canvas = Canvas(content, pagesize=(geometry.width, geometry.height), invariant=1)
    canvas.setTitle(title)
    _draw(_Points(canvas, geometry.height), matrix, geometry)
    canvas.showPage()
    canvas.save()
    return content.getvalue()


class _Pixels:
    """Draws into an image."""

    def __init__(self, image: Any) -> None:
        from PIL import ImageDraw, ImageFont

        self._image = image
        self._draw = ImageDraw.Draw(image)
        # The font that comes with Pillow, so that no other has to be installed.
        self._font = ImageFont.load_default(FONT)

    def box(self, x: int, y: int, width: int, height: int, colour: str) -> None:
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)

    def text(self, x: float, y: float, text: str, anchor: str, colour: str = "#000000") -> None:
        """`anchor` says where the text has the point: left, middle or right of its middle line."""
        self._draw.text((x, y), text, font=self._font, anchor={"l": "lm", "m": "mm", "r": "rm"}[anchor], fill=colour)

    def turned(self, x: float, y: float, text: str) -> None:
        """From the point upwards."""
        from PIL import Image, ImageDraw

        height = FONT + 4
        strip = Image.new("RGB", (int(self._font.getlength(text)) + 2, height), "#ffffff")
        ImageDraw.Draw(strip).text((0, height / 2), text, font=self._font, anchor="lm", fill="#000000")
        strip = strip.rotate(90, expand=True)
        self._image.paste(strip, (int(x - height / 2), int(y - strip.height)))


class _Points:
    """Draws on a page, whose origin is the lower left corner."""

    def __init__(self, canvas: Any, height: int) -> None:
        self._canvas, self._height = canvas, height

    def box(self, x: int, y: int, width: int, height: int, colour: str) -> None:
        self._canvas.setFillColor(colour)
        self._canvas.rect(x, self._height - y - height, width, height, stroke=0, fill=1)

    def text(self, x: float, y: float, text: str, anchor: str, colour: str = "#000000") -> None:
        self._canvas.setFillColor(colour)
        self._canvas.setFont("Courier", FONT)
        draw = {"l": "drawString", "m": "drawCentredString", "r": "drawRightString"}[anchor]
        getattr(self._canvas, draw)(x, self._height - y - FONT / 3, text)

    def turned(self, x: float, y: float, text: str) -> None:
        self._canvas.saveState()
        self._canvas.translate(x, self._height - y)
        self._canvas.rotate(90)
        self._canvas.setFillColor("#000000")
        self._canvas.setFont("Courier", FONT)
        self._canvas.drawString(0, -FONT / 3, text)
        self._canvas.restoreState()


def _draw(on: _Pixels | _Points, matrix: SpliceMatrix, geometry: MapGeometry) -> None:
    side = geometry.cell - geometry.has_grid
    half = geometry.cell / 2
    for row in range(geometry.rows):
        for column in range(geometry.columns):
            kind = matrix.kind(row, column)
            x, y = geometry.place(row, column)
            on.box(x, y, side, side, COLOURS[kind])
            if geometry.has_marks and MARKS[kind]:
                on.text(x + half, y + half, MARKS[kind], "m", INK[kind])
    for row in range(0, geometry.rows, geometry.label_step):
        x, y = geometry.place(row, 0)
        on.text(x - _GAP, y + half, label(matrix.rows[row]), "r")
    for column in range(0, geometry.columns, geometry.label_step):
        x, y = geometry.place(0, column)
        on.turned(x + half, y - _GAP, label(matrix.columns[column]))
    for kind, left, top in geometry.legend():
        on.box(left, top, SIDE, SIDE, COLOURS[kind])
        on.text(left + SIDE / 2, top + SIDE / 2, MARKS[kind], "m", INK[kind])
        on.text(left + SIDE + _GAP, top + SIDE / 2, str(kind), "l")
