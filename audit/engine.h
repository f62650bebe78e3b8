// The inference engines whose reading of a checkpoint the audit simulates.
#ifndef VERNIER_AUDIT_ENGINE_H_
#define VERNIER_AUDIT_ENGINE_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace vernier::audit {

enum class Engine { kVllm, kSglang, kTensorRtLlm };

inline constexpr std::array<Engine, 3> kEngines = {Engine::kVllm, Engine::kSglang,
                                                   Engine::kTensorRtLlm};

std::string_view EngineName(Engine engine);    // "TensorRT-LLM"
std::string_view EngineOption(Engine engine);  // "trtllm", as the command line calls it

// A set of engines.
class EngineSet {
 public:
  constexpr EngineSet() = default;
  constexpr EngineSet(std::initializer_list<Engine> engines) {
    for (const Engine engine : engines) Add(engine);
  }
  static constexpr EngineSet All() {
    return {Engine::kVllm, Engine::kSglang, Engine::kTensorRtLlm};
  }

  constexpr void Add(Engine engine) { bits_ |= Bit(engine); }
  constexpr bool Has(Engine engine) const { return (bits_ & Bit(engine)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr EngineSet operator&(EngineSet other) const {
    EngineSet both;
    both.bits_ = bits_ & other.bits_;
    return both;
  }
  constexpr auto operator<=>(const EngineSet&) const = default;

  std::string Names() const;  // "vLLM, SGLang"

 private:
  static constexpr uint8_t Bit(Engine engine) { return uint8_t{1} << static_cast<int>(engine); }
  uint8_t bits_ = 0;
};

// A release of an engine, as far as its reading differs between releases.
struct EngineRelease {
  int major = 0;
  int minor = 0;
  int patch = 0;

  auto operator<=>(const EngineRelease&) const = default;
};
std::string ReleaseText(EngineRelease release);  // "0.33", "0.5.23"

// Those whose reading is simulated: the releases whose code was read.
inline constexpr EngineRelease kOldestVllm = {0, 31, 0};
inline constexpr EngineRelease kNewestVllm = {0, 33, 0};
inline constexpr EngineRelease kKnownSglang = {0, 5, 23};

// The engines that an audit is about.
struct EnginesAsked {
  EngineSet set = EngineSet::All();
  EngineRelease vllm = kNewestVllm;

  // "0.33"; empty for TensorRT-LLM, of which public copies without a number were read.
  std::string Release(Engine engine) const;
};

// "all", or engines separated by commas, each perhaps with a release: "vllm@0.31,sglang".
// kBadArgument for any other text, and for a release that is not known.
EnginesAsked EnginesFromOption(std::string_view option);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINE_H_
