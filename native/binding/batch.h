// What the rooms of the batch ops share: the handle of a job in JavaScript, and paths read from arguments.
#ifndef ACALL_BINDING_BATCH_H_
#define ACALL_BINDING_BATCH_H_

#include "addon.h"
#include "backends.h"

namespace acall::binding {

// A handle that owns one reference of the job; when it is collected the job is cancelled. nullptr with an exception
// pending.
napi_value to_handle(napi_env env, Job* job);
// The job behind a handle; nullptr with a TypeError pending when the value is no handle. lib/fs passes each kind's
// handle to the functions of its kind only.
Job* job_of(napi_env env, napi_value handle);

template <typename T>
T* job_of(napi_env env, napi_value handle) {
  return static_cast<T*>(job_of(env, handle));
}

// The promise op of slot `number` ends with the job, or earlier where the job says so: 0, -EAGAIN, or -EINVAL: no such
// slot.
int begin_job(Client& data, Job& job, uint32_t number, bool keep_alive);

// A path as a string or as bytes. False and a pending exception for anything else, and for a NUL inside.
bool path_argument(napi_env env, napi_value value, ByteBuffer& path);

void define_batch_tree(napi_env env, napi_value exports);

}  // namespace acall::binding

#endif  // ACALL_BINDING_BATCH_H_
