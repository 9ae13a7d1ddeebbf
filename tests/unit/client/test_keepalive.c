/* SPDX-License-Identifier: Apache-2.0 */
/* When leases are renewed, when they are lost, and who is told. */
#include "client/keepalive.h"

#include "client/client.h"
#include "support/alloc_fail.h"
#include "support/lease_world.h"
#include "support/test.h"

#include <stdlib.h>

enum { PERMISSION_DENIED = 7 };

/* ---- the clock ------------------------------------------------------------------------------------- */

static void expiry_is_counted_from_sending(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive;

    (void)state;
    script.world.hosts[0].net->delay_ms = 300;
    keepalive = lease_world_keep(1, 5, &ends);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 5000);
    while (script.renewals == 0)
        lease_world_run(10);
    lease_world_run(299); /* the answer is on its way */
    assert_true(etcd_keepalive_remaining_ms(keepalive) < 5000);
    lease_world_run(20);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), LEASE_WORLD_TTL_S * 1000 - 640,
                    LEASE_WORLD_TTL_S * 1000 - 600);
    etcd_keepalive_close(keepalive);
    assert_int_equal(ends.count, 0);
}

/* ---- a leader that does not know that it is one no more ---------------------------------------------- */

/* Its renewals buy nothing while the newer term is remembered; a restored cluster begins with a low one. */
static void answers_of_an_older_term_are_not_believed(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive;
    unsigned renewals;

    (void)state;
    script.raft_term = 5;
    keepalive = lease_world_keep(1, LEASE_WORLD_TTL_S, &ends);
    lease_world_run(500);
    assert_int_equal(script.renewals, 1);
    script.raft_term = 2;
    lease_world_run(4400);
    assert_true(script.renewals >= 2);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 1, (LEASE_WORLD_TTL_S - 4) * 1000);
    lease_world_run(4000);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 8000, LEASE_WORLD_TTL_S * 1000);
    renewals = script.renewals;
    lease_world_run(20000); /* in peace again */
    assert_in_range(script.renewals - renewals, 4, 6);
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

static void renewed_three_times_a_ttl(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, LEASE_WORLD_TTL_S, &ends);

    (void)state;
    for (int i = 0; i < 60; i++) {
        lease_world_run(1000);
        assert_true(etcd_keepalive_remaining_ms(keepalive) >= LEASE_WORLD_TTL_S * 1000 * 2 / 3 - 10);
    }
    assert_in_range(script.renewals, 15, 17);
    assert_int_equal(script.opened, 1);
    etcd_keepalive_close(keepalive);
    lease_world_run(10);
    assert_int_equal(world_streams(&script.world.hosts[0]), 0);
}

/* Who knows when the lease was asked for need not have it renewed before a third of its TTL. */
static void an_age_is_counted(void **state)
{
    etcd_keepalive *keepalive = NULL;
    etcd_lease lease = {.id = 1, .ttl_s = LEASE_WORLD_TTL_S};
    etcd_error err;

    (void)state;
    assert_int_equal(
        etcd_keepalive_start(script.client, lease, ETCD_KEEPALIVE_OPTS(.elapsed_ms = 1000), &keepalive, &err),
        ETCD_OK);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 11000);
    lease_world_run(2000);
    assert_int_equal(script.renewals, 0);
    assert_int_equal(world_streams(&script.world.hosts[0]), 0);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 9000);
    lease_world_run(1100);
    assert_int_equal(script.renewals, 1);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 11000, 12000);
    etcd_keepalive_close(keepalive);
}

static void the_newest_ttl_counts(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, 2, &ends);

    (void)state;
    script.ttl_s = 300;
    lease_world_run(1000);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 298000, 300000);
    lease_world_run(90000);
    assert_int_equal(script.renewals, 1);
    lease_world_run(10000);
    assert_int_equal(script.renewals, 2);
    etcd_keepalive_close(keepalive);
}

static void enormous_ttls_do_not_overflow(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, ETCD_LEASE_TTL_MAX, &ends);

    (void)state;
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), ETCD_LEASE_TTL_MAX * 1000);
    script.ttl_s = INT64_MAX;
    lease_world_run(1000);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > ETCD_LEASE_TTL_MAX * 1000 - 2000);
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

