// A JSON event handler that refuses everything its subclass does not expect.
#ifndef VERNIER_CHECKPOINT_STRICT_SAX_H_
#define VERNIER_CHECKPOINT_STRICT_SAX_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace vernier::checkpoint {

// Headers and indices of large models are parsed by events: a document tree would cost seconds and
// gigabytes. Each event that a subclass does not override is an error, so no unexpected nesting or
// type gets through. Every failure throws Error with the given code and origin.
class StrictSax : public nlohmann::json_sax<Json> {
 public:
  StrictSax(ErrorCode code, std::string_view origin, std::string_view remedy)
      : code_(code), origin_(origin), remedy_(remedy) {}

  bool null() override;
  bool boolean(bool value) override;
  bool number_integer(int64_t value) override;
  bool number_unsigned(uint64_t value) override;
  bool number_float(double value, const std::string& text) override;
  bool string(std::string& value) override;
  bool binary(Json::binary_t& value) override;
  bool start_object(size_t elements) override;
  bool key(std::string& value) override;
  bool end_object() override;
  bool start_array(size_t elements) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override;

  // Sends the events of `text` to this handler.
  void Parse(std::string_view text);

 protected:
  [[noreturn]] void Fail(const std::string& problem) const;
  // Fails because `what` ("a number") stands where it must not.
  [[noreturn]] void Unexpected(std::string_view what) const;
  // The place of the current event in words, such as `tensor "x"`.
  virtual std::string Where() const = 0;

 private:
  ErrorCode code_;
  std::string origin_;
  std::string remedy_;
};

// A name from a file as it may be shown: in quotes, with control characters escaped.
std::string QuotedName(const std::string& name);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_STRICT_SAX_H_
