# SPDX-License-Identifier: BSD-3-Clause
# The capture library that other programs link: the objects of cw_core, with what its headers
# declare visible and nothing else.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(library_packages PkgConfig::PCAP PkgConfig::ZSTD PkgConfig::ZLIB)
set(library_private "-lpcap -lzstd -lz")
if(XDP_FOUND)
  list(APPEND library_packages PkgConfig::XDP)
  string(APPEND library_private " -lxdp -lbpf")
endif()
if(URING_FOUND)
  list(APPEND library_packages PkgConfig::URING)
  string(APPEND library_private " -luring")
endif()

set(map ${CMAKE_CURRENT_SOURCE_DIR}/capweir.map)
add_library(capweir_shared SHARED $<TARGET_OBJECTS:cw_core>)
target_link_libraries(capweir_shared PRIVATE cw_settings ${library_packages})
target_link_options(capweir_shared PRIVATE LINKER:--version-script=${map} LINKER:--gc-sections
  LINKER:--as-needed LINKER:-z,defs)
set_target_properties(capweir_shared PROPERTIES OUTPUT_NAME capweir EXPORT_NAME capweir
  VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE C LINK_DEPENDS ${map})

add_library(capweir_static STATIC $<TARGET_OBJECTS:cw_core>)
target_link_libraries(capweir_static PRIVATE ${library_packages})
set_target_properties(capweir_static PROPERTIES OUTPUT_NAME capweir EXPORT_NAME static
  LINKER_LANGUAGE C)

foreach(library capweir_shared capweir_static)
  target_include_directories(${library} INTERFACE
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

install(TARGETS capweir_shared EXPORT capweir LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT library NAMELINK_COMPONENT development)
install(TARGETS capweir_static EXPORT capweir ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT development)
install(DIRECTORY include/capweir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.h")
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/capweir)
install(EXPORT capweir NAMESPACE capweir:: FILE capweir-targets.cmake
  DESTINATION ${package_folder} COMPONENT development)
configure_package_config_file(capweir-config.cmake.in capweir-config.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(capweir-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/capweir-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/capweir-config-version.cmake
  DESTINATION ${package_folder} COMPONENT development)
configure_file(capweir.pc.in capweir.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/capweir.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
