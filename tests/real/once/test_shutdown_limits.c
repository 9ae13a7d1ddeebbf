/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stop promises while everything that can wait, waits: a watch, a lock that is held, one that is
 * waited for, and a registration. The application ends at once, and the server has nothing left of it.
 */
#include "capp/etcd.h"

#include "support/etcd_server.h"
#include "support/real.h"
#include "unit/capp/fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define LOCK "/limits/lock"
#define PREFIX "/limits/services/"

enum {
    STOP_MS = 1000,
    READY_MS = 10000,
    LONG_MS = 600000,
    AWAY_MS = 4000, /* of the application, where the server is away */
};

/* One application, and what its workers are about. */
struct scene {
    const struct etcd_server *server;
    int64_t shutdown_ms; /* of the application; 0: its default */
    bool signal;         /* stopped by SIGTERM, not by a call */
    void (*before_stop)(struct scene *scene);

    capp_app *app;
    atomic_bool watching, holding, registered;
    etcd_status watch_end, wait_end;
    etcd_watch *watch;
    etcd_lock *held;
    etcd_registration *registration;
    int64_t stopped_ms; /* when the stop was asked for */
    struct real real;   /* to look at the server */
};

static struct etcd_server *server;

static etcd_client *client_of(capp_worker *worker)
{
    return capp_get(capp_worker_app(worker), etcd_client, NULL);
}

static capp_status watch_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct scene *scene = user_data;
    etcd_events *events = NULL;
    etcd_error err;

    if (etcd_watch_open(client_of(worker), etcd_cstr("/limits/watched"), NULL, &scene->watch, &err) !=
        ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    atomic_store(&scene->watching, true);
    scene->watch_end = etcd_watch_next(scene->watch, ETCD_TIMEOUT_NONE, &events, &err);
    return capp_error_from_etcd(&err, reterr);
}

static capp_status lock_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct scene *scene = user_data;
    etcd_error err;

    if (etcd_lock_acquire(client_of(worker), etcd_cstr(LOCK), NULL, &scene->held, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    atomic_store(&scene->holding, true);
    capp_worker_wait(worker, INT64_MAX);
    return CAPP_OK; /* without releasing it */
}

static capp_status waiting_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct scene *scene = user_data;
    etcd_lock *lock = NULL;
    etcd_error err;

    while (!atomic_load(&scene->holding) && capp_worker_wait(worker, 5))
        continue;
    scene->wait_end = etcd_lock_acquire(client_of(worker), etcd_cstr(LOCK),
                                        ETCD_LOCK_OPTS(.timeout_ms = LONG_MS), &lock, &err);
    if (scene->wait_end == ETCD_OK)
        return capp_fail(reterr, CAPP_E_INTERNAL, "two owners");
    return capp_error_from_etcd(&err, reterr);
}

