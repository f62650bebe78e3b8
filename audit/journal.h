// Remembers which modules an audit has read, and what they said, in a file (docs/audit.md).
#ifndef VERNIER_AUDIT_JOURNAL_H_
#define VERNIER_AUDIT_JOURNAL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "audit/comparison.h"
#include "audit/module_facts.h"
#include "audit/stream.h"
#include "audit/subject.h"
#include "base/file.h"
#include "base/json.h"

namespace vernier::audit {

// What facts depend on: the format of the journal, both checkpoints by fingerprint and by their
// shards' names, sizes and times of modification, and whether converted weights are compared.
Json JournalIdentity(const Subject& subject, const Comparison* comparison);

// Used by one thread at a time.
class Journal {
 public:
  // Opens or creates the file. When its identity is this audit's and all of its lines but the last
  // are undamaged, known() has what they say; otherwise the file is begun anew. kBadArgument when
  // the file is no journal at all: somebody else's is not overwritten. Errors of files: kFileOpen,
  // kFileRead, kFileWrite, kNoSpace; so do Add and Flush.
  Journal(const std::filesystem::path& path, const Json& identity, const Subject& subject);

  // By module.
  KnownFacts TakeKnown() { return std::move(known_); }
  // Why an existing journal was not continued; empty when it was, or when there was none.
  const std::string& refusal() const { return refusal_; }

  // Adds a line, and makes lines durable when the last time was a second ago.
  void Add(size_t module, const ModuleFacts& facts);
  // Makes all lines durable.
  void Flush();

 private:
  void BeginAnew(const std::string& first_line);
  // The bytes of `text`, the lines behind the first, that can be continued; sets known_ or
  // refusal_.
  uint64_t Restore(const std::string& text);
  bool RestoreLine(std::string_view body);

  const Subject& subject_;
  File file_;
  std::string seed_;  // of the lines' hashes
  KnownFacts known_;
  std::string refusal_;
  std::string pending_;
  uint64_t end_ = 0;
  std::chrono::steady_clock::time_point flushed_;
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_JOURNAL_H_
