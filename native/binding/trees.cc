// The functions of walk, readdir, du and rmTree.
#include <cstdlib>
#include <cstring>

#include "method.h"

namespace acall::binding {

namespace {

napi_value to_latin1(Client& client, const char* bytes, size_t length) {
  napi_value text = nullptr;
  napi_create_string_latin1(client.env, bytes, length, &text);
  return text;
}

napi_value to_bytes(Client& client, const void* bytes, size_t length) {
  napi_value buffer = nullptr;
  void* copy = nullptr;
  if (napi_create_arraybuffer(client.env, length, &copy, &buffer) == napi_ok && length > 0) memcpy(copy, bytes, length);
  return buffer;
}

// The types of a page, a byte each, and its runs from the next multiple of kRunsAlign on.
napi_value to_facts(Client& client, const WalkPage& page) {
  napi_value buffer = nullptr;
  void* memory = nullptr;
  const size_t types = (page.types.size() + kRunsAlign - 1) & ~size_t{kRunsAlign - 1};
  if (napi_create_arraybuffer(client.env, types + page.runs.size(), &memory, &buffer) != napi_ok) return nullptr;
  auto* bytes = static_cast<unsigned char*>(memory);
  memcpy(bytes, page.types.data(), page.types.size());
  memset(bytes + page.types.size(), 0, types - page.types.size());
  memcpy(bytes + types, page.runs.data(), page.runs.size());
  return buffer;
}

// The object of a page, which is freed.
napi_value to_page(Client& client, WalkPage* page, bool as_bytes) {
  const char* text = page->text.data();
  const size_t length = page->text.size() - 1;  // without the last NUL
  napi_value object = to_object(client);
  set(client, object, "text",
      as_bytes         ? to_bytes(client, text, length)
      : page->is_ascii ? to_latin1(client, text, length)
                       : to_text(client, text, length));
  set(client, object, "rows", page->rows);
  set(client, object, "facts", to_facts(client, *page));
  if (page->stats != nullptr) {
    const size_t size = page->stats->size;
    set(client, object, "stats", BlockBuffer{std::exchange(page->stats, nullptr), size});
    set(client, object, "capacity", page->capacity);
  }
  walk_page_free(page);
  return object;
}

// The list of the errors, which are freed: [{ path, errno, call }]. errno is negative, call a TreeCall.
napi_value to_errors(Client& client, TreeError* error, bool as_bytes) {
  napi_value list = to_list(client);
  for (uint32_t length = 0; error != nullptr;) {
    napi_value object = to_object(client);
    set(client, object, "path",
        as_bytes ? to_bytes(client, error->path, error->path_length)
                 : to_text(client, error->path, error->path_length));
    set(client, object, "errno", -error->error);
    set(client, object, "call", static_cast<uint32_t>(error->call));
    append(client, list, length, object);
    free(std::exchange(error, error->next));
  }
  return list;
}

// walkBegin(root, flags, maxDepth): begins a walk and returns its handle; null when memory is short
Walk* walk_begin(Client& client, const RequiredPath& root, uint32_t flags, uint32_t max_depth) {
  WalkOptions options;
  options.max_depth = max_depth;
  options.stats = flags & JobOption::kStats;
  options.one_file_system = flags & JobOption::kOneFileSystem;
  options.names_only = flags & JobOption::kNamesOnly;
  auto* walk = Walk::make(*client.environment, root.data(), root.size(), options);
  if (walk != nullptr) walk->start();
  return walk;
}

// walkWait(handle, slot, flags): the slot's op ends when walkTake() has something, or the walk is over. 0 or -EAGAIN
int32_t walk_wait(Client& client, Walk* walk, SlotArgument slot, uint32_t flags) {
  return walk->begin_in(client.slots, slot.number, flags);
}

// walkTake(handle, asBytes): takes { pages: [{ text, rows, facts, stats?, capacity? }], errors, ended, result }
napi_value walk_take(Client& client, Walk* walk, bool as_bytes) {
  Walk::Output output = walk->take();
  napi_value pages = to_list(client);
  for (uint32_t length = 0; output.pages != nullptr;) {
    WalkPage* page = std::exchange(output.pages, output.pages->next);
    append(client, pages, length, to_page(client, page, as_bytes));
  }
  napi_value object = to_object(client);
  set(client, object, "pages", pages);
  set(client, object, "errors", to_errors(client, output.errors, as_bytes));
  set(client, object, "ended", output.ended);
  set(client, object, "result", output.result);
  return object;
}

// duBegin(slot, root, flags): begins a du and returns its handle; the slot's op ends with it. null when memory is short
Du* du_begin(Client& client, SlotArgument slot, const RequiredPath& root, uint32_t flags) {
  DuOptions options;
  options.apparent_size = flags & JobOption::kApparentSize;
  options.one_file_system = flags & JobOption::kOneFileSystem;
  return started_in(client.slots, Du::make(*client.environment, root.data(), root.size(), options), slot.number, flags);
}

// duTotals(handle, into): stores the DuTotals as they are now
void du_totals(Client&, Du* du, Record<DuTotals> into) {
  const Du::Totals totals = du->totals();
  DuTotals numbers{};
  numbers.bytes = static_cast<double>(totals.bytes);
  numbers.files = static_cast<double>(totals.files);
  numbers.directories = static_cast<double>(totals.directories);
  numbers.errors = static_cast<double>(totals.errors);
  into.set(numbers);
}

// duErrors(handle, asBytes): the first thousand errors; called once, after the op has ended
napi_value du_errors(Client& client, Du* du, bool as_bytes) { return to_errors(client, du->take_errors(), as_bytes); }

// removeBegin(slot, root, flags): begins a removal and returns its handle; the slot's op ends with it. null when memory
// is short
RemoveTree* remove_begin(Client& client, SlotArgument slot, const RequiredPath& root, uint32_t flags) {
  return started_in(client.slots, RemoveTree::make(*client.environment, root.data(), root.size()), slot.number, flags);
}

// removeErrors(handle, asBytes): the first thousand errors; called once, after the op has ended
napi_value remove_errors(Client& client, RemoveTree* job, bool as_bytes) {
  return to_errors(client, job->take_errors(), as_bytes);
}

}  // namespace

void add_tree_functions(const Exports& exports) {
  exports.add("walkBegin", call<walk_begin, kOpens>);
  exports.add("walkWait", call<walk_wait, kSubmits>);
  exports.add("walkTake", call<walk_take>);
  exports.add("duBegin", call<du_begin, kOpens | kSubmits>);
  exports.add("duTotals", call<du_totals>);
  exports.add("duErrors", call<du_errors>);
  exports.add("removeBegin", call<remove_begin, kOpens | kSubmits>);
  exports.add("removeErrors", call<remove_errors>);
}

}  // namespace acall::binding
