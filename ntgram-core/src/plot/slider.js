// Makes a slider of every element that holds frames and is none yet. No names are left behind, no element is found by an id:
// sliders on one page do not know of each other.
document.querySelectorAll(".ntgram-slider[data-frames]").forEach(function (root) {
  const frames = root.dataset.frames.split(" ");
  const titles = JSON.parse(root.dataset.titles);
  const [width, height] = root.dataset.size.split(" ");
  const [left, top, across, down] = root.dataset.place.split(" ");
  const make = function (tag, style, parent) {
    const element = document.createElement(tag);
    element.style.cssText = style;
    parent.appendChild(element);
    return element;
  };
  const base = root.dataset.base;
  delete root.dataset.frames; // no longer one to be made
  delete root.dataset.base;
  root.textContent = "";

  const bar = make("div", `display:flex;align-items:center;gap:10px;max-width:${width}px;margin:4px 0`, root);
  const range = make("input", "flex:1;min-width:80px;margin:0", bar);
  range.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab would take the arrow keys; it looks at the target alone
  const name = function (k) {
    const place = `${k + 1} of ${frames.length}`;
    return titles[k] ? `${titles[k]} (${place})` : place;
  };
  // as wide as the longest, so that the slider keeps its length
  const widest = Math.max(...frames.map((_, k) => name(k).length));
  const label = make("output", `min-width:${widest}ch;font-variant-numeric:tabular-nums;white-space:nowrap`, bar);
  const plain = "display:block;margin:0;padding:0;border:0;max-width:none;";
  const picture = make("div", `position:relative;width:${width}px;max-width:100%`, root);
  const below = make("img", plain + "width:100%;height:auto", picture);
  const above = make("img", plain + `position:absolute;left:${left}%;top:${top}%;width:${across}%;height:${down}%`, picture);
  below.src = base;
  below.width = width;
  below.height = height;
  below.alt = "";

  Object.assign(range, { type: "range", min: 0, max: frames.length - 1, step: 1, value: 0 });
  const show = function () {
    const k = Number(range.value);
    label.textContent = name(k);
    above.src = frames[k];
    above.alt = label.textContent;
    range.setAttribute("aria-label", "frame");
    range.setAttribute("aria-valuetext", label.textContent);
  };
  range.addEventListener("input", show);
  show();
});
