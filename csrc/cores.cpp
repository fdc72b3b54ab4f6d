// Thread affinities.
#include "cores.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <vector>

namespace jouleforge {
namespace {

// The processors that share a core with this one, itself among them: "0,4" or "0-1".
std::vector<int> read_siblings(const std::filesystem::path& sysfs, int cpu) {
  std::ifstream file(sysfs / "devices/system/cpu" / ("cpu" + std::to_string(cpu)) /
                     "topology/thread_siblings_list");
  std::vector<int> cpus{cpu};
  for (std::string item; std::getline(file, item, ',');) {
    int first = 0;
    const auto* const end = item.data() + item.size();
    const auto [rest, error] = std::from_chars(item.data(), end, first);
    if (error != std::errc{}) continue;
    int last = first;
    if (rest != end && *rest == '-') std::from_chars(rest + 1, end, last);
    for (int sibling = first; sibling <= last; ++sibling) cpus.push_back(sibling);
  }
  return cpus;
}

std::vector<int> members(const cpu_set_t& set) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

cpu_set_t without(cpu_set_t set, const std::vector<int>& cpus) {
  for (const auto cpu : cpus) CPU_CLR(static_cast<std::size_t>(cpu), &set);
  return set;
}

}  // namespace

void keep_thread_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  sched_setaffinity(0, sizeof set, &set);
}

SparedCore::SparedCore(const std::filesystem::path& sysfs)
    : thread_(static_cast<pid_t>(syscall(SYS_gettid))) {
  CPU_ZERO(&before_);
  if (sched_getaffinity(thread_, sizeof before_, &before_) != 0) return;
  const auto usable = members(before_);
  const auto here = read_siblings(sysfs, sched_getcpu());
  const auto elsewhere = [&here](int cpu) { return std::ranges::find(here, cpu) == here.end(); };
  // The last one: the first are where other things tend to be.
  const auto found = std::ranges::find_if(usable.rbegin(), usable.rend(), elsewhere);
  if (found == usable.rend()) return;
  auto left = without(before_, read_siblings(sysfs, *found));
  if (CPU_COUNT(&left) == 0) return;
  if (sched_setaffinity(thread_, sizeof left, &left) == 0) cpu_ = *found;
}

SparedCore::~SparedCore() {
  if (cpu_) sched_setaffinity(thread_, sizeof before_, &before_);
}

}  // namespace jouleforge
