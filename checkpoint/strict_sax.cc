#include "checkpoint/strict_sax.h"

#include <fmt/format.h>

namespace vernier::checkpoint {

bool StrictSax::null() { Unexpected("null"); }
bool StrictSax::boolean(bool /*value*/) { Unexpected("a boolean"); }
bool StrictSax::number_integer(int64_t value) {
  Unexpected("the negative number " + std::to_string(value));
}
bool StrictSax::number_unsigned(uint64_t value) {
  Unexpected("the number " + std::to_string(value));
}
bool StrictSax::number_float(double /*value*/, const std::string& text) {
  Unexpected("the number " + text);
}
bool StrictSax::string(std::string& value) { Unexpected("the text " + QuotedName(value)); }
bool StrictSax::binary(Json::binary_t& /*value*/) { Unexpected("binary data"); }
bool StrictSax::start_object(size_t /*elements*/) { Unexpected("an object"); }
bool StrictSax::key(std::string& value) { Unexpected("the key " + QuotedName(value)); }
bool StrictSax::end_object() { Unexpected("the end of an object"); }
bool StrictSax::start_array(size_t /*elements*/) { Unexpected("an array"); }
bool StrictSax::end_array() { Unexpected("the end of an array"); }

bool StrictSax::parse_error(size_t position, const std::string& /*token*/,
                            const nlohmann::detail::exception& /*error*/) {
  Fail("is not valid JSON (byte " + std::to_string(position) + ")");
}

void StrictSax::Parse(std::string_view text) {
  // The parser takes a NUL for the end of its input, which would hide whatever follows.
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) Fail(fmt::format("is not valid JSON (NUL at byte {})", nul));
  Json::sax_parse(text.begin(), text.end(), this);
}

void StrictSax::Fail(const std::string& problem) const {
  throw Error(code_, origin_, problem, remedy_);
}

void StrictSax::Unexpected(std::string_view what) const {
  Fail(Where() + " holds " + std::string(what) + " where it is not allowed");
}

std::string QuotedName(const std::string& name) { return Json(name).dump(); }

}  // namespace vernier::checkpoint
