/* SPDX-License-Identifier: Apache-2.0 */
/* A client inside a libuv loop: calls, a watch and a lease, with libuv doing all the waiting. */
#include "base/mem.h"
#include "support/real.h"
#include "support/test.h"

#include <etcdc/uv.h>

enum { WRITES = 100, LIMIT_MS = 20000 };

static struct etcd_server *server;

struct world {
    uv_loop_t uv;
    uv_timer_t limit;
    etcd_uv glue;
    etcd_loop *loop;
    etcd_client *client;
    etcd_watch *watch;
    int puts, events;
    bool timed_out, glue_closed, ended, errors;
};

static void on_limit(uv_timer_t *timer)
{
    struct world *world = timer->data;

    world->timed_out = true;
    uv_stop(&world->uv);
}

static void on_closed(etcd_uv *glue)
{
    struct world *world = ETCD__CONTAINER(glue, struct world, glue);

    world->glue_closed = true;
}

static void on_error(etcd_uv *glue, const etcd_error *err, void *user_data)
{
    struct world *world = user_data;

    (void)glue;
    assert_int_equal(err->status, ETCD_E_IO);
    world->errors = true;
}

static void open_world(struct world *world)
{
    const char *const endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_error err;

    *world = (struct world){.puts = 0};
    assert_int_equal(uv_loop_init(&world->uv), 0);
    assert_int_equal(uv_timer_init(&world->uv, &world->limit), 0);
    world->limit.data = world;
    assert_int_equal(uv_timer_start(&world->limit, on_limit, (uint64_t)LIMIT_MS * ETCDC_TIME_SCALE, 0), 0);
    uv_unref((uv_handle_t *)&world->limit);
    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &world->loop, &err), ETCD_OK);
    assert_int_equal(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .loop = world->loop), &world->client, &err),
        ETCD_OK);
    assert_int_equal(etcd_uv_start(&world->glue, &world->uv, world->loop, on_error, world), 0);
}

static void close_world(struct world *world)
{
    etcd_watch_close(world->watch);
    etcd_client_free(world->client);
    etcd_uv_stop(&world->glue, on_closed);
    uv_close((uv_handle_t *)&world->limit, NULL);
    assert_int_equal(uv_run(&world->uv, UV_RUN_DEFAULT), 0);
    assert_true(world->glue_closed);
    etcd_loop_free(world->loop);
    assert_int_equal(uv_loop_close(&world->uv), 0);
}

static void stop_when_done(struct world *world)
{
    if (world->puts == WRITES && world->events == WRITES)
        uv_stop(&world->uv);
}

static void on_put(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    assert_int_equal(etcd_op_status(op, NULL), ETCD_OK);
    world->puts++;
    stop_when_done(world);
}

static void on_events(etcd_watch *watch, const etcd_events *events, etcd_status status, const etcd_error *err,
                      void *user_data)
{
    struct world *world = user_data;

    (void)watch;
    (void)err;
    if (events == NULL) {
        assert_int_equal(status, ETCD_E_CANCELLED);
        world->ended = true;
        return;
    }
    world->events += (int)etcd_events_count(events);
    stop_when_done(world);
}

static void libuv_drives_calls_and_watches(void **state)
{
    struct world world;
    etcd_error err;

    (void)state;
    open_world(&world);
    assert_int_equal(etcd_watch_open(world.client, etcd_cstr("uv/"),
                                     ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1,
                                                     .on_events = on_events, .user_data = &world),
                                     &world.watch, &err),
                     ETCD_OK);
    for (int i = 0; i < WRITES; i++)
        assert_int_equal(
            etcd_put_async(world.client, etcd_cstr("uv/k"), etcd_cstr("v"), NULL, on_put, &world, NULL, &err),
            ETCD_OK);
    (void)uv_run(&world.uv, UV_RUN_DEFAULT);
    assert_false(world.timed_out);
    assert_int_equal(world.puts, WRITES);
    assert_int_equal(world.events, WRITES);
    close_world(&world);
    assert_true(world.ended);
    assert_false(world.errors);
}

static void on_keepalive_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err,
                             void *user_data)
{
    (void)keepalive;
    (void)err;
    *(etcd_status *)user_data = status;
}

static void on_pause(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Timers of the client are behind the descriptor too: nothing else wakes the loop up here. */
static void libuv_drives_renewals(void **state)
{
    etcd_keepalive *keepalive = NULL;
    etcd_status ended = ETCD_OK;
    etcd_lease lease = {.id = 0};
    struct world world;
    uv_timer_t pause;
    etcd_error err;

    (void)state;
    open_world(&world);
    assert_int_equal(etcd_lease_grant(world.client, 2, NULL, &lease, &err), ETCD_OK);
    assert_int_equal(
        etcd_keepalive_start(world.client, lease,
                             ETCD_KEEPALIVE_OPTS(.on_end = on_keepalive_end, .user_data = &ended), &keepalive,
                             &err),
        ETCD_OK);
    assert_int_equal(uv_timer_init(&world.uv, &pause), 0);
    assert_int_equal(uv_timer_start(&pause, on_pause, 5000, 0), 0);
    (void)uv_run(&world.uv, UV_RUN_DEFAULT);
    assert_int_equal(ended, ETCD_OK);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
    uv_close((uv_handle_t *)&pause, NULL);
    etcd_keepalive_close(keepalive);
    assert_int_equal(etcd_lease_revoke(world.client, lease.id, NULL, &err), ETCD_OK);
    close_world(&world);
}

static void loops_without_a_descriptor_are_refused(void **state)
{
    etcd_loop *loop = NULL;
    uv_loop_t uv;
    etcd_uv glue;

    (void)state;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(etcd_loop_new(NULL, &loop, NULL), ETCD_OK);
    assert_int_equal(etcd_uv_start(&glue, &uv, loop, NULL, NULL), UV_EINVAL);
    etcd_loop_free(loop);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static int start_server(void **state)
{
    (void)state;
    server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    return server == NULL ? -1 : 0;
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
        cmocka_unit_test(libuv_drives_calls_and_watches),
        cmocka_unit_test(libuv_drives_renewals),
        cmocka_unit_test(loops_without_a_descriptor_are_refused),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
