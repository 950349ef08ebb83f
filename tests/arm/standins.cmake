# Targets in place of the libraries that Debian's cross compiler does not bring.
add_library(fat_standins STATIC ${CMAKE_CURRENT_LIST_DIR}/standins/standins.cpp)
target_include_directories(fat_standins SYSTEM PUBLIC ${CMAKE_CURRENT_LIST_DIR}/standins)
add_library(fat::openblas ALIAS fat_standins)
add_library(ZLIB::ZLIB ALIAS fat_standins)
add_library(fat_boost_headers INTERFACE)
target_include_directories(fat_boost_headers SYSTEM INTERFACE ${FAT_BOOST_INCLUDE_DIR})
target_compile_definitions(fat_boost_headers INTERFACE FAT_TEST_HEADERS_ONLY)
add_library(Boost::unit_test_framework ALIAS fat_boost_headers)
