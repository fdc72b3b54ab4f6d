// The closed timed loop: run a batch, take a stamp, repeat. No statistics are computed here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "runner.h"

namespace jouleforge {

struct Schedule {
  std::vector<std::size_t> order;      // batch indices of one pass, in the order they are run
  std::chrono::nanoseconds warmup{0};  // the warm-up lasts this long, and at least one pass
  // ... and, if this is longer, until the load is steady, but no longer than this.
  std::chrono::nanoseconds longest_warmup{0};
  std::chrono::nanoseconds duration{0};  // the timed loop lasts this long, in whole passes
  std::size_t min_passes = 1;            // and at least this many of them
  // The tick of a power sensor that looks a part of the time only; 0 where there is none. Batches
  // that keep pace with it are interrupted once a second, for a quarter of a tick: it then sees all
  // their parts alike. Random pauses would not cover them so evenly.
  std::chrono::nanoseconds sensor_tick{0};
};

// Nothing ran from the end of one run, which is `begin_ns`, to the begin of the next, which is the
// `before`-th of the timed ones.
struct Pause {
  std::size_t before = 0;
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

enum class LoopEnd {
  kSchedule,     // duration and min_passes were both reached
  kReserve,      // the room for stamps ran out before `duration`; whole passes all the same
  kInterrupted,  // the stop flag was seen; the last pass may be partial
};

struct Trace {
  // [ns] on CLOCK_MONOTONIC. stamps_ns[i] to stamps_ns[i + 1] spans the i-th timed run.
  std::vector<std::int64_t> stamps_ns;
  std::vector<Pause> pauses;    // in order; a run that follows one spans it too
  std::size_t passes = 0;       // whole passes timed
  std::size_t warmup_runs = 0;  // runs before the first stamp
  std::int64_t warmup_ns = 0;   // how long they took
  std::optional<bool> steady;   // whether the load was steady then; absent if not looked at
  LoopEnd end = LoopEnd::kSchedule;
};

// Warms up, calls `on_warm` when there is one, then times whole passes over the order. The flag is
// read after each run. Throws std::invalid_argument for a schedule that cannot be run, and whatever
// the runner throws.
[[nodiscard]] Trace run_closed_loop(Runner& runner, const Schedule& schedule,
                                    const std::atomic<bool>& stop,
                                    const std::function<void()>& on_warm = {});

}  // namespace jouleforge
