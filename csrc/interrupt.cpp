// The signal handler behind InterruptScope.
#include "interrupt.h"

#include <array>
#include <csignal>
#include <cstddef>
#include <mutex>

namespace jouleforge {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not take a lock");

constexpr std::array kSignals{SIGINT, SIGTERM};

std::atomic<bool> raised{false};
std::mutex scopes_mutex;
int open_scopes = 0;
std::array<struct sigaction, kSignals.size()> previous{};
std::array<bool, kSignals.size()> installed{};

extern "C" void on_signal(int number, siginfo_t* info, void* context) {
  raised.store(true, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] != number || !installed[i]) continue;
    if ((previous[i].sa_flags & SA_SIGINFO) != 0) {
      previous[i].sa_sigaction(number, info, context);
    } else {
      previous[i].sa_handler(number);
    }
  }
}

bool has_handler(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) != 0) return true;
  return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

void install() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    // Known before our handler can run, because it looks here.
    installed[i] = sigaction(kSignals[i], nullptr, &previous[i]) == 0 && has_handler(previous[i]);
    if (!installed[i]) continue;
    struct sigaction ours = {};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | (previous[i].sa_flags & (SA_RESTART | SA_ONSTACK));
    sigemptyset(&ours.sa_mask);
    sigaction(kSignals[i], &ours, nullptr);
  }
}

void restore() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (installed[i]) sigaction(kSignals[i], &previous[i], nullptr);
  }
}

}  // namespace

InterruptScope::InterruptScope() {
  const std::lock_guard lock(scopes_mutex);
  if (open_scopes++ > 0) return;
  raised.store(false, std::memory_order_relaxed);
  install();
}

InterruptScope::~InterruptScope() {
  const std::lock_guard lock(scopes_mutex);
  if (--open_scopes == 0) restore();
}

const std::atomic<bool>& InterruptScope::flag() const noexcept { return raised; }

}  // namespace jouleforge
