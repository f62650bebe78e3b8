#include "calib/device_forward.h"

#include <c10/core/DeviceGuard.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/rounding.h"

namespace vernier::calib {
namespace {

constexpr int64_t kElementThreads = kForwardThreads, kLeastRowThreads = 32;

// As the kernels have them.
struct Rotation {
  long long rows;
  unsigned width, heads, positions, pairs, begin, stride, step, at_once;
};
struct Sight {
  long long columns, begin, first, window;
  unsigned group, queries, shared;
};
struct StoredLayout {
  unsigned rows, columns, block_rows, block_columns, scale_columns;
  int is_e4m3, scale_kind;
  float global;
};

// Never destroyed: the device may be gone by then.
KernelsOfSource& Kernels() {
  static auto& kernels = *new KernelsOfSource(kForwardKernelSource);
  return kernels;
}

bool IsReal(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; }

// "name_bf16" or "name_f32", with "_f32" behind the former where a second operand is F32.
std::string NameFor(std::string name, at::ScalarType type, at::ScalarType second) {
  name += type == at::kFloat ? "_f32" : "_bf16";
  if (second != type) name += "_f32";
  return name;
}

DeviceKernels::Grid GridOf(int64_t elements, int64_t of_a_thread) {
  const int64_t blocks = CeilDivide(elements, of_a_thread * kElementThreads);
  // Kernels number their threads in 32 bits.
  if (blocks * kElementThreads > std::numeric_limits<uint32_t>::max()) {
    throw Error(ErrorCode::kBadDevice, "a batch",
                fmt::format("has {} values, more than a kernel computes", elements),
                "Lower batch_size (--batch-size)");
  }
  return {.x = static_cast<unsigned>(blocks), .threads = kElementThreads};
}

// A block a row, whose threads have a few fours each.
DeviceKernels::Grid GridOfRows(int64_t rows, int64_t columns) {
  constexpr int64_t kElementsOfThread = 8;
  const auto wanted = std::bit_ceil(static_cast<uint64_t>(CeilDivide(columns, kElementsOfThread)));
  return {.x = static_cast<unsigned>(rows),
          .threads = static_cast<unsigned>(std::clamp<int64_t>(static_cast<int64_t>(wanted),
                                                               kLeastRowThreads, kForwardThreads))};
}

}  // namespace

std::optional<DeviceForward> DeviceForward::For(const at::Tensor& x) {
  return IsReal(x.scalar_type()) ? For(x.device()) : std::nullopt;
}

std::optional<DeviceForward> DeviceForward::For(at::Device device) {
  const DeviceKernels* kernels = Kernels().Find(device);
  return kernels == nullptr ? std::nullopt : std::optional(DeviceForward(*kernels));
}

std::string DeviceForward::ProblemOf(at::Device device) { return Kernels().ProblemOf(device); }

at::Tensor DeviceForward::Normalize(const at::Tensor& x, const at::Tensor& weight, double eps,
                                    at::ScalarType dtype) const {
  assert(dtype == x.scalar_type() || dtype == at::kFloat);
  assert(!weight.defined() || weight.scalar_type() == at::kFloat);
  const at::Tensor out = at::empty(x.sizes(), x.options().dtype(dtype));
  if (x.numel() == 0) return out;
  const c10::DeviceGuard current(x.device());
  const at::Tensor from = Packed(x), factors = weight.defined() ? Packed(weight) : weight;
  const void* values = from.data_ptr();
  const float* factor = factors.defined() ? factors.data_ptr<float>() : nullptr;
  auto columns = static_cast<long long>(x.size(-1));
  auto small = static_cast<float>(eps);
  void* to = out.data_ptr();
  std::string name = NameFor("normalize", x.scalar_type(), x.scalar_type());
  if (dtype != x.scalar_type()) name += "_to_f32";
  kernels_->Launch(name.c_str(), GridOfRows(x.numel() / x.size(-1), x.size(-1)),
                   {&values, &factor, &columns, &small, &to});
  return out;
}

at::Tensor DeviceForward::Add(const at::Tensor& x, const at::Tensor& y) const {
  assert(x.numel() == y.numel());
  const at::Tensor out = at::empty(x.sizes(), x.options());
  if (x.numel() == 0) return out;
  const c10::DeviceGuard current(x.device());
  const bool known = y.scalar_type() == x.scalar_type() || y.scalar_type() == at::kFloat;
  const at::Tensor first = Packed(x), second = Packed(known ? y : y.to(at::kFloat));
  const void *a = first.data_ptr(), *b = second.data_ptr();
  auto count = static_cast<long long>(x.numel());
  void* to = out.data_ptr();
  kernels_->Launch(NameFor("add", x.scalar_type(), second.scalar_type()).c_str(),
                   GridOf(count, kFour), {&a, &b, &count, &to});
  return out;
}

at::Tensor DeviceForward::Swiglu(const at::Tensor& gate, const at::Tensor& up, double limit) const {
  assert(gate.numel() == up.numel());
  const at::Tensor out = at::empty(gate.sizes(), gate.options());
  if (gate.numel() == 0) return out;
  const c10::DeviceGuard current(gate.device());
  const at::Tensor first = Packed(gate), second = Packed(up.to(gate.scalar_type()));
  const void *a = first.data_ptr(), *b = second.data_ptr();
  auto count = static_cast<long long>(gate.numel());
  auto bound = static_cast<float>(limit);
  void* to = out.data_ptr();
  kernels_->Launch(NameFor("swiglu", gate.scalar_type(), gate.scalar_type()).c_str(),
                   GridOf(count, kFour), {&a, &b, &count, &bound, &to});
  return out;
}

at::Tensor DeviceForward::Rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                                 bool per_head, bool neighbours, int64_t begin) const {
  const at::Tensor out = at::empty(x.sizes(), x.options());
  if (x.numel() == 0) return out;
  const c10::DeviceGuard current(x.device());
  const at::Tensor from = Packed(x), cosines = Packed(cos), sines = Packed(sin);
  const int64_t width = x.size(-1), pairs = cos.size(-1), heads_axis = per_head ? -2 : -1;
  assert(cos.size(0) >= x.size(heads_axis - 1));
  const bool fours = width % kFour == 0 && pairs % kFour == 0 && begin % kFour == 0;
  Rotation rotation = {.rows = x.numel() / width,
                       .width = static_cast<unsigned>(width),
                       .heads = static_cast<unsigned>(per_head ? x.size(-2) : 1),
                       .positions = static_cast<unsigned>(x.size(heads_axis - 1)),
                       .pairs = static_cast<unsigned>(pairs),
                       .begin = static_cast<unsigned>(begin),
                       .stride = neighbours ? 1 : static_cast<unsigned>(pairs),
                       .step = neighbours ? 2U : 1U,
                       .at_once = fours ? static_cast<unsigned>(kFour) : 1U};
  const void* values = from.data_ptr();
  const float *c = cosines.data_ptr<float>(), *s = sines.data_ptr<float>();
  void* to = out.data_ptr();
  kernels_->Launch(NameFor("rotate", x.scalar_type(), x.scalar_type()).c_str(),
                   GridOf(rotation.rows * (width - pairs), rotation.at_once),
                   {&values, &c, &s, &rotation, &to});
  return out;
}

