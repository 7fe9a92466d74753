// Raw submissions. See submission.h.
#include "submit/submission.h"

#include <cerrno>
#include <cstring>

#include "completion/ring.h"
#include "inline/inline_call.h"
#include "launch/launch.h"
#include "op/arenas.h"
#include "op/environment.h"
#include "syscalls/pointer_check.h"
#include "syscalls/policy.h"
#include "syscalls/run_syscall.h"

namespace acall {

namespace {

constexpr uint32_t kChunk = 128;               // entries that are checked together before their ops go to threads
constexpr uint64_t kPublished = ~uint64_t{0};  // in place of the address of an id: the op is published already

// Finds and counts a ring once for all consecutive entries that name it.
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

// The ring's size, read once, since JavaScript may change it.
uint32_t ring_size(uint64_t address) {
  uint32_t nr = 0;
  if (misaligned(address)) return nr;  // refused after all other checks
  return std::atomic_ref<uint32_t>(reinterpret_cast<acall_completion_ring*>(address)->nr)
      .load(std::memory_order_relaxed);
}

// Checks that the sinks of one entry lie whole inside arenas, and pins these. The ring comes first, since complete()
// gives the first pin to ring_store() as that of the ring.
int admit_sinks(const acall_submission& entry, Call& call, const Memory& memory, uint32_t* ring_nr) {
  if (uint64_t ring = entry.completion_ring_pointer; ring != 0) {
    Arena* arena;
    if (int error = pin_range(call, memory, ring, sizeof(acall_completion_ring), &arena); error != 0) return error;
    *ring_nr = ring_size(ring);
    uint64_t bytes = sizeof(acall_completion_ring) + uint64_t{*ring_nr} * sizeof(acall_completion);
    if (bytes > arena->end - ring) return -EFAULT;
  }
  if (entry.completion_pointer != 0) {
    if (int error = pin_range(call, memory, entry.completion_pointer, sizeof(acall_completion)); error != 0)
      return error;
  }
  if (entry.id_pointer != 0) return pin_range(call, memory, entry.id_pointer, sizeof(acall_id));
  return 0;
}

// Checks one entry, in the documented order, and fills its record. The caller holds arenas_lock.
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
  if (int error = check_pointers(rule, call, memory); error != 0) return error;
  if (misaligned(entry.completion_ring_pointer | entry.completion_pointer | entry.id_pointer)) return -EINVAL;
  if (entry.cookie == 0 && (entry.completion_ring_pointer | entry.completion_pointer) != 0) return -EINVAL;
  op.cookie = entry.cookie;
  op.slot = reinterpret_cast<acall_completion*>(entry.completion_pointer);
  op.is_a(kSyscall);
  op.show_call(entry.flags & ACALL_SUBMIT_THREAD_POOL ? kOpPool : 0);
  if (entry.flags & ACALL_SUBMIT_INLINE) inline_mark(call, rule);
  if (entry.completion_ring_pointer != 0) return rings.take(entry.completion_ring_pointer, ring_nr, left, op.ring);
  return 0;
}

void accept(Launch& launch, Operation& op) {
  const Ring* ring = op.ring.load(std::memory_order_relaxed);
  launch.accept(op, ring == nullptr || !ring->unreferenced.load(std::memory_order_relaxed));
}

// Sends the ops of one chunk: first those that are published, so that threads start while the others are made inline.
// `ids`: for each of the others, which no other thread has seen, the address of its id.
void send(Environment& environment, Launch& launch, Operation** ready, const uint64_t* ids, uint32_t count,
          uint32_t for_inline) {
  for (uint32_t i = 0; i < count; ++i) {
    if (ids[i] == kPublished) launch.send(*ready[i]);
  }
  if (for_inline == 0) return;
  launch.flush();
  for (uint32_t i = 0; i < count; ++i) {
    Operation& op = *ready[i];
    if (ids[i] == kPublished) continue;
    int64_t result;
    if (inline_run(environment, op.call, &result)) {
      launch.complete_here(op, result, ids[i]);
      continue;
    }
    accept(launch, op);
    Launch::write_id(op, ids[i]);
    launch.send(op);
  }
}

// Submits up to kChunk entries. Returns how many were accepted.
uint32_t submit_chunk(Environment& environment, Launch& launch, const acall_submission* submissions, uint32_t count,
                      int* error) {
  Operation* ready[kChunk];
  uint64_t ids[kChunk];
  uint32_t accepted = 0, for_inline = 0;
  const uint32_t got = launch.allocate(count);
  if (got < count) *error = -EAGAIN;
  {
    RingCache rings;
    Hold hold(arenas_lock);
    while (accepted < got) {
      Operation& op = launch.next();
      acall_submission entry;
      memcpy(&entry, &submissions[accepted], sizeof entry);
      if (const int refused = admit(environment, entry, got - accepted, op, rings); refused != 0) {
        *error = refused;
        launch.refuse(op);
        break;
      }
      if (op.call.flags & Call::kInline) {
        ids[accepted] = entry.id_pointer;
        ++for_inline;
      } else {
        ids[accepted] = kPublished;
        accept(launch, op);
        // After accept(): as soon as the id is written, another Worker may see it, and may even cancel the op. The op
        // must not look complete then.
        Launch::write_id(op, entry.id_pointer);
      }
      ready[accepted++] = &op;
    }
  }
  send(environment, launch, ready, ids, accepted, for_inline);
  return accepted;
}

// Whether an entry needs a thread for sure. When all entries may be made inline, no thread is started before one is
// needed.
bool needs_thread(const acall_submission* submissions, uint32_t nr) {
  for (uint32_t i = 0; i < nr; ++i) {
    uint32_t flags;
    memcpy(&flags, &submissions[i].flags, sizeof flags);
    if (!(flags & ACALL_SUBMIT_INLINE)) return true;
  }
  return false;
}

}  // namespace

int64_t engine_submit(Environment& environment, const acall_submission* submissions, uint32_t nr, SubmitError* error) {
  *error = {};
  if (nr == 0) return 0;
  Launch launch(environment);
  if (needs_thread(submissions, nr) && !launch.enter()) {
    error->error = -EAGAIN;
    return -EAGAIN;
  }
  uint32_t accepted = 0;
  while (accepted < nr && error->error == 0) {
    if (accepted > 0) launch.flush();
    const uint32_t count = nr - accepted < kChunk ? nr - accepted : kChunk;
    accepted += submit_chunk(environment, launch, submissions + accepted, count, &error->error);
  }
  error->index = accepted;
  return accepted == 0 ? int64_t{error->error} : int64_t{accepted};
}

}  // namespace acall
