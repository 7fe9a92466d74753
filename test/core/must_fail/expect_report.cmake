# Runs PROGRAM, which commits a fault that the test frame or a sanitizer, WATCHER, must see: passes when it ends with an
# error and the right report.
set(report_frame "FAILED: it ended without a check.*SKIPPED: for a reason.*1 passed, 2 failed, 1 skipped")
set(report_address "AddressSanitizer: heap-use-after-free")
set(report_undefined "runtime error: signed integer overflow")
set(report_thread "ThreadSanitizer: data race")

execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended well: ${WATCHER} saw nothing\n${output}")
endif()
if(NOT output MATCHES "${report_${WATCHER}}")
  message(FATAL_ERROR "${PROGRAM} failed (${status}) without the report \"${report_${WATCHER}}\"\n${output}")
endif()
message("reported as it must be: ${report_${WATCHER}}")
