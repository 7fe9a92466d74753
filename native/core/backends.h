// The other half of the facade: back ends that are more than one call, as a binding begins, takes and cancels them.
// Knows of every back end; no back end knows of it. See each header for who enters.
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
