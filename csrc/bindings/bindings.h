// What each bind_<class>.cpp adds to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace jouleforge::bindings {

void bind_runner(pybind11::module_& module);  // first: the runners derive from it
void bind_callable_runner(pybind11::module_& module);
void bind_cuda_graph_runner(pybind11::module_& module);
void bind_gpu_meter(pybind11::module_& module);
void bind_energy_window(pybind11::module_& module);  // before the meters whose readings are windows
void bind_loop(pybind11::module_& module);
void bind_null_runner(pybind11::module_& module);
void bind_nvml(pybind11::module_& module);
void bind_ort_runner(pybind11::module_& module);
void bind_ov_runner(pybind11::module_& module);
void bind_rapl(pybind11::module_& module);
void bind_tensor_spec(pybind11::module_& module);  // before the runners whose specs it is

}  // namespace jouleforge::bindings
