// The open timed loop: queries arrive when they are meant to, whether or not the last one is done.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "energy/timeline.h"
#include "loop.h"
#include "runner.h"

namespace jouleforge {

// How the worker waits for the next arrival.
enum class Wait {
  kSpin,   // reads the clock: on time to some tens of ns, and one core is busy all the while
  kBlock,  // sleeps until shortly before, then reads the clock
};

struct Arrivals {
  std::vector<std::size_t> order;    // batch indices of one pass, in the order they are asked for
  std::vector<std::int64_t> due_ns;  // [ns] since the loop's start, one a query, in whole passes
  Wait wait = Wait::kBlock;
};

// One worker serves the queries in the order of their arrival; none is begun before it has arrived.
// In the trace, stamps_ns[0] is the instant from which arrivals count, stamps_ns[i + 1] the end of
// the i-th query, and each wait for an arrival a pause. A query's latency is its end less its
// intended arrival, however late the worker came to it.
//
// The flag is read after each query and at least every 20 ms of a wait. Throws
// std::invalid_argument for arrivals that cannot be kept, and whatever the runner throws.
[[nodiscard]] Trace serve_queries(Runner& runner, const Arrivals& arrivals,
                                  const std::atomic<bool>& stop, Timeline& timeline);

}  // namespace jouleforge
