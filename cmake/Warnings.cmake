# Errors in the presets (CMAKE_COMPILE_WARNING_AS_ERROR), not for whoever builds with a compiler we have not seen.
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wundef -Wvla -Wformat=2)
# For what POSIX and Linux have beyond C11: clocks, sockets, eventfd.
add_compile_definitions(_GNU_SOURCE)
