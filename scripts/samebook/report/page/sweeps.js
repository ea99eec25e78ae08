// Sweeps: the table of the sets, which a column sorts, and parallel coordinates.
"use strict";

const SHOWN_SETS = 500;

samebook.pages.sweeps = (place) => {
  const sweeps = samebook.data.sweeps;
  if (!sweeps.length) return [h("h1", null, "Sweeps"), h("p", { class: "empty" }, "No sweep has run: ", h("code", null, 'make sweep NOTEBOOK=train GRID="max_depth=3,5"'))];
  const sweep = sweeps.find((one) => one.name === place.name) || (sweeps.length === 1 || place.name === "" ? sweeps[0] : null);
  if (!sweep) return [h("h1", null, "No such sweep"), h("p", null, h("a", { href: "#/sweeps" }, "All sweeps"))];
  const choice = sweeps.length > 1 ? h("select", { "aria-label": "sweep", onchange: (event) => (location.hash = address("sweeps", event.target.value)) }, sweeps.map((other) => h("option", { value: other.name, selected: other === sweep }, other.name))) : null;
  const title = h("div", { class: "title" }, h("h1", null, "Sweep"), choice, h("p", null, h("code", null, sweep.name)));
  if (sweep.error) return [title, h("p", { class: "error" }, sweep.error)];
  return [title, ...shownSweep(sweep, place)];
};

// The columns before `run` are parameters and metrics. What a run's receipt says goes before what the table says.
function shownSweep(sweep, place) {
  const rows = sweep.rows.map((row) => ({ values: row.slice(0, sweep.run), id: row[sweep.run], error: row[sweep.run + 1] || "", run: runOf(row[sweep.run]) }));
  const sample = rows.find((row) => row.run && row.run.status === "done");
  const metrics = sweep.header.slice(0, sweep.run).filter((name) => sample && Object.hasOwn(sample.run.metrics, name) && !Object.hasOwn(sample.run.parameters, name));
  const parameters = sweep.header.slice(0, sweep.run).filter((name) => !metrics.includes(name));
  const cell = (row, name) => (row.run && metrics.includes(name) ? (Object.hasOwn(row.run.metrics, name) ? String(row.run.metrics[name]) : "") : row.values[sweep.header.indexOf(name)]);
  const metric = metrics.includes(place.one("metric")) ? place.one("metric") : metrics[0];
  const scored = rows.filter((row) => metric && cell(row, metric) !== "");
  const varying = parameters.filter((name) => new Set(rows.map((row) => cell(row, name))).size > 1);
  const names = [...varying, ...(metric ? [metric] : [])];
  const title = (row) => names.map((name) => `${name} ${number(Number.isFinite(Number(cell(row, name))) && cell(row, name) !== "" ? Number(cell(row, name)) : cell(row, name))}`).join(", ");
  const lines = scored.slice(0, SHOWN_SETS).map((row) => ({ values: names.map((name) => cell(row, name)), title: title(row), href: row.run ? address("run", row.id) : "" }));
  const choose = metrics.length > 1 ? h("label", null, "Metric ", h("select", { onchange: (event) => (location.hash = address("sweeps", sweep.name, { metric: event.target.value })) }, metrics.map((name) => h("option", { value: name, selected: name === metric }, name)))) : null;
  const ordered = metrics.filter((name) => name === metric).concat(metrics.filter((name) => name !== metric));
  const failed = rows.filter((row) => row.error).length;
  return [
    h("p", null, plural(rows.length, "set"), failed ? `, ${failed} failed` : "", ". ", choose),
    names.length > 1 && lines.length ? card("Parallel coordinates", h("p", { class: "hint" }, "A line for each set; the strong one is the first of the table, the best by the sweep's own metric."), parallel(`${metric} of each set`, names, lines, lines[0])) : null,
    card("Sets", table("Sets", ["run", ...parameters, ...ordered, ...(failed ? ["error"] : [])], rows.slice(0, SHOWN_SETS).map((row) => [link(row.id, row.id.slice(-6) || "none"), ...parameters.map((name) => cell(row, name)), ...ordered.map((name) => number(cell(row, name) === "" ? "" : Number(cell(row, name)))), ...(failed ? [h("span", { class: "error" }, row.error)] : [])]), { right: metrics.map((_, i) => 1 + parameters.length + i) }), rows.length > SHOWN_SETS ? h("p", { class: "hint" }, `and ${plural(rows.length - SHOWN_SETS, "set")} more: sweep.csv has all`) : null),
  ];
}
