/* SPDX-License-Identifier: Apache-2.0 */
/* Closing: every pending call ends once, every handle goes on answering, and nothing is left behind. */
#include "support/fake_client.h"

#include "support/matrix.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 20, CODE_UNAVAILABLE = 14 };

struct tally {
    size_t calls, closed, maybe_applied;
};

static void count_end(etcd_op *op, void *user_data)
{
    struct tally *tally = user_data;
    etcd_error err = {.flags = 0};

    if (etcd_op_status(op, &err) == ETCD_E_CLOSED)
        tally->closed++;
    if ((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0)
        tally->maybe_applied++;
    (void)__atomic_add_fetch(&tally->calls, 1, __ATOMIC_RELEASE);
}

static void await_tally(const struct tally *tally, size_t count)
{
    const struct timespec pause = {.tv_nsec = 2000000L};

    for (int i = 0; i < 5000 && __atomic_load_n(&tally->calls, __ATOMIC_ACQUIRE) < count; i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(__atomic_load_n(&tally->calls, __ATOMIC_ACQUIRE), count);
}

/* A thread ends a moment after the loop has been given back. */
static void assert_nothing_left(size_t fds, size_t threads)
{
    const struct timespec pause = {.tv_nsec = 2000000L};

    for (int i = 0; i < 2000 && (fake_count_fds() != fds || fake_count_threads() != threads); i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(fake_count_threads(), threads);
    assert_int_equal(fake_count_fds(), fds);
}

/* ---- pending calls --------------------------------------------------------------------------------- */

static void close_with_pending(etcd_client *client, struct fake_etcd *fake)
{
    struct tally reads = {.calls = 0}, writes = {.calls = 0};
    etcd_op *ops[CALLS];
    etcd_error err;

    fake_etcd_always(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    fake_etcd_always(fake, "Put", &(struct fake_step){.what = STEP_HEADERS});
    for (size_t i = 0; i < CALLS; i += 2) {
        assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, count_end, &reads, &ops[i], &err), ETCD_OK,
                      &err);
        assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), NULL, count_end, &writes,
                                     &ops[i + 1], &err),
                      ETCD_OK, &err);
    }
    fake_await_calls(client, fake, NULL, CALLS);
    assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    for (size_t i = 0; i < CALLS; i++) {
        assert_true(etcd_op_done(ops[i]));
        assert_status(etcd_op_status(ops[i], &err), ETCD_E_CLOSED, &err);
        assert_int_equal((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0, i % 2 == 1);
    }
    await_tally(&reads, CALLS / 2);
    await_tally(&writes, CALLS / 2);
    assert_int_equal(reads.closed + writes.closed, CALLS);
    assert_int_equal(reads.maybe_applied, 0);
    assert_int_equal(writes.maybe_applied, CALLS / 2);
    etcd_client_free(client);
    /* Operations outlive their client. */
    assert_status(etcd_op_status(ops[0], &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_op_wait(ops[0], 1000, &err), ETCD_OK, &err);
    etcd_op_cancel(ops[0]);
    for (size_t i = 0; i < CALLS; i++)
        etcd_op_free(ops[i]);
}

static void test_pending_calls_end_once(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    size_t fds = fake_count_fds(), threads = fake_count_threads();

    (void)state;
    close_with_pending(test_client_open(fake_etcd_endpoint(fake), NULL), fake);
    assert_nothing_left(fds, threads);
    fake_etcd_free(fake);
}

/* Freed at once, with callbacks that nobody waits for: they still come, each once. */
static void test_free_alone_is_enough(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    size_t fds = fake_count_fds(), threads = fake_count_threads();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    struct tally tally = {.calls = 0};
    etcd_error err;

    (void)state;
    fake_etcd_always(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    for (size_t i = 0; i < CALLS; i++)
        assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, count_end, &tally, NULL, &err), ETCD_OK,
                      &err);
    etcd_client_free(client);
    await_tally(&tally, CALLS);
    assert_int_equal(tally.closed, CALLS);
    assert_nothing_left(fds, threads);
    etcd_client_free(NULL);
    fake_etcd_free(fake);
}

