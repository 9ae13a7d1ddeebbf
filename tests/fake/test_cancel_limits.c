/* SPDX-License-Identifier: Apache-2.0 */
/* Cancelling, from any thread and in any state: once, soon, and without harm to the connection. */
#include "support/fake_client.h"

#include "support/matrix.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { SOON_MS = 100, CODE_UNAVAILABLE = 14 };

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    size_t callbacks;
    etcd_status seen;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->fake = fake_etcd_start();
    world->client = test_client_open(fake_etcd_endpoint(world->fake), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    fake_etcd_free(world->fake);
    free(world);
    return 0;
}

static void on_done(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    world->seen = etcd_op_status(op, NULL);
    (void)__atomic_add_fetch(&world->callbacks, 1, __ATOMIC_RELEASE);
}

static etcd_op *start_get(struct world *world)
{
    etcd_op *op = NULL;

    assert_status(etcd_get_async(world->client, etcd_cstr("k"), NULL, on_done, world, &op, &world->err),
                  ETCD_OK, &world->err);
    return op;
}

static etcd_op *start_put(struct world *world)
{
    etcd_op *op = NULL;

    assert_status(
        etcd_put_async(world->client, etcd_cstr("k"), etcd_cstr("v"), NULL, on_done, world, &op, &world->err),
        ETCD_OK, &world->err);
    return op;
}

/* Cancels, waits, and looks at how it ended. Gives the operation back. */
static void cancel_and_look(struct world *world, etcd_op *op, uint32_t flags)
{
    int64_t begin_ms = test_now_ms();

    etcd_op_cancel(op);
    etcd_op_cancel(op);
    assert_status(etcd_op_wait(op, 10000, &world->err), ETCD_OK, &world->err);
    assert_true(test_now_ms() - begin_ms <= SOON_MS + fake_slack_ms() - 250);
    assert_status(etcd_op_status(op, &world->err), ETCD_E_CANCELLED, &world->err);
    assert_int_equal(world->err.flags, flags);
    assert_has_text(world->err.message, "cancelled");
    fake_await_count(world->client, &world->callbacks, 1);
    etcd_op_cancel(op); /* when it is done: nothing */
    test_pump(world->client, 20);
    assert_int_equal(world->callbacks, 1);
    assert_int_equal(world->seen, ETCD_E_CANCELLED);
    etcd_op_free(op);
}