static void a_suspended_machine_has_lost_the_lease(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, LEASE_WORLD_TTL_S, &ends);

    (void)state;
    lease_world_run(1000);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
    fake_pass(script.world.fake, 20000);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    lease_world_run(0);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    lease_world_run(60000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    etcd_keepalive_close(keepalive);
}

static void a_start_after_a_long_idle_time_counts_from_now(void **state)
{
    struct ends ends[2] = {{0}, {0}};
    etcd_keepalive *first = lease_world_keep(1, 600, &ends[0]);
    etcd_keepalive *second;

    (void)state;
    script.ttl_s = 600;
    lease_world_run(100);
    fake_pass(script.world.fake, 100000); /* nobody looked at the clock since */
    script.ttl_s = 3;
    second = lease_world_keep(2, 3, &ends[1]);
    lease_world_run(500);
    assert_int_equal(ends[1].count, 0);
    assert_in_range(etcd_keepalive_remaining_ms(second), 2000, 3000);
    etcd_keepalive_close(first);
    etcd_keepalive_close(second);
}

/* ---- loss ------------------------------------------------------------------------------------------ */

static bool unanswered(struct h2_server_stream *stream, int64_t id)
{
    (void)stream;
    (void)id;
    return false;
}

/* What went by between asking for the lease and now is not believed to be left. */
static void the_time_of_the_grant_is_taken_off(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = NULL;
    etcd_keepalive_opts opts = {
        .size = sizeof(opts), .on_end = lease_world_on_end, .user_data = &ends, .elapsed_ms = 4321};
    const etcd_lease lease = {.id = 1, .ttl_s = LEASE_WORLD_TTL_S};
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_keepalive_start(script.client, lease, &opts, &keepalive, NULL), ETCD_OK);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), LEASE_WORLD_TTL_S * 1000 - 4321);
    lease_world_run(100);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > LEASE_WORLD_TTL_S * 1000 - 200); /* renewed */
    etcd_keepalive_close(keepalive);

    script.on_renewal = unanswered;
    opts.elapsed_ms = LEASE_WORLD_TTL_S * 1000;
    assert_int_equal(etcd_keepalive_start(script.client, lease, &opts, &keepalive, NULL), ETCD_OK);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    lease_world_run(100);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    etcd_keepalive_close(keepalive);

    opts.elapsed_ms = -1;
    assert_int_equal(etcd_keepalive_start(script.client, lease, &opts, &keepalive, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "elapsed_ms is -1"));
}

static void an_answer_without_ttl_is_the_end(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(0x1f, LEASE_WORLD_TTL_S, &ends);

    (void)state;
    lease_world_run(1000);
    script.ttl_s = 0;
    lease_world_run(60000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    assert_non_null(strstr(ends.message, "000000000000001f"));
    assert_int_equal(script.renewals, 2);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 0);
    assert_int_equal(lease_world_streams(), 0);
    etcd_keepalive_close(keepalive);
}

static void silence_is_the_end_when_the_time_is_over(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, LEASE_WORLD_TTL_S, &ends);
    int64_t left_ms;

    (void)state;
    lease_world_run(1000);
    script.world.hosts[0].silent = true;
    left_ms = etcd_keepalive_remaining_ms(keepalive);
    lease_world_run(left_ms - 1);
    assert_int_equal(ends.count, 0);
    assert_int_equal(etcd_keepalive_remaining_ms(keepalive), 1);
    lease_world_run(1);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    assert_non_null(strstr(ends.message, "no answer in time"));
    script.world.hosts[0].silent = false;
    lease_world_run(30000);
    assert_int_equal(ends.count, 1);
    etcd_keepalive_close(keepalive);
}

static void nobody_there_is_the_end_too(void **state)
{
    struct ends ends = {.close = true};

    (void)state;
    script.world.hosts[0].net->answer = FAKE_REFUSE;
    (void)lease_world_keep(1, 5, &ends);
    lease_world_run(4999);
    assert_int_equal(ends.count, 0);
    lease_world_run(1);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
}

