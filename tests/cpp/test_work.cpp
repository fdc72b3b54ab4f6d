// Work between two instants: parts of passes, weighed by time, and batches that stalled.
#include <cmath>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "work.h"

using namespace jouleforge;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

// Passes of a short batch (1 us) and a long one (3 us), from 1000 ns on.
Trace passes(int count) {
  Trace trace;
  auto& stamps = trace.stamps_ns;
  stamps.push_back(1000);
  for (int i = 0; i < count; ++i) {
    stamps.push_back(stamps.back() + 1000);
    stamps.push_back(stamps.back() + 3000);
  }
  trace.passes = static_cast<std::size_t>(count);
  return trace;
}

bool near(double value, double expected) { return std::abs(value - expected) < 1e-9; }

void whole_passes_and_parts_count() {
  const auto trace = passes(5);
  check(near(work_between(trace, 2, {1000, 21'000}).passes, 5), "all of them");
  check(near(work_between(trace, 2, {1000, 2000}).passes, 0.25), "a short batch is a quarter");
  check(near(work_between(trace, 2, {2000, 5000}).passes, 0.75), "a long one the rest");
  check(near(work_between(trace, 2, {1500, 6500}).passes, 1.25), "batches under way count in part");
}

void a_slow_batch_within_the_window_is_no_more_work() {
  auto trace = passes(5);
  auto& stamps = trace.stamps_ns;
  for (std::size_t i = 6; i < stamps.size(); ++i) stamps[i] += 9000;  // the third pass's long one
  check(near(work_between(trace, 2, {stamps.front(), stamps.back()}).passes, 5), "five passes");
  check(work_between(trace, 2, {stamps.front(), stamps.back()}).reason.empty(), "and they stand");
}

void a_batch_that_stalls_at_an_end_spoils_the_window() {
  auto trace = passes(5);
  auto& stamps = trace.stamps_ns;
  for (std::size_t i = 6; i < stamps.size(); ++i) stamps[i] += 9000;
  const auto within = stamps[5] + 5000;
  check(work_between(trace, 2, {1000, within}).reason.starts_with("E_BATCH_STALLED"), "at its end");
  check(work_between(trace, 2, {within, stamps.back()}).reason.starts_with("E_BATCH_STALLED"),
        "at its begin");
  check(work_between(trace, 2, {1000, stamps[6]}).reason.empty(), "not one that just ended");
}

void the_work_must_cover_the_window() {
  const auto trace = passes(5);
  check(work_between(trace, 2, {900, 2000}).reason.starts_with("E_WINDOW_CUT"), "before it");
  check(work_between(trace, 2, {1000, 21'100}).reason.starts_with("E_WINDOW_CUT"), "after it");
  const auto forgiven = work_between(trace, 2, {900, 21'100}, 100);
  check(forgiven.reason.empty() && near(forgiven.passes, 5), "a slack is forgiven, and adds none");
}

void a_pause_is_no_part_of_the_run_after_it() {
  auto trace = passes(5);
  // Before the third pass, nothing ran for 50 us.
  for (std::size_t i = 5; i < trace.stamps_ns.size(); ++i) trace.stamps_ns[i] += 50'000;
  const auto paused_ns = trace.stamps_ns[4];
  trace.pauses.push_back({.before = 4, .begin_ns = paused_ns, .end_ns = paused_ns + 50'000});
  const auto all = work_between(trace, 2, {1000, trace.stamps_ns.back()});
  check(near(all.passes, 5) && near(all.paused_s, 50e-6), "five passes and a pause");
  const auto half = work_between(trace, 2, {1000, paused_ns + 25'000});
  check(half.reason.empty() && near(half.passes, 2) && near(half.paused_s, 25e-6),
        "no batch is under way in a pause, so none stalls");
}

void refuses_stamps_that_are_no_passes() {
  Trace trace = passes(1);
  trace.stamps_ns.push_back(9000);
  check_throws<std::invalid_argument>([&] { (void)work_between(trace, 2, {1000, 2000}); },
                                      "whole passes");
  check_throws<std::invalid_argument>([] { (void)work_between({}, 1, {1, 1}); }, "0 stamps");
}

}  // namespace

int main() {
  whole_passes_and_parts_count();
  a_slow_batch_within_the_window_is_no_more_work();
  a_batch_that_stalls_at_an_end_spoils_the_window();
  the_work_must_cover_the_window();
  a_pause_is_no_part_of_the_run_after_it();
  refuses_stamps_that_are_no_passes();
  return jouleforge::testing::result();
}
