// The null runner.
#include "runners/null.h"

#include <stdexcept>

namespace jouleforge {

NullRunner::NullRunner(std::size_t batches) : batches_(batches) {
  if (batches == 0) throw std::invalid_argument("expected at least one batch, found 0");
}

void NullRunner::run(std::size_t batch) { require_batch(batch, batches_); }

}  // namespace jouleforge
