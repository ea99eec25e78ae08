// Charts as SVG, whose colours are the page's, and whose numbers are in a table below as well.
"use strict";

const WIDTH = 720;
const HEIGHT = 220;
const EDGE = { left: 64, right: 32, top: 12, bottom: 28 };

// Round steps that part a range into some five.
function ticks(low, high, count = 5) {
  const rough = (high - low) / count || Math.abs(high) || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= rough) || unit;
  const first = Math.ceil(low / step);
  const values = Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(10)));
  return values.length ? values : [low];
}

function scale([low, high], from, to) {
  const width = high - low;
  return (value) => (width ? from + ((value - low) / width) * (to - from) : (from + to) / 2);
}

function extent(values) {
  const numbers = values.filter(Number.isFinite);
  if (!numbers.length) return [0, 1];
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low - margin, high + margin];
}

// Lines over evenly placed names (days, versions). `series` are {name, values, titles, links, limit}; null is a gap.
function lineChart(title, names, series, options) {
  const [low, high] = extent(series.flatMap((one) => [...one.values, one.limit ?? NaN]));
  const x = scale([0, Math.max(1, names.length - 1)], EDGE.left + 8, WIDTH - EDGE.right - 8);
  const y = scale([low, high], HEIGHT - EDGE.bottom, EDGE.top);
  const at = (i) => (names.length === 1 ? (EDGE.left + WIDTH - EDGE.right) / 2 : x(i));
  const every = Math.ceil(names.length / 8);
  const grid = ticks(low, high).map((value) => [svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }), svg("text", { class: "tick", x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value))]);
  const labels = names.map((name, i) => (i % every ? null : svg("text", { class: "tick", x: at(i), y: HEIGHT - 8, "text-anchor": "middle" }, name)));
  const drawn = series.map((one, s) => {
    const points = one.values.map((value, i) => (Number.isFinite(value) ? [at(i), y(value), i] : null));
    const parts = points.reduce((all, point) => (point ? (all.at(-1).push(point), all) : [...all, []]), [[]]).filter((part) => part.length > 1);
    const limit = Number.isFinite(one.limit) ? svg("line", { class: "limit", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(one.limit), y2: y(one.limit) }) : null;
    const dots = points.filter(Boolean).map(([cx, cy, i]) => {
      const dot = svg("circle", { class: `dot ${(one.classes || [])[i] || ""}`, cx, cy, r: names.length > 60 ? 2.5 : 4 }, svg("title", null, `${(one.titles || names)[i]}: ${one.name} ${number(one.values[i])}`));
      const href = (one.links || [])[i];
      return href ? svg("a", { href, "aria-label": `${(one.titles || names)[i]}: ${one.name} ${number(one.values[i])}` }, dot) : dot;
    });
    return svg("g", { class: `series s${s % 4}` }, limit, parts.map((part) => svg("path", { d: `M${part.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join("L")}` })), dots);
  });
  const words = `${title}: ${series.map((one) => described(one, names)).join("; ")}`;
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": words }, grid, labels, drawn);
  const rows = names.map((name, i) => [name, ...series.map((one) => number(one.values[i]))]);
  const legend = series.length > 1 ? h("p", { class: "legend" }, series.map((one, s) => h("span", { class: `key s${s % 4}` }, one.name))) : null;
  return h("figure", null, h("figcaption", null, title), legend, h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${title}, the chart` }, picture), options && options.bare ? null : asTable(title, [(options && options.of) || "", ...series.map((one) => one.name)], rows));
}

function described(one, names) {
  const there = one.values.map((value, i) => [value, names[i]]).filter(([value]) => Number.isFinite(value));
  return there.length ? `${one.name} from ${number(there[0][0])} (${there[0][1]}) to ${number(there.at(-1)[0])} (${there.at(-1)[1]})` : `${one.name} has no value`;
}

const asTable = (caption, titles, rows) => h("details", null, h("summary", null, "As a table"), table(`${caption}, the table`, titles, rows, { right: titles.map((_, i) => i).slice(1) }));

// The runs of each of the last days, as bars: done below, failed and damaged above.
function activity(found) {
  const days = new Map();
  for (const run of found) {
    if (typeof run.start !== "number") continue;
    const day = when(run.start).slice(0, 10);
    const counts = days.get(day) || [0, 0];
    counts[run.status === "done" ? 0 : 1] += 1;
    days.set(day, counts);
  }
  const last = [...days].sort((a, b) => (a[0] < b[0] ? -1 : 1)).slice(-60);
  if (last.length < 2) return null;
  const most = Math.max(...last.map(([, [a, b]]) => a + b));
  const step = WIDTH / last.length;
  const bars = last.map(([day, [done, bad]], i) => {
    const [low, high] = [(44 * done) / most, (44 * bad) / most];
    const place = { x: (i * step + 1).toFixed(1), width: Math.max(1, step - 2).toFixed(1) };
    return svg("g", null, svg("title", null, `${day}: ${done} done, ${bad} failed or damaged`), svg("rect", { ...place, class: "good", y: 46 - low, height: low, rx: 1 }), svg("rect", { ...place, class: "bad", y: 46 - low - high, height: high, rx: 1 }));
  });
  const words = `Runs by day, from ${last[0][0]} to ${last.at(-1)[0]}, at most ${most} a day`;
  return h("figure", { class: "activity" }, svg("svg", { viewBox: `0 0 ${WIDTH} 46`, preserveAspectRatio: "none", role: "img", "aria-label": words }, bars), h("figcaption", null, h("span", null, last[0][0]), h("span", null, `runs by day, at most ${most}`), h("span", null, last.at(-1)[0])));
}

// Parallel coordinates: an axis for each column, a line for each row. Numbers are in order, texts evenly placed.
function parallel(title, names, rows, best) {
  const [width, height] = [1120, 320];
  const x = scale([0, Math.max(1, names.length - 1)], 70, width - 90);
  const axes = names.map((_, i) => {
    const values = rows.map((row) => row.values[i]).filter((value) => value !== "");
    const numeric = values.length && values.every((value) => Number.isFinite(Number(value)));
    const distinct = [...new Set(values)].sort();
    const place = numeric ? scale([Math.min(...values.map(Number)), Math.max(...values.map(Number))], height - 24, 34) : scale([0, Math.max(1, distinct.length - 1)], height - 24, 34);
    const ends = numeric ? [...new Set([Math.min(...values.map(Number)), Math.max(...values.map(Number))])] : distinct.slice(0, 12);
    const y = (value) => (value === "" ? null : place(numeric ? Number(value) : distinct.indexOf(value)));
    return { y, marks: ends.map((value) => [numeric ? number(value) : value, y(String(value))]) };
  });
  const last = rows.map((row) => Number(row.values.at(-1)));
  const shade = scale([Math.min(...last.filter(Number.isFinite)), Math.max(...last.filter(Number.isFinite))], 0, 4);
  const order = rows.map((row, r) => r).sort((a, b) => (rows[a] === best ? 1 : rows[b] === best ? -1 : last[a] - last[b] || 0));
  const lines = order.map((r) => {
    const row = rows[r];
    const points = row.values.map((value, i) => [x(i), axes[i].y(value)]).filter(([, y]) => y !== null);
    const kind = row === best ? "best" : `c${Number.isFinite(last[r]) ? Math.round(shade(last[r])) : 0}`;
    const path = svg("path", { class: `line ${kind}`, d: `M${points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join("L")}` }, svg("title", null, row.title));
    return row.href ? svg("a", { href: row.href, "aria-label": row.title }, path) : path;
  });
  const drawn = axes.map((axis, i) => svg("g", null, svg("line", { class: "axis", x1: x(i), x2: x(i), y1: 34, y2: height - 24 }), svg("text", { class: "name", x: x(i), y: 16, "text-anchor": "middle" }, names[i]), axis.marks.map(([label, y]) => svg("text", { class: "tick", x: x(i) + 6, y: y + 4 }, label))));
  return h("figure", null, h("figcaption", null, title), h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${title}, the chart` }, svg("svg", { class: "chart parallel", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${title}: a line for each of ${rows.length} sets, the table below has the same` }, lines, drawn)));
}
