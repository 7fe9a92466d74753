// What the test frame must call a failure: a test without a check, a check that fails, and both beside a skip.
#include "check.h"

TEST("with a check") { CHECK(true); }

TEST("without a check") {}

TEST("not here") { return SKIP("for a reason"); }

TEST("not here, and wrong") {
  CHECK(false);
  SKIP("too late");
}
