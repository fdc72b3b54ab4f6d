// The open timed loop, against the recursion of a queue with one server: all on a clock of its own,
// on which a query takes exactly as long as it is told to.
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "queries.h"
#include "runners/callable.h"
#include "runners/null.h"

using namespace jouleforge;
using namespace std::chrono_literals;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

const std::atomic<bool> kNever{false};

// Each reading takes 10 ns, and each sleep ends 60 us late.
class SlowTime final : public Timeline {
 public:
  [[nodiscard]] std::int64_t now_ns() const override {
    ++reads;
    return now += 10;
  }
  void wait_until(std::int64_t at_ns, const std::stop_token&) override {
    ++sleeps;
    now = std::max(now, at_ns) + 60'000;
  }

  mutable std::int64_t now = 7'000'000;
  mutable std::size_t reads = 0;
  std::size_t sleeps = 0;
};

constexpr std::int64_t kService = 1'000'000;

// A query takes a millisecond; the stalled one stands still for fifty.
class Server final : public Runner {
 public:
  Server(SlowTime& time, std::size_t batches, std::size_t stalled = ~std::size_t{0})
      : time_(time), batches_(batches), stalled_(stalled) {}
  [[nodiscard]] std::size_t batches() const override { return batches_; }
  void run(std::size_t batch) override {
    require_batch(batch, batches_);
    begins.push_back(time_.now);
    time_.now += kService * (seen.size() == stalled_ ? 50 : 1);
    seen.push_back(batch);
  }

  std::vector<std::size_t> seen;
  std::vector<std::int64_t> begins;

 private:
  SlowTime& time_;
  std::size_t batches_;
  std::size_t stalled_;
};

// Gaps of 0.2 to 2.6 ms: sometimes the worker waits, sometimes the queries do.
std::vector<std::int64_t> uneven(std::size_t count) {
  std::vector<std::int64_t> due_ns;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    at += 200'000 + static_cast<std::int64_t>(i * 7919 % 13) * 200'000;
    due_ns.push_back(at);
  }
  return due_ns;
}

void serves_in_order_and_never_early(Wait wait) {
  SlowTime time;
  Server server(time, 3);
  const Arrivals arrivals{.order = {2, 0, 1}, .due_ns = uneven(300), .wait = wait};
  const auto trace = serve_queries(server, arrivals, kNever, time);
  const auto start = trace.stamps_ns.front();
  check(trace.passes == 100 && trace.end == LoopEnd::kSchedule, "whole passes, all of them");
  check(server.seen.size() == 300 && trace.stamps_ns.size() == 301, "each query once");
  std::int64_t free_at = start;
  for (std::size_t i = 0; i < 300; ++i) {
    const auto due = start + arrivals.due_ns[i];
    check(server.seen[i] == arrivals.order[i % 3], "first come, first served");
    check(server.begins[i] >= due, "never before it arrived");
    const auto latency = trace.stamps_ns[i + 1] - due;
    check(latency >= kService, "a latency holds the whole service");
    // Lindley: it begins when it has arrived and the one before it is done.
    const auto late = server.begins[i] - std::max(due, free_at);
    check(late >= 0 && late <= 20, "and is begun at once, within two readings of the clock");
    free_at = trace.stamps_ns[i + 1];
  }
  check(wait == Wait::kBlock ? time.sleeps > 0 : time.sleeps == 0, "it waits as it was told to");
}

void every_wait_is_a_pause_and_nothing_else() {
  SlowTime time;
  Server server(time, 1);
  const Arrivals arrivals{.order = {0}, .due_ns = uneven(100), .wait = Wait::kSpin};
  const auto trace = serve_queries(server, arrivals, kNever, time);
  std::int64_t busy = 0;
  for (const auto begin : server.begins) busy -= begin;
  for (std::size_t i = 1; i < trace.stamps_ns.size(); ++i) busy += trace.stamps_ns[i];
  std::int64_t waited = 0;
  for (const auto& pause : trace.pauses) {
    check(pause.begin_ns == trace.stamps_ns[pause.before], "from the end of one query");
    check(pause.end_ns == server.begins[pause.before], "to the begin of the next");
    waited += pause.end_ns - pause.begin_ns;
  }
  check(!trace.pauses.empty() && trace.pauses.size() < 100, "some waited, some did not");
  check(trace.stamps_ns.back() - trace.stamps_ns.front() == busy + waited, "together, all time");
}

