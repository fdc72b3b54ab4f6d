// NVML against a fake library: devices, counters, and one clear error for each fault.
#include "check.h"
#include "dynamic_library.h"
#include "energy/nvml.h"

using namespace jouleforge;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

const std::string kFake = FAKE_NVML;
const DynamicLibrary kControls(kFake);

void set_energy_mj(unsigned index, unsigned long long value) {
  kControls.symbol<void(unsigned, unsigned long long)>("fake_set_energy_mj")(index, value);
}

void set_energy_status(unsigned index, int status) {
  kControls.symbol<void(unsigned, int)>("fake_set_energy_status")(index, status);
}

void finds_devices_by_index_and_by_uuid() {
  check(nvml_device_count(kFake) == 2, "two devices");
  const NvmlDevice second(1U, kFake);
  const NvmlDevice same(second.uuid(), kFake);
  check(second.uuid() == "GPU-bbbb" && same.uuid() == second.uuid(), "the same GPU");
  check(second.name() == "Fake GPU" && second.driver() == "999.00", "its name and driver");
}

void reads_each_device_its_own_counter() {
  set_energy_mj(0, 123);
  set_energy_mj(1, 7'000'000'000'000ULL);
  check(NvmlDevice(0U, kFake).total_energy_mj() == 123, "the first");
  check(NvmlDevice(1U, kFake).total_energy_mj() == 7'000'000'000'000ULL, "more than 32 bits");
}

void says_whether_mig_is_on() {
  const NvmlDevice device(0U, kFake);
  check(!device.mig_enabled(), "off");
  kControls.symbol<void(unsigned, unsigned)>("fake_set_mig")(0, 1);
  check(device.mig_enabled(), "on");
}

void tells_the_status_of_every_call() {
  const NvmlDevice device(0U, kFake);
  const auto status_of = [&device](const std::string& call) {
    for (const auto& answer : device.answers()) {
      if (answer.call == call) return answer.status;
    }
    return std::string("not asked");
  };
  for (const auto* call : {"nvmlDeviceGetTemperature", "nvmlDeviceGetFieldValues 186"}) {
    check(status_of(call) == "ok", call);
  }
  check(status_of("nvmlDeviceGetTotalEnergyConsumption") == "ok", "the counter");
  set_energy_status(0, 3);
  check(status_of("nvmlDeviceGetTotalEnergyConsumption") == "3 Not Supported", "no counter");
  set_energy_status(0, 0);
  kControls.symbol<void(unsigned, int)>("fake_set_power_status")(0, 3);
  check(status_of("nvmlDeviceGetFieldValues 186") == "3 Not Supported", "no power");
  kControls.symbol<void(unsigned, int)>("fake_set_power_status")(0, 0);
}

void closes_what_it_opened() {
  auto* const open_count = kControls.symbol<int()>("fake_open_count");
  const auto before = open_count();
  {
    const NvmlDevice device(0U, kFake);
    check(open_count() == before + 1, "open while in use");
  }
  check(open_count() == before, "closed afterwards");
}

void each_fault_is_one_clear_error() {
  check_throws<NvmlError>([] { (void)nvml_device_count("libnothing.so.1"); },
                          "E_NVML_MISSING: libnothing.so.1");
  check_throws<NvmlError>([] { (void)nvml_device_count("libm.so.6"); }, "not an NVML library");
  check_throws<NvmlError>([] { const NvmlDevice none(2U, kFake); }, "below 2, found 2");
  check_throws<NvmlError>([] { const NvmlDevice none("GPU-zzzz", kFake); }, "GPU-zzzz");
  set_energy_status(1, 3);
  check_throws<NvmlError>([] { (void)NvmlDevice(1U, kFake).total_energy_mj(); },
                          "E_NVML_ENERGY_UNSUPPORTED: GPU GPU-bbbb (Fake GPU, driver 999.00)");
  set_energy_status(1, 15);
  check_throws<NvmlError>([] { (void)NvmlDevice(1U, kFake).total_energy_mj(); },
                          "nvmlDeviceGetTotalEnergyConsumption: Some Error");
  kControls.symbol<void(int)>("fake_set_init_status")(9);
  check_throws<NvmlError>([] { (void)nvml_device_count(kFake); }, "nvmlInit_v2: Driver Not Loaded");
}

}  // namespace

int main() {
  finds_devices_by_index_and_by_uuid();
  reads_each_device_its_own_counter();
  says_whether_mig_is_on();
  tells_the_status_of_every_call();
  closes_what_it_opened();
  each_fault_is_one_clear_error();
  return jouleforge::testing::result();
}
