# Runs PROGRAM, which commits a fault that WATCHER (the test frame, a sanitizer, the watchdog) must see: passes when it ends with an
# error and the right report.
set(report_frame "FAILED: it ended without a check.*SKIPPED: for a reason.*1 passed, 2 failed, 1 skipped")
set(report_address "AddressSanitizer: heap-use-after-free")
set(report_undefined "runtime error: signed integer overflow")
set(report_thread "ThreadSanitizer: data race")
set(report_watchdog "does not come back from inline call.*state D, in code of ours.*state D, in code of others")

execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended well: ${WATCHER} saw nothing\n${output}")
endif()
if(NOT output MATCHES "${report_${WATCHER}}")
  message(FATAL_ERROR "${PROGRAM} failed (${status}) without the report \"${report_${WATCHER}}\"\n${output}")
endif()
message("reported as it must be: ${report_${WATCHER}}")
