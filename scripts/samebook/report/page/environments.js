// The environments that runs had, and what differs between two of them.
"use strict";

samebook.pages.environments = async (place) => {
  const found = new Map();
  for (const run of runs()) {
    if (!run.environment) continue;
    const one = found.get(run.environment) || { digest: run.environment, runs: 0, last: run.start, first: run.start, engines: new Set() };
    one.runs += 1;
    one.first = Math.min(one.first, run.start);
    one.last = Math.max(one.last, run.start);
    one.engines.add(run.engine);
    found.set(run.environment, one);
  }
  const all = [...found.values()].sort((a, b) => b.last - a.last);
  if (!all.length) return [h("h1", null, "Environments"), h("p", { class: "empty" }, "No run has left a receipt yet.")];
  const wanted = place.all("of").filter((digest) => found.has(digest));
  const [first, second] = [wanted[0] || (all[1] || all[0]).digest, wanted[1] || (wanted[0] && wanted[0] !== all[0].digest ? all[0].digest : wanted[0] ? (all[1] || all[0]).digest : all[0].digest)];
  const go = (a, b) => (location.hash = address("environments", "", { of: [a, b] }));
  const choose = (label, chosen, change) => h("select", { "aria-label": label, onchange: (event) => change(event.target.value) }, all.map((one) => h("option", { value: one.digest, selected: one.digest === chosen }, `${one.digest.slice(0, 12)} until ${when(one.last)}`)));
  const rows = all.map((one) => [h("a", { href: address("environments", "", { of: one.digest }) }, h("code", { title: one.digest }, one.digest.slice(0, 12))), one.runs.toLocaleString("en"), [...one.engines].join(", "), when(one.first), when(one.last)]);
  return [
    h("div", { class: "title" }, h("h1", null, "Environments"), h("p", null, `${plural(all.length, "environment")}: a digest of the Python and of each package, by hash`)),
    card("All", table("Environments", ["environment", "runs", "engine", "first run (UTC)", "last run"], rows, { right: [1] })),
    card(all.length > 1 ? "What differs" : "Its packages", all.length > 1 ? [h("p", { class: "filters" }, choose("first environment", first, (value) => go(value, second)), " and ", choose("second environment", second, (value) => go(first, value))), await packagesOf(first, second)] : await packagesOf(first, first)),
  ];
};

async function packagesOf(first, second) {
  const [before, after] = await Promise.all([first, second].map((digest) => samebook.load(`environments/${digest}`)));
  if (!before || !after) return h("p", { class: "error" }, "The packages of one of them are not here.");
  const [old, now] = [before, after].map((one) => ({ Python: one.python, ...one.packages }));
  if (first === second) return table("Packages", ["package", "version"], Object.entries(now));
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((name) => old[name] !== now[name]);
  if (!names.length) return h("p", null, "The same versions: a wheel of one of them has another hash, or is built here.");
  return table("What differs", ["package", first.slice(0, 12), second.slice(0, 12)], names.map((name) => [name, old[name] || "none", now[name] || "none"]));
}
