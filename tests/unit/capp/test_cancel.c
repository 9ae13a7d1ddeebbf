/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/mem.h"
#include "capp/token.h"
#include "support/alloc_fail.h"

#include <semaphore.h>
#include <stdatomic.h>

static capp_cancel *new_cancel(void)
{
    capp_cancel *cancel = etcd__calloc(1, sizeof(*cancel));

    assert_non_null(cancel);
    assert_int_equal(capp__cancel_init(cancel), 0);
    return cancel;
}

static void free_cancel(capp_cancel *cancel)
{
    capp__cancel_deinit(cancel);
    etcd__free(cancel);
}

static void count_up(void *user_data)
{
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void write_word(void *user_data)
{
    trace("%s", (const char *)user_data);
}

static void bad_arguments_are_refused(void **state)
{
    capp_cancel *cancel = new_cancel();
    capp_cancel_entry *entry = NULL;
    capp_error error;

    (void)state;
    assert_int_equal(capp_cancel_add(NULL, count_up, NULL, &entry, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_cancel_add(cancel, NULL, NULL, &entry, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_cancel_add(cancel, count_up, NULL, NULL, &error), CAPP_E_INVALID_ARGUMENT);
    alloc_fail_at(1);
    assert_int_equal(capp_cancel_add(cancel, count_up, NULL, &entry, &error), CAPP_E_NO_MEMORY);
    alloc_fail_at(0);
    assert_null(entry);
    capp_cancel_remove(NULL);
    free_cancel(cancel);
}

static void functions_run_once_in_order(void **state)
{
    capp_cancel *cancel = new_cancel();
    capp_cancel_entry *entries[3];
    char label[CAPP__NAME_SIZE];
    capp_error error;

    (void)state;
    trace_clear();
    assert_int_equal(capp_cancel_add(cancel, write_word, "a", &entries[0], NULL), CAPP_OK);
    assert_int_equal(capp_cancel_add(cancel, write_word, "b", &entries[1], NULL), CAPP_OK);
    assert_int_equal(capp_cancel_add(cancel, write_word, "c", &entries[2], NULL), CAPP_OK);
    capp_cancel_remove(entries[1]);
    assert_false(capp_cancel_requested(cancel));
    capp__cancel_request(cancel);
    capp__cancel_request(cancel);
    assert_true(capp_cancel_requested(cancel));
    assert_string_equal(the_trace.text, "a, c, ");
    assert_false(capp__cancel_running(cancel, label));
    assert_int_equal(capp_cancel_add(cancel, write_word, "late", &entries[1], &error), CAPP_E_CANCELLED);
    capp_cancel_remove(entries[0]);
    capp_cancel_remove(entries[2]);
    free_cancel(cancel);
}

static void waiting_ends_by_time_or_by_request(void **state)
{
    capp_cancel *cancel = new_cancel();

    (void)state;
    assert_false(capp_cancel_wait(cancel, 0));
    assert_false(capp_cancel_wait(cancel, -1));
    int64_t began = now_ms();
    assert_false(capp_cancel_wait(cancel, 30));
    assert_true(now_ms() - began >= 29);
    capp__cancel_request(cancel);
    assert_true(capp_cancel_wait(cancel, 0));
    assert_true(capp_cancel_wait(cancel, INT64_MAX));
    free_cancel(cancel);
}

static void *wait_for_it(void *cancel)
{
    return capp_cancel_wait(cancel, INT64_MAX) ? cancel : NULL;
}

static void a_request_wakes_everyone(void **state)
{
    capp_cancel *cancel = new_cancel();
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_it, cancel), 0);
    capp__cancel_request(cancel);
    for (size_t i = 0; i < 8; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_ptr_equal(result, cancel);
    }
    free_cancel(cancel);
}

struct self_remover {
    capp_cancel_entry *entry;
    int calls;
};

static void remove_itself(void *user_data)
{
    struct self_remover *remover = user_data;

    remover->calls++;
    capp_cancel_remove(remover->entry);
}

static void a_function_may_remove_itself(void **state)
{
    capp_cancel *cancel = new_cancel();
    struct self_remover remover = {0};
    atomic_int count = 0;
    capp_cancel_entry *other;

    (void)state;
    assert_int_equal(capp_cancel_add(cancel, remove_itself, &remover, &remover.entry, NULL), CAPP_OK);
    assert_int_equal(capp_cancel_add(cancel, count_up, &count, &other, NULL), CAPP_OK);
    capp__cancel_request(cancel);
    assert_int_equal(remover.calls, 1);
    assert_int_equal(atomic_load(&count), 1);
    capp_cancel_remove(other);
    free_cancel(cancel);
}

/* A function that is held up until the test lets it go. */
struct gate {
    sem_t entered, leave;
    atomic_bool left, removed;
    capp_cancel_entry *entry;
    capp_cancel *cancel;
};

static void pass_gate(void *user_data)
{
    struct gate *gate = user_data;

    sem_post(&gate->entered);
    sem_wait(&gate->leave);
    atomic_store(&gate->left, true);
}

static void *request(void *cancel)
{
    capp__cancel_request(cancel);
    return NULL;
}

static void *remove_entry(void *arg)
{
    struct gate *gate = arg;

    capp_cancel_remove(gate->entry);
    atomic_store(&gate->removed, atomic_load(&gate->left));
    return NULL;
}

static void removing_waits_for_the_running_function(void **state)
{
    struct gate gate = {0};
    pthread_t requester, remover;
    char label[CAPP__NAME_SIZE];

    (void)state;
    gate.cancel = new_cancel();
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.leave, 0, 0);
    assert_int_equal(capp_cancel_add(gate.cancel, pass_gate, &gate, &gate.entry, NULL), CAPP_OK);
    memcpy(gate.entry->label, "gate", 5);
    assert_int_equal(pthread_create(&requester, NULL, request, gate.cancel), 0);
    sem_wait(&gate.entered);
    assert_true(capp__cancel_running(gate.cancel, label));
    assert_string_equal(label, "gate");
    assert_int_equal(pthread_create(&remover, NULL, remove_entry, &gate), 0);
    sem_post(&gate.leave);
    pthread_join(remover, NULL);
    pthread_join(requester, NULL);
    assert_true(atomic_load(&gate.removed)); /* only after the function had left */
    sem_destroy(&gate.entered);
    sem_destroy(&gate.leave);
    free_cancel(gate.cancel);
}

/* Adding and removing while the request comes: no call after remove has returned. */
static void *add_and_remove(void *arg)
{
    capp_cancel *cancel = arg;

    for (;;) {
        atomic_int calls = 0;
        capp_cancel_entry *entry = NULL;

        if (capp_cancel_add(cancel, count_up, &calls, &entry, NULL) != CAPP_OK)
            return NULL;
        capp_cancel_remove(entry);
        if (atomic_load(&calls) > 1)
            return cancel;
    }
}

static void adding_and_removing_race_with_the_request(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        capp_cancel *cancel = new_cancel();
        pthread_t threads[4];

        for (size_t i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, cancel), 0);
        capp_cancel_wait(cancel, 1);
        capp__cancel_request(cancel);
        for (size_t i = 0; i < 4; i++) {
            void *result;

            pthread_join(threads[i], &result);
            assert_null(result);
        }
        free_cancel(cancel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(functions_run_once_in_order),
        cmocka_unit_test(waiting_ends_by_time_or_by_request),
        cmocka_unit_test(a_request_wakes_everyone),
        cmocka_unit_test(a_function_may_remove_itself),
        cmocka_unit_test(removing_waits_for_the_running_function),
        cmocka_unit_test(adding_and_removing_race_with_the_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
