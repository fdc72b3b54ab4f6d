// Loads that beat with a sensor which looks a part of the time only.
#pragma once

namespace jouleforge {

// The longest beat between batches and looks: 1/|m/tick - n/batch| for m and n up to 8, in the
// unit of both; infinite where they keep pace.
[[nodiscard]] double longest_beat(double tick, double batch);

// Whether a window is too short to average that beat out: under twenty of them.
[[nodiscard]] bool beats_with(double tick, double batch, double window);

// The same for batches that are known to a fiftieth only, as after a warm-up.
[[nodiscard]] bool nearly_beats_with(double tick, double batch, double window);

}  // namespace jouleforge
