// The largest magnitudes: of weights and of the inputs that calibration saw.

function distributionText(place, numbers) {
  return place + ": min " + significant(numbers.min) + ", quartiles " +
    significant(numbers.lower_quartile) + ", " + significant(numbers.median) + ", " +
    significant(numbers.upper_quartile) + ", max " + significant(numbers.max) + " of " +
    plural(numbers.count, "module");
}

// What a chart of one line of layers needs: the numbers of each layer, or null.
function rangesOf(layers, find) {
  return layers.map((layer) => {
    const numbers = find(layer);
    if (!numbers || numbers.count === 0 || !(numbers.min > 0)) return null;
    return {...numbers, text: distributionText(layer < 0 ? "outside the layers" : "layer " + layer,
                                               numbers)};
  });
}

function amaxFigure(title, layers, ranges) {
  if (ranges.every((range) => range === null)) return "";
  const labels = layers.map((layer) => (layer < 0 ? "\u2013" : String(layer)));
  return element("figure", {}, element("figcaption", {}, title),
                 rangeChart(title + " by layer", labels, ranges, "layer"));
}

function roleFigures(cells, role) {
  const own = cells.filter((item) => item.role === role);
  const {layers} = cellAxes(own);
  const find = cellIndex(own);
  const ranges = (field) => rangesOf(layers, (layer) => (find(layer, role) || {})[field]);
  return element("div", {class: "figures"},
                 amaxFigure(role + ": weights", layers, ranges("weight_amax")),
                 amaxFigure(role + ": inputs", layers, ranges("input_amax")));
}

function distributionCells(path) {
  return ["min", "lower_quartile", "median", "upper_quartile", "max"].map((field) =>
    cell(extend(path, field), "number"));
}

function amaxRows(cells) {
  return cells.flatMap((item) => {
    const path = "audit.cells." + report.audit.cells.indexOf(item);
    return ["weight_amax", "input_amax"].filter((field) => item[field].count > 0).map((field) => [
      String(item.layer), item.role, field === "weight_amax" ? "weights" : "inputs",
      cell(extend(path, field, "count"), "count"), ...distributionCells(extend(path, field))]);
  });
}

function drawAmax() {
  const node = section("amax", "Amax by layer",
    "Amax is the largest magnitude that the checkpoint's scales provide for: of an NVFP4 weight, " +
    "and of the input of its layer. Each box spans the middle half of the modules with the median " +
    "as a line, each whisker all of them; a layer far from its neighbours deserves a look.");
  const cells = report.audit === null ? [] : report.audit.cells.filter((item) =>
    item.weight_amax.count > 0 || item.input_amax.count > 0);
  if (cells.length === 0) return node.append(note("No NVFP4 weight has scales to tell it from."));
  node.append(...cellAxes(cells).roles.map((role) => roleFigures(cells, role)),
              details("Numbers by layer and role", table("Amax by layer and role",
                ["#Layer", "Role", "Of", "#Modules", "#Min", "#Lower quartile", "#Median",
                 "#Upper quartile", "#Max"], amaxRows(cells))));
}
