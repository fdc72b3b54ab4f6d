// The timed loop: whole passes, in order, until both the time and the passes are reached.
#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

#include "check.h"
#include "clock.h"
#include "loop.h"
#include "runners/callable.h"
#include "runners/null.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

const std::atomic<bool> kNever{false};

// Remembers the batches it was asked for.
class RecordingRunner final : public Runner {
 public:
  explicit RecordingRunner(std::size_t batches) : batches_(batches) { seen.reserve(1'000'000); }
  [[nodiscard]] std::size_t batches() const override { return batches_; }
  void run(std::size_t batch) override {
    require_batch(batch, batches_);
    seen.push_back(batch);
  }

  std::vector<std::size_t> seen;

 private:
  std::size_t batches_;
};

void ends_with_a_whole_pass_after_min_passes() {
  NullRunner runner(3);
  const auto trace = run_closed_loop(runner, {.order = {0, 1, 2}, .min_passes = 7}, kNever);
  check(trace.passes == 7, "no duration: exactly min_passes");
  check(trace.stamps_ns.size() == 3 * 7 + 1, "one stamp more than runs");
  check(trace.end == LoopEnd::kSchedule, "the schedule was kept");
}

void runs_the_order_in_the_warmup_and_in_each_pass() {
  RecordingRunner runner(4);
  const std::vector<std::size_t> order{3, 1, 1, 0};
  const auto trace = run_closed_loop(runner, {.order = order, .min_passes = 5}, kNever);
  check(trace.warmup_runs == order.size(), "a warm-up of no time is one pass");
  check(runner.seen.size() == trace.warmup_runs + 5 * order.size(), "no other runs");
  for (std::size_t i = 0; i < runner.seen.size(); ++i) {
    check(runner.seen[i] == order[i % order.size()], "the order repeats");
  }
}

void lasts_for_the_duration() {
  CallableRunner runner([](std::size_t) { std::this_thread::sleep_for(1ms); }, 2);
  const auto trace = run_closed_loop(
      runner, {.order = {0, 1}, .warmup = 5ms, .duration = 30ms, .min_passes = 1}, kNever);
  check(trace.stamps_ns.back() - trace.stamps_ns.front() >= 30'000'000, "the duration passed");
  check((trace.stamps_ns.size() - 1) % 2 == 0, "the last pass is whole");
  const auto before_last_pass = trace.stamps_ns[trace.stamps_ns.size() - 3];
  check(before_last_pass - trace.stamps_ns.front() < 30'000'000, "it ended with the first pass");
}

void stamps_never_fall() {
  NullRunner runner(1);
  const auto trace = run_closed_loop(runner, {.order = {0}, .duration = 5ms}, kNever);
  check(std::ranges::is_sorted(trace.stamps_ns), "stamps are in order");
}

void first_stamp_follows_the_hook() {
  NullRunner runner(1);
  std::int64_t hooked_ns = 0;
  const auto trace =
      run_closed_loop(runner, {.order = {0}}, kNever, [&hooked_ns] { hooked_ns = now_ns(); });
  check(hooked_ns != 0 && hooked_ns <= trace.stamps_ns.front(), "called before the first stamp");
}

void stops_when_told_by_another_thread() {
  CallableRunner runner([](std::size_t) { std::this_thread::sleep_for(1ms); }, 1);
  std::atomic<bool> stop{false};
  std::jthread other([&stop] {
    std::this_thread::sleep_for(20ms);
    stop = true;
  });
  const auto trace = run_closed_loop(runner, {.order = {0}, .duration = 1h}, stop);
  check(trace.end == LoopEnd::kInterrupted, "it says why it ended");
}

void stops_in_the_warmup_too() {
  NullRunner runner(1);
  const std::atomic<bool> stop{true};
  const auto trace = run_closed_loop(runner, {.order = {0}, .warmup = 1h}, stop);
  check(trace.end == LoopEnd::kInterrupted && trace.stamps_ns.empty(), "nothing was timed");
}

