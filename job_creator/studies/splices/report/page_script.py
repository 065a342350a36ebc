"""What the page of a heat map does when somebody points at it. It loads nothing, and writes text, never HTML."""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const map = document.querySelector(".map"), svg = map.querySelector("svg"), said = document.getElementById("said");
const made = (name, settings) => {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(settings)) one.setAttribute(key, value);
  return one;
};
const veils = svg.appendChild(made("g", {}));
const aim = svg.appendChild(made("rect", {class: "aim", width: data.cell, height: data.cell, visibility: "hidden"}));
let at = null;

function show(row, column) {
  if (row < 0 || column < 0 || row >= data.rows.length || column >= data.columns.length) return;
  at = [row, column];
  aim.setAttribute("x", data.left + column * data.cell);
  aim.setAttribute("y", data.top + row * data.cell);
  aim.setAttribute("visibility", "visible");
  const kind = data.kinds[Number(data.cells[row][column])];
  const text = data.said[row + "," + column];
  said.textContent = data.rows[row] + " with " + data.columns[column] + ": " + kind
    + (text === undefined ? "" : "\\n" + data.texts[text]);
}

svg.addEventListener("mousemove", event => {
  const box = svg.getBoundingClientRect();
  show(Math.floor((event.clientY - box.top - data.top) / data.cell),
       Math.floor((event.clientX - box.left - data.left) / data.cell));
});

map.addEventListener("keydown", event => {
  const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
  if (!step) return;
  event.preventDefault();
  if (at) show(at[0] + step[0], at[1] + step[1]); else show(0, 0);
  aim.scrollIntoView({block: "nearest", inline: "nearest"});
});

function filter() {
  const row = document.getElementById("row").value, column = document.getElementById("column").value;
  const kind = document.getElementById("kind").value;
  const rows = data.rows.map(name => name.includes(row)), columns = data.columns.map(name => name.includes(column));
  const number = data.kinds.indexOf(kind);
  const wanted = (r, c) => rows[r] && columns[c] && (number < 0 || Number(data.cells[r][c]) === number);
  veils.replaceChildren();
  const path = [];
  for (let r = 0; r < data.rows.length; r++) {
    for (let c = 0; c < data.columns.length; c++) {
      let end = c;
      while (end < data.columns.length && !wanted(r, end)) end++;
      if (end > c) path.push("M" + (data.left + c * data.cell) + " " + (data.top + r * data.cell)
        + "h" + (end - c) * data.cell + "v" + data.cell + "h-" + (end - c) * data.cell + "z");
      c = end;
    }
  }
  if (path.length) veils.append(made("path", {class: "veil", d: path.join("")}));
  for (const line of document.querySelectorAll("tbody tr")) {
    line.hidden = !wanted(Number(line.dataset.row), Number(line.dataset.column));
  }
}
for (const name of ["row", "column", "kind"]) document.getElementById(name).addEventListener("input", filter);
document.querySelector("form").addEventListener("submit", event => event.preventDefault());
"""
