/* SPDX-License-Identifier: Apache-2.0 */
/* Where callbacks run, what may be done in them, and loops that the program turns itself. */
#include "support/fake_client.h"

#include "support/matrix.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { CHAIN = 100, LIMIT = 3 };

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    etcd_loop *loop; /* NULL: the client's own */
    etcd_error err;
    size_t callbacks;
    bool starting; /* the test is inside the call that starts an operation */
    pthread_t tester;
    pthread_t runner; /* where the last callback ran */
    etcd_status seen[12];
    etcd_op *op;
};

static void open_world(struct world *world, const etcd_loop_opts *loop_opts, const etcd_client_opts *opts)
{
    etcd_client_opts own = ETCD_CLIENT_OPTS_INIT;

    memset(world, 0, sizeof(*world));
    world->tester = pthread_self();
    world->fake = fake_etcd_start();
    if (opts != NULL)
        own = *opts;
    if (loop_opts != NULL)
        assert_status(etcd_loop_new(loop_opts, &world->loop, &world->err), ETCD_OK, &world->err);
    own.loop = world->loop;
    world->client = test_client_open(fake_etcd_endpoint(world->fake), &own);
}

static void close_world(struct world *world)
{
    etcd_client_free(world->client);
    etcd_loop_free(world->loop);
    fake_etcd_free(world->fake);
}

static void note(struct world *world)
{
    world->runner = pthread_self();
    (void)__atomic_add_fetch(&world->callbacks, 1, __ATOMIC_RELEASE);
}

static void count_it(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    assert_true(etcd_op_done(op));
    if (pthread_equal(pthread_self(), world->tester) != 0)
        assert_false(world->starting);
    note(world);
}

static void start(struct world *world, etcd_op_fn *on_done, etcd_op **ret_op)
{
    world->starting = true;
    assert_status(etcd_get_async(world->client, etcd_cstr("k"), NULL, on_done, world, ret_op, &world->err),
                  ETCD_OK, &world->err);
    world->starting = false;
}

/* ---- when and where -------------------------------------------------------------------------------- */

static void test_once_and_never_inside(void **state)
{
    struct world world;
    etcd_op *op = NULL;

    (void)state;
    open_world(&world, NULL, NULL);
    for (size_t i = 1; i <= 20; i++) {
        start(&world, count_it, &op);
        assert_status(etcd_op_wait(op, 10000, &world.err), ETCD_OK, &world.err);
        fake_await_count(world.client, &world.callbacks, i);
        etcd_op_free(op);
    }
    assert_int_equal(pthread_equal(world.runner, world.tester) != 0, test_caller_drive());
    test_pump(world.client, 50);
    assert_int_equal(world.callbacks, 20);
    close_world(&world);
}

/* ---- what may be done in one ----------------------------------------------------------------------- */

static void block_in_callback(etcd_op *op, void *user_data)
{
    struct world *world = user_data;
    etcd_txn *txn = etcd_txn_new();
    etcd_op *other = NULL;
    size_t n = 0;

    (void)op;
    world->seen[n++] = fake_get(world->client, 100, NULL);
    world->seen[n++] = fake_put(world->client, 100, NULL);
    world->seen[n++] = etcd_delete(world->client, etcd_cstr("k"), NULL, NULL, NULL);
    world->seen[n++] = etcd_compact(world->client, 1, NULL, NULL);
    world->seen[n++] = etcd_txn_commit(world->client, txn, NULL, NULL, NULL);
    world->seen[n++] = etcd_client_wait_ready(world->client, 100, NULL);
    world->seen[n++] = etcd_client_sync(world->client, 100, NULL);
    if (etcd_get_async(world->client, etcd_cstr("k"), NULL, NULL, NULL, &other, NULL) == ETCD_OK)
        world->seen[n++] = etcd_op_wait(other, 100, NULL);
    world->seen[n++] = world->loop == NULL ? ETCD_E_WOULD_DEADLOCK : etcd_loop_process(world->loop, NULL);
    world->seen[n++] = world->loop == NULL ? ETCD_E_WOULD_DEADLOCK : etcd_loop_wait(world->loop, 100, NULL);
    etcd_op_free(other);
    etcd_txn_free(txn);
    note(world);
}

static void test_blocking_calls_are_refused(void **state)
{
    struct world world;

    (void)state;
    open_world(&world,
               test_caller_drive() ? ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER)
                                   : ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_THREAD),
               NULL);
    start(&world, block_in_callback, NULL);
    fake_await_count(world.client, &world.callbacks, 1);
    for (size_t i = 0; i < 10; i++)
        assert_status(world.seen[i], ETCD_E_WOULD_DEADLOCK, NULL);
    /* No harm was done. */
    assert_status(fake_get(world.client, 5000, &world.err), ETCD_OK, &world.err);
    close_world(&world);
}

