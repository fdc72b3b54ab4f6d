// A shared library that is loaded at run time, so that nothing vendor-specific is needed to build.
#pragma once

#include <memory>
#include <string>

namespace jouleforge {

class DynamicLibrary {
 public:
  // Throws std::runtime_error with the loader's own message. The library is never unloaded:
  // inference runtimes leave threads and exit handlers behind.
  explicit DynamicLibrary(const std::string& path);

  // Throws std::runtime_error when the library does not hold it.
  template <typename Function>
  [[nodiscard]] Function* symbol(const char* name) const {
    return reinterpret_cast<Function*>(address(name));
  }

  // The same, but nullptr when the library does not hold it.
  template <typename Function>
  [[nodiscard]] Function* symbol_or_null(const char* name) const noexcept {
    return reinterpret_cast<Function*>(address_or_null(name));
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(void* handle) const noexcept;
  };

  [[nodiscard]] void* address(const char* name) const;
  [[nodiscard]] void* address_or_null(const char* name) const noexcept;

  std::string path_;
  std::unique_ptr<void, Close> handle_;
};

}  // namespace jouleforge
