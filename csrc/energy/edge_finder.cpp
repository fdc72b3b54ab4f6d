// Searching for the edges of a counter.
#include "energy/edge_finder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "energy/nvml.h"

namespace jouleforge {
namespace {

constexpr double kMs = 1e6;
constexpr double kSecond = 1e9;

// Discovery: reads 2 ms apart (and never less), until this many edges, or this long.
constexpr std::int64_t kSweepGapNs = 2'000'000;
constexpr std::size_t kSweepEdges = 12;
constexpr std::size_t kFewestEdges = 5;
constexpr double kSweepNs = 2.2 * kSecond;
constexpr double kStandstillNs = 3 * kSecond;  // no counter in use ticks more slowly
constexpr std::size_t kReadsToJudge = 50;
constexpr double kTicklessShare = 0.8;

// A search begins this long before the tick, and takes at most some twenty reads over it.
constexpr double kMarginNs = 8 * kMs;
constexpr double kFinestGapNs = 0.5 * kMs;
constexpr double kReadsAcross = 18;
constexpr double kWidestNs = 3 * kMs;  // beyond two reads
// Periods are known to so many nanoseconds a tick; a search forgives half of its margin.
constexpr std::size_t kMostCosts = 512;

template <typename Value>
double quantile(std::vector<Value> values, double share) {
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(rank));
  return static_cast<double>(values[rank]);
}

std::string ms(double ns) {
  auto text = std::to_string(ns / kMs);
  return text.substr(0, text.find('.') + 3) + " ms";
}

}  // namespace

EdgeFinder::EdgeFinder(std::string label, Counter counter, Timeline& timeline)
    : label_(std::move(label)),
      counter_(std::move(counter)),
      timeline_(timeline),
      random_(static_cast<unsigned>(timeline.now_ns())) {
  costs_ns_.reserve(kMostCosts);
}

void EdgeFinder::wait(std::int64_t at_ns, const std::stop_token& stop) {
  if (at_ns > timeline_.now_ns()) timeline_.wait_until(at_ns, stop);
  if (stop.stop_requested()) throw Stopped{};
}

EdgeFinder::Sample EdgeFinder::read() {
  Sample now;
  now.begin_ns = timeline_.now_ns();
  now.energy_mj = counter_();
  now.end_ns = timeline_.now_ns();
  ++tick_.reads;
  if (costs_ns_.size() < kMostCosts) {
    costs_ns_.push_back(static_cast<double>(now.end_ns - now.begin_ns));
    tick_.read_ns = quantile(costs_ns_, 0.5);
    // Of a normal distribution, the first and the last tenth lie 2.56 deviations apart.
    tick_.read_jitter_ns = (quantile(costs_ns_, 0.9) - quantile(costs_ns_, 0.1)) / 2.56;
  }
  if (last_ && now.energy_mj < last_->energy_mj) {
    throw NvmlError("E_COUNTER_RESET: the counter of " + label_ + " fell from " +
                    std::to_string(last_->energy_mj) + " to " + std::to_string(now.energy_mj) +
                    " mJ. Was the driver loaded again? Look for other users of the GPU");
  }
  if (!last_ || now.energy_mj != last_->energy_mj) unchanged_since_ns_ = now.begin_ns;
  last_ = now;
  const auto limit_ns = tick_.period_ns > 0 ? 2 * tick_.period_ns + 50 * kMs : kStandstillNs;
  const auto unchanged_ns = static_cast<double>(now.begin_ns - unchanged_since_ns_);
  if (unchanged_ns > limit_ns) {
    throw NvmlError("E_COUNTER_FROZEN: the counter of " + label_ + " did not change in " +
                    ms(unchanged_ns) + ". Was the driver loaded again, or is it a vGPU?");
  }
  return now;
}

void EdgeFinder::begin() {
  last_.reset();
  known_.clear();
}

// Edges as coarse as the gap between the reads.
std::vector<Edge> EdgeFinder::sweep(const std::stop_token& stop) {
  std::vector<Edge> edges;
  auto old = read();
  const auto begin_ns = old.begin_ns;
  std::size_t reads = 0;
  std::size_t changes = 0;
  while (edges.size() < kSweepEdges) {
    const auto elapsed_ns = static_cast<double>(old.end_ns - begin_ns);
    if (edges.size() >= kFewestEdges && elapsed_ns > kSweepNs) break;
    wait(old.end_ns + kSweepGapNs, stop);
    const auto now = read();
    ++reads;
    if (now.energy_mj != old.energy_mj) {
      ++changes;
      edges.push_back({old.begin_ns, now.end_ns, now.energy_mj});
    }
    old = now;
    const auto often = static_cast<double>(changes) > kTicklessShare * static_cast<double>(reads);
    if (often && (reads >= kReadsToJudge || edges.size() >= kSweepEdges)) {
      blame(kSweepGapNs, stop);
    }
  }
  return edges;
}

