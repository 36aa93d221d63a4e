"use strict";
/* Charts of a forecast: ends with their spread, chances by date, drivers. */
(function () {
  const { plan, state, CYCLE, byId, look, date, percent, narrow, panel, shared, zoom, tipped, axis, tip } = window.Study;

  const { el } = window.Page;

  function span() {
    const all = plan.jobs.flatMap((job) => [job.target, ...Object.values(job.finish),
      ...job.phases.flatMap((phase) => [phase.start[1], phase.end[1]])]).filter((value) => value !== null);
    const [low, high] = [Math.min(plan.start, ...all), Math.max(...all, plan.start + 864e5)];
    return [low, high + 0.03 * (high - low)];
  }

  function jobTip(job) {
    return tip(job.title, [
      `${job.means || "end"}: P10 ${date(job.finish.p10)}, P50 ${date(job.finish.p50)}, P80 ${date(job.finish.p80)}, P90 ${date(job.finish.p90)}`,
      job.target === null ? "no target" : `target ${date(job.target)}`,
      job.unknown ? `not known in ${job.unknown} of ${plan.replicas} runs: the target lies after the simulated time` : "",
      job.chance === null ? "" : `met in ${percent(job.chance)} of the runs (95 % interval ${percent(job.interval[0])} to ${percent(job.interval[1])})`,
      job.slip ? `slip: median ${job.slip.p50.toFixed(1)} d, P10 ${job.slip.p10.toFixed(1)} d, P90 ${job.slip.p90.toFixed(1)} d` : "",
      job.finished < plan.replicas ? `not done at the end of the simulated time in ${plan.replicas - job.finished} of ${plan.replicas} runs` : "",
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
      add({ x: x(phase.start[1]), y: top + 0.18 * free, width: Math.max(1, stop - x(phase.start[1])), height: 0.26 * free }, phase.colour, open ? 0.5 : 1);
    }
    const y = top + 0.66 * free;
    const { p10, p50, p80, p90 } = job.finish;
    if (p10 !== null) {
      add({ x: x(p10), y: y - 2, width: Math.max(2, x(p90) - x(p10)), height: 4 }, theme.ink, 1);
      for (const [value, half] of [[p10, 5], [p80, 4], [p90, 5]]) add({ x: x(value) - 1, y: y - half, width: 2, height: 2 * half }, theme.ink, 1);
      const at = x(p50);
      if (at >= area.x && at <= area.x + area.width) {
        children.push({ type: "polygon", shape: { points: [[at - 6, y], [at, y - 6], [at + 6, y], [at, y + 6]] },
          style: { fill: theme.paper, stroke: theme.ink, lineWidth: 1.5 } });
      }
    }
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

  function chances() {
    const theme = look();
    const job = plan.jobs[state.job];
    const chart = panel("second", `Chance to be done: ${job.title}`,
      `Share of ${plan.replicas} runs that reach it by a date: ${job.means || "end of the whole job"}.`
      + (job.finished < plan.replicas ? ` Later than ${date(plan.horizon)}: projected, not simulated.` : ""), 320);
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
    const about = rows.length
      ? `Rank correlation with the end: right is later. Grey: within ±${plan.noise.toFixed(2)}, what chance gives with ${plan.replicas} runs.`
      : "Assumptions were the same in all runs: the spread comes from failures and placement alone. Draw them with --assumptions sample.";
    const chart = panel("third", `What drives it: ${job.title}`, about, rows.length ? 60 + 34 * rows.length : 20);
    if (!rows.length) return;
    chart.setOption({
      ...shared(theme), grid: { left: narrow() ? 120 : 200, right: 40, top: 10, bottom: 34 },
      tooltip: tipped(theme, (at) => tip(rows[at.dataIndex][0], [`rank correlation ${rows[at.dataIndex][1].toFixed(2)}`,
        rows[at.dataIndex][2] === null ? "" : `share of the variance ${percent(rows[at.dataIndex][2])}`]), "item"),
      xAxis: axis(theme, { type: "value", min: -1, max: 1 }),
      yAxis: { type: "category", inverse: true, data: rows.map((driver) => driver[0]), axisTick: { show: false }, axisLine: { show: false },
        axisLabel: { color: theme.ink, fontSize: 11, width: narrow() ? 112 : 190, overflow: "truncate" } },
      series: [{ type: "bar", barMaxWidth: 20, data: rows.map((driver) => ({ value: driver[1],
        itemStyle: { color: Math.abs(driver[1]) <= plan.noise ? theme.muted : CYCLE[1], opacity: Math.abs(driver[1]) <= plan.noise ? 0.5 : 1 } })) }],
    });
  }

  function pick(index) {
    state.job = index;
    byId("choice-job").value = String(index);
    if (state.charts.first) state.charts.first.setOption({ series: [{ data: plan.jobs.map((job, i) => [plan.start, i]) }] });
    chances();
    drivers();
    const job = plan.jobs[index];
    byId("live").textContent = `${job.title}: median end ${date(job.finish.p50)}, P90 ${date(job.finish.p90)}`
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