void DeviceForward::Softmax(const at::Tensor& p, const Before& sees, double scale,
                            const at::Tensor& sinks) const {
  assert(p.is_contiguous() && p.scalar_type() == at::kFloat);
  if (p.numel() == 0) return;
  const c10::DeviceGuard current(p.device());
  auto* scores = p.data_ptr<float>();
  Sight sight = {.columns = p.size(-1),
                 .begin = sees.begin,
                 .first = sees.first,
                 .window = sees.window,
                 .group = static_cast<unsigned>(sees.group),
                 .queries = static_cast<unsigned>(sees.queries),
                 .shared = static_cast<unsigned>(sees.shared)};
  const at::Tensor extra = sinks.defined() ? sinks.contiguous() : sinks;
  assert(!extra.defined() || extra.numel() == sees.shared * sees.group);
  const float* sink = extra.defined() ? extra.data_ptr<float>() : nullptr;
  auto factor = static_cast<float>(scale);
  kernels_->Launch("softmax_before", GridOfRows(p.numel() / p.size(-1), p.size(-1)),
                   {&scores, &sight, &sink, &factor});
}

void DeviceForward::Softmax(const at::Tensor& p, const at::Tensor& visible, const at::Tensor& sink,
                            double scale) const {
  assert(p.is_contiguous() && p.scalar_type() == at::kFloat && visible.scalar_type() == at::kBool);
  if (p.numel() == 0) return;
  const c10::DeviceGuard current(p.device());
  const at::Tensor seen = visible.contiguous(), sinks = sink.contiguous();
  auto columns = static_cast<long long>(p.size(-1));
  auto heads = static_cast<long long>(sink.numel());
  assert(seen.numel() * heads == p.numel());
  auto* scores = p.data_ptr<float>();
  const void* sees = seen.data_ptr();
  const auto* extra = sinks.data_ptr<float>();
  auto factor = static_cast<float>(scale);
  kernels_->Launch("softmax_visible", GridOfRows(p.numel() / columns, columns),
                   {&scores, &sees, &extra, &columns, &heads, &factor});
}