// A counter that changes with each read either follows the time, or the reads themselves: the
// longer the gap, the more the first advances, and the second does not.
void EdgeFinder::blame(std::int64_t gap_ns, const std::stop_token& stop) {
  const auto advance_mj = [this, &stop](std::int64_t gap) {
    std::vector<double> steps;
    auto old = read();
    for (int i = 0; i < 21; ++i) {
      wait(old.end_ns + gap, stop);
      const auto now = read();
      steps.push_back(static_cast<double>(now.energy_mj - old.energy_mj));
      old = now;
    }
    return quantile(steps, 0.5);
  };
  const auto close_mj = advance_mj(gap_ns);
  const auto apart_mj = advance_mj(8 * gap_ns);
  if (apart_mj > 2 * close_mj) {
    throw NvmlError("E_COUNTER_TICKLESS: the counter of " + label_ +
                    " changes with every read, so that it has no edges to align to; it is not "
                    "trusted on this driver");
  }
  throw NvmlError("E_COUNTER_PERTURBED: every read adds " + std::to_string(close_mj) +
                  " mJ to the counter of " + label_ +
                  ", however far reads are apart; it is not trusted on this driver");
}

void EdgeFinder::discover(const std::stop_token& stop) {
  const auto edges = sweep(stop);
  std::vector<double> gaps_ns;
  for (std::size_t i = 1; i < edges.size(); ++i) {
    gaps_ns.push_back(static_cast<double>(edges[i].at_ns() - edges[i - 1].at_ns()));
  }
  const auto usual_ns = quantile(gaps_ns, 0.5);
  double ticks = 0;
  for (const auto gap_ns : gaps_ns) ticks += std::max(1.0, std::round(gap_ns / usual_ns));
  tick_.period_ns = static_cast<double>(edges.back().at_ns() - edges.front().at_ns()) / ticks;
  tick_.p10_ns = quantile(gaps_ns, 0.1);
  tick_.p90_ns = quantile(gaps_ns, 0.9);
  anchor_ns_ = edges.back().at_ns();
}

std::int64_t EdgeFinder::widest_ns() const {
  return static_cast<std::int64_t>(2 * tick_.read_ns + kWidestNs);
}

double EdgeFinder::margin_ns() const {
  const auto wanted_ns = std::max({kMarginNs, 2 * tick_.read_ns, 3 * tick_.jitter_ns});
  return std::min(wanted_ns, tick_.period_ns / 2);
}

std::int64_t EdgeFinder::search_ns() const {
  return static_cast<std::int64_t>(2 * margin_ns() + tick_.period_ns);
}

double EdgeFinder::horizon_ns() const {
  if (known_.size() < 2) return 8 * tick_.period_ns;
  // The period is as uncertain as the two outermost edges, over the ticks between them.
  const auto baseline_ns = static_cast<double>(known_.back().at_ns() - known_.front().at_ns());
  const auto edge_ns = std::max(tick_.jitter_ns, kMs);
  return baseline_ns * std::max(1.0, margin_ns() / (2 * edge_ns));
}

std::int64_t EdgeFinder::next_tick(std::int64_t earliest_ns) const {
  const auto ahead_ns = static_cast<double>(earliest_ns - anchor_ns_);
  const auto ticks = std::max(1.0, std::ceil(ahead_ns / tick_.period_ns));
  return anchor_ns_ + static_cast<std::int64_t>(ticks * tick_.period_ns);
}

// Reads from `margin` before the aim to `margin` after it, or until the value changes.
std::optional<Edge> EdgeFinder::search(std::int64_t aim_ns, double margin_ns,
                                       const std::stop_token& stop) {
  const auto gap_ns = std::max(kFinestGapNs, 2 * margin_ns / kReadsAcross - tick_.read_ns);
  // Begun at random within one gap, lest reads fall at the same place before every edge.
  const auto offset_ns = std::uniform_real_distribution<double>(0, gap_ns)(random_);
  wait(aim_ns - static_cast<std::int64_t>(margin_ns + offset_ns), stop);
  auto old = read();
  while (static_cast<double>(old.end_ns - aim_ns) <= margin_ns) {
    wait(old.end_ns + static_cast<std::int64_t>(gap_ns), stop);
    const auto now = read();
    if (now.energy_mj != old.energy_mj) return Edge{old.begin_ns, now.end_ns, now.energy_mj};
    old = now;
  }
  return {};
}

