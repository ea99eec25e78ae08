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
    card("Verdicts by day", strip(name, days, day), verdictOf(day), legend(days)),
    card("Drift and quality", h("div", { class: "charts" }, driftChart(name, days), qualityCharts(name, days))),
    card(`What was found on ${day.day}`, findings(day)),
  ];
};

// What a day said. A report of an earlier samebook does not tell what is new: there it is the verdict on all findings.
const QUIET = "nothing new";
const said = (day) => (day.told === "ok" && day.verdict !== "ok" ? QUIET : day.told || day.verdict);
const MEANING = { alarm: "an alarm is new, or worse", warn: "a warning is new, or worse", [QUIET]: "what was found goes on as it was said before", ok: "nothing was found, or it is acknowledged" };

function summaryOf(days) {
  const counts = Object.keys(MEANING).map((words) => [days.filter((one) => said(one) === words).length, words]);
  return `${plural(days.length, "day")} monitored: ${counts.filter(([count]) => count).map(([count, words]) => `${count} ${words}`).join(", ")}`;
}

function strip(name, days, chosen) {
  const entry = (one) => {
    const [kind, sign] = SIGNS[said(one)];
    const words = `${one.day}: ${said(one)}`;
    return h("li", null, h("a", { id: `day-${one.day}`, href: address("drift", name, { day: one.day }), class: kind, "aria-current": one === chosen ? "true" : null, title: words, "aria-label": `${words}, ${amounts(one)}`, onclick: () => say(one.line || words) }, h("span", { "aria-hidden": "true" }, sign), h("small", null, one.day.slice(5))));
  };
  return h("ol", { class: "strip" }, days.map(entry));
}

function amounts(day) {
  const { warn, alarm, known, acknowledged } = day.counts;
  return [plural(warn, "warning"), plural(alarm, "alarm"), known ? `${known} as before` : "", acknowledged ? `${acknowledged} acknowledged` : ""].filter(Boolean).join(", ");
}

// What the signs of the strip mean, and each day's line; nothing for reports that have no lines.
function legend(days) {
  if (!days.some((one) => one.told)) return null;
  const there = Object.keys(MEANING).filter((words) => days.some((one) => said(one) === words));
  const rows = days.map((one) => [one.day, badge(said(one)), one.line]).reverse();
  return [
    h("ul", { class: "legend", "aria-label": "What the signs mean" }, there.map((words) => h("li", null, badge(words), ` ${MEANING[words]}`))),
    h("details", null, h("summary", null, "Each day's line"), table("Each day's line", ["day", "said", "line"], rows)),
  ];
}

function verdictOf(day) {
  const all = said(day) === day.verdict ? null : ["; the worst that is not acknowledged: ", badge(day.verdict)];
  return [h("p", { class: "of-day" }, h("strong", null, day.day), " ", badge(said(day)), " by ", link(day.run), all, day.others.map(([id, verdict]) => ["; before that ", badge(verdict), " by ", link(id)])), day.line ? h("p", { class: "verdict" }, day.line) : null];
}

// Of each day the largest value as a share of what warns: 1 is a warning.
function driftChart(name, days) {
  const none = { name: "nothing", share: 0 };
  const largest = days.map((one) => one.findings.map(finding).filter((each) => each.kind !== "quality").reduce((a, b) => (b.share > a.share ? b : a), none));
  const titles = days.map((one, i) => `${one.day}, ${largest[i].name}`);
  return lineChart("Largest drift, as a share of what warns", days.map((one) => one.day.slice(5)), [{ name: "largest drift", values: largest.map((each) => each.share), limit: 1, titles, links: days.map((one) => address("drift", name, { day: one.day })), classes: days.map((one) => SIGNS[said(one)][0]) }], { of: "day" });
}

function qualityCharts(name, days) {
  const metrics = [...new Set(days.flatMap((one) => Object.keys(one.metrics)))];
  return metrics.map((metric) => lineChart(metric, days.map((one) => one.day.slice(5)), [{ name: metric, values: days.map((one) => one.metrics[metric]), titles: days.map((one) => one.day), links: days.map((one) => address("drift", name, { day: one.day })) }], { of: "day" }));
}

const finding = ([kind, name, span, detail, since, value, warn, alarm, share, verdict, told, state, acknowledged]) => ({ kind, name, span, detail, since, value, warn, alarm, share, verdict, told, state, acknowledged });

function findings(day) {
  const all = day.findings.map(finding);
  const known = all.some((each) => each.state);
  const rows = all.map((each) => [each.name, each.kind, h("span", { class: "whole" }, each.span), number(each.value), number(each.warn), number(each.alarm), badge(each.verdict), ...(known ? [standing(each, day)] : []), each.detail]);
  const titles = ["what", "kind", "over", "value", "warns above", "alarms above", "verdict", ...(known ? ["state"] : []), "detail"];
  return [table(`Findings of ${day.day}`, titles, rows, { right: [3, 4, 5] }), day.hidden ? h("p", { class: "hint" }, `and ${plural(day.hidden, "finding")} further from a warning, in the run`) : null];
}

// Where a finding stands: what is said of it again after its first day is worse, or another than what was said before.
function standing({ state, since, told, verdict, acknowledged }, day) {
  if (!state || state === "ok") return "";
  const words = { new: since === day.day ? "new" : "worse, or another", known: "as before", acknowledged: "acknowledged" }[state];
  const slowly = state === "new" && told !== verdict ? `, said as ${told}: it came slowly` : "";
  const [who, when, why] = acknowledged;
  const given = who ? h("small", null, h("br"), `${state === "acknowledged" ? "" : "acknowledged since, "}by ${who} on ${when.slice(0, 10)}: ${why}`) : null;
  return h("span", { class: "state" }, state === "new" ? h("strong", null, words) : words, since && since !== day.day ? `, since ${since}` : "", slowly, given);
}
