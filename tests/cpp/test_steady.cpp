// Steady state: reached when the times of the same batches stop to rise or fall, and not before.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "loop.h"
#include "runners/callable.h"
#include "steady.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using jouleforge::testing::check;

namespace {

const std::atomic<bool> kNever{false};

// Runs until it is steady, or for a minute; returns when that was [s], without waiting for it.
// `time` gives the time [ms] of a batch at a time [s].
double steady_after(std::size_t batches, const std::function<double(std::size_t, double)>& time) {
  Steadiness steadiness(batches, 1s);
  double at_s = 0;
  for (std::size_t run = 0; at_s < 60 && !steadiness.reached(); ++run) {
    const auto ms = time(run % batches, at_s);
    steadiness.add(static_cast<std::int64_t>(ms * 1e6));
    at_s += ms * 1e-3;
  }
  return at_s;
}

// Batches of unequal length, as those of sorted texts are.
double length_ms(std::size_t batch, double shortest_ms) {
  return shortest_ms * (1 + 0.5 * static_cast<double>(batch));
}

void steady_loads_are_found_within_about_the_scale() {
  check(steady_after(1, [](auto, double) { return 0.01; }) < 1.5, "one fast batch");
  check(steady_after(4, [](auto batch, double) { return length_ms(batch, 1); }) < 1.5,
        "short passes of unequal batches");
  const auto pass_s = 27 * 0.1 * (1 + 0.5 * 13);
  check(steady_after(27, [](auto batch, double) { return length_ms(batch, 100); }) < 1.5 * pass_s,
        "a long pass: no second whole one is needed");
  check(steady_after(1, [](auto, double) { return 3000; }) < 31, "one batch of three seconds");
}

void noise_is_no_trend() {
  std::minstd_rand random(1);
  std::normal_distribution<double> noise(0, 0.05);
  check(steady_after(
            4, [&](auto batch, double) { return length_ms(batch, 1) * (1 + noise(random)); }) < 5,
        "five percent from run to run");
}

void a_single_slow_run_does_not_move_it() {
  int runs = 0;
  check(steady_after(40, [&](auto, double) { return ++runs % 40 == 1 ? 500.0 : 50.0; }) < 6,
        "the first batch of each pass is ten times as slow");
}

void a_load_that_gets_faster_is_waited_for() {
  const auto falling = [](double until_s, double shortest_ms) {
    return [=](std::size_t batch, double at_s) {
      return length_ms(batch, shortest_ms) * (at_s < until_s ? 3 - 2 * at_s / until_s : 1);
    };
  };
  for (const auto batches : {1U, 4U, 16U}) {
    const auto found = steady_after(batches, falling(4, 1));
    check(found > 3.5 && found < 7, "short passes: after the change, and soon");
  }
  const auto found = steady_after(8, falling(20, 100));
  check(found > 15 && found < 40, "long passes likewise");
}

void a_load_that_gets_slower_is_waited_for_too() {
  const auto found = steady_after(4, [](std::size_t batch, double at_s) {
    return length_ms(batch, 1) * (1 + std::min(at_s, 5.0) / 10);
  });
  check(found > 4 && found < 8, "as of a processor that gets hot");
}

// The loop itself, over runs that each take so long.
Trace warmed_up(const std::function<double(std::size_t)>& ms_of_run,
                std::chrono::nanoseconds longest) {
  std::size_t runs = 0;
  CallableRunner runner(
      [&](std::size_t) {
        std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms_of_run(runs++)));
      },
      2);
  return run_closed_loop(
      runner, {.order = {0, 1}, .warmup = 200ms, .longest_warmup = longest, .min_passes = 3},
      kNever);
}

void the_loop_warms_up_until_then_and_says_so() {
  const auto slow_at_first = [](std::size_t run) {
    return 1 + 3 * std::max(0.0, 1 - static_cast<double>(run) / 150);
  };
  const auto steady = warmed_up(slow_at_first, 30s);
  check(steady.steady == true, "it was reached");
  check(steady.warmup_runs >= 100, "not before");
  check(steady.passes == 3, "then passes are timed as ever");
  const auto slower_and_slower = [](std::size_t run) {
    return std::pow(1.05, static_cast<double>(run));
  };
  const auto bounded = warmed_up(slower_and_slower, 300ms);
  check(bounded.steady == false, "it was never reached");
  check(bounded.warmup_ns >= 300'000'000, "the longest warm-up was waited for");
  const auto fixed = warmed_up(slower_and_slower, 0s);
  check(!fixed.steady && fixed.warmup_ns >= 200'000'000, "a fixed warm-up does not look");
}

}  // namespace

int main() {
  steady_loads_are_found_within_about_the_scale();
  noise_is_no_trend();
  a_single_slow_run_does_not_move_it();
  a_load_that_gets_faster_is_waited_for();
  a_load_that_gets_slower_is_waited_for_too();
  the_loop_warms_up_until_then_and_says_so();
  return jouleforge::testing::result();
}