/* ---- in every state -------------------------------------------------------------------------------- */

static void close_during(struct fake_etcd *fake, const char *endpoint, bool login)
{
    size_t fds = fake_count_fds(), threads = fake_count_threads();
    etcd_client *client =
        login
            ? test_client_open(endpoint, ETCD_CLIENT_OPTS(.username = "u", .password = ETCD_SECRET_TEXT("p")))
            : test_client_open(endpoint, NULL);
    struct tally tally = {.calls = 0};
    etcd_op *ready = NULL;
    etcd_error err;

    assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), NULL, count_end, &tally, NULL, &err),
                  ETCD_OK, &err);
    assert_status(etcd_client_wait_ready_async(client, 0, count_end, &tally, &ready, &err), ETCD_OK, &err);
    if (login)
        fake_await_calls(client, fake, "Authenticate", 1);
    else
        test_pump(client, 50);
    assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    await_tally(&tally, 2);
    assert_int_equal(tally.closed, 2);
    assert_int_equal(tally.maybe_applied, 0);
    assert_status(etcd_op_status(ready, &err), ETCD_E_CLOSED, &err);
    etcd_op_free(ready);
    etcd_client_free(client);
    assert_nothing_left(fds, threads);
}

static void test_while_connecting(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct black_hole hole;

    (void)state;
    black_hole_open(&hole);
    close_during(fake, hole.endpoint, false);
    black_hole_close(&hole);
    fake_etcd_listen(fake, false);
    close_during(fake, fake_etcd_endpoint(fake), false);
    fake_etcd_listen(fake, true);
    fake_etcd_freeze(fake, true);
    close_during(fake, fake_etcd_endpoint(fake), false);
    fake_etcd_freeze(fake, false);
    fake_etcd_free(fake);
}

static void test_while_logging_in(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();

    (void)state;
    fake_etcd_set_auth(fake, "u", "p");
    fake_etcd_always(fake, "Authenticate", &(struct fake_step){.what = STEP_SILENT});
    close_during(fake, fake_etcd_endpoint(fake), true);
    fake_etcd_free(fake);
}

static void test_without_having_been_used(void **state)
{
    size_t fds = fake_count_fds(), threads = fake_count_threads();
    etcd_client *client = test_client_open("127.0.0.1:1", NULL);

    (void)state;
    etcd_client_free(client);
    assert_nothing_left(fds, threads);
}

/* ---- afterwards ------------------------------------------------------------------------------------ */

