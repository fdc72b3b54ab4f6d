// A GPU's memory as this process holds it: the level, the peak, and drivers that do not tell.
#include <unistd.h>

#include <thread>
#include <vector>

#include "check.h"
#include "energy/gpu_memory.h"
#include "nvml_controls.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using namespace jouleforge::testing;

namespace {

constexpr auto kHidden = ~0ULL;  // nvml.h: NVML_VALUE_NOT_AVAILABLE

void show(const std::vector<unsigned>& pids, unsigned long long bytes) {
  kControls.set<unsigned, std::size_t, const unsigned*>("fake_set_pids", 0U, pids.size(),
                                                        pids.data());
  kControls.set("fake_set_process_memory", 0U, bytes);
}

const auto kOwn = static_cast<unsigned>(getpid());

void the_peak_is_remembered_and_the_level_too() {
  show({1U, kOwn}, 500);
  GpuMemoryWatch watch(0U, kFake, {}, 1ms);
  show({1U, kOwn}, 800);
  const auto before = watch.looks();
  while (watch.looks() < before + 2) std::this_thread::sleep_for(1ms);
  show({1U, kOwn}, 600);
  check(watch.loaded() == 500U, "when it was made");
  check(watch.stop() == 800U, "the most in between");
}

void what_the_driver_hides_is_absent_and_not_zero() {
  show({kOwn}, kHidden);
  check(!GpuMemoryWatch(0U, kFake, {}, 1h).loaded(), "no number");
  show({}, 0);
  check(!GpuMemoryWatch(0U, kFake, {}, 1h).loaded(), "a process that is not listed");
  show({kOwn}, 500);
  GpuMemoryWatch watch(0U, kFake, {}, 1h);
  show({kOwn}, kHidden);
  check(!watch.stop(), "a peak that is not known throughout is not known");
}

void a_watch_that_is_dropped_leaves_no_thread() {
  show({kOwn}, 500);
  const GpuMemoryWatch watch(0U, kFake, {}, 1h);
}

}  // namespace

int main() {
  the_peak_is_remembered_and_the_level_too();
  what_the_driver_hides_is_absent_and_not_zero();
  a_watch_that_is_dropped_leaves_no_thread();
  return result();
}
