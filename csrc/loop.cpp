// The closed timed loop.
#include "loop.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

#include "aliasing.h"
#include "clock.h"
#include "steady.h"

namespace jouleforge {
namespace {

// 128 MiB of stamps. At 10 us per run this lasts 160 s; only a runner that does nothing fills it.
constexpr std::size_t kMostReserved = std::size_t{1} << 24;

void require_runnable(const Runner& runner, const Schedule& schedule) {
  if (schedule.order.empty()) {
    throw std::invalid_argument("expected an order of at least one batch, found an empty one");
  }
  for (const auto batch : schedule.order) {
    if (batch >= runner.batches()) {
      throw std::invalid_argument("the order names batch " + std::to_string(batch) +
                                  ", but the runner holds " + std::to_string(runner.batches()) +
                                  ", and the first is 0");
    }
  }
  if (schedule.warmup.count() < 0 || schedule.longest_warmup.count() < 0 ||
      schedule.duration.count() < 0) {
    throw std::invalid_argument("expected a warm-up and a duration of at least 0 s");
  }
  if (schedule.min_passes < 1) {
    throw std::invalid_argument("expected min_passes of at least 1, found 0");
  }
  if (schedule.min_passes > std::numeric_limits<std::ptrdiff_t>::max() /
                                (sizeof(std::int64_t) * 2 * schedule.order.size())) {
    throw std::invalid_argument("min_passes is too large to keep a stamp of every run: " +
                                std::to_string(schedule.min_passes));
  }
}

struct Warmup {
  std::size_t runs = 0;
  std::int64_t elapsed_ns = 0;
  std::optional<bool> steady;
  bool interrupted = false;
};

// At least one pass, so that every batch that will be timed has run once.
Warmup warm_up(Runner& runner, const Schedule& schedule, const std::atomic<bool>& stop) {
  const auto& order = schedule.order;
  Warmup warmup;
  Steadiness steadiness(order.size(), schedule.warmup);
  const auto look = schedule.longest_warmup > schedule.warmup;
  const auto goes_on = [&] {
    if (warmup.runs < order.size() || warmup.elapsed_ns < schedule.warmup.count()) return true;
    return look && !steadiness.reached() && warmup.elapsed_ns < schedule.longest_warmup.count();
  };
  const auto begin = now_ns();
  while (goes_on()) {
    const auto before_ns = warmup.elapsed_ns;
    runner.run(order[warmup.runs % order.size()]);
    ++warmup.runs;
    warmup.elapsed_ns = now_ns() - begin;
    if (look) steadiness.add(warmup.elapsed_ns - before_ns);
    if (stop.load(std::memory_order_relaxed)) {
      warmup.interrupted = true;
      break;
    }
  }
  if (look) warmup.steady = steadiness.reached();
  return warmup;
}

// Room for min_passes always, and for four times the passes that the warm-up's rate predicts: the
// first runs are slow, and a loop that outgrows its room has to end early.
std::size_t passes_to_reserve(const Schedule& schedule, const Warmup& warmup) {
  const auto per_run_ns =
      std::max(1.0, static_cast<double>(warmup.elapsed_ns) / static_cast<double>(warmup.runs));
  const auto runs = 4.0 * static_cast<double>(schedule.duration.count()) / per_run_ns + 1024.0;
  const auto bounded = static_cast<std::size_t>(std::min(runs, static_cast<double>(kMostReserved)));
  return std::max(schedule.min_passes, bounded / schedule.order.size() + 1);
}

constexpr std::chrono::nanoseconds kPauseEvery = std::chrono::seconds(1);

// How long the pauses are; 0 where batches as long as in the warm-up need none.
std::chrono::nanoseconds pause_length(const Schedule& schedule, const Warmup& warmup) {
  if (schedule.sensor_tick.count() == 0) return {};
  const auto run_ns = static_cast<double>(warmup.elapsed_ns) / static_cast<double>(warmup.runs);
  const auto tick_ns = static_cast<double>(schedule.sensor_tick.count());
  const auto needed =
      nearly_beats_with(tick_ns, run_ns, static_cast<double>(schedule.duration.count()));
  return needed ? schedule.sensor_tick / 4 : std::chrono::nanoseconds{};
}

// Between two runs, once a second. Takes no memory: what was reserved is enough for the schedule.
void pause_if_due(std::chrono::nanoseconds length, std::size_t done, std::int64_t now,
                  std::int64_t& next, Trace& trace) {
  if (now < next || trace.pauses.size() == trace.pauses.capacity()) return;
  std::this_thread::sleep_for(length);
  trace.pauses.push_back({.before = done, .begin_ns = now, .end_ns = now_ns()});
  // A second after the pause's end: were pauses themselves a whole number of ticks apart, the
  // sensor would see each of them or none.
  next = trace.pauses.back().end_ns + kPauseEvery.count();
}

void time_passes(Runner& runner, const Schedule& schedule, const std::atomic<bool>& stop,
                 std::chrono::nanoseconds pause, Trace& trace) {
  auto* const stamps = trace.stamps_ns.data();
  const auto room = trace.stamps_ns.size() - 1;
  const auto pass = schedule.order.size();
  std::size_t done = 0;
  stamps[0] = now_ns();
  const auto enough = stamps[0] + schedule.duration.count();
  auto next_pause = stamps[0] + kPauseEvery.count();
  while (true) {
    for (const auto batch : schedule.order) {
      runner.run(batch);
      stamps[++done] = now_ns();
      if (stop.load(std::memory_order_relaxed)) {
        trace.end = LoopEnd::kInterrupted;
        trace.stamps_ns.resize(done + 1);
        return;
      }
      if (pause.count() > 0) pause_if_due(pause, done, stamps[done], next_pause, trace);
    }
    ++trace.passes;
    if (trace.passes >= schedule.min_passes && stamps[done] >= enough) break;
    if (room - done < pass) {
      trace.end = LoopEnd::kReserve;
      break;
    }
  }
  trace.stamps_ns.resize(done + 1);
}

}  // namespace

Trace run_closed_loop(Runner& runner, const Schedule& schedule, const std::atomic<bool>& stop,
                      const std::function<void()>& on_warm) {
  require_runnable(runner, schedule);
  const auto warmup = warm_up(runner, schedule, stop);
  Trace trace;
  trace.warmup_runs = warmup.runs;
  trace.warmup_ns = warmup.elapsed_ns;
  trace.steady = warmup.steady;
  if (warmup.interrupted) {
    trace.end = LoopEnd::kInterrupted;
    return trace;
  }
  // Sized, not only reserved: the timed loop then meets no page for the first time.
  trace.stamps_ns.resize(passes_to_reserve(schedule, warmup) * schedule.order.size() + 1);
  const auto pause = pause_length(schedule, warmup);
  if (pause.count() > 0) {
    trace.pauses.reserve(static_cast<std::size_t>(4 * (schedule.duration / kPauseEvery)) + 64);
  }
  if (on_warm) on_warm();
  time_passes(runner, schedule, stop, pause, trace);
  trace.stamps_ns.shrink_to_fit();
  return trace;
}

}  // namespace jouleforge