static void test_a_closed_client_answers(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.name = "orders"));
    char text[2048];
    etcd_op *op = NULL;
    etcd_txn *txn = etcd_txn_new();
    etcd_error err;

    (void)state;
    assert_status(fake_get(client, 5000, &err), ETCD_OK, &err);
    for (int i = 0; i < 2; i++)
        assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    assert_status(fake_get(client, 5000, &err), ETCD_E_CLOSED, &err);
    assert_has_text(err.message, "orders");
    assert_status(fake_put(client, 5000, &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_delete(client, etcd_cstr("k"), NULL, NULL, &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_compact(client, 1, NULL, &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_txn_commit(client, txn, NULL, NULL, &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, NULL, NULL, &op, &err), ETCD_E_CLOSED, &err);
    assert_null(op);
    assert_status(etcd_client_wait_ready(client, 0, &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_client_wait_ready_async(client, 0, NULL, NULL, &op, &err), ETCD_E_CLOSED, &err);
    assert_status(etcd_client_sync(client, 0, &err), ETCD_E_CLOSED, &err);
    etcd_client_cancel_waits(client);
    assert_string_equal(etcd_client_name(client), "orders");
    assert_true(etcd_client_describe(client, text, sizeof(text)) > 0);
    assert_int_equal(etcd_client_endpoints(client, text, sizeof(text)), strlen(fake_etcd_endpoint(fake)));
    assert_string_equal(text, fake_etcd_endpoint(fake));
    assert_status(etcd_client_close(NULL, &err), ETCD_E_INVALID_ARGUMENT, &err);
    etcd_txn_free(txn);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_the_server_sees_the_end(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    const struct timespec pause = {.tv_nsec = 2000000L};
    etcd_error err;

    (void)state;
    assert_status(fake_get(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_open_connections(fake), 1);
    assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    for (int i = 0; i < 2000 && fake_etcd_open_connections(fake) > 0; i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(fake_etcd_open_connections(fake), 0);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_clients_of_one_loop(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_loop *loop = NULL;
    etcd_client *a, *b;
    etcd_error err;

    (void)state;
    assert_status(
        etcd_loop_new(ETCD_LOOP_OPTS(.drive = test_caller_drive() ? ETCD_DRIVE_CALLER : ETCD_DRIVE_THREAD),
                      &loop, &err),
        ETCD_OK, &err);
    a = test_client_open(fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.loop = loop));
    b = test_client_open(fake_etcd_endpoint(fake), ETCD_CLIENT_OPTS(.loop = loop));
    etcd_loop_free(loop);
    assert_status(fake_put(a, 5000, &err), ETCD_OK, &err);
    assert_status(fake_put(b, 5000, &err), ETCD_OK, &err);
    etcd_client_free(a);
    assert_status(fake_put(b, 5000, &err), ETCD_OK, &err);
    etcd_client_free(b);
    fake_etcd_free(fake);
}

/* ---- threads --------------------------------------------------------------------------------------- */

static void *close_it(void *arg)
{
    etcd_error err;
    etcd_status *st = calloc(1, sizeof(*st));

    *st = etcd_client_close(arg, &err);
    return st;
}

static void *call_until_closed(void *arg)
{
    etcd_error err;
    etcd_status *st = calloc(1, sizeof(*st));

    do {
        *st = fake_get(arg, 20000, &err);
    } while (*st == ETCD_OK);
    return st;
}

static void join(pthread_t thread, etcd_status wanted)
{
    void *st = NULL;

    assert_int_equal(pthread_join(thread, &st), 0);
    assert_int_equal(*(etcd_status *)st, wanted);
    free(st);
}

static void test_from_two_threads_while_others_call(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();

    (void)state;
    for (int round = 0; round < 20; round++) {
        etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
        pthread_t callers[4], closers[2];
        const struct timespec pause = {.tv_nsec = 3000000L};

        for (size_t i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&callers[i], NULL, call_until_closed, client), 0);
        (void)nanosleep(&pause, NULL);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&closers[i], NULL, close_it, client), 0);
        for (size_t i = 0; i < 2; i++)
            join(closers[i], ETCD_OK);
        for (size_t i = 0; i < 4; i++)
            join(callers[i], ETCD_E_CLOSED);
        etcd_client_free(client);
    }
    fake_etcd_free(fake);
}

/* Under caller drive a client belongs to one thread. */
static const char *const need_threads[] = {
    "test_from_two_threads_while_others_call",
    NULL,
};

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pending_calls_end_once),
        cmocka_unit_test(test_free_alone_is_enough),
        cmocka_unit_test(test_while_connecting),
        cmocka_unit_test(test_while_logging_in),
        cmocka_unit_test(test_without_having_been_used),
        cmocka_unit_test(test_a_closed_client_answers),
        cmocka_unit_test(test_the_server_sees_the_end),
        cmocka_unit_test(test_clients_of_one_loop),
        cmocka_unit_test(test_from_two_threads_while_others_call),
    };

    return test_run_group(tests, sizeof(tests) / sizeof(tests[0]), need_threads, NULL, NULL);
}
