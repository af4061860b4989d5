"use strict";
// Pictures with what is there and what was found: chosen by class, mistake and score, drawn when they come into sight.
const pictures = (() => {
  const { data, el, svg, shorten } = page;
  const KINDS = ["right", "wrong class", "poorly placed", "both", "duplicate", "background"];
  const RIGHT = 0;
  const WIDTH = 380; // of a drawing, in its own units, which are about the screen's pixels
  const LETTERS = 11, NARROW = 0.56; // pixels of a letter, and its width as a part of that
  const FEW = 6, MANY = 40, SMALL = 40; // marks in a picture, and sides of a box, up to which captions may be wider than their boxes
  const DRAWN = 20; // detections in a card, the best
  const BATCH = 4, BY_ITSELF = 12; // pictures drawn at once, and so many as they come into sight; more by the button
  const all = data.pictures || [];
  const name = (label) => data.classes[label];
  // Fixed colours, as they stand on pictures and not on the page; each also has its own line and its own word.
  const LOOKS = {
    right: { stroke: "#00b386", ink: "#000" }, wrong: { stroke: "#ff6a1f", ink: "#000" },
    excused: { stroke: "#bdbdbd", ink: "#000", dash: "2 3" }, missed: { stroke: "#f5e642", ink: "#000", dash: "7 3" },
    own: { stroke: "#6cc5ff", ink: "#000" }, truth: { stroke: "#ffffff", ink: "#000", dash: "5 3" }, difficult: { stroke: "#bdbdbd", ink: "#000", dash: "2 3" },
  };

  const state = { kind: "any", classes: null, threshold: data.threshold ?? 0.25, order: "worst", truth: true, found: true,
    own: true, beside: true, names: true, places: null, what: "" };

  // What a detection is, and what a truth is, at the threshold.
  const detectionLook = (found) => (found[6] === RIGHT ? "right" : found[7] & 1 ? "excused" : "wrong");
  const truthLook = (truth) => (truth[5] ? "difficult" : truth[6] >= state.threshold ? "truth" : "missed");

  function judge(picture) {
    let right = 0, wrong = 0, missed = 0;
    for (const found of picture.found) {
      if (found[5] < state.threshold) continue;
      if (found[6] === RIGHT) right++;
      else if (!(found[7] & 1)) wrong++;
    }
    for (const truth of picture.truths) if (!truth[5] && truth[6] < state.threshold) missed++;
    const all = 2 * right + wrong + missed;
    return { right, wrong, missed, f1: all ? (2 * right) / all : null };
  }

  function fits(picture) {
    const ofClass = (label) => state.classes === null || state.classes.has(label);
    if (state.places && !state.places.has(picture.place)) return false;
    const foundIs = (test) => picture.found.some((each) => each[5] >= state.threshold && ofClass(each[4]) && test(each));
    const truthIs = (test) => picture.truths.some((each) => ofClass(each[4]) && test(each));
    if (state.kind === "any") return state.classes === null || truthIs(() => true) || foundIs(() => true);
    if (state.kind === "missed") return truthIs((each) => truthLook(each) === "missed");
    const kind = KINDS.indexOf(state.kind);
    return foundIs((each) => each[6] === kind && !(each[7] & 1));
  }

  function chosen() {
    const rows = all.filter(fits).map((picture) => ({ picture, ...judge(picture) }));
    const of = (row) => (row.f1 === null ? 2 : row.f1);
    const objects = (row) => row.right + row.wrong + row.missed;
    const worst = (a, b) => of(a) - of(b) || objects(b) - objects(a);
    if (state.order === "name") return rows.sort((a, b) => a.picture.name.localeCompare(b.picture.name, undefined, { numeric: true }));
    rows.sort(worst);
    const judged = rows.filter((row) => row.f1 !== null), others = rows.filter((row) => row.f1 === null);
    if (state.order === "best") judged.sort((a, b) => b.f1 - a.f1 || objects(b) - objects(a));
    if (state.order === "median" && judged.length) {
      const middle = judged[judged.length >> 1].f1;
      judged.sort((a, b) => Math.abs(a.f1 - middle) - Math.abs(b.f1 - middle));
    }
    return [...judged, ...others];
  }

  // Where a caption of some size hides least: around its box, else inside; the cost is what it covers of other things.
  function placed(box, width, height, size, taken, boxes) {
    const [x0, y0, x1, y1] = box;
    const lefts = [x0, x1 - width], tops = [y0 - height, y1, y0, y1 - height];
    let best = null;
    for (const top of tops) {
      for (const left of lefts) {
        const x = Math.max(0, Math.min(left, size[0] - width)), y = Math.max(0, Math.min(top, size[1] - height));
        let cost = 0;
        for (const tab of taken) cost += 3 * shared([x, y, x + width, y + height], tab) / (width * height);
        for (const other of boxes) {
          const area = Math.max(1, (other[2] - other[0]) * (other[3] - other[1]));
          cost += shared([x, y, x + width, y + height], other) / area;
        }
        if (!best || cost < best.cost - 1e-6) best = { x, y, cost };
      }
    }
    return best;
  }
  const shared = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

  // One drawing: the picture and some marks on it, [{box, look, text, tip}], best first. What has no room gets a number
  // on the picture and its words in the list that is returned.
  function drawing(picture, marks, width, title) {
    const scale = width / picture.width, height = picture.height * scale;
    const view = svg("svg", { viewBox: `0 0 ${width} ${height.toFixed(1)}`, role: "img", class: "drawing" });
    view.setAttribute("aria-label", `${title}: ${marks.map((mark) => mark.text).join(", ") || "nothing"}`.slice(0, 2000));
    view.append(svg("rect", { width, height, fill: "#777" }));
    if (picture.jpeg) view.append(svg("image", { href: `data:image/jpeg;base64,${picture.jpeg}`, width, height, preserveAspectRatio: "none" }));
    else view.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle", "font-size": LETTERS, fill: "#fff" }, "the picture could not be read"));
    const boxes = marks.map(({ box }) => box.map((side, place) => Math.max(0, Math.min(side * scale, place % 2 ? height : width))));
    const taken = [], captions = [], listed = [], group = svg("g", {});
    marks.forEach((mark, place) => {
      const [x0, y0, x1, y1] = boxes[place], look = LOOKS[mark.look];
      const frame = { x: x0, y: y0, width: Math.max(1, x1 - x0), height: Math.max(1, y1 - y0), fill: "none" };
      const thick = Math.min(x1 - x0, y1 - y0) < 24 ? 1.2 : 1.8;
      const item = svg("g", { class: "mark" }, svg("title", {}, mark.tip),
        svg("rect", { ...frame, stroke: "#000", "stroke-width": thick + 1.2, "stroke-opacity": 0.45 }),
        svg("rect", { ...frame, stroke: look.stroke, "stroke-width": thick, "stroke-dasharray": look.dash, "pointer-events": "all" }));
      group.prepend(item);
      if (!state.names) return;
      const others = marks.length > MANY ? [] : boxes.filter((_, other) => other !== place);
      const letters = Math.max(9, Math.min(LETTERS, (y1 - y0) / 3));
      for (const words of [mark.text, mark.short]) {
        const wide = words.length * letters * NARROW + 6, high = letters + 4;
        const crowded = marks.length > FEW || x1 - x0 < SMALL || y1 - y0 < SMALL;
        if (crowded && wide > 1.25 * (x1 - x0)) continue;
        const spot = placed(boxes[place], wide, high, [width, height], taken, others);
        if (spot.cost > (crowded ? 0.1 : 0.5)) continue;
        taken.push([spot.x, spot.y, spot.x + wide, spot.y + high]);
        captions.push(tab(spot, wide, high, words, letters, look));
        return;
      }
      listed.push({ number: listed.length + 1, look: mark.look, text: mark.text });
      const words = String(listed.length), wide = words.length * 5.5 + 1, high = 8;
      const spot = placed(boxes[place], wide, high, [width, height], taken, marks.length > MANY ? [] : boxes);
      taken.push([spot.x, spot.y, spot.x + wide, spot.y + high]);
      captions.push(svg("text", { x: spot.x, y: spot.y + high, "font-size": 9, fill: look.stroke, class: "number-tag", "pointer-events": "none" }, words));
    });
    view.append(group, ...captions.reverse());
    return { view, listed };
  }
  const tab = (spot, wide, high, words, letters, look) => svg("g", { "pointer-events": "none" },
    svg("rect", { x: spot.x, y: spot.y, width: wide, height: high, rx: 2, fill: look.stroke, opacity: 0.92 }),
    svg("text", { x: spot.x + wide / 2, y: spot.y + high - 4, "text-anchor": "middle", "font-size": letters, fill: look.ink }, words));

  function truthMarks(picture) {
    return picture.truths.map((truth) => {
      const look = truthLook(truth), word = { missed: "missed: ", difficult: truth[5] === 2 ? "crowd: " : "difficult: ", truth: "" }[look];
      const text = word + shorten(name(truth[4]), 30);
      return { box: truth.slice(0, 4), look, text, short: shorten(name(truth[4]), 12), tip: word + name(truth[4]) };
    });
  }
  function foundMarks(picture) {
    return picture.found.filter((found) => found[5] >= state.threshold).map((found) => {
      const look = detectionLook(found), word = look === "right" ? "" : look === "excused" ? "not counted: " : `${KINDS[found[6]]}: `;
      const score = found[5].toFixed(2), called = name(found[4]);
      return { box: found.slice(0, 4), look, text: `${look === "wrong" ? "✕ " : ""}${shorten(called, 24)} ${score}`,
        short: (look === "wrong" ? "✕ " : "") + shorten(called, 12), tip: `${word}${called} ${found[5].toFixed(3)}` };
    });
  }

  // What a detector with a tree says by itself, by the names down to where it stops.
  function ownMarks(picture) {
    return picture.own.filter((own) => own[5] >= state.threshold).map((own) => {
      const path = own[4].split(" › "), score = own[5].toFixed(2);
      return { box: own.slice(0, 4), look: "own", text: `${shorten(path[path.length - 1], 24)} ${score}`, short: shorten(path[path.length - 1], 12), tip: `${own[4]} ${score}` };
    });
  }

  // The drawings, and what to say where only the best `most` detections are drawn.
  function drawings(picture, width, most = Infinity) {
    const parts = [];
    const truths = state.truth ? truthMarks(picture) : [], every = state.found ? foundMarks(picture) : [], found = every.slice(0, most);
    if (state.beside) {
      if (state.truth) parts.push([`${picture.name}, what is there`, truths]);
      if (state.found) parts.push([`${picture.name}, what was found`, found]);
      if (!parts.length) parts.push([picture.name, []]);
    } else parts.push([picture.name, [...found, ...truths]]);
    if (state.own && picture.own) parts.push([`${picture.name}, what the detector says by itself`, ownMarks(picture)]);
    const cut = found.length < every.length ? el("p", { class: "note" }, `the ${most} best of ${every.length} detections; "enlarge" shows all`) : "";
    return [cut, ...parts.map(([title, marks]) => {
      const { view, listed } = drawing(picture, marks, width, title);
      const groups = new Map();
      for (const each of listed) groups.set(each.text, [...(groups.get(each.text) || []), each]);
      const list = el("ul", { class: "listed" }, [...groups].map(([text, same]) =>
        el("li", {}, el("span", { class: "key", style: { background: LOOKS[same[0].look].stroke } }), `${same.map((each) => each.number).join(", ")}: ${text}`)));
      return el("div", { class: "panel" }, view, listed.length ? list : "");
    })];
  }

  function card(row) {
    const { picture } = row, told = [`${row.right} right`, `${row.wrong} wrong`, `${row.missed} missed`].join(", ");
    const open = el("button", { type: "button", class: "open", onclick: () => enlarge(picture) }, "enlarge");
    return el("figure", { class: "card" }, el("figcaption", {}, shorten(picture.name, 60)), el("div", { class: "note row" }, told, open),
      el("div", { class: "panels" }, drawings(picture, WIDTH, DRAWN)));
  }

  const dialog = el("dialog", { class: "large" });
  let shown = [];
  function enlarge(picture) {
    const place = shown.findIndex((row) => row.picture === picture);
    const go = (step) => { const next = shown[place + step]; if (next) enlarge(next.picture); };
    dialog.replaceChildren(
      el("div", { class: "row" }, el("b", {}, shorten(picture.name, 120)), el("span", { class: "note" }, `${place + 1} of ${shown.length}`),
        el("button", { type: "button", onclick: () => go(-1) }, "previous"), el("button", { type: "button", onclick: () => go(1) }, "next"),
        el("button", { type: "button", onclick: () => dialog.close() }, "close")),
      el("div", { class: "panels" }, drawings(picture, 620)));
    dialog.onkeydown = (event) => { const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]; if (step) { event.preventDefault(); go(step); } };
    if (!dialog.open) dialog.showModal();
  }

  // The list: a batch of pictures, some more when its end comes into sight, then a button, so that the end can be reached.
  const count = el("p", { class: "note", "aria-live": "polite" }), grid = el("div", { class: "cards" }), end = el("p", {}, el("button", { type: "button", hidden: true, onclick: () => more(BY_ITSELF) }));
  let next = 0;
  const watch = new IntersectionObserver((entries) => { if (entries.some((each) => each.isIntersecting)) more(BATCH); }, { rootMargin: "600px" });
  function more(count) {
    grid.append(...shown.slice(next, next + count).map(card));
    next += count;
    watch.unobserve(end);
    const left = Math.max(0, shown.length - next), button = end.firstChild;
    button.hidden = !left || next < BY_ITSELF;
    button.textContent = `more pictures (${left})`;
    if (left && next < BY_ITSELF) watch.observe(end);
  }
  function update() {
    shown = chosen();
    next = 0;
    grid.replaceChildren();
    const whole = data.images > all.length ? `, chosen of the ${data.images} of the data set,` : "";
    const missing = state.places && state.total > shown.length ? ` There are ${state.total}; the page holds some of them.` : "";
    count.textContent = `${shown.length} of the ${all.length} pictures of this page${whole} with ${state.what || "these settings"}.${missing}`;
    clear.hidden = !state.what;
    more(BATCH);
  }

  const clear = el("button", { type: "button", id: "all-pictures", hidden: true, onclick: () => show(null, null, "") }, "all pictures again");

  // Shows pictures: of some classes, at some places, or all (null); `what` says which they are.
  function show(classes, places, what, total = 0) {
    Object.assign(state, { classes, places, what, total, kind: "any" });
    controls.kind.value = "any";
    controls.ofClass.value = classes && classes.size === 1 ? String([...classes][0]) : "";
    update();
    if (what) document.getElementById("pictures").scrollIntoView();
  }

  const controls = {};
  const listeners = [];
  function build(place) {
    const select = (label, options, change) => {
      const box = el("select", { onchange: () => change(box.value) }, options.map(([value, text]) => el("option", { value }, text)));
      return [el("label", {}, label, " ", box), box];
    };
    const check = (label, key) => el("label", {}, el("input", { type: "checkbox", checked: state[key], onchange: (event) => { state[key] = event.target.checked; update(); } }), " ", label);
    const there = new Set(all.flatMap((picture) => [...picture.truths, ...picture.found].map((each) => each[4])));
    const labels = [...there].sort((a, b) => name(a).localeCompare(name(b)));
    const [classLabel, ofClass] = select("class", [["", "any"], ...labels.map((label) => [label, shorten(name(label))])], (value) => {
      Object.assign(state, { classes: value === "" ? null : new Set([Number(value)]), places: null, what: "" });
      update();
    });
    const [kindLabel, kind] = select("with", [["any", "anything"], ...[...KINDS, "missed"].map((each) => [each, each])], (value) => { state.kind = value; update(); });
    const [orderLabel] = select("order", [["worst", "worst first"], ["best", "best first"], ["median", "median first"], ["name", "by name"]], (value) => { state.order = value; update(); });
    const told = el("output", {}, state.threshold.toFixed(2));
    const slider = el("input", { type: "range", min: 0, max: 1, step: 0.01, value: state.threshold, "aria-label": "score threshold", oninput: () => {
      state.threshold = Number(slider.value);
      told.textContent = state.threshold.toFixed(2);
      update();
      for (const listener of listeners) listener(state.threshold);
    } });
    Object.assign(controls, { ofClass, kind });
    const legend = el("ul", { class: "legend" }, [["right", "right"], ["✕ wrong", "wrong"], ["not counted", "excused"], ["there", "truth"], ["missed", "missed"], ["difficult or crowd", "difficult"], ...(all.some((each) => each.own) ? [["its own name", "own"]] : [])].map(
      ([text, look]) => el("li", {}, svg("svg", { width: 26, height: 14, "aria-hidden": "true" },
        svg("rect", { x: 0, y: 0, width: 26, height: 14, fill: "#666" }),
        svg("rect", { x: 3, y: 3, width: 20, height: 8, fill: "none", stroke: LOOKS[look].stroke, "stroke-width": 2, "stroke-dasharray": LOOKS[look].dash })), " ", text)));
    place.append(
      el("div", { class: "row controls" }, classLabel, kindLabel, orderLabel, el("label", {}, "score from ", slider, " ", told)),
      el("div", { class: "row" }, check("what is there", "truth"), check("what was found", "found"), all.some((each) => each.own) ? check("its own names, down the tree", "own") : "", check("side by side", "beside"), check("captions", "names"), clear),
      legend, count, grid, end, dialog);
    update();
  }

  return { all, build, show, state, listeners };
})();
