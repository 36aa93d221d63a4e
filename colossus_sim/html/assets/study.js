"use strict";
/* The page of a sweep or a forecast: choices, charts, tables. */
(function () {
  const { plan, sections, state, byId, cut } = window.Study;
  const { el, section } = window.Page;

  function select(id, words, names, change) {
    const box = el("select", { id }, ...names.map((name, i) => el("option", { value: String(i) }, cut(name, 80))));
    box.addEventListener("change", () => change(Number(box.value)));
    byId("choices").append(el("label", {}, words, box));
  }

  const { draw } = plan.kind === "forecast" ? window.Forecast : window.Sweep;

  function start() {
    byId("headline").textContent = plan.headline;
    if (plan.question) byId("question").append(el("p", {}, plan.question));
    const links = { has: (name) => plan.kind === "forecast" && plan.jobs.some((job) => job.name === name),
      open: (name) => { state.pick(plan.jobs.findIndex((job) => job.name === name)); byId("second").scrollIntoView(); } };
    const open = ["Jobs", "Points", "Failed runs", "How to reproduce"];
    byId("tables").append(...sections.map((part, i) => section(part, i, open, links)));
    if (plan.kind === "forecast") {
      select("choice-job", "Job", plan.jobs.map((job) => job.title), state.pick);
    } else {
      const set = (key) => (value) => { state[key] = value; draw(); };
      select("choice-measure", "Measure", plan.measures.map((item) => `${item.label} [${item.unit}]`), set("measure"));
      if (["sweep", "sample"].includes(plan.kind) && plan.parameters.length > 1) select("choice-x", "Across", plan.parameters.map((item) => item.name), set("x"));
      if (plan.kind === "sweep" && window.Sweep.isGrid()) select("choice-chart", "Chart", ["lines", "heat map"], (value) => { state.map = value === 1; draw(); });
    }
    draw();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    let width = document.documentElement.clientWidth;
    window.addEventListener("resize", () => {
      if (document.documentElement.clientWidth === width) return;
      width = document.documentElement.clientWidth;
      draw();
    });
    window.colossus = { state, plan, draw };
  }

  start();
})();
