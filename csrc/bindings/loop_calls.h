// What the calls of both timed loops have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace jouleforge::bindings {

// Throws std::invalid_argument for a negative index.
[[nodiscard]] std::vector<std::size_t> to_order(const std::vector<std::int64_t>& batches);

// The signal's own Python handler decides what is raised; a loop cut short never returns a trace.
[[noreturn]] void raise_interrupt();

}  // namespace jouleforge::bindings
