// Adding up sampled power.
#include "energy/power_window.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "energy/watch.h"

namespace jouleforge {
namespace {

constexpr std::int64_t kGapNs = 20'000'000;  // five samples of the fastest known sensors' 100 ms
constexpr std::int64_t kLookNs = 1'000'000'000;
constexpr std::size_t kParts = 10;

struct Sample {
  std::int64_t at_ns = 0;
  double watts = 0;
};

double joules(const std::vector<Sample>& samples, std::size_t first, std::size_t last) {
  double sum = 0;
  for (auto i = first; i < last; ++i) {
    const auto elapsed_s = static_cast<double>(samples[i + 1].at_ns - samples[i].at_ns) * 1e-9;
    sum += (samples[i].watts + samples[i + 1].watts) / 2 * elapsed_s;
  }
  return sum;
}

// Relative standard error of the mean power of the parts.
double scatter(const std::vector<Sample>& samples) {
  const auto length = (samples.size() - 1) / kParts;
  std::vector<double> watts;
  double mean = 0;
  for (std::size_t part = 0; part < kParts; ++part) {
    const auto first = part * length;
    const auto last = first + length;
    const auto elapsed_s = static_cast<double>(samples[last].at_ns - samples[first].at_ns) * 1e-9;
    watts.push_back(joules(samples, first, last) / elapsed_s);
    mean += watts.back() / kParts;
  }
  double squares = 0;
  for (const auto one : watts) squares += (one - mean) * (one - mean);
  return std::sqrt(squares / (kParts * (kParts - 1))) / mean;
}

}  // namespace

PowerWindow::PowerWindow(const NvmlDevice& device, Timeline& timeline)
    : device_(device), label_(device.name() + " (" + device.uuid() + ")"), timeline_(timeline) {}

GpuReading PowerWindow::measure(const WindowPlan& plan, const std::stop_token& stop) {
  GpuReading reading;
  reading.begin_ns = reading.end_ns = timeline_.now_ns();
  try {
    reading.reason = Watch(device_, label_).stranger();
    if (reading.reason.empty()) integrate(plan, reading, stop);
  } catch (const std::exception& error) {  // this thread has nobody else to tell
    reading.reason = error.what();
  } catch (const Stopped&) {
    reading.reason = "E_WINDOW_CUT: the load ended before the window over the power of " + label_ +
                     " was closed. Lengthen the measurement";
  }
  return reading;
}

void PowerWindow::integrate(const WindowPlan& plan, GpuReading& reading,
                            const std::stop_token& stop) {
  const auto begin_ns = timeline_.now_ns() + plan.pre_roll.count();
  const auto end_ns = timeline_.now_ns() + plan.lasts.count() - 2 * kGapNs;
  if (end_ns - begin_ns < plan.shortest.count()) {
    reading.reason = "E_WINDOW_TOO_SHORT: the load is too short for a window over the power of " +
                     label_ + " within it. Lengthen the measurement";
    return;
  }
  Watch watch(device_, label_);
  std::vector<Sample> samples;
  samples.reserve(static_cast<std::size_t>((end_ns - begin_ns) / kGapNs) + 2);
  auto look_ns = begin_ns;
  for (auto at_ns = begin_ns; at_ns < end_ns;
       at_ns = std::max(at_ns + kGapNs, timeline_.now_ns())) {
    timeline_.wait_until(at_ns, stop);
    if (stop.stop_requested()) throw Stopped{};
    const auto before_ns = timeline_.now_ns();
    const auto watts = device_.instant_power_mw() * 1e-3;
    samples.push_back({.at_ns = before_ns + (timeline_.now_ns() - before_ns) / 2, .watts = watts});
    if (at_ns < look_ns) continue;
    watch.look();
    look_ns += kLookNs;
  }
  watch.look();
  reading.facts = watch.facts();
  reading.reason = watch.doubt(plan.idle);
  reading.reads = samples.size();
  if (samples.size() <= kParts) {
    reading.reason = "E_POWER_SPARSE: the power of " + label_ + " was read " +
                     std::to_string(samples.size()) + " times only: the meter's thread was held up";
  }
  if (!reading.reason.empty()) return;
  reading.begin_ns = samples.front().at_ns;
  reading.end_ns = samples.back().at_ns;
  reading.joules = joules(samples, 0, samples.size() - 1);
  reading.uncertainty = scatter(samples);
}

}  // namespace jouleforge
