// How much of the work was done between two instants of a timed loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace jouleforge {

struct WorkDone {
  // Whole passes and a part of one. A batch counts by its share of a pass's time, since batches of
  // long texts use more energy than batches of short ones; one that is cut by an instant counts by
  // how much of it had passed.
  double passes = 0;
  std::string reason;  // why the window cannot stand: E_BATCH_STALLED, E_WINDOW_CUT; else empty
};

// `stamps_ns` are a Trace's; `batches` how many runs make one pass. Instants before the first stamp
// and after the last are an error: the load did not cover them; `slack_ns` of that is forgiven.
// Throws std::invalid_argument for stamps that are no whole passes.
[[nodiscard]] WorkDone work_between(std::span<const std::int64_t> stamps_ns, std::size_t batches,
                                    std::int64_t begin_ns, std::int64_t end_ns,
                                    std::int64_t slack_ns = 0);

}  // namespace jouleforge
