#include "run/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>

#include "base/error.h"

namespace vernier::run {
namespace {

// What a failed call tells about the file.
ErrorCode CodeOf(int result, int system_error) {
  const bool full = system_error == ENOSPC || system_error == EDQUOT;
  switch (result & 0xFF) {
    case SQLITE_FULL:
      return ErrorCode::kNoSpace;
    case SQLITE_CANTOPEN:
      return full ? ErrorCode::kNoSpace : ErrorCode::kFileOpen;
    case SQLITE_IOERR:
      if (result == SQLITE_IOERR_READ) return ErrorCode::kFileRead;
      return full ? ErrorCode::kNoSpace : ErrorCode::kFileWrite;
    default:
      return ErrorCode::kStoreCorrupt;
  }
}

// How long to wait for another process that is opening or closing the database.
constexpr int kBusyMilliseconds = 10'000;

// Such a file lies beside a database that is open, or that a killed process had open.
bool HasLog(const std::filesystem::path& path) {
  return std::filesystem::exists(path.string() + "-wal");
}

// A database without a log has one file that nobody writes: read as such, SQLite puts no other
// files beside it, so that it may lie on a read-only medium.
std::string ImmutableUri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char letter : std::filesystem::absolute(path).string()) {
    if (letter == '%' || letter == '?' || letter == '#') {
      uri += fmt::format("%{:02X}", letter);
    } else {
      uri += letter;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close(handle); }

Database::Database(const std::filesystem::path& path, DatabaseMode mode) : path_(path) {
  const bool writes = mode == DatabaseMode::kReadWrite;
  const std::string name = writes || HasLog(path) ? path.string() : ImmutableUri(path);
  const int access =
      writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
  Open(name, access);
}

void Database::Open(const std::string& name, int flags) {
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (result != SQLITE_OK) Fail(result);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
}

Database Database::CopyInMemory() const {
  Database copy;
  copy.path_ = path_;
  copy.Open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3_backup* backup = sqlite3_backup_init(copy.handle_.get(), "main", handle_.get(), "main");
  if (backup == nullptr) copy.Fail(sqlite3_errcode(copy.handle_.get()));
  sqlite3_backup_step(backup, /*nPage=*/-1);
  const int result = sqlite3_backup_finish(backup);
  if (result != SQLITE_OK) copy.Fail(result);
  return copy;
}

void Database::Fail(int result) const {
  const std::string message =
      handle_ == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle_.get());
  const int system_error = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_.get());
  const ErrorCode code = CodeOf(result, system_error);
  switch (code) {
    case ErrorCode::kNoSpace:
      throw Error(code, path_.string(), message,
                  "Free some space and run the same command again; finished work is kept");
    case ErrorCode::kStoreCorrupt:
      throw Error(code, path_.string(), message,
                  "Check the disk and the permissions, or choose another run directory");
    default:
      throw Error(code, path_.string(), message,
                  "Check the disk and run the same command again; finished work is kept");
  }
}

void Database::Execute(const std::string& sql) const {
  const int result = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) Fail(result);
}

Statement Database::Prepare(std::string_view sql) const {
  sqlite3_stmt* handle = nullptr;
  const int result =
      sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
  if (result != SQLITE_OK) Fail(result);
  return Statement(*this, handle);
}

int64_t Database::QueryInteger(std::string_view sql) const {
  Statement statement = Prepare(sql);
  return statement.Step() ? statement.Integer(0) : 0;
}

std::string Database::QueryText(std::string_view sql) const {
  Statement statement = Prepare(sql);
  return statement.Step() ? statement.Text(0) : std::string();
}

void Statement::Finalize::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

void Statement::Check(int result) const {
  if (result != SQLITE_OK) database_->Fail(result);
}

Statement& Statement::Bind(int parameter, int64_t value) {
  Check(sqlite3_bind_int64(handle_.get(), parameter, value));
  return *this;
}

Statement& Statement::Bind(int parameter, double value) {
  Check(sqlite3_bind_double(handle_.get(), parameter, value));
  return *this;
}

Statement& Statement::Bind(int parameter, std::string_view value) {
  Check(sqlite3_bind_text64(handle_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
  return *this;
}

Statement& Statement::Bind(int parameter, std::span<const std::byte> value) {
  Check(
      sqlite3_bind_blob64(handle_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::BindNull(int parameter) {
  Check(sqlite3_bind_null(handle_.get(), parameter));
  return *this;
}

bool Statement::Step() {
  const int result = sqlite3_step(handle_.get());
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) database_->Fail(result);
  return false;
}

void Statement::Run() {
  Step();
  Check(sqlite3_reset(handle_.get()));
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }

double Statement::Real(int column) const { return sqlite3_column_double(handle_.get(), column); }

std::string Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(handle_.get(), column);
  if (text == nullptr) return {};
  return std::string(reinterpret_cast<const char*>(text),
                     static_cast<size_t>(sqlite3_column_bytes(handle_.get(), column)));
}

std::vector<std::byte> Statement::Blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, bytes + sqlite3_column_bytes(handle_.get(), column)};
}

Transaction::Transaction(const Database& database) : database_(&database) {
  database.Execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_->Execute("ROLLBACK");
  } catch (const Error&) {
    // The failure that led here is already on its way, and SQLite itself rolls back on closing.
  }
}

void Transaction::Commit() {
  database_->Execute("COMMIT");
  open_ = false;
}

}  // namespace vernier::run
