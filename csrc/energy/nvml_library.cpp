// Loading libnvidia-ml.
#include "energy/nvml_library.h"

#include <stdexcept>

#include "energy/nvml.h"

namespace jouleforge::nvml {
namespace {

static_assert(sizeof(Process) == 24 && sizeof(FieldValue) == 40 && sizeof(Violation) == 16,
              "the layouts of nvml.h");

DynamicLibrary load(const std::string& path) {
  try {
    return DynamicLibrary(path);
  } catch (const std::runtime_error& error) {
    throw NvmlError(std::string("E_NVML_MISSING: ") + error.what() +
                    ". Is the NVIDIA driver installed? GPU energy: unavailable");
  }
}

}  // namespace

template <typename Function>
Function* Library::need(const char* symbol) const {
  try {
    return library_.symbol<Function>(symbol);
  } catch (const std::runtime_error& error) {
    throw NvmlError(std::string("E_NVML_MISSING: not an NVML library: ") + error.what());
  }
}

Library::Library(const std::string& path) : library_(load(path)) { check(init(), "nvmlInit_v2"); }

Library::~Library() { shutdown(); }

void Library::check(int status, const char* call) const {
  if (status == kSuccess) return;
  throw NvmlError(std::string("E_NVML: ") + call + ": " + error_string(status));
}

}  // namespace jouleforge::nvml
