// The table of all runs: words, states and numbers select, a column sorts, and the address holds all of it.
"use strict";

const PAGE = 100;
const COLUMNS = { parameters: 3, metrics: 4 };
const CHOICES = ["status", "notebook", "env", "engine"];

samebook.pages.runs = (place) => {
  const options = { q: place.one("q"), sort: place.one("sort"), page: place.one("page") };
  for (const name of CHOICES) options[name] = place.one(name);
  const go = (changes) => (location.hash = address("runs", "", { ...options, page: "", ...changes }));
  const found = sorted(selected(options), options.sort);
  const shown = columns(found);
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  const page = Math.min(Math.max(1, Math.floor(Number(options.page)) || 1), pages);
  say(`${plural(found.length, "run")} of ${runs().length.toLocaleString("en")}`);
  const rows = found.slice((page - 1) * PAGE, page * PAGE);
  return [
    h("div", { class: "title" }, h("h1", null, "Runs"), h("p", null, counted(found))),
    activity(found),
    filters(options, go),
    rows.length ? runTable(rows, shown, options, go) : h("p", { class: "empty" }, runs().length ? "No run is like this." : "Nothing has run yet: make run NOTEBOOK=train"),
    pager(page, pages, go),
    tray(),
  ];
};

function counted(found) {
  const bad = ["failed", "damaged"].map((state) => [found.filter((run) => run.status === state).length, state]);
  return [`${plural(found.length, "run")} of ${runs().length.toLocaleString("en")}`, ...bad.filter(([count]) => count).map(([count, state]) => `, ${count.toLocaleString("en")} ${state}`)];
}

function filters(options, go) {
  const search = h("input", { type: "search", id: "q", value: options.q, placeholder: "train auc>0.75 max_depth=5", spellcheck: "false", autocomplete: "off" });
  const form = h("form", { class: "filters", role: "search", onsubmit: (event) => (event.preventDefault(), go({ q: search.value.trim() })) });
  const choices = CHOICES.map((name) => {
    const values = [...new Set(runs().map((run) => run[name]))].filter(Boolean).sort();
    if (values.length < 2 && !options[name]) return null;
    const entries = ["", ...new Set([...values, options[name]].filter(Boolean))].map((value) => h("option", { value, selected: value === options[name] }, value || `any ${name}`));
    return h("select", { id: name, "aria-label": name, onchange: (event) => go({ [name]: event.target.value }) }, entries);
  });
  form.append(h("label", { for: "q" }, "Find"), search, h("button", { type: "submit" }, "Find"));
  for (const choice of choices) if (choice) form.append(choice);
  if (["q", ...CHOICES].some((name) => options[name])) form.append(h("a", { href: "#/runs" }, "Show all"));
  return [form, h("p", { class: "hint" }, "Words of a run's id, notebook, parameters, commit or error; numbers as ", h("code", null, "auc>0.75"), ", parameters as ", h("code", null, "max_depth=5"), ".")];
}

// Words must all be there; `name<0.5` and the like compare a metric, a parameter or the seconds.
function selected(options) {
  const tests = options.q.split(/\s+/).filter(Boolean).map(condition);
  return runs().filter((run) => CHOICES.every((name) => !options[name] || run[name] === options[name]) && tests.every((test) => test(run)));
}

function condition(word) {
  const match = /^([\w.-]+)(<=|>=|!=|=|<|>)(.+)$/.exec(word);
  if (!match) {
    const lower = word.toLowerCase();
    return (run) => (run.searched ||= [run.id, run.notebook, run.commit, run.error, ...Object.entries(run.parameters).map(([name, value]) => `${name}=${text(value)}`)].join(" ").toLowerCase()).includes(lower);
  }
  const [, name, sign, wanted] = match;
  return (run) => {
    const value = valueOf(run, name);
    if (value === undefined) return false;
    if (sign === "=" || sign === "!=") return (text(value) === wanted || (typeof value === "number" && value === Number(wanted))) === (sign === "=");
    const [a, b] = typeof value === "number" ? [value, Number(wanted)] : [text(value), wanted];
    return { "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b }[sign];
  };
}

function valueOf(run, name) {
  for (const values of [run.metrics, run.parameters]) if (Object.hasOwn(values, name)) return values[name];
  return { seconds: run.seconds, started: run.start, id: run.id, notebook: run.notebook, status: run.status }[name] ?? undefined;
}

function sorted(found, sort) {
  const name = sort.replace(/^-/, "");
  if (!name) return found;
  const sign = sort.startsWith("-") ? -1 : 1;
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : text(a).localeCompare(text(b), "en", { numeric: true }));
  const [there, missing] = [[], []];
  for (const run of found) (valueOf(run, name) === undefined ? missing : there).push(run);
  return [...there.sort((a, b) => sign * order(valueOf(a, name), valueOf(b, name))), ...missing];
}