void a_stall_delays_all_that_arrived_in_it() {
  SlowTime time;
  Server server(time, 1, 10);
  std::vector<std::int64_t> due_ns;  // every 2 ms: half of the time the worker is idle
  for (std::int64_t i = 0; i < 200; ++i) due_ns.push_back(2'000'000 * i);
  const auto trace =
      serve_queries(server, {.order = {0}, .due_ns = due_ns, .wait = Wait::kSpin}, kNever, time);
  const auto latency = [&](std::size_t i) {
    return trace.stamps_ns[i + 1] - trace.stamps_ns[0] - due_ns[i];
  };
  check(latency(9) < 2 * kService, "before it, none waits");
  check(latency(10) >= 50 * kService, "the stalled one");
  for (std::size_t i = 11; i <= 34; ++i) {  // arrived 2, 4, … 48 ms into the stall
    const auto behind = static_cast<std::int64_t>(i) - 10;
    check(latency(i) >= (50 - 2 * behind) * kService, "who arrives in it waits until its end");
  }
  std::size_t late = 0;
  for (std::size_t i = 0; i < 200; ++i) late += latency(i) > 3 * kService ? 1 : 0;
  check(late > 40, "and the queue that it left takes as long again to be served");
  check(latency(199) < 2 * kService, "then all is as before");
}

void more_than_it_can_serve_waits_ever_longer() {
  SlowTime time;
  Server server(time, 1);
  std::vector<std::int64_t> due_ns;
  for (std::int64_t i = 0; i < 500; ++i) due_ns.push_back(500'000 * i);
  const auto trace = serve_queries(server, {.order = {0}, .due_ns = due_ns}, kNever, time);
  check(trace.pauses.size() <= 1, "never idle after the first");
  const auto last = trace.stamps_ns.back() - trace.stamps_ns.front() - due_ns.back();
  check(last >= 500 * kService - due_ns.back(), "the last waited for all before it");
}

void one_reading_of_the_clock_a_query_that_has_arrived() {
  SlowTime time;
  Server server(time, 1);
  const std::vector<std::int64_t> due_ns(1000, 0);
  (void)serve_queries(server, {.order = {0}, .due_ns = due_ns}, kNever, time);
  check(time.reads == 1001, "its end is the next one's begin");
}

void arrives_by_the_real_clock_too(Wait wait) {
  MonotonicTimeline timeline;
  CallableRunner runner([](std::size_t) { std::this_thread::sleep_for(1ms); }, 1);
  const Arrivals arrivals{
      .order = {0}, .due_ns = {0, 5'000'000, 5'000'000, 9'000'000}, .wait = wait};
  const auto trace = serve_queries(runner, arrivals, kNever, timeline);
  for (std::size_t i = 0; i < 4; ++i) {
    check(trace.stamps_ns[i + 1] - trace.stamps_ns[0] - arrivals.due_ns[i] >= 1'000'000,
          "no latency is shorter than the service");
  }
}

void a_stop_ends_a_wait_and_a_queue(Wait wait) {
  MonotonicTimeline timeline;
  std::atomic<bool> stop{false};
  std::jthread other([&stop] {
    std::this_thread::sleep_for(20ms);
    stop = true;
  });
  NullRunner runner(1);
  const Arrivals far{.order = {0}, .due_ns = {0, 3'600'000'000'000}, .wait = wait};
  const auto trace = serve_queries(runner, far, stop, timeline);
  check(trace.end == LoopEnd::kInterrupted, "it says why it ended");
  check(trace.stamps_ns.size() == 2, "and what was served until then");
  const std::vector<std::int64_t> crowd(1'000'000, 0);
  const auto cut = serve_queries(runner, {.order = {0}, .due_ns = crowd}, stop, timeline);
  check(cut.end == LoopEnd::kInterrupted && cut.stamps_ns.size() == 2, "after the next query");
}

void refuses_arrivals_that_it_cannot_keep() {
  MonotonicTimeline timeline;
  NullRunner runner(2);
  const auto serve = [&](Arrivals arrivals) {
    return [&, arrivals = std::move(arrivals)] {
      (void)serve_queries(runner, arrivals, kNever, timeline);
    };
  };
  check_throws<std::invalid_argument>(serve({.order = {}, .due_ns = {0}}), "an empty one");
  check_throws<std::out_of_range>(serve({.order = {2}, .due_ns = {0}}), "no batch 2");
  check_throws<std::invalid_argument>(serve({.order = {0, 1}, .due_ns = {0}}), "whole passes of 2");
  check_throws<std::invalid_argument>(serve({.order = {0}, .due_ns = {}}), "whole passes of 1");
  check_throws<std::invalid_argument>(serve({.order = {0}, .due_ns = {1, 0}}), "never fall");
  check_throws<std::invalid_argument>(serve({.order = {0}, .due_ns = {-1}}), "from 0 on");
}

}  // namespace

int main() {
  for (const auto wait : {Wait::kSpin, Wait::kBlock}) {
    serves_in_order_and_never_early(wait);
    arrives_by_the_real_clock_too(wait);
    a_stop_ends_a_wait_and_a_queue(wait);
  }
  every_wait_is_a_pause_and_nothing_else();
  a_stall_delays_all_that_arrived_in_it();
  more_than_it_can_serve_waits_ever_longer();
  one_reading_of_the_clock_a_query_that_has_arrived();
  refuses_arrivals_that_it_cannot_keep();
  return jouleforge::testing::result();
}
