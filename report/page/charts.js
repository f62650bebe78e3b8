// Drawings with axes, as SVG.

const kChartHeight = 150;
const kLeft = 58;    // for the labels of the vertical axis
const kBelow = 34;   // for those of the horizontal one
const kAbove = 8;

function chartFrame(label, width) {
  return svg("svg", {role: "img", "aria-label": label, class: "chart",
                     width: kLeft + width + 8, height: kAbove + kChartHeight + kBelow,
                     viewBox: `0 0 ${kLeft + width + 8} ${kAbove + kChartHeight + kBelow}`});
}

function chartText(x, y, text, anchor) {
  return svg("text", {x, y, "text-anchor": anchor}, text);
}

function gridLine(y, width, text) {
  return svg("g", {class: "gridline"},
             svg("line", {x1: kLeft, x2: kLeft + width, y1: y, y2: y}),
             chartText(kLeft - 6, y + 4, text, "end"));
}

// Below each slot its label, as many as there is room for.
function slotLabels(labels, slot, axis) {
  const step = slot >= 24 ? 1 : labelStep(labels.length);
  const y = kAbove + kChartHeight + 14;
  const texts = labels.map((text, i) =>
    isLabelled(text, step) ? chartText(kLeft + (i + 0.5) * slot, y, text, "middle") : "");
  const middle = kLeft + labels.length * slot / 2;
  return [...texts, svg("text", {x: middle, y: y + 16, "text-anchor": "middle", class: "axis"}, axis)];
}

// Round numbers over a range: the fewer decades it spans, the more of each.
function logTicks(low, high) {
  if (high / low < 3) return evenTicks(high - low, low).filter((tick) => tick <= high);
  const factors = high / low > 1000 ? [1] : high / low > 20 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); ++power) {
    for (const factor of factors) {
      const tick = Number((factor * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  const step = Math.ceil(ticks.length / 8);
  return ticks.filter((_, i) => i % step === 0);
}

// One box per item {label, text, min, lower_quartile, median, upper_quartile, max}, all positive,
// on a logarithmic axis; an item without numbers (null) leaves its slot empty.
function rangeChart(label, labels, items, axis) {
  const known = items.filter((item) => item !== null);
  const low = Math.min(...known.map((item) => item.min)) / 1.15;
  const high = Math.max(...known.map((item) => item.max)) * 1.15;
  const slot = Math.max(6.5, Math.min(30, 440 / labels.length));
  const width = Math.max(slot * labels.length, 120);
  const y = (value) => kAbove + kChartHeight * (1 - logLevel(value, low, high));
  const chart = chartFrame(label, width);
  for (const tick of logTicks(low, high)) chart.append(gridLine(y(tick), width, significant(tick)));
  items.forEach((item, i) => {
    if (item === null) return;
    const x = kLeft + (i + 0.5) * slot;
    const half = slot * 0.32;
    chart.append(svg("g", {class: "box"},
      svg("title", {}, item.text),
      svg("rect", {class: "target", x: x - slot / 2, y: kAbove, width: slot, height: kChartHeight}),
      svg("line", {x1: x, x2: x, y1: y(item.max), y2: y(item.min)}),
      svg("rect", {x: x - half, y: y(item.upper_quartile), width: 2 * half,
                   height: Math.max(1, y(item.lower_quartile) - y(item.upper_quartile))}),
      svg("line", {class: "median", x1: x - half, x2: x + half,
                   y1: y(item.median), y2: y(item.median)})));
  });
  chart.append(...slotLabels(labels, slot, axis));
  return element("div", {class: "scroll"}, chart);
}

// Up to seven multiples of 1, 2 or 5 times a power of ten: from the first at or above `start` to
// the first at or above `start + range`.
function evenTicks(range, start = 0) {
  const power = 10 ** Math.floor(Math.log10(range));
  const step = [0.2, 0.5, 1, 2].map((factor) => factor * power).find((size) => range / size <= 5);
  const ticks = [];
  for (let i = Math.ceil(start / step); ticks.length === 0 || (i - 1) * step < start + range; ++i) {
    ticks.push(Number((i * step).toPrecision(6)));
  }
  return ticks;
}

// One bar per item {value, text}, from 0.
function barChart(label, labels, items, axis, write) {
  const ticks = evenTicks(Math.max(...items.map((item) => item.value)) || 1);
  const high = ticks[ticks.length - 1];
  const slot = Math.max(9, Math.min(44, 840 / labels.length));
  const width = slot * labels.length;
  const y = (value) => kAbove + kChartHeight * (1 - value / high);
  const chart = chartFrame(label, width);
  for (const tick of ticks) chart.append(gridLine(y(tick), width, write(tick)));
  items.forEach((item, i) => {
    chart.append(svg("rect", {class: "column", x: kLeft + (i + 0.12) * slot, y: y(item.value),
                              width: slot * 0.76, height: y(0) - y(item.value)},
                     svg("title", {}, item.text)));
  });
  chart.append(...slotLabels(labels, slot, axis));
  return element("div", {class: "scroll"}, chart);
}
