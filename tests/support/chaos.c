/* SPDX-License-Identifier: Apache-2.0 */
#include "support/chaos_world.h"

#include "support/client.h"
#include "support/matrix.h"
#include "support/test.h"

#include <etcdc/memory.h>

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { WRITERS = 3, READERS = 2, COUNT_ACTORS = 2, PULSE_MS = 100 };

uint64_t chaos_seed(void)
{
    const char *given = getenv("ETCDC_CHAOS_SEED");
    uint64_t seed = 1;

    if (given != NULL)
        return strtoull(given, NULL, 10);
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint64_t)getpid();
    return seed;
}

/* splitmix64 */
uint64_t chaos_draw(uint64_t *random, uint64_t below)
{
    uint64_t drawn = *random += UINT64_C(0x9e3779b97f4a7c15);

    drawn = (drawn ^ (drawn >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    drawn = (drawn ^ (drawn >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (drawn ^ (drawn >> 31)) % below;
}

/* ---- the log --------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void write_log(struct chaos *chaos, FILE *also,
                                                            const char *format, va_list args)
{
    int64_t now_ms = test_now_ms() - chaos->start_ms;
    char line[1024];

    (void)vsnprintf(line, sizeof(line), format, args);
    (void)pthread_mutex_lock(&chaos->log_mutex);
    fprintf(chaos->log, "%7d.%03d %s\n", (int)(now_ms / 1000), (int)(now_ms % 1000), line);
    if (also != NULL)
        fprintf(also, "chaos: at %d.%03d s: %s\n", (int)(now_ms / 1000), (int)(now_ms % 1000), line);
    (void)pthread_mutex_unlock(&chaos->log_mutex);
}

void chaos_log(struct chaos *chaos, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_log(chaos, NULL, format, args);
    va_end(args);
}

void chaos_broken(struct chaos *chaos, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_log(chaos, atomic_fetch_add(&chaos->violations, 1) < 20 ? stderr : NULL, format, args);
    va_end(args);
}

static void on_log(void *user_data, etcd_log_level level, const char *component, const char *message)
{
    (void)level;
    chaos_log(user_data, "%s: %s", component, message);
}

static void open_log(struct chaos *chaos)
{
    char build[PATH_MAX] = "";

    /* Beside the program, in the build folder. */
    assert_true(readlink("/proc/self/exe", build, sizeof(build) - 1) > 0);
    *strrchr(build, '/') = '\0';
    (void)snprintf(chaos->log_path, sizeof(chaos->log_path), "%.200s/chaos-%s-%" PRIu64 ".log", build,
                   chaos->options->version == NULL ? "new" : chaos->options->version, chaos->options->seed);
    chaos->log = fopen(chaos->log_path, "we");
    assert_non_null(chaos->log);
    (void)pthread_mutex_init(&chaos->log_mutex, NULL);
    chaos->start_ms = test_now_ms();
    printf("ETCDC_CHAOS_SEED=%" PRIu64 ", log in %s\n", chaos->options->seed, chaos->log_path);
    (void)fflush(stdout);
}

/* ---- the machine ----------------------------------------------------------------------------------- */

/* How long a thread of ours could have run and did not, since it began; -1: not to be had. */
static int64_t delay_ms(const char *thread)
{
    char path[300];
    unsigned long long ran = 0, waited = 0;
    FILE *file;
    int got;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", thread);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    got = fscanf(file, "%llu %llu", &ran, &waited);
    (void)fclose(file);
    return got == 2 ? (int64_t)(waited / 1000000) : -1;
}

/* One look at all threads. */
static void look(struct chaos *chaos, size_t sample)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    size_t count = 0;

    while (dir != NULL && count < CHAOS_THREADS_MAX && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            atomic_store(&chaos->delays[sample % CHAOS_SAMPLES][count++], delay_ms(entry->d_name));
    if (dir != NULL)
        (void)closedir(dir);
}

/* What to judge an overrun by: the longest that one of our threads waited for a processor in the last two
 * seconds. */
static int64_t longest_wait(struct chaos *chaos)
{
    size_t now = atomic_load(&chaos->samples);
    int64_t longest = 0;

    if (now < CHAOS_SAMPLES)
        return 0;
    look(chaos, now);
    for (size_t i = 0; i < CHAOS_THREADS_MAX; i++) {
        int64_t waited = atomic_load(&chaos->delays[now % CHAOS_SAMPLES][i]) -
                         atomic_load(&chaos->delays[(now + 1) % CHAOS_SAMPLES][i]);

        if (waited > longest)
            longest = waited;
    }
    return longest;
}

static void *pulse(void *arg)
{
    struct chaos *chaos = arg;
    const struct timespec time = {.tv_nsec = PULSE_MS * 1000000L};

    while (!atomic_load(&chaos->stop)) {
        (void)nanosleep(&time, NULL);
        look(chaos, atomic_load(&chaos->samples));
        atomic_fetch_add(&chaos->samples, 1);
    }
    return NULL;
}

/* ---- calls ----------------------------------------------------------------------------------------- */

void chaos_raise(atomic_int_fast64_t *target, int64_t value)
{
    int_fast64_t now = atomic_load(target);

    while (now < value && !atomic_compare_exchange_weak(target, &now, value))
        ;
}

/*
 * On a machine that is too busy a thread that could run does not: that time is nobody's promise. It is
 * measured, and it is near zero where a limit can be judged at all.
 */
static void overrun(struct chaos *chaos, const char *what, int64_t beyond_ms, int64_t timeout_ms)
{
    int64_t waited_ms = longest_wait(chaos);

    chaos_log(chaos, "%s took %d ms beyond its limit of %d ms; a thread waited %d ms for a processor", what,
              (int)beyond_ms, (int)timeout_ms, (int)waited_ms);
    chaos_raise(&chaos->starved_ms, waited_ms);
    if (beyond_ms - waited_ms > CHAOS_SLACK_MS * ETCDC_TIME_SCALE)
        chaos_broken(chaos, "%s took %d ms beyond its limit of %d ms, of which the machine explains %d", what,
                     (int)beyond_ms, (int)timeout_ms, (int)waited_ms);
}

static bool is_passing(etcd_status status)
{
    return status == ETCD_OK || status == ETCD_E_UNAVAILABLE || status == ETCD_E_DEADLINE ||
           status == ETCD_E_NO_LEADER;
}

void chaos_called(struct chaos *chaos, const char *what, int64_t begin_ms, int64_t timeout_ms,
                  etcd_status status, const etcd_error *err)
{
    int64_t beyond_ms = test_now_ms() - begin_ms - timeout_ms;

    atomic_fetch_add(&chaos->calls, 1);
    if (status != ETCD_OK) {
        atomic_fetch_add(&chaos->failed_calls, 1);
        chaos_log(chaos, "%s failed after %d ms: %s", what, (int)(beyond_ms + timeout_ms), err->message);
    }
    chaos_raise(&chaos->worst_ms, beyond_ms);
    if (beyond_ms > CHAOS_SLACK_MS * ETCDC_TIME_SCALE)
        overrun(chaos, what, beyond_ms, timeout_ms);
    if (!is_passing(status))
        chaos_broken(chaos, "%s: an odd status: %s: %s", what, etcd_status_name(status), err->message);
}

/* ---- actors ---------------------------------------------------------------------------------------- */

void chaos_rest(struct chaos_actor *actor, int64_t ms)
{
    test_pump(actor->client, ms);
}

struct chaos_actor *chaos_act(struct chaos *chaos, etcd_client *client,
                              void (*step)(struct chaos_actor *actor), size_t number)
{
    struct chaos_actor *actor = &chaos->actors[chaos->actor_count];

    assert_true(chaos->actor_count < sizeof(chaos->actors) / sizeof(chaos->actors[0]));
    *actor = (struct chaos_actor){.chaos = chaos, .client = client, .step = step, .number = number};
    actor->random = chaos->options->seed + ++chaos->actor_count;
    return actor;
}

static bool has_thread(const struct chaos_actor *actor)
{
    return etcd_client_drive(actor->client) == ETCD_DRIVE_THREAD;
}

static void *act(void *arg)
{
    struct chaos_actor *actor = arg;

    while (!atomic_load(&actor->chaos->stop))
        actor->step(actor);
    return NULL;
}

/* All that use the client under caller drive, in one thread, which is its loop's. */
static void *act_in_turn(void *arg)
{
    struct chaos *chaos = arg;

    while (!atomic_load(&chaos->stop))
        for (size_t i = 0; i < chaos->actor_count; i++)
            if (!has_thread(&chaos->actors[i]))
                chaos->actors[i].step(&chaos->actors[i]);
    return NULL;
}

static void choose_actors(struct chaos *chaos)
{
    for (size_t i = 0; i < CHAOS_CLIENTS; i++) {
        etcd_client *client = chaos->clients[i];
        bool many = etcd_client_drive(client) == ETCD_DRIVE_THREAD;

        for (int j = 0; j < (many ? WRITERS : 1); j++)
            (void)chaos_act(chaos, client, chaos_step_write, 0);
        for (int j = 0; j < (many ? READERS : 1); j++)
            (void)chaos_act(chaos, client, chaos_step_read, 0);
        for (int j = 0; j < (many ? COUNT_ACTORS : 1); j++)
            (void)chaos_act(chaos, client, chaos_step_count, 0);
        (void)chaos_act(chaos, client, chaos_step_lease, i);
        (void)chaos_act(chaos, client, chaos_step_lock, i);
    }
    (void)chaos_act(chaos, chaos->clients[0], chaos_step_lock, CHAOS_LOCKERS - 1);
}

static void run_all(struct chaos *chaos)
{
    pthread_t turns;

    assert_int_equal(pthread_create(&chaos->pulse, NULL, pulse, chaos), 0);
    for (size_t i = 0; i < chaos->actor_count; i++)
        if (has_thread(&chaos->actors[i]))
            assert_int_equal(pthread_create(&chaos->actors[i].thread, NULL, act, &chaos->actors[i]), 0);
    assert_int_equal(pthread_create(&turns, NULL, act_in_turn, chaos), 0);
    chaos_faults(chaos);
    atomic_store(&chaos->stop, true);
    for (size_t i = 0; i < chaos->actor_count; i++)
        if (has_thread(&chaos->actors[i]))
            assert_int_equal(pthread_join(chaos->actors[i].thread, NULL), 0);
    assert_int_equal(pthread_join(turns, NULL), 0);
    assert_int_equal(pthread_join(chaos->pulse, NULL), 0);
    chaos_log(chaos, "---- all are well, and all stopped");
}

/* ---- the world ------------------------------------------------------------------------------------- */

static void open_clients(struct chaos *chaos)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_loop *loop = NULL;

    opts.log_fn = on_log;
    opts.log_user_data = chaos;
    opts.log_level = ETCD_LOG_DEBUG;
    opts.name = "direct";
    chaos->direct = test_client_open(etcd_server_endpoints(chaos->server), &opts);
    opts.name = "thread";
    chaos->clients[0] = test_client_open(chaos->endpoints, &opts);
    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, NULL), ETCD_OK);
    opts.name = "caller";
    opts.loop = loop;
    chaos->clients[1] = test_client_open(chaos->endpoints, &opts);
    etcd_loop_free(loop);
}

