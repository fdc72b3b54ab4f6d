// What every meter gives: the energy between two instants, or the reason why there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace jouleforge {

struct EnergyWindow {
  // [ns] on CLOCK_MONOTONIC. The energy is that used between them, whatever the window was meant
  // to be; work is to be counted between the same two instants.
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  std::optional<double> joules;  // absent where the meter cannot be believed
  std::string reason;            // why it is absent; begins with a code
  // One standard deviation of `joules`, relative, as far as the two instants are uncertain. The
  // gain of the sensor is another matter, and is not in it.
  double uncertainty = 0;

  [[nodiscard]] double seconds() const { return static_cast<double>(end_ns - begin_ns) * 1e-9; }
};

}  // namespace jouleforge
