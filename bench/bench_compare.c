/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the programs of this folder in alternating pairs with what they are compared with, and judges the
 * ratio of the medians:
 *
 *   bench_compare PROGRAMS ENDPOINT WORK_DIR RESULTS [WORK]...
 *
 * PROGRAMS is the folder of the programs; WORK names what to measure (default: all). The environment:
 * BENCH_PEER, the Go program (see peers/); without it the rows of that reference are compared with the
 * figures that are stated here. BENCH_PAIRS (default 7), BENCH_SECONDS for the whole (default 420): a work
 * that takes more than its share gets fewer pairs, and says so.
 */
#include "compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS_DEFAULT = 420, PAIRS_DEFAULT = 7 };

#define PAIRS "100000" /* that are read and replayed */

/* Arguments after the endpoint. A call against h2load is one of its process's whole CPU, as h2load's is. */
static const struct work works[] = {
    [PUT_MANY] = {"many", "put, 100 outstanding", "bench_calls", {"put", "caller", "100", "40000"}, H2LOAD},
    [GET_MANY] = {"many", "get, 100 outstanding", "bench_calls", {"get", "caller", "100", "40000"}, H2LOAD},
    [PUT_CALLER] =
        {"single", "put, one at a time, caller drive", "bench_calls", {"put", "caller", "1", "5000"}, H2LOAD},
    [GET_CALLER] =
        {"single", "get, one at a time, caller drive", "bench_calls", {"get", "caller", "1", "5000"}, H2LOAD},
    [PUT_THREAD] =
        {"single", "put, one at a time, thread drive", "bench_calls", {"put", "thread", "1", "5000"}, H2LOAD},
    [GET_THREAD] =
        {"single", "get, one at a time, thread drive", "bench_calls", {"get", "thread", "1", "5000"}, H2LOAD},
    [PUT_THREADS] = {"threads",
                     "put, 100 blocking threads",
                     "bench_calls",
                     {"put", "threads", "100", "20000"},
                     GO,
                     {"calls", "put", "100", "20000"}},
    [GET_THREADS] = {"threads",
                     "get, 100 blocking threads",
                     "bench_calls",
                     {"get", "threads", "100", "20000"},
                     GO,
                     {"calls", "get", "100", "20000"}},
    [WATCHES] = {"watch", "open 10,000 watches", "bench_watch", {"10000"}, GO, {"watch", "10000"}},
    [REPLAY] = {"replay", "replayed watch events", "bench_range", {"replay", PAIRS}, GO, {"replay", PAIRS}},
    [RANGE] =
        {"range", "range of 100,000 pairs", "bench_range", {"read", PAIRS, "5"}, GO, {"range", PAIRS, "5"}},
    [LEASES] = {"lease", "lease grant + keepalive", "bench_lease", {"10000"}, GO, {"lease", "10000"}},
    [LOCK_CALLER] =
        {"lock", "lock + unlock, caller drive", "bench_lock", {"caller", "1000"}, GO, {"lock", "500"}},
    [LOCK_THREAD] = {"lock",
                     "lock + unlock, thread drive",
                     "bench_lock",
                     {"thread", "1000"},
                     GO,
                     {"lock-one-session", "1000"}},
    [CONNECT_CALLER] = {"connect",
                        "connect + get + close, caller drive",
                        "bench_connect",
                        {"caller", "150"},
                        GO,
                        {"connect", "100"}},
    [CONNECT_THREAD] = {"connect",
                        "connect + get + close, thread drive",
                        "bench_connect",
                        {"thread", "150"},
                        GO,
                        {"connect", "100"}},
    [IDLE] = {"idle", "idle client", "bench_idle", {"5"}, NONE},
};

