// The meter's thread.
#include "energy/counter_meter.h"

#include <sys/prctl.h>

#include "cores.h"

namespace jouleforge {

CounterMeter::CounterMeter(const NvmlDevice::Which& which, const std::string& library)
    : device_(which, library), window_(device_, timeline_) {}

CounterMeter::~CounterMeter() { close(); }

void CounterMeter::close() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void CounterMeter::start(const WindowPlan& plan, std::optional<int> cpu) {
  close();
  reading_.reset();
  thread_ = std::jthread([this, plan, cpu](const std::stop_token& stop) {
    if (cpu) keep_thread_on(*cpu);
    // [ns] by which the kernel may put off a wake-up; by default it is 50 us.
    constexpr unsigned long kSlackNs = 1000;
    prctl(PR_SET_TIMERSLACK, kSlackNs, 0, 0, 0);
    reading_ = window_.measure(plan, stop);
  });
}

CounterReading CounterMeter::stop() {
  if (!thread_.joinable()) throw NvmlError("E_NVML: stop() without start()");
  close();
  return *std::move(reading_);
}

}  // namespace jouleforge
