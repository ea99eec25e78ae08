// Chosen runs side by side: parameters, metrics, results by hash, packages, plots, and the cells of two of them.
"use strict";

const MOST = 12;

samebook.pages.compare = async (place) => {
  const wanted = [...new Set(place.all("run"))];
  const there = wanted.filter((id) => runOf(id)).slice(0, MOST);
  const missing = wanted.filter((id) => !runOf(id));
  const lost = missing.length ? h("p", { class: "error" }, `Not in this report: ${missing.join(", ")}`) : null;
  if (there.length < 2) return [h("h1", null, "Compare"), lost, h("p", null, "Choose two runs or more in ", h("a", { href: "#/runs" }, "the table"), ".")];
  const details = await Promise.all(there.map(detailOf));
  const found = there.map((id, i) => ({ run: runOf(id), detail: details[i] })).filter((side) => side.detail);
  const all = place.one("all") === "1";
  const toggle = h("label", { class: "toggle" }, h("input", { type: "checkbox", checked: all, onchange: (event) => (location.hash = address("compare", "", { run: wanted, all: event.target.checked ? "1" : "" })) }), " what is equal, too");
  const broken = found.filter((side) => side.run.status !== "done");
  return [
    h("div", { class: "title" }, h("h1", null, `Compare ${plural(found.length, "run")}`), toggle),
    lost,
    wanted.length > missing.length + MOST ? h("p", { class: "error" }, `Only the first ${MOST} are shown.`) : null,
    broken.map((side) => h("p", { class: "error" }, badge(side.run.status), ` ${side.run.id}: ${side.run.error}`)),
    sections(found, await environmentsOf(found), all),
    plotsOf(found),
    await cellsOf(found, place, wanted),
  ];
};

const environmentsOf = (found) => Promise.all(found.map((side) => (side.run.environment ? samebook.load(`environments/${side.run.environment}`) : null)));

function sections(found, environments, all) {
  const values = (get) => found.map((side, i) => get(side, i) || {});
  const results = (side) => Object.fromEntries((side.detail.subjects || []).map(([name, digest]) => [name, digest]));
  const run = ({ run: { status, env, engine, commit, dirty }, detail }) => ({ status, env, engine, commit: commit.slice(0, 12), "uncommitted changes": dirty ? "yes" : "", platform: detail.platform, processor: detail.processor, numerics: detail.numerics, threads: (detail.threads || []).join(", "), lock: (detail.lock || "").slice(0, 12) });
  return h("div", null,
    side("Parameters", found, values((one) => one.detail.parameters), all, text, "default"),
    side("Metrics", found, values((one) => one.detail.metrics), true, number, "", true),
    side("Results", found, values(results), all, (digest) => short(digest), "none"),
    side("The runs", found, values(run), all, text, ""),
    side("Inputs", found, values((one) => Object.fromEntries((one.detail.inputs || []).map(([name, digest, days, maker]) => [name, digest.slice(0, 12) || `${plural(days, "day")}${maker ? ` of ${maker}` : ""}`]))), all, text, "not read"),
    side("Packages", found, values((_, i) => environments[i] && { Python: environments[i].python, ...environments[i].packages }), all, text, "none"));
}

// A table with a row for each name, and a column for each run; rows whose values are all equal only where `all` says.
function side(title, found, values, all, shown, none, isNumber) {
  const names = [...new Set(values.flatMap((one) => Object.keys(one)))];
  const differs = (name) => new Set(values.map((one) => text(one[name]))).size > 1;
  const rows = names.filter((name) => all || differs(name)).map((name) => ({
    attributes: { class: differs(name) ? "differs" : null },
    cells: [name, ...values.map((one, i) => (one[name] === undefined || one[name] === "" ? h("span", { class: "gone" }, none) : [shown(one[name]), isNumber && i ? change(values[0][name], one[name]) : null]))],
  }));
  if (!names.length) return null;
  const titles = [h("span", { class: "unseen" }, "name"), ...found.map((one) => nameOf(one.run))];
  return card(title, rows.length ? table(title, titles, rows, { right: isNumber ? titles.map((_, i) => i).slice(1) : [] }) : h("p", { class: "equal" }, `✓ ${names.length === 1 ? "it is" : `all ${names.length} are`} equal`));
}

const nameOf = (run) => [link(run.id, `${run.notebook} ${run.id.slice(-6)}`), h("br"), h("small", null, when(run.start))];

function change(first, value) {
  if (typeof first !== "number" || typeof value !== "number" || first === value) return null;
  return h("small", { class: "change" }, ` ${value > first ? "+" : "−"}${number(Math.abs(value - first))}`);
}

function plotsOf(found) {
  const names = [...new Set(found.flatMap((side) => (side.detail.plots || []).map(([name]) => name)))];
  if (!names.length) return null;
  const cell = (side, name) => {
    const file = ((side.detail.plots || []).find(([other]) => other === name) || [])[1];
    return h("figure", null, file ? h("a", { href: file }, h("img", { src: file, alt: `${name} of ${side.run.id}`, loading: "lazy" })) : h("p", { class: "gone" }, "none"), h("figcaption", null, side.run.id));
  };
  const same = (name) => new Set(found.map((side) => ((side.detail.plots || []).find(([other]) => other === name) || [])[1])).size === 1;
  return card("Plots", names.map((name) => h("div", null, h("h3", null, name, same(name) ? h("small", null, " the same bytes") : null), h("div", { class: "plots" }, same(name) ? cell(found[0], name) : found.map((side) => cell(side, name))))));
}

async function cellsOf(found, place, wanted) {
  const [first, second] = [found[0], found.find((side) => side.run.id === place.one("with")) || found[1]];
  if (!first || !second || !first.detail.cells || !second.detail.cells) return null;
  const [before, after] = await Promise.all([first, second].map((side) => samebook.load(`cells/${side.detail.cells}`)));
  if (!before || !after) return null;
  const choose = found.length > 2 ? h("select", { "aria-label": "Compare the first run's cells with", onchange: (event) => (location.hash = address("compare", "", { run: wanted, with: event.target.value })) }, found.slice(1).map((side) => h("option", { value: side.run.id, selected: side === second }, side.run.id))) : null;
  const changes = cellChanges(before, after);
  return card("Cells", h("p", { class: "hint" }, first.run.id, " and ", choose || second.run.id), changes.length ? changes : h("p", { class: "equal" }, "✓ all cells are equal, and show the same"));
}
