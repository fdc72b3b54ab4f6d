// Finding and opening RAPL counters.
#include "energy/rapl_counters.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

#include "energy/file_descriptor.h"

namespace jouleforge {
namespace {

namespace fs = std::filesystem;

// A source exists, and may not be read.
struct Forbidden : RaplError {
  using RaplError::RaplError;
};

[[noreturn]] void raise_errno(const std::string& what) {
  const auto code = errno;
  const auto message = what + ": " + std::strerror(code);
  if (code == EACCES || code == EPERM) throw Forbidden(message);
  throw RaplError("E_RAPL: " + message);
}

std::string read_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw RaplError("E_RAPL: cannot read " + path.string());
  return line;
}

// `base` is that of std::from_chars, or nothing.
template <typename Number, typename... Base>
Number parse(std::string_view text, const fs::path& path, Base... base) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  if (error != std::errc{} || end == text.data()) {
    throw RaplError("E_RAPL: expected a number in " + path.string() + ", found '" +
                    std::string(text) + "'");
  }
  return value;
}

// ---- perf events: 64 bits that the kernel keeps from wrapping, open to CAP_PERFMON ----

class PerfCounter final : public EnergyCounter {
 public:
  PerfCounter(std::uint32_t type, std::uint64_t config, int cpu) : file_(open(type, config, cpu)) {}

  [[nodiscard]] std::uint64_t read() const override {
    std::uint64_t value = 0;
    if (::read(file_.get(), &value, sizeof value) != sizeof value) raise_errno("perf event");
    return value;
  }

 private:
  static FileDescriptor open(std::uint32_t type, std::uint64_t config, int cpu) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    constexpr int kAnyProcess = -1;
    constexpr int kNoGroup = -1;
    FileDescriptor file(static_cast<int>(syscall(SYS_perf_event_open, &attributes, kAnyProcess, cpu,
                                                 kNoGroup, PERF_FLAG_FD_CLOEXEC)));
    if (file.get() < 0) raise_errno("perf_event_open on CPU " + std::to_string(cpu));
    return file;
  }

  FileDescriptor file_;
};

// "0,18" or "0-1": one CPU of each package.
std::vector<int> read_cpus(const fs::path& path) {
  const auto line = read_line(path);
  std::vector<int> cpus;
  for (std::string_view rest = line; !rest.empty();) {
    const auto item = rest.substr(0, rest.find(','));
    const auto dash = item.find('-');
    const auto first = parse<int>(item, path);
    const auto last = dash == item.npos ? first : parse<int>(item.substr(dash + 1), path);
    for (auto cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
  }
  return cpus;
}

// "event=0x02".
std::uint64_t read_event(const fs::path& path) {
  const auto line = read_line(path);
  constexpr std::string_view kPrefix = "event=0x";
  if (!line.starts_with(kPrefix)) {
    throw RaplError("E_RAPL: expected event=0x... in " + path.string() + ", found '" + line + "'");
  }
  return parse<std::uint64_t>(std::string_view(line).substr(kPrefix.size()), path, 16);
}

std::vector<RaplDomain> open_perf(const fs::path& sysfs) {
  const auto power = sysfs / "bus/event_source/devices/power";
  std::vector<RaplDomain> domains;
  if (!fs::exists(power / "events/energy-pkg")) return domains;
  const auto type = parse<std::uint32_t>(read_line(power / "type"), power / "type");
  const auto cpus = read_cpus(power / "cpumask");
  const auto add = [&](const fs::path& event, RaplScope scope, const std::string& suffix) {
    const auto scale_file = fs::path(event.string() + ".scale");
    const auto scale = parse<double>(read_line(scale_file), scale_file);
    const auto config = read_event(event);
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      domains.push_back({.name = "package-" + std::to_string(i) + suffix,
                         .scope = scope,
                         .joules_per_count = scale,
                         .wraps_after = 0,
                         .counter = std::make_unique<const PerfCounter>(type, config, cpus[i])});
    }
  };
  add(power / "events/energy-pkg", RaplScope::kPackage, "");
  if (fs::exists(power / "events/energy-ram")) {
    add(power / "events/energy-ram", RaplScope::kDram, "/dram");
  }
  return domains;
}

// ---- powercap: files in microjoules, root only since CVE-2020-8694, and they wrap ----

class PowercapCounter final : public EnergyCounter {
 public:
  explicit PowercapCounter(fs::path path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_.get() < 0) raise_errno(path_.string());
  }

  [[nodiscard]] std::uint64_t read() const override {
    std::array<char, 32> text{};
    const auto length = ::pread(file_.get(), text.data(), text.size(), 0);
    if (length < 0) raise_errno(path_.string());
    return parse<std::uint64_t>({text.data(), static_cast<std::size_t>(length)}, path_);
  }

 private:
  fs::path path_;
  FileDescriptor file_;
};

RaplDomain open_zone(const fs::path& zone, std::string name, RaplScope scope) {
  const auto range = zone / "max_energy_range_uj";
  return {.name = std::move(name),
          .scope = scope,
          .joules_per_count = 1e-6,
          .wraps_after = parse<std::uint64_t>(read_line(range), range),
          .counter = std::make_unique<const PowercapCounter>(zone / "energy_uj")};
}

std::vector<RaplDomain> open_powercap(const fs::path& sysfs) {
  const auto root = sysfs / "class/powercap";
  std::vector<RaplDomain> domains;
  if (!fs::is_directory(root)) return domains;
  std::vector<fs::path> zones;
  for (const auto& entry : fs::directory_iterator(root)) {
    // "intel-rapl-mmio:0" repeats the package and does not begin so.
    if (entry.path().filename().string().starts_with("intel-rapl:")) zones.push_back(entry.path());
  }
  std::ranges::sort(zones);
  for (const auto& zone : zones) {
    const auto file = zone.filename().string();
    const auto name = read_line(zone / "name");
    if (name.starts_with("package")) {
      domains.push_back(open_zone(zone, name, RaplScope::kPackage));
    } else if (name == "dram") {
      const auto parent = read_line(root / file.substr(0, file.rfind(':')) / "name");
      domains.push_back(open_zone(zone, parent + "/dram", RaplScope::kDram));
    }
  }
  return domains;
}

constexpr auto kPermissionAdvice =
    ". Energy counters are root-only since kernel 5.10 (CVE-2020-8694): grant CAP_PERFMON to the "
    "interpreter (sudo setcap cap_perfmon+ep), or set kernel.perf_event_paranoid=0. CPU energy: "
    "unavailable";
constexpr auto kAbsentAdvice =
    "no RAPL counters (virtual machine, container or ARM). CPU energy: unavailable, which is not "
    "zero and not estimated";

}  // namespace

RaplDomains open_rapl(const std::filesystem::path& sysfs) {
  std::string forbidden;
  std::string broken;
  for (const auto* source : {"perf_event", "powercap"}) {
    try {
      auto domains =
          source == std::string_view("perf_event") ? open_perf(sysfs) : open_powercap(sysfs);
      if (!domains.empty()) return {.source = source, .domains = std::move(domains)};
    } catch (const Forbidden& error) {
      forbidden += (forbidden.empty() ? "" : "; ") + std::string(error.what());
    } catch (const RaplError& error) {
      broken += (broken.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  if (!forbidden.empty()) throw RaplError("E_RAPL_PERMISSION: " + forbidden + kPermissionAdvice);
  if (!broken.empty()) throw RaplError(broken);
  throw RaplError(std::string("E_RAPL_ABSENT: ") + kAbsentAdvice);
}

}  // namespace jouleforge
