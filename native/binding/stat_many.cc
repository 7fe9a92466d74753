// The functions of statMany, and the cancel of any job.
#include <fcntl.h>

#include <cerrno>

#include "method.h"

namespace acall::binding {

namespace {

// statManyBegin(slot, count, dirfd, flags): begins a job that waits for `count` paths, and returns its handle; null
// when memory is short
StatBatch* stat_many_begin(Client& client, SlotArgument slot, uint32_t count, int32_t dirfd, uint32_t flags) {
  const uint32_t follow = flags & JobOption::kNoFollow ? AT_SYMLINK_NOFOLLOW : 0;
  return started_in(client.slots, StatBatch::make(*client.environment, count, dirfd, follow), slot.number, flags);
}

// statManyAdd(handle, paths, count, characters): adds `count` paths, joined by NULs. 0; kHasNul; -EAGAIN: no memory;
// -ECANCELED: the job is over
int32_t stat_many_add(Client& client, StatBatch* batch, napi_value text, uint32_t count, double characters) {
  JoinedPaths paths;
  if (!paths.read(client, text, characters)) return {};
  if (paths.block == nullptr) return -EAGAIN;
  return batch->add_joined(paths.block, paths.length, count);
}

// statManyTake(handle): the columns, once, after the promise's op has ended with 0
BlockBuffer stat_many_take(Client& client, StatBatch* batch) {
  Block* columns = batch->take();
  if (columns == nullptr) return throw_error(client.env, "ERR_INVALID_STATE", "The columns have been taken");
  return {columns, columns->size};
}

// jobCancel(handle): cancels the job; its op ends with -ECANCELED unless the job is over
void job_cancel(Client&, Job* job) { job->cancel(); }

}  // namespace

void add_stat_many_functions(const Exports& exports) {
  exports.add("statManyBegin", call<stat_many_begin, kOpens | kSubmits>);
  exports.add("statManyAdd", call<stat_many_add>);
  exports.add("statManyTake", call<stat_many_take>);
  exports.add("jobCancel", call<job_cancel>);
}

}  // namespace acall::binding