static void start_next(etcd_op *op, void *user_data)
{
    struct world *world = user_data;
    etcd_get_result *result = NULL;

    if (etcd_get_take(op, &result, NULL) == ETCD_OK)
        etcd_get_result_free(result);
    if (world->callbacks + 1 < CHAIN &&
        etcd_get_async(world->client, etcd_cstr("k"), NULL, start_next, world, NULL, NULL) != ETCD_OK)
        return;
    note(world);
}

static void test_a_chain_of_calls(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, NULL, NULL);
    start(&world, start_next, NULL);
    fake_await_count(world.client, &world.callbacks, CHAIN);
    assert_int_equal(fake_etcd_calls(world.fake, "Range"), CHAIN);
    close_world(&world);
}

static void free_it(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    if (op == world->op)
        etcd_op_free(world->op);
    note(world);
}

static void test_freeing_in_a_callback(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, NULL, NULL);
    fake_etcd_next(world.fake, "Range", &(struct fake_step){.delay_ms = 50}); /* so that op is set before */
    start(&world, free_it, &world.op);
    fake_await_count(world.client, &world.callbacks, 1);
    close_world(&world);
}

static void close_client(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    (void)op;
    world->seen[0] = etcd_client_close(world->client, NULL);
    world->seen[1] = etcd_get_async(world->client, etcd_cstr("k"), NULL, NULL, NULL, NULL, NULL);
    note(world);
}

static void test_closing_in_a_callback(void **state)
{
    struct world world;
    etcd_op *silent = NULL;

    (void)state;
    open_world(&world, NULL, NULL);
    fake_etcd_next(world.fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    start(&world, count_it, &silent);
    fake_await_calls(world.client, world.fake, "Range", 1);
    start(&world, close_client, NULL);
    fake_await_count(world.client, &world.callbacks, 2);
    assert_status(world.seen[0], ETCD_OK, NULL);
    assert_status(world.seen[1], ETCD_E_CLOSED, NULL);
    assert_status(etcd_op_status(silent, &world.err), ETCD_E_CLOSED, &world.err);
    etcd_op_free(silent);
    close_world(&world);
}

static void free_client(etcd_op *op, void *user_data)
{
    struct world *world = user_data;

    (void)op;
    etcd_client_free(world->client);
    note(world);
}

/* The callback frees the last that there is: under thread drive its own thread's loop too. */
static void test_freeing_the_client_in_a_callback(void **state)
{
    size_t threads = fake_count_threads(), fds = fake_count_fds();
    const struct timespec pause = {.tv_nsec = 2000000L};

    (void)state;
    for (int i = 0; i < 10; i++) {
        struct world world;
        etcd_loop *loop = NULL;

        open_world(&world, test_caller_drive() ? ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER) : NULL, NULL);
        start(&world, free_client, NULL);
        loop = world.loop;
        for (int wait = 0; wait < 5000 && __atomic_load_n(&world.callbacks, __ATOMIC_ACQUIRE) == 0; wait++) {
            if (loop != NULL)
                assert_status(etcd_loop_wait(loop, 2, &world.err), ETCD_OK, &world.err);
            else
                (void)nanosleep(&pause, NULL);
        }
        assert_int_equal(__atomic_load_n(&world.callbacks, __ATOMIC_ACQUIRE), 1);
        etcd_loop_free(loop);
        fake_etcd_free(world.fake);
    }
    for (int i = 0; i < 2000 && (fake_count_threads() != threads || fake_count_fds() != fds); i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(fake_count_threads(), threads);
    assert_int_equal(fake_count_fds(), fds);
}

/* ---- loops that the program turns -----------------------------------------------------------------------
 */

static void turn_by_descriptor(struct world *world, size_t callbacks)
{
    struct pollfd entry = {.fd = etcd_loop_fd(world->loop), .events = POLLIN};
    int64_t until_ms = test_deadline_ms(10000);

    assert_true(entry.fd >= 0);
    while (world->callbacks < callbacks) {
        assert_true(test_now_ms() < until_ms);
        assert_int_equal(poll(&entry, 1, 10000), 1);
        assert_status(etcd_loop_process(world->loop, &world->err), ETCD_OK, &world->err);
    }
}

static void test_deferred_dispatch(void **state)
{
    struct world world;
    struct pollfd entry;
    etcd_op *op = NULL;

    (void)state;
    open_world(&world, ETCD_LOOP_OPTS(.dispatch = ETCD_DISPATCH_PROCESS), NULL);
    start(&world, count_it, &op);
    assert_status(etcd_op_wait(op, 10000, &world.err), ETCD_OK, &world.err);
    test_pump(world.client, 50);
    assert_int_equal(world.callbacks, 0); /* it waits for us */
    turn_by_descriptor(&world, 1);
    assert_true(pthread_equal(world.runner, world.tester) != 0);
    entry = (struct pollfd){.fd = etcd_loop_fd(world.loop), .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 0), 0);
    for (size_t i = 0; i < 5; i++)
        start(&world, count_it, NULL);
    while (world.callbacks < 6)
        assert_status(etcd_loop_wait(world.loop, 10000, &world.err), ETCD_OK, &world.err);
    /* Blocking calls are fine outside of callbacks, and in them, since the loop has its own thread. */
    assert_status(fake_get(world.client, 5000, &world.err), ETCD_OK, &world.err);
    etcd_op_free(op);
    close_world(&world);
}

