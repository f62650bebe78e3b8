// What was looked at, and whether it is fit to be served.

function verdictBadge(counts) {
  if (counts.error > 0) return badge(plural(counts.error, "error"), "error");
  return badge(counts.warning > 0 ? "no errors, " + plural(counts.warning, "warning") : "no errors",
               counts.warning > 0 ? "warning" : "good");
}

function verdictSentence(audit) {
  if (!audit.clean) return "Do not serve this checkpoint before its errors are mended.";
  return audit.counts.warning > 0
    ? "The checkpoint loads; read the warnings before serving it."
    : "Nothing stands against serving this checkpoint.";
}

function depthText(audit) {
  if (audit.source !== null) return "every byte, and every value against the source";
  return audit.depth === "full" ? "every byte" : "headers, configurations and scales";
}

function auditTiles(audit) {
  const severities = {error: "error", warning: "warning", info: "note"};
  const counts = Object.entries(severities).map(([severity, word]) =>
    element("span", {class: "pair"}, shown("audit.counts." + severity, "count"),
            " " + word + (audit.counts[severity] === 1 ? "" : "s")));
  const formats = element("span", {}, ...Object.keys(audit.quantised_weights).map((format) =>
    element("span", {class: "pair"},
            shown(extend("audit.quantised_weights", format), "count"), " " + format)));
  if (formats.childNodes.length === 0) formats.append("none");
  const model = element("span", {}, shown("audit.model_type"),
                        audit.guessed_model ? " (roles guessed from names)" : "");
  return element("dl", {class: "tiles"},
    tile("Findings", element("span", {}, ...counts)),
    tile("Model", model),
    tile("Dialect", shown("audit.dialect")),
    tile("Size", element("span", {}, shown("audit.bytes", "bytes"), " in ",
                         shown("audit.tensors", "count"), " tensors")),
    tile("Quantised weights", formats),
    tile("Byte-equal to the source", audit.source === null
      ? "not compared"
      : element("span", {}, shown("audit.carried_tensors", "count"), " tensors")),
    tile("What was read", element("span", {}, shown("audit.depth"), ": " + depthText(audit))));
}

function drawVerdict() {
  const node = section("verdict", "Verdict",
    "Whether the inference engines can load this checkpoint, and what it is.");
  if (report.audit === null) {
    node.append(note("No checkpoint was audited" +
      (report.run && report.run.audit_absent ? ": " + report.run.audit_absent : "") + "."));
    return;
  }
  const places = element("dl", {class: "places"},
    element("dt", {}, "Checkpoint"), shown("audit.directory", "text", "dd"),
    element("dt", {}, "Made from"),
    report.audit.source === null ? element("dd", {}, "not compared with a source")
                                 : shown("audit.source", "text", "dd"));
  node.append(element("p", {class: "verdict"}, verdictBadge(report.audit.counts), " ",
                      verdictSentence(report.audit)),
              places, auditTiles(report.audit));
}
