"use strict";
// Puts the page together; a chart is drawn when the reader comes near it.
const charts = Object.fromEntries(JSON.parse(document.getElementById("charts").textContent).map((given) => {
  const element = document.getElementById(given.id), chart = new Chart(element, given);
  makeControls(chart);
  makeRuns(chart);
  makeCursor(chart);
  element.querySelectorAll("[data-save]").forEach((button) => button.addEventListener("click", () => chart.save(button.dataset.save)));
  return [given.id, chart];
}));
const near = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    near.unobserve(target);
    charts[target.id].isReached = true;
    charts[target.id].draw();
  }
}, { rootMargin: "400px" });
Object.values(charts).forEach((chart) => near.observe(chart.element));
theme.onChange(() => Object.values(charts).forEach((chart) => chart.draw()));
// An image is in the page once, also for its download.
document.querySelectorAll("[data-image]").forEach((link) => { link.href = link.closest("figure").querySelector("img").src; });
document.querySelectorAll(".tables table").forEach(makeSortable);
// A link to a folded table opens it.
const reveal = () => { const target = document.getElementById(location.hash.slice(1)); if (target?.tagName === "DETAILS") target.open = true; };
addEventListener("hashchange", reveal);
reveal();