/* Given back without another process(): the callbacks come all the same, each once. */
static void test_deferred_callbacks_are_not_lost(void **state)
{
    size_t threads = fake_count_threads();
    const struct timespec pause = {.tv_nsec = 2000000L};
    struct world world;
    struct pollfd entry;

    (void)state;
    open_world(&world, ETCD_LOOP_OPTS(.dispatch = ETCD_DISPATCH_PROCESS), NULL);
    start(&world, count_it, NULL);
    entry = (struct pollfd){.fd = etcd_loop_fd(world.loop), .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 10000), 1);
    fake_etcd_next(world.fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    start(&world, count_it, NULL);
    etcd_loop_free(world.loop);
    assert_int_equal(world.callbacks, 1);
    etcd_client_free(world.client);
    for (int i = 0; i < 2000 && __atomic_load_n(&world.callbacks, __ATOMIC_ACQUIRE) < 2; i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(world.callbacks, 2);
    fake_etcd_free(world.fake);
    for (int i = 0; i < 2000 && fake_count_threads() != threads; i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(fake_count_threads(), threads);
}

static void test_an_event_loop_of_the_programs_own(void **state)
{
    struct world world;
    etcd_op *op = NULL;

    (void)state;
    open_world(&world, ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), NULL);
    for (size_t i = 1; i <= 5; i++) {
        start(&world, count_it, NULL);
        turn_by_descriptor(&world, i);
    }
    /* Deadlines are behind the descriptor too. */
    fake_etcd_next(world.fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_get_async(world.client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = 100), count_it,
                                 &world, &op, &world.err),
                  ETCD_OK, &world.err);
    turn_by_descriptor(&world, 6);
    assert_status(etcd_op_status(op, &world.err), ETCD_E_DEADLINE, &world.err);
    etcd_op_free(op);
    close_world(&world);
}

static void test_callbacks_wait_while_a_call_pumps(void **state)
{
    struct world world;
    etcd_op *op = NULL;

    (void)state;
    open_world(&world, ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), NULL);
    start(&world, count_it, &op);
    assert_status(fake_get(world.client, 5000, &world.err), ETCD_OK, &world.err);
    assert_status(etcd_op_wait(op, 5000, &world.err), ETCD_OK, &world.err);
    assert_int_equal(world.callbacks, 0);
    turn_by_descriptor(&world, 1);
    etcd_op_free(op);
    close_world(&world);
}

static void test_the_other_poller(void **state)
{
    struct world world;
    etcd_op *op = NULL;

    (void)state;
    open_world(&world,
               ETCD_LOOP_OPTS(.drive = test_caller_drive() ? ETCD_DRIVE_CALLER : ETCD_DRIVE_THREAD,
                              .poller = ETCD_POLLER_POLL),
               NULL);
    assert_int_equal(etcd_loop_fd(world.loop), -1);
    start(&world, count_it, NULL);
    fake_await_count(world.client, &world.callbacks, 1);
    fake_etcd_cut(world.fake);
    for (int i = 0; i < 10; i++)
        assert_status(fake_get(world.client, 5000, &world.err), ETCD_OK, &world.err);
    fake_etcd_next(world.fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_get_async(world.client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = 100), count_it,
                                 &world, &op, &world.err),
                  ETCD_OK, &world.err);
    fake_await_count(world.client, &world.callbacks, 2);
    assert_status(etcd_op_status(op, &world.err), ETCD_E_DEADLINE, &world.err);
    etcd_op_free(op);
    close_world(&world);
}

