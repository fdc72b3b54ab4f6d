// A runner that does nothing: what is left of its time is the loop's own.
#pragma once

#include <cstddef>

#include "runner.h"

namespace jouleforge {

class NullRunner final : public Runner {
 public:
  // Throws std::invalid_argument for no batches.
  explicit NullRunner(std::size_t batches);

  [[nodiscard]] std::size_t batches() const override { return batches_; }
  void run(std::size_t batch) override;

 private:
  std::size_t batches_;
};

}  // namespace jouleforge
