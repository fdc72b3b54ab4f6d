// dlopen and dlsym.
#include "dynamic_library.h"

#include <dlfcn.h>

#include <stdexcept>

namespace jouleforge {
namespace {

std::string loader_message() {
  const char* message = dlerror();
  return message == nullptr ? "no reason given" : message;
}

}  // namespace

void DynamicLibrary::Close::operator()(void* handle) const noexcept { dlclose(handle); }

DynamicLibrary::DynamicLibrary(const std::string& path)
    : path_(path), handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) {
  if (!handle_) throw std::runtime_error(loader_message());
}

void* DynamicLibrary::address_or_null(const char* name) const noexcept {
  return dlsym(handle_.get(), name);
}

void* DynamicLibrary::address(const char* name) const {
  void* found = address_or_null(name);
  if (found == nullptr) throw std::runtime_error(path_ + " has no symbol " + name);
  return found;
}

}  // namespace jouleforge
