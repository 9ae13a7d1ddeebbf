add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wundef -Wvla -Wformat=2 -Werror)
# For what POSIX and Linux have beyond C11: clocks, sockets, eventfd.
add_compile_definitions(_GNU_SOURCE)
