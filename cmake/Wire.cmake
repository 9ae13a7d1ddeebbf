# Makes C of src/wire/proto/*.proto, in the build folder. protoc-c is a complete compiler: it needs no protoc.
#
#   ETCDC_WIRE_SOURCES    the generated sources, for the layer wire
#   etcdc_wire_headers    to be linked by whoever includes "wire/messages.h"
set(proto_dir ${PROJECT_SOURCE_DIR}/src/wire/proto)
set(generated_dir ${PROJECT_BINARY_DIR}/generated)
set(pb_dir ${generated_dir}/wire/pb)
file(MAKE_DIRECTORY ${pb_dir})
file(GLOB protos CONFIGURE_DEPENDS ${proto_dir}/*.proto)

set(outputs)
set(ETCDC_WIRE_SOURCES)
foreach(proto IN LISTS protos)
    cmake_path(GET proto STEM name)
    list(APPEND ETCDC_WIRE_SOURCES ${pb_dir}/${name}.pb-c.c)
    list(APPEND outputs ${pb_dir}/${name}.pb-c.c ${pb_dir}/${name}.pb-c.h)
endforeach()

# All in one go: they import each other.
add_custom_command(OUTPUT ${outputs}
    COMMAND ${PROTOC_C} --proto_path=${proto_dir} --c_out=${pb_dir} ${protos}
    DEPENDS ${protos}
    COMMENT "Generating the wire messages"
    VERBATIM)
add_custom_target(etcdc_wire_generate DEPENDS ${outputs})

# Not ours to warn about. In sections of their own, since most of the helpers are never called.
set_source_files_properties(${ETCDC_WIRE_SOURCES} PROPERTIES COMPILE_OPTIONS "-w;-ffunction-sections")

add_library(etcdc_wire_headers INTERFACE)
target_include_directories(etcdc_wire_headers SYSTEM INTERFACE ${generated_dir})
target_link_libraries(etcdc_wire_headers INTERFACE PkgConfig::PROTOBUF_C)
add_dependencies(etcdc_wire_headers etcdc_wire_generate)
