// The page of one run: what it was given, what came out, where it came from, and who got the same.
"use strict";

samebook.pages.run = async (place) => {
  const run = runOf(place.name);
  if (!run) return gone(place.name);
  const detail = await detailOf(run.id);
  if (!detail) return [h("h1", null, run.notebook), h("p", { class: "error" }, "The data of this run are not here. make report makes them again.")];
  const kept = samebook.kept.has(run.id);
  const choose = h("button", { type: "button", "aria-pressed": String(kept), onclick: (event) => {
    samebook.kept[samebook.kept.has(run.id) ? "delete" : "add"](run.id);
    event.target.setAttribute("aria-pressed", String(samebook.kept.has(run.id)));
    say(`${plural(samebook.kept.size, "run")} chosen to compare`);
  } }, "Choose to compare");
  const others = [...samebook.kept].filter((id) => id !== run.id && runOf(id));
  const compare = others.length ? h("a", { class: "button", href: address("compare", "", { run: [...others, run.id] }) }, `Compare with ${others.length} chosen`) : null;
  const page = detail.folder ? h("a", { href: `${samebook.data.index.runs}/${encoded(detail.folder)}/notebook.html`, rel: "noreferrer" }, "The executed notebook") : null;
  return [
    h("div", { class: "title" }, h("h1", null, run.notebook), badge(run.status), h("p", null, h("code", null, run.id))),
    h("p", { class: "actions" }, choose, compare, previous(run), page),
    run.status === "done" ? done(run, detail) : broken(run, detail),
  ];
};

const gone = (id) => [h("h1", null, "No such run"), h("p", null, h("code", null, id), " is not in this report. It may have been removed since the address was written."), h("p", null, h("a", { href: "#/runs" }, "All runs"))];

function broken(run, detail) {
  const words = run.status === "failed" ? "It failed, and left no receipt and no result." : "It is damaged: nothing of it is shown, as nobody can say that it is what ran.";
  return card(run.status === "failed" ? "Error" : "What is wrong", h("p", null, words), h("pre", { class: "error", tabindex: "0" }, detail.error));
}

// The run of the same notebook before this one, to compare with.
function previous(run) {
  const same = runs().filter((other) => other.notebook === run.notebook && other.status === "done" && other.start < run.start);
  return run.status === "done" && same.length ? h("a", { href: address("compare", "", { run: [same[0].id, run.id] }) }, "Compare with the one before") : null;
}

function done(run, detail) {
  const pairs = (values) => Object.entries(values).map(([name, value]) => [name, number(value)]);
  const metrics = pairs(detail.metrics);
  return [
    h("div", { class: "grid" },
      card("Metrics", metrics.length ? table("Metrics", ["metric", "value"], metrics, { right: [1] }) : h("p", null, "It has logged none.")),
      h("div", { class: "stack" },
        card("Parameters", pairs(detail.parameters).length ? table("Parameters", ["parameter", "value"], pairs(detail.parameters)) : h("p", null, "The notebook's defaults.")),
        card("Reproduced", reproduced(detail))),
      card("The run", runFacts(run, detail))),
    detail.plots.length ? card("Plots", h("div", { class: "plots" }, detail.plots.map(([name, file]) => plot(name, file)))) : null,
    card("Results", table("Results", ["file", "sha256", "checked"], detail.subjects.map(([name, digest, state]) => [name, short(digest), state || "✓ the hash holds"]))),
    card("Comes from", h("p", null, h("a", { href: address("lineage", run.id) }, "As a graph")), origins(detail)),
  ];
}

const plot = (name, file) => h("figure", null, h("a", { href: file }, h("img", { src: file, alt: `${name}, a plot`, loading: "lazy" })), h("figcaption", null, name));

function runFacts(run, detail) {
  const dirty = run.dirty ? h("strong", null, " with uncommitted changes") : null;
  return facts([
    ["started", detail.started], ["took", took(run.seconds)], ["env", run.env],
    ["commit", run.commit ? [short(run.commit), dirty] : "outside a repository"],
    ["environment", run.environment ? h("a", { href: address("environments", "", { of: run.environment }) }, run.environment.slice(0, 12)) : ""],
    ["lock", short(detail.lock)], ["engine", run.engine], ["platform", detail.platform], ["processor", detail.processor],
    ["numerics", detail.numerics], ["threads", detail.threads.join(", ")], ["builder", h("span", null, detail.builder, " (its own word)")],
    ["signature", signature(detail.signature)],
  ]);
}

const signature = ([names, problem]) => (names.length ? h("span", { class: "good" }, `✓ signed by ${names.join(", ")}`) : h("span", null, problem));

function reproduced(detail) {
  if (!detail.reproductions.length) return h("p", null, "By nobody yet: ", h("code", null, `make reproduce RUN=${detail.id}`));
  return detail.reproductions.map((one) => [
    h("p", null, badge(one.verdict), ` ${one.finished} on ${one.engine}, ${one.platform}`),
    facts([["builder", h("span", null, one.builder, " (its own word)")], ["signature", signature(one.signature)]]),
    one.verdict === "IDENTICAL" ? null : table("Verdicts", ["result", "verdict", "what differs"], one.subjects.map(([name, verdict, words]) => [name, badge(verdict), words])),
  ]);
}

function origins(detail) {
  const rows = detail.inputs.map(([name, digest, days, maker, lost]) => [name, days > 1 ? plural(days, "day") : short(digest), maker ? link(maker) : "made by no run that is known", lost]);
  for (const [name, digest] of detail.undeclared) rows.push([name, short(digest), "", "undeclared: read around the API"]);
  return rows.length ? table("Inputs", ["input", "sha256", "made by", "note"], rows) : h("p", null, "It has read nothing but its own code.");
}
