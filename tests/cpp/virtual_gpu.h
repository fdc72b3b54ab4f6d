// A fake GPU in virtual time, and windows over it.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

#include "check.h"
#include "energy/gpu_reading.h"
#include "energy/nvml.h"
#include "energy/window.h"
#include "nvml_controls.h"
#include "virtual_time.h"

namespace jouleforge::testing {

inline constexpr std::int64_t kMs = 1'000'000;

inline void use_virtual_time() {
  kControls.set<std::int64_t (*)(), void (*)(std::int64_t)>("fake_use_time", &VirtualTime::now,
                                                            &VirtualTime::spend);
}

// [J] that the first GPU used between two instants.
inline double truth(std::int64_t from_ns, std::int64_t to_ns) {
  return kControls.get<double, unsigned, std::int64_t, std::int64_t>("fake_truth", 0U, from_ns,
                                                                     to_ns);
}

// By how much a reading of the first GPU is wrong, as a part of the truth.
inline double error(const GpuReading& reading) {
  return reading.joules.value_or(0) / truth(reading.begin_ns, reading.end_ns) - 1;
}

inline std::string code(const GpuReading& reading) {
  check(reading.joules.has_value() == reading.reason.empty(), "a number, or a reason");
  return reading.reason.substr(0, reading.reason.find(':'));
}

// A window over a steady load of 5 ms batches, into which a fault can be put.
template <typename Window>
struct Scene {
  static constexpr std::int64_t kBegin = 1'000 * kMs;   // where virtual time begins
  static constexpr std::int64_t kLasts = 12'000 * kMs;  // the pre-roll takes some three seconds

  explicit Scene(const fake::Sensor& sensor, std::int64_t read_cost_ns = 0, double held_up = 0)
      : time(held_up) {
    kControls.set("fake_restore");
    use_virtual_time();
    kControls.sensor(0, sensor, read_cost_ns);
    kControls.load(0, square(kBegin, kBegin + kLasts, 5 * kMs, 0.8));
  }

  GpuReading measure(std::chrono::nanoseconds lasts = std::chrono::nanoseconds(kLasts),
                     const std::stop_token& stop = {}) {
    const NvmlDevice device(0U, kFake);
    Window window(device, time);
    return window.measure({.lasts = lasts}, stop);
  }

  VirtualTime time;
};

}  // namespace jouleforge::testing