/* The limits are the project's budget. `stated` is the figure of Go's client where that cannot be run. */
static const struct row rows[] = {
    {"put, 100 outstanding, CPU per call", CPU, PUT_MANY, PUT_MANY, 1.5, 0},
    {"put, 100 outstanding, calls per second", RATE, PUT_MANY, PUT_MANY, 0.9, 0},
    {"get, 100 outstanding, CPU per call", CPU, GET_MANY, GET_MANY, 1.5, 0},
    {"get, 100 outstanding, calls per second", RATE, GET_MANY, GET_MANY, 0.9, 0},
    {"put, 100 blocking threads, CPU per call", CPU, PUT_THREADS, PUT_THREADS, 0.8, 31},
    {"get, 100 blocking threads, CPU per call", CPU, GET_THREADS, GET_THREADS, 0.8, 23},
    {"put, one at a time, caller drive, CPU per call", CPU, PUT_CALLER, PUT_CALLER, 1.15, 0},
    {"get, one at a time, caller drive, CPU per call", CPU, GET_CALLER, GET_CALLER, 1.15, 0},
    {"put, one at a time, thread drive, CPU per call", CPU, PUT_THREAD, PUT_THREAD, 2.0, 0},
    {"get, one at a time, thread drive, CPU per call", CPU, GET_THREAD, GET_THREAD, 2.0, 0},
    {"open 10,000 watches, CPU each", CPU, WATCHES, WATCHES, 0.3, 43},
    {"open 10,000 watches, memory each", BYTES, WATCHES, WATCHES, 1024, 0},
    {"replayed watch events, CPU each", CPU, REPLAY, REPLAY, 0.3, 1.27},
    {"range of 100,000 pairs, CPU per pair", CPU, RANGE, RANGE, 0.35, 0.42},
    {"lease grant + keepalive, CPU each", CPU, LEASES, LEASES, 0.25, 123},
    {"lease grant + keepalive, memory each", BYTES, LEASES, LEASES, 512, 0},
    {"lock + unlock, caller drive, CPU", CPU, LOCK_CALLER, LOCK_THREAD, 0.3, 239},
    {"lock + unlock, thread drive, CPU", CPU, LOCK_THREAD, LOCK_THREAD, 0.3, 239},
    {"the same, Go with a session each, caller drive", CPU, LOCK_CALLER, LOCK_CALLER, 0.3, 550},
    {"the same, Go with a session each, thread drive", CPU, LOCK_THREAD, LOCK_CALLER, 0.3, 550},
    {"connect + get + close, caller drive, CPU", CPU, CONNECT_CALLER, CONNECT_CALLER, 0.25, 1120},
    {"connect + get + close, thread drive, CPU", CPU, CONNECT_THREAD, CONNECT_THREAD, 0.25, 1120},
    {"idle client, wake-ups", COUNT, IDLE, IDLE, 0, 0},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct bench {
    struct setting setting;
    int pairs;
    double deadline;
    bool wanted[WORKS], filled;
    struct samples ours[WORKS], reference[WORKS];
};

/* ---- which works ----------------------------------------------------------------------------------- */

static bool want(struct bench *bench, const char *name)
{
    bool known = false;

    for (int i = 0; i < WORKS; i++) {
        if (strcmp(works[i].name, name) != 0)
            continue;
        known = bench->wanted[i] = true;
    }
    return known;
}

static bool choose(struct bench *bench, char **names, int count)
{
    for (int i = 0; i < WORKS; i++)
        bench->wanted[i] = count == 0;
    for (int i = 0; i < count; i++) {
        if (want(bench, names[i]))
            continue;
        fprintf(stderr, "bench_compare: no work is called %s; there are:", names[i]);
        for (int k = 0; k < WORKS; k++) {
            if (k == 0 || strcmp(works[k].name, works[k - 1].name) != 0)
                fprintf(stderr, " %s", works[k].name);
        }
        fprintf(stderr, "\n");
        return false;
    }
    return true;
}

/* ---- measuring ------------------------------------------------------------------------------------- */

/* The pairs that are read and replayed, written once. */
static bool fill(struct bench *bench)
{
    static const struct work writing = {"fill", "", "bench_range", {"fill", PAIRS}, NONE, {NULL}};
    struct figures unused;

    if (!bench->filled)
        fprintf(stderr, "writing %s pairs\n", PAIRS);
    bench->filled = bench->filled || measure_ours(&bench->setting, &writing, &unused);
    return bench->filled;
}

static bool measure_pair(struct bench *bench, int i)
{
    const struct setting *setting = &bench->setting;
    struct samples *ours = &bench->ours[i], *reference = &bench->reference[i];

    if (!measure_ours(setting, &works[i], &ours->list[ours->count]))
        return false;
    ours->count++;
    if (works[i].reference == NONE || (works[i].reference == GO && setting->peer == NULL))
        return true;
    if (!measure_reference(setting, &works[i], &reference->list[reference->count]))
        return false;
    reference->count++;
    return true;
}

static bool measure_work(struct bench *bench, int i, double until)
{
    int pairs = works[i].reference == NONE ? 1 : bench->pairs;

    fprintf(stderr, "measuring %s:", works[i].title);
    for (int pair = 0; pair < pairs && (pair == 0 || seconds_now() < until); pair++) {
        if (!measure_pair(bench, i))
            return false;
        fprintf(stderr, " %d", pair + 1);
    }
    fprintf(stderr, " of %d\n", pairs);
    return true;
}

static bool measure_all(struct bench *bench)
{
    int left = 0;

    for (int i = 0; i < WORKS; i++)
        left += bench->wanted[i];
    for (int i = 0; i < WORKS; i++) {
        double now = seconds_now();

        if (!bench->wanted[i])
            continue;
        if ((i == REPLAY || i == RANGE) && !fill(bench))
            return false;
        /* What one work does not need of its share is the others'. */
        if (!measure_work(bench, i, now + (bench->deadline - now) / left))
            return false;
        left--;
    }
    return true;
}

/* ---- judging --------------------------------------------------------------------------------------- */

static const char *unit_of(const struct row *row)
{
    static const char *const units[] = {
        [CPU] = "us", [RATE] = "calls/s", [BYTES] = "bytes", [COUNT] = "times"};

    return units[row->figure];
}

static void report_row(const struct bench *bench, const struct row *row, FILE *results)
{
    bool absolute = row->figure == BYTES || row->figure == COUNT;
    const struct samples *ours = &bench->ours[row->work], *theirs = &bench->reference[row->against];
    double value = median(ours, row->figure);
    double reference = absolute ? row->limit : theirs->count > 0 ? median(theirs, row->figure) : row->stated;
    double limit = absolute ? 1 : row->limit;
    double ratio = reference > 0 ? value / reference : value == 0 ? 0 : 1e9;
    bool ok = row->figure == RATE ? ratio >= limit : ratio <= limit;
    const char *stated = absolute ? "limit" : theirs->count > 0 ? "" : "stated";

    printf("%-48s %10.2f %-8s %10.2f %-6s %8.3f %6.2f  %-6s %d\n", row->name, value, unit_of(row), reference,
           stated, ratio, limit, ok ? "ok" : "misses", ours->count);
    fprintf(results, "%s\t%.3f\t%s\t%.3f\t%.3f\t%.2f\t%s\t%s\n", row->name, value, unit_of(row), reference,
            ratio, limit, row->figure == RATE ? "min" : "max", ok ? "ok" : "misses");
}

static bool report(const struct bench *bench, const char *path)
{
    FILE *results = fopen(path, "w");

    if (results == NULL) {
        fprintf(stderr, "bench_compare: cannot write %s\n", path);
        return false;
    }
    printf("%-48s %10s %-8s %10s %-6s %8s %6s  %-6s %s\n", "work (medians)", "etcdc", "unit", "reference", "",
           "ratio", "limit", "", "pairs");
    fprintf(results, "name\tvalue\tunit\treference\tratio\tlimit\tsense\tverdict\n");
    for (size_t i = 0; i < ROWS; i++) {
        if (bench->ours[rows[i].work].count > 0)
            report_row(bench, &rows[i], results);
    }
    if (bench->setting.peer == NULL)
        printf("Go's client was not run: its rows are compared with figures that were measured once "
               "(\"stated\").\n");
    return fclose(results) == 0;
}

static int number_of(const char *name, int normal)
{
    const char *text = getenv(name);
    long value = text == NULL || text[0] == '\0' ? normal : strtol(text, NULL, 10);

    return value < 1 || value > 100000 ? normal : (int)value;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    const char *peer = getenv("BENCH_PEER");

    if (argc < 5) {
        fprintf(stderr, "usage: bench_compare PROGRAMS ENDPOINT WORK_DIR RESULTS [WORK]...\n");
        return 2;
    }
    bench.setting = (struct setting){.programs = argv[1],
                                     .endpoint = argv[2],
                                     .dir = argv[3],
                                     .peer = peer != NULL && peer[0] != '\0' ? peer : NULL};
    bench.pairs = number_of("BENCH_PAIRS", PAIRS_DEFAULT);
    if (bench.pairs > PAIRS_MAX)
        bench.pairs = PAIRS_MAX;
    bench.deadline = seconds_now() + number_of("BENCH_SECONDS", SECONDS_DEFAULT);
    if (!choose(&bench, argv + 5, argc - 5))
        return 2;
    return write_requests(argv[3]) && measure_all(&bench) && report(&bench, argv[4]) ? 0 : 1;
}
