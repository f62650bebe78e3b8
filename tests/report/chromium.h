// Headless Chromium, for tests that need to see what a page becomes.
#ifndef VERNIER_TESTS_REPORT_CHROMIUM_H_
#define VERNIER_TESTS_REPORT_CHROMIUM_H_

#include <filesystem>
#include <string>

namespace vernier::testing {

// Whether `chromium` is installed.
bool HaveChromium();

struct RenderedPage {
  int exit_code = 0;
  std::string dom;      // the document after its scripts have run, as HTML
  std::string console;  // every line that the page wrote to its console, errors included
};

// Opens a file of HTML; `scratch` is a directory for the browser's own files.
RenderedPage Render(const std::filesystem::path& page, const std::filesystem::path& scratch);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_REPORT_CHROMIUM_H_
