// CudaGraphRunner.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "runners/cuda_graph.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

using Copies = std::vector<std::pair<std::uintptr_t, py::array>>;
using GraphBatches = std::vector<std::tuple<std::uintptr_t, Copies, Copies>>;

std::vector<DeviceCopy> to_copies(const std::string& where, const Copies& copies) {
  std::vector<DeviceCopy> made;
  for (const auto& [device, array] : copies) {
    if ((array.flags() & py::array::c_style) == 0) {
      throw std::invalid_argument(where + ": an array is expected to be C-contiguous; use " +
                                  "numpy.ascontiguousarray");
    }
    made.push_back({.device = device,
                    .host = const_cast<void*>(array.data()),
                    .bytes = static_cast<std::size_t>(array.nbytes())});
  }
  return made;
}

void require_writable(const std::string& where, const Copies& copies) {
  for (const auto& [device, array] : copies) {
    if (!array.writeable()) {
      throw std::invalid_argument(where + ": an array is expected to be writable: it receives an " +
                                  "output");
    }
  }
}

// Keeps Python objects alive from C++, where nobody holds the GIL.
std::shared_ptr<const void> keep(const py::object& kept) {
  return {py::object(kept).release().ptr(), [](PyObject* object) {
            const py::gil_scoped_acquire gil;
            Py_DECREF(object);
          }};
}

void prepare(CudaGraphRunner& runner, const GraphBatches& batches, const py::object& owner) {
  std::vector<GraphBatch> made;
  for (const auto& [graph, inputs, outputs] : batches) {
    const auto where = "batch " + std::to_string(made.size());
    require_writable(where + ", outputs", outputs);
    made.push_back({.graph_exec = graph,
                    .inputs = to_copies(where + ", inputs", inputs),
                    .outputs = to_copies(where + ", outputs", outputs),
                    .owner = keep(py::make_tuple(owner, inputs, outputs))});
  }
  runner.prepare(std::move(made));
}

}  // namespace

void bind_cuda_graph_runner(py::module_& module) {
  py::class_<CudaGraphRunner, Runner>(module, "CudaGraphRunner")
      .def(py::init([](std::uintptr_t stream, int device, const std::string& library) {
             return make_without_gil<CudaGraphRunner>(
                 CudaGraphOptions{.library = library, .device = device, .stream = stream});
           }),
           py::kw_only(), py::arg("stream"), py::arg("device") = 0,
           py::arg("library") = CudaGraphOptions{}.library)
      .def("prepare", &prepare, py::arg("batches"), py::arg("owner") = py::none());
}

}  // namespace jouleforge::bindings
