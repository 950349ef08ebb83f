# Configures and builds the tests of SOURCE for 64-bit ARM in BINARY; BOOST is the folder with Boost's headers.
# Only boost/ may be seen of that folder, since it holds this machine's system headers as well.
file(MAKE_DIRECTORY ${BINARY}/boost)
file(CREATE_LINK ${BOOST}/boost ${BINARY}/boost/boost SYMBOLIC)
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BINARY} -G Ninja --toolchain ${SOURCE}/cmake/aarch64-linux-gnu.cmake
          -DCMAKE_PROJECT_fat_INCLUDE=${SOURCE}/tests/arm/standins.cmake -DFAT_BOOST_INCLUDE_DIR=${BINARY}/boost
          -DFAT_TEST_FOLDERS=golden|differential -DFAT_BUILD_PROGRAM=OFF -DFAT_BUILD_EXAMPLES=OFF
          -DFAT_BUILD_BENCHMARKS=OFF -DFAT_INSTALL=OFF
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
