// What all pages share: data that come as scripts, elements, numbers and times as text, addresses behind the #.
"use strict";

// Without a prototype, as a name from elsewhere may be "constructor".
const samebook = { data: {}, pages: { __proto__: null }, waiting: {}, kept: new Set() };

// A script of data/ calls this.
samebook.add = (name, value) => {
  samebook.data[name] = value;
  for (const resolve of samebook.waiting[name] || []) resolve(value);
  delete samebook.waiting[name];
};

// The data of data/<name>.js, which is loaded once; null where there is no such file.
samebook.load = (name) => {
  if (name in samebook.data) return Promise.resolve(samebook.data[name]);
  return new Promise((resolve) => {
    const others = (samebook.waiting[name] ||= []);
    others.push(resolve);
    if (others.length > 1) return;
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onerror = () => samebook.add(name, null);
    script.onload = () => script.remove();
    document.head.append(script);
  });
};

// An element. Texts become text nodes: no name of a run, however it is written, is ever read as markup.
const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : visible(String(child)));
  }
  return element;
}

// Characters that turn writing around, or that nobody sees, as their codes.
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const visible = (text) => text.replace(ACTING, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

// The runs as objects, newest first, and by their id.
function runs() {
  if (!samebook.runs) {
    const { columns, rows } = samebook.data.index;
    samebook.runs = rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
    samebook.byId = new Map(samebook.runs.map((run) => [run.id, run]));
  }
  return samebook.runs;
}
const runOf = (id) => runs() && samebook.byId.get(id);
const detailOf = async (id) => (runOf(id) ? samebook.load(`runs/${runOf(id).file}`) : null);

// An address: a page, what it is about, and what was chosen there.
const encoded = (text) => encodeURIComponent(String(text).replace(/[\ud800-\udfff]/g, "?"));
function address(page, name, options) {
  const pairs = Object.entries(options || {}).flatMap(([key, value]) => [value].flat().map((one) => [key, one]));
  const given = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  const query = given.map((pair) => pair.map(encoded).join("=")).join("&");
  return `#/${page}${name ? `/${encoded(name)}` : ""}${query ? `?${query}` : ""}`;
}
function parsed(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [page, name] = path.split("/").map(decoded);
  const options = new Map();
  for (const pair of (query || "").split("&").filter(Boolean)) {
    const [, key, value] = /^([^=]*)=?(.*)$/s.exec(pair).map(decoded);
    options.set(key, [...(options.get(key) || []), value || ""]);
  }
  return { page: page || "runs", name: name || "", all: (key) => options.get(key) || [], one: (key) => (options.get(key) || [""])[0] };
}
function decoded(text) {
  try {
    return decodeURIComponent(text || "");
  } catch {
    return text;
  }
}

const link = (id, text) => (runOf(id) ? h("a", { href: address("run", id) }, text || id) : h("span", { class: "gone", title: "its run is not here" }, text || id || "unknown"));
const short = (digest) => (digest ? h("code", { title: digest }, digest.slice(0, 12)) : "");
const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : text(value));
const text = (value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const when = (seconds) => (typeof seconds === "number" ? new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") : "");
function took(seconds) {
  if (typeof seconds !== "number") return "";
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` : `${(seconds / 3600).toFixed(1)} h`;
}

// A state in words and a sign, not by colour alone.
const SIGNS = {
  __proto__: null, // a state from elsewhere may be "constructor"
  ...{ done: ["good", "✓"], failed: ["bad", "✕"], damaged: ["bad", "⚠"], ok: ["good", "✓"], warn: ["warn", "!"], alarm: ["bad", "‼"], "nothing new": ["plain", "…"] },
  ...{ IDENTICAL: ["good", "="], EQUIVALENT: ["warn", "≈"], DIFFERENT: ["bad", "≠"], MISSING: ["bad", "∅"] },
};
function badge(state) {
  const [kind, sign] = SIGNS[state] || ["plain", "·"];
  return h("span", { class: `badge ${kind}` }, h("span", { "aria-hidden": "true" }, `${sign} `), state);
}

// A table whose first cell of each row names the row.
function table(caption, titles, rows, options) {
  const right = new Set((options || {}).right || []);
  const cell = (value, i) => h(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, class: right.has(i) ? "number" : null }, value);
  const body = rows.map((row) => h("tr", row.attributes, (row.cells || row).map(cell)));
  const head = titles.map((title, i) => h("th", { scope: "col", class: right.has(i) ? "number" : null }, title));
  const inner = h("table", null, h("caption", { class: (options || {}).captioned ? null : "unseen" }, caption), h("thead", null, h("tr", null, head)), h("tbody", null, body));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, inner);
}
const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
const card = (title, ...children) => h("section", { class: "card" }, h("h2", null, title), children);
const say = (words) => (document.getElementById("said").textContent = words);
