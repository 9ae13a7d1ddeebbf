/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures programs from outside, in alternating pairs with their reference, and judges the ratio of the
 * medians:
 *
 *   bench_compare BENCH_CALLS ENDPOINT WORK_DIR RESULTS [PAIRS]
 *
 * Figures drift with the machine, so only what ran in turns is compared. CPU is that of the whole process,
 * user and system. The reference of a call is h2load sending the same gRPC bytes on one connection. Prints
 * a table and writes it to RESULTS as tab-separated values.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PAIRS_DEFAULT = 7,
    PAIRS_MAX = 101,
    ARGS_MAX = 24,
    MANY_CALLS = 40000,
    SINGLE_CALLS = 5000,
};

struct figures {
    double cpu_us; /* a call */
    double rate;   /* calls per second */
};

/* What is run: our program with these arguments against h2load with the same request. */
struct work {
    const char *op;    /* put, get */
    const char *drive; /* thread, caller */
    int outstanding;
    int calls;
};

/* What is judged: one figure of one work. */
struct row {
    const char *name;
    size_t work;
    bool rate; /* calls per second; else CPU per call */
    double limit;
};

static const struct work works[] = {
    {"put", "caller", 100, MANY_CALLS}, {"get", "caller", 100, MANY_CALLS},
    {"put", "caller", 1, SINGLE_CALLS}, {"get", "caller", 1, SINGLE_CALLS},
    {"put", "thread", 1, SINGLE_CALLS}, {"get", "thread", 1, SINGLE_CALLS},
};

/* The limits are the project's budget: CPU at most, rate at least so many times the reference's. */
static const struct row rows[] = {
    {"put, 100 outstanding, CPU per call", 0, false, 1.5},
    {"put, 100 outstanding, calls per second", 0, true, 0.9},
    {"get, 100 outstanding, CPU per call", 1, false, 1.5},
    {"get, 100 outstanding, calls per second", 1, true, 0.9},
    {"put, one at a time, caller drive, CPU per call", 2, false, 1.15},
    {"get, one at a time, caller drive, CPU per call", 3, false, 1.15},
    {"put, one at a time, thread drive, CPU per call", 4, false, 2.0},
    {"get, one at a time, thread drive, CPU per call", 5, false, 2.0},
};

enum { WORKS = sizeof(works) / sizeof(works[0]), ROWS = sizeof(rows) / sizeof(rows[0]) };

struct bench {
    const char *program, *endpoint, *dir;
    int pairs;
    struct figures ours[WORKS][PAIRS_MAX], reference[WORKS][PAIRS_MAX];
};

/* ---- running a program ----------------------------------------------------------------------------- */

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void exec_quietly(const char *const *argv)
{
    char *copy[ARGS_MAX + 1] = {NULL};
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    for (size_t i = 0; i < ARGS_MAX && argv[i] != NULL; i++)
        copy[i] = strdup(argv[i]);
    if (null_fd >= 0)
        (void)dup2(null_fd, STDOUT_FILENO);
    (void)execvp(copy[0], copy);
    fprintf(stderr, "bench_compare: cannot run %s: %s\n", copy[0], strerror(errno));
    _exit(127);
}

static bool measure(const char *const *argv, int calls, struct figures *ret_figures)
{
    struct rusage usage;
    double start = now();
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        exec_quietly(argv);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_compare: %s failed\n", argv[0]);
        return false;
    }
    ret_figures->cpu_us = (seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)) / calls * 1e6;
    ret_figures->rate = calls / (now() - start);
    return true;
}

static bool measure_ours(const struct bench *bench, const struct work *work, struct figures *ret_figures)
{
    char outstanding[16], calls[16];
    const char *argv[] = {bench->program, bench->endpoint, work->op, work->drive, outstanding, calls, NULL};

    (void)snprintf(outstanding, sizeof(outstanding), "%d", work->outstanding);
    (void)snprintf(calls, sizeof(calls), "%d", work->calls);
    return measure(argv, work->calls, ret_figures);
}

static bool measure_reference(const struct bench *bench, const struct work *work, struct figures *ret_figures)
{
    char outstanding[16], calls[16], url[256], body[4096];
    const char *argv[] = {"h2load",
                          "-c",
                          "1",
                          "-t",
                          "1",
                          "-m",
                          outstanding,
                          "-n",
                          calls,
                          "-d",
                          body,
                          "-H",
                          "content-type: application/grpc",
                          "-H",
                          "te: trailers",
                          url,
                          NULL};

    (void)snprintf(outstanding, sizeof(outstanding), "%d", work->outstanding);
    (void)snprintf(calls, sizeof(calls), "%d", work->calls);
    (void)snprintf(body, sizeof(body), "%s/%s.grpc", bench->dir, work->op);
    (void)snprintf(url, sizeof(url), "http://%s/etcdserverpb.KV/%s", bench->endpoint,
                   strcmp(work->op, "put") == 0 ? "Put" : "Range");
    return measure(argv, work->calls, ret_figures);
}

