// Counting work by the stamps of a loop.
#include "work.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace jouleforge {
namespace {

constexpr double kStalled = 3;  // times its own median, a batch did not run as it usually does

// When each run began, which is when the one before it ended, or a pause after that.
struct Runs {
  explicit Runs(const Trace& trace)
      : begin_ns(trace.stamps_ns.begin(), trace.stamps_ns.end() - 1),
        end_ns(trace.stamps_ns.begin() + 1, trace.stamps_ns.end()) {
    for (const auto& pause : trace.pauses) {
      if (pause.before < begin_ns.size()) begin_ns[pause.before] = pause.end_ns;
    }
  }

  [[nodiscard]] double length_ns(std::size_t run) const {
    return std::max(static_cast<double>(end_ns[run] - begin_ns[run]), 1.0);
  }

  std::vector<std::int64_t> begin_ns;
  std::vector<std::int64_t> end_ns;
};

// The median time of each batch of a pass.
std::vector<double> usual_times(const Runs& runs, std::size_t batches) {
  const auto passes = runs.end_ns.size() / batches;
  std::vector<double> usual;
  std::vector<double> times(passes);
  for (std::size_t batch = 0; batch < batches; ++batch) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      times[pass] = runs.length_ns(pass * batches + batch);
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(passes / 2);
    std::ranges::nth_element(times, middle);
    usual.push_back(*middle);
  }
  return usual;
}

// Runs done before an instant, the one under way by the part of it that had passed.
struct Place {
  std::size_t runs = 0;
  double part = 0;
};

Place place(const Runs& runs, std::int64_t at_ns) {
  const auto after = std::ranges::upper_bound(runs.end_ns, at_ns);
  const auto last = static_cast<std::ptrdiff_t>(runs.end_ns.size()) - 1;
  const auto run = static_cast<std::size_t>(std::min(after - runs.end_ns.begin(), last));
  const auto passed_ns = static_cast<double>(at_ns - runs.begin_ns[run]);
  return {.runs = run, .part = std::clamp(passed_ns / runs.length_ns(run), 0.0, 1.0)};
}

double paused_s(const Trace& trace, Instants window) {
  std::int64_t paused_ns = 0;
  for (const auto& pause : trace.pauses) {
    const auto within_ns =
        std::min(pause.end_ns, window.end_ns) - std::max(pause.begin_ns, window.begin_ns);
    paused_ns += std::max<std::int64_t>(within_ns, 0);
  }
  return static_cast<double>(paused_ns) * 1e-9;
}

}  // namespace

WorkDone work_between(const Trace& trace, std::size_t batches, Instants window,
                      std::int64_t slack_ns) {
  const auto& stamps_ns = trace.stamps_ns;
  if (batches == 0 || stamps_ns.size() < 2 || (stamps_ns.size() - 1) % batches != 0) {
    throw std::invalid_argument("expected stamps of whole passes of " + std::to_string(batches) +
                                " batches, found " + std::to_string(stamps_ns.size()) + " stamps");
  }
  WorkDone work;
  if (window.begin_ns < stamps_ns.front() - slack_ns ||
      window.end_ns > stamps_ns.back() + slack_ns || window.end_ns < window.begin_ns) {
    work.reason = "E_WINDOW_CUT: the work did not go on from the window's begin to its end";
    return work;
  }
  const Runs runs(trace);
  const auto usual_ns = usual_times(runs, batches);
  double pass_ns = 0;
  for (const auto one_ns : usual_ns) pass_ns += one_ns;
  const auto done = [&](const Place& at) {
    double part_ns = at.part * usual_ns[at.runs % batches];
    for (std::size_t i = 0; i < at.runs % batches; ++i) part_ns += usual_ns[i];
    return static_cast<double>(at.runs / batches) + part_ns / pass_ns;
  };
  const auto first = place(runs, window.begin_ns);
  const auto last = place(runs, window.end_ns);
  work.passes = done(last) - done(first);
  work.paused_s = paused_s(trace, window);
  for (const auto& at : {first, last}) {
    if (at.part <= 0 || at.part >= 1) continue;  // no batch was under way
    if (runs.length_ns(at.runs) <= kStalled * usual_ns[at.runs % batches]) continue;
    work.reason =
        "E_BATCH_STALLED: the batch under way at an end of the window took over three "
        "times as long as it usually does, so that the work done is not known. Free a "
        "core for the work";
  }
  return work;
}

}  // namespace jouleforge
