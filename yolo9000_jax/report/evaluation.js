"use strict";
// The parts of an evaluation's page that are drawn from its data.
(() => {
  const { data, el, svg, chart, color, percent, shorten } = page;
  const at = (id) => document.getElementById(id);
  const REST_MS = 150;

  function learningCurves(place) {
    const series = data.curves, losses = Object.keys(series).filter((name) => name === "loss" || name.startsWith("loss_"));
    const main = ["voc_ap50", "voc07_ap50", "ilsvrc_ap", "coco_ap", "recall50", "top1", "top5"].filter((name) => series[name]);
    const line = (name, index, scale = 1, more = {}) => ({ name: name.replace(/^loss_/, ""), color: color(index), points: series[name].map(([x, y]) => [x, y === null ? null : scale * y]), ...more });
    const figures = [];
    const x = { label: "training step", whole: true };
    if (losses.length) figures.push(chart({ title: "Loss", x, y: { label: "loss per image", log: true } }, losses.map((name, index) => line(name, index, 1, { bold: name === "loss" }))));
    if (main.length) figures.push(chart({ title: "Evaluation", x, y: { label: "%", low: 0 } }, main.map((name, index) => line(name, index, 100, { dots: true }))));
    for (const [name, label, log] of [["learning_rate", "learning rate", true], ["images_per_s", "images per second", false], ["waiting_share", "share of waiting for input", false]]) {
      if (series[name]) figures.push(chart({ title: label[0].toUpperCase() + label.slice(1), x, y: { label, log, low: log ? undefined : 0 } }, [line(name, figures.length)]));
    }
    place.append(el("div", { class: "columns" }, figures));
  }

  function classCurves(place) {
    const known = data.of_classes.map((each, label) => [each, label]).filter(([each]) => each && each.right);
    if (!known.length) { place.append(el("p", { class: "note" }, "There are neither objects nor detections.")); return; }
    const ranked = [...known].sort((a, b) => (b[0].truths || 0) - (a[0].truths || 0)).map(([, label]) => label);
    const chosen = new Set(ranked.filter((label) => data.of_classes[label].truths).slice(0, 5));
    const figures = el("div", { class: "columns" });
    const search = el("input", { type: "search", placeholder: "find a class", "aria-label": "find a class", oninput: list });
    const boxes = el("div", { class: "picks" });
    function list() {
      const words = search.value.toLowerCase();
      const shown = ranked.filter((label) => chosen.has(label) || data.classes[label].toLowerCase().includes(words)).slice(0, 200);
      boxes.replaceChildren(...shown.map((label) => el("label", {}, el("input", { type: "checkbox", checked: chosen.has(label), onchange: (event) => {
        if (event.target.checked) chosen.add(label); else chosen.delete(label);
        draw();
      } }), " ", shorten(data.classes[label], 60))));
    }
    function draw() {
      const labels = [...chosen].sort((a, b) => ranked.indexOf(a) - ranked.indexOf(b));
      const steps = Array.from({ length: 101 }, (_, step) => step / 100);
      const lines = (points) => labels.map((label, index) => ({ name: data.classes[label], color: color(index), dash: index >= 8 ? "6 3" : null, points: points(data.of_classes[label]) }));
      const f1 = (each) => steps.map((x, step) => { const all = each.right[step] + each.wrong[step] + each.truths; return [x, each.truths && all ? (2 * each.right[step]) / all : null]; });
      const unit = { low: 0, high: 1 };
      figures.replaceChildren(
        chart({ title: "Precision and recall", x: { label: "recall", ...unit }, y: { label: "precision", ...unit } },
          lines((each) => (each.precision || []).map((value, step) => [step / 100, value / 1000]))),
        chart({ title: "F1", x: { label: "score threshold", ...unit }, y: { label: "F1", ...unit } }, lines(f1)),
        chart({ title: "Calibration: how often a score is right", x: { label: "mean score", ...unit }, y: { label: "share that is right", ...unit }, diagonal: true },
          lines((each) => each.bins.filter((bin) => bin[0]).map((bin) => [bin[1], bin[2]])).map((each) => ({ ...each, dots: true }))));
    }
    place.append(el("h3", {}, "Curves of the classes picked here"), el("div", { class: "row" }, search,
      el("button", { type: "button", onclick: () => { chosen.clear(); list(); draw(); } }, "none")), boxes, figures);
    list();
    draw();
  }

  // True classes down, what they are taken for across; beside them what is missed, and below what is found where nothing is.
  function confusionMatrix(place) {
    const all = data.confusion, most = 60;
    const options = el("select", { "aria-label": "which classes", onchange: draw }, el("option", { value: "confused" }, `the ${most} most confused classes`), el("option", { value: "all" }, "all classes"));
    const holder = el("div", { class: "wide", tabindex: 0 }), told = el("p", { class: "note" });
    const present = new Set([...all.true, ...all.found, ...(all.coarse || []), ...Object.keys(all.alone).map(Number)]);
    const order = (data.order || data.classes.map((_, label) => label)).filter((label) => present.has(label));
    if (order.length <= most) options.hidden = true;
    function counts(threshold) {
      const cells = new Map(), step = Math.round(threshold * 100), width = data.classes.length + 1; // one for what is missed
      all.true.forEach((truth, index) => {
        const coarse = all.coarse && all.coarse_score[index] >= step ? all.coarse[index] : -1;
        const key = truth * width + (all.found[index] >= 0 && all.score[index] >= step ? all.found[index] : coarse) + 1;
        const places = cells.get(key);
        if (places) places.push(all.picture[index]);
        else cells.set(key, [all.picture[index]]);
      });
      return [...cells].map(([key, places]) => [Math.floor(key / width), (key % width) - 1, places]);
    }
    function draw() {
      const threshold = pictures.state.threshold, step = Math.round(threshold * 100), cells = counts(threshold);
      const totals = new Map(), mistaken = new Map();
      for (const [truth, found, places] of cells) {
        totals.set(truth, (totals.get(truth) || 0) + places.length);
        if (truth !== found && found >= 0) for (const each of [truth, found]) mistaken.set(each, (mistaken.get(each) || 0) + places.length);
      }
      let labels = order;
      if (order.length > most && options.value === "confused") {
        const kept = new Set([...order].sort((a, b) => (mistaken.get(b) || 0) - (mistaken.get(a) || 0) || (totals.get(b) || 0) - (totals.get(a) || 0)).slice(0, most));
        labels = order.filter((label) => kept.has(label));
      }
      const size = labels.length <= 12 ? 40 : labels.length <= 30 ? 26 : 17, left = 150, top = 110, index = new Map(labels.map((label, spot) => [label, spot]));
      const width = left + (labels.length + 1) * size + 90, height = top + (labels.length + 1) * size + 6;
      const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "matrix", role: "group", "aria-label": "confusion matrix; each cell opens its pictures" });
      const rowName = (label) => (label < 0 ? "nothing there" : data.classes[label]), columnName = (label) => (label < 0 ? "missed" : data.classes[label]);
      [...labels, -1].forEach((label, spot) => {
        const middle = top + (spot + 0.5) * size + 4, x = left + (spot + 0.5) * size;
        drawing.append(svg("text", { x: left - 6, y: middle, "text-anchor": "end" }, svg("title", {}, rowName(label)), shorten(rowName(label), 22)));
        drawing.append(svg("text", { x, y: top - 6, transform: `rotate(-45 ${x} ${top - 6})` }, svg("title", {}, columnName(label)), shorten(columnName(label), 18)));
        for (const turned of [false, true]) {
          const edge = (turned ? left : top) + spot * size;
          drawing.append(svg("line", turned ? { x1: edge, x2: edge, y1: top, y2: top + (labels.length + 1) * size } : { y1: edge, y2: edge, x1: left, x2: left + (labels.length + 1) * size }));
        }
      });
      // One cell is reached by Tab, the others from there by arrows: the nearest that way.
      const buttons = [];
      const act = (event, row, column, open) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); return; }
        const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!way) return;
        event.preventDefault();
        const ahead = buttons.map((each) => ({ item: each.item, along: (each.row - row) * way[0] + (each.column - column) * way[1], aside: Math.abs((each.row - row) * way[1]) + Math.abs((each.column - column) * way[0]) }))
          .filter((each) => each.along > 0).sort((a, b) => a.along + 3 * a.aside - b.along - 3 * b.aside);
        if (!ahead.length) return;
        event.currentTarget.setAttribute("tabindex", -1);
        ahead[0].item.setAttribute("tabindex", 0);
        ahead[0].item.focus();
      };
      const cell = (truth, found, number, total, places) => {
        const row = truth < 0 ? labels.length : index.get(truth), column = found < 0 ? labels.length : index.get(found);
        if (row === undefined || column === undefined || !number) return;
        const x = left + column * size, y = top + row * size, share = number / Math.max(1, total), right = truth === found;
        const words = truth < 0 ? `${number} detections of ${columnName(found)} where nothing is` : `${number} of ${total} ${rowName(truth)} ${found < 0 ? "missed" : right ? "found" : `taken for ${columnName(found)}`}`;
        const open = () => {
          const chosen = places ? new Set(places) : new Set(pictures.all.filter((each) => each.found.some((one) => one[4] === found && one[7] & 2 && one[5] >= threshold)).map((each) => each.place));
          pictures.show(null, chosen, words, places ? chosen.size : 0);
        };
        const item = svg("g", { role: "button", tabindex: buttons.length ? -1 : 0, "aria-label": words, onclick: open, onkeydown: (event) => act(event, row, column, open) },
          svg("title", {}, words), svg("rect", { x: x + 1, y: y + 1, width: size - 2, height: size - 2, class: right ? "good" : "bad", "fill-opacity": 0.15 + 0.85 * Math.sqrt(share) }));
        if (size >= 17) item.append(svg("text", { x: x + size / 2, y: y + size / 2 + 4, "text-anchor": "middle", class: share > 0.4 ? "strong" : "", "font-size": String(number).length * 6 > size - 2 ? 8 : 11 }, number > 999 ? page.short(number) : String(number)));
        drawing.append(item);
        buttons.push({ row, column, item });
      };
      for (const [truth, found, places] of cells) {
        cell(truth, found, places.length, totals.get(truth), places);
      }
      let most_alone = 1;
      const alone = Object.entries(all.alone).map(([label, bins]) => [Number(label), bins.slice(step).reduce((sum, each) => sum + each, 0)]);
      for (const [, number] of alone) most_alone = Math.max(most_alone, number);
      for (const [label, number] of alone) cell(-1, label, number, most_alone, null);
      holder.replaceChildren(drawing);
      told.textContent = `Detections with a score from ${threshold.toFixed(2)} on, which the slider below changes; rows are what is there, columns what it is taken for. A cell opens its pictures.`;
    }
    if (!order.length) { place.append(el("p", { class: "note" }, "There is no object and no detection.")); return; }
    place.append(told, options, holder);
    // Drawn when it is in sight, and when the slider further down has come to rest.
    let drawn = null;
    const refresh = () => { if (seen && drawn !== pictures.state.threshold) { drawn = pictures.state.threshold; draw(); } };
    let seen = true;
    new IntersectionObserver((entries) => { seen = entries[entries.length - 1].isIntersecting; refresh(); }, { rootMargin: "200px" }).observe(place);
    let waiting = 0;
    pictures.listeners.push(() => { clearTimeout(waiting); waiting = setTimeout(refresh, REST_MS); });
    refresh();
  }

  // The tree, unfolded by clicks; what is below a node is made when it is first seen.
  function classTree(place) {
    const nodes = data.tree.map(([name, synset, above, label], index) => ({ name, synset, above, label, index, below: [] }));
    for (const node of nodes) if (node.above >= 0) nodes[node.above].below.push(node);
    for (const node of [...nodes].reverse()) { // below comes before above
      const own = node.label >= 0 ? data.of_classes[node.label] : null;
      node.labels = [...(node.label >= 0 ? [node.label] : []), ...node.below.flatMap((each) => each.labels)];
      const aps = node.labels.map((label) => data.of_classes[label]?.ap).filter((ap) => ap !== null && ap !== undefined);
      node.judged = aps.length;
      node.mean = aps.length ? aps.reduce((sum, ap) => sum + ap, 0) / aps.length : null;
      node.own = own ? own.ap : null;
      node.objects = node.label >= 0 ? (own ? own.truths : 0) : node.below.reduce((sum, each) => sum + each.objects, 0);
    }
    const words = (node) => {
      const parts = [`${node.objects} objects`];
      if (node.label >= 0) parts.push(`AP50 ${percent(node.own)}`);
      if (node.labels.length > 1) parts.push(`mean AP50 of ${node.judged} ${node.judged === 1 ? "class" : "classes"} ${percent(node.mean)}`);
      return parts.join(", ");
    };
    const examples = (node) => el("button", { type: "button", class: "open", onclick: (event) => {
      event.preventDefault();
      pictures.show(new Set(node.labels), null, `${node.name} and what is below it`);
    } }, "pictures");
    const head = (node) => [el("b", {}, node.name), node.synset === node.name ? "" : el("span", { class: "note" }, ` ${node.synset}`), " ", el("span", { class: "note" }, words(node)), " ", examples(node)];
    function item(node) {
      if (!node.below.length) return el("li", {}, head(node));
      const list = el("ul", {}), details = el("details", {}, el("summary", {}, head(node)), list);
      details.addEventListener("toggle", () => { if (details.open && !list.children.length) list.append(...node.below.map(item)); });
      return el("li", {}, details);
    }
    const roots = nodes.filter((node) => node.above < 0), tree = el("ul", { class: "tree" }, roots.map(item));
    const open = () => {
      for (let left = 300, closed; left > 0 && (closed = [...tree.querySelectorAll("details:not([open])")]).length; left -= closed.length) {
        for (const each of closed.slice(0, left)) { each.open = true; each.dispatchEvent(new Event("toggle")); }
      }
    };
    place.append(el("p", {}, el("button", { type: "button", onclick: open }, "unfold")), tree);
    roots.slice(0, 3).forEach((_, index) => { const first = tree.children[index].querySelector("details"); if (first) first.open = true; });
    if (data.descent) {
      const line = (name, values, index) => ({ name, color: color(index), points: values.map((value, step) => [step / 100, 100 * value]) });
      place.append(el("h3", {}, "How far down the answers go"), el("div", { class: "columns" }, chart(
        { title: "Objects that get an answer", x: { label: "score threshold", low: 0, high: 1 }, y: { label: "% of the objects", low: 0, high: 100 } },
        [line("their own class", data.descent.class, 2), line("only a class above it", data.descent.above, 4)])));
    }
  }

  // One after the other, so that the page is seen, and answers, while they are drawn.
  const parts = [["of_classes", "class-curves", classCurves], ["confusion", "confusion-matrix", confusionMatrix],
    ["pictures", "picture-list", pictures.build], ["tree", "class-tree", classTree], ["curves", "learning-curves", learningCurves]];
  (async () => {
    for (const [name, place, build] of parts) {
      if (!data[name]) continue;
      await new Promise((resolve) => setTimeout(resolve));
      build(at(place));
    }
    document.body.dataset.drawn = "true";
  })();
})();
