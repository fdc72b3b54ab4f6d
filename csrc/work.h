// How much of the work was done between two instants of a timed loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "loop.h"

namespace jouleforge {

struct WorkDone {
  // Whole passes and a part of one. A batch counts by its share of a pass's time, since batches of
  // long texts use more energy than batches of short ones; one that is cut by an instant counts by
  // how much of it had passed.
  double passes = 0;
  double paused_s = 0;  // of the window, nothing ran: see Trace::pauses
  std::string reason;   // why the window cannot stand: E_BATCH_STALLED, E_WINDOW_CUT; else empty
};

struct Instants {
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

// `batches` is how many runs make one pass of the trace. Instants before its first stamp and after
// its last are an error: the load did not cover them; `slack_ns` of that is forgiven.
// Throws std::invalid_argument for a trace of no whole passes.
[[nodiscard]] WorkDone work_between(const Trace& trace, std::size_t batches, Instants window,
                                    std::int64_t slack_ns = 0);

}  // namespace jouleforge
