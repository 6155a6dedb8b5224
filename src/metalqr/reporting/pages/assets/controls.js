"use strict";
// The controls of a chart: native inputs, which the keyboard reaches.
function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name in element && name !== "list") element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function makeControls(chart) {
  const box = chart.element.querySelector(".controls");
  const redraw = () => chart.draw();
  for (const choice of chart.choices.filter((each) => each.values.length > 1)) {
    const select = make("select", { name: choice.field }, ...choice.values.map((value) => make("option", { value }, value)));
    select.addEventListener("change", () => {
      chart.chosenValues[choice.field] = select.value;
      chart.highlighted.clear();
      Object.values(chart.hidden).forEach((values) => values.clear());
      fill();
      redraw();
      announce(`${choice.label}: ${select.value}`);
    });
    box.append(make("label", {}, `${choice.label} `, select));
  }
  const others = Object.entries(chart.x.others);
  if (others.length) {
    const offered = [[chart.x.field, chart.x.title], ...others];
    const select = make("select", { name: "horizontal" }, ...offered.map(([value, title]) => make("option", { value }, title)));
    select.addEventListener("change", () => { chart.horizontal = select.value; redraw(); });
    box.append(make("label", {}, "against ", select));
  }
  for (const name of ["x", "y"].filter((each) => !chart[each].is_fixed)) {
    const input = make("input", { type: "checkbox", name: `log-${name}`, checked: chart.scales[name] === "log" });
    input.addEventListener("change", () => {
      chart.scales[name] = input.checked ? "log" : "linear";
      redraw();
      announce(`${name === "x" ? "Horizontal" : "Vertical"} axis: ${input.checked ? "logarithmic" : "linear"}`);
    });
    box.append(make("label", {}, input, name === "x" ? "log, horizontal" : "log, vertical"));
  }
  const sets = chart.switches.map((control) => [control, make("fieldset", { name: control.field }, make("legend", {}, control.label))]);
  box.append(...sets.map(([, set]) => set));

  // What can be switched, and what there is to see, depends on the choices.
  function fill() {
    chart.showFindings();
    const offered = chart.offered();
    for (const [control, set] of sets) {
      const present = control.values.filter((value) => offered.some((curve) => curve[control.field] === value));
      set.hidden = present.length < 2;
      set.replaceChildren(set.firstChild, ...present.map((value) => switchOf(chart, control, value, offered)));
    }
  }
  fill();
}

function switchOf(chart, control, value, offered) {
  const input = make("input", { type: "checkbox", value, checked: !chart.hidden[control.field].has(value) });
  input.addEventListener("change", () => {
    chart.hidden[control.field][input.checked ? "delete" : "add"](value);
    chart.update();
  });
  const curves = offered.filter((curve) => curve[control.field] === value && ["median", "dot"].includes(curve.kind));
  return make("label", {}, input, ...(control.field === "kind" ? [] : swatch(curves)), control.words[value] ?? value);
}

const MARKS = {
  circle: '<circle cx="8" cy="5" r="4"/>', square: '<rect x="4" y="1" width="8" height="8"/>',
  diamond: '<path d="M8 0l5 5-5 5-5-5z"/>', "triangle-up": '<path d="M3 9h10l-5-8z"/>', cross: '<path d="M4 4h3V1h2v3h3v2H9v3H7V6H4z"/>',
};

// The line or the mark that stands for a value: its colour where it has one, otherwise its dash where it has one.
function swatch(curves) {
  const colours = new Set(curves.map((curve) => curve.colour)), dashes = new Set(curves.map((curve) => String(curve.dash)));
  if (!curves.length || (colours.size > 1 && dashes.size > 1)) return [];
  const colour = colours.size > 1 || curves[0].colour === "ink" ? "currentColor" : curves[0].colour;
  const holder = document.createElement("span");
  const shapes = new Set(curves.map((curve) => curve.kind === "dot" ? curve.shape ?? "circle" : ""));
  if (shapes.size === 1 && MARKS[[...shapes][0]]) {
    holder.innerHTML = `<svg width="16" height="10" aria-hidden="true" fill="${colour}">${MARKS[[...shapes][0]]}</svg>`;
    return [holder.firstChild];
  }
  const dash = dashes.size > 1 ? "" : curves[0].dash.join(" ");
  holder.innerHTML = `<svg width="26" height="10" aria-hidden="true"><line x1="0" y1="5" x2="26" y2="5" stroke="${colour}" stroke-width="3" stroke-dasharray="${dash}"/></svg>`;
  return [holder.firstChild];
}

function announce(words) { document.getElementById("announcement").textContent = words; }
