"use strict";
/* What the charts of sweeps and forecasts share, on Apache ECharts. Names reach the page only as text. */
(function () {
  const { chart: plan, sections } = JSON.parse(document.getElementById("data").textContent);
  const { el, look, tip } = window.Page;
  const byId = (id) => document.getElementById(id);
  const CYCLE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"];
  const SHAPES = ["circle", "rect", "triangle", "diamond", "roundRect", "pin"];
  const state = { charts: {}, job: 0, measure: 0, x: 0, map: false, pick: null };
  const date = (ms) => (ms === null ? "not within the simulated time" : new Date(ms).toISOString().slice(0, 10));
  const percent = (share) => `${Math.round(100 * share)} %`;
  const number = (value) => (value === null ? "?" : parseFloat(value.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 }));
  /* A value of a varied field as people write it: 2000000000000.0 is 2e12. */
  const value = (text) => (/^-?\d{6,}(\.0*)?$/.test(text) ? Number(text).toExponential().replace("e+", "e") : text.replace(/^(-?\d+)\.0$/, "$1"));
  const narrow = () => document.documentElement.clientWidth < 700;
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  function panel(id, title, about, height) {
    const host = byId(id);
    const old = state.charts[id];
    if (old) old.dispose();
    const canvas = el("div", { class: "canvas", tabindex: "0", role: "img", "aria-label": `${title}. ${about}` });
    canvas.style.height = `${height}px`;
    host.replaceChildren(el("h2", {}, title), el("p", { class: "quiet" }, about), canvas);
    state.charts[id] = window.echarts.init(canvas, null, { renderer: "canvas" });
    canvas.addEventListener("keydown", (event) => keys(id, event));
    return state.charts[id];
  }

  /* Plus, minus, arrows and 0 move the zoom of a chart; in the forecast up and down choose a job. */
  function keys(id, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const chart = state.charts[id];
    const zoom = (chart.getOption().dataZoom || [])[0];
    if (state.pick && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      state.pick((state.job + (event.key === "ArrowUp" ? -1 : 1) + plan.jobs.length) % plan.jobs.length);
      return;
    }
    if (!zoom) return;
    const [a, b] = [zoom.start, zoom.end];
    const half = (b - a) / 4;
    const moves = { "+": [a + half, b - half], "=": [a + half, b - half], "-": [a - 2 * half, b + 2 * half],
      ArrowLeft: [a - half, b - half], ArrowRight: [a + half, b + half], 0: [0, 100] };
    const to = moves[event.key];
    if (!to) return;
    event.preventDefault();
    const width = Math.min(100, to[1] - to[0]);
    const first = Math.max(0, Math.min(100 - width, to[0]));
    chart.dispatchAction({ type: "dataZoom", start: first, end: first + width });
  }

  const shared = (theme) => ({ animation: false, useUTC: true, backgroundColor: "transparent", textStyle: { color: theme.ink } });
  const zoom = (theme, bottom) => [
    { type: "inside", xAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true, preventDefaultMouseMove: false },
    { type: "slider", xAxisIndex: 0, filterMode: "none", height: 20, bottom, showDetail: false, borderColor: theme.grid, brushSelect: false,
      dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { opacity: 0 } } },
  ];
  const tipped = (theme, formatter, trigger) => ({ trigger, confine: true, backgroundColor: theme.paper, borderColor: theme.grid,
    textStyle: { color: theme.ink, fontSize: 12.5 }, formatter });
  const DATES = { year: "{yyyy}", month: "{MMM} {yyyy}", day: "{d} {MMM}", hour: "{d} {MMM} {HH}:{mm}" };
  const axis = (theme, more) => ({ axisLabel: { color: theme.muted, hideOverlap: true, ...(more.type === "time" ? { formatter: DATES } : {}) },
    axisLine: { lineStyle: { color: theme.grid } },
    splitLine: { lineStyle: { color: theme.grid } }, nameTextStyle: { color: theme.muted }, ...more });

  window.Study = { plan, sections, state, CYCLE, SHAPES, byId, look, date, percent, number, value, narrow, cut, panel, shared, zoom, tipped, axis, tip };
})();
