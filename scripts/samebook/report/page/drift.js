// Drift and quality by day, as the monitoring runs have found them: a strip of verdicts, lines, and the day's findings.
"use strict";

samebook.pages.drift = (place) => {
  const models = samebook.data.drift;
  const names = Object.keys(models);
  if (!names.length) return [h("h1", null, "Drift"), h("p", { class: "empty" }, "No run has left ", h("code", null, "outputs/drift.json"), ": ", h("code", null, "make run NOTEBOOK=monitor"))];
  const name = names.includes(place.name) ? place.name : names[0];
  const days = models[name];
  const day = days.find((one) => one.day === place.one("day")) || days.at(-1);
  const choice = names.length > 1 ? h("select", { "aria-label": "model", onchange: (event) => (location.hash = address("drift", event.target.value)) }, names.map((other) => h("option", { value: other, selected: other === name }, other))) : null;
  return [
    h("div", { class: "title" }, h("h1", null, `Drift of ${name}`), choice, h("p", null, summaryOf(days))),
    card("Verdicts by day", strip(name, days, day)),
    card("Drift and quality", h("div", { class: "charts" }, driftChart(name, days), qualityCharts(name, days))),
    card(`What was found on ${day.day}`, h("p", null, badge(day.verdict), " by ", link(day.run), day.others.map(([id, verdict]) => ["; before that ", badge(verdict), " by ", link(id)])), findings(day)),
  ];
};

function summaryOf(days) {
  const counts = ["alarm", "warn", "ok"].map((verdict) => [days.filter((one) => one.verdict === verdict).length, verdict]);
  return `${plural(days.length, "day")} monitored: ${counts.filter(([count]) => count).map(([count, verdict]) => `${count} ${verdict}`).join(", ")}`;
}

const strip = (name, days, chosen) => h("ol", { class: "strip" }, days.map((one) => h("li", null, h("a", { href: address("drift", name, { day: one.day }), class: (SIGNS[one.verdict] || ["plain"])[0], "aria-current": one === chosen ? "true" : null, title: `${one.day}: ${one.verdict}`, "aria-label": `${one.day}: ${one.verdict}, ${one.counts.warn} warnings, ${one.counts.alarm} alarms` }, h("span", { "aria-hidden": "true" }, (SIGNS[one.verdict] || ["", "·"])[1]), h("small", null, one.day.slice(5))))));

// Of each day the largest value as a share of what warns: 1 is a warning.
function driftChart(name, days) {
  const largest = days.map((one) => Math.max(...one.findings.filter((row) => row[0] !== "quality").map((row) => row[8]), 0));
  const titles = days.map((one) => `${one.day}, ${(one.findings[0] || ["", "nothing"])[1]}`);
  return lineChart("Largest drift, as a share of what warns", days.map((one) => one.day.slice(5)), [{ name: "largest drift", values: largest, limit: 1, titles, links: days.map((one) => address("drift", name, { day: one.day })), classes: days.map((one) => (SIGNS[one.verdict] || [""])[0]) }], { of: "day" });
}

function qualityCharts(name, days) {
  const metrics = [...new Set(days.flatMap((one) => Object.keys(one.metrics)))];
  return metrics.map((metric) => lineChart(metric, days.map((one) => one.day.slice(5)), [{ name: metric, values: days.map((one) => one.metrics[metric]), titles: days.map((one) => one.day), links: days.map((one) => address("drift", name, { day: one.day })) }], { of: "day" }));
}

function findings(day) {
  const rows = day.findings.map(([kind, what, span, value, warn, alarm, verdict, detail]) => [what, kind, span, number(value), number(warn), number(alarm), badge(verdict), detail]);
  return [table(`Findings of ${day.day}`, ["what", "kind", "over", "value", "warns above", "alarms above", "verdict", "detail"], rows, { right: [3, 4, 5] }), day.hidden ? h("p", { class: "hint" }, `and ${plural(day.hidden, "finding")} further from a warning, in the run`) : null];
}
