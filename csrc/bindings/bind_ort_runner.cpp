// TensorSpec and OrtRunner.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "runners/ort.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

// Keeps an array alive from C++, where nobody holds the GIL.
std::shared_ptr<const void> own(const py::array& array) {
  return {array.inc_ref().ptr(), [](PyObject* object) {
            const py::gil_scoped_acquire gil;
            Py_DECREF(object);
          }};
}

Tensor to_tensor(const std::string& where, const std::string& name, const py::handle& value) {
  if (!py::isinstance<py::array>(value)) {
    throw py::type_error(where + ": '" + name + "' is expected to be a numpy array, found " +
                         std::string(py::str(py::type::handle_of(value))));
  }
  const auto array = py::reinterpret_borrow<py::array>(value);
  if ((array.flags() & py::array::c_style) == 0) {
    throw std::invalid_argument(where + ": '" + name + "' is expected to be C-contiguous; use " +
                                "numpy.ascontiguousarray");
  }
  if (!array.dtype().attr("isnative").cast<bool>()) {
    throw std::invalid_argument(where + ": '" + name +
                                "' is expected in this machine's byte order");
  }
  return {.name = name,
          .dtype = array.dtype().attr("name").cast<std::string>(),
          .shape = {array.shape(), array.shape() + array.ndim()},
          .data = const_cast<void*>(array.data()),
          .bytes = static_cast<std::size_t>(array.nbytes()),
          .owner = own(array)};
}

std::vector<Tensor> to_tensors(const std::string& where, const py::dict& arrays) {
  std::vector<Tensor> tensors;
  for (const auto& [name, array] : arrays) {
    tensors.push_back(to_tensor(where, name.cast<std::string>(), array));
  }
  return tensors;
}

void require_writable(const std::string& where, const py::dict& outputs) {
  for (const auto& [name, array] : outputs) {
    if (!py::reinterpret_borrow<py::array>(array).writeable()) {
      throw std::invalid_argument(where + ": '" + name.cast<std::string>() +
                                  "' is expected to be writable: it receives an output");
    }
  }
}

using Pairs = std::vector<std::pair<py::object, py::object>>;

void prepare(OrtRunner& runner, const Pairs& pairs) {
  std::vector<Batch> batches;
  for (const auto& [inputs, outputs] : pairs) {
    const auto where = "batch " + std::to_string(batches.size());
    const py::dict written(outputs);
    batches.push_back({to_tensors(where + ", inputs", py::dict(inputs)),
                       to_tensors(where + ", outputs", written)});
    require_writable(where + ", outputs", written);
  }
  runner.prepare(std::move(batches));
}

std::unique_ptr<OrtRunner> make(
    const std::filesystem::path& library, const std::filesystem::path& model, int threads,
    const std::vector<std::pair<std::string, std::map<std::string, std::string>>>& providers,
    const std::map<std::string, std::string>& config, int optimization_level) {
  OrtOptions options{.library = library.string(), .model = model.string(), .session = {}};
  options.session.threads = threads;
  options.session.entries = config;
  options.session.optimization_level = optimization_level;
  for (const auto& [name, values] : providers) {
    options.session.providers.push_back({.name = name, .options = values});
  }
  return std::make_unique<OrtRunner>(options);
}

py::tuple shape(const TensorSpec& spec) {
  py::list sizes;
  for (const auto& axis : spec.shape) {
    if (axis.size < 0 && !axis.symbol.empty()) {
      sizes.append(axis.symbol);
    } else {
      sizes.append(axis.size);
    }
  }
  return py::tuple(sizes);
}

}  // namespace

void bind_ort_runner(py::module_& module) {
  using Options = std::map<std::string, std::string>;
  py::class_<TensorSpec>(module, "TensorSpec")
      .def_readonly("name", &TensorSpec::name)
      .def_readonly("dtype", &TensorSpec::dtype)
      .def_property_readonly("shape", &shape)
      .def("__repr__", [](const TensorSpec& spec) { return spec.name + ": " + to_string(spec); });
  py::class_<OrtRunner, Runner>(module, "OrtRunner")
      .def(py::init(&make), py::arg("library"), py::arg("model"), py::kw_only(), py::arg("threads"),
           py::arg("providers") = std::vector<std::pair<std::string, Options>>{},
           py::arg("config") = Options{}, py::arg("optimization_level") = 99,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("input_specs", &OrtRunner::input_specs)
      .def_property_readonly("output_specs", &OrtRunner::output_specs)
      .def_property_readonly("version", &OrtRunner::version)
      .def("prepare", &prepare, py::arg("batches"));
}

}  // namespace jouleforge::bindings
