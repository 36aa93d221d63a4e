"use strict";
/* Charts of a forecast: ends with their spread, chances by date, drivers. */
(function () {
  const { plan, state, CYCLE, byId, look, date, percent, narrow, panel, shared, zoom, tipped, axis, tip } = window.Study;

  const { el } = window.Page;

  function span() {
    const all = plan.jobs.flatMap((job) => [job.target, ...Object.values(job.finish),
      ...job.phases.flatMap((phase) => [phase.start[1], phase.end[1]])]).filter((value) => value !== null);
    if (plan.jobs.some((job) => job.finished < plan.replicas)) all.push(plan.horizon);
    const [low, high] = [Math.min(plan.start, ...all), Math.max(...all, plan.start + 864e5)];
    return [low, high + 0.03 * (high - low)];
  }

  /* A quantile in words: ">=" if it rests on runs that were not done at the horizon, "never" if there are no GPUs to end on. */
  function end(job, level) {
    if (job.finish[level] === null) return job.never ? "never" : date(null);
    return (job.projected[level] ? ">= " : "") + date(job.finish[level]);
  }

  function slip(job, level) {
    const days = job.slip[level];
    return days === null ? "never" : `${job.projected[level] ? ">= " : ""}${days.toFixed(1)} d`;
  }

  function jobTip(job) {
    return tip(job.title, [
      `${job.means || "end"}: P10 ${end(job, "p10")}, P50 ${end(job, "p50")}, P80 ${end(job, "p80")}, P90 ${end(job, "p90")}`,
      job.target === null ? "no target" : `target ${date(job.target)}`,
      job.unknown ? `not known in ${job.unknown} of ${plan.replicas} runs: the target lies after the simulated time` : "",
      job.chance === null ? "" : `met in ${percent(job.chance)} of the runs (95 % interval ${percent(job.interval[0])} to ${percent(job.interval[1])})`,
      job.slip ? `slip: median ${slip(job, "p50")}, P10 ${slip(job, "p10")}, P90 ${slip(job, "p90")}` : "",
      job.finished < plan.replicas ? `not done at the end of the simulated time in ${plan.replicas - job.finished} of ${plan.replicas} runs` : "",
      job.never ? `never ends in ${job.never} of ${plan.replicas} runs: no GPUs there` : "",
    ]);
  }

  function ends() {
    const theme = look();
    const small = narrow();
    const row = small ? 62 : 46;
    const chart = panel("first", "When each job ends",
      "Bars: phases of the median schedule. Line: P10 to P90 of the end that the target means, diamond: median, bar across: P80. "
      + "Arrow keys up and down choose a job; plus, minus, left and right zoom.", row * plan.jobs.length + 84);
    const [low, high] = span();
    const left = small ? 8 : 250;
    chart.setOption({
      ...shared(theme), tooltip: tipped(theme, (at) => jobTip(plan.jobs[at.dataIndex]), "item"),
      grid: { left, right: small ? 12 : 120, top: 22, bottom: 54 }, dataZoom: zoom(theme, 6),
      xAxis: axis(theme, { type: "time", min: low, max: high }),
      yAxis: { type: "category", inverse: true, data: plan.jobs.map((job) => job.name), axisLabel: { show: false },
        axisTick: { show: false }, axisLine: { show: false } },
      series: [{ type: "custom", clip: false, data: plan.jobs.map((job, i) => [low, i]), encode: { x: -1, y: 1 },
        renderItem: (params, api) => jobRow(params, api, theme, small, high) }],
    });
    chart.on("click", (at) => pick(at.dataIndex));
    const used = new Set(plan.jobs.flatMap((job) => job.phases.map((phase) => phase.family)));
    const chips = plan.families.filter((family) => used.has(family.name));
    byId("first").append(el("div", { class: "legend", "aria-hidden": "true" },
      ...chips.map((family) => el("span", {}, el("i", { style: `background:${family.colour}` }), family.name)),
      plan.jobs.some((job) => job.finished < plan.replicas)
        ? el("span", {}, el("b", { style: `color:${theme.muted}` }, "┊"), "end of the simulated time; later ends are projected (grey)") : "",
      plan.jobs.some((job) => job.never) ? el("span", {}, el("b", {}, "▸"), "goes on: never ends in some runs") : "",
      plan.jobs.some((job) => job.phases.some((phase) => phase.start[1] !== null && phase.end[1] === null))
        ? el("span", {}, el("i", { style: `background:${chips.length ? chips[0].colour : theme.muted};opacity:0.5` }), "not done at the end of the simulated time") : "",
      el("span", {}, el("b", { style: `color:${theme.late}` }, "|"), "target"),
      el("span", {}, el("b", {}, "◇"), "median end"), el("span", {}, el("b", {}, "⊢⊣"), "P10 to P90")));
  }

  function jobRow(params, api, theme, small, high) {
    const job = plan.jobs[params.dataIndex];
    const area = params.coordSys;
    const height = api.size([0, 1])[1];
    const middle = api.coord([plan.start, params.dataIndex])[1];
    const top = middle - height / 2 + (small ? 16 : 0);
    const free = height - (small ? 16 : 0);
    const x = (value) => api.coord([value === null ? high : value, params.dataIndex])[0];
    const clip = (shape) => window.echarts.graphic.clipRectByRect(shape, { x: area.x, y: area.y, width: area.width, height: area.height });
    const children = [];
    const add = (shape, fill, opacity) => { const inside = clip(shape); if (inside) children.push({ type: "rect", shape: inside, style: { fill, opacity } }); };
    children.push({ type: "rect", shape: { x: 0, y: middle - height / 2, width: area.x + area.width + 116, height },
      style: { fill: params.dataIndex === state.job ? theme.grid : params.dataIndex % 2 ? theme.stripe : theme.paper, opacity: 0.6 } });
    for (const phase of job.phases) {
      if (phase.start[1] === null) continue;
      // A phase without a median end was cut off at the horizon: pale, and no farther.
      const open = phase.end[1] === null;
      const stop = x(open ? plan.horizon : phase.end[1]);
      // Parallel phases share the height of the row.
      const each = 0.36 * free / job.lanes;
      add({ x: x(phase.start[1]), y: top + 0.12 * free + each * phase.lane, width: Math.max(1, stop - x(phase.start[1])), height: 0.92 * each }, phase.colour, open ? 0.5 : 1);
    }
    const y = top + 0.66 * free;
    const open = plan.jobs.some((other) => other.finished < plan.replicas);
    const across = (value) => value >= area.x && value <= area.x + area.width;
    if (open && across(x(plan.horizon))) {
      children.push({ type: "line", shape: { x1: x(plan.horizon), y1: middle - height / 2, x2: x(plan.horizon), y2: middle + height / 2 },
        style: { stroke: theme.muted, lineWidth: 1, lineDash: [2, 3], fill: "none" } });
    }
    range(job, { x, y, add, across, high, children }, theme);
    if (job.target !== null) add({ x: x(job.target) - 1.5, y: top + 0.06 * free, width: 3, height: 0.86 * free }, theme.late, 1);
    const words = job.unknown ? `not known by ${date(job.target)}` : job.chance === null ? "" : `${percent(job.chance)} by ${date(job.target)}`;
    const colour = job.chance === null ? theme.muted : job.chance < 0.5 ? theme.late : theme.early;
    children.push({ type: "text", style: { text: small ? `${job.title}${words ? `: ${words}` : ""}` : job.title, x: small ? 4 : 10,
      y: small ? middle - height / 2 + 3 : middle, width: small ? area.width : area.x - 24, overflow: "truncate",
      verticalAlign: small ? "top" : "middle", fontWeight: "bold", fontSize: small ? 11 : 12.5, fill: theme.ink } });
    if (!small) {
      children.push({ type: "text", style: { text: words.replace(" by", "\nby"), x: area.x + area.width + 12, y: middle,
        verticalAlign: "middle", fontSize: 12, lineHeight: 16, fontWeight: "bold", fill: colour } });
    }
    return { type: "group", children };
  }

  /* P10 to P90 of the end; grey where it is projected, an arrow where it goes on for ever. */
  function range(job, { x, y, add, across, high, children }, theme) {
    const { p10, p50, p90 } = job.finish;
    if (p10 === null && !job.never) return;
    const [first, last] = [p10 === null ? high : p10, p90 === null ? high : p90];
    const split = job.projected.p90 ? Math.min(Math.max(first, plan.horizon), last) : last;
    const colour = (level) => (job.projected[level] ? theme.muted : theme.ink);
    add({ x: x(first), y: y - 2, width: x(split) - x(first), height: 4 }, theme.ink, 1);
    add({ x: x(split), y: y - 2, width: x(last) - x(split), height: 4 }, theme.muted, 1);
    if (first === last) add({ x: x(first) - 1, y: y - 2, width: 2, height: 4 }, colour("p10"), 1);
    for (const [level, half] of [["p10", 5], ["p80", 4], ["p90", 5]]) {
      const value = job.finish[level];
      if (value !== null) add({ x: x(value) - 1, y: y - half, width: 2, height: 2 * half }, colour(level), 1);
    }
    if (p90 === null && across(x(high))) {
      const tip = x(high);
      children.push({ type: "polygon", shape: { points: [[tip - 8, y - 6], [tip, y], [tip - 8, y + 6]] }, style: { fill: theme.muted } });
    }
    if (p50 !== null && across(x(p50))) {
      const at = x(p50);
      children.push({ type: "polygon", shape: { points: [[at - 6, y], [at, y - 6], [at + 6, y], [at, y + 6]] },
        style: { fill: theme.paper, stroke: colour("p50"), lineWidth: 1.5 } });
    }
  }

  function chances() {
    const theme = look();
    const job = plan.jobs[state.job];
    const chart = panel("second", `Chance to be done: ${job.title}`,
      `Share of ${plan.replicas} runs that reach it by a date: ${job.means || "end of the whole job"}.`
      + (job.finished < plan.replicas ? ` Later than ${date(plan.horizon)}: projected, not simulated.` : "")
      + (job.never ? ` In ${job.never} of them it never ends: no GPUs there.` : ""), 320);
    const steps = job.ends.map((end, i) => [end, (i + 1) / plan.replicas]);
    const by = (when) => job.ends.filter((end) => end <= when).length / plan.replicas;
    chart.setOption({
      ...shared(theme), grid: { left: 52, right: 24, top: 30, bottom: 62 }, dataZoom: zoom(theme, 6),
      tooltip: { ...tipped(theme, (at) => tip(`by ${date(at[0].axisValue)}`, [`${percent(by(at[0].axisValue))} of the runs`]), "axis"),
        axisPointer: { type: "line", snap: false, lineStyle: { color: theme.muted } } },
      xAxis: axis(theme, { type: "time" }),
      yAxis: axis(theme, { type: "value", min: 0, max: 1, axisLabel: { color: theme.muted, formatter: percent } }),
      series: [{ type: "line", step: "end", symbol: "none", data: steps.length ? [[steps[0][0], 0], ...steps] : [], lineStyle: { width: 2, color: CYCLE[0] },
        itemStyle: { color: CYCLE[0] }, areaStyle: { color: CYCLE[0], opacity: 0.15 },
        markLine: job.target === null ? undefined : { silent: true, symbol: "none", lineStyle: { color: theme.late, type: "solid", width: 2 },
          label: { color: theme.ink, formatter: "target", position: "end", align: job.ends.length && job.target <= job.ends[0] ? "left" : "center" }, data: [{ xAxis: job.target }] } }],
    });
  }

  function drivers() {
    const theme = look();
    const job = plan.jobs[state.job];
    const rows = job.drivers.filter((driver) => driver[1] !== null).slice(0, 8);
    const sure = rows.some((driver) => driver[3]);
    const about = rows.length
      ? `Rank correlation with the end: right is later. Grey: ${plan.not_told} with ${plan.replicas} runs.${sure ? "" : ` Driven by ${plan.no_driver}.`}`
      : "Assumptions were the same in all runs: the spread comes from failures and placement alone. Draw them with --assumptions sample.";
    const chart = panel("third", `What drives it: ${job.title}`, about, rows.length ? 60 + 34 * rows.length : 20);
    if (!rows.length) return;
    chart.setOption({
      ...shared(theme), grid: { left: narrow() ? 120 : 200, right: 40, top: 10, bottom: 34 },
      tooltip: tipped(theme, (at) => tip(rows[at.dataIndex][0], [`rank correlation ${rows[at.dataIndex][1].toFixed(2)}`,
        rows[at.dataIndex][2] === null ? "" : `share of the variance ${percent(rows[at.dataIndex][2])}`,
        rows[at.dataIndex][3] ? "" : plan.not_told]), "item"),
      xAxis: axis(theme, { type: "value", min: -1, max: 1 }),
      yAxis: { type: "category", inverse: true, data: rows.map((driver) => driver[0]), axisTick: { show: false }, axisLine: { show: false },
        axisLabel: { color: theme.ink, fontSize: 11, width: narrow() ? 112 : 190, overflow: "truncate" } },
      series: [{ type: "bar", barMaxWidth: 20, data: rows.map((driver) => ({ value: driver[1],
        itemStyle: { color: driver[3] ? CYCLE[1] : theme.muted, opacity: driver[3] ? 1 : 0.5 } })) }],
    });
  }

  function pick(index) {
    state.job = index;
    byId("choice-job").value = String(index);
    if (state.charts.first) state.charts.first.setOption({ series: [{ data: plan.jobs.map((job, i) => [plan.start, i]) }] });
    chances();
    drivers();
    const job = plan.jobs[index];
    byId("live").textContent = `${job.title}: median end ${end(job, "p50")}, P90 ${end(job, "p90")}`
      + (job.unknown ? ", whether the target is met is not known" : job.chance === null ? "" : `, target met in ${percent(job.chance)} of the runs`);
  }

  function draw() {
    ends();
    chances();
    drivers();
  }

  state.pick = pick;
  window.Forecast = { draw, pick };
})();
