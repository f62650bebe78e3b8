// Draws the page.

function drawHeader() {
  const subject = report.audit !== null ? report.audit.directory
                                        : report.run !== null ? report.run.directory : "";
  document.title = "Vernier report: " + subject;
  const links = sections.map(({id, title}) => element("a", {href: "#" + id}, title));
  document.getElementById("header").append(
    element("h1", {}, element("span", {}, "Vernier report"), " ", element("code", {}, subject)),
    element("nav", {"aria-label": "Sections"}, ...links));
}

drawVerdict();
drawFindings();
drawEngines();
drawErrors();
drawBlocks();
drawAmax();
drawExperts();
drawConfig();
drawRun();
drawHeader();
