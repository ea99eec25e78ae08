// The pages by their addresses, and the colours.
"use strict";

const PAGES = { runs: "Runs", models: "Models", drift: "Drift", sweeps: "Sweeps", environments: "Environments" };

async function show() {
  const place = parsed(location.hash);
  const page = samebook.pages[place.page];
  const body = page ? await page(place) : [h("h1", null, "No such page"), h("p", null, h("a", { href: "#/runs" }, "All runs"))];
  if (parsed(location.hash).page !== place.page) return;
  const kept = document.activeElement && document.activeElement.id;
  document.getElementById("main").replaceChildren(...[body].flat(Infinity).filter(Boolean));
  document.title = `${place.name || PAGES[place.page] || place.page} · samebook`;
  for (const one of document.querySelectorAll("nav[aria-label=Pages] a")) one.hash === `#/${place.page}` ? one.setAttribute("aria-current", "page") : one.removeAttribute("aria-current");
  const again = kept && document.getElementById(kept);
  if (again) again.focus();
  else if (samebook.shown && samebook.shown !== place.page + place.name) document.getElementById("main").focus();
  if (samebook.shown !== place.page + place.name) window.scrollTo(0, 0);
  samebook.shown = place.page + place.name;
  document.body.dataset.ready = location.hash;
}

function colours(name) {
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light" : "Dark";
  document.getElementById("theme").setAttribute("aria-label", `${name === "dark" ? "Light" : "Dark"} colours`);
}

function start() {
  const nav = document.querySelector("nav");
  for (const [page, title] of Object.entries(PAGES)) nav.append(h("a", { href: `#/${page}` }, title));
  const button = document.getElementById("theme");
  const stored = (() => { try { return localStorage.getItem("samebook-theme"); } catch { return null; } })();
  const wished = matchMedia("(prefers-color-scheme: dark)");
  colours(stored === "dark" || stored === "light" ? stored : wished.matches ? "dark" : "light");
  wished.addEventListener("change", (event) => colours(event.matches ? "dark" : "light"));
  button.addEventListener("click", () => {
    const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    colours(name);
    try { localStorage.setItem("samebook-theme", name); } catch { /* not every browser keeps anything of files */ }
  });
  addEventListener("hashchange", show);
  show();
}

start();
