// The difference of two notebooks: cells by name, their lines by the longest common sequence.
"use strict";

const CONTEXT = 3;
const LONGEST = 1500;

// Lines as [sign, text]: " " on both sides, "-" only on the first, "+" only on the second.
function difference(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const [old, now] = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  const same = (lines) => lines.map((line) => [" ", line]);
  const middle = old.length * now.length > LONGEST * LONGEST ? [...old.map((line) => ["-", line]), ...now.map((line) => ["+", line])] : common(old, now);
  return [...same(before.slice(0, start)), ...middle, ...same(end ? before.slice(-end) : [])];
}

function common(old, now) {
  const width = now.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] = old[i] === now[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
  const lines = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) lines.push([" ", old[i++]]) && (j += 1);
    else if (j === now.length || (i < old.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) lines.push(["-", old[i++]]);
    else lines.push(["+", now[j++]]);
  }
  return lines;
}

// Lines far from any change become one that says how many there are.
function shortened(lines) {
  const near = lines.map((_, i) => lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(([sign]) => sign !== " "));
  const kept = [];
  let hidden = 0;
  lines.forEach((line, i) => {
    if (near[i] && hidden) kept.push(["…", plural(hidden, "equal line")]);
    hidden = near[i] ? 0 : hidden + 1;
    if (near[i]) kept.push(line);
  });
  return hidden && kept.length ? [...kept, ["…", plural(hidden, "equal line")]] : kept;
}

const WORDS = { "-": "removed: ", "+": "added: " };
const asLines = (lines) => h("pre", { class: "diff", tabindex: "0" }, shortened(lines).map(([sign, line]) => h("span", { class: { "-": "minus", "+": "plus", "…": "more" }[sign] || null }, WORDS[sign] ? h("span", { class: "unseen" }, WORDS[sign]) : null, `${sign} ${line}\n`)));

// Cells of the same name belong together, and of those the first with the first.
function paired(before, after) {
  const names = (cells) => {
    const seen = new Map();
    return cells.map((cell) => (seen.set(cell[0], (seen.get(cell[0]) || 0) + 1), `${cell[0]} ${seen.get(cell[0])}`));
  };
  const [old, now] = [names(before), names(after)];
  const order = [...common(old, now).map(([, name]) => name)].filter((name, i, all) => all.indexOf(name) === i);
  return order.map((name) => [before[old.indexOf(name)] || null, after[now.indexOf(name)] || null]);
}

function cellChanges(before, after) {
  const equal = (a, b) => a.length === b.length && a.every((line, i) => line === b[i]);
  return paired(before, after).map(([old, now]) => {
    const [a, b] = [old || ["", "", [], []], now || ["", "", [], []]];
    if (old && now && equal(a[2], b[2]) && equal(a[3], b[3])) return null;
    const what = !old ? "added" : !now ? "removed" : equal(a[2], b[2]) ? "shows something else" : "changed";
    return h("details", { class: "cell", open: true }, h("summary", null, h("code", null, (now || old)[0]), ` ${what}`), equal(a[2], b[2]) ? null : asLines(difference(a[2], b[2])), equal(a[3], b[3]) ? null : [h("p", { class: "hint" }, "What it shows"), asLines(difference(a[3], b[3]))]);
  }).filter(Boolean);
}
