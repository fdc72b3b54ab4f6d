// Whatever makes a counter or a window unfit gives its code, and no number.
#include <sys/types.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <stop_token>
#include <string>

#include "check.h"
#include "energy/counter_window.h"
#include "virtual_gpu.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using namespace jouleforge::testing;

namespace {

constexpr fake::Sensor kSensor{.period_ns = 100 * kMs, .phase_ns = 37 * kMs, .lag_ns = 30 * kMs};

// A window of some eight seconds, into which a fault is put.
struct Scene : testing::Scene<CounterWindow> {
  Scene() : testing::Scene<CounterWindow>(kSensor) {}
};
constexpr auto kBegin = Scene::kBegin;
constexpr auto kLasts = Scene::kLasts;
constexpr std::int64_t kWithin = 7'000 * kMs;  // well within the window

void a_sound_window_says_all_about_itself() {
  Scene scene;
  const auto reading = scene.measure();
  check(code(reading).empty() && std::abs(error(reading)) < 1e-3, "it is accepted, and right");
  check(std::abs(reading.tick.period_ns / 1e8 - 1) < 1e-3, "the tick was found");
  check(reading.seconds() > 7, "it is as long as the load leaves");
  check(reading.reads <= 20 + 3 * static_cast<std::size_t>(reading.seconds()),
        "20 reads for its last edge, and less than three a second");
  check(reading.uncertainty > 0 && reading.uncertainty < 1e-3, "how well its ends are known");
  check(reading.facts.temperature_begin_c == 50U && reading.facts.sm_clock_median_mhz == 1500U &&
            reading.facts.power_limit_mw == 700'000U && !reading.facts.power_capped,
        "what the GPU was like");
}

void the_tick_found_by_one_window_serves_the_next() {
  Scene scene;
  const NvmlDevice device(0U, kFake);
  CounterWindow window(device, scene.time);
  const auto first = window.measure({.lasts = 6s}, {});
  const auto reads = first.tick.reads;
  const auto second = window.measure({.lasts = 5900ms}, {});
  check(code(first).empty() && code(second).empty(), "both are accepted");
  check(second.tick.reads - reads < reads / 3, "it is not looked for again");
  check(std::abs(error(second)) < 1e-3, "and the second is right as well");
}

void an_examination_sees_every_edge_it_asks_for() {
  Scene scene;
  const NvmlDevice device(0U, kFake);
  CounterWindow window(device, scene.time);
  const auto reading = window.measure(
      {.lasts = std::chrono::nanoseconds(kLasts), .edge_every = 500ms, .read_every = 5ms}, {});
  check(code(reading).empty() && std::abs(error(reading)) < 1e-3, "it is a window all the same");
  check(reading.edges.size() > 10, "with an edge each half second");
  check(reading.reads > 100 * static_cast<std::size_t>(reading.seconds()), "read all the time");
  for (std::size_t i = 1; i < reading.edges.size(); ++i) {
    const auto& before = reading.edges[i - 1];
    const auto& edge = reading.edges[i];
    const auto joules = static_cast<double>(edge.energy_mj - before.energy_mj) * 1e-3;
    check(std::abs(joules / truth(before.at_ns(), edge.at_ns()) - 1) < 0.005,
          "each of them well seen");
  }
}

// The code of a window into which `put` has put a fault.
std::string code_after(const std::function<void(Scene&)>& put) {
  Scene scene;
  put(scene);
  return code(scene.measure());
}

std::string code_with(const char* lever, unsigned value) {
  return code_after([&](Scene&) { kControls.set<unsigned, unsigned>(lever, 0U, value); });
}

void faults_of_the_counter() {
  check(code_after([](Scene&) { kControls.set("fake_set_energy_status", 0U, 3); }) ==
            "E_NVML_ENERGY_UNSUPPORTED",
        "not supported");
  check(code_after([](Scene&) { kControls.set("fake_freeze", 0U, std::int64_t{0}); }) ==
            "E_COUNTER_FROZEN",
        "frozen from the start");
  check(code_after([](Scene&) { kControls.set("fake_freeze", 0U, kBegin + kWithin); }) ==
            "E_COUNTER_FROZEN",
        "frozen within the window");
  check(code_after([](Scene&) { kControls.set("fake_reset", 0U, kBegin + kWithin); }) ==
            "E_COUNTER_RESET",
        "set back within the window");
  check(code_after([](Scene&) { kControls.sensor(0, {.period_ns = kMs}); }) == "E_COUNTER_TICKLESS",
        "a value that is always new");
  check(code_after([](Scene&) { kControls.set("fake_add_per_read", 0U, 20.0); }) ==
            "E_COUNTER_PERTURBED",
        "a value that reads change");
  check(code_after([](Scene& scene) {
          scene.time.at(kBegin + kWithin, [] { kControls.set("fake_set_energy_status", 0U, 15); });
        }) == "E_NVML",
        "lost within the window");
}

void a_counter_that_contradicts_the_power_is_refused() {
  const auto code_of = [](double gain, std::chrono::seconds lasts) {
    Scene scene;
    kControls.load(0, square(kBegin, kBegin + 30'000 * kMs, 5 * kMs, 0.8));
    kControls.set("fake_set_average_gain", 0U, gain);
    const auto reading = scene.measure(lasts);
    check(reading.facts.average_power_w.has_value(), "the power was looked at");
    return code(reading);
  };
  check(code_of(1.1, 28s) == "E_COUNTER_INCONSISTENT", "a tenth apart, over twenty seconds");
  check(code_of(1.02, 28s).empty(), "boards' sensors are known to differ by some percent");
  check(code_of(1.1, 12s).empty(), "it takes long to tell");
}

void faults_of_the_gpu() {
  check(code_with("fake_set_mig", 1) == "E_MIG", "cut into instances");
  check(code_with("fake_set_virtualization", 2) == "E_VGPU", "a share of a GPU");
  check(code_with("fake_set_virtualization", 1).empty(), "a GPU passed through whole is fine");
  const auto within = [](const char* lever, auto value) {
    return code_after([=](Scene& scene) {
      scene.time.at(kBegin + kWithin, [=] { kControls.set(lever, 0U, value); });
    });
  };
  for (const auto bit : {0x8ULL, 0x20ULL, 0x40ULL, 0x80ULL}) {
    check(within("fake_set_clock_events", bit) == "E_THROTTLED", "slowed down");
  }
  check(within("fake_set_thermal_violation", 5'000'000ULL) == "E_THROTTLED", "for a moment only");
  check(within("fake_set_temperature", 53U).empty(), "three degrees are forgiven");
  check(within("fake_set_temperature", 54U) == "E_TEMPERATURE_DRIFT", "four are not");
}

void a_gpu_at_rest_may_cool_down() {
  Scene scene;
  scene.time.at(kBegin + kWithin, [] { kControls.set("fake_set_temperature", 0U, 40U); });
  const NvmlDevice device(0U, kFake);
  CounterWindow window(device, scene.time);
  const auto reading =
      window.measure({.lasts = std::chrono::nanoseconds(kLasts), .idle = true}, {});
  check(code(reading).empty(), "a window of rest is not refused for it");
}

void a_power_cap_labels_the_window_and_does_not_reject_it() {
  Scene scene;
  kControls.set("fake_set_clock_events", 0U, 0x4ULL);
  const auto reading = scene.measure();
  check(code(reading).empty() && reading.facts.power_capped, "accepted, and said");
}

void other_processes_on_the_gpu() {
  const auto own = static_cast<unsigned>(getpid());
  const auto parent = static_cast<unsigned>(getppid());  // it exists, and is not this one
  const unsigned both[] = {own, parent};
  const auto put = [&both](std::size_t count) {
    kControls.set<unsigned, std::size_t, const unsigned*>("fake_set_pids", 0U, count, both);
  };
  check(code_after([&](Scene&) { put(1); }).empty(), "this process alone");
  check(code_after([&](Scene&) { put(2); }) == "E_GPU_SHARED", "another from the start");
  check(code_after([&](Scene& scene) { scene.time.at(kBegin + kWithin, [&] { put(2); }); }) ==
            "E_GPU_SHARED",
        "another within the window");
}

void a_meter_that_is_held_up_takes_another_edge_or_none() {
  {
    Scene scene;
    // Before each tick of the last second, the thread is stopped for 30 ms.
    for (std::int64_t tick = 0; tick < 8; ++tick) {
      scene.time.stand_still(kBegin + kLasts - 1'470 * kMs + tick * 100 * kMs, 30 * kMs);
    }
    const auto reading = scene.measure();
    if (reading.joules)
      check(std::abs(error(reading)) < 1e-3, "an edge that was missed is not used");
    check(reading.reason.empty() || code(reading).starts_with("E_EDGE"), "nothing else");
  }
  check(code_after([](Scene& scene) { scene.time.hold_up_from(kBegin + kWithin, 4 * kMs); }) ==
            "E_EDGE_WIDE",
        "when it is always held up, no edge is known");
}

void windows_that_are_too_short_or_cut_off() {
  {
    Scene scene;
    check(code(scene.measure(5s)) == "E_WINDOW_TOO_SHORT", "under two seconds are left");
    check(code(scene.measure(1s)) == "E_WINDOW_TOO_SHORT", "nor is there time for the pre-roll");
  }
  {
    Scene scene;
    kControls.sensor(0, {.period_ns = 500 * kMs});
    check(code(scene.measure(18s)) == "E_WINDOW_TOO_SHORT", "20 ticks are ten seconds");
  }
  Scene scene;
  std::stop_source stop;
  scene.time.at(kBegin + kWithin, [&stop] { stop.request_stop(); });
  check(code(scene.measure(20s, stop.get_token())) == "E_WINDOW_CUT", "the load ended before");
}

void devices_are_told_apart_by_uuid() {
  Scene scene;
  kControls.sensor(1, kSensor);
  kControls.load(1, constant(kBegin, kBegin + kLasts));
  const NvmlDevice second("GPU-bbbb", kFake);
  CounterWindow window(second, scene.time);
  const auto reading = window.measure({.lasts = std::chrono::nanoseconds(kLasts)}, {});
  const auto watts = reading.joules.value_or(0) / reading.seconds();
  check(std::abs(watts / kBusyW - 1) < 1e-3, "the second GPU's power, not the first's");
}

}  // namespace

int main() {
  a_sound_window_says_all_about_itself();
  the_tick_found_by_one_window_serves_the_next();
  an_examination_sees_every_edge_it_asks_for();
  faults_of_the_counter();
  a_counter_that_contradicts_the_power_is_refused();
  faults_of_the_gpu();
  a_gpu_at_rest_may_cool_down();
  a_power_cap_labels_the_window_and_does_not_reject_it();
  other_processes_on_the_gpu();
  a_meter_that_is_held_up_takes_another_edge_or_none();
  windows_that_are_too_short_or_cut_off();
  devices_are_told_apart_by_uuid();
  return result();
}
