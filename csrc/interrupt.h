// Lets Ctrl-C end a loop that holds no GIL: a flag that SIGINT and SIGTERM raise while in scope.
#pragma once

#include <atomic>

namespace jouleforge {

// A signal with a handler of its own (Python's, say) still reaches that handler; one that is at its
// default or ignored is left so. Scopes may nest and overlap between threads; they share the flag.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  // The flag is lowered when the first scope opens.
  [[nodiscard]] const std::atomic<bool>& flag() const noexcept;
};

}  // namespace jouleforge
