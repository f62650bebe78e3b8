#include "audit/journal.h"

#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "audit/facts_json.h"
#include "base/error.h"
#include "base/hash.h"

namespace vernier::audit {
namespace {

namespace fs = std::filesystem;

// To be raised whenever the lines, or the numbers in them for the same bytes, change.
constexpr int kVersion = 1;
constexpr std::string_view kFirstBytes = R"({"vernier_audit_journal":)";
constexpr std::string_view kHashField = R"(,"hash":")";
constexpr std::string_view kLineEnd = "\"}";
constexpr size_t kHashDigits = 32;
constexpr std::chrono::seconds kFlushInterval{1};

// `object` on a line, with a last field: the hash of `seed` and of the text before that field.
std::string HashedLine(const Json& object, const std::string& seed) {
  std::string body = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  const std::string hash = HashHex(seed + body);
  body.pop_back();  // its brace
  return body.append(kHashField).append(hash).append(kLineEnd) + "\n";
}

// The object's text without that field; nothing when the hash is not right. `line` without its
// line break.
std::optional<std::string> CheckedBody(std::string_view line, const std::string& seed) {
  const size_t tail = kHashField.size() + kHashDigits + kLineEnd.size();
  if (line.size() <= tail || !line.ends_with(kLineEnd)) return std::nullopt;
  std::string body(line.substr(0, line.size() - tail));
  const std::string_view field = line.substr(body.size());
  body += "}";
  const bool valid = field.starts_with(kHashField) &&
                     field.substr(kHashField.size(), kHashDigits) == HashHex(seed + body);
  return valid ? std::optional(std::move(body)) : std::nullopt;
}

Json FilesJson(const checkpoint::Checkpoint& checkpoint) {
  Json files = Json::array();
  for (const checkpoint::Shard& shard : checkpoint.shards()) {
    const fs::path path = checkpoint.directory() / shard.file_name;
    std::error_code ignored;  // a time that cannot be told is as good as any: reading will fail
    files.push_back({{"name", shard.file_name},
                     {"bytes", shard.file_bytes},
                     {"modified", fs::last_write_time(path, ignored).time_since_epoch().count()}});
  }
  return {{"fingerprint", checkpoint.fingerprint()}, {"files", std::move(files)}};
}

std::string ReadAll(const File& file) {
  std::string text(file.Size(), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void RequireJournal(const fs::path& path, std::string_view text) {
  const std::string_view first = text.substr(0, kFirstBytes.size());
  if (kFirstBytes.starts_with(first)) return;
  throw Error(ErrorCode::kBadArgument, path.string(), "is not the journal of an audit",
              "Name a file that does not exist yet, or remove this one");
}

}  // namespace

Json JournalIdentity(const Subject& subject, const Comparison* comparison) {
  Json identity = {{"vernier_audit_journal", kVersion},
                   {"depth", AuditDepthName(AuditDepth::kFull)},
                   {"measured", comparison == nullptr ? 0 : comparison->pairs.size()},
                   {"checkpoint", FilesJson(subject.checkpoint)},
                   {"source", nullptr}};
  if (comparison != nullptr) identity["source"] = FilesJson(comparison->source.checkpoint);
  return identity;
}

Journal::Journal(const fs::path& path, const Json& identity, const Subject& subject)
    : subject_(subject),
      file_(File::OpenForWrite(path, /*truncate=*/false)),
      known_(subject.index.modules.size()),
      flushed_(std::chrono::steady_clock::now()) {
  const std::string first_line = HashedLine(identity, "");
  seed_ = HashHex(first_line);
  const std::string text = ReadAll(file_);
  RequireJournal(path, text);
  if (text.starts_with(first_line)) {
    end_ = first_line.size() + Restore(text.substr(first_line.size()));
    if (refusal_.empty()) {
      file_.Truncate(end_);
      return;
    }
  } else if (text.find('\n') != std::string::npos) {
    refusal_ = "it is of other files, or its first line is damaged";
  }
  BeginAnew(first_line);
}

void Journal::BeginAnew(const std::string& first_line) {
  known_.assign(known_.size(), std::nullopt);
  if (file_.Size() > 0) file_.Truncate(0);
  end_ = 0;
  pending_ = first_line;
  Flush();
}

uint64_t Journal::Restore(const std::string& text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return begin;  // torn
    const auto body = CheckedBody(std::string_view(text).substr(begin, end - begin), seed_);
    const bool restored = body && RestoreLine(*body);
    if (!restored && end + 1 == text.size()) return begin;
    if (!restored) {
      refusal_ = "a line of it is damaged";
      return 0;
    }
    begin = end + 1;
  }
  return begin;
}

bool Journal::RestoreLine(std::string_view body) {
  const std::string origin = file_.path().string();
  try {
    const Json line = ParseJson(body, origin);
    const auto found = subject_.index.by_name.find(GetField<std::string>(line, "module", origin));
    if (found == subject_.index.by_name.end()) return false;
    known_[found->second] = FactsFromJson(subject_.checkpoint, line, origin);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kBadJson) return false;
    throw;
  }
}

void Journal::Add(size_t module, const ModuleFacts& facts) {
  Json line = {{"module", subject_.index.modules[module].name}};
  line.update(FactsJson(subject_.checkpoint, facts));
  pending_ += HashedLine(line, seed_);
  if (std::chrono::steady_clock::now() - flushed_ >= kFlushInterval) Flush();
}

void Journal::Flush() {
  file_.WriteAt(end_, std::as_bytes(std::span(pending_)));
  end_ += pending_.size();
  pending_.clear();
  file_.Sync();
  flushed_ = std::chrono::steady_clock::now();
}

}  // namespace vernier::audit
