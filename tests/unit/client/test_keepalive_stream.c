/* SPDX-License-Identifier: Apache-2.0 */
/* How renewals get to servers: streams, silent and slow servers, refused leases, logins. */
#include "client/keepalive_stream.h"

#include "client/client.h"
#include "support/lease_world.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOT_FOUND = 5, PERMISSION_DENIED = 7, UNAVAILABLE = 14, UNAUTHENTICATED = 16 };

/* ---- streams --------------------------------------------------------------------------------------- */

static void few_leases_share_a_stream_many_share_four(void **state)
{
    enum { COUNT = 100 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    for (int64_t i = 0; i < 10; i++)
        keepalives[i] = lease_world_keep(i + 1, LEASE_WORLD_TTL_S, &ends[i]);
    lease_world_run(100);
    assert_int_equal(lease_world_streams(), 1);
    for (int64_t i = 10; i < COUNT; i++)
        keepalives[i] = lease_world_keep(i + 1, LEASE_WORLD_TTL_S, &ends[i]);
    lease_world_run(60000);
    assert_int_equal(lease_world_streams(), 4);
    assert_int_equal(script.opened, 4);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > LEASE_WORLD_TTL_S * 1000 / 2);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_int_equal(lease_world_streams(), 0);
}

static bool note_host(struct h2_server_stream *stream, int64_t id)
{
    (void)id;
    script.last_host = ((struct world_connection *)h2_server_user(stream->server))->host;
    return true;
}

static void wake_host(struct world_host *host)
{
    if (host == NULL)
        return;
    host->silent = false;
    for (size_t i = 0; i < host->count; i++)
        host->net->on_data(host->connections[i].peer); /* what came meanwhile */
}

/* Whoever has the stream stops, and the one that was stopped before goes on. */
static void a_silent_server_is_left_in_time(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, 6, &ends);
    struct world_host *silent = NULL;

    (void)state;
    script.on_renewal = note_host;
    script.ttl_s = 6;
    for (int i = 0; i < 10; i++) {
        lease_world_run(500);
        wake_host(silent);
        silent = script.last_host;
        silent->silent = true;
        for (int j = 0; j < 100; j++) {
            lease_world_run(100);
            assert_true(etcd_keepalive_remaining_ms(keepalive) > 0);
        }
        assert_ptr_not_equal(script.last_host, silent);
    }
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

static bool slowly(struct h2_server_stream *stream, int64_t id)
{
    (void)stream;
    (void)id;
    return false;
}

static void a_server_that_does_not_answer_is_not_flooded(void **state)
{
    enum { COUNT = 20 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    script.on_renewal = slowly;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = lease_world_keep(i + 1, 60, &ends[i]);
    lease_world_run(55000);
    /* 1, 2, 3 ... seconds between them. */
    assert_in_range(script.opened, 5, 12);
    assert_in_range(script.renewals, 5 * COUNT, 12 * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, 0);
        etcd_keepalive_close(keepalives[i]);
    }
}

/* Answers one lease in 50 ms, one after the other. */
static void answer_next(void *user)
{
    struct h2_server_stream *stream = user;

    lease_world_answer(stream, ++script.special, script.ttl_s);
    world_push(h2_server_user(stream->server));
    if (script.special < 100)
        fake_at(script.world.fake, fake_now(script.world.fake) + 50, answer_next, stream);
}

static bool one_by_one(struct h2_server_stream *stream, int64_t id)
{
    if (id == 1)
        fake_at(script.world.fake, fake_now(script.world.fake) + 50, answer_next, stream);
    return false;
}

static void a_server_that_takes_its_time_is_not_left(void **state)
{
    enum { COUNT = 100 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];
    int64_t i;

    (void)state;
    for (i = 0; i < ETCD__LEASE_STREAM_CROWDED; i++)
        keepalives[i] = lease_world_keep(i + 1, 60, &ends[i]);
    script.ttl_s = 600;
    script.on_renewal = one_by_one;
    lease_world_run(3000); /* 25 leases take longer than the limit of one */
    assert_int_equal(script.opened, 1);
    assert_int_equal(script.renewals, ETCD__LEASE_STREAM_CROWDED);
    for (i = 0; i < ETCD__LEASE_STREAM_CROWDED; i++)
        etcd_keepalive_close(keepalives[i]);
    script.special = COUNT;
}

static void a_server_that_ends_streams_is_not_asked_all_the_time(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, 60, &ends);

    (void)state;
    script.refusal = "etcdserver: no leader";
    script.refusal_code = UNAVAILABLE;
    lease_world_run(20000);
    assert_in_range(script.opened, 15, 40);
    assert_int_equal(ends.count, 0);
    script.refusal = NULL;
    lease_world_run(2000);
    assert_true(etcd_keepalive_remaining_ms(keepalive) > 9000);
    etcd_keepalive_close(keepalive);
}

