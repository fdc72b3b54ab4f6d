// A sensor that looks at a quarter of the time only, as A100s and H100s are said to do for power:
// batches that keep pace with it are noticed, and a pause once a second cures them.
#include <algorithm>
#include <cmath>
#include <vector>

#include "aliasing.h"
#include "check.h"
#include "energy/counter_window.h"
#include "virtual_gpu.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using namespace jouleforge::testing;

namespace {

constexpr std::int64_t kTick = 100 * kMs;
constexpr std::int64_t kLooks = 25 * kMs;
constexpr std::int64_t kLasts = 35'000 * kMs;
constexpr double kWindow = 30e9;
constexpr double kMostError = 0.02;

// Half-busy batches, as the loop runs them: after a second, a pause between two of them.
std::vector<fake::Piece> batches(std::int64_t from_ns, std::int64_t period_ns,
                                 std::int64_t pause_ns) {
  std::vector<fake::Piece> pieces{{0, kIdleW, kIdleW}};
  auto next_pause_ns = from_ns + 1000 * kMs;
  for (auto at_ns = from_ns; at_ns < from_ns + kLasts; at_ns += period_ns) {
    pieces.push_back({at_ns, kBusyW, kBusyW});
    pieces.push_back({at_ns + period_ns / 2, kIdleW, kIdleW});
    if (at_ns + period_ns < next_pause_ns) continue;
    at_ns += pause_ns;
    next_pause_ns = at_ns + period_ns + 1000 * kMs;
  }
  return pieces;
}

// Half a minute of them; the ticks lie to the batches as the seed says.
GpuReading measure(std::int64_t period_ns, std::int64_t pause_ns, unsigned seed) {
  VirtualTime time(0, seed + 1);
  use_virtual_time();
  kControls.sensor(0, {.period_ns = kTick, .phase_ns = seed * kTick / 10, .looks_ns = kLooks});
  kControls.load(0, batches(time.now_ns(), period_ns, pause_ns));
  const NvmlDevice device(0U, kFake);
  CounterWindow window(device, time);
  const WindowPlan plan{
      .lasts = std::chrono::nanoseconds(kLasts), .longest_pre_roll = 3s, .part_time = true};
  return window.measure(plan, {});
}

// The worst error over all ways in which the ticks may lie to the batches.
double worst_error(std::int64_t period_ns, std::int64_t pause_ns) {
  // Averages over a second would give the counter away: see below.
  kControls.set("fake_set_power_status", 0U, 3);
  double worst = 0;
  for (unsigned seed = 0; seed < 10; ++seed) {
    const auto reading = measure(period_ns, pause_ns, seed);
    check(reading.joules.has_value(), reading.reason);
    worst = std::max(worst, std::abs(error(reading)));
  }
  return worst;
}

void batches_that_keep_pace_are_noticed_and_cured() {
  for (const auto period_ns : {100 * kMs, 20 * kMs, 104 * kMs}) {
    check(nearly_beats_with(kTick, static_cast<double>(period_ns), kWindow), "noticed");
    check(worst_error(period_ns, kTick / 4) < kMostError, "with pauses they are measured right");
  }
  check(worst_error(100 * kMs, 0) > 0.2, "without, the counter is wrong by tens of percent");
  check(worst_error(20 * kMs, 0) > 0.02, "or by some");
}

void power_that_is_averaged_gives_them_away() {
  kControls.set("fake_set_power_status", 0U, 0);
  for (unsigned seed = 0; seed < 10; ++seed) {
    const auto reading = measure(100 * kMs, 0, seed);
    check(reading.reason.starts_with("E_COUNTER_INCONSISTENT"), "they are not measured at all");
  }
}

void others_need_no_pause() {
  check(!nearly_beats_with(kTick, 5.3 * kMs, kWindow), "5.3 ms");
  check(worst_error(53 * kMs / 10, 0) < 0.005, "is measured right as it is");
}

void half_a_minute_is_asked_for() {
  VirtualTime time;
  use_virtual_time();
  kControls.sensor(0, {.period_ns = kTick, .looks_ns = kLooks});
  const NvmlDevice device(0U, kFake);
  CounterWindow window(device, time);
  const auto reading = window.measure({.lasts = 25s, .part_time = true}, {});
  check(reading.reason.starts_with("E_WINDOW_TOO_SHORT"), "25 s are too short");
}

}  // namespace

int main() {
  batches_that_keep_pace_are_noticed_and_cured();
  power_that_is_averaged_gives_them_away();
  others_need_no_pause();
  half_a_minute_is_asked_for();
  return result();
}
