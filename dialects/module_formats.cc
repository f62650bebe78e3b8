#include "dialects/module_formats.h"

#include <algorithm>

#include "checkpoint/config_facts.h"

namespace vernier::dialects {

using checkpoint::LogicalWeight;
using checkpoint::Role;

std::map<ModuleFormat, std::vector<size_t>> GroupByFormat(const ModuleFormats& formats) {
  std::map<ModuleFormat, std::vector<size_t>> groups;
  for (size_t i = 0; i < formats.size(); ++i) {
    if (checkpoint::IsQuantised(formats[i].format)) groups[formats[i]].push_back(i);
  }
  return groups;
}

std::string EngineModule(const LogicalWeight& weight) {
  const bool of_experts = weight.role == Role::kRoutedExpert && !weight.experts_module.empty();
  return of_experts ? weight.experts_module : weight.module;
}

bool HasTiedHead(const checkpoint::SourceModel& source) {
  return checkpoint::FindTiedEmbeddings(source.checkpoint.config()) == true &&
         std::ranges::none_of(source.layout.weights, [](const LogicalWeight& weight) {
           return weight.role == Role::kLmHead;
         });
}

}  // namespace vernier::dialects
