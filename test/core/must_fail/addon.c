// An addon that reads freed memory when it is loaded: a Node with ASan preloaded must end with a report.
// It is compiled without Node's headers; both names are those that Node looks up.
#include <stdint.h>
#include <stdlib.h>

int32_t node_api_module_get_api_version_v1(void);
int32_t node_api_module_get_api_version_v1(void) { return 8; }

void* napi_register_module_v1(void* env, void* exports);
void* napi_register_module_v1(void* env, void* exports) {
  (void)env;
  char* volatile block = malloc(16);
  free(block);
  return block[3] == 1 ? NULL : exports;
}
