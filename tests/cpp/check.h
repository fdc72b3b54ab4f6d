// The whole test framework: a condition, what it means, and where it failed.
#pragma once

#include <cstdio>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>

namespace jouleforge::testing {

inline int failures = 0;

inline void check(bool condition, std::string_view what,
                  std::source_location where = std::source_location::current()) {
  if (condition) return;
  ++failures;
  std::fprintf(stderr, "%s:%u: failed: %.*s\n", where.file_name(), where.line(),
               static_cast<int>(what.size()), what.data());
}

// Checks that a call throws `Error`, and that its message holds `fragment`.
template <typename Error, typename Call>
void check_throws(Call&& call, std::string_view fragment,
                  std::source_location where = std::source_location::current()) {
  try {
    call();
  } catch (const Error& error) {
    const std::string_view message(error.what());
    check(message.find(fragment) != message.npos,
          "'" + std::string(message) + "' holds '" + std::string(fragment) + "'", where);
    return;
  } catch (const std::exception& error) {
    check(false, "another exception came: " + std::string(error.what()), where);
    return;
  }
  check(false, "nothing was thrown; expected '" + std::string(fragment) + "'", where);
}

// What main() returns.
inline int result() {
  if (failures == 0) std::puts("all checks passed");
  return failures == 0 ? 0 : 1;
}

}  // namespace jouleforge::testing
