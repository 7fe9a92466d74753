// The other half of the facade: the back ends that are more than one call, which a binding begins, takes from and
// cancels. No header of the core includes this one. Each header says which threads enter.
#ifndef ACALL_CORE_BACKENDS_H_
#define ACALL_CORE_BACKENDS_H_

#include "base/byte_buffer.h"
#include "engine.h"
#include "files/file_tasks.h"
#include "jobs/batch_stat.h"
#include "jobs/job.h"
#include "jobs/read_files.h"
#include "jobs/tree/tree_du.h"
#include "jobs/tree/tree_remove.h"
#include "jobs/tree/tree_walk.h"

#endif  // ACALL_CORE_BACKENDS_H_
