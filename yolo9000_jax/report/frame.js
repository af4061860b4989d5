"use strict";
// What all pages share: `page.data`, elements made of plain text, charts, tables that sort, tips, dark and light.
const page = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLORS = 8;

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(node.style, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== "") node.append(child); // strings become text, never markup
    }
    return node;
  }
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  const color = (index) => `var(--c${index % COLORS})`;
  const percent = (share, digits = 1) => (share === null || share === undefined ? "–" : (100 * share).toFixed(digits));
  const shorten = (text, most = 40) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

  // Round numbers from low to high, about `count` of them; whole ones if they shall be.
  function ticks(low, high, count, whole = false) {
    const rough = Math.max((high - low) / Math.max(1, count) || 1, whole ? 1 : 0);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * (whole ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10]).find((each) => each * power >= rough * 0.999);
    const found = [];
    for (let place = Math.ceil(low / step - 1e-9); place * step <= high + 1e-9 * step; place++) found.push(place * step);
    return found;
  }
  // Those of a logarithmic axis, of whose ends these are the logarithms: powers of ten; of a short one also their 2 and 5
  // fold; where fewer than two of them fit, round numbers.
  function logTicks(low, high) {
    const found = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const part of high - low < 2.5 ? [1, 2, 5] : [1]) found.push(part * 10 ** power);
    }
    const fit = found.filter((value) => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9);
    return fit.length > 1 ? fit : ticks(10 ** low, 10 ** high, 5);
  }
  // Texts of ticks, in as many digits as tell them apart.
  function labels(values) {
    for (let digits = 3; ; digits++) {
      const texts = values.map((value) => short(value, digits));
      if (digits === 9 || new Set(texts).size === values.length) return texts;
    }
  }
  function short(value, digits = 3) {
    const size = Math.abs(value);
    if (size >= 1e6) return +(value / 1e6).toPrecision(digits) + "M";
    if (size >= 1e4) return +(value / 1e3).toPrecision(digits) + "k";
    return size && size < 1e-3 ? (+value.toPrecision(digits)).toExponential() : String(+value.toPrecision(digits));
  }

  // Lines over x. options: {title, x: {label, low, high, whole}, y: {label, low, high, log}, diagonal}.
  // series: [{name, color, points: [[x, y], …], dash, bold, dots, radius of these}], y null where there is none.
  function chart(options, series) {
    const width = 460, height = 280, left = 60, right = 22, top = 10, bottom = 40;
    const all = series.flatMap((each) => each.points).filter((point) => point[1] !== null);
    if (!all.length) return el("figure", {}, el("figcaption", {}, options.title), el("p", { class: "note" }, "Nothing to draw."));
    const span = (place, axis) => {
      const values = all.map((point) => point[place]).filter((value) => !axis.log || value > 0);
      const low = axis.low ?? Math.min(...values), high = axis.high ?? Math.max(...values);
      if (high > low) return [low, high];
      if (axis.log) return [low / 2, 2 * low];
      return axis.low === undefined ? [low - 0.5, low + 0.5] : [low, low + 1];
    };
    const log = options.y.log && all.some((point) => point[1] > 0);
    const scaled = log ? Math.log10 : (value) => value;
    const [x0, x1] = span(0, options.x), [y0, y1] = span(1, { ...options.y, log }).map(scaled);
    const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
    const py = (y) => top + (1 - (scaled(y) - y0) / (y1 - y0)) * (height - top - bottom);
    const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img" });
    drawing.setAttribute("aria-label", `${options.title}: ${options.y.label} over ${options.x.label}, ${series.length} lines`);
    const yTicks = log ? logTicks(y0, y1) : ticks(y0, y1, 5), yLabels = labels(yTicks);
    yTicks.forEach((y, place) => {
      drawing.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: py(y), y2: py(y) }));
      drawing.append(svg("text", { x: left - 5, y: py(y) + 4, "text-anchor": "end" }, yLabels[place]));
    });
    const xTicks = ticks(x0, x1, 6, options.x.whole), xLabels = labels(xTicks);
    xTicks.forEach((x, place) => {
      drawing.append(svg("text", { x: px(x), y: height - bottom + 15, "text-anchor": "middle" }, xLabels[place]));
    });
    drawing.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
    drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, options.x.label));
    drawing.append(svg("text", { x: 11, y: (top + height - bottom) / 2, "text-anchor": "middle",
      transform: `rotate(-90 11 ${(top + height - bottom) / 2})` }, options.y.label));
    if (options.diagonal) {
      drawing.append(svg("line", { class: "axis", "stroke-dasharray": "3 4", x1: px(x0), x2: px(x1), y1: py(x0), y2: py(x1) }));
    }
    for (const each of series) {
      let path = "", pen = "M";
      const dots = each.dots || each.points.filter((point) => point[1] !== null).length === 1; // a line of one point is none
      for (const [x, y] of each.points) {
        if (y === null || (log && y <= 0)) { pen = "M"; continue; }
        path += `${pen}${px(x).toFixed(1)} ${Math.min(height - bottom, Math.max(top, py(y))).toFixed(1)}`;
        pen = "L";
        if (dots) drawing.append(svg("circle", { cx: px(x), cy: py(y), r: each.radius || 3, style: { fill: each.color } }));
      }
      const style = { stroke: each.color, strokeWidth: each.bold ? 3 : null };
      drawing.append(svg("path", { class: "line", d: path, "stroke-dasharray": each.dash, style }));
    }
    const marker = svg("line", { class: "axis", y1: top, y2: height - bottom, visibility: "hidden" });
    drawing.append(marker);
    const readout = el("div", { class: "note", "aria-hidden": "true" }, "\u00a0");
    const named = series.filter((each) => each.name);
    drawing.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect();
      const place = ((event.clientX - box.left) / box.width) * width;
      const x = x0 + ((place - left) / (width - left - right)) * (x1 - x0);
      if (x < x0 || x > x1) return;
      marker.setAttribute("x1", place); marker.setAttribute("x2", place); marker.setAttribute("visibility", "visible");
      const said = named.map((each) => {
        const points = each.points.filter((point) => point[1] !== null);
        if (!points.length) return "";
        const near = points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
        return `${shorten(each.name, 24)} ${short(near[1])}`;
      }).filter(Boolean);
      readout.textContent = `${options.x.label} ${short(x)}: ${said.slice(0, 6).join(", ")}`;
    });
    drawing.addEventListener("pointerleave", () => { marker.setAttribute("visibility", "hidden"); readout.textContent = "\u00a0"; });
    const legend = el("ul", { class: "legend" }, named.map((each) =>
      el("li", {}, el("span", { class: "key", style: { background: each.color } }), each.name)));
    const save = el("button", { type: "button", class: "open", onclick: () => saveDrawing(drawing, options.title) }, "save as SVG");
    return el("figure", {}, el("figcaption", {}, options.title), drawing, readout, named.length > 1 ? legend : "", save);
  }

  // The drawing as a file of its own, with the colours that it has now.
  function saveDrawing(drawing, title) {
    const copy = drawing.cloneNode(true), theirs = copy.querySelectorAll("*"), ours = drawing.querySelectorAll("*");
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("font-family", "sans-serif");
    ours.forEach((node, place) => {
      const look = getComputedStyle(node);
      for (const name of ["fill", "stroke", "stroke-width", "font-size", "opacity"]) theirs[place].style.setProperty(name, look.getPropertyValue(name));
    });
    const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    el("a", { href: address, download: `${title.replace(/\W+/g, "_")}.svg` }).click();
    URL.revokeObjectURL(address);
  }

  // What a term means, beside it while the mouse or the keyboard is on it.
  const tip = el("div", { class: "tip", role: "tooltip", hidden: true });
  document.body.append(tip);
  function showTip(event) {
    const node = event.target.closest?.("[data-tip]");
    tip.hidden = !node;
    if (!node) return;
    tip.textContent = node.dataset.tip;
    const box = node.getBoundingClientRect(), own = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 4))}px`;
    tip.style.top = `${box.bottom + own.height + 8 < innerHeight ? box.bottom + 6 : Math.max(4, box.top - own.height - 6)}px`;
  }
  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, showTip);
  document.addEventListener("focusout", () => { tip.hidden = true; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.tabIndex = 0;
      const sort = () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].textContent;
        const number = (row) => { const found = parseFloat(value(row)); return Number.isNaN(found) ? -Infinity : found; };
        const order = head.classList.contains("number") ? (a, b) => number(a) - number(b) : (a, b) => value(b).localeCompare(value(a));
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }
  document.querySelectorAll("table.sortable").forEach(sortable);

  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  return { data, el, svg, chart, color, percent, short, shorten };
})();