void DeviceForward::AddRows(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& rows,
                            const at::Tensor& y) const {
  assert(y.is_contiguous() && y.scalar_type() == at::kFloat && rows.scalar_type() == at::kLong);
  if (x.numel() == 0) return;
  const c10::DeviceGuard current(x.device());
  const at::Tensor from = Packed(x), factors = weights.contiguous(), places = rows.contiguous();
  assert(factors.numel() == x.size(0) && factors.scalar_type() == at::kFloat);
  const void* values = from.data_ptr();
  const auto* factor = factors.data_ptr<float>();
  const auto* place = places.data_ptr<int64_t>();
  auto count = static_cast<unsigned>(x.size(0)), width = static_cast<unsigned>(x.size(1));
  auto* sums = y.data_ptr<float>();
  kernels_->Launch(NameFor("add_rows", x.scalar_type(), x.scalar_type()).c_str(),
                   GridOf(x.size(0) * CeilDivide(x.size(1), kFour), 1),
                   {&values, &factor, &place, &count, &width, &sums});
}

at::Tensor DeviceForward::JoinStreams(const at::Tensor& streams, const at::Tensor& weights) const {
  const int64_t streams_of_token = streams.size(-2), of_stream = streams.size(-1);
  assert(of_stream % kFour == 0);
  auto tokens = static_cast<long long>(weights.size(0));
  const at::Tensor out = at::empty({tokens, of_stream}, streams.options());
  if (out.numel() == 0) return out;
  const c10::DeviceGuard current(streams.device());
  const at::Tensor from = Packed(streams), factors = weights.contiguous();
  const void* values = from.data_ptr();
  const auto* factor = factors.data_ptr<float>();
  auto n = static_cast<int>(streams_of_token);
  auto width = static_cast<long long>(of_stream);
  void* to = out.data_ptr();
  kernels_->Launch(NameFor("join_streams", streams.scalar_type(), streams.scalar_type()).c_str(),
                   GridOf(out.numel(), kFour), {&values, &factor, &tokens, &n, &width, &to});
  return out;
}

