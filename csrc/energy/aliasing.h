// Loads that beat with a sensor which looks a part of the time only.
#pragma once

namespace jouleforge {

// [ns] The longest beat between batches and looks: 1/|m/tick - n/batch| for m and n up to 8;
// infinite where they keep pace.
[[nodiscard]] double longest_beat_ns(double tick_ns, double batch_ns);

// Whether a window is too short to average that beat out: under three of them.
[[nodiscard]] bool beats_with(double tick_ns, double batch_ns, double window_ns);

}  // namespace jouleforge
