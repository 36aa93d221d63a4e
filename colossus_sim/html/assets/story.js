"use strict";
/* The story of one job: facts, slip by cause, failures, events, assumptions. */
(function () {
  const { el, table } = window.Page;
  const byId = (id) => document.getElementById(id);
  const shown = { chart: null, job: null };

  function story(job, focus) {
    const box = byId("story");
    if (shown.chart) shown.chart.dispose();
    shown.chart = shown.job = null;
    const told = job.story;
    const close = el("button", { type: "button", onclick: () => { box.hidden = true; byId("chart").focus(); } }, "Close");
    box.replaceChildren(
      el("div", { class: "top" }, el("h2", {}, job.title), close),
      el("p", {}, told.sentence),
      el("dl", { class: "facts" }, ...told.facts.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))),
    );
    const left = el("div");
    if (told.causes.length) {
      left.append(el("h3", {}, "Slip by cause [days]"), el("div", { id: "waterfall" }));
    }
    if (told.failures.length) {
      left.append(el("h3", {}, "Failures that hit it"),
        table({ header: ["class", "count"], rows: told.failures, right: [1] }));
    }
    const right = el("div");
    if (told.events.length) {
      right.append(el("h3", {}, "What happened"),
        table({ header: ["when (UTC)", "what", "details"], rows: told.events }));
    }
    box.append(el("div", { class: "columns" }, left, right));
    if (told.assumptions.length) {
      box.append(el("h3", {}, "What it assumes"),
        table({ header: ["field", "value", "source"], rows: told.assumptions }));
    }
    box.hidden = false;
    if (told.causes.length) waterfall(job);
    if (focus) { box.focus({ preventScroll: true }); box.scrollIntoView({ block: "start" }); }
  }

  function waterfall(job) {
    const theme = window.Gantt.look();
    const causes = job.story.causes.slice().sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
    const total = causes.reduce((sum, [, days]) => sum + days, 0);
    const rows = [];
    let at = 0;
    for (const [name, days] of causes) { rows.push([name, at, at + days, days]); at += days; }
    rows.push(["slip", 0, total, total]);
    const host = byId("waterfall");
    host.style.height = `${34 + 26 * rows.length}px`;
    shown.job = job;
    shown.chart = window.echarts.init(host, null, { renderer: "canvas" });
    shown.chart.setOption({
      animation: false,
      grid: { left: 165, right: 56, top: 4, bottom: 24 },
      xAxis: { type: "value", axisLabel: { color: theme.muted }, splitLine: { lineStyle: { color: theme.grid } } },
      yAxis: { type: "category", inverse: true, data: rows.map((row) => row[0]), axisTick: { show: false },
        axisLine: { show: false }, axisLabel: { color: theme.ink, fontSize: 11, width: 158, overflow: "truncate" } },
      series: [{ type: "custom", data: rows.map((row, i) => [i, row[1], row[2]]), encode: { x: [1, 2], y: 0 },
        renderItem: (params, api) => {
          const from = api.coord([api.value(1), api.value(0)]);
          const to = api.coord([api.value(2), api.value(0)]);
          const days = rows[params.dataIndex][3];
          const colour = params.dataIndex === rows.length - 1 ? theme.ink : days > 0 ? theme.late : theme.early;
          return { type: "group", children: [
            { type: "rect", shape: { x: Math.min(from[0], to[0]), y: from[1] - 8, height: 16,
              width: Math.max(1, Math.abs(to[0] - from[0])) }, style: { fill: colour } },
            { type: "text", style: { text: (days > 0 ? "+" : "") + days.toFixed(1), x: Math.max(from[0], to[0]) + 5,
              y: from[1], verticalAlign: "middle", fontSize: 11, fill: theme.ink } }] };
        } }],
    });
  }

  /* Draw the causes again, in the colours of the page as it is now. */
  function redrawStory() {
    if (!shown.chart) return;
    shown.chart.dispose();
    waterfall(shown.job);
  }

  window.Story = { story, redrawStory };
})();
