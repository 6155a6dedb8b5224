"use strict";
// The points of a chart by the keyboard: arrow keys move a ring along a curve and between curves, words say what is there.
function makeCursor(chart) {
  const tips = chart.spec.layer.find((layer) => layer.encoding.tooltip).encoding.tooltip;
  for (const box of chart.element.querySelectorAll(".panel")) {
    const plot = box.querySelector(".plot"), words = box.querySelector(".reading");
    const ring = make("div", { className: "cursor", hidden: true });
    box.append(ring);
    let curve = 0, point = 0;
    const view = () => chart.views.find((each) => each.box === box)?.view;

    // The points that the pointer can reach, by curve.
    function curves() {
      const rows = chart.rows(box.dataset.panel).filter((row) => row.kind !== "band" && row.kind !== "reference" && row[chart.y.field] !== null);
      return [...Map.groupBy(rows, (row) => row.curve).values()];
    }

    function leave() { ring.hidden = words.hidden = true; }

    function place() {
      const found = curves(), drawn = view();
      if (!found.length || !drawn) return leave();
      curve = Math.min(Math.max(curve, 0), found.length - 1);
      point = Math.min(Math.max(point, 0), found[curve].length - 1);
      const row = found[curve][point], canvas = plot.querySelector("canvas").getBoundingClientRect(), outer = box.getBoundingClientRect();
      const [left, top] = drawn.origin().map((shift, place) => shift + drawn.padding()[["left", "top"][place]]);
      ring.style.left = `${canvas.left - outer.left + left + drawn.scale("x")(row[chart.horizontal])}px`;
      ring.style.top = `${canvas.top - outer.top + top + drawn.scale("y")(row[chart.y.field])}px`;
      const titles = { [chart.x.field]: chart.x.title, ...chart.x.others };
      const coordinates = [chart.horizontal, chart.y.field], others = tips.map((tip) => tip.field).filter((name) => !coordinates.includes(name));
      const title = (name) => titles[name] ?? tips.find((tip) => tip.field === name)?.title ?? name;
      words.textContent = [...coordinates, ...others].filter((name) => row[name] !== undefined && row[name] !== null)
        .map((name) => `${title(name)} ${typeof row[name] === "number" ? row[name].toLocaleString("en", { maximumSignificantDigits: 5 }) : row[name]}`).join(", ");
      ring.hidden = words.hidden = false;
    }

    // To another curve, at the point that is nearest along the axis.
    function turn(by) {
      const found = curves(), from = found[curve]?.[point]?.[chart.horizontal];
      curve = Math.min(Math.max(curve + by, 0), found.length - 1);
      const away = (found[curve] ?? []).map((row) => Math.abs(row[chart.horizontal] - from));
      point = Math.max(away.indexOf(Math.min(...away)), 0);
    }

    const moves = {
      ArrowRight: () => { point += ring.hidden ? 0 : 1; }, ArrowLeft: () => { point -= 1; },
      ArrowDown: () => turn(ring.hidden ? 0 : 1), ArrowUp: () => turn(-1),
      Home: () => { point = 0; }, End: () => { point = Infinity; },
    };
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return leave();
      if (!moves[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      moves[event.key]();
      place();
    });
    plot.addEventListener("blur", leave);
    chart.element.addEventListener("shown", () => { if (!ring.hidden) place(); });
    addEventListener("resize", leave);
  }
}
