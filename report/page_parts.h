// The page's parts, embedded from the files in report/page/ by embed_page.cmake.
#ifndef VERNIER_REPORT_PAGE_PARTS_H_
#define VERNIER_REPORT_PAGE_PARTS_H_

#include <string_view>

namespace vernier::report {

extern const std::string_view kPageHtml;  // with the markers that page.cc fills
extern const std::string_view kPageCss;
extern const std::string_view kPageJs;  // all script files, one after the other

}  // namespace vernier::report

#endif  // VERNIER_REPORT_PAGE_PARTS_H_
