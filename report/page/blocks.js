// The block scales of NVFP4 weights.

const kLowBlockShare = 1e-6;

function exponentLabel(exponent) {
  if (exponent === 0) return "sub.";
  return "2" + [...String(exponent - 7)].map((c) =>
    c === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[c]).join("");
}

function exponentRange(exponent) {
  return exponent === 0 ? "scales below 2^-6"
                        : `scales from 2^${exponent - 7} to 2^${exponent - 6}`;
}

function addBlocks(cells) {
  const total = {count: 0, at_maximum: 0, zero: 0, by_exponent: new Array(16).fill(0)};
  for (const {blocks} of cells) {
    total.count += blocks.count;
    total.at_maximum += blocks.at_maximum;
    total.zero += blocks.zero;
    blocks.by_exponent.forEach((count, i) => { total.by_exponent[i] += count; });
  }
  return total;
}

function blockHistogram(total) {
  return barChart("Blocks by the exponent of their scale",
    total.by_exponent.map((_, i) => exponentLabel(i)),
    total.by_exponent.map((count, i) => ({
      value: count / total.count,
      text: exponentRange(i) + ": " + plural(count, "block") + ", " +
        written(count / total.count, "share"),
    })), "block scale, at least", (share) => written(share, "share"));
}

function blockMap(cells) {
  const {layers, labels} = cellAxes(cells);
  const totals = layers.map((layer) => addBlocks(cells.filter((item) => item.layer === layer)));
  const rowOf = (label, count, name) => ({
    label,
    cells: totals.map((total, i) => {
      const share = count(total) / total.count;
      const text = (layers[i] < 0 ? "outside the layers: " : "layer " + layers[i] + ": ") + name +
        ": " + plural(count(total), "block") + ", " + written(share, "share");
      return share === 0 ? {mark: "zero", text}
                         : {level: logLevel(share, kLowBlockShare, 1), text};
    }),
  });
  const used = [...Array(16).keys()].filter((e) => totals.some((total) => total.by_exponent[e] > 0));
  const rows = used.reverse().map((exponent) =>
    rowOf(exponentLabel(exponent), (total) => total.by_exponent[exponent], exponentRange(exponent)));
  rows.push(rowOf("scale 448", (total) => total.at_maximum, "scales at the maximum, 448"));
  rows.push(rowOf("all zero", (total) => total.zero, "blocks whose values are all zero"));
  return [legend("share of the layer's blocks", ["\u2264 1e-6", "1e-4", "1e-2", "1"], {zero: "none"}),
          heatMap("Share of blocks by scale and layer", labels, rows, "layer")];
}

function blockRow(item) {
  const path = "audit.cells." + report.audit.cells.indexOf(item) + ".blocks";
  return [String(item.layer), item.role, cell(path + ".count", "count"),
          cell(path + ".at_maximum", "count"), cell(path + ".zero", "count"),
          written(item.blocks.at_maximum / item.blocks.count, "share"),
          written(item.blocks.zero / item.blocks.count, "share")];
}

function drawBlocks() {
  const node = section("blocks", "Block scales",
    "NVFP4 stores one 8-bit scale for 16 values. Scales should use the middle of their range: those " +
    "at the maximum (448) cannot grow, those below 2\u207b\u2076 lose digits, and a block of zeros " +
    "says that its values vanished or were never there.");
  const cells = report.audit === null ? []
    : report.audit.cells.filter((item) => item.blocks.count > 0);
  if (cells.length === 0) return node.append(note("No NVFP4 block scale was counted."));
  const total = addBlocks(cells);
  node.append(element("dl", {class: "tiles"},
    tile("Blocks", groupDigits(total.count)),
    tile("At the maximum", groupDigits(total.at_maximum) + " (" +
      written(total.at_maximum / total.count, "share") + ")"),
    tile("All zero", report.audit.depth === "scales" ? "not read"
      : groupDigits(total.zero) + " (" + written(total.zero / total.count, "share") + ")")));
  node.append(heading("All blocks"), blockHistogram(total),
              heading("By layer"), ...blockMap(cells),
              details("Numbers by layer and role", table("Blocks by layer and role",
                ["#Layer", "Role", "#Blocks", "#At the maximum", "#All zero", "#At the maximum",
                 "#All zero"], cells.map(blockRow))));
}
