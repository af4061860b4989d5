"use strict";
// Curves of several runs over each other.
(() => {
  const { data, el, chart, color } = page;
  const names = [...new Set(data.curves.flatMap((each) => Object.keys(each)))];
  const first = ["loss", "voc_ap50", "coco_ap", "top1", "recall50", "learning_rate", "images_per_s"];
  const ordered = [...first.filter((name) => names.includes(name)), ...names.filter((name) => !first.includes(name)).sort()];
  const DASHES = [null, "8 5", "2 4", "9 3 2 3"]; // and dots that get smaller: equal runs are all seen
  const isShare = (name) => /(^|_)(ap|ap\d+|ar|ar\d+|recall\d*|top\d|iou|share)(_|$)|right_of/.test(name);
  const holder = el("div", { class: "columns" });
  const more = el("details", {}, el("summary", {}, "all other curves"));
  const rest = el("div", { class: "columns" });
  ordered.forEach((name) => {
    const series = data.runs.map((run, index) => ({ name: run, color: color(index), points: data.curves[index][name] || [], dots: (data.curves[index][name] || []).length < 30,
      dash: DASHES[index % DASHES.length], radius: Math.max(2, 5 - index) }));
    const log = name === "loss" || name.startsWith("loss_") || name === "learning_rate";
    const figure = chart({ title: name, x: { label: "training step", whole: true }, y: { label: "", log, low: isShare(name) ? 0 : undefined } }, series);
    (first.includes(name) ? holder : rest).append(figure);
  });
  more.append(rest);
  const place = document.getElementById("compared-curves");
  place.append(ordered.length ? holder : el("p", {}, "Nothing has been measured yet."), rest.childElementCount ? more : "");
  document.body.dataset.drawn = "true";
})();
