// How many calibration tokens each routed expert saw.

const kStripCell = 18;     // height of a layer's strip
const kLevels = 64;        // colours of the strip
const kLowLoad = 1 / 16;   // of an expert's tokens over the mean of its layer
const kHighLoad = 16;

// The numbers, from the run where there is one.
function expertTokens() {
  if (report.run && report.run.expert_tokens.length > 0) {
    return {layers: report.run.expert_tokens, from: "the run's store"};
  }
  return {layers: report.audit === null ? [] : report.audit.expert_tokens,
          from: "the checkpoint's manifest"};
}

// The style sheet's colours, as a canvas understands them.
function heatPalette(parent) {
  const probe = element("i", {class: "cell"});
  parent.append(probe);
  const colours = [...Array(kLevels).keys()].map((i) => {
    probe.className = "cell";
    heat(probe, i / (kLevels - 1));
    return getComputedStyle(probe).backgroundColor;
  });
  probe.className = "cell unseen";
  const unseen = getComputedStyle(probe).backgroundColor;
  probe.remove();
  return {colours, unseen};
}

function ordered(tokens, sorted) {
  const experts = tokens.map((count, expert) => ({count, expert}));
  return sorted ? experts.sort((a, b) => b.count - a.count || a.expert - b.expert) : experts;
}

function paintStrip(canvas, experts, palette) {
  const context = canvas.getContext("2d");
  const mean = sum(experts.map((item) => item.count)) / experts.length;
  const width = canvas.width / experts.length;
  experts.forEach(({count}, i) => {
    const level = logLevel(count / mean, kLowLoad, kHighLoad);
    context.fillStyle = count === 0 ? palette.unseen
                                    : palette.colours[Math.round(level * (kLevels - 1))];
    context.fillRect(Math.floor(i * width), 0, Math.ceil(width), canvas.height);
  });
}

function stripRow(item, readout) {
  const unseen = item.tokens.filter((count) => count === 0).length;
  const label = `layer ${item.layer}: ${plural(item.tokens.length, "expert")}, ${unseen} without tokens`;
  const canvas = element("canvas", {role: "img", "aria-label": label,
                                    width: item.tokens.length * Math.ceil(768 / item.tokens.length),
                                    height: kStripCell});
  const row = {canvas, item, experts: []};
  canvas.addEventListener("pointermove", (event) => {
    const part = event.offsetX / canvas.clientWidth;
    const found = row.experts[Math.floor(part * row.experts.length)];
    if (found) readout.textContent =
      `layer ${item.layer}, expert ${found.expert}: ${plural(found.count, "token")}`;
  });
  row.node = element("div", {class: "strip"}, element("b", {}, String(item.layer)), canvas,
                     element("span", {class: unseen > 0 ? "few" : ""},
                             unseen === 0 ? "all seen" : groupDigits(unseen) + " unseen"));
  return row;
}

function expertStrips(layers) {
  const readout = element("p", {class: "readout", "aria-live": "polite"}, "Point at an expert.");
  const place = element("div", {class: "strips", role: "group",
                                "aria-label": "Tokens by expert, a strip a layer"});
  const rows = layers.map((item) => stripRow(item, readout));
  place.append(...rows.map((row) => row.node));
  let sorted = true;
  const paint = () => {
    const palette = heatPalette(place);
    for (const row of rows) {
      row.experts = ordered(row.item.tokens, sorted);
      paintStrip(row.canvas, row.experts, palette);
    }
  };
  const choice = switchOf("Order", {load: "By load", number: "By number"}, (key) => {
    sorted = key === "load";
    if (place.isConnected) paint();
  });
  whenColoursChange(paint);
  return {nodes: [element("div", {class: "controls"}, choice),
                  legend("tokens over the layer's mean", ["\u2264 1/16", "1/4", "1", "4", "\u2265 16"],
                         {unseen: "no token"}),
                  place, readout], paint};
}

// Canvases keep the colours that they were painted with.
function whenColoursChange(repaint) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  window.addEventListener("beforeprint", repaint);
}

function expertRow(item) {
  const tokens = ordered(item.tokens, true).map(({count}) => count).reverse();
  const unseen = tokens.filter((count) => count === 0).length;
  return [String(item.layer), groupDigits(tokens.length), groupDigits(unseen),
          groupDigits(tokens[0]), groupDigits(tokens[Math.floor((tokens.length - 1) / 2)]),
          groupDigits(tokens[tokens.length - 1]), groupDigits(sum(tokens))];
}

function drawExperts() {
  const node = section("experts", "Tokens per expert",
    "A routed expert is only calibrated by the tokens that were sent to it. One that saw none has " +
    "borrowed the input scale of its neighbours: more, or more varied, calibration data helps.");
  const {layers, from} = expertTokens();
  const known = layers.filter((item) => item.tokens.length > 0);
  if (known.length === 0) return node.append(note("No tokens of routed experts are recorded."));
  const unseen = sum(known.map((item) => item.tokens.filter((count) => count === 0).length));
  const experts = sum(known.map((item) => item.tokens.length));
  node.append(element("dl", {class: "tiles"},
    tile("Experts", groupDigits(experts) + " in " + plural(known.length, "layer")),
    tile("Without tokens", groupDigits(unseen) + " (" + written(unseen / experts, "share") + ")"),
    tile("Numbers from", from)));
  const strips = expertStrips(known);
  node.append(...strips.nodes, details("Numbers by layer", table("Tokens by layer",
    ["#Layer", "#Experts", "#Without tokens", "#Fewest tokens", "#Median", "#Most", "#Sum"],
    known.map(expertRow))));
  strips.paint();
}
