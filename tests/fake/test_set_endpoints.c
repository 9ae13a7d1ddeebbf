/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_client_set_endpoints(): in force at once, for what begins; what goes on ends where it is. */
#include "support/fake_client.h"
#include "support/matrix.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERVERS = 3, THREADS = 8, CALLS = 300 };

struct world {
    struct fake_etcd *fakes[SERVERS];
    etcd_error err;
    size_t callbacks;
    etcd_status in_callback;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    for (size_t i = 0; i < SERVERS; i++)
        world->fakes[i] = fake_etcd_start();
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SERVERS; i++)
        fake_etcd_free(world->fakes[i]);
    free(world);
    return 0;
}

static const char *at(const struct world *world, size_t server)
{
    return fake_etcd_endpoint(world->fakes[server]);
}

static void move_to(struct world *world, etcd_client *client, size_t server)
{
    assert_status(etcd_client_set_endpoints(client, ETCD_LIST(at(world, server)), &world->err), ETCD_OK,
                  &world->err);
}

static void assert_endpoints(etcd_client *client, const char *wanted)
{
    char text[256];

    (void)etcd_client_endpoints(client, text, sizeof(text));
    assert_string_equal(text, wanted);
}

/* ---- in force at once ------------------------------------------------------------------------------ */

static void test_a_put_right_after(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(at(world, 0), NULL);

    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    for (size_t i = 1; i <= 20; i++) {
        size_t server = i % SERVERS, before = fake_etcd_calls(world->fakes[server], "Put");

        move_to(world, client, server);
        assert_endpoints(client, at(world, server));
        assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
        assert_int_equal(fake_etcd_calls(world->fakes[server], "Put"), before + 1);
    }
    etcd_client_free(client);
}

static void test_before_the_first_connection(void **state)
{
    struct world *world = *state;
    etcd_client *client;

    fake_etcd_listen(world->fakes[0], false);
    client = test_client_open(at(world, 0), NULL);
    move_to(world, client, 1);
    assert_int_equal(etcd_client_state_now(client), ETCD_CLIENT_IDLE);
    assert_status(fake_get(client, 5000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_connections(world->fakes[1]), 1);
    etcd_client_free(client);
}

/* Also what waits for a connection goes to the new list. */
static void test_after_a_failure(void **state)
{
    struct world *world = *state;
    etcd_client *client;
    etcd_op *op = NULL;

    fake_etcd_listen(world->fakes[0], false);
    client = test_client_open(at(world, 0), NULL);
    assert_status(fake_get(client, 200, &world->err), ETCD_E_UNAVAILABLE, &world->err);
    assert_status(etcd_get_async(client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = 10000), NULL, NULL, &op,
                                 &world->err),
                  ETCD_OK, &world->err);
    test_pump(client, 50);
    assert_false(etcd_op_done(op));
    move_to(world, client, 1);
    assert_status(etcd_op_wait(op, 5000, &world->err), ETCD_OK, &world->err);
    assert_status(etcd_op_status(op, &world->err), ETCD_OK, &world->err);
    etcd_op_free(op);
    etcd_client_free(client);
}

static void test_those_that_stay_keep_their_connection(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(at(world, 0), NULL);

    assert_status(etcd_client_wait_ready(client, 5000, &world->err), ETCD_OK, &world->err);
    for (int round = 0; round < 5; round++) {
        assert_status(etcd_client_set_endpoints(client, ETCD_LIST(at(world, 0), at(world, 1)), &world->err),
                      ETCD_OK, &world->err);
        assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
        assert_status(etcd_client_set_endpoints(client, ETCD_LIST(at(world, 0), at(world, 2)), &world->err),
                      ETCD_OK, &world->err);
        assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    }
    assert_int_equal(fake_etcd_connections(world->fakes[0]), 1);
    etcd_client_free(client);
}

/* ---- what goes on ---------------------------------------------------------------------------------- */

