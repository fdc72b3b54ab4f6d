// The levers of the fake NVML, and loads to put behind its counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dynamic_library.h"
#include "fake_gpu.h"

namespace jouleforge::testing {

class NvmlControls {
 public:
  explicit NvmlControls(const std::string& path) : library_(path) {}

  template <typename... Arguments>
  void set(const char* name, Arguments... arguments) const {
    library_.symbol<void(Arguments...)>(name)(arguments...);
  }
  template <typename Result, typename... Arguments>
  [[nodiscard]] Result get(const char* name, Arguments... arguments) const {
    return library_.symbol<Result(Arguments...)>(name)(arguments...);
  }

  void load(unsigned gpu, const std::vector<fake::Piece>& pieces) const {
    std::vector<std::int64_t> at_ns;
    std::vector<double> begin_w;
    std::vector<double> end_w;
    for (const auto& piece : pieces) {
      at_ns.push_back(piece.at_ns);
      begin_w.push_back(piece.begin_w);
      end_w.push_back(piece.end_w);
    }
    set<unsigned, std::size_t, const std::int64_t*, const double*, const double*>(
        "fake_set_load", gpu, at_ns.size(), at_ns.data(), begin_w.data(), end_w.data());
  }

  void sensor(unsigned gpu, const fake::Sensor& sensor, std::int64_t read_cost_ns = 0) const {
    set<unsigned, const fake::Sensor*, std::int64_t>("fake_set_sensor", gpu, &sensor, read_cost_ns);
  }

 private:
  DynamicLibrary library_;
};

inline const std::string kFake = FAKE_NVML;
inline const NvmlControls kControls(kFake);

inline constexpr double kIdleW = 130;
inline constexpr double kBusyW = 280;

// Batches back to back from `from_ns` to `until_ns`, each busy for a part of its period; idle
// before and after.
inline std::vector<fake::Piece> square(std::int64_t from_ns, std::int64_t until_ns,
                                       std::int64_t period_ns, double duty = 0.5) {
  std::vector<fake::Piece> pieces{{0, kIdleW, kIdleW}};
  for (auto at_ns = from_ns; at_ns < until_ns; at_ns += period_ns) {
    const auto busy_ns = static_cast<std::int64_t>(static_cast<double>(period_ns) * duty);
    pieces.push_back({at_ns, kBusyW, kBusyW});
    pieces.push_back({at_ns + busy_ns, kIdleW, kIdleW});
  }
  return pieces;
}

inline std::vector<fake::Piece> constant(std::int64_t from_ns, std::int64_t until_ns) {
  return {{0, kIdleW, kIdleW}, {from_ns, kBusyW, kBusyW}, {until_ns, kIdleW, kIdleW}};
}

// Power that rises by a third in a minute.
inline std::vector<fake::Piece> ramp(std::int64_t from_ns, std::int64_t until_ns) {
  const auto rise = static_cast<double>(until_ns - from_ns) * 1e-9 / 60 / 3;
  return {{0, kIdleW, kIdleW}, {from_ns, kBusyW, kBusyW * (1 + rise)}, {until_ns, kIdleW, kIdleW}};
}

// A power cap: every 17 ms the power has climbed by a fifth, and is cut back.
inline std::vector<fake::Piece> saw(std::int64_t from_ns, std::int64_t until_ns) {
  std::vector<fake::Piece> pieces{{0, kIdleW, kIdleW}};
  for (auto at_ns = from_ns; at_ns < until_ns; at_ns += 17'000'000) {
    pieces.push_back({at_ns, kBusyW, kBusyW * 1.2});
  }
  pieces.push_back({until_ns, kIdleW, kIdleW});
  return pieces;
}

}  // namespace jouleforge::testing
