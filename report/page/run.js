// The run that made the checkpoint, from its store.

function runTiles() {
  const path = "run.calibration";
  const layers = element("span", {}, groupDigits(at(path + ".layers").length), " of ",
                         shown(path + ".total_layers", "count"));
  return element("dl", {class: "tiles"},
    tile("Calibration", at(path + ".finished") ? "finished" : "not finished"),
    tile("Samples", element("span", {}, shown(path + ".samples", "count"), " of ",
                            shown(path + ".sequence_length", "count"), " tokens")),
    tile("Tokens, at most", shown(path + ".most_tokens", "count")),
    tile("Layers", layers),
    tile("Statistics", shown(path + ".statistics", "count")),
    tile("Modules without tokens", shown(path + ".unseen", "count")),
    tile("Modules with clamped values", shown("run.non_finite.modules", "count")));
}

function secondsByLayer() {
  const layers = at("run.calibration.layers");
  if (layers.length === 0) return [note("No layer was finished.")];
  const chart = barChart("Seconds by layer", layers.map((item) => String(item.layer)),
    layers.map((item) => ({value: item.seconds,
                           text: `layer ${item.layer}: ${significant(item.seconds)} s`})),
    "layer", (seconds) => significant(seconds) + " s");
  const rows = layers.map((_, i) => {
    const path = "run.calibration.layers." + i;
    return [cell(path + ".layer", "count"), cell(path + ".seconds", "number"),
            cell(path + ".modules", "count"), cell(path + ".unseen", "count")];
  });
  return [chart, details("Numbers by layer", table("Layers",
    ["#Layer", "#Seconds", "#Modules observed", "#Without tokens"], rows))];
}

function observedInputs() {
  const inputs = at("run.inputs");
  if (inputs.length === 0) return [note("No module's input was observed.")];
  const kinds = [...new Set(inputs.map((item) => item.kind))];
  const layers = [...new Set(inputs.map((item) => item.layer))].sort((a, b) => a - b);
  const figures = kinds.map((kind) => amaxFigure(kind, layers, rangesOf(layers, (layer) =>
    inputs.find((item) => item.kind === kind && item.layer === layer))));
  const rows = inputs.map((_, i) => {
    const path = "run.inputs." + i;
    return [cell(path + ".layer", "count"), cell(path + ".kind"), cell(path + ".count", "count"),
            ...distributionCells(path)];
  });
  return [element("div", {class: "figures"}, ...figures),
          details("Numbers by layer", table("Observed inputs",
            ["#Layer", "Modules", "#Count", "#Min", "#Lower quartile", "#Median",
             "#Upper quartile", "#Max"], rows))];
}

function runTable(title, columns, field, row) {
  const items = at(field);
  if (items.length === 0) return [];
  return [heading(title), table(title, columns,
                                items.map((_, i) => row(extend(field, i))))];
}

function exportRow(path) {
  return [element("td", {}, shown(path + ".output", "text", "code")),
          element("td", {class: "number"}, shown(path + ".shards_done", "count"), " of ",
                  shown(path + ".shards", "count")),
          element("td", {class: "number"}, shown(path + ".bytes_done", "bytes"), " of ",
                  shown(path + ".bytes", "bytes")),
          cell(path + ".finished_at"), cell(path + ".audited_at"),
          cell(path + ".audit_errors", "count")];
}

function commandRow(path) {
  return [element("td", {class: "wide"}, shown(path + ".line", "text", "code")),
          cell(path + ".steps"), cell(path + ".started_at"), cell(path + ".outcome"),
          cell(path + ".message")];
}

function runTables() {
  return [
    ...runTable("Phases", ["Phase", "#Time", "Begun (UTC)", "Ended (UTC)"], "run.phases", (path) =>
      [cell(path + ".phase"), cell(path + ".seconds", "duration"), cell(path + ".started_at"),
       cell(path + ".ended_at")]),
    ...runTable("Statistics", ["Statistic", "#Modules"], "run.calibration.statistics_by_name", (path) =>
      [cell(path + ".name"), cell(path + ".count", "count")]),
    ...runTable("Exports", ["Output", "#Shards", "#Size", "Finished (UTC)", "Audited (UTC)",
                            "#Errors"], "run.exports", exportRow),
    ...runTable("Clamped values", ["#Layer", "Module", "#Sample", "First value", "#Values"],
      "run.non_finite.records", (path) =>
        [cell(path + ".layer", "count"), cell(path + ".module"), cell(path + ".sample", "count"),
         cell(path + ".value"), cell(path + ".count", "count")]),
    ...runTable("The first modules without tokens", ["Module"], "run.calibration.unseen_modules",
      (path) => [element("td", {}, shown(path, "text", "code"))]),
    ...runTable("Commands", ["Command", "Steps", "Begun (UTC)", "Outcome", "Message"],
      "run.commands", commandRow),
    ...runTable("Log", ["At (UTC)", "What", "Detail"], "run.events", (path) =>
      [cell(path + ".at"), cell(path + ".kind"),
       element("td", {class: "wide"}, shown(path + ".detail", "text", "span"))]),
    ...runTable("Settings", ["Setting", "Value"], "run.settings", (path) =>
      [cell(path + ".name"), cell(path + ".value")]),
  ];
}

function drawRun() {
  const node = section("run", "The run",
    "How the checkpoint was made: sample texts went through the model layer by layer while the " +
    "largest magnitude of every module's input was noted; then the weights were converted.");
  if (report.run === null) {
    return node.append(note("This page is about a checkpoint alone; `vernier report RUN` adds its run."));
  }
  node.append(element("dl", {class: "places"}, element("dt", {}, "Run directory"),
                      shown("run.directory", "text", "dd")),
              runTiles());
  if (at("run.calibration.statistics") === 0 && at("run.calibration.layers").length === 0) {
    node.append(note("Nothing was calibrated."));
  } else {
    node.append(heading("Time by layer"), ...secondsByLayer(),
                heading("Observed input amax"), ...observedInputs());
  }
  node.append(...runTables());
}
