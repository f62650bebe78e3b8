#include "checkpoint/model_layout.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kWeightSuffix = ".weight";
constexpr std::string_view kScaleSuffix = ".scale";
constexpr std::string_view kInverseSuffix = ".weight_scale_inv";
constexpr std::string_view kBlockScaleSuffix = ".weight_scale";
constexpr std::string_view kGlobalScaleSuffix = ".weight_scale_2";
constexpr std::string_view kInputScaleSuffix = ".input_scale";
constexpr std::array kScaleSuffixes = {kScaleSuffix, kInverseSuffix, kBlockScaleSuffix,
                                       kGlobalScaleSuffix, kInputScaleSuffix};
constexpr std::array kBlockScaleSuffixes = {kScaleSuffix, kInverseSuffix, kBlockScaleSuffix};
constexpr int64_t kDefaultFp8Block = 128;

struct BlockSize {
  int64_t rows = kDefaultFp8Block;
  int64_t columns = kDefaultFp8Block;
};

BlockSize ReadBlockSize(const Json& config) {
  const auto quantization = config.find("quantization_config");
  if (quantization == config.end() || !quantization->is_object()) return {};
  const auto field = quantization->find("weight_block_size");
  if (field == quantization->end() || field->is_null()) return {};
  const auto is_extent = [](const Json& value) {
    return value.is_number_integer() && value.get<int64_t>() > 0;
  };
  if (field->is_array() && field->size() == 2 && is_extent((*field)[0]) && is_extent((*field)[1])) {
    return {(*field)[0].get<int64_t>(), (*field)[1].get<int64_t>()};
  }
  throw Error(ErrorCode::kBadConfig, "config.json",
              "quantization_config.weight_block_size is " + field->dump(),
              "Give it two positive integers, such as [128, 128]");
}

BlockSize ReadBlockSize(const Json& config, std::vector<std::string>* problems) {
  try {
    return ReadBlockSize(config);
  } catch (const Error& error) {
    if (problems == nullptr) throw;
    problems->push_back(error.what());
    return {};
  }
}

int64_t CeilDivide(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

bool IsScaleName(std::string_view name) {
  return std::any_of(kScaleSuffixes.begin(), kScaleSuffixes.end(),
                     [name](std::string_view suffix) { return name.ends_with(suffix); });
}

WeightFormat UnscaledFormat(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
      return WeightFormat::kPlain;
    case DType::kBool:
    case DType::kU8:
    case DType::kI8:
    case DType::kU16:
    case DType::kI16:
    case DType::kU32:
    case DType::kI32:
    case DType::kU64:
    case DType::kI64:
      return WeightFormat::kInteger;
    default:
      return WeightFormat::kOpaque;
  }
}

class LayoutBuilder {
 public:
  LayoutBuilder(const Checkpoint& checkpoint, const Family& family,
                std::vector<std::string>* problems)
      : checkpoint_(checkpoint),
        family_(family),
        problems_(problems),
        fp8_block_(ReadBlockSize(checkpoint.config(), problems)),
        claimed_(checkpoint.tensors().size(), false) {}

  ModelLayout Build() {
    const size_t tensors = checkpoint_.tensors().size();
    layout_.weights.reserve(tensors);
    for (size_t i = 0; i < tensors; ++i) {
      if (Info(i).name.ends_with(kWeightSuffix)) AddWeight(i);
    }
    const auto weights = static_cast<ptrdiff_t>(layout_.weights.size());
    for (size_t i = 0; i < tensors; ++i) {
      if (!claimed_[i]) AddBareTensor(i);
    }
    // Both runs are in order already.
    std::inplace_merge(
        layout_.weights.begin(), layout_.weights.begin() + weights, layout_.weights.end(),
        [](const LogicalWeight& a, const LogicalWeight& b) { return a.main < b.main; });
    IndexModules();
    CheckShapes();
    return std::move(layout_);
  }

 private:
  const TensorInfo& Info(size_t tensor) const { return checkpoint_.tensor(tensor).info; }

  [[noreturn]] void Fail(ErrorCode code, size_t tensor, const std::string& problem) const {
    throw Error(code, Info(tensor).name, problem,
                "Check that the checkpoint is complete and in a format that Vernier reads");
  }

  LogicalWeight Describe(size_t main) const {
    const TensorInfo& info = Info(main);
    TensorMeaning meaning = family_.Classify(info.name);
    LogicalWeight weight;
    weight.name = info.name;
    weight.module = info.name;
    weight.shape = info.shape;
    weight.format = UnscaledFormat(info.dtype);
    weight.role = meaning.role;
    weight.layer = meaning.layer;
    weight.expert = meaning.expert;
    weight.fused_group = std::move(meaning.fused_group);
    weight.linear = meaning.linear;
    weight.main = main;
    return weight;
  }

