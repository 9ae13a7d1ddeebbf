/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three members, and each in turn stopped with SIGSTOP: its ports stay open and answer nothing, which is the
 * hardest to notice. Reads and new calls go on, watches move without a loss, a lease survives, nothing hangs.
 */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CALLS_LIMIT_MS = 3000,  /* from the stop until calls go on */
    WATCH_LIMIT_MS = 16000, /* from the stop until a watch is on another member */
    LEASE_TTL_S = 10,
    WRITE_EVERY_MS = 100,
};

struct world {
    struct etcd_server *server;
    etcd_client *client;
    etcd_watch *watch;
    etcd_keepalive *keepalive;
    etcd_lease lease;
    int lease_ends;
    int written, seen;
};

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static void on_lease_end(etcd_keepalive *keepalive, etcd_status status, const etcd_error *err,
                         void *user_data)
{
    (void)keepalive;
    (void)status;
    (void)err;
    ((struct world *)user_data)->lease_ends++;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    etcd_get_result *now = NULL;
    int64_t start;
    etcd_error err;

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){
        .version = test_version(),
        .members = 3,
        /* Elections are the cluster's time, not the client's: short ones, since the leader is stopped too. */
        .args = (const char *const[]){"--heartbeat-interval=50", "--election-timeout=500", NULL},
    });
    assert_non_null(world->server);
    world->client = test_client_open(etcd_server_endpoints(world->server), NULL);
    ok(etcd_get(world->client, etcd_cstr("n"), NULL, &now, &err), &err);
    start = etcd_get_result_header(now)->revision + 1;
    etcd_get_result_free(now);
    ok(etcd_watch_open(world->client, etcd_cstr("n"), ETCD_WATCH_OPTS(.start_revision = start), &world->watch,
                       &err),
       &err);
    ok(etcd_lease_grant(world->client, LEASE_TTL_S, NULL, &world->lease, &err), &err);
    ok(etcd_keepalive_start(world->client, world->lease,
                            ETCD_KEEPALIVE_OPTS(.on_end = on_lease_end, .user_data = world),
                            &world->keepalive, &err),
       &err);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_keepalive_close(world->keepalive);
    etcd_watch_close(world->watch);
    etcd_client_free(world->client);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

/* A client of the members other than one, to write with. */
static etcd_client *open_writer(struct world *world, size_t stopped)
{
    char endpoints[256] = "";

    for (size_t i = 0; i < etcd_server_members(world->server); i++) {
        if (i == stopped)
            continue;
        (void)strcat(endpoints, endpoints[0] == '\0' ? "" : ",");
        (void)strcat(endpoints, etcd_server_endpoint(world->server, i));
    }
    return test_client_open(endpoints, NULL);
}

/* Writes the next number; while a leader is being elected, as often as it takes. */
static void write_number(struct world *world, etcd_client *writer)
{
    char value[16];
    etcd_error err;

    (void)snprintf(value, sizeof(value), "%d", world->written + 1);
    ok(etcd_put(writer, etcd_cstr("n"), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = 10000), NULL, &err),
       &err);
    world->written++;
}

/* Takes what the watch has: each number once, in order. */
static void take_events(struct world *world)
{
    etcd_events *events = NULL;
    etcd_error err;
    etcd_status st;

    while ((st = etcd_watch_next(world->watch, 0, &events, &err)) == ETCD_OK) {
        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(atoi(etcd_events_at(events, i)->kv.value.data), ++world->seen);
        etcd_events_free(events);
    }
    if (st != ETCD_E_DEADLINE)
        fail_msg("the watch ended: %s", err.message);
}

static void read_within(struct world *world, int64_t limit_ms)
{
    int64_t start_ms = test_now_ms();
    etcd_get_result *result = NULL;
    etcd_error err;

    ok(etcd_get(world->client, etcd_cstr("n"), NULL, &result, &err), &err);
    etcd_get_result_free(result);
    assert_true(test_now_ms() - start_ms <= limit_ms * ETCDC_TIME_SCALE);
}

static void expect_calls_go_on(struct world *world, int64_t stopped_ms)
{
    /* Reads from the first moment on: none takes longer than the limit. */
    while (test_now_ms() - stopped_ms < CALLS_LIMIT_MS)
        read_within(world, CALLS_LIMIT_MS);
    for (int i = 0; i < 12; i++) {
        int64_t start_ms = test_now_ms();
        etcd_error err;

        ok(etcd_put(world->client, etcd_cstr("other"), etcd_cstr("x"), NULL, NULL, &err), &err);
        assert_true(test_now_ms() - start_ms <= 1000 * ETCDC_TIME_SCALE);
    }
}

static void expect_watch_moves(struct world *world, etcd_client *writer, int64_t stopped_ms)
{
    int before = world->written;

    while (test_now_ms() - stopped_ms < WATCH_LIMIT_MS) {
        write_number(world, writer);
        test_pump(world->client, WRITE_EVERY_MS);
        take_events(world);
        if (world->seen == world->written && test_now_ms() - stopped_ms > CALLS_LIMIT_MS + 1000)
            break; /* it is on a member that answers */
    }
    assert_true(world->seen > before);
}