/* ---- the requests that h2load sends: the same bytes as ours ---------------------------------------- */

/* A length-delimited field; returns its end. */
static size_t add_field(unsigned char *bytes, size_t at, unsigned char tag, const char *text)
{
    bytes[at++] = tag;
    bytes[at++] = (unsigned char)strlen(text);
    while (*text != '\0')
        bytes[at++] = (unsigned char)*text++;
    return at;
}

static bool write_request(const char *dir, const char *op, const char *value)
{
    unsigned char bytes[256] = {0};
    size_t len = 5; /* gRPC's frame header: not compressed, four bytes of length */
    char path[4096];
    FILE *file;
    bool ok;

    len = add_field(bytes, len, 0x0a, "bench/key");
    if (value != NULL)
        len = add_field(bytes, len, 0x12, value);
    bytes[4] = (unsigned char)(len - 5);
    (void)snprintf(path, sizeof(path), "%s/%s.grpc", dir, op);
    file = fopen(path, "wb");
    if (file == NULL)
        return false;
    ok = fwrite(bytes, 1, len, file) == len;
    return fclose(file) == 0 && ok;
}

/* ---- judging --------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const struct figures *figures, int count, bool rate)
{
    double sorted[PAIRS_MAX];

    for (int i = 0; i < count; i++)
        sorted[i] = rate ? figures[i].rate : figures[i].cpu_us;
    qsort(sorted, (size_t)count, sizeof(sorted[0]), compare_doubles);
    return sorted[count / 2];
}

static void report_row(const struct bench *bench, const struct row *row, FILE *results)
{
    double value = median(bench->ours[row->work], bench->pairs, row->rate);
    double reference = median(bench->reference[row->work], bench->pairs, row->rate);
    double ratio = value / reference;
    const char *unit = row->rate ? "calls/s" : "us";
    const char *verdict = (row->rate ? ratio >= row->limit : ratio <= row->limit) ? "ok" : "misses";

    printf("%-48s %10.1f %-8s %10.1f %8.2f %8.2f  %s\n", row->name, value, unit, reference, ratio, row->limit,
           verdict);
    fprintf(results, "%s\t%.3f\t%s\t%.3f\t%.3f\t%.2f\t%s\t%s\n", row->name, value, unit, reference, ratio,
            row->limit, row->rate ? "min" : "max", verdict);
}

static bool report(const struct bench *bench, const char *path)
{
    FILE *results = fopen(path, "w");

    if (results == NULL) {
        fprintf(stderr, "bench_compare: cannot write %s: %s\n", path, strerror(errno));
        return false;
    }
    printf("%-48s %10s %-8s %10s %8s %8s\n", "work (medians)", "etcdc", "unit", "h2load", "ratio", "limit");
    fprintf(results, "name\tvalue\tunit\treference\tratio\tlimit\tsense\tverdict\n");
    for (size_t i = 0; i < ROWS; i++)
        report_row(bench, &rows[i], results);
    return fclose(results) == 0;
}

static bool run(struct bench *bench)
{
    for (size_t i = 0; i < WORKS; i++) {
        fprintf(stderr, "measuring %s, %d outstanding, %s drive: %d pairs of %d calls\n", works[i].op,
                works[i].outstanding, works[i].drive, bench->pairs, works[i].calls);
        for (int pair = 0; pair < bench->pairs; pair++) {
            if (!measure_ours(bench, &works[i], &bench->ours[i][pair]) ||
                !measure_reference(bench, &works[i], &bench->reference[i][pair]))
                return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct bench bench;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: bench_compare BENCH_CALLS ENDPOINT WORK_DIR RESULTS [PAIRS]\n");
        return 2;
    }
    bench.program = argv[1];
    bench.endpoint = argv[2];
    bench.dir = argv[3];
    bench.pairs = argc == 6 ? (int)strtol(argv[5], NULL, 10) : PAIRS_DEFAULT;
    if (bench.pairs < 1 || bench.pairs > PAIRS_MAX) {
        fprintf(stderr, "bench_compare: PAIRS is %s; it can be 1 to %d\n", argv[5], PAIRS_MAX);
        return 2;
    }
    if (!write_request(bench.dir, "put", "0123456789abcdef0123456789abcdef") ||
        !write_request(bench.dir, "get", NULL)) {
        fprintf(stderr, "bench_compare: cannot write to %s: %s\n", bench.dir, strerror(errno));
        return 1;
    }
    return run(&bench) && report(&bench, argv[4]) ? 0 : 1;
}
