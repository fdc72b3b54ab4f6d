// RAPL against made-up sysfs trees: wraps, what is counted and what is not, faults.
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "check.h"
#include "energy/rapl.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;
namespace fs = std::filesystem;

namespace {

constexpr auto kWindow = 110ms;  // a little over the shortest that RAPL may report

// A sysfs of our own, removed at the end.
class Tree {
 public:
  Tree() : root_(make()) {}
  ~Tree() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  [[nodiscard]] const fs::path& root() const { return root_; }

  // In place and in one write, so that a reader in between sees one value or the other.
  void write(const std::string& file, std::string text) const {
    const auto path = root_ / file;
    fs::create_directories(path.parent_path());
    if (!fs::exists(path)) std::ofstream(path).flush();
    text.resize(24, '\n');
    std::fstream(path, std::ios::in | std::ios::out).write(text.data(), 24);
  }

  void zone(const std::string& zone, const std::string& name, std::uint64_t energy_uj,
            std::uint64_t range_uj = 262'143'328'850) const {
    const auto folder = "class/powercap/" + zone + "/";
    write(folder + "name", name);
    write(folder + "max_energy_range_uj", std::to_string(range_uj));
    energy(zone, energy_uj);
  }

  void energy(const std::string& zone, std::uint64_t energy_uj) const {
    write("class/powercap/" + zone + "/energy_uj", std::to_string(energy_uj));
  }

 private:
  static fs::path make() {
    auto name = (fs::temp_directory_path() / "jouleforge-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }

  fs::path root_;
};

bool near(const RaplReading& reading, double joules) {
  return reading.joules && std::abs(*reading.joules - joules) < 1e-6;
}

void counts_packages_and_dram_and_nothing_twice() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.zone("intel-rapl:0:0", "core", 0);
  tree.zone("intel-rapl:0:1", "dram", 500'000);
  tree.zone("intel-rapl:1", "package-1", 2'000'000);
  tree.zone("intel-rapl:2", "psys", 9'000'000);
  tree.zone("intel-rapl-mmio:0", "package-0", 1'000'000);
  Rapl rapl({.sysfs = tree.root()});
  check(rapl.source() == "powercap", "no perf events here");
  check(rapl.domains() == std::vector<std::string>{"package-0", "package-0/dram", "package-1"},
        "psys, cores and the mmio copy are left out");
  rapl.start();
  std::this_thread::sleep_for(kWindow);
  tree.energy("intel-rapl:0", 4'500'000);
  tree.energy("intel-rapl:0:1", 1'250'000);
  tree.energy("intel-rapl:1", 3'000'000);
  tree.energy("intel-rapl:2", 99'000'000);
  const auto readings = rapl.stop();
  check(near(readings[0], 3.5) && readings[0].scope == RaplScope::kPackage, "package-0");
  check(near(readings[1], 0.75) && readings[1].scope == RaplScope::kDram, "its memory");
  check(near(readings[2], 1.0), "package-1");
  check(readings[0].seconds() >= 0.1, "the window's own length");
  check(readings[0].uncertainty > 0 && readings[0].uncertainty < 0.01, "how well it is known");
}

void a_wrap_is_counted_once() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 9'000'000, 10'000'000);
  Rapl rapl({.sysfs = tree.root()});
  rapl.start();
  std::this_thread::sleep_for(kWindow);
  tree.energy("intel-rapl:0", 500'000);
  check(near(rapl.stop()[0], 1.5), "1 J to the end of the range, and 0.5 J after it");
}

void several_wraps_are_followed_while_the_window_is_open() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 0, 10'000'000);
  Rapl rapl({.sysfs = tree.root(), .longest_interval = 2ms});
  rapl.start();
  double joules = 0;
  for (int i = 1; i <= 8; ++i) {
    std::this_thread::sleep_for(20ms);
    joules += 4;
    tree.energy("intel-rapl:0", static_cast<std::uint64_t>(std::fmod(joules, 10) * 1e6));
  }
  std::this_thread::sleep_for(20ms);
  check(near(rapl.stop()[0], 32), "three wraps of 10 J");
}

void a_window_can_be_opened_again() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 0);
  Rapl rapl({.sysfs = tree.root()});
  rapl.start();
  tree.energy("intel-rapl:0", 50'000'000);
  rapl.start();
  std::this_thread::sleep_for(kWindow);
  tree.energy("intel-rapl:0", 51'000'000);
  check(near(rapl.stop()[0], 1), "only the second window");
  check_throws<RaplError>([&] { (void)rapl.stop(); }, "stop() without start()");
}

// One window over one package that ends at `last`, waiting `window`; returns the reason.
std::string reason_for(std::uint64_t first, std::uint64_t last, std::uint64_t range,
                       std::chrono::milliseconds window) {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", first, range);
  Rapl rapl({.sysfs = tree.root()});
  rapl.start();
  std::this_thread::sleep_for(window);
  tree.energy("intel-rapl:0", last);
  const auto reading = rapl.stop().at(0);
  check(!reading.joules, "no number is given");
  return reading.reason.substr(0, reading.reason.find(':'));
}

