// The facade: takes submissions apart, checks them, and hands ops to the threads. See engine.h.
#include "engine.h"

#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "attempt.h"
#include "cancel.h"
#include "complete.h"
#include "kernel_entry.h"
#include "threads.h"

namespace acall {

namespace {

constexpr uint32_t kChunk = 128;              // ops that are checked before the threads get to see them
constexpr uint64_t kNotTried = ~uint64_t{0};  // instead of where an id belongs: the op is published already

std::atomic<uint64_t> submitted{0};

std::atomic<const char*> first_limit{nullptr};

// On the supervisor: whose turn comes first tells the user.
void note_limit() {
  first_limit.store(threads_limited_by(), std::memory_order_release);
  environments_bell();
}

Lock start_lock;
std::atomic<int> started{1};  // 1: not yet; then 0 or -errno

// One ring named by consecutive entries is looked up and counted once.
class RingCache {
 public:
  ~RingCache() { settle(); }
  int take(uint64_t address, uint32_t nr, uint32_t wanted, std::atomic<Ring*>& ring) {
    if (ring_ == nullptr || address_ != address || nr_ != nr || left_ == 0) {
      settle();
      if (int error = ring_acquire(address, nr, wanted, RingUse::kOps, &ring_); error != 0) {
        ring_ = nullptr;
        return error;
      }
      address_ = address;
      nr_ = nr;
      left_ = wanted;
    }
    --left_;
    ring.store(ring_, std::memory_order_relaxed);
    return 0;
  }

 private:
  void settle() {
    if (ring_ != nullptr && left_ > 0) ring_forget(*ring_, left_);
    ring_ = nullptr;
    left_ = 0;
  }
  Ring* ring_ = nullptr;
  uint64_t address_ = 0;
  uint32_t nr_ = 0;
  uint32_t left_ = 0;
};

bool misaligned(uint64_t address) { return (address & 7) != 0; }

// The ring's size, read once: it lies in memory that may change under our eyes.
uint32_t ring_size(uint64_t address) {
  uint32_t nr = 0;
  if (misaligned(address)) return nr;  // refused when everything else has been looked at
  return std::atomic_ref<uint32_t>(reinterpret_cast<acall_completion_ring*>(address)->nr)
      .load(std::memory_order_relaxed);
}

// The sinks of one entry: whole inside arenas, pinned. The ring comes first: complete() lends the first pin to its
// backlog.
int admit_sinks(const acall_submission& entry, Call& call, const Memory& memory, uint32_t* ring_nr) {
  if (uint64_t ring = entry.completion_ring_pointer; ring != 0) {
    Arena* arena;
    if (int error = policy_pin(call, memory, ring, sizeof(acall_completion_ring), &arena); error != 0) return error;
    *ring_nr = ring_size(ring);
    uint64_t bytes = sizeof(acall_completion_ring) + uint64_t{*ring_nr} * sizeof(acall_completion);
    if (bytes > arena->end - ring) return -EFAULT;
  }
  if (entry.completion_pointer != 0) {
    if (int error = policy_pin(call, memory, entry.completion_pointer, sizeof(acall_completion)); error != 0)
      return error;
  }
  if (entry.id_pointer != 0) return policy_pin(call, memory, entry.id_pointer, sizeof(acall_id));
  return 0;
}

// Checks one entry and fills its record, in the order of the spec. The caller holds arenas_lock.
int admit(Environment& environment, const acall_submission& entry, uint32_t left, Operation& op, RingCache& rings) {
  if (entry.flags & ~kKnownSubmitFlags) return -EINVAL;
  const SyscallRule* rule;
  Call& call = op.call;
  memcpy(call.args, entry.args, sizeof call.args);
  call.nr = entry.nr;
  if (int error = policy_admit(call, entry.flags, &rule); error != 0) return error;
  Memory memory{environment};
  uint32_t ring_nr = 0;
  if (int error = admit_sinks(entry, call, memory, &ring_nr); error != 0) return error;
  if (int error = policy_check_pointers(rule, call, memory); error != 0) return error;
  if (misaligned(entry.completion_ring_pointer | entry.completion_pointer | entry.id_pointer)) return -EINVAL;
  if (entry.cookie == 0 && (entry.completion_ring_pointer | entry.completion_pointer) != 0) return -EINVAL;
  op.cookie = entry.cookie;
  op.slot = reinterpret_cast<acall_completion*>(entry.completion_pointer);
  op.run = run_syscall;
  op.show_call(entry.flags & ACALL_SUBMIT_THREAD_POOL ? kOpPool : 0);
  if (entry.flags & ACALL_SUBMIT_INLINE) attempt_mark(call, rule);
  if (entry.completion_ring_pointer != 0) return rings.take(entry.completion_ring_pointer, ring_nr, left, op.ring);
  return 0;
}

// Published ops on their way to the threads: pool ops as one list, own threads one by one.
class Dispatch {
 public:
  void add(Operation& op) {
    if (op.facts.load(std::memory_order_relaxed) & kOpPool) {
      op.next = nullptr;
      if (last_ == nullptr) {
        first_ = &op;
      } else {
        last_->next = &op;
      }
      last_ = &op;
      ++count_;
    } else {
      threads_submit_own(&op);
    }
  }
  ~Dispatch() {
    if (count_ > 0) threads_submit_pool(first_, last_, count_);
  }

