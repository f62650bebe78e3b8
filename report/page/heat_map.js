// A grid of coloured cells with a legend; the line below it tells the numbers of the cell under
// the pointer or the keyboard's focus. Colours come from the style sheet (--heat-low, -mid, -high).

// Colours an element by `level`, 0 to 1.
function heat(node, level) {
  const within = Math.min(1, Math.max(0, level));
  const upper = within >= 0.5;
  node.classList.add(upper ? "upper" : "lower");
  node.style.setProperty("--mix", (200 * within - (upper ? 100 : 0)).toFixed(1) + "%");
  return node;
}

// Where `value` stands between `low` and `high` on a logarithmic scale, 0 to 1.
function logLevel(value, low, high) {
  if (value <= low) return 0;
  return Math.min(1, Math.log(value / low) / Math.log(high / low));
}

function labelStep(count) {
  return count <= 16 ? 1 : count <= 48 ? 4 : 10;
}

// Whether there is room for a label: of numbers, for the multiples of `step`.
function isLabelled(text, step) {
  return Number.isNaN(Number(text)) || Number(text) % step === 0;
}

function heatCell(item) {
  const node = element("i", {role: "gridcell", tabindex: -1, class: "cell"});
  if (!item) return setAttributes(node, {"aria-label": "no data"});
  if (item.mark) node.classList.add(item.mark);
  else heat(node, item.level);
  return setAttributes(node, {title: item.text, "aria-label": item.text});
}

// Arrow keys move the focus over `cells`, `width` to a row.
function moveByKeys(grid, cells, width) {
  const steps = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width};
  grid.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (step === undefined) return;
    const next = cells[cells.indexOf(event.target) + step];
    if (next) next.focus();
    event.preventDefault();
  });
  if (cells.length > 0) cells[0].tabIndex = 0;
}

// `rows`: [{label, cells}], each cell {level, text}, {mark: class, text} or null; `columns`: labels.
function heatMap(label, columns, rows, axis) {
  const grid = element("div", {class: "grid", role: "grid", "aria-label": label});
  grid.style.setProperty("--columns", columns.length);
  const step = labelStep(columns.length);
  const cells = [];
  for (const row of rows) {
    const nodes = row.cells.map(heatCell);
    cells.push(...nodes);
    grid.append(element("div", {role: "row", class: "row"},
                        element("b", {role: "rowheader"}, row.label), ...nodes));
  }
  const marks = columns.map((text) =>
    element("b", {role: "columnheader"}, isLabelled(text, step) ? text : ""));
  grid.append(element("div", {role: "row", class: "row axis"},
                      element("b", {role: "columnheader"}, axis), ...marks));
  const readout = element("p", {class: "readout", "aria-live": "polite"},
                          "Point at a cell, or move through the grid with the arrow keys.");
  const tell = (event) => {
    if (event.target.title) readout.textContent = event.target.title;
  };
  grid.addEventListener("pointerover", tell);
  grid.addEventListener("focusin", tell);
  moveByKeys(grid, cells, columns.length);
  return element("div", {}, element("div", {class: "scroll"}, grid), readout);
}

// `ticks`: texts along the scale, from its lowest to its highest; `marks`: {class: meaning}.
function legend(title, ticks, marks = {}) {
  const scale = element("span", {class: "scale"},
                        element("span", {class: "bar"}),
                        element("span", {class: "ticks"},
                                ...ticks.map((text) => element("span", {}, text))));
  const chips = Object.entries(marks).map(([mark, meaning]) =>
    element("span", {class: "chip"}, element("i", {class: "cell " + mark}), meaning));
  return element("div", {class: "legend"}, element("span", {}, title), scale, ...chips);
}
