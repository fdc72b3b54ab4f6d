// Sampled power, added up: within the load, and only where nothing speaks against it.
#include <cmath>
#include <stop_token>
#include <string>

#include "check.h"
#include "energy/power_window.h"
#include "virtual_gpu.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using namespace jouleforge::testing;

namespace {

// A window behind a sensor that shows the mean of each 100 ms, on a machine that is a little busy.
struct Scene : testing::Scene<PowerWindow> {
  Scene()
      : testing::Scene<PowerWindow>({.period_ns = 100 * kMs, .lag_ns = 30 * kMs}, 2 * kMs, 0.02) {}
};
constexpr auto kBegin = Scene::kBegin;
constexpr auto kLasts = Scene::kLasts;

void a_steady_load_is_measured_from_within() {
  Scene scene;
  const auto reading = scene.measure();
  check(code(reading).empty(), "accepted");
  check(reading.begin_ns >= kBegin + 2'000 * kMs, "it begins after the pre-roll");
  check(reading.end_ns <= kBegin + kLasts, "and ends before the load");
  check(std::abs(error(reading)) < 0.005, "it is right");
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
