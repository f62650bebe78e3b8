#include "base/io_options.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vernier {

IoOptions IoOptionsFromEnvironment() {
  IoOptions options;
  const char* text = std::getenv("VERNIER_IO");
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(','));
    if (word == "threads") {
      options.backend = IoBackend::kThreads;
    } else if (word == "buffered") {
      options.direct = false;
    } else {
      throw Error(ErrorCode::kBadArgument, "VERNIER_IO",
                  "\"" + std::string(word) + "\" is not a way of input and output",
                  "Use \"threads\", \"buffered\" or \"threads,buffered\"");
    }
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  return options;
}

}  // namespace vernier
