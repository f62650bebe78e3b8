// Progress for whoever sits before standard error, or reads it.
#ifndef VERNIER_TOOLS_PROGRESS_WRITER_H_
#define VERNIER_TOOLS_PROGRESS_WRITER_H_

#include <chrono>
#include <cstdio>
#include <string>

#include "base/progress.h"

namespace vernier::tools {

enum class ProgressStyle {
  kAuto,   // kBar on a terminal, kPlain otherwise
  kBar,    // one line, redrawn
  kPlain,  // a line now and then
  kJson,   // one JSON object per event
  kNone,
};

class ProgressWriter final : public ProgressListener {
 public:
  explicit ProgressWriter(ProgressStyle style, std::FILE* stream = stderr);
  ~ProgressWriter() override;
  ProgressWriter(const ProgressWriter&) = delete;
  ProgressWriter& operator=(const ProgressWriter&) = delete;

  void Hear(const ProgressEvent& event) override;
  void Warn(std::string_view warning) override;  // in every style

 private:
  bool IsNews(const ProgressEvent& event) const;
  void EraseBar();
  void Write(const ProgressEvent& event);
  void WriteBar(const ProgressEvent& event);

  ProgressStyle style_;
  std::FILE* stream_;
  std::string detail_;  // of the event before
  std::chrono::steady_clock::time_point last_written_{};
  bool bar_on_screen_ = false;
};

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_PROGRESS_WRITER_H_
