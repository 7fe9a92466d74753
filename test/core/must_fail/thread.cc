// Two threads write one plain integer without order, so that a build with TSan must end with a report.
#include <pthread.h>

static int shared_word;

static void* write_word(void*) {
  for (int i = 0; i < 100000; i++) shared_word++;
  return nullptr;
}

int main() {
  pthread_t other;
  if (pthread_create(&other, nullptr, write_word, nullptr) != 0) return 0;
  write_word(nullptr);
  pthread_join(other, nullptr);
  return 0;
}
