// What each inference engine makes of the checkpoint.

function splitCell(split) {
  if (split === undefined) return kNothing;
  return split.problems === 0 ? badge("loads", "good") : badge("fails", "error");
}

function engineRow(engine, index, sizes) {
  const path = "audit.engines." + index;
  const verdict = engine.refusal === ""
    ? element("td", {}, badge("loads", "good"))
    : element("td", {class: "wide"}, badge("refuses", "error"), " ", shown(path + ".refusal"));
  const modules = element("td", {}, ...Object.keys(engine.modules).map((format) =>
    element("span", {class: "pair"},
            shown(extend(path + ".modules", format), "count"), " " + format)));
  const splits = sizes.map((size) =>
    splitCell(engine.tensor_parallel.find((split) => split.size === size)));
  return [cell(path + ".engine"), verdict,
          element("td", {class: "whole"}, shown(path + ".path", "text", "code")),
          modules, cell(path + ".disagreements", "count"), ...splits];
}

// The splits that fail, with the first module that cannot be split.
function failingSplits(engines) {
  const rows = engines.flatMap((engine, i) => engine.tensor_parallel.flatMap((split, j) => {
    const path = extend("audit.engines", i, "tensor_parallel", j);
    return split.problems === 0 ? [] : [[
      engine.engine, cell(path + ".size", "count"), cell(path + ".problems", "count"),
      element("td", {class: "wide"}, shown(path + ".first_problem", "text", "code"))]];
  }));
  if (rows.length === 0) return [];
  return [heading("Splits that fail"),
          table("Splits that fail", ["Engine", "#Devices", "#Modules", "The first of them"], rows)];
}

function drawEngines() {
  const node = section("engines", "Engines",
    "How each engine would read the checkpoint: the reader it chooses, the format in which it " +
    "builds the modules, modules that are stored otherwise, and whether the model can be split " +
    "over several devices (TP: tensor parallelism).");
  const engines = report.audit === null ? [] : report.audit.engines;
  if (engines.length === 0) return node.append(note("No engine's reading was simulated."));
  const all = engines.flatMap((engine) => engine.tensor_parallel.map((split) => split.size));
  const sizes = [...new Set(all)].sort((a, b) => a - b);
  node.append(table("Engines",
    ["Engine", "Verdict", "Reader", "Modules by format", "#Stored otherwise",
     ...sizes.map((size) => "TP " + size)],
    engines.map((engine, i) => engineRow(engine, i, sizes))), ...failingSplits(engines));
}
