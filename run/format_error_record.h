// The table `format_error`: what formats cost linear layers, as calibration measured it.
#ifndef VERNIER_RUN_FORMAT_ERROR_RECORD_H_
#define VERNIER_RUN_FORMAT_ERROR_RECORD_H_

#include <span>
#include <vector>

#include "recipes/format_choice.h"
#include "run/sqlite.h"

namespace vernier::run {

extern const char kFormatErrorTable[];

// Of finished units, or of one unit, finished or not; by module and format.
std::vector<recipes::FormatError> ListFormatErrors(const Database& database);
std::vector<recipes::FormatError> FormatErrorsOfUnit(const Database& database, int unit);

// Adds rows to those of `unit`, within the caller's transaction.
void AddFormatErrors(const Database& database, int unit,
                     std::span<const recipes::FormatError> errors);

// Removes those of unfinished units, within the caller's transaction.
void DeleteUnfinishedFormatErrors(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_FORMAT_ERROR_RECORD_H_
