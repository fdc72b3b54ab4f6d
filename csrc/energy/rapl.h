// Joules of the processor packages and their memory over a window, from RAPL counters.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "energy/rapl_counters.h"
#include "energy/window.h"

namespace jouleforge {

// RAPL's counters advance every millisecond, so a window needs no aligning: it begins with start()
// and ends with stop().
struct RaplReading : EnergyWindow {
  std::string domain;
  RaplScope scope = RaplScope::kPackage;
};

struct RaplOptions {
  std::filesystem::path sysfs = "/sys";
  // The counters are read at least this often while a window is open, and before half a wrap at
  // 2 kW: 65 kJ counters wrap within minutes.
  std::chrono::nanoseconds longest_interval = std::chrono::seconds(30);
};

class Rapl {
 public:
  // Throws RaplError: E_RAPL_PERMISSION, E_RAPL_ABSENT.
  explicit Rapl(const RaplOptions& options = {});
  ~Rapl();
  Rapl(const Rapl&) = delete;
  Rapl& operator=(const Rapl&) = delete;

  [[nodiscard]] const std::string& source() const noexcept { return opened_.source; }
  [[nodiscard]] std::vector<std::string> domains() const;

  // Opens a window; one that is open is given up. Throws RaplError when a counter cannot be read.
  void start();

  // Closes the window. Throws RaplError when none is open or a counter cannot be read.
  [[nodiscard]] std::vector<RaplReading> stop();

 private:
  struct Progress {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    double joules = 0;
    std::string problem;
  };

  void close();
  void sample();
  void sample_until(const std::stop_token& stopped);
  [[nodiscard]] std::string find_twin(std::size_t domain) const;
  [[nodiscard]] RaplReading reading(std::size_t domain) const;

  RaplDomains opened_;
  std::chrono::nanoseconds interval_;
  std::vector<Progress> progress_;
  std::int64_t started_ns_ = 0;
  std::int64_t sampled_ns_ = 0;
  std::string failure_;  // of the sampling thread
  std::mutex mutex_;     // guards what is above, while the thread runs
  std::condition_variable_any wake_;
  std::jthread sampler_;
};

}  // namespace jouleforge
