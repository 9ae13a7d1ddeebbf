/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGV_MAX = 24, PROGRAM_SECONDS = 120, OUTPUT_MAX = 256, PATH_SIZE = 4096 };

double seconds_now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* ---- medians --------------------------------------------------------------------------------------- */

static double figure_of(const struct figures *figures, enum figure figure)
{
    switch (figure) {
    case RATE:
        return figures->rate;
    case BYTES:
        return figures->bytes;
    case CPU:
    case COUNT:
        break;
    }
    return figures->cpu_us;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(const struct samples *samples, enum figure figure)
{
    double sorted[PAIRS_MAX] = {0};

    for (int i = 0; i < samples->count; i++)
        sorted[i] = figure_of(&samples->list[i], figure);
    qsort(sorted, (size_t)samples->count, sizeof(sorted[0]), compare_doubles);
    return sorted[samples->count / 2];
}

/* ---- running a program ----------------------------------------------------------------------------- */

/* What a program has used and printed. */
struct outcome {
    double cpu_s, wall_s;
    char output[OUTPUT_MAX];
};

static void exec_child(const char *const *argv, int out_fd)
{
    char *copy[ARGV_MAX + 1] = {NULL};

    for (size_t i = 0; i < ARGV_MAX && argv[i] != NULL; i++)
        copy[i] = strdup(argv[i]);
    (void)dup2(out_fd, STDOUT_FILENO);
    (void)alarm(PROGRAM_SECONDS); /* ends a program that hangs */
    (void)execvp(copy[0], copy);
    fprintf(stderr, "bench_compare: cannot run %s: %s\n", copy[0], strerror(errno));
    _exit(127);
}

/* The first bytes; the rest is read, too, so that the program does not wait for us. */
static void read_output(int fd, char *output)
{
    char rest[1024];
    size_t len = 0;
    ssize_t got;

    while ((got = read(fd, rest, sizeof(rest))) > 0 || (got < 0 && errno == EINTR)) {
        size_t room = OUTPUT_MAX - 1 - len;
        size_t part = got < 0 ? 0 : (size_t)got < room ? (size_t)got : room;

        memcpy(output + len, rest, part);
        len += part;
    }
    output[len] = '\0';
}

static bool run(const char *const *argv, struct outcome *ret_outcome)
{
    struct rusage usage = {0};
    double start = seconds_now();
    int status = 0, ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid = fork();
    if (pid == 0)
        exec_child(argv, ends[1]);
    (void)close(ends[1]);
    read_output(ends[0], ret_outcome->output);
    (void)close(ends[0]);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_compare: %s %s failed or took more than %d s\n", argv[0], argv[2],
                PROGRAM_SECONDS);
        return false;
    }
    ret_outcome->wall_s = seconds_now() - start;
    ret_outcome->cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    return true;
}

/* ---- its figures ----------------------------------------------------------------------------------- */

static struct figures of_process(const struct outcome *outcome, double calls)
{
    return (struct figures){.cpu_us = outcome->cpu_s / calls * 1e6, .rate = calls / outcome->wall_s};
}

/* The line that a program prints: see meter.h. */
static bool of_line(const struct outcome *outcome, struct figures *ret_figures)
{
    double *const figures[] = {&ret_figures->cpu_us, &ret_figures->rate, &ret_figures->bytes};
    const char *text = outcome->output;

    for (size_t i = 0; i < 3; i++) {
        char *end;

        *figures[i] = strtod(text, &end);
        if (end == text) {
            fprintf(stderr, "bench_compare: no figures in \"%s\"\n", outcome->output);
            return false;
        }
        text = end;
    }
    return true;
}

static double calls_of(const struct work *work)
{
    return strtod(work->args[3], NULL);
}

static bool run_program(const char *program, const char *endpoint, const char *const *args,
                        struct outcome *ret_outcome)
{
    const char *argv[ARGS_MAX + 3] = {program, endpoint};

    for (size_t i = 0; i < ARGS_MAX; i++)
        argv[i + 2] = args[i];
    return run(argv, ret_outcome);
}

bool measure_ours(const struct setting *setting, const struct work *work, struct figures *ret_figures)
{
    struct outcome outcome;
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%s/%s", setting->programs, work->program);
    if (!run_program(path, setting->endpoint, work->args, &outcome))
        return false;
    if (work->reference == H2LOAD)
        *ret_figures = of_process(&outcome, calls_of(work));
    else if (strcmp(work->name, "fill") != 0)
        return of_line(&outcome, ret_figures);
    return true;
}

static bool run_h2load(const struct setting *setting, const struct work *work, struct outcome *ret_outcome)
{
    const char *op = work->args[0], *outstanding = work->args[2], *calls = work->args[3];
    char url[256], body[PATH_SIZE];
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

    (void)snprintf(body, sizeof(body), "%s/%s.grpc", setting->dir, op);
    (void)snprintf(url, sizeof(url), "http://%s/etcdserverpb.KV/%s", setting->endpoint,
                   strcmp(op, "put") == 0 ? "Put" : "Range");
    return run(argv, ret_outcome);
}

bool measure_reference(const struct setting *setting, const struct work *work, struct figures *ret_figures)
{
    struct outcome outcome;

    if (work->reference == H2LOAD) {
        if (!run_h2load(setting, work, &outcome))
            return false;
        *ret_figures = of_process(&outcome, calls_of(work));
        return true;
    }
    return run_program(setting->peer, setting->endpoint, work->peer_args, &outcome) &&
           of_line(&outcome, ret_figures);
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
    char path[PATH_SIZE];
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

bool write_requests(const char *dir)
{
    if (write_request(dir, "put", "0123456789abcdef0123456789abcdef") && write_request(dir, "get", NULL))
        return true;
    fprintf(stderr, "bench_compare: cannot write to %s\n", dir);
    return false;
}
