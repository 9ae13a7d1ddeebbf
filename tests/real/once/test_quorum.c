/* SPDX-License-Identifier: Apache-2.0 */
/* What leases, locks and watches make of a cluster without a quorum, and of a member that was away long. */
#include "support/client.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { TTL_S = 8, AWAY_MS = 4000, WRITES = 7000, AT_ONCE = 500 };

static int set_up(void **state)
{
    static const char *const args[] = {"--snapshot-count=100", NULL};
    struct watching *watching = calloc(1, sizeof(*watching));

    assert_non_null(watching);
    watching->server = etcd_server_start(&(struct etcd_server_options){.members = 3, .args = args});
    assert_non_null(watching->server);
    watching->client = test_client_open(etcd_server_endpoints(watching->server), NULL);
    *state = watching;
    return 0;
}

struct ends {
    atomic_int count;
    etcd_status status;
};

static void on_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err, void *user_data)
{
    struct ends *ends = user_data;

    (void)keepalive;
    (void)err;
    ends->status = status;
    atomic_fetch_add(&ends->count, 1);
}

/* Two of three do not answer for a while that is shorter than the TTL: nothing is lost. */
static void test_a_lease_outlives_a_lost_quorum(void **state)
{
    struct watching *watching = *state;
    etcd_keepalive *keepalive = NULL;
    struct ends ends = {.status = ETCD_OK};
    int64_t deadline;
    etcd_lease lease;
    etcd_error err;

    watch_ok(etcd_lease_grant(watching->client, TTL_S, NULL, &lease, &err), &err);
    watch_ok(etcd_keepalive_start(watching->client, lease,
                                  ETCD_KEEPALIVE_OPTS(.on_end = on_end, .user_data = &ends), &keepalive,
                                  &err),
             &err);
    test_pump(watching->client, 500);
    assert_true(etcd_server_pause(watching->server, 0) && etcd_server_pause(watching->server, 1));
    test_pump(watching->client, AWAY_MS);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
    assert_true(etcd_server_resume(watching->server, 0) && etcd_server_resume(watching->server, 1));
    deadline = test_deadline_ms(10000);
    while (etcd_keepalive_remaining_ms(keepalive) <= TTL_S * 1000 * 2 / 3 && test_poll_again(deadline))
        test_pump(watching->client, 20);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > TTL_S * 1000 * 2 / 3);
    assert_int_equal(atomic_load(&ends.count), 0);
    etcd_keepalive_close(keepalive);
    watch_ok(etcd_lease_revoke(watching->client, lease.id, ETCD_LEASE_OPTS(.timeout_ms = 10000), &err), &err);
}

/* Longer than the TTL it is lost, which is told once, in time. Locks that are asked for meanwhile end in
 * time. */
static void test_without_a_quorum_everything_ends_in_time(void **state)
{
    struct watching *watching = *state;
    etcd_lock *held = NULL, *lock = NULL;
    int64_t begun_ms;
    etcd_error err;
    etcd_status st;

    watch_ok(etcd_lock_acquire(watching->client, etcd_cstr("quorum"),
                               ETCD_LOCK_OPTS(.ttl_s = 3, .timeout_ms = 10000), &held, &err),
             &err);
    assert_true(etcd_server_pause(watching->server, 0) && etcd_server_pause(watching->server, 1));
    begun_ms = test_now_ms();
    st = etcd_lock_acquire(watching->client, etcd_cstr("another"),
                           ETCD_LOCK_OPTS(.ttl_s = 3, .timeout_ms = 1000), &lock, &err);
    assert_true(st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
    assert_true(test_now_ms() - begun_ms < 3000 * ETCDC_TIME_SCALE);
    while (etcd_lock_held(held))
        test_pump(watching->client, 10);
    assert_true(test_now_ms() - begun_ms < 4000 * ETCDC_TIME_SCALE);
    assert_true(etcd_server_resume(watching->server, 0) && etcd_server_resume(watching->server, 1));
    for (size_t i = 0; i < 3; i++)
        assert_true(etcd_server_wait(watching->server, i));
    (void)etcd_lock_release(held, 5000, &err);
    watch_ok(etcd_lock_acquire(watching->client, etcd_cstr("quorum"),
                               ETCD_LOCK_OPTS(.ttl_s = 3, .timeout_ms = 20000), &lock, &err),
             &err);
    watch_ok(etcd_lock_release(lock, 10000, &err), &err);
}

/* One more revision does no harm, and an election may be under way. */
static void write_many(etcd_client *client)
{
    static etcd_op *ops[AT_ONCE];
    etcd_error err;

    for (int i = 0; i < WRITES; i += AT_ONCE) {
        for (int j = 0; j < AT_ONCE; j++)
            watch_ok(etcd_put_async(client, etcd_cstr("behind"), etcd_cstr("x"),
                                    ETCD_PUT_OPTS(.timeout_ms = 60000, .idempotent = true), NULL, NULL,
                                    &ops[j], &err),
                     &err);
        for (int j = 0; j < AT_ONCE; j++) {
            watch_ok(etcd_op_wait(ops[j], 60000, &err), &err);
            watch_ok(etcd_op_status(ops[j], &err), &err);
            etcd_op_free(ops[j]);
        }
    }
}

static bool log_has(const char *path, const char *text)
{
    FILE *in = fopen(path, "re");
    char line[4096];
    bool found = false;

    while (in != NULL && !found && fgets(line, sizeof(line), in) != NULL)
        found = strstr(line, text) != NULL;
    if (in != NULL)
        (void)fclose(in);
    return found;
}

/*
 * A member was away for so long that it gets a snapshot instead of the log: a watch through it brings every
 * event all the same, from the beginning, and one that was there before goes on where it was.
 */
static void test_a_member_that_was_restored_from_a_snapshot(void **state)
{
    struct watching *watching = *state;
    etcd_client *client = test_client_open(etcd_server_endpoint(watching->server, 2), NULL);
    int64_t first = watch_revision(watching->client) + 1, last;
    etcd_watch *before = watch_open(client, "behind", ETCD_WATCH_OPTS(.start_revision = first));
    etcd_watch *after;

    test_pump(client, 100);
    assert_true(etcd_server_kill(watching->server, 2));
    write_many(watching->client);
    last = watch_revision(watching->client);
    assert_true(etcd_server_restart(watching->server, 2));
    assert_true(etcd_server_wait(watching->server, 2));
    after = watch_open(client, "behind", ETCD_WATCH_OPTS(.start_revision = first));
    watch_expect_each(after, first, last);
    watch_expect_each(before, first, last);
    assert_true(log_has(etcd_server_log(watching->server, 2), "applied snapshot"));
    etcd_watch_close(before);
    etcd_watch_close(after);
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lease_outlives_a_lost_quorum),
        cmocka_unit_test(test_without_a_quorum_everything_ends_in_time),
        cmocka_unit_test(test_a_member_that_was_restored_from_a_snapshot),
    };

    return cmocka_run_group_tests(tests, set_up, watching_tear_down);
}
