"use strict";
// Tables that sort by a click on a heading, and the table of runs, which highlights their curves.
function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = make("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((first, second) => sign * compare(key(first), key(second))));
    });
  });
}

// Numbers before words, by size; what is missing last.
function compare(first, second) {
  const numbers = [first, second].map((text) => text === "" ? NaN : Number(text === "∞" ? Infinity : text));
  if (numbers.every((value) => !Number.isNaN(value))) return numbers[0] === numbers[1] ? 0 : numbers[0] - numbers[1];
  if (numbers.some((value) => !Number.isNaN(value))) return Number.isNaN(numbers[0]) ? 1 : -1;
  return first.localeCompare(second);
}

function makeRuns(chart) {
  const box = chart.element.querySelector(".runs");
  if (!box) return;
  const count = make("span"), clear = make("button", { type: "button" }, "Clear the highlight");
  const heads = Object.entries(chart.table), body = make("tbody");
  const head = make("tr", {}, make("th"), ...heads.map(([field, title]) => make("th", { className: WORDS.has(field) ? "words" : "", scope: "col" }, title)));
  const table = make("table", {}, make("thead", {}, head), body);
  box.append(make("h4", {}, count, clear), make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Runs" }, table));
  makeSortable(table);
  clear.addEventListener("click", () => { chart.highlighted.clear(); mark(); chart.update(); });
  let listed = null;

  function fill() {
    const runs = chart.offered().filter((curve) => curve.kind === "run");
    if (listed !== JSON.stringify(chart.chosenValues)) {
      listed = JSON.stringify(chart.chosenValues);
      body.replaceChildren(...runs.map(row));
      heads.forEach((_, place) => head.cells[place + 1].removeAttribute("aria-sort"));
    }
    mark();
  }

  function row(run) {
    const input = make("input", { type: "checkbox", ariaLabel: `Highlight ${run.case}, ${run.method}, seed ${run.seed}` });
    const cells = heads.map(([field]) => cell(field, run[field]));
    const line = make("tr", {}, make("td", { className: "words" }, input), ...cells);
    line.dataset.run = run.id;
    const turn = () => {
      chart.highlighted[input.checked ? "add" : "delete"](run.id);
      // Its cross, where it diverged.
      mark();
      chart.update();
    };
    input.addEventListener("change", turn);
    line.addEventListener("click", (event) => {
      if (event.target === input) return;
      input.checked = !input.checked;
      turn();
    });
    return line;
  }

  function mark() {
    const rows = [...body.rows];
    for (const line of rows) {
      const id = Number(line.dataset.run), isChosen = chart.highlighted.has(id);
      line.classList.toggle("chosen", isChosen);
      line.querySelector("input").checked = isChosen;
      line.hidden = !chart.isVisible(chart.curves[id]);
    }
    const visible = rows.filter((line) => !line.hidden).length;
    count.textContent = `${visible} runs; click a row to highlight its curve`;
    clear.disabled = !chart.highlighted.size;
  }

  chart.element.addEventListener("shown", fill);
  fill();
}

const WORDS = new Set(["case", "method", "outcome"]);

function cell(field, value) {
  const isNumber = typeof value === "number";
  const text = isNumber ? value.toLocaleString("en", { maximumSignificantDigits: 4 }) : value ?? (field === "final" ? "∞" : "–");
  const found = make("td", { className: WORDS.has(field) ? "words" : "" }, text);
  found.dataset.value = value ?? (field === "final" ? "∞" : "");
  return found;
}
