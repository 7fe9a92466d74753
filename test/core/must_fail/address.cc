// Reads freed memory, so that a build with ASan must end with a report. The volatile pointer keeps the read alive.
#include <cstdlib>

int main() {
  char* volatile block = static_cast<char*>(std::malloc(16));
  std::free(block);
  return block[3] & 1;
}
