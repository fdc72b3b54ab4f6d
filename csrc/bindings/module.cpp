// The Python module jouleforge._core. Its signatures are documented in _core.pyi.
#include "bindings/bindings.h"

PYBIND11_MODULE(_core, module) {
  using namespace jouleforge::bindings;
  module.doc() = "The native harness: runners, the timed loop and energy counters.";
  bind_runner(module);
  bind_callable_runner(module);
  bind_cuda_graph_runner(module);
  bind_null_runner(module);
  bind_tensor_spec(module);
  bind_ort_runner(module);
  bind_ov_runner(module);
  bind_loop(module);
  bind_queries(module);
  bind_energy_window(module);
  bind_nvml(module);
  bind_gpu_meter(module);
  bind_gpu_memory(module);
  bind_rapl(module);
}
