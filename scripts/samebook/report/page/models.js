// The models of this branch, and the history of one: promotions, rollbacks, the gate, reproductions, experiments.
"use strict";

const CHARTS = 4;

samebook.pages.models = (place) => {
  const models = samebook.data.models;
  if (!models.length) return [h("h1", null, "Models"), h("p", { class: "empty" }, "No model is promoted on this branch: ", h("code", null, "make promote RUN=train MODEL=churn"))];
  const model = models.find((one) => one.name === place.name) || (models.length === 1 && !place.name ? models[0] : null);
  if (!model && place.name) return [h("h1", null, "No such model"), h("p", null, h("code", null, place.name), " is not promoted on this branch. ", h("a", { href: "#/models" }, "All models"))];
  return model ? versionsOf(model) : [h("h1", null, "Models"), h("div", { class: "grid" }, models.map((one) => h("section", { class: "card" }, h("h2", null, h("a", { href: address("models", one.name) }, one.name)), head(one))))];
};

function head(model) {
  const [now] = model.versions;
  const branches = Object.entries(model.branches).map(([env, digest]) => h("span", { class: "badge plain" }, `${env}: ${digest.slice(0, 8)}`));
  const state = now && now.bundle ? [h("p", null, plural(model.versions.length, "version"), `, the newest of ${now.at.slice(0, 10)} by ${now.by}`)] : h("p", { class: "error" }, now ? now.problem || "It was removed." : "It has no version.");
  return [state, branches.length ? h("p", null, "On branches ", branches) : null];
}

function versionsOf(model) {
  const whole = model.versions.filter((version) => version.bundle).reverse();
  const names = [...new Set(whole.flatMap((version) => Object.keys(version.metrics)))].filter((name) => whole.filter((version) => name in version.metrics).length > 1 || whole.length === 1);
  const days = whole.map((version) => version.at.slice(0, 10));
  const chart = (name) => lineChart(name, days, [{ name, values: whole.map((version) => version.metrics[name]), titles: whole.map((version) => `${version.at} ${version.why}`), links: whole.map((version) => (runOf(version.run) ? address("run", version.run) : "")) }], { of: "promoted" });
  return [
    h("div", { class: "title" }, h("h1", null, model.name), h("div", null, head(model))),
    whole.length > 1 ? card("Metrics of its versions", h("div", { class: "charts" }, names.slice(0, CHARTS).map(chart)), names.length > CHARTS ? h("details", null, h("summary", null, `${plural(names.length - CHARTS, "metric")} more`), h("div", { class: "charts" }, names.slice(CHARTS).map(chart))) : null) : null,
    model.experiments.length ? card("A/B", experiments(model)) : null,
    card("History", h("ol", { class: "timeline" }, model.versions.map((version, i) => entry(model, version, model.versions.slice(i + 1).find((other) => other.bundle))))),
  ];
}

function entry(model, version, before) {
  const commit = version.commit ? [" in ", short(version.commit)] : "";
  if (!version.bundle) return h("li", { class: "bad" }, h("h3", null, version.problem ? "Not whole" : "Removed"), h("p", null, version.problem || "The model was removed", commit));
  const here = Object.entries(model.branches).filter(([, digest]) => digest === version.bundle).map(([env]) => h("span", { class: "badge plain" }, env));
  const metrics = Object.keys(version.metrics).map((name) => [name, number(version.metrics[name]), before && name in before.metrics ? change(before.metrics[name], version.metrics[name]) || "=" : ""]);
  const data = Object.entries(version.data).map(([name, [first, last, count]]) => [name, first ? `${first} to ${last}, ${plural(count, "day")}` : "none"]);
  return h("li", { class: version.is_back ? "back" : null },
    h("h3", null, version.is_back ? "Back again" : "Promoted", ` ${version.at.slice(0, 16).replace("T", " ")}`, " ", here),
    version.why ? h("p", { class: "why" }, version.why) : null,
    facts([["by", version.by], ["under the policy of", version.env], ["run", link(version.run)], ["commit", short(version.commit)], ["bundle", short(version.bundle)], ["gate", version.gate_run ? link(version.gate_run) : "none"], ...data]),
    h("details", null, h("summary", null, "Metrics, gate and reproductions"),
      table("Metrics", ["metric", "value", "since the version before"], metrics, { right: [1, 2] }),
      version.gate.length ? table("What the gate found", ["metric of the gate", "value", "interval"], version.gate, { right: [1, 2] }) : null,
      version.reproductions.length ? table("Reproductions, as the bundle names them", ["of the run of", "verdict", "by", "engine", "platform", "at"], version.reproductions.map(([of, verdict, ...rest]) => [of, badge(verdict), ...rest])) : h("p", null, "Nobody has reproduced it.")));
}

function experiments(model) {
  const rows = model.experiments.map((one) => [text(one.experiment), badge(text(one.verdict)), text(one.metric), interval(one), [one.days].flat().map(text).join(" to "), link(one.run), [one.reasons].flat().map(text).join("; ")]);
  return table("Experiments", ["experiment", "verdict", "metric", "the challenger's gain", "days", "run", "because"], rows);
}

const interval = (one) => (typeof one.gain === "number" ? `${number(one.gain)}, from ${number(one.low)} to ${number(one.high)}` : "no result");