static void test_calls_under_way_finish(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(at(world, 0), NULL);
    etcd_op *op = NULL;

    fake_etcd_next(world->fakes[0], "Put", &(struct fake_step){.delay_ms = 300});
    assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, NULL, &op, &world->err),
                  ETCD_OK, &world->err);
    fake_await_calls(client, world->fakes[0], "Put", 1);
    move_to(world, client, 1);
    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fakes[1], "Put"), 1);
    fake_await_op(client, op);
    assert_status(etcd_op_status(op, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_done(world->fakes[0], "Put"), 1);
    assert_int_equal(fake_etcd_calls(world->fakes[1], "Put"), 1);
    /* And then nothing holds the old connection any more. */
    for (int i = 0; i < 1000 && fake_etcd_open_connections(world->fakes[0]) > 0; i++)
        test_pump(client, 10);
    assert_int_equal(fake_etcd_open_connections(world->fakes[0]), 0);
    etcd_op_free(op);
    etcd_client_free(client);
}

/* ---- refused --------------------------------------------------------------------------------------- */

static void test_bad_lists(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(at(world, 0), NULL);
    static const char *const none[] = {NULL};

    assert_status(etcd_client_set_endpoints(client, NULL, &world->err), ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_has_text(world->err.message, "endpoints is NULL");
    assert_status(etcd_client_set_endpoints(client, none, &world->err), ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_has_text(world->err.message, "empty");
    assert_status(etcd_client_set_endpoints(client, ETCD_LIST(at(world, 1), "a:b:c"), &world->err),
                  ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_has_text(world->err.message, "endpoints[1]");
    assert_has_text(world->err.message, "a:b:c");
    assert_has_text(world->err.message, "client 'etcd'");
    assert_status(etcd_client_set_endpoints(client, ETCD_LIST(""), NULL), ETCD_E_INVALID_ARGUMENT, NULL);
    assert_status(etcd_client_set_endpoints(NULL, ETCD_LIST("a"), &world->err), ETCD_E_INVALID_ARGUMENT,
                  &world->err);
    assert_endpoints(client, at(world, 0));
    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_connections(world->fakes[1]), 0);
    assert_status(etcd_client_close(client, &world->err), ETCD_OK, &world->err);
    assert_status(etcd_client_set_endpoints(client, ETCD_LIST("a"), &world->err), ETCD_E_CLOSED, &world->err);
    etcd_client_free(client);
}

/* ---- from everywhere ------------------------------------------------------------------------------- */

static void set_in_callback(etcd_op *op, void *user_data)
{
    struct world *world = ((void **)user_data)[0];

    (void)op;
    world->in_callback = etcd_client_set_endpoints(((void **)user_data)[1], ETCD_LIST(at(world, 2)), NULL);
    (void)__atomic_add_fetch(&world->callbacks, 1, __ATOMIC_RELEASE);
}

static void test_from_a_callback(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(at(world, 0), NULL);
    void *both[] = {world, client};

    assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, set_in_callback, both, NULL, &world->err),
                  ETCD_OK, &world->err);
    fake_await_count(client, &world->callbacks, 1);
    assert_status(world->in_callback, ETCD_OK, NULL);
    assert_status(fake_put(client, 5000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fakes[2], "Put"), 1);
    etcd_client_free(client);
}

struct worker {
    pthread_t thread;
    etcd_client *client;
    bool writes;
    int failed;
};

static void *call(void *arg)
{
    struct worker *worker = arg;
    etcd_error err;

    for (int i = 0; i < CALLS; i++)
        worker->failed += (worker->writes ? fake_put(worker->client, 20000, &err)
                                          : fake_get(worker->client, 20000, &err)) != ETCD_OK;
    return NULL;
}

static void test_while_many_threads_call(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(at(world, 0), NULL);
    struct worker workers[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.client = client, .writes = i % 2 == 0};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, call, &workers[i]), 0);
    }
    for (size_t i = 1; i <= 60; i++) {
        if (i % 4 == 0)
            assert_status(etcd_client_set_endpoints(
                              client, ETCD_LIST(at(world, 0), at(world, 1), at(world, 2)), &world->err),
                          ETCD_OK, &world->err);
        else
            move_to(world, client, i % SERVERS);
        test_pump(client, 2);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
    etcd_client_free(client);
}

static const char *const need_threads[] = {"test_while_many_threads_call", NULL};

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_put_right_after),      TEST(test_before_the_first_connection),
        TEST(test_after_a_failure),        TEST(test_those_that_stay_keep_their_connection),
        TEST(test_calls_under_way_finish), TEST(test_bad_lists),
        TEST(test_from_a_callback),        TEST(test_while_many_threads_call),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
