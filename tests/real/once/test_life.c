/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole application on a real server, a hundred times: three clients, services, a hosted one, workers, a
 * lock and a registration. Every time the same things happen in the same order, and nothing is left of them.
 * And two applications in one process, each with clients of its own.
 */
#include "capp/etcd.h"

#include "support/alloc_fail.h"
#include "support/etcd_server.h"
#include "support/real.h"
#include "unit/capp/fixture.h"

#include <stdatomic.h>
#include <unistd.h>

#define LOCK "/life/lock"
#define PREFIX "/life/services/"

enum { CYCLES = 100, READY_MS = 10000 };

static struct etcd_server *server, *other_server;

/* ---- the application ------------------------------------------------------------------------------- */

typedef struct store {
    etcd_client *client, *mirror;
    bool stopped;
} store;
CAPP_TYPE_DEFINE(store);

typedef struct front {
    store *store;
    capp_etcd_factory *factory;
} front;
CAPP_TYPE_DEFINE(front);

/* What the workers of one application have between them. */
struct scene {
    atomic_int ended;
    etcd_lock *lock;
    etcd_registration *registration;
};

static struct scene scene;

static capp_status store_init(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    trace("init store");
    return CAPP_OK;
}

static void store_fini(void *self)
{
    assert_true(((store *)self)->stopped);
    trace("fini store");
}