static void test_loop_arguments(void **state)
{
    etcd_loop *loop = NULL;
    etcd_error err;

    (void)state;
    assert_status(etcd_loop_new(NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_loop_new(ETCD_LOOP_OPTS(.drive = (etcd_drive)7), &loop, &err), ETCD_E_INVALID_ARGUMENT,
                  &err);
    assert_has_text(err.message, "drive is 7");
    assert_status(etcd_loop_new(ETCD_LOOP_OPTS(.dispatch = (etcd_dispatch)7), &loop, &err),
                  ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "dispatch is 7");
    assert_status(etcd_loop_new(ETCD_LOOP_OPTS(.poller = (etcd_poller)7), &loop, &err),
                  ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "poller is 7");
    assert_null(loop);
    assert_int_equal(etcd_loop_fd(NULL), -1);
    assert_status(etcd_loop_process(NULL, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_loop_new(NULL, &loop, &err), ETCD_OK, &err);
    assert_int_equal(etcd_loop_fd(loop), -1);
    assert_status(etcd_loop_process(loop, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_loop_wait(loop, -1, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "timeout_ms is -1");
    etcd_loop_free(loop);
    etcd_loop_free(NULL);
}

/* ---- too many -------------------------------------------------------------------------------------------
 */

static void test_a_limit_on_calls_under_way(void **state)
{
    struct world world;
    etcd_op *ops[LIMIT] = {NULL}, *extra = NULL;

    (void)state;
    open_world(&world, NULL, ETCD_CLIENT_OPTS(.max_outstanding = LIMIT));
    fake_etcd_always(world.fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    for (size_t i = 0; i < LIMIT; i++)
        start(&world, NULL, &ops[i]);
    assert_status(etcd_get_async(world.client, etcd_cstr("k"), NULL, count_it, &world, &extra, &world.err),
                  ETCD_E_BUSY, &world.err);
    assert_null(extra);
    assert_has_text(world.err.message, "3 calls under way");
    assert_int_equal(world.err.flags, ETCD_ERROR_RETRYABLE);
    assert_status(fake_put(world.client, 1000, &world.err), ETCD_E_BUSY, &world.err);
    etcd_op_cancel(ops[0]);
    assert_status(etcd_op_wait(ops[0], 5000, &world.err), ETCD_OK, &world.err);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    for (size_t i = 0; i < LIMIT; i++)
        etcd_op_free(ops[i]);
    close_world(&world);
    assert_int_equal(world.callbacks, 0);
}

/* ---- operations ------------------------------------------------------------------------------------------
 */

static void test_taking_results(void **state)
{
    struct world world;
    etcd_op *op = NULL;
    etcd_get_result *result = NULL;

    (void)state;
    open_world(&world, NULL, NULL);
    assert_status(fake_put(world.client, 5000, &world.err), ETCD_OK, &world.err);
    start(&world, NULL, &op);
    assert_status(etcd_op_wait(op, 5000, &world.err), ETCD_OK, &world.err);
    assert_status(etcd_put_take(op, NULL, &world.err), ETCD_E_INVALID_ARGUMENT, &world.err);
    assert_has_text(world.err.message, "another kind");
    assert_status(etcd_get_take(op, NULL, &world.err), ETCD_OK, &world.err);
    assert_status(etcd_get_take(op, &result, &world.err), ETCD_OK, &world.err);
    assert_int_equal(etcd_get_result_count(result), 1);
    etcd_get_result_free(result);
    assert_status(etcd_get_take(op, &result, &world.err), ETCD_E_INVALID_ARGUMENT, &world.err);
    assert_has_text(world.err.message, "taken before");
    etcd_op_free(op);
    start(&world, NULL, &op); /* not taken: freed with the handle */
    assert_status(etcd_op_wait(op, 5000, &world.err), ETCD_OK, &world.err);
    etcd_op_free(op);
    assert_status(etcd_op_wait(NULL, 0, &world.err), ETCD_E_INVALID_ARGUMENT, &world.err);
    assert_status(etcd_op_status(NULL, &world.err), ETCD_E_INVALID_ARGUMENT, &world.err);
    etcd_op_free(NULL);
    close_world(&world);
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_deferred_dispatch",
    "test_deferred_callbacks_are_not_lost",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_and_never_inside),
        cmocka_unit_test(test_blocking_calls_are_refused),
        cmocka_unit_test(test_a_chain_of_calls),
        cmocka_unit_test(test_freeing_in_a_callback),
        cmocka_unit_test(test_closing_in_a_callback),
        cmocka_unit_test(test_freeing_the_client_in_a_callback),
        cmocka_unit_test(test_deferred_dispatch),
        cmocka_unit_test(test_deferred_callbacks_are_not_lost),
        cmocka_unit_test(test_an_event_loop_of_the_programs_own),
        cmocka_unit_test(test_callbacks_wait_while_a_call_pumps),
        cmocka_unit_test(test_the_other_poller),
        cmocka_unit_test(test_loop_arguments),
        cmocka_unit_test(test_a_limit_on_calls_under_way),
        cmocka_unit_test(test_taking_results),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
