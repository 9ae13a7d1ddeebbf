# etcdc_library(<name> PACKAGE <package> EXPORT <name> NODE <version node> SYMBOLS <glob>…
#               LAYERS <layer>… [PUBLIC <library>…] [PRIVATE <pkg-config target>…])
#
# One library in both forms, from the objects of its layers: <name> is shared, <name>_static an archive.
# Programs name it as <package>::<export>, in this tree and after find_package() alike.
# PUBLIC names libraries of ours whose headers its headers include; PRIVATE what only its sources use.


# A version script exporting the given names and nothing else. What is private has
# hidden visibility, which a version script does not undo: etcd__x stays private.
function(etcdc_version_script path node symbols)
    list(JOIN symbols ";\n        " names)
    file(CONFIGURE OUTPUT ${path} @ONLY CONTENT "@node@ {
    global:
        @names@;
    local:
        *;
};
")
endfunction()

function(etcdc_library name)
    cmake_parse_arguments(ARG "" "PACKAGE;EXPORT;NODE" "SYMBOLS;LAYERS;PUBLIC;PRIVATE" ${ARGN})

    set(objects)
    foreach(layer IN LISTS ARG_LAYERS)
        string(REPLACE "-" "_" layer ${layer})
        get_target_property(type etcdc_${layer} TYPE)
        if(type STREQUAL "OBJECT_LIBRARY")
            list(APPEND objects $<TARGET_OBJECTS:etcdc_${layer}>)
        endif()
    endforeach()
    if(NOT objects)
        return()
    endif()
    set(script ${CMAKE_CURRENT_BINARY_DIR}/${name}.map)
    etcdc_version_script(${script} ${ARG_NODE} "${ARG_SYMBOLS}")

    add_library(${name} SHARED ${objects})
    set_target_properties(${name} PROPERTIES LINK_DEPENDS ${script} EXPORT_NAME ${ARG_EXPORT}
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    # nodelete: a thread of ours may still run its last instructions when a program calls dlclose().
    target_link_options(${name} PRIVATE LINKER:--version-script=${script} LINKER:-z,nodelete LINKER:-z,relro,-z,now
        LINKER:--as-needed)
    if(NOT ETCDC_SANITIZE)
        target_link_options(${name} PRIVATE LINKER:--no-undefined)
    endif()
    target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
    if(ARG_PUBLIC) # the others of ours lie beside it, wherever that is
        set_target_properties(${name} PROPERTIES INSTALL_RPATH "$ORIGIN")
    endif()

    add_library(${name}_static STATIC ${objects})
    set_target_properties(${name}_static PROPERTIES OUTPUT_NAME ${name} EXPORT_NAME ${ARG_EXPORT}_static)
    list(TRANSFORM ARG_PUBLIC APPEND _static OUTPUT_VARIABLE public_static)
    target_link_libraries(${name}_static PUBLIC ${public_static} PRIVATE ${ARG_PRIVATE})

    foreach(target IN ITEMS ${name} ${name}_static)
        set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
        target_include_directories(${target} INTERFACE
            $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    endforeach()
    add_library(${ARG_PACKAGE}::${ARG_EXPORT} ALIAS ${name})
    add_library(${ARG_PACKAGE}::${ARG_EXPORT}_static ALIAS ${name}_static)

    etcdc_install_library(${name} ${ARG_PACKAGE})
endfunction()
