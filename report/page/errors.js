// How far converted weights are from their source, by layer and role.

const kLowError = 1e-4;
const kLowShare = 1e-6;

// What can be shown of a cell's error. Levels are on fixed scales, so that pages compare.
const errorMeasures = {
  relative_error: {
    title: "relative error",
    level: (error) => logLevel(error.relative_error, kLowError, 1),
    ticks: ["\u2264 0.0001", "0.001", "0.01", "0.1", "\u2265 1"],
  },
  sqnr_db: {
    title: "SQNR in dB",
    level: (error) => 1 - error.sqnr_db / 80,
    ticks: ["\u2265 80", "60", "40", "20", "\u2264 0"],
  },
  saturated_share: {
    title: "share of saturated values",
    level: (error) => logLevel(error.saturated_share, kLowShare, 1),
    ticks: ["\u2264 1e-6", "1e-4", "1e-2", "1"],
  },
};

function placeName(layer, role) {
  if (layer < 0) return role + " outside the layers";
  return role === "mtp" ? "MTP layer " + layer : role + " of layer " + layer;
}

function errorText(item) {
  const error = item.error;
  const place = placeName(item.layer, item.role) + ": ";
  if (error.exact === error.weights) return place + plural(error.weights, "weight") + ", all exact";
  return place + "relative error " + written(error.relative_error, "number") + ", SQNR " +
    written(error.sqnr_db, "decibel") + " dB, saturated " + written(error.saturated_share, "share") +
    ", " + groupDigits(error.exact) + " of " + plural(error.weights, "weight") + " exact";
}

function errorCell(item, measure) {
  if (!item) return null;
  if (item.error === null) {
    return {mark: "none", text: placeName(item.layer, item.role) + ": not converted"};
  }
  const text = errorText(item);
  if (item.error.exact === item.error.weights) return {mark: "exact", text};
  const value = item.error[measure];
  if (measure === "saturated_share" && value === 0) return {mark: "zero", text};
  if (value === null) return {level: 1, text};  // error where the source is all zero
  return {level: errorMeasures[measure].level(item.error), text};
}

// Layers in order, the last column for what lies outside them; roles in order of appearance.
function cellAxes(cells) {
  const layers = [...new Set(cells.map((item) => item.layer))].sort((a, b) => a - b);
  if (layers[0] === -1) layers.push(layers.shift());
  return {layers, roles: [...new Set(cells.map((item) => item.role))],
          labels: layers.map((layer) => (layer < 0 ? "\u2013" : String(layer)))};
}

function cellIndex(cells) {
  const index = new Map(cells.map((item) => [item.layer + " " + item.role, item]));
  return (layer, role) => index.get(layer + " " + role);
}

function cellsOfConvertedRoles(cells) {
  const converted = new Set(cells.filter((item) => item.error !== null).map((item) => item.role));
  return cells.filter((item) => converted.has(item.role));
}

function errorMap(cells) {
  const {layers, roles, labels} = cellAxes(cells);
  const find = cellIndex(cells);
  const place = element("div", {});
  const draw = (measure) => {
    const rows = roles.map((role) => ({
      label: role,
      cells: layers.map((layer) => errorCell(find(layer, role), measure)),
    }));
    const {title, ticks} = errorMeasures[measure];
    const marks = {exact: "exact", none: "not converted"};
    if (measure === "saturated_share") marks.zero = "none saturated";
    place.replaceChildren(legend(title, ticks, marks),
                          heatMap("Error by role and layer", labels, rows, "layer"));
  };
  const choice = switchOf("Measure", {relative_error: "Relative error", sqnr_db: "SQNR",
                                      saturated_share: "Saturated share"}, draw);
  return [element("div", {class: "controls"}, choice), place];
}

function errorNumbers(path) {
  return [cell(path + ".relative_error", "number"), cell(path + ".sqnr_db", "decibel"),
          cell(path + ".max_abs_error", "number"), cell(path + ".saturated_share", "share")];
}
const kErrorTitles = ["#Relative error", "#SQNR, dB", "#Largest error", "#Saturated"];

function roleRow(path, name) {
  return [name, cell(path + ".weights", "count"), cell(path + ".exact", "count"),
          cell(path + ".values", "count"), ...errorNumbers(path)];
}

function worstRow(_, index) {
  const path = "audit.errors.worst." + index;
  return [element("td", {}, shown(path + ".module", "text", "code")), cell(path + ".layer"),
          cell(path + ".role"), cell(path + ".format"), ...errorNumbers(path),
          cell(path + ".zero_blocks", "count")];
}

function cellRow(_, index) {
  const path = "audit.cells." + index;
  const error = report.audit.cells[index].error;
  return [cell(path + ".layer"), cell(path + ".role"), cell(path + ".weights", "count"),
          ...(error === null ? [kNothing, kNothing, kNothing, kNothing, kNothing]
                             : [cell(path + ".error.exact", "count"),
                                ...errorNumbers(path + ".error")])];
}

function drawErrors() {
  const node = section("errors", "Error against the source",
    "How far the converted weights are from those they were made from. The relative error is the " +
    "root of the summed squared differences over that of the source's values; SQNR is the same in " +
    "decibels (larger is better); saturated values are larger than their block can hold.");
  const audit = report.audit;
  if (audit === null || audit.errors.overall.weights === 0) {
    return node.append(note("No converted weight was compared with a source."));
  }
  const cells = cellsOfConvertedRoles(audit.cells);
  if (cells.length > 0) node.append(...errorMap(cells));
  else node.append(note("No numbers by layer were measured."));
  node.append(heading("By role"), table("Error by role",
    ["Role", "#Weights", "#Exact", "#Values", ...kErrorTitles],
    [...Object.keys(audit.errors.roles).map((role) =>
      roleRow(extend("audit.errors.roles", role), role)),
     roleRow("audit.errors.overall", "all")]));
  node.append(heading("Worst weights"));
  if (audit.errors.worst.length === 0) {
    node.append(note(audit.errors.overall.exact === audit.errors.overall.weights
      ? "Every converted weight is exact." : "They are not listed."));
  } else {
    node.append(table("Weights with the largest relative error",
      ["Module", "#Layer", "Role", "Format", ...kErrorTitles, "#Zero blocks"],
      audit.errors.worst.map(worstRow)));
  }
  if (audit.cells.length === 0) return;
  node.append(details("Numbers by layer and role", table("Error by layer and role",
    ["#Layer", "Role", "#Weights", "#Exact", ...kErrorTitles], audit.cells.map(cellRow))));
}
