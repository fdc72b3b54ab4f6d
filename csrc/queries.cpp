// The open timed loop.
#include "queries.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <stop_token>
#include <string>

namespace jouleforge {
namespace {

using std::chrono::nanoseconds;

// 512 MiB of stamps and waits.
constexpr std::size_t kMostQueries = std::size_t{1} << 24;
// Sleeps end some 50 us late, on a virtual machine more.
constexpr std::int64_t kAwakeNs = nanoseconds(std::chrono::microseconds(200)).count();
// So that a stop is seen in time.
constexpr std::int64_t kLongestSleepNs = nanoseconds(std::chrono::milliseconds(20)).count();

void require_keepable(const Runner& runner, const Arrivals& arrivals) {
  if (arrivals.order.empty()) {
    throw std::invalid_argument("expected an order of at least one query, found an empty one");
  }
  for (const auto batch : arrivals.order) require_batch(batch, runner.batches());
  const auto& due_ns = arrivals.due_ns;
  if (due_ns.empty() || due_ns.size() % arrivals.order.size() != 0) {
    throw std::invalid_argument("expected arrivals for whole passes of " +
                                std::to_string(arrivals.order.size()) + " queries, found " +
                                std::to_string(due_ns.size()));
  }
  if (due_ns.size() > kMostQueries) {
    throw std::invalid_argument("expected at most " + std::to_string(kMostQueries) +
                                " arrivals, found " + std::to_string(due_ns.size()) +
                                "; lower the rate or the duration");
  }
  if (due_ns.front() < 0 || !std::ranges::is_sorted(due_ns)) {
    throw std::invalid_argument("expected arrivals from 0 on that never fall");
  }
}

// Returns the first instant that is seen at or after `due_ns`; an earlier one if told to stop.
std::int64_t wait_for(std::int64_t due_ns, Wait wait, const std::atomic<bool>& stop,
                      Timeline& timeline) {
  auto now = timeline.now_ns();
  while (now < due_ns && !stop.load(std::memory_order_relaxed)) {
    if (wait == Wait::kBlock && due_ns - now > kAwakeNs) {
      timeline.wait_until(std::min(due_ns - kAwakeNs, now + kLongestSleepNs), std::stop_token{});
    }
    now = timeline.now_ns();
  }
  return now;
}

}  // namespace

Trace serve_queries(Runner& runner, const Arrivals& arrivals, const std::atomic<bool>& stop,
                    Timeline& timeline) {
  require_keepable(runner, arrivals);
  const auto pass = arrivals.order.size();
  const auto count = arrivals.due_ns.size();
  Trace trace;
  // Sized, not only reserved: the timed loop then meets no page for the first time.
  trace.stamps_ns.resize(count + 1);
  trace.pauses.resize(count);
  auto* const stamps = trace.stamps_ns.data();
  std::size_t done = 0;
  std::size_t waits = 0;
  stamps[0] = timeline.now_ns();
  while (done < count) {
    const auto due_ns = stamps[0] + arrivals.due_ns[done];
    if (stamps[done] < due_ns) {
      const auto begin_ns = wait_for(due_ns, arrivals.wait, stop, timeline);
      trace.pauses[waits++] = {.before = done, .begin_ns = stamps[done], .end_ns = begin_ns};
      if (begin_ns < due_ns) break;  // told to stop
    }
    runner.run(arrivals.order[done % pass]);
    stamps[++done] = timeline.now_ns();
    if (stop.load(std::memory_order_relaxed)) break;
  }
  trace.passes = done / pass;
  trace.end = done == count ? LoopEnd::kSchedule : LoopEnd::kInterrupted;
  trace.stamps_ns.resize(done + 1);
  trace.pauses.resize(waits);
  return trace;
}

}  // namespace jouleforge
