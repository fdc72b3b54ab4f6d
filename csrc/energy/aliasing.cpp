// Beats between two periods.
#include "energy/aliasing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jouleforge {

double longest_beat_ns(double tick_ns, double batch_ns) {
  constexpr int kHarmonics = 8;
  double slowest = std::numeric_limits<double>::infinity();
  for (int m = 1; m <= kHarmonics; ++m) {
    for (int n = 1; n <= kHarmonics; ++n) {
      slowest = std::min(slowest, std::abs(m / tick_ns - n / batch_ns));
    }
  }
  return slowest > 0 ? 1 / slowest : std::numeric_limits<double>::infinity();
}

bool beats_with(double tick_ns, double batch_ns, double window_ns) {
  return longest_beat_ns(tick_ns, batch_ns) > window_ns / 3;
}

}  // namespace jouleforge
