// The meter's thread beside a load's, for real: a counter of short ticks makes windows short.
#include <sched.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <thread>

#include "check.h"
#include "clock.h"
#include "cores.h"
#include "energy/gpu_meter.h"
#include "nvml_controls.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using namespace jouleforge::testing;

namespace {

constexpr std::int64_t kTick = 20'000'000;
constexpr auto kLasts = 3500ms;

WindowPlan plan() {
  return {.lasts = kLasts, .pre_roll = 0s, .longest_pre_roll = 0s, .shortest = 400ms};
}

// Runs until it is told to end, as a worker does; how it is scheduled is its own affair.
void work_for(std::chrono::nanoseconds time) {
  const auto until_ns = now_ns() + time.count();
  while (now_ns() < until_ns) std::this_thread::sleep_for(1ms);
}

// A reading is right, or says why there is none: a loaded machine may hold up any thread.
void check_reading(const GpuReading& reading, double watts) {
  if (!reading.joules) {
    check(reading.reason.starts_with("E_EDGE"), reading.reason);
    return;
  }
  check(std::abs(*reading.joules / reading.seconds() / watts - 1) < 0.02, "the power of the load");
  check(reading.begin_ns < reading.end_ns && reading.end_ns <= now_ns(), "the window is over");
}

void two_gpus_are_metered_side_by_side() {
  kControls.set("fake_set_steady", 0U, 250.0, kTick);
  kControls.set("fake_set_steady", 1U, 100.0, kTick);
  CounterMeter first(std::string("GPU-aaaa"), kFake);
  CounterMeter second(std::string("GPU-bbbb"), kFake);
  const SparedCore spared;
  first.start(plan(), spared.cpu());
  second.start(plan(), spared.cpu());
  work_for(kLasts);
  check_reading(first.stop(), 250);
  check_reading(second.stop(), 100);
}

void a_window_that_is_cut_says_so_and_leaves_no_thread() {
  kControls.set("fake_set_steady", 0U, 250.0, kTick);
  CounterMeter meter(0U, kFake);
  meter.start(plan());
  work_for(50ms);
  check(meter.stop().reason.starts_with("E_WINDOW_CUT"), "stopped in the pre-roll");
  meter.start(plan());
  meter.start(plan());
  work_for(10ms);
  check(!meter.stop().joules, "a window that is opened again was given up");
  check_throws<NvmlError>([&] { (void)meter.stop(); }, "stop() without start()");
  meter.start(plan());
  // Destroyed while its thread runs: a thread left behind would use what is gone.
}

void the_worker_is_kept_off_the_meters_core_until_the_end() {
  cpu_set_t before;
  cpu_set_t after;
  CPU_ZERO(&before);
  CPU_ZERO(&after);
  sched_getaffinity(0, sizeof before, &before);
  {
    const SparedCore spared;
    cpu_set_t within;
    CPU_ZERO(&within);
    sched_getaffinity(0, sizeof within, &within);
    const auto several = CPU_COUNT(&before) > 1;
    check(several || !spared.cpu(), "one core cannot be spared");
    if (spared.cpu()) {
      check(!CPU_ISSET(static_cast<std::size_t>(*spared.cpu()), &within), "it is not the worker's");
      std::atomic<int> meter_cpu{-1};
      std::jthread([&] {
        keep_thread_on(*spared.cpu());
        meter_cpu = sched_getcpu();
      }).join();
      check(meter_cpu == *spared.cpu(), "it is the meter's");
    }
  }
  sched_getaffinity(0, sizeof after, &after);
  check(CPU_EQUAL(&before, &after), "afterwards all is as it was");
}

}  // namespace

int main() {
  two_gpus_are_metered_side_by_side();
  a_window_that_is_cut_says_so_and_leaves_no_thread();
  the_worker_is_kept_off_the_meters_core_until_the_end();
  return result();
}