void ends_early_but_whole_when_the_room_is_spent() {
  // Slow while warming up, so that the reserve is far too small for the fast runs that follow.
  int calls = 0;
  CallableRunner runner(
      [&calls](std::size_t) {
        if (calls++ < 3) std::this_thread::sleep_for(20ms);
      },
      3);
  const auto trace =
      run_closed_loop(runner, {.order = {0, 1, 2}, .duration = 10s, .min_passes = 50}, kNever);
  check(trace.end == LoopEnd::kReserve, "it says that the room ran out");
  check(trace.passes >= 50, "min_passes always fit");
  check(trace.stamps_ns.size() == 3 * trace.passes + 1, "the passes are whole");
}

void pauses_batches_that_keep_pace_with_a_part_time_sensor() {
  CallableRunner runner([](std::size_t) { std::this_thread::sleep_for(5ms); }, 2);
  Schedule schedule{.order = {0, 1}, .duration = 1100ms, .sensor_tick = 20ms};
  const auto trace = run_closed_loop(runner, schedule, kNever);
  check(!trace.pauses.empty(), "once a second");
  for (const auto& pause : trace.pauses) {
    check(pause.end_ns - pause.begin_ns >= 5'000'000, "for a quarter of the sensor's tick");
    check(trace.stamps_ns[pause.before] == pause.begin_ns, "from the end of one run");
    check(pause.before + 1 == trace.stamps_ns.size() ||
              pause.end_ns < trace.stamps_ns[pause.before + 1],
          "until another begins");
  }
  schedule.duration = 0ms;
  check(run_closed_loop(runner, schedule, kNever).pauses.empty(), "not in a loop that is shorter");
}

void passes_on_what_the_runner_throws() {
  CallableRunner runner([](std::size_t) { throw RunnerError("the engine broke"); }, 1);
  check_throws<RunnerError>([&] { (void)run_closed_loop(runner, {.order = {0}}, kNever); },
                            "the engine broke");
}

void refuses_a_schedule_that_cannot_run() {
  NullRunner runner(2);
  const auto run = [&runner](Schedule schedule) {
    return [&runner, schedule = std::move(schedule)] {
      (void)run_closed_loop(runner, schedule, kNever);
    };
  };
  check_throws<std::invalid_argument>(run({.order = {}}), "an empty one");
  check_throws<std::invalid_argument>(run({.order = {2}}), "names batch 2");
  check_throws<std::invalid_argument>(run({.order = {0}, .min_passes = 0}), "min_passes");
  check_throws<std::invalid_argument>(run({.order = {0}, .warmup = -1ns}), "at least 0 s");
  check_throws<std::invalid_argument>(run({.order = {0}, .min_passes = ~std::size_t{0}}),
                                      "too large");
}

void runners_refuse_a_batch_they_do_not_hold() {
  NullRunner null(2);
  CallableRunner callable([](std::size_t) {}, 2);
  check_throws<std::out_of_range>([&] { null.run(2); }, "no batch 2");
  check_throws<std::out_of_range>([&] { callable.run(2); }, "no batch 2");
  check_throws<std::invalid_argument>([] { const NullRunner none(0); }, "at least one batch");
}

}  // namespace

int main() {
  ends_with_a_whole_pass_after_min_passes();
  runs_the_order_in_the_warmup_and_in_each_pass();
  lasts_for_the_duration();
  stamps_never_fall();
  first_stamp_follows_the_hook();
  stops_when_told_by_another_thread();
  stops_in_the_warmup_too();
  ends_early_but_whole_when_the_room_is_spent();
  pauses_batches_that_keep_pace_with_a_part_time_sensor();
  passes_on_what_the_runner_throws();
  refuses_a_schedule_that_cannot_run();
  runners_refuse_a_batch_they_do_not_hold();
  return jouleforge::testing::result();
}
