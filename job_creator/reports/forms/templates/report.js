"use strict";
// Search, sort and pointing; all that it shows stands in the tables.
const table = document.getElementById("packages-table");
const number = text => {
  if (/^\d+(:\d\d)+$/.test(text)) return text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
  return /^[\d,.]+%?$/.test(text) ? Number(text.replace(/[,%]/g, "")) : NaN;
};

function sortBy(head, column) {
  const body = head.closest("table").tBodies[0];
  const falling = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const keys = new Map([...body.rows].map(row => [row, row.cells[column].textContent.trim()]));
  const order = (one, other) => {
    const a = number(keys.get(one)), b = number(keys.get(other));
    if (!isNaN(a) && !isNaN(b)) return a - b;
    if (isNaN(a) !== isNaN(b)) return isNaN(a) ? 1 : -1;
    return keys.get(one).localeCompare(keys.get(other), "en", {numeric: true});
  };
  body.append(...[...body.rows].sort((one, other) => falling ? order(other, one) : order(one, other)));
}

for (const head of document.querySelectorAll("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () => sortBy(head, head.cellIndex));
  head.replaceChildren(button);
}

if (table) {
  const form = document.querySelector("form"), search = document.getElementById("search");
  form.hidden = false;
  form.addEventListener("submit", event => event.preventDefault());
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    let count = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count += !row.hidden;
    }
    document.getElementById("found").textContent = wanted ? count + " of " + table.tBodies[0].rows.length : "";
  });
}

const picture = document.getElementById("schedule-picture"), said = document.getElementById("said");
if (picture && table) {
  const heads = [...table.tHead.rows[0].cells].map(cell => cell.textContent);
  const places = ["start", "end", "runner"].map(name => heads.indexOf(name));
  const spans = [...table.tBodies[0].rows].map(row => [row, ...places.map(place => number(row.cells[place].textContent))]);
  const {left, top, high, unit} = picture.dataset;
  let aimed = [];
  said.hidden = false;
  said.textContent = "Point at a job to see what it builds.";
  picture.addEventListener("mousemove", event => {
    const box = picture.getBoundingClientRect(), scale = picture.viewBox.baseVal.width / box.width;
    const lane = Math.floor(((event.clientY - box.top) * scale - Number(top)) / Number(high)) + 1;
    const when = ((event.clientX - box.left) * scale - Number(left)) * Number(unit);
    for (const row of aimed) row.classList.remove("aimed");
    aimed = spans.filter(([, start, end, runner]) => runner === lane && start <= when + 1 && when <= end + 1).map(([row]) => row);
    for (const row of aimed) row.classList.add("aimed");
    const told = aimed.map(row => heads.map((head, index) => head + " " + row.cells[index].textContent).join(", "));
    said.textContent = told.join("; ") || "No package at this place.";
  });
}
