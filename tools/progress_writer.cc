#include "tools/progress_writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/seconds_since.h"
#include "base/text.h"

namespace vernier::tools {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = ProgressEvent::Kind;

constexpr double kBarInterval = 0.1;    // seconds between redraws
constexpr double kPlainInterval = 5.0;  // seconds between lines off a terminal
constexpr double kJsonInterval = 1.0;
constexpr int kBarWidth = 28;

ProgressStyle Resolve(ProgressStyle style, std::FILE* stream) {
  if (style != ProgressStyle::kAuto) return style;
  return isatty(fileno(stream)) ? ProgressStyle::kBar : ProgressStyle::kPlain;
}

double IntervalOf(ProgressStyle style) {
  if (style == ProgressStyle::kBar) return kBarInterval;
  return style == ProgressStyle::kJson ? kJsonInterval : kPlainInterval;
}

std::string_view KindName(Kind kind) {
  if (kind == Kind::kBegin) return "begin";
  return kind == Kind::kEnd ? "end" : "progress";
}

std::string PlainLine(const ProgressEvent& event) {
  return fmt::format("[{}/{}] {} {:.0f}% {} elapsed {} job ETA {}\n", event.number, event.phases,
                     event.phase, 100 * event.fraction, event.detail,
                     HumanDuration(event.phase_seconds), HumanDuration(event.job_eta_seconds));
}

std::string JsonLine(const ProgressEvent& event) {
  const nlohmann::ordered_json line = {
      {"event", KindName(event.kind)},        {"phase", event.phase},
      {"fraction", event.fraction},           {"detail", event.detail},
      {"phase_seconds", event.phase_seconds}, {"job_eta_seconds", event.job_eta_seconds}};
  return line.dump() + "\n";
}

}  // namespace

ProgressWriter::ProgressWriter(ProgressStyle style, std::FILE* stream)
    : style_(Resolve(style, stream)), stream_(stream) {}

ProgressWriter::~ProgressWriter() { EraseBar(); }

void ProgressWriter::Warn(std::string_view warning) {
  EraseBar();
  if (style_ == ProgressStyle::kJson) {
    const nlohmann::ordered_json line = {{"event", "warning"}, {"detail", warning}};
    fmt::print(stream_, "{}\n", line.dump());
  } else {
    fmt::print(stream_, "vernier: warning: {}\n", warning);
  }
  std::fflush(stream_);
}

void ProgressWriter::Hear(const ProgressEvent& event) {
  if (style_ == ProgressStyle::kNone) return;
  if (IsNews(event)) Write(event);
  detail_ = event.detail;
  if (event.kind == Kind::kEnd) EraseBar();
}

bool ProgressWriter::IsNews(const ProgressEvent& event) const {
  if (event.kind != Kind::kAdvance) return true;
  // Machines are told of every change of detail (the next layer, the next shard) at once.
  if (style_ == ProgressStyle::kJson && event.detail != detail_) return true;
  return SecondsSince(last_written_) >= IntervalOf(style_);
}

void ProgressWriter::EraseBar() {
  if (!bar_on_screen_) return;
  fmt::print(stream_, "\r\x1b[K");
  bar_on_screen_ = false;
}

void ProgressWriter::Write(const ProgressEvent& event) {
  last_written_ = Clock::now();
  if (style_ == ProgressStyle::kBar) {
    WriteBar(event);
  } else {
    const bool json = style_ == ProgressStyle::kJson;
    fmt::print(stream_, "{}", json ? JsonLine(event) : PlainLine(event));
  }
  std::fflush(stream_);
}

void ProgressWriter::WriteBar(const ProgressEvent& event) {
  const int filled = static_cast<int>(std::lround(event.fraction * kBarWidth));
  EraseBar();
  fmt::print(stream_, "[{}/{}] {:<9} [{}{}] {:3.0f}% {}  job ETA {}", event.number, event.phases,
             event.phase, std::string(filled, '#'), std::string(kBarWidth - filled, '.'),
             100 * event.fraction, event.detail, HumanDuration(event.job_eta_seconds));
  bar_on_screen_ = true;
}

}  // namespace vernier::tools