static bool nonsense(struct h2_server_stream *stream, int64_t id)
{
    if (script.stage++ == 0) {
        h2_reply_message(stream, "\xff\xff\xff", 3);
        return false;
    }
    lease_world_answer(stream, id + 1000, 5); /* of nobody */
    lease_world_answer(stream, id, script.ttl_s);
    lease_world_answer(stream, id, 1); /* to nothing */
    return false;
}

static void nonsense_is_not_believed(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, 60, &ends);

    (void)state;
    script.on_renewal = nonsense;
    lease_world_run(2000);
    assert_int_equal(script.opened, 2);
    assert_in_range(etcd_keepalive_remaining_ms(keepalive), 9000, 12000);
    assert_int_equal(ends.count, 0);
    etcd_keepalive_close(keepalive);
}

/* The answer to a renewal of the keep-alive before must not count for the one after. */
static bool late_for_special(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special || script.stage++ != 0)
        return true;
    lease_world_answer(stream, id, 0); /* as it was then */
    return false;
}

static void an_answer_to_those_who_left_says_nothing(void **state)
{
    struct ends ends[3] = {{0}, {0}, {0}};
    etcd_keepalive *other = lease_world_keep(1, 60, &ends[0]);
    etcd_keepalive *first, *second;

    (void)state;
    lease_world_run(1000);
    script.world.hosts[0].net->delay_ms = 100;
    script.special = 2;
    script.on_renewal = late_for_special;
    first = lease_world_keep(2, 60, &ends[1]);
    lease_world_run(50);
    etcd_keepalive_close(first);
    second = lease_world_keep(2, 60, &ends[2]);
    lease_world_run(150);
    assert_int_equal(ends[2].count, 0);
    assert_in_range(etcd_keepalive_remaining_ms(second), 59800, 60000);
    lease_world_run(250);
    assert_int_equal(script.opened, 1);
    assert_in_range(etcd_keepalive_remaining_ms(second), 11700, 11800);
    etcd_keepalive_close(other);
    etcd_keepalive_close(second);
    assert_int_equal(ends[2].count, 0);
}

/* ---- refused leases -------------------------------------------------------------------------------- */

static bool refuse_special(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special)
        return true;
    h2_reply_status(stream, PERMISSION_DENIED, "etcdserver: permission denied");
    return false;
}

static void one_refused_lease_ends_alone(void **state)
{
    enum { COUNT = 10 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    script.special = 5;
    script.on_renewal = refuse_special;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = lease_world_keep(i + 1, LEASE_WORLD_TTL_S, &ends[i]);
    lease_world_run(60000);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, i == 4);
        if (i == 4)
            assert_int_equal(ends[i].status, ETCD_E_DENIED);
        else
            assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > LEASE_WORLD_TTL_S * 1000 / 2);
    }
    assert_int_equal(script.opened, 3);
    assert_int_equal(lease_world_streams(), 1);
    for (size_t i = 0; i < COUNT; i++)
        etcd_keepalive_close(keepalives[i]);
}

static bool refuse_odd(struct h2_server_stream *stream, int64_t id)
{
    if (id % 2 == 0)
        return true;
    h2_reply_status(stream, PERMISSION_DENIED, "etcdserver: permission denied");
    return false;
}

static void many_refused_leases_cost_in_proportion(void **state)
{
    enum { COUNT = 400 };
    static struct ends ends[COUNT];
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    memset(ends, 0, sizeof(ends));
    script.on_renewal = refuse_odd;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = lease_world_keep(i + 1, 60, &ends[i]);
    script.ttl_s = 600;
    lease_world_run(20000);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, i % 2 == 0);
        etcd_keepalive_close(keepalives[i]);
    }
    assert_true(script.renewals <= 8 * COUNT);
}

static bool refuse_special_once(struct h2_server_stream *stream, int64_t id)
{
    if (id != script.special || script.stage++ > 0)
        return true;
    h2_reply_status(stream, NOT_FOUND, "etcdserver: requested lease not found");
    return false;
}

static void a_lease_that_was_suspected_wrongly_goes_on(void **state)
{
    enum { COUNT = 5 };
    struct ends ends[COUNT] = {{0}};
    etcd_keepalive *keepalives[COUNT];

    (void)state;
    script.special = 2;
    script.on_renewal = refuse_special_once;
    for (int64_t i = 0; i < COUNT; i++)
        keepalives[i] = lease_world_keep(i + 1, LEASE_WORLD_TTL_S, &ends[i]);
    lease_world_run(30000);
    assert_int_equal(lease_world_streams(), 1);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].count, 0);
        assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > LEASE_WORLD_TTL_S * 1000 / 2);
        etcd_keepalive_close(keepalives[i]);
    }
}