at::Tensor DeviceForward::MixStreams(const at::Tensor& old, const at::Tensor& y,
                                     const at::Tensor& post, const at::Tensor& comb) const {
  const at::Tensor out = at::empty(old.sizes(), old.options());
  if (old.numel() == 0) return out;
  const c10::DeviceGuard current(old.device());
  const bool known = y.scalar_type() == old.scalar_type() || y.scalar_type() == at::kFloat;
  const at::Tensor from = Packed(old), added = Packed(known ? y : y.to(at::kFloat));
  const at::Tensor posts = post.contiguous(), combs = comb.contiguous();
  const void *before = from.data_ptr(), *more = added.data_ptr();
  const auto *factor = posts.data_ptr<float>(), *factors = combs.data_ptr<float>();
  auto n = static_cast<int>(old.size(-2));
  auto width = static_cast<long long>(old.size(-1));
  assert(width % kFour == 0);
  auto tokens = static_cast<long long>(post.size(0));
  void* to = out.data_ptr();
  kernels_->Launch(NameFor("mix_streams", old.scalar_type(), added.scalar_type()).c_str(),
                   GridOf(added.numel(), kFour),
                   {&before, &more, &factor, &factors, &tokens, &n, &width, &to});
  return out;
}

at::Tensor DeviceForward::LargestMagnitude(const at::Tensor& x) const {
  assert(x.numel() > 0);
  const c10::DeviceGuard current(x.device());
  const at::Tensor largest = at::zeros({1}, x.options().dtype(at::kFloat)), from = Packed(x);
  const void* values = from.data_ptr();
  auto count = static_cast<long long>(x.numel());
  auto* most = largest.data_ptr<float>();
  kernels_->Launch(NameFor("largest", x.scalar_type(), x.scalar_type()).c_str(),
                   GridOf(count, kFour * kFoursOfThread), {&values, &count, &most});
  return largest;
}

bool DeviceForward::CanDecode(const Stored& stored) {
  using Scale = Stored::Scale;
  const size_t scale_bytes = stored.scale == Scale::kF32 ? 4 : stored.scale == Scale::kBf16 ? 2 : 1;
  const auto address = reinterpret_cast<uintptr_t>(stored.scales.data_ptr());
  const int64_t values = stored.rows * stored.columns;
  const int64_t scales =
      CeilDivide(stored.rows, stored.block_rows) * CeilDivide(stored.columns, stored.block_columns);
  return stored.columns % kCodesOfThread == 0 && stored.block_columns % kCodesOfThread == 0 &&
         address % scale_bytes == 0 &&
         stored.codes.nbytes() == static_cast<size_t>(stored.is_e4m3 ? values : values / 2) &&
         stored.scales.nbytes() == static_cast<size_t>(scales) * scale_bytes;
}

DeviceForward::Decoded DeviceForward::Decode(const Stored& stored, at::ScalarType dtype) const {
  assert(CanDecode(stored) && stored.codes.is_contiguous() && stored.scales.is_contiguous());
  const at::TensorOptions options = stored.codes.options().dtype(dtype);
  Decoded decoded = {at::empty({stored.rows, stored.columns}, options),
                     at::zeros({1}, options.dtype(at::kFloat))};
  if (decoded.values.numel() == 0) return decoded;
  const c10::DeviceGuard current(stored.codes.device());
  const auto scale_columns = CeilDivide(stored.columns, stored.block_columns);
  StoredLayout layout = {.rows = static_cast<unsigned>(stored.rows),
                         .columns = static_cast<unsigned>(stored.columns),
                         .block_rows = static_cast<unsigned>(stored.block_rows),
                         .block_columns = static_cast<unsigned>(stored.block_columns),
                         .scale_columns = static_cast<unsigned>(scale_columns),
                         .is_e4m3 = stored.is_e4m3 ? 1 : 0,
                         .scale_kind = static_cast<int>(stored.scale),
                         .global = stored.global};
  const void *codes = stored.codes.data_ptr(), *scales = stored.scales.data_ptr();
  void* to = decoded.values.data_ptr();
  auto* largest = decoded.largest.data_ptr<float>();
  kernels_->Launch(NameFor("decode", dtype, dtype).c_str(),
                   GridOf(decoded.values.numel(), kCodesOfThread),
                   {&codes, &scales, &layout, &to, &largest});
  return decoded;
}

}  // namespace vernier::calib
