// Loading OpenVINO, and asking it for a compiled model.
#include "runners/ov_session.h"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <string_view>

#include "runner.h"

namespace jouleforge::ov {
namespace {

constexpr auto kDevice = "CPU";

// ov_element_type_e of OpenVINO 2025 and newer, by value: the name that numpy has for the type, or
// none, and the bits of one element. The enum has been renumbered before, so the sizes are compared
// with the library's own when it is loaded.
struct Type {
  std::string_view dtype;
  std::size_t bits;
};

constexpr std::array<Type, 20> kTypes{
    {{"dynamic", 0},  {"bool", 8},  {"bfloat16", 16}, {"float16", 16}, {"float32", 32},
     {"float64", 64}, {"i4", 4},    {"int8", 8},      {"int16", 16},   {"int32", 32},
     {"int64", 64},   {"u1", 1},    {"u2", 2},        {"u3", 3},       {"u4", 4},
     {"u6", 6},       {"uint8", 8}, {"uint16", 16},   {"uint32", 32},  {"uint64", 64}}};

DynamicLibrary load(const std::string& path) {
  try {
    return DynamicLibrary(path);
  } catch (const std::runtime_error& error) {
    throw RunnerError(std::string("cannot load OpenVINO: ") + error.what() +
                      "; the wheel openvino holds it as openvino/libs/libopenvino_c.so.*");
  }
}

Api open_api(const DynamicLibrary& library) {
  try {
    return Api(library);
  } catch (const std::runtime_error& error) {
    throw RunnerError(library.path() + " is not OpenVINO 2025 or newer: " + error.what());
  }
}

// OpenVINO's messages are several lines, the first ones naming its own source files.
std::string on_one_line(std::string text) {
  std::string line;
  for (const char c : text) {
    const bool blank = c == '\n' || c == ' ';
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

Library::Library(const std::string& path)
    : library_(load(path)), api_(open_api(library_)), core_(nullptr, api_.core_free) {
  Version version{};
  check(api_.get_openvino_version(&version));
  const std::string build = version.build;  // "2026.4.1-20000-abcdef"
  version_ = build.substr(0, build.find('-'));
  api_.version_free(&version);
  require_known_types();
  core_ = make(api_.core_free, api_.core_create);
}

void Library::raise(Status status) const {
  // A message of its own is there whenever an exception was the cause.
  const char* last = api_.get_last_err_msg();
  std::string message = last == nullptr ? "" : on_one_line(last);
  if (last != nullptr) api_.free(last);
  if (message.empty()) message = api_.get_error_info(status);
  throw RunnerError(message + " [OpenVINO " + version_ + "]");
}

std::string Library::take(char* text) const {
  std::string copy = text;
  api_.free(text);
  return copy;
}

void Library::require_known_types() const {
  std::int64_t eight = 8;
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].bits == 0) continue;
    const auto tensor =
        make(api_.tensor_free, api_.tensor_create, static_cast<ElementType>(i), Shape{1, &eight});
    std::size_t bytes = 0;
    check(api_.tensor_get_byte_size(tensor.get(), &bytes));
    if (bytes != kTypes[i].bits) {
      throw RunnerError("OpenVINO " + version_ + " numbers its element types in another way than " +
                        "2025 and 2026 do: type " + std::to_string(i) + " is not " +
                        std::string(kTypes[i].dtype) + "; install one of these");
    }
  }
}

void Library::set_property(const std::string& key, const std::string& value) const {
  check(api_.core_set_property(core_.get(), kDevice, key.c_str(), value.c_str()));
}

OwnedCompiledModel Library::compile(const std::string& model,
                                    const Compilation& compilation) const {
  const auto threads = std::to_string(compilation.threads);
  set_property("PERFORMANCE_HINT", "LATENCY");
  set_property("INFERENCE_NUM_THREADS", threads);
  set_property("INFERENCE_PRECISION_HINT", compilation.precision);
  for (const auto& [key, value] : compilation.entries) set_property(key, value);
  CompiledModel* handle = nullptr;
  try {
    check(api_.core_compile_model_from_file(core_.get(), model.c_str(), kDevice, 0, &handle));
  } catch (const RunnerError& error) {
    throw RunnerError("cannot load " + model + ": " + error.what());
  }
  OwnedCompiledModel compiled(handle, api_.compiled_model_free);
  if (const auto used = property(handle, "INFERENCE_NUM_THREADS"); used != threads) {
    throw RunnerError("asked for " + threads + " threads, OpenVINO " + version_ + " would use " +
                      used + "; ask for as many as there are processor cores to use, or fewer");
  }
  return compiled;
}

std::string Library::property(const CompiledModel* model, const std::string& key) const {
  char* value = nullptr;
  check(api_.compiled_model_get_property(model, key.c_str(), &value));
  return take(value);
}

TensorSpec Library::spec(const Port* port) const {
  char* name = nullptr;
  check(api_.port_get_any_name(port, &name));
  TensorSpec found{.name = take(name), .dtype = {}, .shape = {}};
  ElementType type = 0;
  check(api_.port_get_element_type(port, &type));
  found.dtype = type < kTypes.size() ? std::string(kTypes[type].dtype)
                                     : "OpenVINO element type " + std::to_string(type);
  PartialShape shape{};
  check(api_.port_get_partial_shape(port, &shape));
  const auto rank = static_cast<std::size_t>(std::max<std::int64_t>(shape.rank.max, 0));
  for (const auto& size : std::span(shape.sizes, rank)) {
    found.shape.push_back({.size = size.min == size.max ? size.min : -1, .symbol = {}});
  }
  api_.partial_shape_free(&shape);
  return found;
}

std::vector<TensorSpec> Library::input_specs(const CompiledModel* model) const {
  std::size_t count = 0;
  check(api_.compiled_model_inputs_size(model, &count));
  std::vector<TensorSpec> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(spec(
        make(api_.output_const_port_free, api_.compiled_model_input_by_index, model, i).get()));
  }
  return all;
}

