"use strict";
// Light and dark: the system's, until the reader chooses; and the same for the charts.
const theme = (() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)"), listeners = [];
  let own = null;
  try { own = localStorage.getItem("metalqr-theme"); } catch { /* not for every file:// page */ }
  const current = () => own ?? (system.matches ? "dark" : "light");
  const apply = () => {
    root.dataset.theme = current();
    button.setAttribute("aria-pressed", String(current() === "dark"));
    listeners.forEach((listener) => listener());
  };
  button.addEventListener("click", () => {
    own = current() === "dark" ? "light" : "dark";
    try { localStorage.setItem("metalqr-theme", own); } catch { /* as above */ }
    apply();
  });
  system.addEventListener("change", apply);
  const value = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const config = () => {
    const ink = value("--ink"), soft = value("--soft"), line = value("--line");
    const axis = { labelColor: ink, titleColor: ink, gridColor: line, gridOpacity: 0.5, domainColor: soft, tickColor: soft };
    return {
      background: null, font: "system-ui, 'DejaVu Sans', sans-serif", view: { stroke: null },
      axis: { ...axis, labelFontSize: 12, titleFontSize: 12.5, titleFontWeight: "normal", labelOverlap: true, titlePadding: 8 },
      // Few labels, so that they stay apart on a narrow screen.
      axisX: { tickCount: { signal: "ceil(width / 90)" } },
    };
  };
  apply();
  return { config, current, ink: () => value("--ink"), paper: () => value("--card"), onChange: (listener) => listeners.push(listener) };
})();