static void expect_nothing_lost(struct world *world)
{
    int64_t deadline_ms = test_deadline_ms(10000);

    while (world->seen < world->written && test_now_ms() < deadline_ms) {
        test_pump(world->client, 20);
        take_events(world);
    }
    assert_int_equal(world->seen, world->written);
}

static void expect_lease_lives(struct world *world)
{
    etcd_ttl_result *ttl = NULL;
    etcd_error err;

    assert_int_equal(world->lease_ends, 0);
    assert_true(etcd_keepalive_remaining_ms(world->keepalive) > 0);
    ok(etcd_lease_time_to_live(world->client, world->lease.id, NULL, &ttl, &err), &err);
    assert_true(etcd_ttl_result_ttl_s(ttl) > 0);
    etcd_ttl_result_free(ttl);
}

static void stop_member(struct world *world, size_t member)
{
    etcd_client *writer = open_writer(world, member);
    int64_t stopped_ms;

    write_number(world, writer);
    expect_nothing_lost(world);
    assert_true(etcd_server_pause(world->server, member));
    stopped_ms = test_now_ms();
    expect_calls_go_on(world, stopped_ms);
    expect_watch_moves(world, writer, stopped_ms);
    expect_lease_lives(world);
    assert_true(etcd_server_resume(world->server, member));
    assert_true(etcd_server_wait(world->server, member));
    write_number(world, writer);
    expect_nothing_lost(world);
    etcd_client_free(writer);
}

/* "endpoint, id, version, size, is leader, ..." */
static bool is_leader(struct world *world, size_t member)
{
    char line[512] = "";
    const char *at = line;

    assert_int_equal(etcd_server_ctl(world->server, member, (const char *const[]){"endpoint", "status", NULL},
                                     line, sizeof(line)),
                     0);
    for (int field = 0; field < 4; field++) {
        at = strchr(at, ',');
        assert_non_null(at);
        at++;
    }
    return strncmp(at, " true", 5) == 0;
}

/*
 * Before 3.5 a follower that has asked a leader for its read index waits for the answer to its own time limit
 * of 7 s, and all reads behind that one with it: when the leader is stopped, how soon reads go on is not the
 * client's to decide.
 */
static bool reads_need_this_member(struct world *world, size_t member)
{
    return !etcd_server_at_least(world->server, 3, 5, 0) && is_leader(world, member);
}

static void test_each_member_stopped(void **state)
{
    struct world *world = *state;
    size_t stopped = 0;

    for (size_t member = 0; member < etcd_server_members(world->server); member++) {
        if (reads_need_this_member(world, member))
            continue;
        stop_member(world, member);
        stopped++;
    }
    assert_true(stopped >= 2);
}

/* Every kind of call ends by its deadline when no member answers. */
static void test_nothing_hangs(void **state)
{
    enum { LIMIT_MS = 1000, SLACK_MS = 250 };
    struct world *world = *state;
    etcd_txn *txn = etcd_txn_new();
    etcd_error err;

    for (size_t member = 0; member < 3; member++)
        assert_true(etcd_server_pause(world->server, member));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("t"), etcd_cstr("v"), NULL);
    for (int call = 0; call < 8; call++) {
        int64_t start_ms = test_now_ms();
        etcd_status st = ETCD_OK;

        switch (call) {
        case 0:
            st = etcd_put(world->client, etcd_cstr("k"), etcd_cstr("v"),
                          ETCD_PUT_OPTS(.timeout_ms = LIMIT_MS), NULL, &err);
            break;
        case 1:
            st = etcd_get(world->client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = LIMIT_MS), NULL, &err);
            break;
        case 2:
            st = etcd_delete(world->client, etcd_cstr("k"), ETCD_DELETE_OPTS(.timeout_ms = LIMIT_MS), NULL,
                             &err);
            break;
        case 3:
            st = etcd_txn_commit(world->client, txn, ETCD_TXN_OPTS(.timeout_ms = LIMIT_MS), NULL, &err);
            break;
        case 4:
            st = etcd_compact(world->client, 1, ETCD_COMPACT_OPTS(.timeout_ms = LIMIT_MS), &err);
            break;
        case 5:
            st = etcd_lease_grant(world->client, 5, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS), NULL, &err);
            break;
        case 6:
            st = etcd_lease_revoke(world->client, 77, ETCD_LEASE_OPTS(.timeout_ms = LIMIT_MS), &err);
            break;
        default:
            st = etcd_client_sync(world->client, LIMIT_MS, &err);
            break;
        }
        assert_true(test_now_ms() - start_ms <= LIMIT_MS + SLACK_MS * ETCDC_TIME_SCALE);
        assert_true(st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
        if (call == 0)
            assert_true((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    }
    etcd_txn_free(txn);
    for (size_t member = 0; member < 3; member++)
        assert_true(etcd_server_resume(world->server, member));
    for (size_t member = 0; member < 3; member++)
        assert_true(etcd_server_wait(world->server, member));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_member_stopped),
        cmocka_unit_test(test_nothing_hangs),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
