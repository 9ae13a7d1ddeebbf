/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/op.h"

#include "base/clock.h"
#include "base/mem.h"
#include "support/test.h"

#include <stdlib.h>
#include <unistd.h>

enum { WAITERS = 8, PATIENCE_MS = 20000 };

static const char kind[] = "kind", other_kind[] = "other";

struct record {
    struct etcd_loop *loop;
    size_t destroyed, results_freed, callbacks, cancels;
    etcd_status cancel_status;
};

struct embedded {
    struct etcd_op op;
    struct etcd__work finish;
    struct record *record;
    etcd_status status;
};

static void destroy(struct etcd_op *op)
{
    struct embedded *embedded = ETCD__CONTAINER(op, struct embedded, op);

    (void)__atomic_add_fetch(&embedded->record->destroyed, 1, __ATOMIC_RELEASE);
    free(embedded);
}

static void free_result(void *result)
{
    ++*(size_t *)result;
}

static void complete(struct embedded *embedded, etcd_status status)
{
    etcd_error err;

    embedded->op.result = status == ETCD_OK ? &embedded->record->results_freed : NULL;
    if (status != ETCD_OK)
        (void)etcd__fail(&err, status, "it failed");
    etcd__op_complete(&embedded->op, status, &err);
}

static void on_cancel(struct etcd_op *op)
{
    struct embedded *embedded = ETCD__CONTAINER(op, struct embedded, op);

    embedded->record->cancels++;
    complete(embedded, ETCD_E_CANCELLED);
}

static void run_finish(struct etcd__work *work)
{
    struct embedded *embedded = ETCD__CONTAINER(work, struct embedded, finish);

    complete(embedded, embedded->status);
}

static void on_done(etcd_op *op, void *user_data)
{
    struct record *record = user_data;

    assert_true(etcd_op_done(op));
    (void)__atomic_add_fetch(&record->callbacks, 1, __ATOMIC_RELEASE);
}

/* One reference is the engine's, one ours. */
static struct embedded *start(struct record *record, etcd_op_fn *fn)
{
    struct embedded *embedded = calloc(1, sizeof(*embedded));

    etcd__op_init(&embedded->op, record->loop, kind, fn, record);
    embedded->op.destroy = destroy;
    embedded->op.on_cancel = on_cancel;
    embedded->op.free_result = free_result;
    embedded->record = record;
    embedded->finish.run = run_finish;
    etcd__op_ref(&embedded->op);
    return embedded;
}

static void finish(struct embedded *embedded, etcd_status status)
{
    embedded->status = status;
    etcd__loop_post(embedded->record->loop, &embedded->finish);
}

static struct etcd_loop *make(etcd_drive drive)
{
    struct etcd_loop *loop = NULL;

    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = drive), &loop, NULL), ETCD_OK);
    return loop;
}

/* ---- */

