"use strict";
/* Builds the page from the data: text only ever goes through textContent. */
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { chart: plan, sections } = data;
  const G = window.Gantt;
  const { el, tip } = window.Page;
  const { story, redrawStory } = window.Story;
  const OPEN = ["Jobs", "Slip by cause [days]", "Cluster", "Warnings", "How to reproduce"];
  const byId = (id) => document.getElementById(id);
  const state = { jobs: plan.jobs, selected: -1, chart: null, range: plan.range.slice() };

  /* ---- the chart ---- */

  function slowedBy(phase) {
    const lost = phase.slowed.reduce((sum, [from, to, share]) => sum + share * (to - from), 0);
    return lost ? `slowed by other jobs: ${(lost / 864e5).toFixed(1)} d lost` : "";
  }

  function jobTip(job, phase) {
    if (phase) {
      const end = phase.end === null ? "not finished" : G.date(phase.end);
      const waits = new Map();
      for (const [name, from, to] of phase.waits) waits.set(name, (waits.get(name) || 0) + (to - from) / 864e5);
      return tip(`${job.title}: ${phase.labels[0]}`, [
        phase.start === null ? "waiting" : `${G.date(phase.start)} to ${end}`, phase.facts.join(" · "),
        ...[...waits].map(([name, days]) => `${plan.waits[name]}: ${days.toFixed(1)} d`), slowedBy(phase)]);
    }
    return tip(job.title, [job.caption, `${G.date(job.submit)} to ${job.finish === null ? "?" : G.date(job.finish)}`,
      job.target === null ? "" : `target ${G.date(job.target)} ${job.target_means} ${job.slip}`,
      `${job.failures.length} failures`, "Click for its story"]);
  }

  function layout(width) {
    const narrow = width < G.NARROW;
    const shown = state.jobs.length;
    const row = narrow ? 58 : shown > 40 ? 30 : 54;
    const most = Math.max(4, Math.floor((narrow ? 640 : 660) / row));
    const rows = Math.max(1, Math.min(shown, most));
    const strip = narrow ? 64 : 78;
    const strips = plan.sites.length + 1;
    const left = narrow ? 40 : 270;
    return { narrow, row, rows, most, strip, strips, left, right: shown > most ? 34 : 14, top: 34,
      height: 34 + row * rows + 16 + strips * (strip + 22) + 64 };
  }

  function grids(at) {
    const list = [{ left: at.left, right: at.right, top: at.top, height: at.row * at.rows }];
    for (let i = 0; i < at.strips; i += 1) {
      list.push({ left: at.left, right: at.right, height: at.strip,
        top: at.top + at.row * at.rows + 34 + i * (at.strip + 22) });
    }
    return list;
  }

  const DATES = { year: "{primary|{yyyy}}", month: "{MMM}", day: "{d} {MMM}", hour: "{d} {MMM} {HH}:{mm}", minute: "{HH}:{mm}" };
  const UNITS = [[1e6, "M"], [1e3, "k"], [1, ""]];
  const short = (v) => { const u = UNITS.find(([s]) => Math.abs(v) >= s) || UNITS[2]; return `${+(v / u[0]).toPrecision(3)}${u[1]}`; };

  function axes(at, theme) {
    const x = grids(at).map((_, i) => ({
      type: "time", gridIndex: i, min: plan.range[0], max: plan.range[1], position: i ? "bottom" : "top",
      axisLabel: { show: i === 0 || i === at.strips, color: theme.muted, hideOverlap: true, fontSize: 11, formatter: DATES },
      axisLine: { show: i > 0, lineStyle: { color: theme.grid } }, axisTick: { show: false },
      splitLine: { show: true, lineStyle: { color: theme.grid } }, axisPointer: { show: i > 0 },
    }));
    const y = grids(at).map((_, i) => i === 0
      ? { type: "category", gridIndex: 0, inverse: true, data: state.jobs.map((job) => job.name), axisTick: { show: false },
        axisLine: { show: false }, axisLabel: { show: false } }
      : { type: "value", gridIndex: i, min: 0, splitNumber: 2, axisLabel: { color: theme.muted, fontSize: 10,
        formatter: short }, splitLine: { lineStyle: { color: theme.grid, opacity: 0.5 } } });
    return { x, y };
  }

  function rowSeries(at, theme) {
    const common = { type: "custom", xAxisIndex: 0, yAxisIndex: 0, encode: { x: -1, y: 0 }, silent: false };
    return {
      ...common, name: "jobs", clip: false,
      data: state.jobs.map((job, i) => [i, 0]),
      renderItem: (params, api) => {
        const index = api.value(0);
        const job = state.jobs[index];
        const area = params.coordSys;
        const height = api.size([0, 1])[1];
        const top = api.coord([0, index])[1] - height / 2;
        if (top < area.y - 1 || top + height > area.y + area.height + 1) return null;
        const place = G.geometry(height, at.narrow);
        const shift = (value) => top + value;
        const lanes = { bars: place.bars.map(shift), rug: place.rug.map(shift), marks: shift(place.marks) };
        const children = [];
        const chosen = state.selected === index;
        children.push({ type: "rect", info: { job: index }, shape: { x: 0, y: top, width: area.x + area.width, height },
          style: { fill: chosen ? theme.grid : index % 2 ? theme.stripe : theme.paper, opacity: chosen ? 0.7 : 0.55 } });
        children.push(...title(job, top, height, at, theme));
        job.phases.forEach((phase, p) => {
          const shapes = G.phaseShapes(job, phase, lanes, api, area, theme, plan);
          shapes.forEach((shape) => { shape.info = { job: index, phase: p }; });
          children.push(...shapes);
        });
        children.push(...G.rug(job, api, area, lanes.rug[0], lanes.rug[1], theme.failure));
        children.push(...G.markShapes(job, lanes, top, top + height, api, area, theme));
        return { type: "group", children };
      },
    };
  }

  function title(job, top, height, at, theme) {
    const width = at.narrow ? 330 : at.left - 24;
    const head = { type: "text", silent: true, style: { text: job.title, x: at.narrow ? 6 : 10,
      y: at.narrow ? top + 3 : top + height / 2 - (height > 36 ? 8 : 0), width, overflow: "truncate",
      verticalAlign: at.narrow ? "top" : "middle", fontWeight: "bold", fontSize: height > 36 && job.title.length < 34 ? 12.5 : 11,
      fill: theme.ink } };
    if (at.narrow || height <= 36) return [head];
    return [head, { type: "text", silent: true, style: { text: job.caption, x: 10, y: top + height / 2 + 8, width,
      overflow: "truncate", verticalAlign: "middle", fontSize: 10.5, fill: theme.muted } }];
  }

  function stripSeries(theme) {
    const colours = ["#009E73", theme.dark ? "#0b5c48" : "#8bd3bf", "#e8a57f", theme.dark ? "#3d424a" : "#d6d6d6"];
    const series = [];
    plan.sites.forEach((site, s) => {
      plan.layers.forEach((name, i) => series.push({ name, type: "line", step: "middle", stack: `site${s}`, symbol: "none",
        xAxisIndex: s + 1, yAxisIndex: s + 1, lineStyle: { width: 0 }, areaStyle: { color: colours[i], opacity: 1 },
        itemStyle: { color: colours[i] }, silent: true, emphasis: { disabled: true },
        data: site.layers[i].map((v, t) => [plan.times[t], v]) }));
      series.push({ name: "installed", type: "line", step: "middle", symbol: "none", xAxisIndex: s + 1, yAxisIndex: s + 1,
        lineStyle: { width: 1, color: theme.ink }, itemStyle: { color: theme.ink }, silent: true, emphasis: { disabled: true },
        data: site.installed.map((v, t) => [plan.times[t], v]) });
    });
    const last = plan.sites.length + 1;
    const power = { name: "power [MW]", type: "line", step: "middle", symbol: "none", xAxisIndex: last, yAxisIndex: last,
      lineStyle: { width: 1.2, color: "#E69F00" }, itemStyle: { color: "#E69F00" },
      areaStyle: { color: "#E69F00", opacity: 0.3 },
      silent: true, emphasis: { disabled: true }, data: plan.power.map((v, t) => [plan.times[t], v]) };
    if (plan.power_limit !== null) {
      power.markLine = { silent: true, symbol: "none", lineStyle: { color: theme.ink }, label: { show: false },
        data: [{ yAxis: plan.power_limit }] };
    }
    series.push(power);
    return series;
  }

  function headings(at, theme) {
    const names = [...plan.sites.map((site) => `GPUs: ${site.name}`), "Power [MW]"];
    return names.map((text, i) => ({ text, left: at.narrow ? 6 : 10, top: at.top + at.row * at.rows + 16 + i * (at.strip + 22)
      + (at.narrow ? 0 : 8 + at.strip / 2 - 9),
    textStyle: { lineHeight: 15, fontSize: at.narrow ? 11 : 12.5, color: theme.ink, fontWeight: "bold", width: at.narrow ? 330 : at.left - 80,
      overflow: at.narrow ? "truncate" : "break" }, padding: 0 }));
  }

  function zooms(at, theme) {
    const all = Array.from({ length: at.strips + 1 }, (_, i) => i);
    const list = [
      { id: "time", type: "inside", xAxisIndex: all, filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true,
        preventDefaultMouseMove: false, startValue: state.range[0], endValue: state.range[1] },
      { id: "slider", type: "slider", xAxisIndex: all, filterMode: "none", height: 22, bottom: 6, left: at.left,
        right: at.right, startValue: state.range[0], endValue: state.range[1], showDetail: false, borderColor: theme.grid,
        dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } }, brushSelect: false },
    ];
    if (state.jobs.length > at.most) {
      list.push({ id: "rows", type: "slider", yAxisIndex: 0, filterMode: "none", width: 16, right: 4, top: at.top,
        height: at.row * at.rows, startValue: 0, endValue: at.rows - 1, zoomLock: true, brushSelect: false,
        showDetail: false, borderColor: theme.grid });
    }
    return list;
  }

  function draw() {
    const host = byId("chart");
    const theme = G.look();
    const at = layout(host.clientWidth);
    host.style.height = `${at.height}px`;
    if (state.chart) state.chart.dispose();
    state.chart = window.echarts.init(host, null, { renderer: "canvas" });
    const { x, y } = axes(at, theme);
    state.chart.setOption({
      animation: false, useUTC: true, backgroundColor: "transparent", textStyle: { color: theme.ink },
      grid: grids(at), xAxis: x, yAxis: y, title: headings(at, theme), dataZoom: zooms(at, theme),
      axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: theme.muted } },
      series: [rowSeries(at, theme), ...stripSeries(theme)],
    });
    pointer(at);
    state.chart.on("datazoom", remember);
  }

  /* Hover: rows and phases carry `info`; the strips answer with the values at that moment. */
  function pointer(at) {
    const box = byId("hover");
    state.chart.on("mousemove", (params) => {
      if (!params.info) return;
      const job = state.jobs[params.info.job];
      place(box, params.event, jobTip(job, params.info.phase === undefined ? null : job.phases[params.info.phase]));
    });
    state.chart.on("click", (params) => {
      if (!params.info) return;
      choose(params.info.job);
      story(state.jobs[params.info.job], true);
    });
    const zr = state.chart.getZr();
    zr.on("mousemove", (event) => {
      if (event.target) return;
      const panel = Array.from({ length: at.strips }, (_, i) => i + 1)
        .find((i) => state.chart.containPixel({ gridIndex: i }, [event.offsetX, event.offsetY]));
      if (panel === undefined) { box.hidden = true; return; }
      const when = state.chart.convertFromPixel({ gridIndex: panel }, [event.offsetX, event.offsetY])[0];
      place(box, event, levelTip(panel - 1, when));
    });
    zr.on("globalout", () => { box.hidden = true; });
  }

  function levelTip(panel, when) {
    let i = plan.times.findIndex((t) => t >= when);
    if (i < 0) i = plan.times.length - 1;
    if (panel === plan.sites.length) return tip(G.moment(plan.times[i]), [`power: ${plan.power[i].toPrecision(4)} MW`]);
    const site = plan.sites[panel];
    return tip(`${site.name}, ${G.moment(plan.times[i])}`, [`installed: ${site.installed[i].toLocaleString("en-US")} GPUs`,
      ...plan.layers.map((name, k) => `${name}: ${site.layers[k][i].toLocaleString("en-US")}`)]);
  }

  function place(box, event, content) {
    box.replaceChildren(content);
    box.hidden = false;
    const host = byId("chart").getBoundingClientRect();
    const width = box.offsetWidth;
    const left = Math.min(event.offsetX + 14, host.width - width - 4);
    box.style.left = `${Math.max(4, left) + host.left + window.scrollX}px`;
    box.style.top = `${event.offsetY + 16 + host.top + window.scrollY}px`;
  }

  function remember() {
    const zoom = state.chart.getOption().dataZoom[0];
    state.range = [zoom.startValue, zoom.endValue];
    announce();
  }

  function announce() {
    const job = state.jobs[state.selected];
    byId("live").textContent = `${G.date(state.range[0])} to ${G.date(state.range[1])}, ${state.jobs.length} of `
      + `${plan.jobs.length} jobs${job ? `; ${job.title}: ${job.slip || job.status}` : ""}`;
  }

  function zoomTo(from, to) {
    const [low, high] = plan.range;
    const width = Math.min(Math.max(to - from, 36e5), high - low);
    const first = Math.min(Math.max(from, low), high - width);
    state.chart.dispatchAction({ type: "dataZoom", batch: ["time", "slider"].map((id) => ({ dataZoomId: id,
      startValue: first, endValue: first + width })) });
    state.range = [first, first + width];
    announce();
  }

  const ACTS = {
    in: () => scale(0.5), out: () => scale(2), left: () => pan(-0.25), right: () => pan(0.25),
    all: () => zoomTo(plan.range[0], plan.range[1]),
  };

  function scale(factor) {
    const middle = (state.range[0] + state.range[1]) / 2;
    const half = ((state.range[1] - state.range[0]) / 2) * factor;
    zoomTo(middle - half, middle + half);
  }

  function pan(share) {
    const step = share * (state.range[1] - state.range[0]);
    zoomTo(state.range[0] + step, state.range[1] + step);
  }

  function choose(index) {
    if (!state.jobs.length) return;
    state.selected = Math.max(0, Math.min(state.jobs.length - 1, index));
    const at = layout(byId("chart").clientWidth);
    const option = { series: [{ data: state.jobs.map((job, i) => [i, 0]) }] };
    state.chart.setOption(option);
    if (state.jobs.length > at.most) {
      const first = Math.max(0, Math.min(state.jobs.length - at.rows, state.selected - Math.floor(at.rows / 2)));
      state.chart.dispatchAction({ type: "dataZoom", dataZoomId: "rows", startValue: first, endValue: first + at.rows - 1 });
    }
    announce();
  }

  const KEYS = {
    ArrowLeft: ACTS.left, ArrowRight: ACTS.right, "+": ACTS.in, "=": ACTS.in, "-": ACTS.out, 0: ACTS.all,
    ArrowUp: () => choose(state.selected - 1), ArrowDown: () => choose(state.selected + 1),
    Enter: () => { if (state.selected >= 0 && state.jobs[state.selected]) story(state.jobs[state.selected], true); },
  };

  function filter() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [status, site] = [byId("status").value, byId("site").value];
    state.jobs = plan.jobs.filter((job) => {
      const text = `${job.name} ${job.title} ${job.caption} ${job.site}`.toLowerCase();
      return words.every((word) => text.includes(word)) && (!status || job.status === status) && (!site || job.site === site);
    });
    state.selected = -1;
    draw();
    announce();
  }

  function legend() {
    const theme = G.look();
    const used = new Set(plan.jobs.flatMap((job) => job.phases.flatMap((phase) => phase.waits.map((wait) => wait[0]))));
    const items = plan.families.map((family) => [family.name, `background:${family.colour}`]);
    for (const name of Object.keys(plan.waits)) {
      const colour = G.WAITS[name].colour || theme.muted;
      const turn = { down: "45deg", up: "-45deg", bars: "90deg" }[G.WAITS[name].hatch];
      if (used.has(name)) {
        items.push([plan.waits[name], `border:1px solid ${colour};background:repeating-linear-gradient(${turn},${colour}55 `
          + `0 1px,transparent 1px 4px)`]);
      }
    }
    const glyphs = [["▸", "target", theme.ink], ["◆", "data ready", "#c9b100"], ["○", "reported outcome", theme.ink],
      ["|", "failures", theme.failure], ["→", "late", theme.late], ["←", "early", theme.early]];
    if (plan.jobs.some((job) => job.verdict === "unknown")) glyphs.push(["↔", "not known: target after the simulated time", theme.muted]);
    if (plan.jobs.some((job) => job.phases.some((phase) => phase.slowed.length))) glyphs.push(["▂", "slowed by other jobs", theme.ink]);
    byId("legend").replaceChildren(
      ...items.map(([text, style]) => el("span", {}, el("i", { style }), text)),
      ...glyphs.map(([glyph, text, colour]) => el("span", {}, el("b", { style: `color:${colour}` }, glyph), text)));
  }

  function options(select, values, all) {
    select.append(el("option", { value: "" }, all), ...values.map((value) => el("option", { value }, value)));
    select.addEventListener("change", filter);
  }

  const links = { has: (name) => plan.jobs.some((job) => job.name === name),
    open: (name) => story(plan.jobs.find((job) => job.name === name), true) };

  function start() {
    byId("headline").textContent = plan.headline;
    const tables = sections.filter((part) => part.title !== "Question");
    for (const part of sections.filter((found) => found.title === "Question")) {
      byId("question").append(...part.paragraphs.map((text) => el("p", {}, text)));
    }
    byId("jobs").append(...tables.map((part, i) => window.Page.section(part, i, OPEN, links)));
    document.body.append(el("div", { id: "hover", hidden: "", role: "tooltip" }));
    options(byId("status"), [...new Set(plan.jobs.map((job) => job.status))].sort(), "all");
    options(byId("site"), [...new Set(plan.jobs.map((job) => job.site))].sort(), "all");
    byId("filter").addEventListener("input", filter);
    document.querySelectorAll("[data-act]").forEach((button) => button.addEventListener("click", () => ACTS[button.dataset.act]()));
    byId("chart").addEventListener("keydown", (event) => {
      const act = KEYS[event.key];
      if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); act(); }
    });
    const redraw = () => { legend(); draw(); redrawStory(); };
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    let width = 0;
    new ResizeObserver(() => {
      const now = byId("chart").clientWidth;
      if (now !== width) { width = now; draw(); }
    }).observe(byId("chart"));
    legend();
    announce();
    window.colossus = { state, plan, zoomTo, choose, story };
  }

  start();
})();
