if(ETCDC_SANITIZE STREQUAL "asan")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(ETCDC_SANITIZE STREQUAL "tsan")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
elseif(ETCDC_SANITIZE)
    message(FATAL_ERROR "ETCDC_SANITIZE is '${ETCDC_SANITIZE}'; it can be empty, asan or tsan")
endif()

# Coverage for libFuzzer in everything that a target links; the fuzzer itself only in the targets.
if(ETCDC_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Instrumented code leads gcc's analysis of values astray; the plain builds keep these warnings.
if(ETCDC_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-format-truncation -Wno-maybe-uninitialized)
endif()
