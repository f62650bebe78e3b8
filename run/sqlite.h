// SQLite behind values that clean up after themselves. Every failure becomes an Error: kNoSpace
// when the disk is full, kStoreCorrupt otherwise, naming the database file and SQLite's message.
#ifndef VERNIER_RUN_SQLITE_H_
#define VERNIER_RUN_SQLITE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace vernier::run {

class Statement;

enum class DatabaseMode {
  kReadWrite,  // created if absent
  // Leaves the directory as it is. While another process has the database open, or after one was
  // killed, what it committed is seen as well.
  kReadOnly,
};

// An open database. Not thread-safe.
class Database {
 public:
  explicit Database(const std::filesystem::path& path,
                    DatabaseMode mode = DatabaseMode::kReadWrite);

  // Runs statements that return no rows and take no values.
  void Execute(const std::string& sql) const;
  Statement Prepare(std::string_view sql) const;
  // The first column of the first row, e.g. of a PRAGMA.
  int64_t QueryInteger(std::string_view sql) const;
  std::string QueryText(std::string_view sql) const;

  // What the database holds now, in memory alone.
  Database CopyInMemory() const;

  // For what this class does not offer, such as functions of SQL.
  sqlite3* handle() const { return handle_.get(); }

  // Throws for the result code `result` of the last call on this connection.
  [[noreturn]] void Fail(int result) const;

 private:
  Database() = default;
  void Open(const std::string& name, int flags);

  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// A prepared statement. It refers to its database, which must outlive it.
class Statement {
 public:
  // Values for the parameters ?1, ?2, ... They are copied.
  Statement& Bind(int parameter, int64_t value);
  Statement& Bind(int parameter, double value);
  Statement& Bind(int parameter, std::string_view value);
  Statement& Bind(int parameter, std::span<const std::byte> value);
  Statement& BindNull(int parameter);

  // Moves to the next row; false at the end.
  bool Step();
  // Runs a statement without rows, and makes it ready for other values.
  void Run();

  // Columns of the current row, counted from 0.
  int64_t Integer(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;
  std::vector<std::byte> Blob(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  Statement(const Database& database, sqlite3_stmt* handle)
      : database_(&database), handle_(handle) {}
  void Check(int result) const;

  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// A transaction that writes; what is not committed is rolled back.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void Commit();

 private:
  const Database* database_;
  bool open_ = true;
};

}  // namespace vernier::run

#endif  // VERNIER_RUN_SQLITE_H_
