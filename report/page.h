// One self-contained HTML page about a checkpoint and the run that made it. docs/report.md
// describes what is on it.
#ifndef VERNIER_REPORT_PAGE_H_
#define VERNIER_REPORT_PAGE_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.h"

namespace vernier::report {

// What a page shows. The page embeds both as one JSON object with these two keys.
struct PageContent {
  Json audit = nullptr;  // audit::ReportJson, or null
  Json run = nullptr;    // RunFacts (run_facts.h), or null
};

// `json` as text that stands between <script type="application/json"> and </script> whatever its
// strings hold: '<', '>' and '&' are written as \u003c and so on, bytes that are no UTF-8 as
// U+FFFD, NaN and infinities as null.
std::string ScriptSafeJson(const Json& json);

// The page's bytes: they depend on `content` alone.
std::string PageHtml(const PageContent& content);

// Writes it, all or nothing. Errors: kFileOpen, kFileWrite, kNoSpace.
void WritePage(const std::filesystem::path& path, const PageContent& content);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_PAGE_H_
