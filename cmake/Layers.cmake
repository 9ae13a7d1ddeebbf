# A folder of src/ is a layer. Each becomes an object library etcdc_<folder>
# whose sources are the folder's own files: a file belongs to the layer it lies in.
function(etcdc_layer folder)
    cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
    string(REPLACE "-" "_" name ${folder})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.c)
    add_library(etcdc_${name} OBJECT ${sources})
    target_include_directories(etcdc_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(etcdc_${name} PRIVATE ${ARG_LINK})
endfunction()
