// A prepared engine: a list of batches that can be run, each into its own output buffers.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace jouleforge {

// A runtime refused or failed; the message is its own, with what was being done.
struct RunnerError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Implementations live in runners/, one file per runtime. A runner serves one thread at a time.
class Runner {
 public:
  Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  Runner(Runner&&) = delete;
  Runner& operator=(Runner&&) = delete;
  virtual ~Runner() = default;

  [[nodiscard]] virtual std::size_t batches() const = 0;

  // Runs one batch and returns when its outputs lie in their buffers.
  // Throws std::out_of_range when there is no such batch.
  virtual void run(std::size_t batch) = 0;
};

inline void require_batch(std::size_t batch, std::size_t batches) {
  if (batch < batches) return;
  throw std::out_of_range("no batch " + std::to_string(batch) + ": the runner holds " +
                          std::to_string(batches) + ", and the first is 0");
}

inline void require_threads(int threads) {
  if (threads >= 1) return;
  throw std::invalid_argument("expected threads of at least 1, found " + std::to_string(threads));
}

}  // namespace jouleforge
