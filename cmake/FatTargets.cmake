# The targets of the library and the private target that carries the developers' warnings.
fat_find_threads()
fat_find_openblas()
fat_find_zlib()
fat_find_xtensor()
fat_find_onnx_proto()
fat_find_images()

# Warnings for our own code: linked privately and never exported.
add_library(fat_developer INTERFACE)
target_compile_options(fat_developer INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                       $<$<BOOL:${FAT_WARNINGS_ARE_ERRORS}>:-Werror>)
# g++ 12 warns of overlap inside std::string + std::string (GCC bug 105651).
target_compile_options(fat_developer INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

set(FAT_COMPONENTS "")  # what exists here, in order of dependence

# Classes for files in FlatBuffers' format are generated while building; users of the library need nothing of it.
find_program(FAT_FLATC flatc)
find_path(FAT_FLATBUFFERS_INCLUDE_DIR flatbuffers/flatbuffers.h)
mark_as_advanced(FAT_FLATC FAT_FLATBUFFERS_INCLUDE_DIR)
if(FAT_FLATC AND FAT_FLATBUFFERS_INCLUDE_DIR)
  add_library(fat_flatbuffers INTERFACE)
  target_include_directories(fat_flatbuffers SYSTEM INTERFACE ${FAT_FLATBUFFERS_INCLUDE_DIR})
endif()

# fat_component(<name> LINK <targets>... [PRIVATE <targets>...] [BUILD <targets>...])
# Header-only, or a static library as soon as src/<name>/*.cpp exist. src/<name>/<schema>.fbs gives <schema>_generated.h.
# Targets after BUILD are needed while building fat, not by its users.
function(fat_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK;PRIVATE;BUILD")
  foreach(target IN LISTS arg_LINK arg_PRIVATE arg_BUILD)
    if(NOT TARGET ${target})
      message(STATUS "fat::${name} is left out: ${target} was not found")
      return()
    endif()
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  if(sources)
    add_library(fat_${name} STATIC ${sources})
    target_link_libraries(fat_${name} PUBLIC ${arg_LINK} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:fat_developer>)
    foreach(target IN LISTS arg_BUILD)
      target_link_libraries(fat_${name} PRIVATE $<BUILD_INTERFACE:${target}>)
    endforeach()
    file(GLOB schemas CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.fbs)
    foreach(schema IN LISTS schemas)
      cmake_path(GET schema STEM stem)
      set(folder ${PROJECT_BINARY_DIR}/generated/${name})
      add_custom_command(OUTPUT ${folder}/${stem}_generated.h COMMAND ${FAT_FLATC} --cpp --scoped-enums -o ${folder} ${schema}
                         DEPENDS ${schema} VERBATIM)
      target_sources(fat_${name} PRIVATE ${folder}/${stem}_generated.h)
      target_include_directories(fat_${name} SYSTEM PRIVATE ${folder})
    endforeach()
    set_target_properties(fat_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  else()
    add_library(fat_${name} INTERFACE)
    target_link_libraries(fat_${name} INTERFACE ${arg_LINK} ${arg_PRIVATE})
  endif()
  set_target_properties(fat_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(fat::${name} ALIAS fat_${name})
  list(APPEND FAT_COMPONENTS ${name})
  set(FAT_COMPONENTS ${FAT_COMPONENTS} PARENT_SCOPE)
endfunction()

fat_component(core)
target_compile_features(fat_core INTERFACE cxx_std_20)
file(GLOB_RECURSE fat_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/fat/*.hpp)
file(GLOB_RECURSE fat_pieces CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/fat/*.inl)
target_sources(fat_core INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${fat_headers} ${fat_pieces})

fat_component(headers LINK fat::core fat::openblas ZLIB::ZLIB Threads::Threads)
fat_component(fat LINK fat::headers)
if(TARGET fat_fat)
  target_compile_definitions(fat_fat PUBLIC FAT_COMPILED)
  if(NOT FAT_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(fat_fat PRIVATE -O3)  # kernels are of no use otherwise, whatever the project's build type
  endif()
endif()
fat_component(xtensor LINK fat::core xtensor xtensor-blas)
fat_component(reader LINK fat::fat)
fat_component(onnx LINK fat::fat PRIVATE fat::reader fat::onnx_proto)
fat_component(images LINK fat::fat PRIVATE JPEG::JPEG PNG::PNG)
fat_component(tflite LINK fat::fat PRIVATE fat::reader BUILD fat_flatbuffers)

# Everything that exists on this machine, with the warnings: what programs of this project link.
add_library(fat_everything INTERFACE)
list(TRANSFORM FAT_COMPONENTS PREPEND "fat::" OUTPUT_VARIABLE fat_component_targets)
target_link_libraries(fat_everything INTERFACE ${fat_component_targets} fat_developer)

# fat_missing_for(<result> <source>): the components that a source file includes and this machine lacks.
function(fat_missing_for result source)
  set(missing "")
  foreach(component header IN ZIP_LISTS FAT_OPTIONAL_COMPONENTS FAT_OPTIONAL_HEADERS)
    if(NOT TARGET fat::${component})
      file(STRINGS ${source} uses REGEX "^ *# *include *[<\"](${header})")
      if(uses)
        list(APPEND missing fat::${component})
      endif()
    endif()
  endforeach()
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()
set(FAT_OPTIONAL_COMPONENTS fat xtensor onnx images tflite)
set(FAT_OPTIONAL_HEADERS "fat/(fat|kernel/blas|model/)" "xtensor|fat/adapt/xtensor" "fat/io/onnx" "fat/io/images" "fat/io/tflite")
