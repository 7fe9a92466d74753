// A new back end needs trial_back_end.cc and its line in back_ends.txt. Submission, cancel, completion and the end of
// an environment need no change.
#include <cerrno>

#include "check.h"
#include "engine.h"
#include "support.h"
#include "tree_support.h"

using support::counters;
using support::PromiseHouse;
using support::until;
using support::WithSeams;

extern const acall::BackEnd kTrial;

namespace {

constexpr uint64_t kShortNs = 1'000'000;
constexpr uint64_t kForEverNs = 1'000'000'000'000;

acall_id submit(PromiseHouse& house, uint64_t cookie, uint64_t sleep_ns) {
  acall::PromiseWork work;
  work.back_end = &kTrial;
  work.cookie = cookie;
  work.args[0] = sleep_ns;
  acall_id id;
  CHECK_EQ(acall::engine_submit_work(*house.environment, *house.ring, &work, 1, &id), 1);
  return id;
}

// -EINTR when the sleep has begun.
bool was_stopped(int64_t result) { return result == -EINTR || result == -ECANCELED; }

// From here on no other op runs.
void wait_until_it_runs_alone() {
  until([] { return counters().running == 1 && counters().pool_threads == 1; });
}

int no_thread(size_t, void* (*)(void*), void*) { return EAGAIN; }

}  // namespace

TEST("a new back end answers") {
  PromiseHouse house;
  const acall_id id = submit(house, 7, kShortNs);
  CHECK_EQ(house.wait(7), 42);
  CHECK_EQ(support::wait_for(id), 1);
  CHECK_EQ(acall::engine_cancel(id), -ENOENT);
}

TEST("an op of a new back end that runs is cancelled") {
  PromiseHouse house;
  const acall_id id = submit(house, 1, kForEverNs);
  until([] { return counters().running == 1; });
  CHECK_EQ(acall::engine_cancel(id), 0);
  CHECK(was_stopped(house.wait(1)));
}

TEST("an op of a new back end that waits in the queue is cancelled, and never runs") {
  PromiseHouse house;
  const acall_id running = submit(house, 1, kForEverNs);
  wait_until_it_runs_alone();
  {
    WithSeams replaced;
    acall::seams.start_thread = no_thread;
    const acall_id queued = submit(house, 2, 0);
    CHECK_EQ(acall::engine_cancel(queued), 0);
    CHECK_EQ(house.wait(2), -ECANCELED);
  }
  CHECK_EQ(acall::engine_cancel(running), 0);
  CHECK(was_stopped(house.wait(1)));
}

TEST("an environment ends with an op of a new back end in the kernel and one in the queue") {
  const uint64_t before = counters().completed;
  {
    PromiseHouse house;
    submit(house, 1, kForEverNs);
    wait_until_it_runs_alone();
    WithSeams replaced;
    acall::seams.start_thread = no_thread;
    submit(house, 2, kForEverNs);
    acall::environment_detach(house.environment, false);
    house.forget();
  }
  until([&] { return counters().completed == before + 2; });
}
