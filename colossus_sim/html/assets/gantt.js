"use strict";
/* The Gantt chart on Apache ECharts: custom series draw the rows, two more panels show GPUs and power. */
(function (root) {
  const NARROW = 700;
  /* Length of the arrow of a reported outcome without a latest date. */
  const OPEN = 36;
  const { look } = root.Page;
  const date = (ms) => new Date(ms).toISOString().slice(0, 10);
  const moment = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

  function textOn(colour) {
    const c = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16) / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4)));
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] < 0.2 ? "#fff" : "#1a1a1a";
  }

  /* Colour (empty: that of the phase) and direction of the hatch of each wait. */
  const WAITS = {
    data_wait: { colour: "#CC79A7", hatch: "down" }, gpu_wait: { colour: "#8C8C8C", hatch: "up" },
    capacity_wait: { colour: "#6E6E6E", hatch: "up" }, repair_wait: { colour: "#E69F00", hatch: "up" },
    calendar_floor: { colour: "", hatch: "bars" },
  };

  /* Lines of a hatch inside a box, on a raster that does not depend on the box. */
  function hatchPath(shape, kind) {
    const { x, y, width: w, height: h } = shape;
    const step = 6;
    let path = "";
    if (kind === "bars") {
      for (let at = Math.ceil(x / step) * step; at < x + w; at += step) path += `M${at} ${y}V${y + h}`;
      return path;
    }
    for (let at = Math.ceil((x - h) / step) * step; at < x + w; at += step) {
      const from = Math.max(0, x - at);
      const to = Math.min(h, x + w - at);
      if (to <= from) continue;
      path += kind === "down" ? `M${at + from} ${y + from}L${at + to} ${y + to}`
        : `M${at + from} ${y + h - from}L${at + to} ${y + h - to}`;
    }
    return path;
  }

  /* One row: where marks, bars and failures lie, in pixels from its top. */
  function geometry(height, narrow) {
    const head = narrow ? 15 : 0;
    const free = height - head;
    return { head, marks: head + 0.17 * free, bars: [head + 0.3 * free, head + 0.78 * free],
      rug: [head + 0.82 * free, head + 0.96 * free] };
  }

  function clipped(x, y, width, height, area) {
    return root.echarts.graphic.clipRectByRect({ x, y, width, height }, area);
  }

  /* Failures as three paths of rising opacity: how many fall into a pixel, at the zoom of the moment. */
  function rug(job, api, area, top, bottom, colour) {
    const bins = new Map();
    for (const t of job.failures) {
      const x = Math.round(api.coord([t, 0])[0] / 2) * 2;
      if (x >= area.x && x <= area.x + area.width) bins.set(x, (bins.get(x) || 0) + 1);
    }
    let most = 1;
    bins.forEach((n) => { most = Math.max(most, n); });
    const paths = ["", "", ""];
    bins.forEach((n, x) => {
      const level = most === 1 ? 1 : Math.min(2, Math.floor(3 * Math.sqrt(n / most) - 1e-9));
      paths[level] += `M${x} ${top}V${bottom}`;
    });
    return paths.map((d, i) => d && {
      type: "path", silent: true, shape: { pathData: d },
      style: { fill: "none", stroke: colour, lineWidth: 1, opacity: [0.4, 0.7, 1][i] },
    }).filter(Boolean);
  }

  function phaseShapes(job, phase, at, api, area, theme, data) {
    const lanes = Math.max(1, job.lanes);
    const step = (at.bars[1] - at.bars[0]) / lanes;
    const top = at.bars[0] + phase.lane * step;
    const height = step - (lanes > 1 ? 1 : 0);
    const colour = data.colours.families[phase.family];
    const shapes = [];
    const box = (from, to, style) => {
      const x = api.coord([from, 0])[0];
      const shape = clipped(x, top, Math.max(1, api.coord([to, 0])[0] - x), height, area);
      if (shape) shapes.push({ type: "rect", shape, style });
      return shape;
    };
    if (phase.start !== null) {
      const open = phase.end === null;
      const end = open ? data.horizon : phase.end;
      const shape = box(phase.start, end, { fill: colour, opacity: open ? 0.65 : 1, stroke: theme.paper,
        lineWidth: 0.5 });
      for (const [state, from, to] of phase.waits) waitBox(box, state, from, to, colour, theme, shapes);
      for (const [from, to] of phase.slowed) slowBand(from, to, api, area, top + height, height, theme, shapes);
      name(shapes, job, phase, shape, api, colour);
    } else {
      for (const [state, from, to] of phase.waits) waitBox(box, state, from, to, colour, theme, shapes);
    }
    return shapes;
  }

  /* A line along the foot of the bar where other jobs on the same links slow the phase. */
  function slowBand(from, to, api, area, bottom, height, theme, shapes) {
    const x = api.coord([from, 0])[0];
    const band = Math.max(2, 0.16 * height);
    const shape = clipped(x, bottom - band, Math.max(1, api.coord([to, 0])[0] - x), band, area);
    if (shape) shapes.push({ type: "rect", silent: true, shape, style: { fill: theme.ink, stroke: theme.paper, lineWidth: 0.5 } });
  }

  function waitBox(box, state, from, to, colour, theme, shapes) {
    const own = WAITS[state].colour || colour;
    box(from, to, { fill: theme.paper });
    box(from, to, { fill: own, opacity: 0.22 });
    const shape = box(from, to, { fill: "none", stroke: own, lineWidth: 1 });
    if (shape && shape.width > 2) {
      shapes.push({ type: "path", silent: true, shape: { pathData: hatchPath(shape, WAITS[state].hatch) },
        style: { fill: "none", stroke: own, lineWidth: 0.8 } });
    }
  }

  /* Name a phase in the longest stretch of its bar that no wait, target or reported outcome crosses. */
  function name(shapes, job, phase, shape, api, colour) {
    if (!shape || shape.height < 8) return;
    const x = (t) => api.coord([t, 0])[0];
    const blocks = phase.waits.map((w) => [x(w[1]), x(w[2])]);
    if (job.target !== null) blocks.push([x(job.target) - 2, x(job.target) + 2]);
    for (const [first, last] of phase.lane === 0 ? job.observed : []) {
      blocks.push([x(first) - 5, last === null ? x(first) + OPEN + 2 : x(last) + 5]);
    }
    blocks.sort((a, b) => a[0] - b[0]);
    let best = [shape.x, shape.x];
    let left = shape.x;
    const right = shape.x + shape.width;
    for (const [a, b] of [...blocks, [right, right]]) {
      if (b < left) continue;
      const end = Math.min(a, right);
      if (end - left > best[1] - best[0]) best = [left, end];
      left = Math.max(left, b);
    }
    const size = Math.min(12, shape.height * 0.8);
    const text = phase.labels.find((label) => label.length * size * 0.58 + 6 < best[1] - best[0]);
    if (!text) return;
    shapes.push({ type: "text", silent: true, style: { text, x: (best[0] + best[1]) / 2, y: shape.y + shape.height / 2,
      align: "center", verticalAlign: "middle", fontSize: size, fill: textOn(colour) } });
  }

  function markShapes(job, at, top, bottom, api, area, theme) {
    const shapes = [];
    const x = (t) => api.coord([t, 0])[0];
    const seen = (t) => t !== null && x(t) >= area.x - 1 && x(t) <= area.x + area.width + 1;
    const middle = (at.bars[0] + at.bars[0] + (at.bars[1] - at.bars[0]) / Math.max(1, job.lanes)) / 2;
    const line = (x1, y1, x2, y2, stroke, lineWidth) => {
      const a = Math.max(area.x, Math.min(x1, x2));
      const b = Math.min(area.x + area.width, Math.max(x1, x2));
      if (a <= b) {
        shapes.push({ type: "line", silent: true, shape: { x1: x1 === x2 ? x1 : a, y1, x2: x1 === x2 ? x2 : b, y2 },
          style: { stroke, lineWidth, fill: "none" } });
      }
    };
    const put = (points, fill) => shapes.push({ type: "polygon", silent: true, shape: { points },
      style: { fill, stroke: theme.ink, lineWidth: 0.7 } });
    if (job.target !== null && job.target_end !== null && job.slip) {
      const colour = { missed: theme.late, met: theme.early }[job.verdict] || theme.muted;
      if (Math.abs(x(job.target_end) - x(job.target)) > 4) {
        line(x(job.target), at.marks, x(job.target_end), at.marks, colour, 2);
        const tip = x(job.target_end);
        const turn = job.target_end > job.target ? -1 : 1;
        if (seen(job.target_end)) {
          shapes.push({ type: "polygon", silent: true, style: { fill: colour }, shape: { points:
            [[tip, at.marks], [tip + turn * 7, at.marks - 3.5], [tip + turn * 7, at.marks + 3.5]] } });
        }
      }
      const last = Math.max(x(job.target) + 5, x(job.target_end)) + 8;
      if (last >= area.x && Math.min(x(job.target), x(job.target_end)) < area.x + area.width) {
        const room = last + job.slip.length * 7 < area.x + area.width;
        shapes.push({ type: "text", silent: true, style: { text: job.slip,
          x: room ? last : Math.min(x(job.target), x(job.target_end)) - 8, y: at.marks,
          align: room ? "left" : "right", verticalAlign: "middle", fontWeight: "bold", fontSize: 11, fill: colour,
          stroke: theme.paper, lineWidth: 3 } });
      }
    }
    if (seen(job.target)) {
      const t = x(job.target);
      line(t, top, t, at.rug[0], theme.ink, 1.4);
      put([[t, at.marks - 4.5], [t + 8, at.marks], [t, at.marks + 4.5]], theme.ink);
    }
    for (const gate of job.gates) {
      if (seen(gate)) {
        const g = x(gate);
        put([[g, at.bars[0] - 5], [g + 5, at.bars[0]], [g, at.bars[0] + 5], [g - 5, at.bars[0]]], "#F0E442");
      }
    }
    for (const [first, last] of job.observed) {
      line(x(first), middle, last === null ? x(first) + OPEN : x(last), middle, theme.ink, 1.4);
      if (last === null && seen(first)) {
        const tip = x(first) + OPEN;
        if (tip < area.x + area.width) {
          shapes.push({ type: "polyline", silent: true, style: { stroke: theme.ink, fill: "none", lineWidth: 1.4 },
            shape: { points: [[tip - 6, middle - 4], [tip, middle], [tip - 6, middle + 4]] } });
        }
      }
      for (const t of new Set([first, last])) {
        if (seen(t)) {
          shapes.push({ type: "circle", silent: true, shape: { cx: x(t), cy: middle, r: 3.6 },
            style: { fill: theme.paper, stroke: theme.ink, lineWidth: 1.2 } });
        }
      }
    }
    if (job.finish === null && job.projected !== null) {
      shapes.push({ type: "line", silent: true, shape: { x1: Math.max(area.x, x(job.submit)), y1: bottom - 2,
        x2: Math.min(area.x + area.width, x(job.projected)), y2: bottom - 2 },
        style: { stroke: theme.muted, lineDash: [4, 3], lineWidth: 1.2, fill: "none" } });
    }
    return shapes;
  }

  root.Gantt = { look, date, moment, geometry, clipped, rug, phaseShapes, markShapes, textOn, WAITS, NARROW };
})(window);
