// What each bind_<class>.cpp adds to the module.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

namespace jouleforge::bindings {

// For the factories of py::init: only the making goes on without the GIL. A call_guard around the
// factory would give it up for longer, and pybind11 then enters the new object into a map of all
// objects that nothing but the GIL protects.
template <typename Made, typename... Arguments>
std::unique_ptr<Made> make_without_gil(Arguments&&... arguments) {
  const pybind11::gil_scoped_release nogil;
  return std::make_unique<Made>(std::forward<Arguments>(arguments)...);
}

void bind_runner(pybind11::module_& module);  // first: the runners derive from it
void bind_callable_runner(pybind11::module_& module);
void bind_cuda_graph_runner(pybind11::module_& module);
void bind_gpu_memory(pybind11::module_& module);
void bind_gpu_meter(pybind11::module_& module);
void bind_energy_window(pybind11::module_& module);  // before the meters whose readings are windows
void bind_loop(pybind11::module_& module);
void bind_null_runner(pybind11::module_& module);
void bind_nvml(pybind11::module_& module);
void bind_ort_runner(pybind11::module_& module);
void bind_ov_runner(pybind11::module_& module);
void bind_queries(pybind11::module_& module);  // after the loop, whose trace it gives
void bind_rapl(pybind11::module_& module);
void bind_tensor_spec(pybind11::module_& module);  // before the runners whose specs it is

}  // namespace jouleforge::bindings
