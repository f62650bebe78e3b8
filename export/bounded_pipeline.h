// Parallel work on a stream of items with bounded memory.
#ifndef VERNIER_EXPORT_BOUNDED_PIPELINE_H_
#define VERNIER_EXPORT_BOUNDED_PIPELINE_H_

#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <optional>

namespace vernier::exporter {

// Runs `work(*item)` on up to `threads` threads for every item that `next` returns until it returns
// nothing. `next` and `done(result)` run one call at a time, `done` in no particular order;
// `threads` results at most wait for it. The first exception stops everything and is thrown again.
template <typename Next, typename Work, typename Done>
void RunBounded(int threads, Next next, Work work, Done done) {
  using Item = typename decltype(next())::value_type;
  using Result = decltype(work(*next()));
  namespace tbb = oneapi::tbb;

  const auto take = [&next](tbb::flow_control& control) -> Item {
    std::optional<Item> item = next();
    if (!item) {
      control.stop();
      return Item{};
    }
    return *std::move(item);
  };
  tbb::task_arena arena(threads);
  arena.execute([&] {
    tbb::parallel_pipeline(
        static_cast<size_t>(threads),
        tbb::make_filter<void, Item>(tbb::filter_mode::serial_in_order, take) &
            tbb::make_filter<Item, Result>(tbb::filter_mode::parallel, work) &
            tbb::make_filter<Result, void>(tbb::filter_mode::serial_out_of_order, done));
  });
}

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_BOUNDED_PIPELINE_H_
