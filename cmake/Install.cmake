# What `cmake --install` puts where. Of each library: both forms, a pkg-config file (cmake/<name>.pc.in)
# and a CMake package (cmake/<name>-config.cmake.in) with the targets of the shared and of the static form apart,
# so that the needs of a static link are looked up only where one is possible.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

function(etcdc_install_library name package)
    set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/${name})

    install(TARGETS ${name} EXPORT ${name}-shared COMPONENT libraries
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_COMPONENT development)
    install(TARGETS ${name}_static EXPORT ${name}-static
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
    foreach(form IN ITEMS shared static)
        install(EXPORT ${name}-${form} NAMESPACE ${package}:: FILE ${name}-${form}-targets.cmake
            DESTINATION ${package_dir} COMPONENT development)
    endforeach()

    configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/${name}-config.cmake.in
        ${CMAKE_CURRENT_BINARY_DIR}/${name}-config.cmake INSTALL_DESTINATION ${package_dir})
    write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/${name}-config-version.cmake
        COMPATIBILITY SameMinorVersion)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}-config.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/${name}-config-version.cmake
        DESTINATION ${package_dir} COMPONENT development)

    # The prefix of a .pc file is known at the installation: `cmake --install --prefix` may change it.
    etcdc_pkgconfig_dir(pc_libdir ${CMAKE_INSTALL_LIBDIR})
    etcdc_pkgconfig_dir(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
    set(pc_prefix @CMAKE_INSTALL_PREFIX@)
    set(template ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc.in)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${template} @ONLY)
    install(CODE "configure_file([[${template}]] [[${CMAKE_CURRENT_BINARY_DIR}/${name}.pc]] @ONLY)"
        COMPONENT development)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endfunction()

# A directory for a .pc file: under ${prefix}, unless it is absolute.
function(etcdc_pkgconfig_dir variable dir)
    if(IS_ABSOLUTE ${dir})
        set(${variable} ${dir} PARENT_SCOPE)
    else()
        set(${variable} "\${prefix}/${dir}" PARENT_SCOPE)
    endif()
endfunction()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
    FILES_MATCHING PATTERN "*.h")

# docs/man/<name>.<section>
file(GLOB manuals CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.[1-9])
foreach(manual IN LISTS manuals)
    cmake_path(GET manual EXTENSION LAST_ONLY section)
    string(SUBSTRING ${section} 1 1 section)
    install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT development)
endforeach()
