#include "report/page.h"

#include <cassert>
#include <utility>

#include "base/file.h"
#include "report/page_parts.h"

namespace vernier::report {
namespace {

// Where page.html takes the other parts, in this order.
constexpr std::string_view kStyleMarker = "{{style}}";
constexpr std::string_view kDataMarker = "{{data}}";
constexpr std::string_view kScriptMarker = "{{script}}";

// Takes what stands before `marker` off `rest`, and the marker with it.
std::string_view CutAt(std::string_view& rest, std::string_view marker) {
  const size_t place = rest.find(marker);
  assert(place != std::string_view::npos);
  const std::string_view before = rest.substr(0, place);
  rest.remove_prefix(place + marker.size());
  return before;
}

}  // namespace

std::string ScriptSafeJson(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  // In JSON these three occur in strings alone, where an escape means the same.
  for (const char c : text) {
    switch (c) {
      case '<':
        safe += "\\u003c";
        break;
      case '>':
        safe += "\\u003e";
        break;
      case '&':
        safe += "\\u0026";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string PageHtml(const PageContent& content) {
  std::string_view rest = kPageHtml;
  std::string page;
  page += CutAt(rest, kStyleMarker);
  page += kPageCss;
  page += CutAt(rest, kDataMarker);
  page += ScriptSafeJson({{"audit", content.audit}, {"run", content.run}});
  page += CutAt(rest, kScriptMarker);
  page += kPageJs;
  page += rest;
  return page;
}

void WritePage(const std::filesystem::path& path, const PageContent& content) {
  WriteFileAtomically(path, PageHtml(content));
}

}  // namespace vernier::report
