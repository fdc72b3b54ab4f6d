// Opening and closing a window at two edges of the counter.
#include "energy/counter_window.h"

#include <algorithm>
#include <cmath>

namespace jouleforge {
namespace {

constexpr double kTicksAtLeast = 20;
constexpr double kPartTimeNs = 30e9;
constexpr double kWidestShare = 0.005;  // of the window, for both brackets together
constexpr double kMostDriftPerS = 0.01;
constexpr std::int64_t kStretchNs = 600'000'000;  // over which power is compared, and four ticks
constexpr std::int64_t kFollowNs = 1'000'000'000;
constexpr double kTicksToSpare = 3;  // should an edge be missing or badly seen at the end

std::string seconds(double ns) {
  auto text = std::to_string(ns * 1e-9);
  return text.substr(0, text.find('.') + 3) + " s";
}

double power_w(const Edge& first, const Edge& last) {
  return static_cast<double>(last.energy_mj - first.energy_mj) * 1e6 /
         static_cast<double>(last.at_ns() - first.at_ns());
}

// Both brackets are uniform, and the cost of a read varies; the three are independent.
double uncertainty(const GpuReading& reading) {
  const auto first = static_cast<double>(reading.begin_bracket_ns);
  const auto last = static_cast<double>(reading.end_bracket_ns);
  const auto reads = 2 * std::pow(reading.tick.read_jitter_ns, 2);
  const auto window_ns = static_cast<double>(reading.end_ns - reading.begin_ns);
  return std::sqrt((first * first + last * last) / 12 + reads) / window_ns;
}

}  // namespace

CounterWindow::CounterWindow(const NvmlDevice& device, Timeline& timeline)
    : device_(device),
      label_(device.name() + " (" + device.uuid() + ")"),
      timeline_(timeline),
      finder_(label_, [&device] { return device.total_energy_mj(); }, timeline) {}

GpuReading CounterWindow::measure(const WindowPlan& plan, const std::stop_token& stop) {
  GpuReading reading;
  started_ns_ = reading.begin_ns = reading.end_ns = timeline_.now_ns();
  try {
    reading.reason = Watch(device_, label_).stranger();
    if (reading.reason.empty()) {
      settle(plan, reading, stop);
      count(plan, reading, stop);
    }
  } catch (const std::exception& error) {  // this thread has nobody else to tell
    reading.reason = error.what();
  } catch (const Stopped&) {
    reading.reason = "E_WINDOW_CUT: the load ended before the window over the counter of " +
                     label_ + " was closed. Lengthen the measurement";
  }
  if (!reading.reason.empty()) reading.end_ns = timeline_.now_ns();
  reading.tick = finder_.tick();
  return reading;
}

// Learns the tick, then follows it over stretches until the power has stopped to drift. Batches
// make the power of a stretch ripple; a drift goes the same way twice.
void CounterWindow::settle(const WindowPlan& plan, GpuReading& reading,
                           const std::stop_token& stop) {
  finder_.begin();
  if (finder_.tick().period_ns <= 0) finder_.discover(stop);
  const auto give_up_ns = started_ns_ + plan.longest_pre_roll.count();
  const auto latest_ns = started_ns_ + plan.lasts.count();
  const auto stretch_ns =
      std::max(kStretchNs, static_cast<std::int64_t>(4 * finder_.tick().period_ns));
  auto old = finder_.find(timeline_.now_ns(), latest_ns, stop);
  double before_w = 0;
  double drift_before = 0;
  for (int stretches = 1; true; ++stretches) {
    const auto now = finder_.find(old.at_ns() + stretch_ns, latest_ns, stop);
    const auto now_w = power_w(old, now);
    const auto elapsed_s = static_cast<double>(now.at_ns() - old.at_ns()) * 1e-9;
    const auto drift = before_w > 0 ? (now_w / before_w - 1) / elapsed_s : 0;
    const auto least = std::min(std::abs(drift), std::abs(drift_before));
    const auto drifts = drift * drift_before > 0 && least > kMostDriftPerS;
    reading.drift_per_s = drifts ? drift : 0;
    const auto ready = stretches >= 3 && now.at_ns() >= started_ns_ + plan.pre_roll.count();
    if (ready && (!drifts || now.at_ns() >= give_up_ns)) return;
    old = now;
    before_w = now_w;
    drift_before = drift;
  }
}

void CounterWindow::count(const WindowPlan& plan, GpuReading& reading,
                          const std::stop_token& stop) {
  const auto period_ns = finder_.tick().period_ns;
  const auto latest_ns = started_ns_ + plan.lasts.count();
  Watch watch(device_, label_);
  const auto first = finder_.find(timeline_.now_ns(), latest_ns, stop);
  watch.look();
  const auto reads_before = finder_.tick().reads;
  const auto spare_ns = static_cast<std::int64_t>(kTicksToSpare * period_ns);
  const auto target_ns = latest_ns - finder_.search_ns() - spare_ns;
  const auto needed_ns = std::max({static_cast<double>(plan.shortest.count()),
                                   kTicksAtLeast * period_ns, plan.part_time ? kPartTimeNs : 0});
  const auto room_ns = static_cast<double>(target_ns - first.at_ns());
  if (room_ns < needed_ns) {
    reading.reason = "E_WINDOW_TOO_SHORT: the load leaves a window of " +
                     seconds(std::max(room_ns, 0.0)) + " after a pre-roll of " +
                     seconds(static_cast<double>(first.at_ns() - started_ns_)) +
                     ", and the ticks of " + seconds(period_ns) + " of the counter of " + label_ +
                     " need " + seconds(needed_ns) + ". Lengthen the measurement";
    return;
  }
  reading.edges.push_back(first);
  follow(plan, target_ns, watch, reading.edges, stop);
  const auto last = finder_.find(target_ns, latest_ns, stop);
  reading.edges.push_back(last);
  watch.look();
  reading.reads = finder_.tick().reads - reads_before;
  judge(plan.idle, first, last, watch, reading);
}

void CounterWindow::judge(bool idle, const Edge& first, const Edge& last, const Watch& watch,
                          GpuReading& reading) const {
  reading.begin_ns = first.at_ns();
  reading.end_ns = last.at_ns();
  reading.begin_bracket_ns = first.width_ns();
  reading.end_bracket_ns = last.width_ns();
  reading.tick = finder_.tick();
  reading.facts = watch.facts();
  reading.reason = watch.doubt(idle);
  if (reading.reason.empty()) reading.reason = watch.contradiction(power_w(first, last));
  const auto brackets_ns = static_cast<double>(first.width_ns() + last.width_ns());
  const auto window_ns = static_cast<double>(reading.end_ns - reading.begin_ns);
  if (reading.reason.empty() && brackets_ns > kWidestShare * window_ns) {
    reading.reason = "E_EDGE_WIDE: the ends of a window of " + seconds(window_ns) + " over " +
                     label_ + " are known to " + seconds(brackets_ns) +
                     " together (limit 0.5 %). Lengthen the window";
  }
  if (!reading.reason.empty()) return;
  reading.joules = static_cast<double>(last.energy_mj - first.energy_mj) * 1e-3;
  reading.uncertainty = uncertainty(reading);
}

// One read and one look a second, and an edge whenever the next could not be foretold otherwise, or
// the plan asks for one.
void CounterWindow::follow(const WindowPlan& plan, std::int64_t until_ns, Watch& watch,
                           std::vector<Edge>& edges, const std::stop_token& stop) {
  const auto all = plan.edge_every.count() > 0;
  const auto step_ns = all ? plan.edge_every.count() : kFollowNs;
  const auto begin_ns = edges.back().at_ns();
  for (auto next_ns = begin_ns + step_ns; next_ns < until_ns - step_ns / 2; next_ns += step_ns) {
    if (plan.read_every.count() > 0) {
      finder_.read_often(next_ns - finder_.search_ns(), plan.read_every.count(), stop);
    }
    const auto known_until_ns =
        edges.back().at_ns() + static_cast<std::int64_t>(finder_.horizon_ns());
    if (all || (known_until_ns < until_ns && next_ns + step_ns > known_until_ns)) {
      edges.push_back(finder_.find(next_ns, until_ns, stop));
    } else {
      finder_.follow(next_ns, stop);
    }
    watch.look();
  }
}

}  // namespace jouleforge