static void test_a_read_that_was_sent(void **state)
{
    struct world *world = *state;
    etcd_op *op;

    fake_etcd_next(world->fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    op = start_get(world);
    fake_await_calls(world->client, world->fake, "Range", 1);
    cancel_and_look(world, op, 0);
    /* The stream is reset, the connection lives on. */
    assert_status(fake_get(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_connections(world->fake), 1);
    assert_int_equal(fake_etcd_resets(world->fake), 1);
}

static void test_a_write_that_was_sent(void **state)
{
    struct world *world = *state;
    etcd_op *op;

    fake_etcd_next(world->fake, "Put", &(struct fake_step){.what = STEP_SILENT});
    op = start_put(world);
    fake_await_calls(world->client, world->fake, "Put", 1);
    cancel_and_look(world, op, ETCD_ERROR_MAYBE_APPLIED);
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_connections(world->fake), 1);
}

static void test_a_write_without_a_connection(void **state)
{
    struct world *world = *state;
    etcd_op *op;

    fake_etcd_listen(world->fake, false);
    op = start_put(world);
    test_pump(world->client, 50);
    cancel_and_look(world, op, 0);
}

static void test_at_once(void **state)
{
    struct world *world = *state;

    /* Held back, so that the thread cannot be faster. */
    fake_etcd_always(world->fake, "Range", &(struct fake_step){.delay_ms = 1000});
    cancel_and_look(world, start_get(world), 0);
}

static void test_between_attempts(void **state)
{
    struct world *world = *state;
    etcd_op *op;

    fake_etcd_always(world->fake, "Range",
                     &(struct fake_step){
                         .what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"});
    op = start_get(world);
    fake_await_calls(world->client, world->fake, "Range", 3);
    cancel_and_look(world, op, 0);
}

static void test_while_logging_in(void **state)
{
    struct world *world = *state;
    etcd_client *client =
        test_client_open(fake_etcd_endpoint(world->fake),
                         ETCD_CLIENT_OPTS(.username = "u", .password = ETCD_SECRET_TEXT("p")));
    etcd_op *op;

    etcd_client_free(world->client);
    world->client = client;
    fake_etcd_set_auth(world->fake, "u", "p");
    fake_etcd_next(world->fake, "Authenticate", &(struct fake_step){.delay_ms = 300});
    op = start_put(world);
    fake_await_calls(world->client, world->fake, "Authenticate", 1);
    cancel_and_look(world, op, 0);
    /* The login goes on; its token serves the next. */
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fake, "Authenticate"), 1);
}

static void test_waiting_until_ready(void **state)
{
    struct world *world = *state;
    etcd_op *op = NULL;

    fake_etcd_listen(world->fake, false);
    assert_status(etcd_client_wait_ready_async(world->client, 0, on_done, world, &op, &world->err), ETCD_OK,
                  &world->err);
    test_pump(world->client, 50);
    cancel_and_look(world, op, 0);
}

static void test_what_is_done_stays_done(void **state)
{
    struct world *world = *state;
    etcd_op *op = start_get(world);
    etcd_get_result *result = NULL;

    assert_status(etcd_op_wait(op, 10000, &world->err), ETCD_OK, &world->err);
    etcd_op_cancel(op);
    test_pump(world->client, 20);
    assert_status(etcd_get_take(op, &result, &world->err), ETCD_OK, &world->err);
    assert_non_null(result);
    etcd_get_result_free(result);
    fake_await_count(world->client, &world->callbacks, 1);
    etcd_op_free(op);
    etcd_op_cancel(NULL);
}

static void cancel_other(etcd_op *op, void *user_data)
{
    (void)op;
    etcd_op_cancel(user_data);
}

static void test_from_a_callback(void **state)
{
    struct world *world = *state;
    etcd_op *op;

    fake_etcd_next(world->fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    op = start_get(world);
    fake_await_calls(world->client, world->fake, "Range", 1);
    assert_status(etcd_get_async(world->client, etcd_cstr("k"), NULL, cancel_other, op, NULL, &world->err),
                  ETCD_OK, &world->err);
    fake_await_count(world->client, &world->callbacks, 1);
    assert_int_equal(world->seen, ETCD_E_CANCELLED);
    etcd_op_free(op);
}

static void *cancel_soon(void *arg)
{
    struct timespec pause = {.tv_nsec = 50000000L};

    (void)nanosleep(&pause, NULL);
    etcd_op_cancel(arg);
    return NULL;
}

static void test_from_another_thread(void **state)
{
    struct world *world = *state;
    etcd_op *op;
    pthread_t thread;
    int64_t begin_ms;

    fake_etcd_next(world->fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    op = start_get(world);
    fake_await_calls(world->client, world->fake, "Range", 1);
    begin_ms = test_now_ms();
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, op), 0);
    assert_status(etcd_op_wait(op, ETCD_TIMEOUT_NONE, &world->err), ETCD_OK, &world->err);
    assert_true(test_now_ms() - begin_ms <= 50 + SOON_MS + fake_slack_ms() - 250);
    assert_status(etcd_op_status(op, &world->err), ETCD_E_CANCELLED, &world->err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake_await_count(world->client, &world->callbacks, 1);
    etcd_op_free(op);
    assert_status(fake_get(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_connections(world->fake), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_from_another_thread",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_read_that_was_sent),
        TEST(test_a_write_that_was_sent),
        TEST(test_a_write_without_a_connection),
        TEST(test_at_once),
        TEST(test_between_attempts),
        TEST(test_while_logging_in),
        TEST(test_waiting_until_ready),
        TEST(test_what_is_done_stays_done),
        TEST(test_from_a_callback),
        TEST(test_from_another_thread),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
