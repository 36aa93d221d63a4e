"use strict";
/* What the pages share: elements, colours, tooltips, tables that sort, sections. Text only ever goes through textContent. */
(function () {
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    for (const child of children) node.append(child instanceof Node ? child : String(child));
    return node;
  }

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function look() {
    return {
      paper: css("--paper"), ink: css("--ink"), muted: css("--muted"), grid: css("--grid"),
      stripe: css("--stripe"), late: css("--late"), early: css("--early"), failure: css("--failure"),
      dark: window.matchMedia("(prefers-color-scheme: dark)").matches,
    };
  }

  /* A tooltip as a node, so that names stay text. */
  function tip(title, lines) {
    return el("div", { class: "tip" }, el("b", {}, title), ...lines.filter(Boolean).map((text) => el("div", {}, text)));
  }

  /* ---- tables that sort ---- */

  function sortKey(text) {
    const found = /^[^\d+\-−]*([+\-−]?[\d,]*\.?\d+(?:[eE][+-]?\d+)?)/.exec(text);
    if (!found || /^\d{4}-\d\d/.test(text)) return text;
    return parseFloat(found[1].replace(/,/g, "").replace("−", "-"));
  }

  function compare(a, b) {
    const [x, y] = [sortKey(a), sortKey(b)];
    if (typeof x === "number" && typeof y === "number") return x - y;
    if (typeof x === "number") return -1;
    if (typeof y === "number") return 1;
    return x.localeCompare(y);
  }

  /* Dates never break; on a phone, where tables scroll, other short texts do not either. */
  const wrap = (text) => (text.length <= 12 || /^\S{1,24}$/.test(text) ? "whole" : text.length <= 26 ? "short" : "");

  function table(content, links) {
    const body = el("tbody");
    const right = new Set(content.right || []);
    const fill = (rows) => body.replaceChildren(...rows.map((row) => el("tr", {}, ...row.map((cell, i) => {
      const inner = links && i === 0 && links.has(cell)
        ? el("button", { type: "button", onclick: () => links.open(cell) }, cell) : String(cell);
      return el("td", { class: right.has(i) ? "n" : wrap(String(cell)) }, inner);
    }))));
    const heads = content.header.map((text, i) => {
      const head = el("th", right.has(i) ? { class: "n", scope: "col" } : { scope: "col" });
      head.append(el("button", { type: "button", onclick: () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const sorted = content.rows.slice().sort((a, b) => compare(String(a[i]), String(b[i])));
        fill(up ? sorted : sorted.reverse());
      } }, text));
      return head;
    });
    fill(content.rows);
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "table" },
      el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body));
  }

  function section(content, index, open, links) {
    const id = `section-${index}`;
    const node = el("details", { id }, el("summary", {}, el("h2", {}, content.title)));
    if (open.includes(content.title)) node.open = true;
    for (const text of content.paragraphs || []) node.append(el("p", {}, text));
    if (content.points) node.append(el("ul", {}, ...content.points.map((text) => el("li", {}, text))));
    if (content.table) node.append(table(content.table, links));
    if (content.code) node.append(el("pre", { tabindex: "0" }, content.code));
    document.getElementById("contents").append(el("a", { href: `#${id}`, onclick: () => { node.open = true; } }, content.title));
    return node;
  }

  window.Page = { el, look, tip, table, section };
})();
