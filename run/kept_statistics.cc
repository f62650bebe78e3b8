#include "run/kept_statistics.h"

namespace vernier::run {

bool KeepsStatistic(const statistics::Statistic& statistic, const checkpoint::ModelLayout& layout,
                    const recipes::Plan& plan, std::string_view module) {
  using recipes::ScaleMethod;
  switch (statistic.purpose) {
    case statistics::Purpose::kAny:
      return true;
    case statistics::Purpose::kMse:
      return recipes::CanScaleBy(ScaleMethod::kMse, layout, plan, module) ||
             recipes::ChoosesFold(layout, plan, module);
    case statistics::Purpose::kLocalHessian:
      return recipes::CanScaleBy(ScaleMethod::kLocalHessian, layout, plan, module);
    case statistics::Purpose::kFold:
      return recipes::ReadsFold(layout, plan, module);
    case statistics::Purpose::kSample:
      return recipes::IsScaledBy(ScaleMethod::kGptq, layout, plan, module) ||
             recipes::ChoosesFold(layout, plan, module) ||
             recipes::TriesFormats(layout, plan, module);
    case statistics::Purpose::kGptq:
      return recipes::IsScaledBy(ScaleMethod::kGptq, layout, plan, module);
  }
  return true;
}

}  // namespace vernier::run