  // A tensor "X.weight", with the scales that its format has.
  void AddWeight(size_t main) {
    LogicalWeight weight = Describe(main);
    weight.module.resize(weight.module.size() - kWeightSuffix.size());
    try {
      ResolveScales(&weight);
    } catch (const Error& error) {
      if (problems_ == nullptr) throw;
      problems_->push_back(error.what());
      weight = Describe(main);
      weight.module.resize(weight.module.size() - kWeightSuffix.size());
      weight.format = WeightFormat::kOpaque;
    }
    weight.linear = weight.linear && weight.shape.size() == 2;
    for (const size_t part : weight.Parts()) claimed_[part] = true;
    layout_.weights.push_back(std::move(weight));
  }

  // Anything else: a parameter of another name, or a scale that no weight claimed.
  void AddBareTensor(size_t main) {
    LogicalWeight weight = Describe(main);
    weight.linear = false;
    if (IsScaleName(weight.name)) {
      weight.role = Role::kOther;
      weight.format = WeightFormat::kOpaque;
    }
    layout_.weights.push_back(std::move(weight));
  }

  void ResolveScales(LogicalWeight* weight) const {
    switch (Info(weight->main).dtype) {
      case DType::kF8E4M3:
        return ResolveFp8(weight);
      case DType::kU8:
      case DType::kI8:
        return ResolvePacked(weight);
      default:
        return;
    }
  }

  size_t FindPart(const LogicalWeight& weight, std::string_view suffix) const {
    return checkpoint_.Find(weight.module + std::string(suffix));
  }

  // The weight's block scales under any of their names, or kNotFound.
  size_t FindBlockScale(const LogicalWeight& weight) const {
    size_t found = Checkpoint::kNotFound;
    for (const std::string_view suffix : kBlockScaleSuffixes) {
      const size_t part = FindPart(weight, suffix);
      if (part == Checkpoint::kNotFound) continue;
      if (found != Checkpoint::kNotFound) {
        Fail(ErrorCode::kAmbiguousScale, weight.main,
             "has both " + Info(found).name + " and " + Info(part).name);
      }
      found = part;
    }
    return found;
  }

  [[noreturn]] void FailMissing(const LogicalWeight& weight, std::string_view expected) const {
    Fail(ErrorCode::kMissingScale, weight.main,
         "is " + Info(weight.main).dtype_name + " but has no " + weight.module +
             std::string(expected));
  }

  void RequireDtype(size_t tensor, std::initializer_list<DType> allowed) const {
    const DType dtype = Info(tensor).dtype;
    if (std::find(allowed.begin(), allowed.end(), dtype) != allowed.end()) return;
    std::vector<std::string> names;
    for (const DType each : allowed) names.emplace_back(DTypeName(each));
    Fail(ErrorCode::kWrongDtype, tensor,
         "is " + Info(tensor).dtype_name + " instead of " + JoinNames(names, " or "));
  }

  void RequireMatrix(const LogicalWeight& weight) const {
    if (weight.shape.size() == 2) return;
    Fail(
        ErrorCode::kWrongShape, weight.main,
        "is quantised and has the shape " + ShapeText(weight.shape) + " instead of two dimensions");
  }

  void RequireShape(size_t tensor, const std::vector<int64_t>& expected) const {
    if (Info(tensor).shape == expected) return;
    Fail(ErrorCode::kWrongShape, tensor,
         "has the shape " + ShapeText(Info(tensor).shape) + " instead of " + ShapeText(expected));
  }

  // A single F32, written with or without a dimension.
  void RequireScalar(size_t tensor) const {
    RequireDtype(tensor, {DType::kF32});
    if (!Info(tensor).shape.empty()) RequireShape(tensor, {1});
  }

  void SetBlocks(LogicalWeight* weight, WeightFormat format, size_t scale, BlockSize block) const {
    weight->format = format;
    weight->scale = scale;
    weight->block_rows = block.rows;
    weight->block_columns = block.columns;
    RequireShape(scale, {CeilDivide(weight->rows(), block.rows),
                         CeilDivide(weight->columns(), block.columns)});
  }

  void ResolveFp8(LogicalWeight* weight) const {
    const size_t scale = FindBlockScale(*weight);
    if (scale == Checkpoint::kNotFound) FailMissing(*weight, ".scale or .weight_scale_inv");
    RequireMatrix(*weight);
    RequireDtype(scale, {DType::kF8E8M0, DType::kF32});
    SetBlocks(weight, WeightFormat::kFp8Block, scale, fp8_block_);
  }