std::vector<TensorSpec> Library::output_specs(const CompiledModel* model) const {
  std::size_t count = 0;
  check(api_.compiled_model_outputs_size(model, &count));
  std::vector<TensorSpec> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(spec(
        make(api_.output_const_port_free, api_.compiled_model_output_by_index, model, i).get()));
  }
  return all;
}

OwnedTensor Library::make_tensor(const Tensor& tensor) const {
  const auto type = std::ranges::find(kTypes, tensor.dtype, &Type::dtype) - kTypes.begin();
  if (type == std::ssize(kTypes)) {
    throw RunnerError("'" + tensor.name + "': no tensor can be made of " + to_string(tensor));
  }
  auto sizes = tensor.shape;  // the C interface takes them as if it would write them
  return make(api_.tensor_free, api_.tensor_create_from_host_ptr, static_cast<ElementType>(type),
              Shape{std::ssize(sizes), sizes.data()}, tensor.data);
}

void Library::require_bound(const InferRequest* request, const Tensor& tensor) const {
  const auto found =
      make(api_.tensor_free, api_.infer_request_get_tensor, request, tensor.name.c_str());
  Shape shape{};
  void* data = nullptr;
  check(api_.tensor_get_shape(found.get(), &shape));
  auto produced = tensor;
  produced.shape.assign(shape.sizes, shape.sizes + shape.rank);
  api_.shape_free(&shape);
  check(api_.tensor_data(found.get(), &data));
  if (produced.shape != tensor.shape) {
    throw RunnerError("'" + tensor.name + "' was given room for " + to_string(tensor) +
                      ", and the model produced " + to_string(produced) + " [OpenVINO " + version_ +
                      "]");
  }
  if (data != tensor.data && tensor.bytes != 0) {
    throw RunnerError("OpenVINO " + version_ + " left '" + tensor.name +
                      "' outside the buffer bound for it");
  }
}

}  // namespace jouleforge::ov
