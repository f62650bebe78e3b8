#include "calib/store/sqlite.h"

#include <sqlite3.h>

#include <cerrno>

#include "base/error.h"

namespace vernier::calib {
namespace {

bool IsDiskFull(sqlite3* handle, int result) {
  if ((result & 0xFF) == SQLITE_FULL) return true;
  if ((result & 0xFF) != SQLITE_IOERR) return false;
  const int error = sqlite3_system_errno(handle);
  return error == ENOSPC || error == EDQUOT;
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close(handle); }

Database::Database(const std::filesystem::path& path) : path_(path) {
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (result != SQLITE_OK) Fail(result);
  sqlite3_extended_result_codes(handle, 1);
}

void Database::Fail(int result) const {
  const std::string message =
      handle_ == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle_.get());
  if (IsDiskFull(handle_.get(), result)) {
    throw Error(ErrorCode::kNoSpace, path_.string(), message,
                "Free some space and run the same command again; finished work is kept");
  }
  throw Error(ErrorCode::kStoreCorrupt, path_.string(), message,
              "Check the disk and the permissions, or choose another run directory");
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

}  // namespace vernier::calib
