#include "report/card_serving.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <utility>
#include <vector>

#include "base/text.h"
#include "checkpoint/families/family.h"
#include "checkpoint/formats/codec.h"

namespace vernier::report {
namespace {

using audit::Engine;
using audit::EngineVerdict;
using checkpoint::ServingFlags;

// How an engine's server is started, and what it calls what a checkpoint may need.
struct Server {
  Engine engine;
  std::string_view command;  // before the model's name
  std::string_view fp8_cache, nvfp4_cache;
  std::string_view devices;
  std::string_view ServingFlags::*family;
};

constexpr std::array<Server, 3> kServers = {{
    {Engine::kVllm, "vllm serve", "--kv-cache-dtype fp8", "--kv-cache-dtype nvfp4",
     "--tensor-parallel-size", &ServingFlags::vllm},
    {Engine::kSglang, "python3 -m sglang.launch_server --model-path", "--kv-cache-dtype fp8_e4m3",
     "--kv-cache-dtype nvfp4", "--tp-size", &ServingFlags::sglang},
    {Engine::kTensorRtLlm, "trtllm-serve", "", "", "--tp_size", &ServingFlags::trtllm},
}};

const EngineVerdict* VerdictOf(const CardContent& content, Engine engine) {
  if (content.audit == nullptr) return nullptr;
  const std::vector<EngineVerdict>& verdicts = content.audit->engines;
  const auto found = std::ranges::find(verdicts, engine, &EngineVerdict::engine);
  return found == verdicts.end() ? nullptr : &*found;
}

void AddFlags(std::string_view flags, std::string* line) {
  if (!flags.empty()) line->append(" ").append(flags);
}

std::string_view CacheFlag(const Server& server, recipes::KvCache kv_cache) {
  switch (recipes::FormatOf(kv_cache)) {
    case checkpoint::KvCacheFormat::kFp8:
      return server.fp8_cache;
    case checkpoint::KvCacheFormat::kNvfp4:
      return server.nvfp4_cache;
    case checkpoint::KvCacheFormat::kModel:
      break;
  }
  return {};
}

// As a shell reads it back.
std::string Quoted(const std::string& name) {
  const bool plain = std::ranges::all_of(name, [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '.' || letter == '_' || letter == '-';
  });
  if (plain) return name;
  std::string quoted = "'";
  for (const char letter : name) quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  return quoted + "'";
}

std::string CommandOf(const Server& server, const CardContent& content) {
  std::string line = fmt::format("{} {}", server.command, Quoted(OutputName(content)));
  const std::string_view family = content.source.family->Facts().serving.*(server.family);
  AddFlags(family, &line);
  const bool said = family.find("cache-dtype") != std::string_view::npos;
  if (!said) AddFlags(CacheFlag(server, content.plan.kv_cache), &line);
  return line;
}

// "1, 2 or 4", of the numbers of devices that a checkpoint can be cut for; empty: only one.
std::string DevicesText(const EngineVerdict& verdict) {
  std::vector<std::string> sizes;
  for (const audit::TensorParallelVerdict& split : verdict.tensor_parallel) {
    if (split.problems == 0) sizes.push_back(std::to_string(split.size));
  }
  if (sizes.size() < 2) return {};
  const std::string last = sizes.back();
  sizes.pop_back();
  return JoinNames(sizes) + " or " + last;
}

std::string DevicesLine(const CardContent& content) {
  const EngineVerdict* verdict = content.audit == nullptr || content.audit->engines.empty()
                                     ? nullptr
                                     : &content.audit->engines.front();
  const std::string sizes = verdict == nullptr ? std::string() : DevicesText(*verdict);
  if (sizes.empty()) return {};
  std::vector<std::string> flags;
  for (const Server& server : kServers) flags.push_back(fmt::format("`{} N`", server.devices));
  return fmt::format("\nWeights can be cut for {} devices ({}).\n", sizes, JoinNames(flags));
}

bool HasMtp(const CardContent& content) {
  return std::ranges::any_of(content.source.layout.weights, [](const auto& weight) {
    return weight.role == checkpoint::Role::kMtp;
  });
}

// "TensorRT-LLM, vLLM 0.31": engines that would read MTP weights as something else.
std::string MtpMisreaders(const std::vector<EngineVerdict>& verdicts) {
  std::vector<std::string> names;
  for (const EngineVerdict& verdict : verdicts) {
    if (verdict.mtp_disagreements == 0) continue;
    std::string name(audit::EngineName(verdict.engine));
    if (!verdict.release.empty()) name += " " + verdict.release;
    names.push_back(std::move(name));
  }
  return JoinNames(names);
}

std::string MtpLine(const CardContent& content) {
  if (content.audit == nullptr || !HasMtp(content)) return {};
  const std::string misreaders = MtpMisreaders(content.audit->engines);
  if (misreaders.empty()) {
    return "\nThe MTP layers are as released: speculative decoding with them is safe.\n";
  }
  return fmt::format(
      "\nLeave speculative decoding with the MTP layers off in {}, which would misread them.\n",
      misreaders);
}

// Of files that are a whole model. Of several, llama.cpp is given the first.
std::string LlamaCppSection(const CardContent& content) {
  return fmt::format("## Serving\n\n```sh\nllama-server -m {}\n```\n\n",
                     content.plan.shards.front().file_name);
}

}  // namespace

bool LoadsOutput(const CardContent& content, Engine engine) {
  if (content.audit == nullptr) return true;
  const EngineVerdict* verdict = VerdictOf(content, engine);
  if (verdict != nullptr && !verdict->refusal.empty()) return false;
  return std::ranges::none_of(content.audit->findings, [&](const audit::Finding& finding) {
    return finding.severity == audit::Severity::kError && finding.engines.Has(engine);
  });
}

std::string ServingSection(const CardContent& content) {
  if (content.plan.container->holds_all()) return LlamaCppSection(content);
  std::string commands;
  std::string refused;
  for (const Server& server : kServers) {
    if (!LoadsOutput(content, server.engine)) {
      refused += fmt::format("{}{}", refused.empty() ? "" : ", ", audit::EngineName(server.engine));
    } else {
      commands += CommandOf(server, content) + "\n";
    }
  }
  if (commands.empty()) return "## Serving\n\nDo not serve it: the audit found errors, below.\n\n";
  std::string section = "## Serving\n\n";
  section += fmt::format("```sh\n{}```\n", commands);
  if (!refused.empty()) section += fmt::format("\nNot with {}: see below.\n", refused);
  return section + DevicesLine(content) + MtpLine(content) + "\n";
}

std::string HardwareSection(const CardContent& content) {
  if (content.plan.container->holds_all()) return {};  // llama.cpp runs all formats on all
  std::set<std::string> lines;
  for (size_t i = 0; i < content.plan.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = content.source.layout.weights[i];
    const recipes::WeightPlan& plan = content.plan.weights[i];
    const checkpoint::Format format = plan.format == recipes::kKeep ? weight.format : plan.format;
    if (plan.dropped || format->hardware.empty()) continue;
    lines.insert(fmt::format("- {}: {}\n", format->name, format->hardware));
  }
  if (lines.empty()) return {};
  std::string section = "## Hardware\n\n";
  for (const std::string& line : lines) section += line;
  return section + "\n";
}

}  // namespace vernier::report
