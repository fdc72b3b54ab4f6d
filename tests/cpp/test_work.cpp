// Work between two instants: parts of passes, weighed by time, and batches that stalled.
#include <cmath>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "energy/work.h"

using namespace jouleforge;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

// Passes of a short batch (1 us) and a long one (3 us), from 1000 ns on.
std::vector<std::int64_t> passes(int count) {
  std::vector<std::int64_t> stamps{1000};
  for (int i = 0; i < count; ++i) {
    stamps.push_back(stamps.back() + 1000);
    stamps.push_back(stamps.back() + 3000);
  }
  return stamps;
}

bool near(double value, double expected) { return std::abs(value - expected) < 1e-9; }

void whole_passes_and_parts_count() {
  const auto stamps = passes(5);
  check(near(work_between(stamps, 2, 1000, 21'000).passes, 5), "all of them");
  check(near(work_between(stamps, 2, 1000, 2000).passes, 0.25), "a short batch is a quarter");
  check(near(work_between(stamps, 2, 2000, 5000).passes, 0.75), "a long one the rest");
  check(near(work_between(stamps, 2, 1500, 6500).passes, 1.25), "batches under way count in part");
}

void a_slow_batch_within_the_window_is_no_more_work() {
  auto stamps = passes(5);
  for (std::size_t i = 6; i < stamps.size(); ++i) stamps[i] += 9000;  // the third pass's long one
  check(near(work_between(stamps, 2, stamps.front(), stamps.back()).passes, 5), "five passes");
  check(work_between(stamps, 2, stamps.front(), stamps.back()).reason.empty(), "and they stand");
}

void a_batch_that_stalls_at_an_end_spoils_the_window() {
  auto stamps = passes(5);
  for (std::size_t i = 6; i < stamps.size(); ++i) stamps[i] += 9000;
  const auto within = stamps[5] + 5000;
  check(work_between(stamps, 2, 1000, within).reason.starts_with("E_BATCH_STALLED"), "at its end");
  check(work_between(stamps, 2, within, stamps.back()).reason.starts_with("E_BATCH_STALLED"),
        "at its begin");
  check(work_between(stamps, 2, 1000, stamps[6]).reason.empty(), "not one that just ended");
}

void the_work_must_cover_the_window() {
  const auto stamps = passes(5);
  check(work_between(stamps, 2, 900, 2000).reason.starts_with("E_WINDOW_CUT"), "before it");
  check(work_between(stamps, 2, 1000, 21'100).reason.starts_with("E_WINDOW_CUT"), "after it");
  const auto forgiven = work_between(stamps, 2, 900, 21'100, 100);
  check(forgiven.reason.empty() && near(forgiven.passes, 5), "a slack is forgiven, and adds none");
}

void refuses_stamps_that_are_no_passes() {
  check_throws<std::invalid_argument>(
      [] { (void)work_between(std::vector<std::int64_t>{1, 2, 3, 4}, 2, 1, 4); }, "whole passes");
  check_throws<std::invalid_argument>(
      [] { (void)work_between(std::vector<std::int64_t>{1}, 1, 1, 1); }, "1 stamps");
}

}  // namespace

int main() {
  whole_passes_and_parts_count();
  a_slow_batch_within_the_window_is_no_more_work();
  a_batch_that_stalls_at_an_end_spoils_the_window();
  the_work_must_cover_the_window();
  refuses_stamps_that_are_no_passes();
  return jouleforge::testing::result();
}
