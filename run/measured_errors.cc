#include "run/measured_errors.h"

#include "calib/statistics/block_share.h"
#include "run/format_error_record.h"
#include "run/statistic_rows.h"

namespace vernier::run {

recipes::MeasuredErrors LoadMeasuredErrors(const Store& store) {
  using statistics::BlockShare;
  recipes::MeasuredErrors measured{.formats = ListFormatErrors(store.database()),
                                   .block_shares = {}};
  for (const StatisticRow& row : StatisticsNamed(store, BlockShare::kName)) {
    const statistics::Value value = statistics::FromBytes(row.bytes);
    measured.block_shares[row.module] =
        BlockShare::Mean(statistics::ElementsOf<BlockShare::Element>(value));
  }
  return measured;
}

}  // namespace vernier::run
