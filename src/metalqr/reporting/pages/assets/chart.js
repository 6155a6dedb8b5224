"use strict";
// A chart of the page: its curves, what the controls leave of them, and its views, drawn by Vega-Lite.
// Powers of ten where digits would be many.
const NUMBER = "datum.label === '' ? '' : datum.value !== 0 && (abs(datum.value) < 1e-3 || abs(datum.value) >= 1e5) ? format(datum.value, '~e') : format(datum.value, ',~g')";

// The values under the pointer: Vega-Lite 6.4 looks for words in the cell around a point, and for numbers in the point.
function withWords(spec) {
  for (const { encode } of spec.marks.filter((mark) => mark.encode?.update?.isVoronoi)) {
    const { tooltip } = encode.update;
    tooltip.signal = tooltip.signal.replaceAll(/(?<!datum\.)datum\[/g, "datum.datum[");
  }
  return spec;
}

class Chart {
  constructor(element, given) {
    Object.assign(this, given, { element });
    this.scales = { x: given.x.is_log ? "log" : "linear", y: given.y.is_log ? "log" : "linear" };
    this.horizontal = given.x.field;
    this.chosenValues = Object.fromEntries(given.choices.map((choice) => [choice.field, choice.values[0]]));
    this.hidden = Object.fromEntries(given.switches.map((control) => [control.field, new Set()]));
    this.highlighted = new Set();
    this.hasPoints = this.curves.some((curve) => curve.kind === "dot" && curve.shape !== "cross");
    this.views = [];
    this.curves.forEach((curve, place) => { curve.id = place; });
  }

  // The curves of the chosen experiment, case or the like, also those that are switched off.
  offered() {
    const choices = Object.entries(this.chosenValues);
    return this.curves.filter((curve) => choices.every(([field, value]) => !(field in curve) || curve[field] === value));
  }

  isVisible(curve) {
    return Object.entries(this.hidden).every(([field, values]) => !values.has(curve[field]));
  }

  visible() { return this.offered().filter((curve) => this.isVisible(curve)); }

  // A row for each point of the curves of a panel; a logarithmic axis has no place for what is not positive.
  rows(panel) {
    const isShown = (value, scale) => value === null || scale === "linear" || value > 0;
    return this.visible().filter((curve) => !panel || curve.panel === panel).flatMap((curve) => {
      const { points, ...fields } = curve, names = Object.keys(points), mine = points[this.horizontal];
      if (!mine) return [];
      const state = !this.highlighted.size || curve.kind === "reference" ? "plain" : this.highlighted.has(curve.id) ? "chosen" : "faded";
      const colour = curve.colour === "ink" ? theme.ink() : curve.colour;
      const heights = points[this.y.field] ?? points.low;
      return mine.map((_, place) => ({
        shape: "circle", ...fields, colour, state, curve: curve.id, order: place,
        ...Object.fromEntries(names.map((name) => [name, points[name][place]])),
      })).filter((_, place) => mine[place] !== null && isShown(mine[place], this.scales.x) && isShown(heights[place], this.scales.y));
    });
  }

  specification(panel) {
    const spec = structuredClone(this.spec), title = this.x.others[this.horizontal] ?? this.x.title;
    for (const layer of spec.layer) {
      for (const [name, scale] of Object.entries(this.scales)) {
        const channel = layer.encoding[name];
        // Room for points at the ends, of which a logarithmic axis has none at round numbers.
        const room = this.hasPoints || (scale === "log" && name === "y") ? { padding: 10 } : {};
        channel.scale = scale === "log" ? { type: "log", nice: false, ...room } : { nice: name === "y", zero: name === "y", ...room };
        channel.axis = { labelExpr: NUMBER, ...(this[name].is_fixed ? { tickMinStep: 1 } : {}) };
      }
      Object.assign(layer.encoding.x, { field: this.horizontal, title });
    }
    spec.datasets = { rows: this.rows(panel) };
    return spec;
  }

  async draw() {
    if (!this.isReached) return;
    const drawing = this.drawing = Symbol();
    const found = [];
    for (const box of this.element.querySelectorAll(".panel")) {
      const look = { config: theme.config(), tooltip: { theme: theme.current() } };
      const options = { actions: false, renderer: "canvas", patch: withWords, ...look };
      const result = await vegaEmbed(box.querySelector(".plot"), this.specification(box.dataset.panel), options);
      // The size of a container, and so of the axes, follows the window by itself.
      found.push({ panel: box.dataset.panel, box, view: result.view });
      if (this.drawing !== drawing) return;
    }
    this.views.forEach(({ view }) => view.finalize());
    this.views = found;
    this.show();
  }

  async update() {
    await Promise.all(this.views.map(({ panel, view }) => view.data("rows", this.rows(panel)).runAsync()));
    this.show();
  }

  show() {
    const visible = this.visible();
    this.element.querySelector(".empty").hidden = visible.length > 0;
    for (const { panel, box } of this.views) {
      // A panel of which the chosen experiment or the like has no curve.
      if (panel) box.hidden = !this.offered().some((curve) => curve.panel === panel);
    }
    this.element.dataset.drawn = String(Number(this.element.dataset.drawn ?? 0) + 1);
    this.element.dispatchEvent(new CustomEvent("shown"));
  }

  showFindings() {
    const box = this.element.querySelector(".see"), lines = [...box?.querySelectorAll("li") ?? []];
    for (const line of lines.filter((each) => each.dataset.fields)) {
      line.hidden = Object.entries(JSON.parse(line.dataset.fields)).some(([field, value]) => this.chosenValues[field] !== value);
    }
    if (box) box.hidden = lines.every((line) => line.hidden);
  }

  csv() {
    const curves = this.visible(), heads = new Set(), names = new Set();
    const unlisted = new Set(["points", "id", "colour", "dash", "kind", "shape"]);
    for (const curve of curves) {
      Object.keys(curve).filter((name) => !unlisted.has(name)).forEach((name) => heads.add(name));
      Object.keys(curve.points).forEach((name) => names.add(name));
    }
    const cell = (value) => value === undefined || value === null ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
    const lines = curves.flatMap((curve) => Object.values(curve.points)[0].map((_, place) =>
      [curve.kind, ...[...heads].map((name) => curve[name]), ...[...names].map((name) => curve.points[name]?.[place])].map(cell).join(",")));
    return [["line", ...heads, ...names].join(","), ...lines, ""].join("\n");
  }

  async save(form) {
    if (form === "csv") return save(`${this.id}.csv`, new Blob([this.csv()], { type: "text/csv" }));
    for (const { panel, view } of this.views.filter(({ box }) => !box.hidden)) {
      const name = [this.id, panel].filter(Boolean).join("-").replaceAll(/[^\w.-]+/g, "_");
      const before = view.background();
      view.background(theme.paper());
      await view.runAsync();
      if (form === "svg") save(`${name}.svg`, new Blob([await view.toSVG()], { type: "image/svg+xml" }));
      else (await view.toCanvas(2)).toBlob((blob) => save(`${name}.png`, blob));
      await view.background(before).runAsync();
    }
  }
}

function save(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
