// Batch ops of the promise layer: many inputs, one promise.
#include "addon.h"

namespace acall::binding {

void define_batch(napi_env, napi_value) {}

}  // namespace acall::binding
