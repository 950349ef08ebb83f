# Installs headers, libraries, the program and the package read by find_package(fat COMPONENTS ...).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fat)

# One export file for each component, so that a user of the core needs none of the other libraries.
set(independent ARCH_INDEPENDENT)
foreach(component IN LISTS FAT_COMPONENTS)
  set(headers "")
  if(component STREQUAL core)
    set(headers FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endif()
  install(TARGETS fat_${component} EXPORT fat-${component}-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} ${headers})
  install(EXPORT fat-${component}-targets NAMESPACE fat:: DESTINATION ${package_dir})
  get_target_property(type fat_${component} TYPE)
  if(type STREQUAL STATIC_LIBRARY)
    set(independent "")
  endif()
endforeach()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/fat-config.cmake.in fat-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(fat-config-version.cmake COMPATIBILITY SameMinorVersion ${independent})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fat-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/fat-config-version.cmake
              ${CMAKE_CURRENT_LIST_DIR}/FatDependencies.cmake
        DESTINATION ${package_dir})
if(TARGET fat_engine_shared)
  install(TARGETS fat_engine_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET example_cli)
  install(TARGETS example_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
