#include "audit/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "base/error.h"

namespace vernier::audit {

std::string_view EngineName(Engine engine) {
  switch (engine) {
    case Engine::kVllm:
      return "vLLM";
    case Engine::kSglang:
      return "SGLang";
    case Engine::kTensorRtLlm:
      break;
  }
  return "TensorRT-LLM";
}

std::string_view EngineOption(Engine engine) {
  switch (engine) {
    case Engine::kVllm:
      return "vllm";
    case Engine::kSglang:
      return "sglang";
    case Engine::kTensorRtLlm:
      break;
  }
  return "trtllm";
}

std::string EngineSet::Names() const {
  std::string names;
  for (const Engine engine : kEngines) {
    if (!Has(engine)) continue;
    if (!names.empty()) names += ", ";
    names += EngineName(engine);
  }
  return names;
}

std::string ReleaseText(EngineRelease release) {
  std::string text = fmt::format("{}.{}", release.major, release.minor);
  return release.patch == 0 ? text : text + fmt::format(".{}", release.patch);
}

std::string EnginesAsked::Release(Engine engine) const {
  switch (engine) {
    case Engine::kVllm:
      return ReleaseText(vllm);
    case Engine::kSglang:
      return ReleaseText(kKnownSglang);
    case Engine::kTensorRtLlm:
      break;
  }
  return {};
}

namespace {

constexpr std::string_view kOption = "--engine";

[[noreturn]] void RefuseOption(std::string_view option, std::string_view problem) {
  throw Error(
      ErrorCode::kBadArgument, kOption, fmt::format("{} {}", option, problem),
      fmt::format("Use all, or some of vllm, sglang and trtllm; releases of vLLM from {} to "
                  "{} are known (vllm@{})",
                  ReleaseText(kOldestVllm), ReleaseText(kNewestVllm), ReleaseText(kOldestVllm)));
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// "0.31" or "0.31.1"; nothing for another text.
std::optional<EngineRelease> ParseRelease(std::string_view text) {
  std::array<int, 3> numbers = {};
  const std::vector<std::string_view> parts = Split(text, '.');
  if (parts.size() < 2 || parts.size() > numbers.size()) return std::nullopt;
  for (size_t i = 0; i < parts.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    const auto [stop, error] = std::from_chars(parts[i].data(), end, numbers[i]);
    if (error != std::errc() || stop != end || numbers[i] < 0) return std::nullopt;
  }
  return EngineRelease{numbers[0], numbers[1], numbers[2]};
}

// A patch release reads as the release that it mends.
bool IsKnownVllm(EngineRelease release) {
  release.patch = 0;
  return kOldestVllm <= release && release <= kNewestVllm;
}

void AddEngine(std::string_view option, EnginesAsked* asked) {
  const size_t at = std::min(option.find('@'), option.size());
  const auto engine = std::ranges::find(kEngines, option.substr(0, at), EngineOption);
  if (engine == kEngines.end()) RefuseOption(option, "is no engine that is known");
  asked->set.Add(*engine);
  if (at == option.size()) return;
  const std::optional<EngineRelease> release = ParseRelease(option.substr(at + 1));
  const bool known =
      release && (*engine == Engine::kVllm ? IsKnownVllm(*release)
                                           : *engine == Engine::kSglang && release == kKnownSglang);
  if (!known) RefuseOption(option, "is no release whose reading is known");
  if (*engine == Engine::kVllm) asked->vllm = *release;
}

}  // namespace

EnginesAsked EnginesFromOption(std::string_view option) {
  if (option == "all") return {};
  EnginesAsked asked = {.set = {}};
  for (const std::string_view part : Split(option, ',')) AddEngine(part, &asked);
  return asked;
}

}  // namespace vernier::audit
