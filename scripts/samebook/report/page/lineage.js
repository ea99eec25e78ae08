// Where a run's results come from, and what was made from them: a graph from left to right, and the same as a list.
"use strict";

const BOX = { width: 196, height: 50, across: 40, down: 14 };
const DEPTH = 8;
const BOXES = 120;

samebook.pages.lineage = async (place) => {
  const run = runOf(place.name);
  if (!run) return gone(place.name);
  const graph = await sourcesOf(run.id);
  usersOf(run.id, graph);
  const users = [...graph.boxes.values()].filter((box) => box.depth < 0);
  return [
    h("div", { class: "title" }, h("h1", null, `Lineage of ${run.notebook}`), h("p", null, link(run.id))),
    card("The graph", h("p", { class: "hint" }, "From left to right: inputs, the runs that made them, this run, and runs that have read what it made."), drawn(graph, run.id), graph.cut ? h("p", { class: "error" }, `Only ${BOXES} boxes are shown: make lineage RUN=${run.id} has all.`) : null),
    card("As a list", listed(graph, `run ${run.id}`, new Set()), users.length ? [h("h3", null, "Read by"), h("ul", null, users.map((box) => h("li", null, link(box.id))))] : null),
  ];
};

// The boxes by their key, with how many steps before the run they are, and the arrows between them.
async function sourcesOf(id) {
  const graph = { boxes: new Map(), arrows: [], cut: false };
  const add = (key, box) => {
    const other = graph.boxes.get(key);
    if (other) other.depth = Math.max(other.depth, box.depth);
    else if (graph.boxes.size >= BOXES) return (graph.cut = true), null;
    else graph.boxes.set(key, box);
    return key;
  };
  const visit = async (name, depth, path) => {
    const key = `run ${name}`;
    if (!add(key, { kind: "run", id: name, depth }) || path.includes(name) || depth > 2 * DEPTH) return;
    const detail = await detailOf(name);
    if (!detail || !detail.inputs) return;
    const rows = [...detail.inputs, ...detail.undeclared.map(([file, digest]) => [file, digest, 1, "", "undeclared"])];
    for (const [input, digest, days, maker, note] of rows) {
      const from = `input ${input} ${digest} ${maker} ${digest ? "" : name}`;
      if (!add(from, { kind: note ? "undeclared" : "input", id: input, depth: depth + 1, note: note || (days > 1 ? plural(days, "day") : digest.slice(0, 12)) })) continue;
      arrow(graph, from, key);
      if (maker && add(`run ${maker}`, { kind: "run", id: maker, depth: depth + 2 })) {
        arrow(graph, `run ${maker}`, from);
        await visit(maker, depth + 2, [...path, name]);
      }
    }
  };
  await visit(id, 0, []);
  return graph;
}

const arrow = (graph, from, to) => graph.arrows.some(([a, b]) => a === from && b === to) || graph.arrows.push([from, to]);

function usersOf(id, graph) {
  for (const run of runs().filter((other) => other.makers.includes(id)).slice(0, 20)) {
    graph.boxes.set(`run ${run.id}`, { kind: "run", id: run.id, depth: -1 });
    arrow(graph, `run ${id}`, `run ${run.id}`);
  }
}

function drawn(graph, id) {
  const columns = new Map();
  for (const [key, box] of graph.boxes) columns.set(box.depth, [...(columns.get(box.depth) || []), key]);
  const depths = [...columns.keys()].sort((a, b) => b - a);
  const most = Math.max(...[...columns.values()].map((keys) => keys.length));
  const place = new Map();
  depths.forEach((depth, column) => {
    const keys = columns.get(depth);
    keys.forEach((key, row) => place.set(key, [8 + column * (BOX.width + BOX.across), 8 + (row + (most - keys.length) / 2) * (BOX.height + BOX.down)]));
  });
  const [width, height] = [16 + depths.length * (BOX.width + BOX.across) - BOX.across, 16 + most * (BOX.height + BOX.down)];
  const arrows = graph.arrows.map(([from, to]) => {
    const [[x1, y1], [x2, y2]] = [place.get(from), place.get(to)];
    const [sx, sy, ex, ey] = [x1 + BOX.width, y1 + BOX.height / 2, x2, y2 + BOX.height / 2];
    return svg("path", { class: "arrow", d: `M${sx},${sy}C${sx + BOX.across / 2},${sy} ${ex - BOX.across / 2},${ey} ${ex - 3},${ey}` });
  });
  const boxes = [...graph.boxes].map(([key, box]) => boxOf(box, place.get(key), box.id === id));
  const words = `Lineage: ${graph.boxes.size} runs and inputs, the list below has the same`;
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The graph" }, svg("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": words }, svg("defs", null, svg("marker", { id: "head", viewBox: "0 0 6 6", refX: 5, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" }, svg("path", { d: "M0,0L6,3L0,6z" }))), arrows, boxes));
}

const cut = (words) => (words.length > 25 ? `${words.slice(0, 12)}…${words.slice(-12)}` : words);

// Days of a dataset are its name, and from when to when.
function inputLines(box) {
  const [, dataset, first, last] = /^(\w+)\/day=(\d{4}-\d\d-\d\d)(?:\.\.(.*))?$/.exec(box.id) || [];
  return dataset ? [dataset, last ? `${first} to ${last}` : first] : [box.id, box.note];
}

function boxOf(box, [x, y], is) {
  const run = box.kind === "run" ? runOf(box.id) : null;
  const [first, second] = box.kind === "run" ? [run ? run.notebook : "its receipt is not here", run ? `${when(run.start)} ${run.status === "done" ? "" : run.status}` : box.id] : inputLines(box);
  const kind = box.kind !== "run" ? box.kind : !run ? "lost" : run.status === "done" ? "run" : "undeclared";
  const inner = svg("g", { class: `box ${kind} ${is ? "this" : ""}`, transform: `translate(${x},${y})` }, svg("title", null, `${box.id}\n${box.note || ""}`), svg("rect", { width: BOX.width, height: BOX.height, rx: 6 }), svg("text", { x: 12, y: 21, class: "first" }, cut(first)), svg("text", { x: 12, y: 39, class: "second" }, second.length > 28 ? cut(second) : second));
  return run && !is ? svg("a", { href: address("lineage", box.id) }, inner) : inner;
}

function listed(graph, key, seen) {
  const box = graph.boxes.get(key);
  if (seen.has(key)) return h("p", null, box.kind === "run" ? link(box.id) : box.id, " as above");
  seen.add(key);
  const below = graph.arrows.filter(([, to]) => to === key).map(([from]) => from).filter((from) => graph.boxes.get(from).depth >= 0);
  const head = h("span", null, box.kind === "run" ? link(box.id) : h("code", null, box.id), box.note ? h("small", null, ` ${box.note}`) : null);
  return h("ul", { class: "tree" }, h("li", null, head, below.map((from) => listed(graph, from, seen))));
}
