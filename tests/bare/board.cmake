# Compiles SOURCE with COMPILER for the Cortex-M3 of an emulated board without exceptions and RTTI, checks that it calls
# nothing but what ALLOWED matches (so no heap), and runs it; it has to return 0. FOLDER takes the program.
file(MAKE_DIRECTORY ${FOLDER})
set(flags -std=c++20 -O2 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -mthumb -mcpu=cortex-m3 -I${PROJECT}/include)
execute_process(COMMAND ${COMPILER} ${flags} -c ${SOURCE} -o ${FOLDER}/program.o COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "g\\+\\+$" "nm" lister ${COMPILER})
execute_process(COMMAND ${lister} -u ${FOLDER}/program.o OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^ \n]+" symbols "${symbols}")
foreach(symbol IN LISTS symbols)
  if(NOT symbol STREQUAL "U" AND NOT symbol MATCHES "^(${ALLOWED})$")
    message(FATAL_ERROR "${SOURCE} calls ${symbol}; only ${ALLOWED} may be called")
  endif()
endforeach()
execute_process(COMMAND ${COMPILER} -mthumb -mcpu=cortex-m3 -nostartfiles ${FOLDER}/program.o -x c ${PROJECT}/tests/support/cortex_m.c
                        -T ${PROJECT}/tests/support/cortex_m.ld -o ${FOLDER}/program COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${EMULATOR} -M mps2-an385 -nographic -monitor none -serial none
                        -semihosting-config enable=on,target=native -kernel ${FOLDER}/program
                RESULT_VARIABLE status TIMEOUT 60)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${SOURCE}: the program returned ${status} on the board, 0 here")
endif()
