/* SPDX-License-Identifier: Apache-2.0 */
#include "recipes/gate.h"

#include "base/mem.h"
#include "support/test.h"

#include <sched.h>

/* What the gate guards here: a number that two at once would lose counts of. */
struct thing {
    struct etcd__gate gate;
    long visits;
    atomic_bool inside;
};

static void references(void **state)
{
    struct etcd__gate gate;

    (void)state;
    assert_true(etcd__gate_init(&gate));
    etcd__gate_ref(&gate);
    assert_false(etcd__gate_unref(&gate));
    assert_true(etcd__gate_unref(&gate));
    etcd__gate_deinit(&gate);
}

static void shut_from_inside_does_not_wait(void **state)
{
    struct etcd__gate gate;

    (void)state;
    assert_true(etcd__gate_init(&gate));
    assert_true(etcd__gate_enter(&gate));
    assert_false(etcd__gate_is_shut(&gate));
    etcd__gate_shut(&gate);
    assert_true(etcd__gate_is_shut(&gate));
    assert_false(
        etcd__gate_enter(&gate)); /* as when closing one object ends another inside the same callback */
    etcd__gate_leave(&gate);
    assert_false(etcd__gate_enter(&gate));
    etcd__gate_shut(&gate);
    etcd__gate_deinit(&gate);
}

static void *visit_often(void *arg)
{
    struct thing *thing = arg;

    for (int i = 0; i < 2000 && etcd__gate_enter(&thing->gate); i++) {
        thing->visits++;
        etcd__gate_leave(&thing->gate);
    }
    return NULL;
}

static void one_at_a_time(void **state)
{
    struct thing thing = {.visits = 0};
    pthread_t threads[4];

    (void)state;
    assert_true(etcd__gate_init(&thing.gate));
    for (size_t i = 0; i < ETCD__COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit_often, &thing), 0);
    for (size_t i = 0; i < ETCD__COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(thing.visits, 8000);
    etcd__gate_deinit(&thing.gate);
}

static void *stay_inside(void *arg)
{
    struct thing *thing = arg;

    if (!etcd__gate_enter(&thing->gate))
        return arg;
    atomic_store(&thing->inside, true);
    while (!etcd__gate_is_shut(&thing->gate))
        sched_yield();
    thing->visits = 1; /* the closer sees this, or did not wait */
    etcd__gate_leave(&thing->gate);
    return NULL;
}

static void shut_waits_for_who_is_inside(void **state)
{
    struct thing thing = {.visits = 0};
    pthread_t thread;
    void *failed;

    (void)state;
    assert_true(etcd__gate_init(&thing.gate));
    assert_int_equal(pthread_create(&thread, NULL, stay_inside, &thing), 0);
    while (!atomic_load(&thing.inside))
        sched_yield();
    etcd__gate_shut(&thing.gate);
    assert_int_equal(thing.visits, 1);
    pthread_join(thread, &failed);
    assert_null(failed);
    etcd__gate_deinit(&thing.gate);
}

static void *try_to_enter(void *arg)
{
    struct thing *thing = arg;

    atomic_store(&thing->inside, true);
    return etcd__gate_enter(&thing->gate) ? arg : NULL;
}

static void shut_turns_away_who_waits(void **state)
{
    struct thing thing = {.visits = 0};
    pthread_t thread;
    void *entered;

    (void)state;
    assert_true(etcd__gate_init(&thing.gate));
    assert_true(etcd__gate_enter(&thing.gate));
    assert_int_equal(pthread_create(&thread, NULL, try_to_enter, &thing), 0);
    while (!atomic_load(&thing.inside))
        sched_yield();
    etcd__gate_shut(&thing.gate);
    pthread_join(thread, &entered); /* ends although we are still inside */
    assert_null(entered);
    etcd__gate_leave(&thing.gate);
    etcd__gate_deinit(&thing.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references),
        cmocka_unit_test(shut_from_inside_does_not_wait),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(shut_waits_for_who_is_inside),
        cmocka_unit_test(shut_turns_away_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
