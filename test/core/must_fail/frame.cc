// The tests that the test frame must report as failed: one without a check, one with a failed check, and both with a
// skip.
#include "check.h"

TEST("with a check") { CHECK(true); }

TEST("without a check") {}

TEST("not here") { return SKIP("for a reason"); }

TEST("not here, and wrong") {
  CHECK(false);
  SKIP("too late");
}
