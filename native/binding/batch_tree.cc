// walk, readdir, du and rmTree for JavaScript.
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "batch.h"

namespace acall::binding {

namespace {

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value to_text(napi_env env, const char* bytes, size_t length, bool is_ascii) {
  napi_value text = nullptr;
  if (is_ascii) {
    napi_create_string_latin1(env, bytes, length, &text);
  } else {
    napi_create_string_utf8(env, bytes, length, &text);
  }
  return text;
}

napi_value to_bytes(napi_env env, const void* bytes, size_t length) {
  napi_value buffer = nullptr;
  void* copy = nullptr;
  if (napi_create_arraybuffer(env, length, &copy, &buffer) == napi_ok && length > 0) memcpy(copy, bytes, length);
  return buffer;
}

// The types, a byte each, and from the next multiple of kRunsAlign on the runs.
napi_value to_facts(napi_env env, const WalkPage& page) {
  napi_value buffer = nullptr;
  void* memory = nullptr;
  size_t types = (page.types.size() + kRunsAlign - 1) & ~size_t{kRunsAlign - 1};
  if (napi_create_arraybuffer(env, types + page.runs.size(), &memory, &buffer) != napi_ok) return nullptr;
  auto* bytes = static_cast<unsigned char*>(memory);
  memcpy(bytes, page.types.data(), page.types.size());
  memset(bytes + page.types.size(), 0, types - page.types.size());
  memcpy(bytes + types, page.runs.data(), page.runs.size());
  return buffer;
}

// Takes the page over.
napi_value to_page(napi_env env, WalkPage* page, bool as_bytes) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  size_t length = page->text.size() - 1;  // without the last NUL
  set(env, object, "text",
      as_bytes ? to_bytes(env, page->text.data(), length) : to_text(env, page->text.data(), length, page->is_ascii));
  set(env, object, "rows", to_number(env, page->rows));
  set(env, object, "facts", to_facts(env, *page));
  if (page->stats != nullptr) {
    size_t size = page->stats->size;
    set(env, object, "stats", to_array_buffer(env, std::exchange(page->stats, nullptr), size));
    set(env, object, "capacity", to_number(env, page->capacity));
  }
  walk_page_free(page);
  return object;
}

// Takes the errors over: [{ path, errno, call }], errno negative, call a TreeCall.
napi_value to_errors(napi_env env, TreeError* error, bool as_bytes) {
  napi_value list = nullptr;
  napi_create_array(env, &list);
  for (uint32_t i = 0; error != nullptr; ++i) {
    napi_value object = nullptr;
    napi_create_object(env, &object);
    set(env, object, "path",
        as_bytes ? to_bytes(env, error->path, error->path_length)
                 : to_text(env, error->path, error->path_length, false));
    set(env, object, "errno", to_number(env, -error->error));
    set(env, object, "call", to_number(env, static_cast<double>(error->call)));
    napi_set_element(env, list, i, object);
    free(std::exchange(error, error->next));
  }
  return list;
}

// walkBegin(root, flags, maxDepth): the handle of a walk that has begun; null when memory is short
napi_value walk_begin(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  ByteBuffer root;
  WalkOptions options;
  uint32_t flags;
  if (!path_argument(env, arguments[0], root) || !uint32_of(env, arguments[1], &flags) ||
      !uint32_of(env, arguments[2], &options.max_depth) || !open_environment(data)) {
    return nullptr;
  }
  options.stats = flags & JobOption::kStats;
  options.one_file_system = flags & JobOption::kOneFileSystem;
  options.names_only = flags & JobOption::kNamesOnly;
  auto* walk = Walk::make(*data.environment, root.data(), root.size(), options);
  if (walk == nullptr) {
    napi_value none = nullptr;
    napi_get_null(env, &none);
    return none;
  }
  walk->start();
  return to_handle(env, walk);
}

// walkWait(handle, slot, flags): the slot's op ends when walkTake() has something, or the walk is over. 0 or -EAGAIN
napi_value walk_wait(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  auto* walk = job_of<Walk>(env, arguments[0]);
  uint32_t slot, flags;
  if (walk == nullptr || !uint32_of(env, arguments[1], &slot) || !uint32_of(env, arguments[2], &flags)) return nullptr;
  int error = begin_job(data, *walk, slot, !(flags & JobOption::kUnreferenced));
  hold_bell(data);
  return to_number(env, error);
}

// walkTake(handle, asBytes): { pages: [{ text, rows, facts, stats?, capacity? }], errors, ended, result }
napi_value walk_take(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto* walk = job_of<Walk>(env, arguments[0]);
  bool as_bytes = false;
  if (walk == nullptr) return nullptr;
  napi_get_value_bool(env, arguments[1], &as_bytes);
  Walk::Output output = walk->take();
  napi_value object, pages, ended;
  napi_create_object(env, &object);
  napi_create_array(env, &pages);
  for (uint32_t i = 0; output.pages != nullptr; ++i) {
    WalkPage* page = std::exchange(output.pages, output.pages->next);
    napi_set_element(env, pages, i, to_page(env, page, as_bytes));
  }
  napi_get_boolean(env, output.ended, &ended);
  set(env, object, "pages", pages);
  set(env, object, "errors", to_errors(env, output.errors, as_bytes));
  set(env, object, "ended", ended);
  set(env, object, "result", to_number(env, output.result));
  return object;
}

// duBegin(slot, root, flags): the handle of a du that has begun; the slot's op ends with it. null when memory is short
napi_value du_begin(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  ByteBuffer root;
  uint32_t slot, flags;
  if (!uint32_of(env, arguments[0], &slot) || !path_argument(env, arguments[1], root) ||
      !uint32_of(env, arguments[2], &flags) || !open_environment(data)) {
    return nullptr;
  }
  DuOptions options;
  options.apparent_size = flags & JobOption::kApparentSize;
  options.one_file_system = flags & JobOption::kOneFileSystem;
  auto* du = Du::make(*data.environment, root.data(), root.size(), options);
  if (du == nullptr || begin_job(data, *du, slot, !(flags & JobOption::kUnreferenced)) != 0) {
    if (du != nullptr) du->release();
    napi_value none = nullptr;
    napi_get_null(env, &none);
    return none;
  }
  du->start();
  hold_bell(data);
  return to_handle(env, du);
}

// duTotals(handle, into): bytes, files, directories, errors as they are now, as DuTotals
napi_value du_totals(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto* du = job_of<Du>(env, arguments[0]);
  unsigned char* bytes;
  size_t length;
  if (du == nullptr || !bytes_of(env, arguments[1], &bytes, &length)) return nullptr;
  if (length < sizeof(DuTotals)) {
    throw_range_error(env, "The totals need more room");
    return nullptr;
  }
  const Du::Totals totals = du->totals();
  DuTotals numbers{};
  numbers.bytes = static_cast<double>(totals.bytes);
  numbers.files = static_cast<double>(totals.files);
  numbers.directories = static_cast<double>(totals.directories);
  numbers.errors = static_cast<double>(totals.errors);
  memcpy(bytes, &numbers, sizeof numbers);
  return nullptr;
}

// duErrors(handle, asBytes): the first thousand, once, after the op has ended
napi_value du_errors(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto* du = job_of<Du>(env, arguments[0]);
  if (du == nullptr) return nullptr;
  bool as_bytes = false;
  napi_get_value_bool(env, arguments[1], &as_bytes);
  return to_errors(env, du->take_errors(), as_bytes);
}

// removeBegin(slot, root, flags): the handle of a removal that has begun; the slot's op ends with it. null when memory
// is short
napi_value remove_begin(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Client& data = *arguments.client;
  ByteBuffer root;
  uint32_t slot, flags;
  if (!uint32_of(env, arguments[0], &slot) || !path_argument(env, arguments[1], root) ||
      !uint32_of(env, arguments[2], &flags) || !open_environment(data)) {
    return nullptr;
  }
  auto* job = RemoveTree::make(*data.environment, root.data(), root.size());
  if (job == nullptr || begin_job(data, *job, slot, !(flags & JobOption::kUnreferenced)) != 0) {
    if (job != nullptr) job->release();
    napi_value none = nullptr;
    napi_get_null(env, &none);
    return none;
  }
  job->start();
  hold_bell(data);
  return to_handle(env, job);
}

// removeErrors(handle, asBytes): the first thousand, once, after the op has ended
napi_value remove_errors(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto* job = job_of<RemoveTree>(env, arguments[0]);
  if (job == nullptr) return nullptr;
  bool as_bytes = false;
  napi_get_value_bool(env, arguments[1], &as_bytes);
  return to_errors(env, job->take_errors(), as_bytes);
}

}  // namespace

void define_batch_tree(napi_env env, napi_value exports) {
  define(env, exports, "walkBegin", walk_begin);
  define(env, exports, "walkWait", walk_wait);
  define(env, exports, "walkTake", walk_take);
  define(env, exports, "duBegin", du_begin);
  define(env, exports, "duTotals", du_totals);
  define(env, exports, "duErrors", du_errors);
  define(env, exports, "removeBegin", remove_begin);
  define(env, exports, "removeErrors", remove_errors);
}

}  // namespace acall::binding
