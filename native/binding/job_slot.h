// How a job gets its promise op. On the client's thread; no lock.
#ifndef ACALL_BINDING_JOB_SLOT_H_
#define ACALL_BINDING_JOB_SLOT_H_

#include <cstdint>

#include "backends.h"
#include "values.h"

namespace acall::binding {

// Begins the promise op of a job in a slot. 0 or -EAGAIN.
inline int32_t begin_job(Client& client, Job& job, SlotArgument slot, uint32_t flags) {
  return job.begin(*client.environment->promise_ring, uint64_t{slot.number} + 1, !(flags & JobOption::kUnreferenced),
                   &slot->id);
}

// Begins the promise op of a job that has just been made, and starts the job; nullptr: no memory.
template <typename AnyJob>
AnyJob* started(Client& client, AnyJob* job, SlotArgument slot, uint32_t flags) {
  if (job == nullptr) return nullptr;
  if (begin_job(client, *job, slot, flags) != 0) {
    job->release();
    return nullptr;
  }
  job->start();
  return job;
}

}  // namespace acall::binding

#endif  // ACALL_BINDING_JOB_SLOT_H_
