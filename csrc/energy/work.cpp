// Counting work by the stamps of a loop.
#include "energy/work.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace jouleforge {
namespace {

constexpr double kStalled = 3;  // times its own median, a batch did not run as it usually does

double run_ns(std::span<const std::int64_t> stamps_ns, std::size_t run) {
  return static_cast<double>(stamps_ns[run + 1] - stamps_ns[run]);
}

// The median time of each batch of a pass.
std::vector<double> usual_times(std::span<const std::int64_t> stamps_ns, std::size_t batches) {
  const auto passes = (stamps_ns.size() - 1) / batches;
  std::vector<double> usual;
  std::vector<double> times(passes);
  for (std::size_t batch = 0; batch < batches; ++batch) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      times[pass] = run_ns(stamps_ns, pass * batches + batch);
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(passes / 2);
    std::ranges::nth_element(times, middle);
    usual.push_back(std::max(*middle, 1.0));
  }
  return usual;
}

// Runs done before an instant, the one under way by the part of it that had passed.
struct Place {
  std::size_t runs = 0;
  double part = 0;
};

Place place(std::span<const std::int64_t> stamps_ns, std::int64_t at_ns) {
  const auto last = stamps_ns.size() - 2;  // the last run there is
  const auto after = std::ranges::upper_bound(stamps_ns, at_ns);
  const auto begun = static_cast<std::size_t>(after - stamps_ns.begin());
  const auto run = std::min(begun == 0 ? 0 : begun - 1, last);
  const auto length_ns = std::max(run_ns(stamps_ns, run), 1.0);
  const auto passed_ns = static_cast<double>(at_ns - stamps_ns[run]);
  return {.runs = run, .part = std::clamp(passed_ns / length_ns, 0.0, 1.0)};
}

}  // namespace

WorkDone work_between(std::span<const std::int64_t> stamps_ns, std::size_t batches,
                      std::int64_t begin_ns, std::int64_t end_ns, std::int64_t slack_ns) {
  if (batches == 0 || stamps_ns.size() < 2 || (stamps_ns.size() - 1) % batches != 0) {
    throw std::invalid_argument("expected stamps of whole passes of " + std::to_string(batches) +
                                " batches, found " + std::to_string(stamps_ns.size()) + " stamps");
  }
  if (begin_ns < stamps_ns.front() - slack_ns || end_ns > stamps_ns.back() + slack_ns ||
      end_ns < begin_ns) {
    return {.passes = 0,
            .reason = "E_WINDOW_CUT: the work did not go on from the window's begin to its end"};
  }
  const auto usual_ns = usual_times(stamps_ns, batches);
  double pass_ns = 0;
  for (const auto one_ns : usual_ns) pass_ns += one_ns;
  const auto done = [&](const Place& at) {
    double part_ns = at.part * usual_ns[at.runs % batches];
    for (std::size_t i = 0; i < at.runs % batches; ++i) part_ns += usual_ns[i];
    return static_cast<double>(at.runs / batches) + part_ns / pass_ns;
  };
  const auto first = place(stamps_ns, begin_ns);
  const auto last = place(stamps_ns, end_ns);
  WorkDone work{.passes = done(last) - done(first), .reason = {}};
  for (const auto& at : {first, last}) {
    if (at.part <= 0 || at.part >= 1) continue;  // no batch was under way
    if (run_ns(stamps_ns, at.runs) <= kStalled * usual_ns[at.runs % batches]) continue;
    work.reason =
        "E_BATCH_STALLED: the batch under way at an end of the window took over three "
        "times as long as it usually does, so that the work done is not known. Free a "
        "core for the work";
  }
  return work;
}

}  // namespace jouleforge
