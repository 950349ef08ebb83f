# Compiles SOURCE with COMPILER and succeeds when the compiler fails with the text of the first line, `// expect: text`.
file(STRINGS ${SOURCE} lines LIMIT_COUNT 1)
if(NOT lines MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line has to be `// expect: <part of the diagnostic>`")
endif()
string(REPLACE "\\;" ";" expected "${CMAKE_MATCH_1}")  # file(STRINGS) escapes the semicolon
execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only -I${INCLUDE} ${SOURCE}
                RESULT_VARIABLE status ERROR_VARIABLE diagnostics OUTPUT_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles, but it has to be refused with: ${expected}")
endif()
string(FIND "${diagnostics}" "${expected}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${SOURCE} is refused, but not with: ${expected}\nThe compiler said:\n${diagnostics}")
endif()
