/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/health.h"

#include "support/fake_env.h"
#include "support/test.h"

#include <errno.h>

struct patient {
    struct fake_env *fake;
    struct etcd__reactor reactor;
    struct etcd__health health;
    unsigned pings, deaths;
    int64_t started_ms, last_ping_ms;
};

static void on_ping(void *user)
{
    struct patient *patient = user;

    patient->pings++;
    patient->last_ping_ms = fake_now(patient->fake) - patient->started_ms;
}

static void on_dead(void *user)
{
    struct patient *patient = user;

    patient->deaths++;
    etcd__health_deinit(&patient->health);
}

static const struct etcd__health_ops ops = {.ping = on_ping, .dead = on_dead};

static void admit(struct patient *patient, int64_t time_ms, int64_t timeout_ms, unsigned patience)
{
    memset(patient, 0, sizeof *patient);
    patient->fake = fake_env_new(1);
    etcd__reactor_init(&patient->reactor, fake_env_table(patient->fake));
    patient->started_ms = fake_now(patient->fake);
    etcd__health_init(&patient->health, &patient->reactor, time_ms, timeout_ms, patience, &ops, patient);
}

static void discharge(struct patient *patient)
{
    etcd__health_deinit(&patient->health);
    assert_int_equal(etcd__reactor_next_ms(&patient->reactor), INT64_MAX);
    fake_env_free(patient->fake);
}

/* Until this time after the start. */
static void run_to(struct patient *patient, int64_t ms)
{
    while (fake_now(patient->fake) < patient->started_ms + ms) {
        int ret = etcd__reactor_turn(&patient->reactor, patient->started_ms + ms);

        assert_true(ret == 0 || ret == -EDEADLK);
    }
    etcd__reactor_turn(&patient->reactor, fake_now(patient->fake));
}

static bool asleep(const struct patient *patient)
{
    return etcd__reactor_next_ms(&patient->reactor) == INT64_MAX;
}

static void nothing_happens_without_calls(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 10000, 5000, 0);
    assert_true(asleep(&patient));
    for (int unary = 0; unary <= 1; unary++) {
        etcd__health_call_started(&patient.health, unary);
        assert_false(asleep(&patient));
        etcd__health_call_ended(&patient.health, unary);
        assert_true(asleep(&patient));
    }
    discharge(&patient);
}

static void keepalive_pings_a_silent_stream(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 10000, 5000, 0);
    run_to(&patient, 60000);
    etcd__health_call_started(&patient.health, false);
    run_to(&patient, 69999);
    assert_int_equal(patient.pings, 0);
    run_to(&patient, 70000);
    assert_int_equal(patient.pings, 1);
    etcd__health_received(&patient.health);
    run_to(&patient, 75000);
    etcd__health_received(&patient.health);
    run_to(&patient, 84999);
    assert_int_equal(patient.pings, 1);
    run_to(&patient, 85000);
    assert_int_equal(patient.pings, 2);
    run_to(&patient, 89999);
    assert_true(patient.health.stalled);
    assert_int_equal(patient.deaths, 0);
    run_to(&patient, 90000);
    assert_int_equal(patient.deaths, 1);
    discharge(&patient);
}

static void keepalive_has_a_floor_and_patience(void **state)
{
    static const struct {
        int64_t time_ms;
        unsigned patience;
        int64_t first_ping_ms;
    } rows[] = {
        {1, 0, 10000}, {10000, 0, 10000}, {30000, 0, 30000}, {2000, 1, 20000}, {10000, 6, 640000}, {0, 0, -1},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(rows); i++) {
        struct patient patient;

        admit(&patient, rows[i].time_ms, 5000, rows[i].patience);
        etcd__health_call_started(&patient.health, false);
        run_to(&patient, 700000);
        assert_int_equal(patient.pings, rows[i].first_ping_ms < 0 ? 0 : 1);
        if (rows[i].first_ping_ms > 0)
            assert_int_equal(patient.last_ping_ms, rows[i].first_ping_ms);
        discharge(&patient);
    }
}

