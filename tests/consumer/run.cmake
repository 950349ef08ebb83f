# Builds SOURCE in BINARY so that it gets fat by WAY, and runs its programs.
file(REMOVE_RECURSE ${BINARY})
# Not optimized: what is tested is how the project is found, and compiling is what takes the time.
set(options -DWAY=${WAY} -DFAT_SOURCE=${FAT_SOURCE} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Debug
            -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
if(WAY STREQUAL find_package)
  # Installed from the tree that runs this test, then found like any package.
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${FAT_BINARY} --prefix ${BINARY}/prefix
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND options -DCMAKE_PREFIX_PATH=${BINARY}/prefix)
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BINARY}/project -G ${GENERATOR} ${options}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY}/project --target core host COMMAND_ERROR_IS_FATAL ANY)
foreach(program core host)
  execute_process(COMMAND ${BINARY}/project/${program} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
