// Which batches beat with which looks, for so long that a window does not average them out.
#include <cmath>

#include "aliasing.h"
#include "check.h"

using namespace jouleforge;
using jouleforge::testing::check;

namespace {

constexpr double kMs = 1e6;
constexpr double kTick = 100 * kMs;
constexpr double kWindow = 60e9;

void batches_in_pace_with_the_looks_beat_for_ever() {
  for (const auto batch : {100.0, 50.0, 20.0, 200.0}) {
    check(std::isinf(longest_beat(kTick, batch * kMs)), "a simple ratio never comes round");
    check(beats_with(kTick, batch * kMs, 3600e9), "in no window");
  }
}

void batches_nearly_in_pace_beat_slowly() {
  // 1 / (1/100 ms - 1/104 ms)
  check(std::abs(longest_beat(kTick, 104 * kMs) / (2600 * kMs) - 1) < 1e-6, "2.6 s");
  check(!beats_with(kTick, 104 * kMs, kWindow), "which sixty seconds average out");
  check(beats_with(kTick, 104 * kMs, 30e9), "and thirty do not");
  check(beats_with(kTick, 100.1 * kMs, kWindow), "a tenth of a percent off is 100 s");
}

void batches_known_roughly_are_taken_to_be_in_pace() {
  check(!beats_with(kTick, 105 * kMs, kWindow), "not if 105 ms is exact");
  check(nearly_beats_with(kTick, 105 * kMs, kWindow), "but if it may be 103");
  check(!nearly_beats_with(kTick, 5.3 * kMs, kWindow), "5.3 ms is far from any pace");
}

void other_batches_do_not() { check(!beats_with(kTick, 5.3 * kMs, 10e9), "5.3 ms"); }

}  // namespace

int main() {
  batches_in_pace_with_the_looks_beat_for_ever();
  batches_nearly_in_pace_beat_slowly();
  batches_known_roughly_are_taken_to_be_in_pace();
  other_batches_do_not();
  return jouleforge::testing::result();
}