static void a_single_lease_that_is_not_found_is_lost(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(7, LEASE_WORLD_TTL_S, &ends);

    (void)state;
    script.refusal = NULL;
    script.special = 7;
    script.on_renewal = refuse_special_once;
    lease_world_run(100);
    assert_int_equal(ends.count, 0); /* once is not enough */
    script.on_renewal = refuse_special;
    lease_world_run(10000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_DENIED);
    etcd_keepalive_close(keepalive);
}

/* ---- login ----------------------------------------------------------------------------------------- */

static bool refuse_old_tokens(struct h2_server_stream *stream, int64_t id)
{
    char wanted[32];

    (void)id;
    (void)snprintf(wanted, sizeof(wanted), "token-%d", script.stage);
    if (strcmp(h2_server_field(stream, "token"), wanted) == 0)
        return true;
    h2_reply_status(stream, UNAUTHENTICATED, "etcdserver: invalid auth token");
    return false;
}

static void a_rejected_token_costs_one_login(void **state)
{
    struct ends ends[3] = {{0}, {0}, {0}};
    etcd_keepalive *keepalives[3];

    (void)state;
    script.stage = 1;
    script.on_renewal = refuse_old_tokens;
    for (int64_t i = 0; i < 3; i++)
        keepalives[i] = lease_world_keep(i + 1, LEASE_WORLD_TTL_S, &ends[i]);
    lease_world_run(1000);
    assert_int_equal(script.logins, 1);
    script.stage = 2;
    lease_world_run(30000);
    assert_int_equal(script.logins, 2);
    assert_int_equal(script.opened, 2);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ends[i].count, 0);
        assert_true(etcd_keepalive_remaining_ms(keepalives[i]) > LEASE_WORLD_TTL_S * 1000 / 2);
        etcd_keepalive_close(keepalives[i]);
    }
}

static void a_token_that_is_never_accepted_makes_no_hot_loop(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive = lease_world_keep(1, 30, &ends);

    (void)state;
    script.stage = 1000;
    script.on_renewal = refuse_old_tokens;
    lease_world_run(29000);
    assert_int_equal(ends.count, 0);
    assert_in_range(script.logins, 10, 60);
    lease_world_run(1000);
    assert_int_equal(ends.status, ETCD_E_LEASE_LOST);
    assert_non_null(strstr(ends.message, "invalid auth token"));
    etcd_keepalive_close(keepalive);
}

static void a_refused_login_is_the_end(void **state)
{
    struct ends ends = {0};
    etcd_keepalive *keepalive;

    (void)state;
    script.login = "etcdserver: authentication failed, invalid user ID or password";
    keepalive = lease_world_keep(1, 30, &ends);
    lease_world_run(2000);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.status, ETCD_E_AUTH);
    assert_int_equal(script.logins, 1);
    etcd_keepalive_close(keepalive);
}

static void credentials_that_are_missing_are_the_end(void **state)
{
    struct ends ends[2] = {{0}, {0}};
    etcd_keepalive *first = lease_world_keep(1, 30, &ends[0]);
    etcd_keepalive *second = lease_world_keep(2, 30, &ends[1]);

    (void)state;
    script.refusal = "etcdserver: user name is empty";
    script.refusal_code = 3;
    lease_world_run(2000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ends[i].count, 1);
        assert_int_equal(ends[i].status, ETCD_E_AUTH);
    }
    etcd_keepalive_close(first);
    etcd_keepalive_close(second);
}

int main(void)
{
#define ON_ONE(test) cmocka_unit_test_setup_teardown(test, lease_world_one_host, lease_world_end)
#define ON_THREE(test) cmocka_unit_test_setup_teardown(test, lease_world_three_hosts, lease_world_end)
#define AS_USER(test) cmocka_unit_test_setup_teardown(test, lease_world_with_user, lease_world_end)
    const struct CMUnitTest tests[] = {
        ON_ONE(few_leases_share_a_stream_many_share_four),
        ON_THREE(a_silent_server_is_left_in_time),
        ON_ONE(a_server_that_does_not_answer_is_not_flooded),
        ON_ONE(a_server_that_takes_its_time_is_not_left),
        ON_ONE(a_server_that_ends_streams_is_not_asked_all_the_time),
        ON_ONE(nonsense_is_not_believed),
        ON_ONE(an_answer_to_those_who_left_says_nothing),
        ON_ONE(one_refused_lease_ends_alone),
        ON_ONE(many_refused_leases_cost_in_proportion),
        ON_ONE(a_lease_that_was_suspected_wrongly_goes_on),
        ON_ONE(a_single_lease_that_is_not_found_is_lost),
        AS_USER(a_rejected_token_costs_one_login),
        AS_USER(a_token_that_is_never_accepted_makes_no_hot_loop),
        AS_USER(a_refused_login_is_the_end),
        ON_ONE(credentials_that_are_missing_are_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
