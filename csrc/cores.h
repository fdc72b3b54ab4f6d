// Which cores the measured work and the meter run on, so that neither holds up the other.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>

namespace jouleforge {

// Does nothing where the kernel refuses: the core may have been taken away meanwhile.
void keep_thread_on(int cpu);

// Keeps the calling thread, and threads it starts, off one core, which is left to a meter. On a
// machine of one core there is none to spare.
class SparedCore {
 public:
  // `sysfs` is /sys unless a test made its own tree.
  explicit SparedCore(const std::filesystem::path& sysfs = "/sys");
  ~SparedCore();  // the thread may then run where it could before
  SparedCore(const SparedCore&) = delete;
  SparedCore& operator=(const SparedCore&) = delete;

  [[nodiscard]] std::optional<int> cpu() const noexcept { return cpu_; }

 private:
  pid_t thread_;
  cpu_set_t before_{};
  std::optional<int> cpu_;
};

}  // namespace jouleforge
