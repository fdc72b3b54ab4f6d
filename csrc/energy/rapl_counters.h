// The processor's energy counters (RAPL), as Linux shows them: perf events, else powercap files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace jouleforge {

// The message begins with a code: E_RAPL_PERMISSION, E_RAPL_ABSENT, E_RAPL.
struct RaplError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class RaplScope { kPackage, kDram };

// Something that only counts up, until it wraps.
class EnergyCounter {
 public:
  EnergyCounter() = default;
  EnergyCounter(const EnergyCounter&) = delete;
  EnergyCounter& operator=(const EnergyCounter&) = delete;
  EnergyCounter(EnergyCounter&&) = delete;
  EnergyCounter& operator=(EnergyCounter&&) = delete;
  virtual ~EnergyCounter() = default;

  // Throws RaplError.
  [[nodiscard]] virtual std::uint64_t read() const = 0;
};

struct RaplDomain {
  std::string name;  // "package-0", "package-0/dram"
  RaplScope scope = RaplScope::kPackage;
  double joules_per_count = 0;
  std::uint64_t wraps_after = 0;  // the largest value before 0 follows; 0 where it never wraps
  std::unique_ptr<const EnergyCounter> counter;
};

struct RaplDomains {
  std::string source;  // "perf_event" or "powercap"
  std::vector<RaplDomain> domains;
};

// Packages, and DRAM where it has a counter of its own. The platform domain (psys) contains the
// packages and is left out. `sysfs` is /sys unless a test made its own tree.
// Throws RaplError: E_RAPL_PERMISSION, E_RAPL_ABSENT.
[[nodiscard]] RaplDomains open_rapl(const std::filesystem::path& sysfs);

}  // namespace jouleforge