static void start(struct chaos *chaos)
{
    chaos->server = etcd_server_start(&(struct etcd_server_options){
        .version = chaos->options->version,
        .members = CHAOS_MEMBERS,
        .partitions = true,
        /* Elections are the cluster's time: short ones leave more of it to what is tested. */
        .args = (const char *const[]){"--heartbeat-interval=50", "--election-timeout=500", NULL},
    });
    assert_non_null(chaos->server);
    for (size_t i = 0; i < CHAOS_MEMBERS; i++) {
        size_t used = strlen(chaos->endpoints);

        chaos->relays[i] = cut_relay_start(etcd_server_endpoint(chaos->server, i), 1);
        assert_non_null(chaos->relays[i]);
        cut_relay_calm(chaos->relays[i]);
        (void)snprintf(chaos->endpoints + used, sizeof(chaos->endpoints) - used, "%s%s", i == 0 ? "" : ",",
                       cut_relay_endpoint(chaos->relays[i]));
    }
    chaos->writes = calloc(CHAOS_WRITES_MAX, sizeof(*chaos->writes));
    assert_non_null(chaos->writes);
    open_clients(chaos);
    chaos_open_watches(chaos);
    chaos_open_leases(chaos);
    choose_actors(chaos);
}

static void stop(struct chaos *chaos)
{
    for (size_t i = 0; i < CHAOS_CLIENTS; i++)
        etcd_client_free(chaos->clients[i]);
    etcd_client_free(chaos->direct);
    for (size_t i = 0; i < CHAOS_MEMBERS; i++)
        cut_relay_stop(chaos->relays[i]);
    etcd_server_free(chaos->server);
    free(chaos->writes);
}