void EdgeFinder::give_up(std::int64_t narrowest_ns) const {
  if (narrowest_ns == 0) {
    throw NvmlError("E_EDGE_LOST: no edge of the counter of " + label_ +
                    " came where its ticks of " + ms(tick_.period_ns) +
                    " foretold one. Free a core for the meter's thread, or lengthen the window");
  }
  throw NvmlError("E_EDGE_WIDE: an edge of the counter of " + label_ + " is known to " +
                  ms(static_cast<double>(narrowest_ns)) + " only (limit " +
                  ms(static_cast<double>(widest_ns())) +
                  "): the meter's thread was held up. Free a core for it, or lengthen the window");
}

Edge EdgeFinder::find(std::int64_t earliest_ns, std::int64_t latest_ns,
                      const std::stop_token& stop) {
  auto margin = margin_ns();
  const auto after_now = [this, &margin] {
    return timeline_.now_ns() + static_cast<std::int64_t>(margin);
  };
  auto aim_ns = next_tick(std::max(earliest_ns, after_now()));
  std::int64_t narrowest_ns = 0;
  if (aim_ns + static_cast<std::int64_t>(margin) > latest_ns) {
    throw NvmlError("E_WINDOW_TOO_SHORT: the load is over before the counter of " + label_ +
                    ", which ticks every " + ms(tick_.period_ns) +
                    ", could be followed. Lengthen the measurement");
  }
  while (aim_ns + static_cast<std::int64_t>(margin) <= latest_ns) {
    const auto edge = search(aim_ns, margin, stop);
    if (edge && edge->width_ns() <= widest_ns()) {
      remember(*edge);
      return *edge;
    }
    if (edge) {
      // Seen, but between reads far apart: the next one is looked for from here.
      if (narrowest_ns == 0 || edge->width_ns() < narrowest_ns) narrowest_ns = edge->width_ns();
      anchor_ns_ = edge->at_ns();
      margin = std::clamp(static_cast<double>(edge->width_ns()), margin_ns(), tick_.period_ns / 2);
    } else {
      // A tick that is missing, or one that came elsewhere: a wider search settles it.
      ++tick_.missed;
      margin = std::min(2 * margin, tick_.period_ns / 2);
    }
    const auto half_ns = static_cast<std::int64_t>(tick_.period_ns / 2);
    aim_ns = next_tick(std::max(aim_ns + half_ns, after_now()));
  }
  give_up(narrowest_ns);
}

void EdgeFinder::follow(std::int64_t earliest_ns, const std::stop_token& stop) {
  const auto half_ns = static_cast<std::int64_t>(tick_.period_ns / 2);
  wait(next_tick(earliest_ns) + half_ns, stop);
  (void)read();
}

void EdgeFinder::read_often(std::int64_t until_ns, std::int64_t gap_ns,
                            const std::stop_token& stop) {
  for (auto at_ns = timeline_.now_ns() + gap_ns; at_ns < until_ns; at_ns += gap_ns) {
    wait(at_ns, stop);
    (void)read();
  }
}

// The period is that between the outermost edges; how far the others lie off it is the jitter.
void EdgeFinder::remember(const Edge& edge) {
  known_.push_back(edge);
  anchor_ns_ = edge.at_ns();
  if (known_.size() < 2) return;
  const auto first_ns = known_.front().at_ns();
  const auto span_ns = static_cast<double>(edge.at_ns() - first_ns);
  tick_.period_ns = span_ns / std::round(span_ns / tick_.period_ns);
  double squares = 0;
  for (const auto& one : known_) {
    const auto place = static_cast<double>(one.at_ns() - first_ns) / tick_.period_ns;
    squares += std::pow((place - std::round(place)) * tick_.period_ns, 2);
  }
  // Two edges lie on their own line by definition.
  if (known_.size() > 2)
    tick_.jitter_ns = std::sqrt(squares / static_cast<double>(known_.size() - 2));
}

}  // namespace jouleforge
