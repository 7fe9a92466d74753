// How a job gets the promise op that ends with it, or earlier where the job says so.
#ifndef ACALL_BINDING_JOB_SLOT_H_
#define ACALL_BINDING_JOB_SLOT_H_

#include <cerrno>
#include <cstdint>

#include "backends.h"
#include "client.h"

namespace acall::binding {

// 0, -EAGAIN, or -EINVAL: no such slot.
inline int32_t begin_job(Client& client, Job& job, uint32_t number, uint32_t flags) {
  PromiseSlots::Slot* slot = client.slots.find(number);
  if (slot == nullptr) return -EINVAL;
  return job.begin(*client.environment->promise_ring, uint64_t{number} + 1, !(flags & JobOption::kUnreferenced),
                   &slot->id);
}

// A job that has just been made, at work and with its op; nullptr when memory is short.
inline Job* started(Client& client, Job* job, uint32_t number, uint32_t flags) {
  if (job == nullptr) return nullptr;
  if (begin_job(client, *job, number, flags) != 0) {
    job->release();
    return nullptr;
  }
  job->start();
  return job;
}

}  // namespace acall::binding

#endif  // ACALL_BINDING_JOB_SLOT_H_
