"use strict";
/* Charts of a sweep: lines, heat map, cost against benefit, differences, tornado. */
(function () {
  const { plan, state, CYCLE, SHAPES, byId, look, number, value, narrow, cut, panel, shared, zoom, tipped, axis, tip } = window.Study;

  const pointName = (i) => plan.parameters.map((parameter) => `${parameter.name} = ${value(parameter.texts[i])}`).join(", ");

  function whiskers(rows, theme) {
    return { type: "custom", silent: true, z: 3, data: rows, encode: { x: 0, y: [1, 2] }, renderItem: (params, api) => {
      const [x, low] = api.coord([api.value(0), api.value(1)]);
      const high = api.coord([api.value(0), api.value(2)])[1];
      const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: theme, lineWidth: 1.4 } });
      return { type: "group", children: [line(x, low, x, high), line(x - 5, low, x + 5, low), line(x - 5, high, x + 5, high)] };
    } };
  }

  const open = (measure, i) => Boolean(measure.unfinished && measure.unfinished[i]);

  /* The mark of a point that rests on runs which the horizon cut off is hollow. */
  const mark = (measure, i, theme, colour) => (open(measure, i) ? { itemStyle: { color: theme.paper, borderColor: colour, borderWidth: 2 } } : {});

  function pointTip(measure, i) {
    return tip(pointName(i), [open(measure, i) ? `unfinished: ${measure.unfinished[i]} runs that the horizon cut off` : "", `${measure.label}: ${measure.marks[i]}${number(measure.mean[i])} ± ${number(measure.ci_half_width[i])} ${measure.unit}`,
      `difference to point 0: ${number(measure.difference[i])} ± ${number(measure.difference_ci_half_width[i])} ${measure.unit}`]);
  }

  function curves() {
    const theme = look();
    const measure = plan.measures[state.measure];
    const across = plan.parameters[state.x];
    const ticks = [...new Set(across.texts)];
    const others = plan.parameters.filter((_, i) => i !== state.x);
    const groups = new Map();
    across.texts.forEach((text, i) => {
      const key = others.map((parameter) => `${parameter.name} = ${value(parameter.texts[i])}`).join(", ");
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(i);
    });
    const chart = panel("first", `${measure.label} [${measure.unit}]`, `${measure.meaning}; mean over the runs with its 95 % interval. `
      + "Hover for the difference to point 0; click a legend entry to hide a line.", 420);
    /* Between names there is nothing that a line could mean. */
    const joined = ticks.every((text) => /^[+\-−]?[\d.]/.test(String(text)));
    const series = [...groups].slice(0, 40).flatMap(([key, members], g) => {
      const colour = CYCLE[g % CYCLE.length];
      const known = members.filter((i) => measure.mean[i] !== null);
      const name = key || measure.label;
      return [{ name, type: "line", symbol: SHAPES[g % SHAPES.length], symbolSize: 9, lineStyle: { width: joined ? 2 : 0, color: colour },
        itemStyle: { color: colour }, data: known.map((i) => ({ value: [ticks.indexOf(across.texts[i]), measure.mean[i]], point: i, ...mark(measure, i, theme, colour) })) },
      { ...whiskers(known.filter((i) => measure.ci_half_width[i] !== null).map((i) => [ticks.indexOf(across.texts[i]),
        measure.mean[i] - measure.ci_half_width[i], measure.mean[i] + measure.ci_half_width[i]]), colour), name }];
    });
    chart.setOption({
      ...shared(theme), grid: { left: 64, right: 24, top: groups.size > 1 ? 44 : 16, bottom: 44 },
      legend: { show: groups.size > 1, type: "scroll", top: 0, textStyle: { color: theme.ink }, pageTextStyle: { color: theme.ink } },
      tooltip: tipped(theme, (at) => (at.data && at.data.point !== undefined ? pointTip(measure, at.data.point) : ""), "item"),
      xAxis: axis(theme, { type: "category", data: ticks.map(value), name: across.name, nameLocation: "middle", nameGap: 28 }),
      yAxis: axis(theme, { type: "value", scale: true }), series,
    });
  }

  /* Points spread over ranges: all fields differ between any two, so nothing joins them. */
  function scattered() {
    const theme = look();
    const measure = plan.measures[state.measure];
    const across = plan.parameters[state.x];
    const dated = across.texts.every((text) => /^\d{4}-\d{2}-\d{2}/.test(String(text)));
    const places = across.texts.map((text) => (dated ? Date.parse(text) : parseFloat(text)));
    const unit = dated ? "" : String(across.texts[0]).replace(/^[+-]?[\d.]+(e[+-]?\d+)?\s*/i, "");
    const known = places.map((_, i) => i).filter((i) => measure.mean[i] !== null);
    const least = Math.min(...places);
    const wide = !dated && least > 0 && Math.max(...places) > 30 * least;
    const chart = panel("first", `${measure.label} [${measure.unit}]`, `${measure.meaning}; mean over the runs with its 95 % interval. `
      + "Each mark is a point; hover for all its fields.", 420);
    chart.setOption({
      ...shared(theme), grid: { left: 64, right: 24, top: 16, bottom: 44 },
      tooltip: tipped(theme, (at) => (at.data && at.data.point !== undefined ? pointTip(measure, at.data.point) : ""), "item"),
      xAxis: axis(theme, { type: dated ? "time" : wide ? "log" : "value", scale: true, name: unit ? `${across.name} [${unit}]` : across.name,
        nameLocation: "middle", nameGap: 28 }),
      yAxis: axis(theme, { type: "value", scale: true }),
      series: [{ name: measure.label, type: "scatter", symbolSize: 8, itemStyle: { color: CYCLE[0] },
        data: known.map((i) => ({ value: [places[i], measure.mean[i]], point: i, ...mark(measure, i, theme, CYCLE[0]) })) },
      whiskers(known.filter((i) => measure.ci_half_width[i] !== null).map((i) => [places[i],
        measure.mean[i] - measure.ci_half_width[i], measure.mean[i] + measure.ci_half_width[i]]), CYCLE[0])],
    });
  }

  const CIVIDIS = ["#00224E", "#35456C", "#666970", "#948E77", "#C8B866", "#FEE838"];

  /* Whether the points are all pairs of the values of the two varied fields. */
  function isGrid() {
    if (plan.parameters.length !== 2) return false;
    const [first, second] = plan.parameters.map((parameter) => parameter.texts);
    const counts = [new Set(first).size, new Set(second).size];
    return Math.min(...counts) > 1 && counts[0] * counts[1] === first.length && new Set(first.map((_, i) => pointName(i))).size === first.length;
  }

  function heatmap() {
    const theme = look();
    const measure = plan.measures[state.measure];
    const across = plan.parameters[state.x];
    const up = plan.parameters[1 - state.x];
    const [columns, rows] = [[...new Set(across.texts)], [...new Set(up.texts)]];
    const known = measure.mean.filter((mean) => mean !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const chart = panel("first", `${measure.label} [${measure.unit}]`, `${measure.meaning}; mean over the runs. Hover for interval and difference.`,
      Math.max(260, 110 + 44 * rows.length));
    const fits = chart.getWidth() / columns.length > 64;
    const cells = measure.mean.map((mean, i) => ({ value: [columns.indexOf(across.texts[i]), rows.indexOf(up.texts[i]), mean], point: i,
      label: { color: mean !== null && mean > low + 0.55 * (high - low) ? "#111" : "#fff" } })).filter((cell) => cell.value[2] !== null);
    const named = (name, more) => axis(theme, { type: "category", name: cut(name, narrow() ? 40 : 90), nameLocation: "middle", splitLine: { show: false }, ...more });
    chart.setOption({
      ...shared(theme), grid: { left: 96, right: 20, top: 44, bottom: 52 },
      tooltip: tipped(theme, (at) => pointTip(measure, at.data.point), "item"),
      visualMap: { min: low, max: high > low ? high : low + 1, calculable: false, orient: "horizontal", left: "center", top: 0, itemWidth: 12,
        itemHeight: 160, inRange: { color: CIVIDIS }, text: [number(high), number(low)], textStyle: { color: theme.ink } },
      xAxis: named(across.name, { data: columns.map(value), nameGap: 30 }), yAxis: named(up.name, { data: rows.map(value), nameGap: 76 }),
      series: [{ type: "heatmap", data: cells, itemStyle: { borderColor: theme.paper, borderWidth: 1 },
        label: { show: fits, formatter: (at) => measure.marks[at.data.point] + number(at.value[2]) } }],
    });
  }

  /* Points of which no other is both cheaper and lower; only where lower is better. */
  function front(dots) {
    const kept = [];
    for (const dot of dots.slice().sort((a, b) => a.value[0] - b.value[0] || a.value[1] - b.value[1])) {
      if (!kept.length || dot.value[1] < kept[kept.length - 1].value[1]) kept.push(dot);
    }
    return kept;
  }

  function tradeoff() {
    const theme = look();
    const measure = plan.measures[state.measure];
    const cost = plan.measures.find((item) => item.name === plan.cost);
    if (!cost || cost === measure) { byId("second").replaceChildren(); return; }
    const harm = /(_days|interruptions|energy_MWh)$/.test(measure.name);
    const chart = panel("second", "Against cost", `${measure.label} [${measure.unit}] up, ${cost.label} [${cost.unit}] across; one dot per point`
      + `${harm ? "; the line joins those that no other beats in both" : ""}.`, 320);
    const incomplete = (i) => open(cost, i) || open(measure, i);
    const dots = cost.mean.map((paid, i) => ({ value: [paid, measure.mean[i]], point: i, ...(incomplete(i) ? mark(open(cost, i) ? cost : measure, i, theme, CYCLE[0]) : {}) })).filter((dot) => dot.value.every((v) => v !== null));
    chart.setOption({
      ...shared(theme), grid: { left: 64, right: 30, top: 14, bottom: 62 }, 
      tooltip: tipped(theme, (at) => tip(pointName(at.data.point), [`${measure.label}: ${number(at.value[1])} ${measure.unit}`,
        `${cost.label}: ${number(at.value[0])} ${cost.unit}`]), "item"),
      xAxis: axis(theme, { type: "value", scale: true }), yAxis: axis(theme, { type: "value", scale: true }),
      series: [{ type: "scatter", symbolSize: 11, itemStyle: { color: CYCLE[0] }, data: dots },
        { type: "line", silent: true, symbol: "none", step: "end", lineStyle: { color: CYCLE[1], width: 2 }, z: 1, data: harm ? front(dots.filter((dot) => !incomplete(dot.point))) : [] }],
    });
  }

  function differences() {
    const theme = look();
    const measure = plan.measures[state.measure];
    const order = measure.difference.map((_, i) => i).filter((i) => i && measure.difference[i] !== null)
      .sort((a, b) => measure.difference[a] - measure.difference[b]).slice(0, 30);
    if (!order.length) { byId("third").replaceChildren(); return; }
    const chart = panel("third", "Difference to point 0", `${measure.label} [${measure.unit}], run by run; grey: smaller than its 95 % interval, or of runs that the horizon cut off.`,
      Math.max(200, 60 + 22 * order.length));
    const sure = (i) => !open(measure, i) && !open(measure, 0) && (measure.difference_ci_half_width[i] === null || Math.abs(measure.difference[i]) > measure.difference_ci_half_width[i]);
    chart.setOption({
      ...shared(theme), grid: { left: narrow() ? 130 : 210, right: 30, top: 8, bottom: 30 },
      tooltip: tipped(theme, (at) => pointTip(measure, order[at.dataIndex]), "item"),
      xAxis: axis(theme, { type: "value" }),
      yAxis: { type: "category", inverse: true, data: order.map((i) => plan.parameters.map((p) => value(p.texts[i])).join(", ")), axisTick: { show: false },
        axisLine: { show: false }, axisLabel: { color: theme.ink, fontSize: 11, width: narrow() ? 122 : 200, overflow: "truncate" } },
      series: [{ type: "bar", barMaxWidth: 16, data: order.map((i) => ({ value: measure.difference[i], itemStyle: { opacity: sure(i) ? 1 : 0.5,
        color: sure(i) ? (measure.difference[i] > 0 ? theme.late : theme.early) : theme.muted } })) }],
    });
  }

  function tornado() {
    const theme = look();
    const measure = plan.measures[state.measure];
    const [names, ends] = plan.parameters.map((parameter) => parameter.texts);
    const bars = new Map();
    names.forEach((name, i) => { if (i) bars.set(name, { ...bars.get(name), [ends[i]]: i }); });
    const reach = ([, bar]) => Math.max(...["low", "high"].map((end) => Math.abs(measure.difference[bar[end]] || 0)));
    const rows = [...bars].sort((a, b) => reach(b) - reach(a)).slice(0, 30);
    const chart = panel("first", `${measure.label} [${measure.unit}]: one assumption at a time`,
      "Change against the central case, run by run with the same seeds, when one assumption goes to its low or high end."
      + (measure.unfinished.some((count) => count) ? " Pale: rests on runs that the horizon cut off." : ""), 80 + 24 * rows.length);
    const side = (end, g) => ({ name: `${end} end`, type: "bar", barGap: "-100%", barMaxWidth: 18, itemStyle: { color: CYCLE[g] },
      data: rows.map(([, bar]) => ({ value: measure.difference[bar[end]], point: bar[end],
        itemStyle: { opacity: open(measure, bar[end]) || open(measure, 0) ? 0.5 : 1 } })) });
    chart.setOption({
      ...shared(theme), grid: { left: narrow() ? 140 : 380, right: 30, top: 34, bottom: 30 }, legend: { top: 0, textStyle: { color: theme.ink } },
      tooltip: tipped(theme, (at) => tip(`${at.name} (${at.seriesName})`, [`${number(at.value)} ± ${number(measure.difference_ci_half_width[at.data.point])} ${measure.unit}`]), "item"),
      xAxis: axis(theme, { type: "value" }),
      yAxis: { type: "category", inverse: true, data: rows.map(([name]) => name), axisTick: { show: false }, axisLine: { show: false },
        axisLabel: { color: theme.ink, fontSize: 11, width: narrow() ? 132 : 370, overflow: "truncate" } },
      series: [side("low", 0), side("high", 1)],
    });
  }

  function draw() {
    if (plan.kind === "tornado") {
      tornado();
    } else if (plan.parameters.length) {
      if (plan.kind === "sample") scattered();
      else if (state.map) heatmap();
      else curves();
      tradeoff();
      differences();
    }
  }

  window.Sweep = { draw, isGrid };
})();
