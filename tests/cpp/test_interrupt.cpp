// Signals while a loop runs: they raise the flag, and still reach whoever handled them before.
#include <csignal>

#include "check.h"
#include "interrupt.h"

using jouleforge::InterruptScope;
using jouleforge::testing::check;

namespace {

volatile std::sig_atomic_t handled = 0;

extern "C" void count_signal(int) { handled = handled + 1; }

void a_signal_raises_the_flag_and_reaches_its_handler() {
  handled = 0;
  std::signal(SIGINT, count_signal);
  const InterruptScope scope;
  check(!scope.flag(), "lowered at first");
  std::raise(SIGINT);
  check(scope.flag(), "raised");
  check(handled == 1, "the handler ran as well");
}

void the_handler_is_restored() {
  handled = 0;
  std::signal(SIGTERM, count_signal);
  {
    const InterruptScope scope;
  }
  std::raise(SIGTERM);
  check(handled == 1, "the handler runs alone again");
  const InterruptScope scope;
  check(!scope.flag(), "a new scope begins lowered");
}

void nested_scopes_share_the_flag() {
  std::signal(SIGINT, count_signal);
  const InterruptScope outer;
  {
    const InterruptScope inner;
    std::raise(SIGINT);
    check(inner.flag(), "seen inside");
  }
  check(outer.flag(), "seen outside");
  handled = 0;
  std::raise(SIGINT);
  check(handled == 1, "closing the inner scope left the handler in place");
}

void an_ignored_signal_stays_ignored() {
  std::signal(SIGINT, SIG_IGN);
  const InterruptScope scope;
  std::raise(SIGINT);
  check(!scope.flag(), "not raised");
}

}  // namespace

int main() {
  a_signal_raises_the_flag_and_reaches_its_handler();
  the_handler_is_restored();
  nested_scopes_share_the_flag();
  an_ignored_signal_stays_ignored();
  return jouleforge::testing::result();
}
