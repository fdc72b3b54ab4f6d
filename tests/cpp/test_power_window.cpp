// Sampled power, added up: within the load, and only where nothing speaks against it.
#include <cmath>
#include <stop_token>
#include <string>

#include "check.h"
#include "energy/power_window.h"
#include "nvml_controls.h"
#include "virtual_time.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using namespace jouleforge::testing;

namespace {

const std::string kFake = FAKE_NVML;
const NvmlControls kControls(kFake);
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kBegin = 1'000 * kMs;  // where virtual time begins
constexpr std::int64_t kLasts = 12'000 * kMs;

// A window over a load of 5 ms batches, behind a sensor that shows the mean of each 100 ms.
struct Scene {
  Scene() {
    kControls.set("fake_restore");
    kControls.set<std::int64_t (*)(), void (*)(std::int64_t)>("fake_use_time", &VirtualTime::now,
                                                              &VirtualTime::spend);
    kControls.sensor(0, {.period_ns = 100 * kMs, .lag_ns = 30 * kMs}, 2 * kMs);
    kControls.load(0, square(kBegin, kBegin + kLasts, 5 * kMs, 0.8));
  }

  GpuReading measure(std::chrono::nanoseconds lasts = std::chrono::nanoseconds(kLasts),
                     const std::stop_token& stop = {}) {
    const NvmlDevice device(0U, kFake);
    PowerWindow window(device, time);
    return window.measure({.lasts = lasts}, stop);
  }

  VirtualTime time{0.02};
};

std::string code(const GpuReading& reading) {
  check(reading.joules.has_value() == reading.reason.empty(), "a number, or a reason");
  return reading.reason.substr(0, reading.reason.find(':'));
}

void a_steady_load_is_measured_from_within() {
  Scene scene;
  const auto reading = scene.measure();
  check(code(reading).empty(), "accepted");
  check(reading.begin_ns >= kBegin + 2'000 * kMs, "it begins after the pre-roll");
  check(reading.end_ns <= kBegin + kLasts, "and ends before the load");
  const auto truth = kControls.get<double, unsigned, std::int64_t, std::int64_t>(
      "fake_truth", 0U, reading.begin_ns, reading.end_ns);
  check(std::abs(reading.joules.value_or(0) / truth - 1) < 0.005, "it is right");
  check(reading.uncertainty < 0.01, "and says how far its parts differ");
  check(reading.tick.period_ns <= 0, "no counter was read");
}

void what_cannot_stand_gives_its_code() {
  check(code(Scene().measure(3s)) == "E_WINDOW_TOO_SHORT", "less than two seconds");
  {
    Scene scene;
    kControls.set("fake_set_power_status", 0U, 3);
    check(code(scene.measure()) == "E_NVML_POWER_UNSUPPORTED", "a GPU that does not tell");
  }
  {
    Scene scene;
    kControls.set("fake_set_mig", 0U, 1U);
    check(code(scene.measure()) == "E_MIG", "a GPU cut into instances");
  }
  {
    Scene scene;
    scene.time.at(kBegin + kLasts / 2, [] { kControls.set("fake_set_clock_events", 0U, 0x40ULL); });
    check(code(scene.measure()) == "E_THROTTLED", "a GPU that is slowed down");
  }
  {
    Scene scene;
    scene.time.hold_up_from(kBegin, 1'500 * kMs);
    check(code(scene.measure()) == "E_POWER_SPARSE", "a thread that hardly runs");
  }
  Scene scene;
  std::stop_source stop;
  scene.time.at(kBegin + kLasts / 2, [&stop] { stop.request_stop(); });
  check(code(scene.measure(20s, stop.get_token())) == "E_WINDOW_CUT", "a load that ends before");
}

}  // namespace

int main() {
  a_steady_load_is_measured_from_within();
  what_cannot_stand_gives_its_code();
  return result();
}
