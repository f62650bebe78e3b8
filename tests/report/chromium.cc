#include "tests/report/chromium.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "base/file.h"

namespace vernier::testing {
namespace {

// As --enable-logging=stderr marks what comes from a page.
constexpr const char* kConsoleMark = "CONSOLE";

std::string ConsoleLines(const std::string& log) {
  std::istringstream lines(log);
  std::string console;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(kConsoleMark) != std::string::npos) console += line + "\n";
  }
  return console;
}

}  // namespace

bool HaveChromium() { return std::system("command -v chromium > /dev/null 2>&1") == 0; }

RenderedPage Render(const std::filesystem::path& page, const std::filesystem::path& scratch) {
  const std::filesystem::path dom = scratch / "dom.html", log = scratch / "browser.log";
  const std::string command = fmt::format(
      "HOME='{0}' timeout 60 chromium --headless --no-sandbox --disable-gpu "
      "--disable-dev-shm-usage --disable-background-networking --user-data-dir='{0}/profile' "
      "--virtual-time-budget=10000 --enable-logging=stderr --dump-dom 'file://{1}' > '{2}' 2> "
      "'{3}'",
      scratch.string(), page.string(), dom.string(), log.string());
  RenderedPage rendered;
  rendered.exit_code = std::system(command.c_str());
  rendered.dom = ReadWholeFile(dom);
  rendered.console = ConsoleLines(ReadWholeFile(log));
  return rendered;
}

}  // namespace vernier::testing