static capp_status store_start(void *self, capp_error *reterr)
{
    store *own = self;
    etcd_error err;

    trace("start store");
    if (etcd_put(own->client, etcd_cstr("/life/started"), etcd_cstr("1"), NULL, NULL, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

/* Its clients still work, although the workers have ended. */
static capp_status store_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    store *own = self;
    etcd_error err;

    (void)limit_ms;
    trace("stop store");
    own->stopped = true;
    if (etcd_delete(own->client, etcd_cstr("/life/started"), NULL, NULL, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    return CAPP_OK;
}

static capp_status front_start(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    trace("start front");
    return CAPP_OK;
}

static capp_status front_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)self;
    (void)limit_ms;
    (void)reterr;
    trace("stop front after %d workers", atomic_load(&scene.ended));
    return CAPP_OK;
}

static void front_fini(void *self)
{
    (void)self;
    trace("fini front");
}

/* Follows a key until it is told to stop. */
static capp_status front_run(void *self, capp_worker *worker, capp_error *reterr)
{
    front *own = self;
    etcd_watch *watch = NULL;
    etcd_events *events = NULL;
    etcd_error err;

    if (etcd_watch_open(own->store->mirror, etcd_cstr("/life/watched"), NULL, &watch, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    trace("run %s", capp_worker_name(worker));
    capp_worker_ready(worker);
    etcd_status status = etcd_watch_next(watch, ETCD_TIMEOUT_NONE, &events, &err);
    etcd_events_free(events);
    etcd_watch_close(watch);
    atomic_fetch_add(&scene.ended, 1);
    return status == ETCD_OK ? CAPP_OK : capp_error_from_etcd(&err, reterr);
}

static etcd_client *client_of(capp_worker *worker, const char *name)
{
    return capp_get_named(capp_worker_app(worker), etcd_client, name, NULL);
}

static capp_status lock_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    etcd_error err;

    (void)user_data;
    if (etcd_lock_acquire(client_of(worker, "locks"), etcd_cstr(LOCK), NULL, &scene.lock, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    trace("locked");
    capp_worker_ready(worker);
    capp_worker_wait(worker, INT64_MAX);
    atomic_fetch_add(&scene.ended, 1);
    return CAPP_OK; /* without releasing it */
}

static capp_status registration_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    etcd_error err;

    (void)user_data;
    if (etcd_register(client_of(worker, NULL), "web", "web-1", "10.0.0.1:80",
                      ETCD_REGISTER_OPTS(.prefix = PREFIX), &scene.registration, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    trace("registered");
    capp_worker_ready(worker);
    atomic_fetch_add(&scene.ended, 1);
    return CAPP_OK; /* it stays registered */
}

static capp_status stopping_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    trace("stop");
    capp_stop(capp_worker_app(worker));
    capp_worker_wait(worker, INT64_MAX);
    atomic_fetch_add(&scene.ended, 1);
    return CAPP_OK;
}

static void on_stopping(void *user_data)
{
    (void)user_data;
    trace("cancel");
}

static capp_status hook_start(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    trace("start hook");
    return CAPP_OK;
}

static capp_status hook_stop(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)self;
    (void)limit_ms;
    (void)reterr;
    trace("stop hook");
    return CAPP_OK;
}

static void hook_destroy(void *self)
{
    (void)self;
    trace("destroy hook");
}

static capp_status configure_hook(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    capp_hook hook = {.size = sizeof(hook), .start = hook_start, .stop = hook_stop, .destroy = hook_destroy};

    (void)module;
    (void)reterr;
    capp_on_stopping(setup, on_stopping, NULL);
    return capp_add_hook(setup, &hook);
}

static void clients(capp_etcd_builder *b, void *user)
{
    static const char *const names[] = {"default", "mirror", "locks"};

    (void)user;
    for (size_t i = 0; i < 3; i++)
        capp_etcd_add_client(b, names[i],
                             ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(etcd_server_endpoint(server, 0))));
}

/* Of the log only the end of the clients, which has no other witness in this process. */
static void trace_clients(void *user_data, const capp_log_record *record)
{
    (void)user_data;
    if (strcmp(record->category, "etcd") == 0 && strstr(record->message, ": closed") != NULL)
        trace("%.*s", (int)strcspn(record->message, ":"), record->message);
    if (record->level >= CAPP_LOG_WARN)
        trace("%s", record->message);
}

static capp_builder *compose(void)
{
    static const capp_inject store_rows[] = {CAPP_INJECT(store, client, etcd_client),
                                             CAPP_INJECT_NAMED(store, mirror, etcd_client, "mirror")};
    static const capp_inject front_rows[] = {CAPP_INJECT(front, store, store),
                                             CAPP_INJECT(front, factory, capp_etcd_factory)};
    static const capp_worker_opts ready = {.size = sizeof(ready), .wait_ready = true};
    static const capp_service store_def = CAPP_SERVICE(store, CAPP_INJECTS(store_rows), .init = store_init,
                                                       .fini = store_fini, .start = store_start,
                                                       .stop = store_stop);
    static const capp_service front_def = CAPP_SERVICE(front, CAPP_INJECTS(front_rows), .fini = front_fini,
                                                       .start = front_start, .stop = front_stop,
                                                       .run = front_run, .run_opts = &ready);
    capp_builder *builder = capp_builder_new();

    capp_use_log(builder, trace_clients, NULL);
    capp_configure(builder, capp_etcd(clients, NULL));
    capp_configure(builder, capp_module_of("hook", configure_hook, NULL));
    capp_add_service(builder, &front_def);
    capp_add_service(builder, &store_def);
    capp_add_worker_with(builder, "lock", lock_worker, NULL, &ready);
    capp_add_worker_with(builder, "registration", registration_worker, NULL, &ready);
    capp_add_worker(builder, "stopping", stopping_worker, NULL);
    return builder;
}

/* ---- a hundred times ------------------------------------------------------------------------------- */

static const char *const one_life =
    "init store, start hook, start store, start front, run front, locked, registered, stop, cancel, "
    "stop front after 4 workers, stop store, stop hook, "
    "client 'locks', client 'mirror', client 'default', "
    "fini front, fini store, destroy hook, ";

static void live_once(struct real *real)
{
    capp_app *app = NULL;
    capp_error error = {.message = ""};

    trace_clear();
    scene = (struct scene){0};
    if (capp_build(compose(), &app, &error) != CAPP_OK || capp_run(app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    /* On the server, before anything is freed: */
    assert_int_equal(real_keys(real, "/life/"), 0);
    assert_int_equal(real_leases(real), 0);
    /* The handles outlive the client's end, and are ours to free. */
    assert_int_not_equal(etcd_lock_release(scene.lock, 0, NULL), ETCD_OK);
    (void)etcd_registration_close(scene.registration, 0, NULL);
    capp_free(app);
    assert_string_equal(the_trace.text, one_life);
}

static size_t threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static bool has_threads(void *arg)
{
    return threads() == *(size_t *)arg;
}

static void a_hundred_lives_are_the_same_and_leave_nothing(void **state)
{
    struct real real = {0};
    size_t memory = alloc_live();

    (void)state;
    assert_true(real_open(&real, etcd_server_endpoints(server)));
    live_once(&real); /* what is made once and kept is made now */
    size_t fds = open_fds(), tasks = threads();
    for (int i = 0; i < CYCLES; i++) {
        live_once(&real);
        assert_int_equal(open_fds(), fds);
        /* A thread that was joined may be listed for a moment. */
        assert_true(real_wait(&real, has_threads, &tasks, READY_MS));
    }
    real_close(&real);
    assert_int_equal(alloc_live(), memory);
}

/* ---- two applications ------------------------------------------------------------------------------ */

/* One of them, at work until it is told to stop. */
struct tenant {
    const struct etcd_server *server;
    const char *key;
    capp_app *app;
    pthread_t thread;
    capp_status status;
    capp_error error;
    atomic_int puts;
};

static void tenant_clients(capp_etcd_builder *b, void *user)
{
    const struct tenant *tenant = user;
    const etcd_client_opts opts = {.size = sizeof(opts),
                                   .endpoints = ETCD_LIST(etcd_server_endpoint(tenant->server, 0))};

    capp_etcd_add_client(b, "default", &opts);
    capp_etcd_add_client(b, "second", &opts);
}

static capp_status put_and_look(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct tenant *tenant = user_data;
    etcd_error err = {0};

    do {
        etcd_get_result *result = NULL;

        if (etcd_put(client_of(worker, NULL), etcd_cstr("/tenant"), etcd_cstr(tenant->key), NULL, NULL,
                     &err) != ETCD_OK ||
            etcd_get(client_of(worker, "second"), etcd_cstr("/tenant"), NULL, &result, &err) != ETCD_OK)
            return capp_error_from_etcd(&err, reterr);
        bool own = strcmp(etcd_get_result_kv(result, 0)->value.data, tenant->key) == 0;
        etcd_get_result_free(result);
        if (!own)
            return capp_fail(reterr, CAPP_E_INTERNAL, "%s sees the other's value", tenant->key);
        atomic_fetch_add(&tenant->puts, 1);
    } while (capp_worker_wait(worker, 1));
    return CAPP_OK;
}

static void *run_tenant(void *arg)
{
    struct tenant *tenant = arg;

    tenant->status = capp_run(tenant->app, &tenant->error);
    return NULL;
}

static void move_in(struct tenant *tenant)
{
    capp_builder *builder = quiet_builder(NULL);

    capp_use_name(builder, tenant->key);
    capp_use_signals(builder, CAPP_SIGNALS_STOP); /* one of them gets them */
    capp_configure(builder, capp_etcd(tenant_clients, tenant));
    capp_add_worker(builder, "works", put_and_look, tenant);
    assert_int_equal(capp_build(builder, &tenant->app, &tenant->error), CAPP_OK);
    assert_int_equal(pthread_create(&tenant->thread, NULL, run_tenant, tenant), 0);
}

static void move_out(struct tenant *tenant)
{
    capp_stop(tenant->app);
    pthread_join(tenant->thread, NULL);
    if (tenant->status != CAPP_OK)
        fail_msg("%s", tenant->error.message);
    capp_free(tenant->app);
}

static void await_puts(struct tenant *tenant, int count)
{
    int64_t deadline = test_deadline_ms(READY_MS);
    int goal = atomic_load(&tenant->puts) + count;

    while (atomic_load(&tenant->puts) < goal)
        assert_true(test_poll_again(deadline));
}

static void two_applications_have_clients_of_their_own(void **state)
{
    size_t fds = open_fds();

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct tenant left = {.server = server, .key = "left"};
        struct tenant right = {.server = other_server, .key = "right"};

        move_in(&left);
        move_in(&right);
        await_puts(&left, 3);
        await_puts(&right, 3);
        move_out(&left);
        await_puts(&right, 3); /* as if nothing had happened */
        move_out(&right);
    }
    assert_int_equal(open_fds(), fds);
}

/* ---- */

static int start_servers(void **state)
{
    (void)state;
    server = etcd_server_start(NULL);
    other_server = etcd_server_start(NULL);
    return server != NULL && other_server != NULL ? 0 : -1;
}

static int stop_servers(void **state)
{
    (void)state;
    etcd_server_free(server);
    etcd_server_free(other_server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_lives_are_the_same_and_leave_nothing),
        cmocka_unit_test(two_applications_have_clients_of_their_own),
    };

    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