static void closing_the_client_is_told_once(void **state)
{
    struct ends ends[3] = {{0}, {.close = true}, {0}};
    etcd_keepalive *first = lease_world_keep(1, 10, &ends[0]);
    etcd_keepalive *third;

    (void)state;
    (void)lease_world_keep(2, 10, &ends[1]);
    lease_world_run(100);
    third = lease_world_keep(3, 10, &ends[2]); /* the engine does not know of it yet */
    assert_int_equal(etcd_client_close(script.client, NULL), ETCD_OK);
    lease_world_run(1000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ends[i].count, 1);
        assert_int_equal(ends[i].status, ETCD_E_CLOSED);
    }
    assert_int_equal(etcd_keepalive_remaining_ms(first), 0);
    etcd_keepalive_close(first);
    etcd_keepalive_close(third);
}

static void closing_a_keepalive_is_quiet(void **state)
{
    struct ends ends[2] = {{0}, {0}};
    etcd_keepalive *first = lease_world_keep(1, 10, &ends[0]);
    etcd_keepalive *second = lease_world_keep(1, 10, &ends[1]);

    (void)state;
    etcd_keepalive_close(first); /* before the engine knew of it */
    lease_world_run(30000);
    assert_true(etcd_keepalive_remaining_ms(second) > 0);
    assert_int_equal(ends[0].count + ends[1].count, 0);
    etcd_keepalive_close(second);
    lease_world_run(1000);
    assert_int_equal(ends[0].count + ends[1].count, 0);
    assert_int_equal(etcd__reactor_next_ms(&script.loop->reactor) < INT64_MAX &&
                         etcd__timer_armed(&script.client->lessor.timer),
                     0);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static bool refuse_special(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special)
        return true;
    h2_reply_status(stream, PERMISSION_DENIED, "etcdserver: permission denied");
    return false;
}

/* Three leases, one of them refused; each ends or lives. Returns how many allocations there were. */
static size_t play_without_memory(size_t fail_at)
{
    size_t used;

    struct ends ends[3] = {{0}, {0}, {0}};
    etcd_keepalive *keepalives[3] = {NULL, NULL, NULL};
    etcd_status statuses[3];

    script.special = 2;
    script.on_renewal = refuse_special;
    alloc_fail_at(fail_at);
    for (int64_t i = 0; i < 3; i++)
        statuses[i] = etcd_keepalive_start(
            script.client, (etcd_lease){.id = i + 1, .ttl_s = 12},
            ETCD_KEEPALIVE_OPTS(.on_end = lease_world_on_end, .user_data = &ends[i]), &keepalives[i], NULL);
    lease_world_run(5000);
    used = alloc_count();
    alloc_fail_at(0);
    lease_world_run(10000);
    for (size_t i = 0; i < 3; i++) {
        assert_true(ends[i].count <= 1);
        assert_true(statuses[i] == ETCD_OK || statuses[i] == ETCD_E_NO_MEMORY);
        assert_int_equal(keepalives[i] != NULL, statuses[i] == ETCD_OK);
        if (keepalives[i] != NULL && ends[i].count == 0)
            assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > 0);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_int_equal(lease_world_streams(), 0);
    return used;
}

static void every_allocation_may_fail(void **state)
{
    size_t used = 1;

    (void)state;
    for (size_t fail_at = 0; fail_at <= used; fail_at++) {
        size_t count;

        (void)lease_world_one_host(NULL);
        count = play_without_memory(fail_at);
        if (fail_at == 0)
            used = count;
        (void)lease_world_end(NULL);
    }
    assert_true(used > 10);
}

int main(void)
{
#define ON_ONE(test) cmocka_unit_test_setup_teardown(test, lease_world_one_host, lease_world_end)
    const struct CMUnitTest tests[] = {
        ON_ONE(expiry_is_counted_from_sending),
        ON_ONE(renewed_three_times_a_ttl),
        ON_ONE(answers_of_an_older_term_are_not_believed),
        ON_ONE(an_age_is_counted),
        ON_ONE(the_newest_ttl_counts),
        ON_ONE(enormous_ttls_do_not_overflow),
        ON_ONE(a_suspended_machine_has_lost_the_lease),
        ON_ONE(a_start_after_a_long_idle_time_counts_from_now),
        ON_ONE(the_time_of_the_grant_is_taken_off),
        ON_ONE(an_answer_without_ttl_is_the_end),
        ON_ONE(silence_is_the_end_when_the_time_is_over),
        ON_ONE(nobody_there_is_the_end_too),
        ON_ONE(closing_the_client_is_told_once),
        ON_ONE(closing_a_keepalive_is_quiet),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
