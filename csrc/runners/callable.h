// A runner over any function of a batch index, for whatever has no runner of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <utility>

#include "runner.h"

namespace jouleforge {

class CallableRunner final : public Runner {
 public:
  using Step = std::function<void(std::size_t)>;

  // `step` has to return only when the outputs of the batch are ready; what it throws is passed on.
  CallableRunner(Step step, std::size_t batches) : step_(std::move(step)), batches_(batches) {
    if (batches == 0) throw std::invalid_argument("expected at least one batch, found 0");
  }

  [[nodiscard]] std::size_t batches() const override { return batches_; }

  void run(std::size_t batch) override {
    require_batch(batch, batches_);
    step_(batch);
  }

 private:
  Step step_;
  std::size_t batches_;
};

}  // namespace jouleforge
