// The part of OpenVINO's C API that we call, by name.
//
// The functions are plain symbols of libopenvino_c.so.*, whose C signatures have not changed since
// 2022.3; the numbers of the element types have (see ov_session.cpp). No header is needed to build.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dynamic_library.h"

namespace jouleforge::ov {

// Opaque handles.
struct CompiledModel;
struct Core;
struct HostTensor;
struct InferRequest;
struct Port;

// ov_status_e, ov_element_type_e.
using Status = int;
inline constexpr Status kOk = 0;
using ElementType = unsigned int;

// ov_shape_t, passed by value.
struct Shape {
  std::int64_t rank;
  std::int64_t* sizes;
};

// ov_dimension_t and ov_rank_t: a fixed size has equal bounds.
struct Dimension {
  std::int64_t min;
  std::int64_t max;
};

struct PartialShape {
  Dimension rank;
  Dimension* sizes;
};

struct Version {
  const char* build;
  const char* description;
};

// A function yet to be found; it becomes a pointer of whatever type it is assigned to.
struct Symbol {
  const DynamicLibrary& library;
  const char* name;

  template <typename Function>
  operator Function*() const {  // NOLINT(google-explicit-constructor): that is its purpose
    return library.symbol<Function>(name);
  }
};

// Constructing it throws std::runtime_error naming the first function that the library lacks.
struct Api {
  explicit Api(const DynamicLibrary& from) : library(from) {}

  const DynamicLibrary& library;
  void (*free)(const char*) = find("ov_free");
  const char* (*get_error_info)(Status) = find("ov_get_error_info");
  const char* (*get_last_err_msg)() = find("ov_get_last_err_msg");  // the caller frees it
  Status (*get_openvino_version)(Version*) = find("ov_get_openvino_version");
  void (*version_free)(Version*) = find("ov_version_free");

  Status (*core_create)(Core**) = find("ov_core_create");
  Status (*core_set_property)(const Core*, const char* device, ...) = find("ov_core_set_property");
  Status (*core_compile_model_from_file)(const Core*, const char* path, const char* device,
                                         std::size_t properties, CompiledModel**,
                                         ...) = find("ov_core_compile_model_from_file");
  void (*core_free)(Core*) = find("ov_core_free");

  Status (*compiled_model_inputs_size)(const CompiledModel*,
                                       std::size_t*) = find("ov_compiled_model_inputs_size");
  Status (*compiled_model_input_by_index)(const CompiledModel*, std::size_t,
                                          Port**) = find("ov_compiled_model_input_by_index");
  Status (*compiled_model_outputs_size)(const CompiledModel*,
                                        std::size_t*) = find("ov_compiled_model_outputs_size");
  Status (*compiled_model_output_by_index)(const CompiledModel*, std::size_t,
                                           Port**) = find("ov_compiled_model_output_by_index");
  Status (*compiled_model_get_property)(const CompiledModel*, const char* key,
                                        char** value) = find("ov_compiled_model_get_property");
  Status (*compiled_model_create_infer_request)(const CompiledModel*, InferRequest**) =
      find("ov_compiled_model_create_infer_request");
  void (*compiled_model_free)(CompiledModel*) = find("ov_compiled_model_free");

  Status (*port_get_any_name)(const Port*, char**) = find("ov_port_get_any_name");
  Status (*port_get_element_type)(const Port*, ElementType*) = find("ov_port_get_element_type");
  Status (*port_get_partial_shape)(const Port*, PartialShape*) = find("ov_port_get_partial_shape");
  void (*output_const_port_free)(Port*) = find("ov_output_const_port_free");
  void (*partial_shape_free)(PartialShape*) = find("ov_partial_shape_free");

  Status (*tensor_create)(ElementType, Shape, HostTensor**) = find("ov_tensor_create");
  Status (*tensor_create_from_host_ptr)(ElementType, Shape, void*,
                                        HostTensor**) = find("ov_tensor_create_from_host_ptr");
  Status (*tensor_get_byte_size)(const HostTensor*, std::size_t*) = find("ov_tensor_get_byte_size");
  Status (*tensor_get_shape)(const HostTensor*, Shape*) = find("ov_tensor_get_shape");
  Status (*tensor_data)(const HostTensor*, void**) = find("ov_tensor_data");
  void (*tensor_free)(HostTensor*) = find("ov_tensor_free");
  Status (*shape_free)(Shape*) = find("ov_shape_free");

  Status (*infer_request_set_tensor)(InferRequest*, const char* name,
                                     const HostTensor*) = find("ov_infer_request_set_tensor");
  Status (*infer_request_get_tensor)(const InferRequest*, const char* name,
                                     HostTensor**) = find("ov_infer_request_get_tensor");
  Status (*infer_request_infer)(InferRequest*) = find("ov_infer_request_infer");
  Status (*infer_request_start_async)(InferRequest*) = find("ov_infer_request_start_async");
  Status (*infer_request_wait)(InferRequest*) = find("ov_infer_request_wait");
  void (*infer_request_free)(InferRequest*) = find("ov_infer_request_free");

 private:
  [[nodiscard]] Symbol find(const char* name) const { return {library, name}; }
};

}  // namespace jouleforge::ov
