// System calls of the promise layer: records of calls, and calls whose data is copied from views.
#include <algorithm>

#include "method.h"

namespace acall::binding {

namespace {

// submitCalls(scratch, bytes, inline_calls): submits CallRecords and stores the status of each. Returns how many calls
// are complete
uint32_t submit_calls(Client& client, std::span<unsigned char> scratch, uint32_t bytes, uint32_t inline_calls) {
  const auto used = static_cast<uint32_t>(std::min<size_t>(bytes, scratch.size()));
  return promise_submit_calls(*client.environment, client.slots, scratch.data(), used,
                              static_cast<InlineCalls>(inline_calls));
}

// submitCall(record, views): submits one call whose data comes from up to six views, in the order of its pointers
void submit_call(Client& client, Record<CallRecord> record, const OptionalBytes& a, const OptionalBytes& b,
                 const OptionalBytes& c, const OptionalBytes& d, const OptionalBytes& e, const OptionalBytes& f) {
  const OptionalBytes* const given[kArgumentCount] = {&a, &b, &c, &d, &e, &f};
  View views[kArgumentCount];
  std::transform(given, given + kArgumentCount, views, [](const OptionalBytes* optional) {
    return View{optional->bytes.data(), optional->bytes.size()};
  });
  promise_submit_call(*client.environment, client.slots, *reinterpret_cast<CallRecord*>(record.bytes), views,
                      kArgumentCount);
}

}  // namespace

void add_call_functions(const Exports& exports) {
  exports.add("submitCalls", call<submit_calls, kSubmits>);
  exports.add("submitCall", call<submit_call, kSubmits>);
}

}  // namespace acall::binding
