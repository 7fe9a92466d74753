# Runs PROGRAM, which commits a fault that SANITIZER must see: passes when it ends with an error and the right report.
set(report_address "AddressSanitizer: heap-use-after-free")
set(report_undefined "runtime error: signed integer overflow")
set(report_thread "ThreadSanitizer: data race")

execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended well: the ${SANITIZER} sanitizer is not on\n${output}")
endif()
if(NOT output MATCHES "${report_${SANITIZER}}")
  message(FATAL_ERROR "${PROGRAM} failed (${status}) without the report \"${report_${SANITIZER}}\"\n${output}")
endif()
message("reported as it must be: ${report_${SANITIZER}}")