static capp_status registration_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct scene *scene = user_data;
    etcd_error err;

    if (etcd_register(client_of(worker), "web", "web-1", "10.0.0.1:80", ETCD_REGISTER_OPTS(.prefix = PREFIX),
                      &scene->registration, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    atomic_store(&scene->registered, true);
    return CAPP_OK; /* it stays registered */
}

/* Everything waits: the second key of the lock is that of whoever waits for it. */
static bool all_wait(void *arg)
{
    struct scene *scene = arg;

    return atomic_load(&scene->watching) && atomic_load(&scene->registered) &&
           real_keys(&scene->real, LOCK "/") == 2;
}

static capp_status stopping_worker(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct scene *scene = user_data;

    if (!real_wait(&scene->real, all_wait, scene, READY_MS))
        return capp_fail(reterr, CAPP_E_TIMEOUT, "not everything waits");
    if (scene->before_stop != NULL)
        scene->before_stop(scene);
    scene->stopped_ms = test_now_ms();
    if (scene->signal)
        (void)kill(getpid(), SIGTERM);
    else
        capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void clients(capp_etcd_builder *b, void *user)
{
    const struct scene *scene = user;

    capp_etcd_add_client(b, "default",
                         ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(etcd_server_endpoint(scene->server, 0))));
}

/* Plays the scene to the end of capp_run(). */
static capp_status play(struct scene *scene, capp_error *reterr)
{
    capp_builder *builder = quiet_builder(NULL);

    assert_true(real_open(&scene->real, etcd_server_endpoints(scene->server)));
    capp_use_signals(builder, CAPP_SIGNALS_STOP);
    capp_use_shutdown_timeout(builder, scene->shutdown_ms);
    capp_configure(builder, capp_etcd(clients, scene));
    capp_add_worker(builder, "watch", watch_worker, scene);
    capp_add_worker(builder, "lock", lock_worker, scene);
    capp_add_worker(builder, "waiting", waiting_worker, scene);
    capp_add_worker(builder, "registration", registration_worker, scene);
    capp_add_worker(builder, "stopping", stopping_worker, scene);
    assert_int_equal(capp_build(builder, &scene->app, reterr), CAPP_OK);
    return capp_run(scene->app, reterr);
}

static void end(struct scene *scene)
{
    /* The handles outlive the client's end, and are still ours to free. */
    etcd_watch_close(scene->watch);
    assert_int_not_equal(etcd_lock_release(scene->held, 0, NULL), ETCD_OK);
    (void)etcd_registration_close(scene->registration, 0, NULL);
    capp_free(scene->app);
    real_close(&scene->real);
}

static int64_t elapsed_ms(const struct scene *scene)
{
    return test_now_ms() - scene->stopped_ms;
}

static void check_in_time(const struct scene *scene, int64_t limit_ms)
{
    int64_t took_ms = elapsed_ms(scene);

    if (took_ms > limit_ms * ETCDC_TIME_SCALE)
        fail_msg("the stop took %" PRId64 " ms", took_ms);
    assert_int_equal(scene->watch_end, ETCD_E_CANCELLED);
    assert_int_equal(scene->wait_end, ETCD_E_CANCELLED);
}

static void nothing_is_left(void **state)
{
    struct scene scene = {.server = server, .signal = true};
    capp_error error = {.message = ""};
    etcd_lock *next = NULL;
    etcd_error err;

    (void)state;
    if (play(&scene, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    check_in_time(&scene, STOP_MS);
    /* Before anything is freed: */
    assert_int_equal(real_keys(&scene.real, "/limits/"), 0);
    assert_int_equal(real_leases(&scene.real), 0);
    assert_int_equal(
        etcd_lock_acquire(scene.real.client, etcd_cstr(LOCK), ETCD_LOCK_OPTS(.try_lock = true), &next, &err),
        ETCD_OK);
    assert_int_equal(etcd_lock_release(next, 0, &err), ETCD_OK);
    assert_false(etcd_registration_alive(scene.registration));
    end(&scene);
}

static void nothing_leaks(void **state)
{
    size_t fds = open_fds();

    for (int i = 0; i < 3; i++)
        nothing_is_left(state);
    assert_int_equal(open_fds(), fds);
}

static void silence_server(struct scene *scene)
{
    (void)scene;
    assert_true(etcd_server_pause(server, 0));
}

/* The server takes connections and answers nothing: whoever asks it for something waits to the end. */
static void a_silent_server_does_not_hold_the_stop_up(void **state)
{
    struct scene scene = {
        .server = server, .shutdown_ms = AWAY_MS * ETCDC_TIME_SCALE, .before_stop = silence_server};
    capp_error error = {.message = ""};

    (void)state;
    capp_status status = play(&scene, &error);
    int64_t took_ms = elapsed_ms(&scene);
    assert_true(etcd_server_resume(server, 0));
    if (status != CAPP_OK)
        fail_msg("%s", error.message);
    assert_true(took_ms <= scene.shutdown_ms);
    check_in_time(&scene, AWAY_MS);
    end(&scene);
}

static void kill_server(struct scene *scene)
{
    (void)scene;
    assert_true(etcd_server_kill(server, 0));
}

static void a_dead_server_does_not_hold_the_stop_up(void **state)
{
    struct scene scene = {
        .server = server, .shutdown_ms = AWAY_MS * ETCDC_TIME_SCALE, .before_stop = kill_server};
    capp_error error = {.message = ""};

    (void)state;
    capp_status status = play(&scene, &error);
    int64_t took_ms = elapsed_ms(&scene);
    assert_true(etcd_server_restart(server, 0));
    if (status != CAPP_OK)
        fail_msg("%s", error.message);
    assert_true(took_ms <= scene.shutdown_ms);
    check_in_time(&scene, AWAY_MS);
    end(&scene);
    assert_true(etcd_server_wait(server, 0));
}

static int start_server(void **state)
{
    (void)state;
    server = etcd_server_start(NULL);
    return server != NULL ? 0 : -1;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_left, start_server, stop_server),
        cmocka_unit_test_setup_teardown(nothing_leaks, start_server, stop_server),
        cmocka_unit_test_setup_teardown(a_silent_server_does_not_hold_the_stop_up, start_server, stop_server),
        cmocka_unit_test_setup_teardown(a_dead_server_does_not_hold_the_stop_up, start_server, stop_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
