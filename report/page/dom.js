// Building the document. Text only ever enters it as text.

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  return node;
}

function element(tag, attributes = {}, ...children) {
  const node = setAttributes(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(node, attributes).append(...children);
  return node;
}

const sections = [];

// A section with a heading and a sentence that says what it shows.
function section(id, title, explanation) {
  const heading = id + "-title";
  const node = element("section", {id, "aria-labelledby": heading},
                       element("h2", {id: heading}, title),
                       element("p", {class: "explanation"}, explanation));
  sections.push({id, title});
  document.getElementById("main").append(node);
  return node;
}

function note(text) {
  return element("p", {class: "note"}, text);
}

function heading(text) {
  return element("h3", {}, text);
}

// `columns`: titles; one that starts with '#' heads numbers. `rows`: arrays of cells; what is no
// td becomes the content of one.
function table(caption, columns, rows) {
  const titles = columns.map((title) => {
    const number = title.startsWith("#");
    return element("th", {scope: "col", class: number ? "number" : null},
                   number ? title.slice(1) : title);
  });
  const body = rows.map((row) => element("tr", {}, ...row.map((part, i) => {
    if (part instanceof HTMLTableCellElement) return part;
    return element("td", {class: columns[i].startsWith("#") ? "number" : null}, part);
  })));
  return element("div", {class: "scroll"},
                 element("table", {},
                         element("caption", {}, caption),
                         element("thead", {}, element("tr", {}, ...titles)),
                         element("tbody", {}, ...body)));
}

// What most readers do not need at once.
function details(summary, ...children) {
  return element("details", {}, element("summary", {}, summary), ...children);
}

function badge(text, kind) {
  return element("span", {class: "badge " + kind}, text);
}

function code(text) {
  return element("code", {}, text);
}

// A label and a value, as one tile.
function tile(label, value) {
  return element("div", {class: "tile"}, element("dt", {}, label), element("dd", {}, value));
}

// Buttons of which one is chosen. `choose` gets the chosen one's key, at once that of the first.
function switchOf(label, choices, choose) {
  const buttons = Object.entries(choices).map(([key, text]) => {
    const button = element("button", {type: "button"}, text);
    button.addEventListener("click", () => press(button, key));
    return button;
  });
  function press(pressed, key) {
    for (const button of buttons) button.setAttribute("aria-pressed", button === pressed);
    choose(key);
  }
  press(buttons[0], Object.keys(choices)[0]);
  return element("div", {class: "switch", role: "group", "aria-label": label}, ...buttons);
}

// A drop-down list whose first entry means "all".
function filterOf(label, values, changed) {
  const options = values.map((value) => element("option", {value}, value));
  const select = element("select", {}, element("option", {value: ""}, "all"), ...options);
  select.addEventListener("change", () => changed(select.value));
  return element("label", {class: "filter"}, label + " ", select);
}
