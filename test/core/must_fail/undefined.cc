// Overflows a signed integer, so that a build with UBSan must end with a report. argc keeps it from being folded.
#include <climits>

int main(int argc, char**) {
  volatile int largest = INT_MAX;
  largest = largest + argc;
  return largest == 0 ? 1 : 0;
}
