/* SPDX-License-Identifier: Apache-2.0 */
/* bench_compare's tables and how a program is run and measured. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <stdbool.h>

enum { PAIRS_MAX = 101, ARGS_MAX = 6 };

/* In the order of measuring. */
enum work_id {
    PUT_MANY,
    GET_MANY,
    PUT_CALLER,
    GET_CALLER,
    PUT_THREAD,
    GET_THREAD,
    PUT_THREADS,
    GET_THREADS,
    WATCHES,
    REPLAY,
    RANGE,
    LEASES,
    LOCK_CALLER,
    LOCK_THREAD,
    CONNECT_CALLER,
    CONNECT_THREAD,
    IDLE,
    WORKS,
};

enum reference {
    NONE,
    H2LOAD, /* sending the same bytes; the CPU of both processes as a whole */
    GO,     /* the program in peers/; the CPU that each program says its work took */
};

struct work {
    const char *name; /* to choose it by */
    const char *title;
    const char *program;
    const char *args[ARGS_MAX]; /* after the endpoint */
    enum reference reference;
    const char *peer_args[ARGS_MAX];
};

enum figure { CPU, RATE, BYTES, COUNT };

/* One figure of one work against the reference of the same or another. Bytes and counts have absolute limits.
 */
struct row {
    const char *name;
    enum figure figure;
    enum work_id work, against;
    double limit;
    double stated;
};

struct figures {
    double cpu_us; /* an item; or what is counted */
    double rate;   /* items per second */
    double bytes;  /* an item */
};

struct samples {
    struct figures list[PAIRS_MAX];
    int count;
};

struct setting {
    const char *programs, *endpoint, *dir;
    const char *peer; /* NULL: not there */
};

double seconds_now(void);
double median(const struct samples *samples, enum figure figure);

/* Writes the requests that h2load sends. */
bool write_requests(const char *dir);
/* False, and said on stderr, when a program fails. */
bool measure_ours(const struct setting *setting, const struct work *work, struct figures *ret_figures);
bool measure_reference(const struct setting *setting, const struct work *work, struct figures *ret_figures);

#endif
