// What differs between the source's config.json and the checkpoint's.

const kLongValue = 160;  // characters; longer ones are folded

// The JSON at `path`; "absent" where there is none.
function jsonCell(path) {
  const value = at(path);
  if (value === null) return element("td", {class: "note"}, "absent");
  const text = element("code", {"data-path": path, "data-format": "json"}, JSON.stringify(value));
  if (text.textContent.length <= kLongValue) return element("td", {class: "json"}, text);
  return element("td", {class: "json"},
                 details(text.textContent.slice(0, 60) + "\u2026 (" +
                         plural(text.textContent.length, "character") + ")", text));
}

function drawConfig() {
  const node = section("config", "Changes in config.json",
    "What the conversion wrote into the model's configuration, which tells engines how to read the " +
    "weights.");
  const changes = report.audit === null ? [] : report.audit.config_changes;
  if (changes.length === 0) {
    return node.append(note(report.audit === null || report.audit.source === null
      ? "There was no source to compare with." : "Nothing was changed, or nothing is known of it."));
  }
  node.append(table("Changes", ["Path", "Before", "After", "Reason"], changes.map((_, i) => {
    const path = "audit.config_changes." + i;
    return [element("td", {class: "wide"}, shown(path + ".path", "text", "code")), jsonCell(path + ".before"),
            jsonCell(path + ".after"), cell(path + ".reason")];
  })));
}