// The parameters that differ between these runs, and the metrics that most of them have.
function columns(found) {
  const [values, given, counts] = [new Map(), new Map(), new Map()];
  for (const run of found) {
    for (const [name, value] of Object.entries(run.parameters)) {
      values.set(name, (values.get(name) || new Set()).add(text(value)));
      given.set(name, (given.get(name) || 0) + 1);
    }
    for (const name of Object.keys(run.metrics)) counts.set(name, (counts.get(name) || 0) + 1);
  }
  const varying = [...given].filter(([name]) => values.get(name).size > 1).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const metrics = [...counts].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  return { parameters: varying.slice(0, COLUMNS.parameters), metrics: metrics.slice(0, COLUMNS.metrics) };
}

function runTable(rows, shown, options, go) {
  const heading = (name, label, numeric) => {
    const order = options.sort === name ? "ascending" : options.sort === `-${name}` ? "descending" : null;
    const next = order === "descending" ? name : order === "ascending" ? "" : `-${name}`;
    const sign = { ascending: " ↑", descending: " ↓" }[order] || "";
    return h("th", { scope: "col", "aria-sort": order, class: numeric ? "number" : null }, h("button", { type: "button", class: "sort", onclick: () => go({ sort: next }) }, label, h("span", { "aria-hidden": "true" }, sign)));
  };
  const [metrics, parameters] = [shown.metrics, shown.parameters];
  const ranges = Object.fromEntries(metrics.map((name) => [name, range(rows.map((run) => run.metrics[name]))]));
  const head = h("tr", null, h("th", { scope: "col" }, h("span", { class: "unseen" }, "Choose")), heading("started", "run"), heading("status", "state"), heading("seconds", "took", true), parameters.map((name) => heading(name, name)), metrics.map((name) => heading(name, name, true)), h("th", { scope: "col" }, "reproduced"));
  const body = rows.map((run) => h("tr", { class: run.status }, h("td", null, choice(run)), h("th", { scope: "row" }, link(run.id, [h("strong", null, run.notebook), h("small", null, when(run.start) || run.id, run.dirty ? " · uncommitted changes" : "")]), run.error ? h("small", { class: "error" }, run.error) : null), h("td", null, badge(run.status)), h("td", { class: "number" }, took(run.seconds)), parameters.map((name) => h("td", { class: text(run.parameters[name]).length < 20 ? "whole" : null }, text(run.parameters[name]))), metrics.map((name) => metric(run.metrics[name], ranges[name])), h("td", null, run.verdicts.map(badge))));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Runs" }, h("table", { class: "runs" }, h("caption", { class: "unseen" }, "Runs"), h("thead", null, head), h("tbody", null, body)));
}

function range(values) {
  const numbers = values.filter((value) => typeof value === "number" && Number.isFinite(value));
  return numbers.length > 1 ? [Math.min(...numbers), Math.max(...numbers)] : [0, 0];
}

// A number, over a bar of its place between the least and the most of the page.
function metric(value, [low, high]) {
  const share = typeof value === "number" && high > low ? (value - low) / (high - low) : null;
  return h("td", { class: "number metric" }, share === null ? null : bar(share), h("span", null, number(value)));
}

const bar = (share) => svg("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: 100, height: 4, class: "track" }), svg("rect", { width: Math.max(1, 100 * share), height: 4 }));

function choice(run) {
  const name = `Compare ${run.notebook} of ${when(run.start) || run.id}`;
  return h("input", { type: "checkbox", "aria-label": name, checked: samebook.kept.has(run.id), onchange: (event) => {
    samebook.kept[event.target.checked ? "add" : "delete"](run.id);
    document.querySelector(".tray").replaceWith(tray());
    say(`${plural(samebook.kept.size, "run")} chosen`);
  } });
}

function tray() {
  const chosen = [...samebook.kept].filter(runOf);
  const clear = () => {
    samebook.kept.clear();
    for (const box of document.querySelectorAll("table.runs input")) box.checked = false;
    document.querySelector(".tray").replaceWith(tray());
  };
  if (!chosen.length) return h("div", { class: "tray", hidden: true });
  const words = chosen.length < 2 ? h("span", null, "1 run chosen: choose another one to compare") : h("a", { class: "button", href: address("compare", "", { run: chosen }) }, `Compare ${chosen.length} runs`);
  return h("div", { class: "tray", role: "group", "aria-label": "Chosen runs" }, words, h("button", { type: "button", onclick: clear }, "Clear"));
}

function pager(page, pages, go) {
  if (pages < 2) return null;
  const step = (to, label) => h("button", { type: "button", disabled: to < 1 || to > pages, onclick: () => go({ page: to }) }, label);
  return h("nav", { class: "pager", "aria-label": "Parts of the table" }, step(1, "First"), step(page - 1, "Previous"), h("span", null, `${page} of ${pages}`), step(page + 1, "Next"), step(pages, "Last"));
}
