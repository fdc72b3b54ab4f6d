// Beats between two periods.
#include "aliasing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jouleforge {
namespace {

// With three beats, batches of 104 ms against looks each 100 ms are still 4 % off at worst. What
// one beat that is cut off can add is then under a twentieth of what the sensor mistakes.
constexpr double kFewestBeats = 20;

}  // namespace

double longest_beat(double tick, double batch) {
  constexpr int kHarmonics = 8;
  double nearest = std::numeric_limits<double>::infinity();  // m batches against n ticks
  for (int m = 1; m <= kHarmonics; ++m) {
    for (int n = 1; n <= kHarmonics; ++n) {
      nearest = std::min(nearest, std::abs(m * batch - n * tick));
    }
  }
  // 1 / |m/tick - n/batch|, without the rounding of two quotients.
  return tick * batch / nearest;
}

bool beats_with(double tick, double batch, double window) {
  return longest_beat(tick, batch) > window / kFewestBeats;
}

bool nearly_beats_with(double tick, double batch, double window) {
  constexpr int kSteps = 20;
  constexpr double kStep = 0.001;
  for (int step = -kSteps; step <= kSteps; ++step) {
    if (beats_with(tick, batch * (1 + step * kStep), window)) return true;
  }
  return false;
}

}  // namespace jouleforge