void a_counter_that_cannot_be_believed_gives_no_number() {
  check(reason_for(7, 7, 1'000'000'000, kWindow) == "E_RAPL_FROZEN", "it stood still");
  check(reason_for(7, 900'000'000, 1'000'000'000, kWindow) == "E_RAPL_IMPLAUSIBLE",
        "900 J in a tenth of a second");
  check(reason_for(9'000, 100, 1'000'000'000, kWindow) == "E_RAPL_IMPLAUSIBLE",
        "a reset looks like a whole range");
  check(reason_for(7, 8, 1'000'000'000, 0ms) == "E_WINDOW_TOO_SHORT", "no window at all");
}

void one_counter_shown_twice_is_added_once() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0-die-0", 5'000'000);
  tree.zone("intel-rapl:1", "package-0-die-1", 5'000'000);
  Rapl rapl({.sysfs = tree.root()});
  rapl.start();
  std::this_thread::sleep_for(kWindow);
  tree.energy("intel-rapl:0", 6'000'000);
  tree.energy("intel-rapl:1", 6'000'000);
  const auto readings = rapl.stop();
  check(near(readings[0], 1), "the first counts");
  check(!readings[1].joules && readings[1].reason.starts_with("E_RAPL_MIRRORED"), "the copy not");
}

void no_counters_are_one_clear_error() {
  const Tree tree;
  check_throws<RaplError>([&] { const Rapl none({.sysfs = tree.root()}); }, "E_RAPL_ABSENT");
  check_throws<RaplError>([&] { const Rapl none({.sysfs = "/nonexistent"}); }, "E_RAPL_ABSENT");
}

void forbidden_counters_are_one_clear_error() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 1);
  chmod((tree.root() / "class/powercap/intel-rapl:0/energy_uj").c_str(), 0);
  chmod(tree.root().c_str(), 0755);
  const bool root = geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  if (root && seteuid(kNobody) != 0) return;  // root reads everything, and could not step down
  check_throws<RaplError>([&] { const Rapl none({.sysfs = tree.root()}); }, "E_RAPL_PERMISSION");
  if (root) check(seteuid(0) == 0, "root again");
}

void an_unreadable_counter_is_an_error_of_its_own() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 1);
  const auto energy = tree.root() / "class/powercap/intel-rapl:0/energy_uj";
  fs::remove(energy);
  check_throws<RaplError>([&] { const Rapl none({.sysfs = tree.root()}); }, "No such file");
  fs::create_directory(energy);
  Rapl rapl({.sysfs = tree.root()});
  check_throws<RaplError>([&] { rapl.start(); }, "Is a directory");
}

void a_counter_lost_in_the_window_is_told_by_stop() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 1);
  Rapl rapl({.sysfs = tree.root(), .longest_interval = 2ms});
  rapl.start();
  tree.write("class/powercap/intel-rapl:0/energy_uj", "garbage");
  std::this_thread::sleep_for(20ms);
  check_throws<RaplError>([&] { (void)rapl.stop(); }, "found 'garbage");
}

// The software event cpu-clock counts nanoseconds, system-wide, on each CPU asked for: it stands in
// for energy-pkg, with a scale that makes it joules of a 1 W processor.
void perf_events_are_preferred_and_scaled() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 1);
  const std::string power = "bus/event_source/devices/power/";
  tree.write(power + "type", "1");
  tree.write(power + "cpumask", "0");
  tree.write(power + "events/energy-pkg", "event=0x00");
  tree.write(power + "events/energy-pkg.scale", "1e-9");
  Rapl rapl({.sysfs = tree.root()});
  if (rapl.source() != "perf_event") {
    std::puts("skipped: perf events are forbidden here");
    return;
  }
  check(rapl.domains() == std::vector<std::string>{"package-0"}, "one CPU, one package");
  rapl.start();
  std::this_thread::sleep_for(kWindow);
  const auto reading = rapl.stop().at(0);
  check(reading.joules && std::abs(*reading.joules / reading.seconds() - 1) < 0.5, "about 1 W");
}

void broken_perf_events_fall_back_to_powercap() {
  const Tree tree;
  tree.zone("intel-rapl:0", "package-0", 1);
  const std::string power = "bus/event_source/devices/power/";
  tree.write(power + "type", "1");
  tree.write(power + "cpumask", "none");
  tree.write(power + "events/energy-pkg", "event=0x00");
  tree.write(power + "events/energy-pkg.scale", "1e-9");
  check(Rapl({.sysfs = tree.root()}).source() == "powercap", "the other source serves");
}

}  // namespace

int main() {
  counts_packages_and_dram_and_nothing_twice();
  a_wrap_is_counted_once();
  several_wraps_are_followed_while_the_window_is_open();
  a_window_can_be_opened_again();
  a_counter_that_cannot_be_believed_gives_no_number();
  one_counter_shown_twice_is_added_once();
  no_counters_are_one_clear_error();
  forbidden_counters_are_one_clear_error();
  an_unreadable_counter_is_an_error_of_its_own();
  a_counter_lost_in_the_window_is_told_by_stop();
  perf_events_are_preferred_and_scaled();
  broken_perf_events_fall_back_to_powercap();
  return jouleforge::testing::result();
}