static void sum_up(struct chaos *chaos, size_t events)
{
    printf("chaos: etcd %s, seed %" PRIu64 ": %zu calls (%zu failed), %zu faults, %zu events, %zu watches, "
           "%zu leases (%zu looks, %zu stale words), %zu locks (%zu lost), worst overrun %d ms (threads that "
           "waited %d ms for "
           "a processor), %zu broken\n",
           etcd_server_version(chaos->server), chaos->options->seed, atomic_load(&chaos->calls),
           atomic_load(&chaos->failed_calls), atomic_load(&chaos->faults), events, chaos->watch_count,
           atomic_load(&chaos->leases_granted), atomic_load(&chaos->leases_sampled),
           atomic_load(&chaos->stale_words), chaos->locks.acquired, chaos->locks.lost,
           (int)atomic_load(&chaos->worst_ms), (int)atomic_load(&chaos->starved_ms),
           atomic_load(&chaos->violations));
    (void)fflush(stdout);
}

/* ---- what is left ---------------------------------------------------------------------------------- */

static size_t entries_of(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void *counted_malloc(void *user_data, size_t size)
{
    void *block = malloc(size);

    if (block != NULL)
        atomic_fetch_add((atomic_size_t *)user_data, 1);
    return block;
}

static void *counted_realloc(void *user_data, void *block, size_t size)
{
    (void)user_data;
    return realloc(block, size);
}

static void counted_free(void *user_data, void *block)
{
    atomic_fetch_sub((atomic_size_t *)user_data, 1);
    free(block);
}

static void *do_nothing(void *arg)
{
    return arg;
}

/* A sanitizer's own thread comes with the first of ours. */
static size_t threads_now(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return entries_of("/proc/self/task");
}

/* What ended a moment ago may be seen for another one. */
static void expect_no_more(struct chaos *chaos, const char *path, size_t before)
{
    int64_t deadline_ms = test_deadline_ms(1000);
    size_t now;

    while ((now = entries_of(path)) > before && test_poll_again(deadline_ms))
        ;
    if (now > before)
        chaos_broken(chaos, "%zu more in %s than before", now - before, path);
}

static void judge(struct chaos *chaos)
{
    int64_t last = 0;
    size_t events;

    for (size_t i = 0; i < CHAOS_CLIENTS; i++)
        last = chaos_last_writes(chaos, chaos->clients[i]);
    chaos_judge_leases(chaos);
    events = chaos_judge_watches(chaos, last);
    chaos_judge_writes(chaos);
    chaos_close_leases(chaos);
    sum_up(chaos, events);
}

void chaos_run(const struct chaos_options *options)
{
    struct chaos *chaos = calloc(1, sizeof(*chaos));
    atomic_size_t blocks = 0;
    const etcd_allocator counted = {sizeof(counted), counted_malloc, counted_realloc, counted_free, &blocks};
    size_t descriptors, threads, violations;

    assert_non_null(chaos);
    chaos->options = options;
    open_log(chaos);
    assert_int_equal(etcd_set_allocator(&counted, NULL), ETCD_OK);
    descriptors = entries_of("/proc/self/fd");
    threads = threads_now();
    start(chaos);
    run_all(chaos);
    judge(chaos);
    stop(chaos);
    expect_no_more(chaos, "/proc/self/fd", descriptors);
    expect_no_more(chaos, "/proc/self/task", threads);
    if (atomic_load(&blocks) != 0)
        chaos_broken(chaos, "%zu blocks of memory are left", atomic_load(&blocks));
    assert_int_equal(etcd_set_allocator(NULL, NULL), ETCD_OK);
    violations = atomic_load(&chaos->violations);
    (void)fclose(chaos->log);
    if (violations != 0)
        fail_msg("%zu promises were broken, see above and %s; again with ETCDC_CHAOS_SEED=%" PRIu64,
                 violations, chaos->log_path, options->seed);
    (void)unlink(chaos->log_path);
    free(chaos);
}
