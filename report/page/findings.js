// What the audit found, errors first.

function findingRow(finding, index) {
  const path = "audit.findings." + index;
  const more = finding.count - finding.tensors.length;
  const tensors = finding.tensors.map((_, i) =>
    element("li", {}, shown(extend(path, "tensors", i), "text", "code")));
  if (more > 0) tensors.push(element("li", {}, "and " + groupDigits(more) + " more"));
  const severity = shown(path + ".severity");
  severity.className = "badge " + finding.severity;
  const row = element("tr", {},
    element("td", {}, severity),
    element("td", {}, shown(path + ".rule", "text", "code")),
    element("td", {class: "wide"}, shown(path + ".what", "text", "p"),
            element("ul", {class: "names"}, ...tensors),
            element("p", {class: "remedy"}, "\u2192 ", shown(path + ".remedy"))),
    element("td", {}, finding.engines.join(", ")),
    cell(path + ".count", "count"));
  return {row, finding};
}

function drawFindings() {
  const node = section("findings", "Findings",
    "Each row is one rule of an engine, or one property of the files, that does not hold: an error " +
    "stops an engine or spoils its answers, a warning may be intended.");
  if (report.audit === null) return node.append(note("No checkpoint was audited."));
  const findings = report.audit.findings;
  if (findings.length === 0) return node.append(note("Nothing was found."));

  const rows = findings.map(findingRow);
  const wanted = {severity: "", engine: "", rule: ""};
  const count = element("span", {class: "note", "aria-live": "polite"});
  const update = () => {
    let visible = 0;
    for (const {row, finding} of rows) {
      const fits = (!wanted.severity || finding.severity === wanted.severity) &&
                   (!wanted.engine || finding.engines.includes(wanted.engine)) &&
                   (!wanted.rule || finding.rule === wanted.rule);
      row.hidden = !fits;
      if (fits) ++visible;
    }
    count.textContent = visible + " of " + plural(rows.length, "finding");
  };
  const filter = (label, key, values) => filterOf(label, [...new Set(values)], (value) => {
    wanted[key] = value;
    update();
  });
  update();
  const list = table("Findings", ["Severity", "Rule", "What is wrong, where, and what to do",
                                  "Engines", "#Count"], []);
  list.querySelector("tbody").append(...rows.map(({row}) => row));
  node.append(element("div", {class: "controls"},
                      filter("Severity", "severity", findings.map((f) => f.severity)),
                      filter("Engine", "engine", findings.flatMap((f) => f.engines)),
                      filter("Rule", "rule", findings.map((f) => f.rule)), count),
              list);
}