static void a_unary_call_probes_after_a_second(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 10000, 5000, 0);
    etcd__health_call_started(&patient.health, false); /* a stream was there before */
    run_to(&patient, 3000);
    etcd__health_call_started(&patient.health, true);
    run_to(&patient, 3999);
    assert_int_equal(patient.pings, 0);
    run_to(&patient, 4000);
    assert_int_equal(patient.pings, 1);
    run_to(&patient, 4999);
    assert_false(patient.health.stalled);
    run_to(&patient, 5000);
    assert_true(patient.health.stalled);
    run_to(&patient, 6000);
    etcd__health_received(&patient.health);
    assert_false(patient.health.stalled);
    etcd__health_call_ended(&patient.health, true);
    etcd__health_call_ended(&patient.health, false);
    assert_true(asleep(&patient));
    discharge(&patient);
}

/* etcd takes three pings within 5 s of one another for an attack. */
static void probes_keep_their_distance(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 0, 5000, 0);
    etcd__health_call_started(&patient.health, true);
    for (unsigned i = 0; i < 5; i++) {
        run_to(&patient, 1000 + 6000 * i);
        assert_int_equal(patient.pings, i + 1);
        run_to(&patient, 1010 + 6000 * i);
        etcd__health_received(&patient.health); /* alive, only slow with the answer */
        assert_int_equal(patient.pings, i + 1);
    }
    etcd__health_call_ended(&patient.health, true);
    discharge(&patient);
}

/* Without keepalive a stalled connection is not closed, and is watched again once it has recovered. */
static void stalls_are_watched_without_keepalive(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 0, 5000, 0);
    etcd__health_call_started(&patient.health, true);
    run_to(&patient, 2000);
    assert_true(patient.health.stalled);
    assert_true(asleep(&patient));
    run_to(&patient, 500000);
    assert_int_equal(patient.deaths, 0);
    etcd__health_received(&patient.health);
    assert_false(asleep(&patient));
    run_to(&patient, 501000);
    assert_int_equal(patient.pings, 2);
    run_to(&patient, 502000);
    assert_true(patient.health.stalled);
    discharge(&patient);
}

/* While bytes flow the timer is only looked at when it fires, which is once a second at most. */
static void bytes_move_the_time_away(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 10000, 5000, 0);
    etcd__health_call_started(&patient.health, true);
    for (int64_t ms = 0; ms < 20000; ms += 100) {
        run_to(&patient, ms);
        etcd__health_received(&patient.health);
    }
    assert_int_equal(patient.pings, 0);
    discharge(&patient);
}

/*
 * The process was stopped, not the peer: its answer lies in the socket, and descriptors come before timers.
 */
static void an_unanswered_ping_survives_idleness(void **state)
{
    struct patient patient;

    (void)state;
    admit(&patient, 10000, 5000, 0);
    etcd__health_call_started(&patient.health, false);
    run_to(&patient, 10000);
    assert_int_equal(patient.pings, 1);
    etcd__health_call_ended(&patient.health, false);
    run_to(&patient, 50000);
    assert_int_equal(patient.deaths, 0);
    etcd__health_received(&patient.health);
    etcd__health_call_started(&patient.health, false);
    run_to(&patient, 60000);
    assert_int_equal(patient.deaths, 0);
    assert_int_equal(patient.pings, 2);
    discharge(&patient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_without_calls),
        cmocka_unit_test(keepalive_pings_a_silent_stream),
        cmocka_unit_test(keepalive_has_a_floor_and_patience),
        cmocka_unit_test(a_unary_call_probes_after_a_second),
        cmocka_unit_test(probes_keep_their_distance),
        cmocka_unit_test(stalls_are_watched_without_keepalive),
        cmocka_unit_test(bytes_move_the_time_away),
        cmocka_unit_test(an_unanswered_ping_survives_idleness),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
