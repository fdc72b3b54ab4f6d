// Whether a load that repeats itself has stopped to get faster or slower.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace jouleforge {

// Fed with the time of every run. Compares the two latest stretches, unit by unit, and takes the
// median of the quotients, which no single slow run can move; a trend is a median that is over 2 %
// from 1. (Georges, Buytaert and Eeckhout, OOPSLA 2007, call a run steady when the coefficient of
// variation of its latest iterations is below 1 or 2 %; on a machine with neighbours that never
// happens, while a trend still ends.)
//
// Where passes are short, a unit is some passes in a row. Where they are long, it is one run, and
// its partner the same batch an earlier pass: batches of unequal length are never compared.
class Steadiness {
 public:
  // `batches` make one pass. `scale` is how long to look at least: both stretches together last
  // about so long where passes are short.
  Steadiness(std::size_t batches, std::chrono::nanoseconds scale);

  void add(std::int64_t run_ns);

  [[nodiscard]] bool reached() const noexcept { return reached_; }

 private:
  void decide();
  void add_unit(double ns);
  [[nodiscard]] bool compare();

  std::size_t batches_;
  double scale_ns_;
  std::vector<double> first_pass_;
  bool decided_ = false;
  bool by_run_ = false;     // units are single runs
  std::size_t pairs_ = 16;  // in a stretch
  std::size_t lag_ = 16;    // units from a unit to its partner
  double unit_ns_ = 0;      // of the unit under way, where it is of passes
  std::size_t passes_ = 0;  // in it
  std::size_t runs_ = 0;    // of the pass under way
  std::size_t units_ = 0;
  std::vector<double> latest_;  // the last lag_ + pairs_ units, in a ring
  std::vector<double> quotients_;
  bool reached_ = false;
};

}  // namespace jouleforge