  // Two FP4 codes a byte: MXFP4 or NVFP4, as the dtype of the scales says.
  void ResolvePacked(LogicalWeight* weight) const {
    const size_t scale = FindBlockScale(*weight);
    const size_t global_scale = FindPart(*weight, kGlobalScaleSuffix);
    if (scale == Checkpoint::kNotFound && global_scale == Checkpoint::kNotFound) {
      // An integer table unless the family knows it as a matrix.
      if (weight->linear) FailMissing(*weight, ".scale or .weight_scale");
      return;
    }
    if (scale == Checkpoint::kNotFound) FailMissing(*weight, kBlockScaleSuffix);
    RequireMatrix(*weight);
    if (__builtin_mul_overflow(weight->shape[1], 2, &weight->shape[1])) {
      Fail(ErrorCode::kWrongShape, weight->main, "has too many columns");
    }
    if (global_scale != Checkpoint::kNotFound || Info(scale).dtype == DType::kF8E4M3) {
      ResolveNvfp4(weight, scale, global_scale);
    } else {
      ResolveMxfp4(weight, scale);
    }
  }

  void RequireWholeBlocks(const LogicalWeight& weight, int64_t block) const {
    if (weight.columns() % block == 0) return;
    Fail(ErrorCode::kWrongShape, weight.main,
         "has " + std::to_string(weight.columns()) + " columns, which blocks of " +
             std::to_string(block) + " do not divide");
  }

  void ResolveMxfp4(LogicalWeight* weight, size_t scale) const {
    RequireDtype(scale, {DType::kF8E8M0});
    RequireWholeBlocks(*weight, quantizers::kMxfp4BlockSize);
    SetBlocks(weight, WeightFormat::kMxfp4, scale, {1, quantizers::kMxfp4BlockSize});
  }

  void ResolveNvfp4(LogicalWeight* weight, size_t scale, size_t global_scale) const {
    if (global_scale == Checkpoint::kNotFound) FailMissing(*weight, kGlobalScaleSuffix);
    RequireDtype(weight->main, {DType::kU8});
    RequireDtype(scale, {DType::kF8E4M3});
    RequireScalar(global_scale);
    RequireWholeBlocks(*weight, quantizers::kNvfp4BlockSize);
    SetBlocks(weight, WeightFormat::kNvfp4, scale, {1, quantizers::kNvfp4BlockSize});
    weight->global_scale = global_scale;
    weight->input_scale = FindPart(*weight, kInputScaleSuffix);
    if (weight->input_scale != Checkpoint::kNotFound) RequireScalar(weight->input_scale);
  }

  // "X.weight" has the first right to the module X; a parameter named X itself the second.
  void IndexModules() {
    layout_.by_module.reserve(layout_.weights.size());
    for (size_t i = 0; i < layout_.weights.size(); ++i) {
      const LogicalWeight& weight = layout_.weights[i];
      const bool is_new = layout_.by_module.emplace(weight.module, i).second;
      if (!is_new && weight.module != weight.name) layout_.by_module[weight.module] = i;
    }
  }

  void CheckShapes() const {
    try {
      family_.CheckShapes(layout_);
    } catch (const Error& error) {
      if (problems_ == nullptr) throw;
      problems_->push_back(error.what());
    }
  }

  const Checkpoint& checkpoint_;
  const Family& family_;
  std::vector<std::string>* problems_;
  BlockSize fp8_block_;
  std::vector<bool> claimed_;
  ModelLayout layout_;
};

}  // namespace

void RequireWeightShape(const LogicalWeight& weight, const std::vector<int64_t>& shape) {
  if (weight.format == WeightFormat::kOpaque || weight.shape == shape) return;
  throw Error(
      ErrorCode::kWrongShape, weight.name,
      "has the shape " + ShapeText(weight.shape) + ", but config.json makes it " + ShapeText(shape),
      "Use the config.json that belongs to this checkpoint");
}

const LogicalWeight* ModelLayout::FindModule(std::string_view module) const {
  const auto it = by_module.find(std::string(module));
  return it == by_module.end() ? nullptr : &weights[it->second];
}

const LogicalWeight* ModelLayout::FindName(std::string_view name) const {
  const std::string_view module =
      name.ends_with(kWeightSuffix) ? name.substr(0, name.size() - kWeightSuffix.size()) : name;
  const LogicalWeight* weight = FindModule(module);
  return weight != nullptr && weight->name == name ? weight : nullptr;
}

ModelLayout BuildModelLayout(const Checkpoint& checkpoint, const Family& family,
                             std::vector<std::string>* problems) {
  return LayoutBuilder(checkpoint, family, problems).Build();
}

}  // namespace vernier::checkpoint
