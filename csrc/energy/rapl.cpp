// Windows over RAPL counters.
#include "energy/rapl.h"

#include <algorithm>
#include <cmath>
#include <stop_token>

#include "clock.h"

namespace jouleforge {
namespace {

// No package or its memory draws as much; a step that implies more is a lost or reset counter.
constexpr double kMostWatts = 2000;
// Counters advance every millisecond: over less than this the edges alone are a percent.
constexpr double kShortestWindowS = 0.1;
constexpr double kTickS = 0.001;

std::chrono::nanoseconds sampling_interval(const RaplDomains& opened,
                                           std::chrono::nanoseconds longest) {
  auto interval = longest;
  for (const auto& domain : opened.domains) {
    if (domain.wraps_after == 0) continue;
    const auto range_j = static_cast<double>(domain.wraps_after) * domain.joules_per_count;
    const std::chrono::duration<double> half_a_wrap(range_j / (2 * kMostWatts));
    interval =
        std::min(interval, std::chrono::duration_cast<std::chrono::nanoseconds>(half_a_wrap));
  }
  return std::max(interval, std::chrono::nanoseconds(std::chrono::milliseconds(1)));
}

}  // namespace

Rapl::Rapl(const RaplOptions& options)
    : opened_(open_rapl(options.sysfs)),
      interval_(sampling_interval(opened_, options.longest_interval)) {}

Rapl::~Rapl() { close(); }

std::vector<std::string> Rapl::domains() const {
  std::vector<std::string> names;
  for (const auto& domain : opened_.domains) names.push_back(domain.name);
  return names;
}

void Rapl::close() {
  sampler_.request_stop();
  if (sampler_.joinable()) sampler_.join();
}

void Rapl::start() {
  close();
  progress_.clear();
  failure_.clear();
  for (const auto& domain : opened_.domains) {
    const auto now = domain.counter->read();
    progress_.push_back({.first = now, .last = now, .joules = 0, .problem = {}});
  }
  started_ns_ = sampled_ns_ = now_ns();
  const auto wraps = [](const RaplDomain& domain) { return domain.wraps_after != 0; };
  if (std::ranges::any_of(opened_.domains, wraps)) {
    sampler_ = std::jthread([this](const std::stop_token& stopped) { sample_until(stopped); });
  }
}

void Rapl::sample_until(const std::stop_token& stopped) {
  std::unique_lock lock(mutex_);
  while (failure_.empty()) {
    wake_.wait_for(lock, stopped, interval_, [] { return false; });
    if (stopped.stop_requested()) return;
    try {
      sample();
    } catch (const std::exception& error) {
      failure_ = error.what();  // told by stop(), in the caller's own thread
    }
  }
}

void Rapl::sample() {
  for (std::size_t i = 0; i < progress_.size(); ++i) {
    const auto& domain = opened_.domains[i];
    auto& progress = progress_[i];
    const auto now = domain.counter->read();
    const auto at_ns = now_ns();
    if (now < progress.last && domain.wraps_after < progress.last) {
      progress.problem = "E_RAPL_RESET: " + domain.name + " fell from " +
                         std::to_string(progress.last) + " to " + std::to_string(now);
    } else {
      const auto counts =
          now >= progress.last ? now - progress.last : domain.wraps_after - progress.last + now;
      const auto joules = static_cast<double>(counts) * domain.joules_per_count;
      const auto elapsed_s = static_cast<double>(at_ns - sampled_ns_) * 1e-9;
      progress.joules += joules;
      if (joules > kMostWatts * std::max(elapsed_s, kShortestWindowS)) {
        progress.problem = "E_RAPL_IMPLAUSIBLE: " + domain.name + " advanced by " +
                           std::to_string(joules) + " J in " + std::to_string(elapsed_s) +
                           " s; the counter was lost or reset";
      }
    }
    progress.last = now;
  }
  sampled_ns_ = now_ns();
}

std::vector<RaplReading> Rapl::stop() {
  if (progress_.empty()) throw RaplError("E_RAPL: stop() without start()");
  close();
  if (!failure_.empty()) throw RaplError(failure_);
  sample();
  std::vector<RaplReading> readings;
  for (std::size_t i = 0; i < progress_.size(); ++i) readings.push_back(reading(i));
  progress_.clear();
  return readings;
}

// The dies of one package may show one and the same counter; adding them would count it twice.
std::string Rapl::find_twin(std::size_t domain) const {
  for (std::size_t i = 0; i < domain; ++i) {
    const auto same_scope = opened_.domains[i].scope == opened_.domains[domain].scope;
    const auto& a = progress_[i];
    const auto& b = progress_[domain];
    const auto wraps = opened_.domains[i].wraps_after != 0;  // else both began at 0
    if (same_scope && wraps && (a.first == b.first || a.last == b.last)) {
      return opened_.domains[i].name;
    }
  }
  return {};
}

RaplReading Rapl::reading(std::size_t domain) const {
  const auto& progress = progress_[domain];
  const auto& name = opened_.domains[domain].name;
  RaplReading result;
  result.domain = name;
  result.scope = opened_.domains[domain].scope;
  result.begin_ns = started_ns_;
  result.end_ns = sampled_ns_;
  result.reason = progress.problem;
  if (!result.reason.empty()) return result;
  const auto window_s = result.seconds();
  const auto twin = find_twin(domain);
  if (window_s < kShortestWindowS) {
    result.reason = "E_WINDOW_TOO_SHORT: " + std::to_string(window_s) + " s, and RAPL needs " +
                    std::to_string(kShortestWindowS) + " s";
  } else if (!twin.empty()) {
    result.reason = "E_RAPL_MIRRORED: " + name + " shows the counter of " + twin;
  } else if (progress.joules <= 0) {
    result.reason =
        "E_RAPL_FROZEN: " + name + " did not advance in " + std::to_string(window_s) + " s";
  } else {
    result.joules = progress.joules;
    result.uncertainty = kTickS * std::sqrt(2.0 / 12) / window_s;  // a tick, uniform, at both ends
  }
  return result;
}

}  // namespace jouleforge
