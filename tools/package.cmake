# SPDX-License-Identifier: BSD-3-Clause
# Debian packages: tools/make-deb, or cpack -G DEB in a build folder.
set(CPACK_PACKAGE_NAME capweir)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "packet capture into a file for each filter, exactly and accounted for")
set(CW_CONTACT "the capweir authors <maintainers@capweir.invalid>" CACHE STRING
  "Maintainer of the packages: name <address>")
set(CPACK_PACKAGE_CONTACT "${CW_CONTACT}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL command library development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(debian ${PROJECT_SOURCE_DIR}/tools/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME capweir)
set(CPACK_DEBIAN_COMMAND_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_COMMAND_PACKAGE_CONTROL_EXTRA
  ${debian}/preinst ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libcapweir0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${debian}/triggers)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libcapweir-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(development_depends "libcapweir0 (= ${PROJECT_VERSION}), libpcap-dev, libzstd-dev, zlib1g-dev")
if(XDP_FOUND)
  string(APPEND development_depends ", libxdp-dev, libbpf-dev")
endif()
if(URING_FOUND)
  string(APPEND development_depends ", liburing-dev")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${development_depends}")
set(CPACK_COMPONENT_COMMAND_DESCRIPTION
  "capweir reads packets from network interfaces or capture files, applies any
number of tcpdump filters in one pass, and writes the packets of each filter
to a separate file. The report counts each packet; a loss has a cause.
.
A systemd unit captures on an interface by a rules file: capweir@.service.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
  "libcapweir reads packets from interfaces and capture files, filters them in
tcpdump's language, and writes capture files.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
  "The headers, the static library and the manual pages of libcapweir, which
reads, filters and writes packets.")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
include(CPack)
