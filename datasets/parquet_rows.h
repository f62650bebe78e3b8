// The rows of a Parquet file as JSON lines, which DuckDB's program makes of them.
#ifndef VERNIER_DATASETS_PARQUET_ROWS_H_
#define VERNIER_DATASETS_PARQUET_ROWS_H_

#include <filesystem>
#include <string_view>

#include "base/file.h"

namespace vernier::datasets {

// Whether a file that begins with these bytes is Parquet.
bool IsParquet(std::string_view first_bytes);

// How a file of rows becomes JSON lines by other means; for messages.
inline constexpr std::string_view kMakeJsonl =
    "write it as JSON lines, e.g. with pandas: "
    "pd.read_parquet(FILE).to_json(OUT, orient='records', lines=True)";

// One line a row, in the file's order, of the columns that make a document: those whose names
// SourceFormat::kJsonl explains, or `column` in their place, and what belongs to a chat (tools,
// documents, chat_template_kwargs). Other columns are not read.
//
// The lines are in a file without a name, in the directory for temporary files: it is gone with the
// result, however this process ends. The program is the one that VERNIER_DUCKDB names, or `duckdb`
// on PATH, or the one that tools/install_duckdb.sh installed.
//
// Errors: kNoProgram; kBadDataset for a file that is damaged, encrypted or empty or has none of the
// columns; kNoSpace for the lines; kFileOpen; kInterrupted.
File ConvertParquetRows(const std::filesystem::path& path, std::string_view column);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_PARQUET_ROWS_H_
