# Configures and builds the tests of SOURCE for 64-bit ARM in BINARY; BOOST and JSON are the folders with the headers of
# Boost and nlohmann-json. Only boost/ and nlohmann/ may be seen of them, since they hold this machine's system headers too.
file(MAKE_DIRECTORY ${BINARY}/boost)
file(CREATE_LINK ${BOOST}/boost ${BINARY}/boost/boost SYMBOLIC)
file(CREATE_LINK ${JSON}/nlohmann ${BINARY}/boost/nlohmann SYMBOLIC)
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BINARY} -G Ninja --toolchain ${SOURCE}/cmake/aarch64-linux-gnu.cmake
          -DCMAKE_PROJECT_fat_INCLUDE=${SOURCE}/tests/arm/standins.cmake -DFAT_BOOST_INCLUDE_DIR=${BINARY}/boost
          -DFAT_TEST_FOLDERS=golden|differential -DFAT_BUILD_PROGRAM=OFF -DFAT_BUILD_ENGINE=OFF -DFAT_BUILD_EXAMPLES=OFF
          -DFAT_BUILD_BENCHMARKS=OFF -DFAT_INSTALL=OFF
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