static void result_lives_with_it(etcd_drive drive)
{
    struct record record = {.loop = make(drive)};
    struct embedded *embedded = start(&record, NULL);
    void *result = NULL;
    etcd_error err;

    assert_int_equal(etcd_op_status(&embedded->op, &err), ETCD_E_BUSY);
    assert_int_equal(etcd__op_take(&embedded->op, kind, &result, &err), ETCD_E_BUSY);
    finish(embedded, ETCD_OK);
    assert_int_equal(etcd_op_wait(&embedded->op, PATIENCE_MS, &err), ETCD_OK);
    assert_int_equal(etcd__op_take(&embedded->op, other_kind, &result, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd__op_take(&embedded->op, kind, NULL, &err), ETCD_OK);
    assert_int_equal(etcd__op_take(&embedded->op, kind, &result, &err), ETCD_OK);
    assert_ptr_equal(result, &record.results_freed);
    assert_int_equal(etcd__op_take(&embedded->op, kind, &result, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_op_free(&embedded->op);
    assert_int_equal(record.results_freed, 0); /* it was taken */
    embedded = start(&record, NULL);
    finish(embedded, ETCD_OK);
    assert_int_equal(etcd_op_wait(&embedded->op, ETCD_TIMEOUT_NONE, &err), ETCD_OK);
    etcd_op_free(&embedded->op);
    etcd_loop_free(record.loop);
    assert_int_equal(record.results_freed, 1);
    assert_int_equal(record.destroyed, 2);
}

static void test_results(void **state)
{
    (void)state;
    result_lives_with_it(ETCD_DRIVE_THREAD);
    result_lives_with_it(ETCD_DRIVE_CALLER);
}

static void test_failures(void **state)
{
    struct record record = {.loop = make(ETCD_DRIVE_THREAD)};
    struct embedded *embedded = start(&record, on_done);
    etcd_error err;

    (void)state;
    finish(embedded, ETCD_E_DENIED);
    assert_int_equal(etcd_op_wait(&embedded->op, PATIENCE_MS, &err), ETCD_OK);
    assert_int_equal(etcd_op_status(&embedded->op, &err), ETCD_E_DENIED);
    assert_string_equal(err.message, "it failed");
    assert_int_equal(etcd_op_status(&embedded->op, NULL), ETCD_E_DENIED);
    assert_int_equal(etcd__op_take(&embedded->op, kind, NULL, &err), ETCD_E_DENIED);
    etcd_op_free(&embedded->op);
    etcd_loop_free(record.loop);
    assert_int_equal(record.callbacks, 1);
    assert_int_equal(record.destroyed, 1);
}

static void test_cancelling_is_done_once(void **state)
{
    struct record record = {.loop = make(ETCD_DRIVE_THREAD)};
    struct embedded *embedded = start(&record, on_done);

    (void)state;
    for (int i = 0; i < 10; i++)
        etcd_op_cancel(&embedded->op);
    assert_int_equal(etcd_op_wait(&embedded->op, PATIENCE_MS, NULL), ETCD_OK);
    assert_int_equal(etcd_op_status(&embedded->op, NULL), ETCD_E_CANCELLED);
    etcd_op_cancel(&embedded->op);
    etcd_op_free(&embedded->op);
    etcd_loop_free(record.loop);
    assert_int_equal(record.cancels, 1);
    assert_int_equal(record.callbacks, 1);
    assert_int_equal(record.destroyed, 1);
}

/* Cancelled and finished at the same time: one of both wins, nothing is done twice. */
static void test_cancelling_against_the_end(void **state)
{
    struct record record = {.loop = make(ETCD_DRIVE_THREAD)};

    (void)state;
    for (int i = 0; i < 500; i++) {
        struct embedded *embedded = start(&record, on_done);

        finish(embedded, ETCD_OK);
        etcd_op_cancel(&embedded->op);
        assert_int_equal(etcd_op_wait(&embedded->op, PATIENCE_MS, NULL), ETCD_OK);
        etcd_op_free(&embedded->op);
    }
    etcd_loop_free(record.loop);
    assert_int_equal(record.cancels, 0); /* work runs in its order */
    assert_int_equal(record.callbacks, 500);
    assert_int_equal(record.destroyed, 500);
}

static void *wait_long(void *arg)
{
    etcd_op *op = arg;

    return etcd_op_wait(op, ETCD_TIMEOUT_NONE, NULL) == ETCD_OK ? arg : NULL;
}

static void *wait_briefly(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        if (etcd_op_wait(arg, 1, NULL) == ETCD_OK)
            return arg;
    }
    return NULL;
}

static void test_many_wait_for_one(void **state)
{
    struct record record = {.loop = make(ETCD_DRIVE_THREAD)};

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct embedded *embedded = start(&record, NULL);
        pthread_t threads[WAITERS];
        void *seen;

        for (size_t i = 0; i < WAITERS; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, i % 2 == 0 ? wait_long : wait_briefly, &embedded->op), 0);
        (void)usleep(2000);
        finish(embedded, ETCD_OK);
        for (size_t i = 0; i < WAITERS; i++) {
            assert_int_equal(pthread_join(threads[i], &seen), 0);
            assert_ptr_equal(seen, &embedded->op);
        }
        etcd_op_free(&embedded->op);
    }
    etcd_loop_free(record.loop);
    assert_int_equal(record.destroyed, 20);
}

static void sleep_in_engine(void *arg)
{
    (void)usleep(*(unsigned *)arg);
}

static void *hold_up(void *arg)
{
    unsigned us = 700000;

    etcd__loop_run(arg, sleep_in_engine, &us);
    return NULL;
}

static void test_an_engine_that_is_held_up(void **state)
{
    struct record record = {.loop = make(ETCD_DRIVE_THREAD)};
    struct embedded *embedded = start(&record, NULL);
    pthread_t thread;
    int64_t begin_ms = etcd__clock_ms();
    etcd_error err;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, hold_up, record.loop), 0);
    (void)usleep(20000);
    assert_int_equal(etcd__op_wait_overdue(&embedded->op, begin_ms + 50, "get", &err), ETCD_E_DEADLINE);
    assert_in_range(etcd__clock_ms() - begin_ms, 240, 690);
    assert_non_null(strstr(err.message, "get: the loop's thread"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(etcd_op_wait(&embedded->op, PATIENCE_MS, NULL), ETCD_OK);
    assert_int_equal(etcd_op_status(&embedded->op, NULL), ETCD_E_CANCELLED);
    etcd_op_free(&embedded->op);
    etcd_loop_free(record.loop);
}

static void test_waiting_has_its_own_limit(void **state)
{
    static const etcd_drive drives[] = {ETCD_DRIVE_THREAD, ETCD_DRIVE_CALLER};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct record record = {.loop = make(drives[i])};
        struct embedded *embedded = start(&record, NULL);
        int64_t begin_ms = etcd__clock_ms();

        assert_int_equal(etcd_op_wait(&embedded->op, 0, NULL), ETCD_E_BUSY);
        assert_int_equal(etcd_op_wait(&embedded->op, 50, NULL), ETCD_E_BUSY);
        assert_true(etcd__clock_ms() - begin_ms >= 49);
        assert_int_equal(etcd_op_wait(&embedded->op, INT64_MIN, NULL), ETCD_E_INVALID_ARGUMENT);
        etcd_op_cancel(&embedded->op);
        assert_int_equal(etcd_op_wait(&embedded->op, PATIENCE_MS, NULL), ETCD_OK);
        etcd_op_free(&embedded->op);
        etcd_loop_free(record.loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_cancelling_is_done_once),
        cmocka_unit_test(test_cancelling_against_the_end),
        cmocka_unit_test(test_many_wait_for_one),
        cmocka_unit_test(test_an_engine_that_is_held_up),
        cmocka_unit_test(test_waiting_has_its_own_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
