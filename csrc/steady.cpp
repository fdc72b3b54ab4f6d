// Comparing the two latest stretches of a load.
#include "steady.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jouleforge {
namespace {

constexpr double kTrend = 0.02;
constexpr std::size_t kPairs = 16;
constexpr std::size_t kFewestPairs = 5;
constexpr double kShortPass = 1.0 / 16;  // of the scale
constexpr double kUnit = 1.0 / 32;
constexpr double kStretch = 1.0 / 4;

}  // namespace

Steadiness::Steadiness(std::size_t batches, std::chrono::nanoseconds scale)
    : batches_(batches), scale_ns_(static_cast<double>(scale.count())) {
  first_pass_.reserve(batches);
}

void Steadiness::add(std::int64_t run_ns) {
  const auto ns = std::max(static_cast<double>(run_ns), 1.0);
  if (!decided_) {
    first_pass_.push_back(ns);
    if (first_pass_.size() == batches_) decide();
    return;
  }
  if (by_run_) {
    add_unit(ns);
    return;
  }
  unit_ns_ += ns;
  if (++runs_ < batches_) return;
  runs_ = 0;
  ++passes_;
  if (unit_ns_ < kUnit * scale_ns_) return;
  add_unit(unit_ns_ / static_cast<double>(passes_));
  unit_ns_ = 0;
  passes_ = 0;
}

void Steadiness::decide() {
  decided_ = true;
  const auto pass_ns = std::accumulate(first_pass_.begin(), first_pass_.end(), 0.0);
  by_run_ = pass_ns > kShortPass * scale_ns_;
  if (by_run_) {
    const auto run_ns = pass_ns / static_cast<double>(batches_);
    const auto wanted = static_cast<std::size_t>(std::ceil(kStretch * scale_ns_ / run_ns));
    pairs_ = std::clamp(wanted, kFewestPairs, std::max(kPairs, batches_));
    lag_ = (pairs_ + batches_ - 1) / batches_ * batches_;
  }
  latest_.resize(lag_ + pairs_);
  quotients_.resize(pairs_);
  if (by_run_) {
    for (const auto ns : first_pass_) add_unit(ns);
  }
}

void Steadiness::add_unit(double ns) {
  latest_[units_++ % latest_.size()] = ns;
  const auto due = units_ % std::max<std::size_t>(pairs_ / 4, 1) == 0;
  if (units_ >= latest_.size() && due) reached_ = compare();
}

bool Steadiness::compare() {
  for (std::size_t i = 0; i < pairs_; ++i) {
    const auto unit = units_ - 1 - i;
    quotients_[i] = latest_[unit % latest_.size()] / latest_[(unit - lag_) % latest_.size()];
  }
  const auto middle = quotients_.begin() + static_cast<std::ptrdiff_t>(pairs_ / 2);
  std::ranges::nth_element(quotients_, middle);
  return std::abs(*middle - 1) <= kTrend;
}

}  // namespace jouleforge
