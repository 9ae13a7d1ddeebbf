/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_world.h"

#include "runtime/loop.h"
#include "support/alloc_fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    STEPS = 120,
    STEP_MS = 300,
    KEYS = 6,
    CALM_MS = 60000,  /* everything has caught up by then */
    REST_MS = 10000,  /* every watch has begun by then */
    PROBE_MS = 10000, /* a write succeeds within it */
    KEPT_MS = 15000,  /* longer than any lease */
};

uint64_t sim_pick(struct sim_world *world, uint64_t n)
{
    return sim_chance(&world->chance, n);
}

int64_t sim_now(const struct sim_world *world)
{
    return fake_now(world->env);
}

static void add_to_hash(struct sim_world *world, const char *text)
{
    for (; *text != '\0'; text++)
        world->result.hash = (world->result.hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
}

void sim_trace(struct sim_world *world, const char *format, ...)
{
    char text[600];
    int len = snprintf(text, sizeof(text), "%8lld ", (long long)(sim_now(world) - world->begin_ms));
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
    va_end(args);
    add_to_hash(world, text);
    if (world->config.verbose)
        printf("%s\n", text);
}

void sim_fail(struct sim_world *world, const char *format, ...)
{
    va_list args;

    if (world->result.failure[0] != '\0')
        return;
    va_start(args, format);
    (void)vsnprintf(world->result.failure, sizeof(world->result.failure), format, args);
    va_end(args);
    sim_trace(world, "FAILURE: %s", world->result.failure);
}

static bool failed(const struct sim_world *world)
{
    return world->result.failure[0] != '\0';
}

void sim_any_key(struct sim_world *world, char *dst, size_t size)
{
    (void)snprintf(dst, size, "%c/%c", sim_pick(world, 3) == 0 ? 'q' : 'k',
                   (char)('a' + (char)sim_pick(world, KEYS)));
}

bool sim_late(const struct sim_world *world, int64_t limit_ms)
{
    if (limit_ms < world->jump_ms)
        limit_ms = world->jump_ms;
    return sim_now(world) > limit_ms + SIM_SLACK_MS;
}

void sim_check_status(struct sim_world *world, const char *what, etcd_status status, const etcd_error *err)
{
    switch (status) {
    case ETCD_E_CANCELLED:
    case ETCD_E_CLOSED:
    case ETCD_E_DEADLINE:
    case ETCD_E_UNAVAILABLE:
    case ETCD_E_BUSY:
    case ETCD_E_LEASE_NOT_FOUND:
    case ETCD_E_LEASE_LOST:
    case ETCD_E_COMPACTED:
    case ETCD_E_FUTURE_REVISION:
    case ETCD_E_NO_LEADER:
    case ETCD_E_PROTOCOL:
        break;
    default:
        sim_fail(world, "%s ended with %s, which nothing here explains: %s", what, etcd_status_name(status),
                 err->message);
    }
    if (err->status != status)
        sim_fail(world, "%s: the status is %s, that of the error %s", what, etcd_status_name(status),
                 etcd_status_name(err->status));
}

static bool same(etcd_bytes a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool sim_same_kv(const etcd_kv *kv, const struct sim_event *event)
{
    return same(kv->key, event->key->name) && same(kv->value, event->value) &&
           kv->create_revision == event->created && kv->mod_revision == event->revision &&
           kv->version == event->version && kv->lease_id == event->lease;
}

/* ---- clients --------------------------------------------------------------------------------------- */

/* Printed only: it is no part of the run. */
static void on_log(void *user_data, etcd_log_level level, const char *component, const char *message)
{
    struct sim_world *world = user_data;

    (void)level;
    printf("%8lld     [%s] %s\n", (long long)(sim_now(world) - world->begin_ms), component, message);
}

static void open_client(struct sim_world *world, size_t at)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    char name[16];
    etcd_error err;

    (void)snprintf(name, sizeof(name), "sim%zu", at);
    opts.name = name;
    opts.loop = world->loop;
    opts.log_fn = world->config.verbose ? on_log : NULL;
    opts.log_user_data = world;
    opts.log_level = ETCD_LOG_TRACE;
    opts.endpoints = ETCD_LIST("etcd1.example:2379", "192.0.2.2:2379", "etcd3.example:2379");
    opts.dial_timeout_ms = 1000 + (int64_t)sim_pick(world, 4000);
    opts.auto_sync_interval_ms = at == 0 ? 10000 : 0;
    if (world->cluster->auth) {
        opts.username = "user";
        opts.password = ETCD_SECRET_TEXT("password");
    }
    if (etcd_client_open(&opts, &world->clients[at], &err) != ETCD_OK)
        sim_fail(world, "client %zu cannot be opened: %s", at, err.message);
}

static void close_client(struct sim_world *world, size_t at)
{
    etcd_client *client = world->clients[at];
    etcd_error err;

    if (client == NULL)
        return;
    sim_trace(world, "client %zu is closed", at);
    world->clients[at] = NULL;
    if (etcd_client_close(client, &err) != ETCD_OK)
        sim_fail(world, "closing: %s", err.message);
    sim_calls_step(world);
    if (!sim_calls_done(world, at))
        sim_fail(world, "client %zu is closed, and not all of its calls have ended", at);
    sim_watches_close(world, at);
    sim_leases_close(world, at);
    sim_locks_close(world, at);
    etcd_client_free(client);
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static void on_tick(void *user)
{
    struct sim_world *world = user;

    sim_calls_tick(world);
    sim_leases_tick(world);
    if (world->cluster->broken != NULL)
        sim_fail(world, "%s", world->cluster->broken);
}

static void on_trace(void *user, const char *text)
{
    sim_trace(user, "  %s", text);
}

void sim_pass(struct sim_world *world, int64_t ms)
{
    int64_t until_ms = sim_now(world) + ms;
    etcd_error err;

    do {
        if (etcd_loop_wait(world->loop, until_ms > sim_now(world) ? until_ms - sim_now(world) : 0, &err) !=
            ETCD_OK)
            sim_fail(world, "the loop: %s", err.message);
        sim_calls_step(world);
    } while (sim_now(world) < until_ms && !failed(world));
}

static void spoil_network(struct sim_world *world)
{
    static const char *const names[] = {"etcd1.example", "etcd3.example"};
    const char *name = names[sim_pick(world, 2)];
    bool resolves = sim_pick(world, 2) == 0;
    size_t piece = sim_pick(world, 3) == 0 ? 1 : SIZE_MAX;

    if (sim_pick(world, 2) == 0) {
        sim_trace(world, "  name %s %s", name, resolves ? "resolves" : "does not resolve");
        fake_name_script(world->env, name, (int64_t)sim_pick(world, 3000), resolves ? NULL : "no such host");
        return;
    }
    sim_trace(world, "  %s at a time", piece == 1 ? "one byte" : "all");
    fake_limit_io(world->env, piece, piece);
}

static void jump(struct sim_world *world)
{
    int64_t ms = 500 + (int64_t)sim_pick(world, 20000);

    sim_trace(world, "the clock jumps %lld ms", (long long)ms);
    fake_pass(world->env, ms);
    world->jump_ms = sim_now(world);
}

static void disturb(struct sim_world *world)
{
    world->result.faults++;
    switch (sim_pick(world, 12)) {
    case 0:
        jump(world);
        break;
    case 1:
    case 2:
        spoil_network(world);
        break;
    default:
        sim_cluster_fault(world->cluster);
        break;
    }
}

static void work(struct sim_world *world)
{
    size_t client = (size_t)sim_pick(world, SIM_CLIENTS);

    switch (sim_pick(world, 40)) {
    case 0:
        close_client(world, client);
        open_client(world, client);
        break;
    case 1:
    case 2:
        sim_lock_acquire(world, client);
        break;
    case 3:
    case 4:
        sim_lock_release(world, (size_t)sim_pick(world, SIM_LOCKS));
        break;
    case 5:
        sim_watch_disturb(world);
        break;
    case 6:
        sim_lease_disturb(world);
        break;
    case 7:
    case 8:
        sim_call_disturb(world);
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        sim_watch_begin(world, client);
        break;
    default:
        for (uint64_t count = 1 + sim_pick(world, 6); count > 0; count--)
            sim_call_begin(world, client);
        break;
    }
}

static void be_busy(struct sim_world *world)
{
    uint64_t trouble = sim_pick(world, 4); /* some runs have none */

    world->cluster->faults = trouble > 0;
    for (unsigned step = 0; step < STEPS && !failed(world); step++) {
        if (trouble > 0 && sim_pick(world, 12 / trouble) == 0)
            disturb(world);
        work(world);
        sim_pass(world, (int64_t)sim_pick(world, STEP_MS));
        sim_watches_step(world);
    }
}

/* ---- the end --------------------------------------------------------------------------------------- */

static bool caught_up(struct sim_world *world)
{
    sim_watches_step(world);
    return sim_calls_done(world, SIM_CLIENTS) && sim_cluster_settled(world->cluster) &&
           sim_watch_behind(world) == 0;
}

static void await_calm(struct sim_world *world, const char *when)
{
    int64_t until_ms = sim_now(world) + CALM_MS;

    while (!failed(world) && !caught_up(world)) {
        if (sim_now(world) > until_ms)
            sim_fail(world, "%s: after %d ms calls are %s, the cluster is %s, watch %u is behind", when,
                     CALM_MS, sim_calls_done(world, SIM_CLIENTS) ? "done" : "not done",
                     sim_cluster_settled(world->cluster) ? "settled" : "busy", sim_watch_behind(world));
        sim_pass(world, 100);
    }
}

static void heal(struct sim_world *world)
{
    world->calm = true;
    fake_limit_io(world->env, SIZE_MAX, SIZE_MAX);
    fake_name_script(world->env, "etcd1.example", 0, NULL);
    fake_name_script(world->env, "etcd3.example", 0, NULL);
    sim_cluster_heal(world->cluster);
}

/* Connections that died in silence may each cost a write before they are found out. */
static void await_put(struct sim_world *world, size_t client)
{
    int64_t until_ms = sim_now(world) + CALM_MS;
    etcd_error err;

    while (etcd_put(world->clients[client], etcd_cstr("probe"), etcd_cstr("1"),
                    ETCD_PUT_OPTS(.timeout_ms = PROBE_MS), NULL, &err) != ETCD_OK) {
        if (sim_now(world) < until_ms)
            continue;
        sim_fail(world, "client %zu has not recovered: %s", client, err.message);
        return;
    }
}

/* Every client writes, and every watch hears of every key. */
static void probe(struct sim_world *world)
{
    char key[4] = "k/a";

    for (size_t i = 0; i < SIM_CLIENTS && !failed(world); i++)
        await_put(world, i);
    world->probe_revision = world->store->revision;
    for (char name = 'a'; name < 'a' + KEYS; name++) {
        key[2] = name;
        key[0] = 'k';
        sim_store_put(world->store, key, "last");
        key[0] = 'q';
        sim_store_put(world->store, key, "last");
        sim_store_delete(world->store, key);
    }
}

static void settle(struct sim_world *world)
{
    heal(world);
    await_calm(world, "after the faults");
    if (!failed(world))
        sim_pass(world, REST_MS);
    if (!failed(world))
        probe(world);
    await_calm(world, "after the last writes");
    if (!failed(world))
        sim_pass(world, KEPT_MS);
    if (!failed(world))
        sim_leases_check(world);
    sim_locks_close(world, SIM_CLIENTS);
}

static void open_world(struct sim_world *world)
{
    etcd_error err;

    world->env = fake_env_new(world->config.seed);
    sim_clock_set(world->env);
    world->cluster = sim_cluster_new(world->env, SIM_MEMBERS, ~world->config.seed);
    world->store = world->cluster->store;
    world->cluster->on_tick = on_tick;
    world->cluster->trace = on_trace;
    world->cluster->user = world;
    world->cluster->auth = sim_pick(world, 4) == 0;
    world->cluster->latency_ms = (int64_t)sim_pick(world, 60);
    world->begin_ms = sim_now(world);
    if (etcd__loop_new_env(fake_env_table(world->env), &world->loop, &err) != ETCD_OK)
        sim_fail(world, "the loop: %s", err.message);
    for (size_t i = 0; i < SIM_CLIENTS; i++)
        open_client(world, i);
}

static void close_world(struct sim_world *world)
{
    for (size_t i = 0; i < SIM_CLIENTS; i++)
        close_client(world, i);
    etcd_loop_free(world->loop);
    sim_watches_free(world);
    sim_leases_free(world);
    if (!failed(world))
        sim_calls_check(world);
    world->result.virtual_ms = sim_now(world) - world->begin_ms;
    if (fake_open_sockets(world->env) != 0)
        sim_fail(world, "%zu sockets are left open", fake_open_sockets(world->env));
    if (fake_misuses(world->env) != 0)
        sim_fail(world, "%zu wrong uses of descriptors", fake_misuses(world->env));
    sim_calls_free(world);
    sim_cluster_free(world->cluster);
    sim_clock_set(NULL);
    fake_env_free(world->env);
}

bool sim_run(const struct sim_config *config, struct sim_result *ret_result)
{
    struct sim_world world = {.config = *config, .chance = config->seed * 2 + 1};
    size_t live = alloc_live();

    world.result.hash = UINT64_C(0xcbf29ce484222325);
    open_world(&world);
    be_busy(&world);
    settle(&world);
    close_world(&world);
    *ret_result = world.result;
    if (alloc_live() != live && ret_result->failure[0] == '\0')
        (void)snprintf(ret_result->failure, sizeof(ret_result->failure), "%zu allocations are left",
                       alloc_live() - live);
    return ret_result->failure[0] == '\0';
}