 private:
  Operation* first_ = nullptr;
  Operation* last_ = nullptr;
  uint32_t count_ = 0;
};

void release_list(Operation* op) {
  while (op != nullptr) {
    Operation* next = op->next;
    operation_table().release(op);
    op = next;
  }
}

// Stays with the engine from the first op that needs a thread to the end of the submission.
class Presence {
 public:
  ~Presence() {
    if (entered_) threads_leave();
  }
  bool enter() {
    if (!entered_) entered_ = threads_enter();
    return entered_;
  }

 private:
  bool entered_ = false;
};

void count_kept_alive(Operation& op, Environment& environment) {
  Ring* ring = op.ring.load(std::memory_order_relaxed);
  const bool keep_alive = ring == nullptr || !ring->unreferenced.load(std::memory_order_relaxed);
  engine_bind(op, environment, keep_alive);
  environment_keep_alive(environment, keep_alive ? 1 : 0);
}

void write_id(const Operation& op, uint64_t id_pointer) {
  if (id_pointer == 0) return;
  const acall_id id = operation_table().id_of(op);
  memcpy(reinterpret_cast<void*>(id_pointer), &id, sizeof id);
}

// An op that nobody else has seen, done by the submitting thread.
void complete_at_once(Operation& op, int64_t result) {
  op.state.store((op.sequence() << kStateBits) | kReturned, std::memory_order_release);
  count_completed();
  complete(op, result, Linked::kNo);
}

// A published op that no thread can be had for after all.
void give_up(Operation& op) {
  uint64_t state = op.state.load(std::memory_order_acquire);
  while (state & kQueued) {
    if (!op.state.compare_exchange_weak(state, (state & ~kPhaseMask) | kReturned, std::memory_order_acq_rel)) continue;
    count_completed();
    complete(op, op.call.not_made(-EAGAIN), Linked::kNo);
    return;
  }
  operation_unlinked(op);  // cancelled meanwhile
}

// Sends accepted ops on their way: first those that need a thread, so that it starts while we try the others.
// `ids`: where the ids of those to be tried belong; nobody has seen them yet.
void launch(Environment& environment, Operation** ready, const uint64_t* ids, uint32_t count, uint32_t to_try,
            Presence& presence) {
  auto send = [&](Dispatch& dispatch, Operation& op) {
    if (presence.enter()) {
      dispatch.add(op);
    } else {
      give_up(op);
    }
  };
  {
    Dispatch dispatch;
    for (uint32_t i = 0; i < count; ++i) {
      if (!(ready[i]->call.flags & Call::kInline)) send(dispatch, *ready[i]);
    }
  }
  if (to_try == 0) return;
  Dispatch dispatch;
  for (uint32_t i = 0; i < count; ++i) {
    Operation& op = *ready[i];
    if (ids[i] == kNotTried) continue;
    int64_t result;
    if (attempt_call(environment, op.call, &result)) {
      write_id(op, ids[i]);
      complete_at_once(op, result);
      continue;
    }
    count_kept_alive(op, environment);
    OperationTable::publish(op);
    write_id(op, ids[i]);
    send(dispatch, op);
  }
}

// Submits up to kChunk entries. Returns how many were accepted.
uint32_t submit_chunk(Environment& environment, const acall_submission* submissions, uint32_t count, Presence& presence,
                      int* error) {
  Operation* list;
  uint32_t got = operation_table().allocate(count, &list);
  if (got == 0) {
    *error = -EAGAIN;
    return 0;
  }
  Operation* ready[kChunk];
  uint64_t ids[kChunk];
  uint32_t accepted = 0, to_try = 0;
  environment_reference(environment, got);
  {
    RingCache rings;
    Hold hold(arenas_lock);
    while (accepted < got) {
      Operation* op = list;
      acall_submission entry;
      memcpy(&entry, &submissions[accepted], sizeof entry);
      list = op->next;
      *error = admit(environment, entry, got - accepted, *op, rings);
      if (*error != 0) {
        op->next = list;
        list = op;
        break;
      }
      if (op->call.flags & Call::kInline) {
        engine_bind(*op, environment, false);
        ids[accepted] = entry.id_pointer;
        ++to_try;
      } else {
        ids[accepted] = kNotTried;
        count_kept_alive(*op, environment);
        OperationTable::publish(*op);
        // After OperationTable::publish(): another Worker may see the id at once, and its op must not look complete. It
        // may even cancel it.
        write_id(*op, entry.id_pointer);
      }
      ready[accepted++] = op;
    }
  }
  if (*error != 0) operation_drop_resources(*list);  // the refused one; takes arenas_lock itself
  release_list(list);
  for (uint32_t i = accepted; i < got; ++i) environment_release(environment);
  if (*error == 0 && accepted < count) *error = -EAGAIN;
  submitted.fetch_add(accepted, std::memory_order_relaxed);
  launch(environment, ready, ids, accepted, to_try, presence);
  return accepted;
}

// Whether a thread may be needed: not when all are to be tried here. Without one an idle engine stays without threads.
bool needs_thread(const acall_submission* submissions, uint32_t nr) {
  for (uint32_t i = 0; i < nr; ++i) {
    uint32_t flags;
    memcpy(&flags, &submissions[i].flags, sizeof flags);
    if (!(flags & ACALL_SUBMIT_INLINE)) return true;
  }
  return false;
}

}  // namespace

void engine_bind(Operation& op, Environment& environment, bool keep_alive) {
  op.environment.store(&environment, std::memory_order_relaxed);
  op.keeps_alive.store((op.sequence() << kStateBits) | (keep_alive ? 1 : 0), std::memory_order_relaxed);
}

void engine_count_submitted(uint32_t ops) { submitted.fetch_add(ops, std::memory_order_relaxed); }

bool engine_has_signal() { return cancel_handler_is_ours(); }

int engine_start() {
  int state = started.load(std::memory_order_acquire);
  if (state <= 0) return state;
  Hold hold(start_lock);
  if (started.load(std::memory_order_relaxed) > 0) {
    threads_on_limit(note_limit);
    started.store(cancel_install(), std::memory_order_release);
  }
  return started.load(std::memory_order_relaxed);
}

int64_t engine_submit(Environment& environment, const acall_submission* submissions, uint32_t nr, SubmitError* error) {
  *error = {};
  if (nr == 0) return 0;
  Presence presence;
  if (needs_thread(submissions, nr) && !presence.enter()) {
    error->error = -EAGAIN;
    return -EAGAIN;
  }
  uint32_t accepted = 0;
  while (accepted < nr && error->error == 0) {
    uint32_t count = nr - accepted < kChunk ? nr - accepted : kChunk;
    accepted += submit_chunk(environment, submissions + accepted, count, presence, &error->error);
  }
  error->index = accepted;
  return accepted == 0 ? int64_t{error->error} : int64_t{accepted};
}

int engine_cancel(const acall_id& id) {
  Operation* op;
  uint64_t sequence;
  if (operation_table().find(id, &op, &sequence) != OperationTable::Found::kLive) return -ENOENT;
  return cancel_operation(*op, sequence);
}

void engine_abandon(const acall_id* ids, uint32_t count, bool more) {
  CancelTarget targets[kChunk];
  for (uint32_t begin = 0; begin < count;) {
    uint32_t found = 0;
    for (; begin < count && found < kChunk; ++begin) {
      CancelTarget& target = targets[found];
      found += operation_table().find(ids[begin], &target.op, &target.sequence) == OperationTable::Found::kLive;
    }
    cancel_many(targets, found);
  }
  if (!more) cancel_tell();
}

void engine_let_go(const acall_id& id) {
  Operation* op;
  uint64_t sequence;
  if (operation_table().find(id, &op, &sequence) != OperationTable::Found::kLive) return;
  Environment* environment = op->environment.load(std::memory_order_relaxed);
  uint64_t keeps = (sequence << kStateBits) | 1;
  // Once: complete() takes back what it finds marked. seq_cst: see environment_bell().
  if (op->keeps_alive.compare_exchange_strong(keeps, sequence << kStateBits, std::memory_order_acq_rel) &&
      environment->keeping_alive.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    environment_bell(*environment);
  }
}

int engine_submit_call(Environment& environment, Ring& ring, const PromiseCall& request, acall_id* id,
                       int64_t* result) {
  Operation* op;
  Presence presence;
  const bool to_try =
      (request.flags & ACALL_SUBMIT_INLINE) && request.tries != Tries::kNothing && request.opens == nullptr;
  if ((!to_try && !presence.enter()) || operation_table().allocate(1, &op) == 0) {
    block_release(request.block);
    return -EAGAIN;
  }
  Call& call = op->call;
  memcpy(call.args, request.args, sizeof call.args);
  call.nr = request.nr;
  call.block = request.block;
  call.flags = Call::kPromise | (request.closes_ours && request.nr == SYS_close ? Call::kClosesOurs : 0);
  op->cookie = request.cookie;
  op->run = request.opens == nullptr ? run_syscall : run_opening;
  op->extra = request.opens;
  const SyscallRule* rule;
  int error = policy_admit(call, request.flags, &rule);
  if (error == 0) {
    Hold hold(arenas_lock);
    Memory memory{environment, request.segments, request.segment_count};
    error = policy_check_pointers(rule, call, memory);
  }
  op->show_call(request.flags & ACALL_SUBMIT_THREAD_POOL ? kOpPool : 0);
  if (error == 0 && request.handle != nullptr) {
    if (handle_enter(*request.handle)) {
      op->handle = request.handle;
    } else {
      error = -EBADF;
    }
  }
  if (error == 0 && to_try) attempt_mark(call, rule);
  const uint32_t wanted = request.tries == Tries::kAll ? Call::kInline : Call::kQuick;
  bool done = error == 0 && (call.flags & wanted) && attempt_call(environment, call, result);
  if (error == 0 && !done && (!presence.enter() || !ring_expect(ring, 1))) {
    error = -EAGAIN;
    if (call.transferred > 0) {  // asked again, it would transfer that part again
      *result = static_cast<int64_t>(call.transferred);
      done = true;
    }
  }
  if (done) {
    engine_bind(*op, environment, false);
    environment_reference(environment, 1);
    submitted.fetch_add(1, std::memory_order_relaxed);
    complete_at_once(*op, *result);
    return kCallDone;
  }
  if (error != 0) {
    operation_drop_resources(*op);
    operation_table().release(op);
    return error;
  }
  op->ring.store(&ring, std::memory_order_relaxed);
  engine_bind(*op, environment, request.keep_alive);
  if (id != nullptr) *id = operation_table().id_of(*op);
  if (request.carrier != nullptr && carries_descriptors(*op)) {
    request.carrier->take(*op);
    op->cookie |= kCarriesDescriptors;
  }
  environment_reference(environment, 1);
  environment_keep_alive(environment, request.keep_alive ? 1 : 0);
  submitted.fetch_add(1, std::memory_order_relaxed);
  OperationTable::publish(*op);
  { Dispatch().add(*op); }
  return 0;
}

bool engine_try_stat(Environment& environment, const StatRequest& request, void* into, int64_t* result) {
  struct statx found;
  const bool hit = policy_allows(SYS_statx) &&
                   attempt_stat(environment, request.dirfd, request.path, request.flags, kStatMask, &found, result);
  attempt_count(hit);
  if (!hit || *result != 0) return hit;
  if (request.integers) {
    to_integers(found, *static_cast<StatIntegers*>(into));
  } else {
    to_numbers(found, *static_cast<StatNumbers*>(into));
  }
  return true;
}

uint32_t engine_submit_work(Environment& environment, Ring& ring, const PromiseWork* works, uint32_t count,
                            acall_id* ids) {
  if (count == 0 || !threads_enter()) return 0;
  Operation* list;
  uint32_t got = operation_table().allocate(count, &list);
  if (got > 0 && !ring_expect(ring, got)) {
    release_list(list);
    got = 0;
  }
  if (got > 0) {
    uint32_t keeping = 0;
    for (uint32_t i = 0; i < got; ++i) keeping += works[i].keep_alive;
    environment_reference(environment, got);
    environment_keep_alive(environment, keeping);
    submitted.fetch_add(got, std::memory_order_relaxed);
    Dispatch dispatch;
    for (uint32_t i = 0; i < got; ++i) {
      Operation* op = list;
      list = op->next;
      op->run = works[i].run;
      op->extra = works[i].extra;
      op->call.block = works[i].block;
      op->call.copies = works[i].result;
      op->cookie = works[i].cookie;
      if (works[i].handle != nullptr && handle_enter(*works[i].handle)) op->handle = works[i].handle;
      memcpy(op->call.args, works[i].args, sizeof op->call.args);
      op->ring.store(&ring, std::memory_order_relaxed);
      op->facts.store(kOpPool, std::memory_order_relaxed);
      engine_bind(*op, environment, works[i].keep_alive);
      if (ids != nullptr) ids[i] = operation_table().id_of(*op);
      OperationTable::publish(*op);
      dispatch.add(*op);
    }
  }
  threads_leave();
  return got;
}

bool engine_submit_detached(Environment& environment, RunFunction run, void* extra, uint64_t cookie, const Call& call) {
  if (!threads_enter()) return false;
  Operation* op;
  const bool got = operation_table().allocate(1, &op) == 1;
  if (got) {
    op->run = run;
    op->extra = extra;
    op->cookie = cookie;
    op->call = call;
    op->facts.store(kOpPool | kOpDropCopies | kOpDetached, std::memory_order_relaxed);
    environment_reference(environment, 1);
    engine_bind(*op, environment, false);
    submitted.fetch_add(1, std::memory_order_relaxed);
    OperationTable::publish(*op);
    Dispatch().add(*op);
  }
  threads_leave();
  return got;
}

Operation* engine_begin_waiting(Environment& environment, Ring& ring, RunFunction run, void* extra, uint64_t cookie,
                                bool keep_alive, acall_id* id) {
  Operation* op;
  if (operation_table().allocate(1, &op) == 0) return nullptr;
  if (!ring_expect(ring, 1)) {
    operation_table().release(op);
    return nullptr;
  }
  op->run = run;
  op->extra = extra;
  op->cookie = cookie;
  op->ring.store(&ring, std::memory_order_relaxed);
  op->facts.store(kOpPool | kOpUninterruptible | kOpDetached, std::memory_order_relaxed);
  engine_bind(*op, environment, keep_alive);
  if (id != nullptr) *id = operation_table().id_of(*op);
  environment_reference(environment, 1);
  environment_keep_alive(environment, keep_alive ? 1 : 0);
  submitted.fetch_add(1, std::memory_order_relaxed);
  OperationTable::publish(*op);
  return op;
}

Operation* engine_begin_job(Environment& environment, Ring& ring, uint64_t cookie, JobFlag* job, bool keep_alive,
                            acall_id* id) {
  Operation* op;
  if (operation_table().allocate(1, &op) == 0) return nullptr;
  if (!ring_expect(ring, 1)) {
    operation_table().release(op);
    return nullptr;
  }
  op->ring.store(&ring, std::memory_order_relaxed);
  op->extra = job;
  if (job->block != nullptr) block_reference(*job->block);
  op->call.block = job->block;
  op->cookie = cookie;
  op->facts.store(kOpJob, std::memory_order_relaxed);
  engine_bind(*op, environment, keep_alive);
  if (id != nullptr) *id = operation_table().id_of(*op);
  environment_reference(environment, 1);
  environment_keep_alive(environment, keep_alive ? 1 : 0);
  submitted.fetch_add(1, std::memory_order_relaxed);
  OperationTable::publish(*op);
  op->state.fetch_add(kRunning - kQueued, std::memory_order_acq_rel);  // begun, by no thread in particular
  return op;
}

void engine_end_job(Operation& op, int64_t return_code) {
  uint64_t before = op.state.fetch_add(kReturned - kRunning, std::memory_order_acq_rel);
  if (before & kCancelling) cancel_pass();
  if (before & kAbandoned) environment_settle_abandoned(op);  // what a job finds carries no descriptors
  count_completed();
  complete(op, return_code, Linked::kNo);
}

bool engine_submit_helper(Environment& environment, RunFunction run, JobFlag* job, acall_id* id) {
  if (!threads_enter()) return false;
  Operation* op;
  bool got = operation_table().allocate(1, &op) == 1;
  if (got) {
    op->run = run;
    op->extra = job;
    if (job->block != nullptr) block_reference(*job->block);
    op->call.block = job->block;
    op->cookie = 0;
    op->facts.store(kOpPool | kOpJob, std::memory_order_relaxed);
    environment_reference(environment, 1);
    engine_bind(*op, environment, false);
    if (id != nullptr) *id = operation_table().id_of(*op);
    submitted.fetch_add(1, std::memory_order_relaxed);
    OperationTable::publish(*op);
    Dispatch().add(*op);
  }
  threads_leave();
  return got;
}

const char* engine_limited_by() { return threads_limited_by(); }

const char* engine_take_limit() {
  // relaxed: a look that costs nothing on every turn; the exchange decides who tells.
  if (first_limit.load(std::memory_order_relaxed) == nullptr) return nullptr;
  return first_limit.exchange(nullptr, std::memory_order_acquire);
}

Counters engine_counters() {
  ThreadCounts threads = thread_counts();
  CompletionCounts elsewhere = completion_counts();
  Counters counters{};
  const AttemptCounts attempts = attempt_counts();
  counters.submitted = submitted.load(std::memory_order_relaxed) + attempts.direct;
  counters.completed = threads.completed + elsewhere.completed + attempts.direct;
  counters.inline_hits = attempts.hits;
  counters.inline_misses = attempts.misses;
  counters.cancelled = elsewhere.cancelled;
  counters.overflows = rings_overflows();
  counters.queued = threads.queued;
  counters.running = threads.running;
  counters.pool_threads = threads.pool_threads;
  counters.own_threads = threads.own_threads;
  counters.threads = threads.pool_threads + threads.own_threads + threads.supervisor;
  counters.blocked = threads.blocked;
  return counters;
}

}  // namespace acall
