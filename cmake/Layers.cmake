# A folder of src/ is a layer. Each becomes an object library etcdc_<folder>
# whose sources are the folder's own files: a file belongs to the layer it lies in.
# CMake knows no object library without sources; a folder that has none yet is an interface.
function(etcdc_layer folder)
    cmake_parse_arguments(ARG "" "" "LINK;SOURCES" ${ARGN})
    string(REPLACE "-" "_" name ${folder})
    set(target etcdc_${name})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.c)
    list(APPEND sources ${ARG_SOURCES})
    if(NOT sources)
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE ${ARG_LINK})
        return()
    endif()
    add_library(${target} OBJECT ${sources})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${target} PRIVATE ${ARG_LINK})
endfunction()
