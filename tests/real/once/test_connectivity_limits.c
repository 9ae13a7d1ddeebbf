/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three members, one of them cut off from the others while clients still reach it, killed, or taken from the
 * list: what Go's client is tested for in connectivity/. Where calls take their time, that is the cluster's
 * election.
 */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/process.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MEMBERS = 3, TRIES = 5, CALL_MS = 1000, PATIENCE_MS = 10000, AT_ONCE_MS = 500 };

struct world {
    struct etcd_server *server;
    etcd_client *client;
    etcd_error err;
};

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static void expect(etcd_status status, etcd_status wanted, const etcd_error *err)
{
    if (status != wanted)
        fail_msg("%s instead of %s: %s", etcd_status_name(status), etcd_status_name(wanted),
                 status == ETCD_OK ? "" : err->message);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){
        .members = MEMBERS,
        .partitions = true,
        .args = (const char *const[]){"--heartbeat-interval=50", "--election-timeout=500", NULL},
    });
    assert_non_null(world->server);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_server_free(world->server);
    free(world);
    return 0;
}

static const char *at(const struct world *world, size_t member)
{
    return etcd_server_endpoint(world->server, member);
}

/* ---- members --------------------------------------------------------------------------------------- */

/* Whether the member says that it leads; with its id. */
static bool leads(struct world *world, size_t member, uint64_t *ret_id)
{
    etcd_member_status_result *status = NULL;
    etcd_client *client = test_client_open(at(world, member), NULL);
    bool leader = false;

    if (etcd_member_status(client, NULL, ETCD_ADMIN_OPTS(.timeout_ms = CALL_MS), &status, NULL) == ETCD_OK) {
        *ret_id = status->header.member_id;
        leader = status->leader_id == *ret_id;
    }
    etcd_member_status_result_free(status);
    etcd_client_free(client);
    return leader;
}

static size_t find_leader(struct world *world, uint64_t *ret_id)
{
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);

    while (test_now_ms() < until_ms) {
        for (size_t i = 0; i < MEMBERS; i++) {
            if (leads(world, i, ret_id))
                return i;
        }
    }
    fail_msg("nobody leads");
    return 0;
}

static size_t a_follower(struct world *world)
{
    uint64_t id;

    return (find_leader(world, &id) + 1) % MEMBERS;
}

static void cut_off(struct world *world, size_t member)
{
    assert_true(etcd_server_partition(world->server, member));
}

/* The others have a leader of their own: what is written through them is not lost in an election. */
static void await_others(struct world *world, size_t member)
{
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);
    uint64_t id;

    while (!leads(world, (member + 1) % MEMBERS, &id) && !leads(world, (member + 2) % MEMBERS, &id))
        assert_true(test_now_ms() < until_ms);
}

static void heal(struct world *world)
{
    assert_true(etcd_server_heal(world->server));
    for (size_t i = 0; i < MEMBERS; i++)
        assert_true(etcd_server_wait(world->server, i));
}

/* Once a member has noticed it says so to whoever asks. */
static void await_leaderless(struct world *world, size_t member)
{
    etcd_client *client = test_client_open(at(world, member), ETCD_CLIENT_OPTS(.require_leader = true));
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);
    etcd_status st = ETCD_OK;

    while (st != ETCD_E_NO_LEADER && test_now_ms() < until_ms)
        st = etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = CALL_MS), NULL, &world->err);
    expect(st, ETCD_E_NO_LEADER, &world->err);
    etcd_client_free(client);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

enum call { PUT, DELETE, TXN, GET, GET_SERIALIZABLE, CALLS };

static etcd_status make_call(etcd_client *client, enum call call, int64_t timeout_ms, etcd_error *err)
{
    etcd_txn *txn;
    etcd_status st;

    switch (call) {
    case PUT:
        return etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = timeout_ms), NULL,
                        err);
    case DELETE:
        return etcd_delete(client, etcd_cstr("k"), ETCD_DELETE_OPTS(.timeout_ms = timeout_ms), NULL, err);
    case TXN:
        txn = etcd_txn_new();
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("v"), NULL);
        st = etcd_txn_commit(client, txn, ETCD_TXN_OPTS(.timeout_ms = timeout_ms), NULL, err);
        etcd_txn_free(txn);
        return st;
    default:
        return etcd_get(client, etcd_cstr("k"),
                        ETCD_GET_OPTS(.timeout_ms = timeout_ms, .serializable = call == GET_SERIALIZABLE),
                        NULL, err);
    }
}

static etcd_client *open_all(struct world *world, const etcd_client_opts *opts)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(world->server), opts);

    ok(etcd_client_wait_ready(client, PATIENCE_MS, &world->err), &world->err);
    test_pump(client, 200); /* connected to each */
    return client;
}

/* Every call succeeds soon, whichever member it would have gone to; how many tries the worst one took. */
static int expect_calls_go_on(struct world *world, etcd_client *client)
{
    int worst = 0;

    for (int round = 0; round < MEMBERS; round++) {
        for (int call = 0; call < CALLS; call++) {
            int tries = 1;

            while (make_call(client, (enum call)call, CALL_MS, &world->err) != ETCD_OK && tries < TRIES)
                tries++;
            if (tries == TRIES)
                fail_msg("call %d: %s", call, world->err.message);
            worst = tries > worst ? tries : worst;
        }
    }
    return worst;
}

/* ---- cut off --------------------------------------------------------------------------------------- */

static void calls_with_one_cut_off(struct world *world, size_t member)
{
    etcd_client *client = open_all(world, NULL);
    int64_t begin_ms;

    cut_off(world, member);
    print_message("tries at most: %d\n", expect_calls_go_on(world, client));
    /* When it has noticed, nobody has to wait for it any more. */
    await_leaderless(world, member);
    begin_ms = test_now_ms();
    assert_int_equal(expect_calls_go_on(world, client), 1);
    assert_true(test_now_ms() - begin_ms < 1000 * ETCDC_TIME_SCALE);
    heal(world);
    etcd_client_free(client);
}

static void test_calls_with_a_follower_cut_off(void **state)
{
    calls_with_one_cut_off(*state, a_follower(*state));
}

static void test_calls_with_the_leader_cut_off(void **state)
{
    uint64_t id;

    calls_with_one_cut_off(*state, find_leader(*state, &id));
}

/* The client knows only the member that is cut off. */
static void test_alone_with_a_member_without_leader(void **state)
{
    struct world *world = *state;
    size_t member = a_follower(world);
    etcd_client *waits = test_client_open(at(world, member), NULL);
    etcd_client *requires = test_client_open(at(world, member), ETCD_CLIENT_OPTS(.require_leader = true));
    int64_t begin_ms;

    cut_off(world, member);
    await_leaderless(world, member);
    for (int call = PUT; call < CALLS; call++) {
        begin_ms = test_now_ms();
        expect(make_call(requires, (enum call)call, PATIENCE_MS, &world->err), ETCD_E_NO_LEADER, &world->err);
        assert_true(test_now_ms() - begin_ms < AT_ONCE_MS * ETCDC_TIME_SCALE);
        assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) == 0);
    }
    for (int call = PUT; call <= GET; call++) {
        begin_ms = test_now_ms();
        expect(make_call(waits, (enum call)call, AT_ONCE_MS, &world->err), ETCD_E_DEADLINE, &world->err);
        assert_true(test_now_ms() - begin_ms >= AT_ONCE_MS);
        assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) == 0); /* it was refused, not lost */
    }
    ok(make_call(waits, GET_SERIALIZABLE, CALL_MS, &world->err), &world->err);
    /* A list without that member is all it takes. */
    begin_ms = test_now_ms();
    ok(etcd_client_set_endpoints(
           waits, ETCD_LIST(at(world, (member + 1) % MEMBERS), at(world, (member + 2) % MEMBERS)),
           &world->err),
       &world->err);
    ok(make_call(waits, GET, PATIENCE_MS, &world->err), &world->err);
    ok(make_call(waits, PUT, PATIENCE_MS, &world->err), &world->err);
    assert_true(test_now_ms() - begin_ms < CALL_MS * ETCDC_TIME_SCALE);
    heal(world);
    ok(make_call(requires, PUT, PATIENCE_MS, &world->err), &world->err);
    etcd_client_free(waits);
    etcd_client_free(requires);
}

static void test_no_quorum(void **state)
{
    struct world *world = *state;
    size_t left = a_follower(world);
    etcd_client *waits = open_all(world, NULL),
                *requires = open_all(world, ETCD_CLIENT_OPTS(.require_leader = true));
    int64_t begin_ms;

    for (size_t i = 0; i < MEMBERS; i++) {
        if (i != left)
            assert_true(etcd_server_kill(world->server, i));
    }
    await_leaderless(world, left);
    begin_ms = test_now_ms();
    expect(make_call(requires, PUT, PATIENCE_MS, &world->err), ETCD_E_NO_LEADER, &world->err);
    assert_true(test_now_ms() - begin_ms < AT_ONCE_MS * ETCDC_TIME_SCALE);
    begin_ms = test_now_ms();
    expect(make_call(waits, PUT, CALL_MS, &world->err), ETCD_E_DEADLINE, &world->err);
    assert_true(test_now_ms() - begin_ms >= CALL_MS);
    for (size_t i = 0; i < MEMBERS; i++) {
        if (i != left)
            assert_true(etcd_server_restart(world->server, i));
    }
    ok(make_call(waits, PUT, PATIENCE_MS, &world->err), &world->err);
    heal(world);
    etcd_client_free(waits);
    etcd_client_free(requires);
}

/* ---- watches --------------------------------------------------------------------------------------- */

/* Writes 1, 2, 3 ... and sees them again, each once and in order. */
struct numbers {
    etcd_watch *watch;
    etcd_client *writer;
    int written, seen;
};

static void open_numbers(struct world *world, struct numbers *numbers, etcd_client *client, size_t writer)
{
    etcd_delete_result *before = NULL;

    memset(numbers, 0, sizeof(*numbers));
    numbers->writer = test_client_open(at(world, writer), NULL);
    ok(etcd_delete(numbers->writer, etcd_cstr("n"), NULL, &before, &world->err), &world->err);
    ok(etcd_watch_open(client, etcd_cstr("n"),
                       ETCD_WATCH_OPTS(.start_revision = etcd_delete_result_header(before)->revision + 1,
                                       .no_delete = true),
                       &numbers->watch, &world->err),
       &world->err);
    etcd_delete_result_free(before);
}

static void close_numbers(struct numbers *numbers)
{
    etcd_watch_close(numbers->watch);
    etcd_client_free(numbers->writer);
}

static void write_number(struct world *world, struct numbers *numbers)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", ++numbers->written);
    ok(etcd_put(numbers->writer, etcd_cstr("n"), etcd_cstr(text), ETCD_PUT_OPTS(.timeout_ms = PATIENCE_MS),
                NULL, &world->err),
       &world->err);
}

/* Whether all that was written has been seen within this time. */
static bool see_numbers(struct world *world, struct numbers *numbers, int64_t ms)
{
    int64_t until_ms = test_now_ms() + ms;
    etcd_events *events = NULL;

    while (numbers->seen < numbers->written && test_now_ms() < until_ms) {
        etcd_status st = etcd_watch_next(numbers->watch, 20, &events, &world->err);

        if (st == ETCD_E_DEADLINE)
            continue;
        ok(st, &world->err);
        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(atoi(etcd_events_at(events, i)->kv.value.data), ++numbers->seen);
        etcd_events_free(events);
    }
    return numbers->seen == numbers->written;
}

/* A watch never ends for want of a leader; it sees nothing, and then everything. */
static void test_a_watch_on_a_member_cut_off(void **state)
{
    struct world *world = *state;
    size_t leader, member;
    uint64_t id;

    leader = find_leader(world, &id);
    for (size_t i = 0; i < 2; i++) {
        struct numbers numbers;

        member = (leader + i) % MEMBERS; /* the leader, then a follower */
        world->client = test_client_open(at(world, member), NULL);
        open_numbers(world, &numbers, world->client, (member + 1) % MEMBERS);
        write_number(world, &numbers);
        assert_true(see_numbers(world, &numbers, PATIENCE_MS));
        cut_off(world, member);
        await_others(world, member);
        write_number(world, &numbers);
        assert_false(
            see_numbers(world, &numbers, 2500)); /* its stream has ended, and is not opened there again */
        heal(world);
        assert_true(see_numbers(world, &numbers, PATIENCE_MS));
        close_numbers(&numbers);
        etcd_client_free(world->client);
    }
}

static void test_a_watch_moves_away_from_a_member_cut_off(void **state)
{
    struct world *world = *state;
    size_t member = a_follower(world);
    struct numbers numbers;

    world->client = test_client_open(at(world, member), NULL);
    open_numbers(world, &numbers, world->client, (member + 1) % MEMBERS);
    write_number(world, &numbers);
    assert_true(see_numbers(world, &numbers, PATIENCE_MS));
    /* The others are known now, and nothing moves. */
    ok(etcd_client_set_endpoints(world->client, ETCD_LIST(at(world, 0), at(world, 1), at(world, 2)),
                                 &world->err),
       &world->err);
    cut_off(world, member);
    await_others(world, member);
    write_number(world, &numbers);
    assert_true(see_numbers(world, &numbers, PATIENCE_MS));
    heal(world);
    write_number(world, &numbers);
    assert_true(see_numbers(world, &numbers, PATIENCE_MS));
    close_numbers(&numbers);
    etcd_client_free(world->client);
}

/* ---- taken from the list --------------------------------------------------------------------------- */

static int connections_to(const struct world *world, size_t member)
{
    int port = atoi(strrchr(at(world, member), ':') + 1), count = 0;
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct sockaddr_in peer;
        socklen_t len = sizeof(peer);

        if (getpeername(atoi(entry->d_name), (struct sockaddr *)&peer, &len) == 0 &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == port)
            count++;
    }
    (void)closedir(dir);
    return count;
}

static void test_watch_and_keepalive_leave_a_removed_member(void **state)
{
    enum { TTL_S = 5, MOVE_MS = 1000 };
    struct world *world = *state;
    etcd_keepalive *keepalive = NULL;
    struct numbers numbers;
    etcd_lease lease;

    world->client = test_client_open(at(world, 0), NULL);
    open_numbers(world, &numbers, world->client, 2);
    ok(etcd_lease_grant(world->client, TTL_S, NULL, &lease, &world->err), &world->err);
    ok(etcd_keepalive_start(world->client, lease, NULL, &keepalive, &world->err), &world->err);
    for (int round = 0; round < 6; round++) {
        size_t from = (size_t)round % 2, to = 1 - from;
        int64_t begin_ms;

        for (int i = 0; i < 10; i++)
            write_number(world, &numbers);
        ok(etcd_client_set_endpoints(world->client, ETCD_LIST(at(world, to)), &world->err), &world->err);
        begin_ms = test_now_ms();
        for (int i = 0; i < 10; i++)
            write_number(world, &numbers);
        assert_true(see_numbers(world, &numbers, PATIENCE_MS));
        while (connections_to(world, from) > 0 && test_now_ms() - begin_ms < PATIENCE_MS)
            test_pump(world->client, 10);
        assert_true(test_now_ms() - begin_ms < MOVE_MS * ETCDC_TIME_SCALE);
        assert_int_equal(connections_to(world, from), 0);
        test_pump(world->client, TTL_S * 1000 / 3);
    }
    /* Past the time of the first grant: it was renewed over all those members. */
    assert_true(etcd_keepalive_remaining_ms(keepalive) > TTL_S * 1000 / 2);
    etcd_keepalive_close(keepalive);
    close_numbers(&numbers);
    etcd_client_free(world->client);
}

/* ---- killed ---------------------------------------------------------------------------------------- */

static void test_the_watched_member_is_killed(void **state)
{
    enum { GO_LIMIT_MS = 7000 };
    struct world *world = *state;
    struct numbers numbers;
    uint64_t id;
    size_t leader = find_leader(world, &id);

    world->client = test_client_open(at(world, leader), NULL);
    open_numbers(world, &numbers, world->client, (leader + 1) % MEMBERS);
    write_number(world, &numbers);
    assert_true(see_numbers(world, &numbers, PATIENCE_MS));
    ok(etcd_client_set_endpoints(world->client, ETCD_LIST(at(world, 0), at(world, 1), at(world, 2)),
                                 &world->err),
       &world->err);
    assert_true(etcd_server_kill(world->server, leader));
    await_others(world, leader);
    write_number(world, &numbers);
    assert_true(see_numbers(world, &numbers, GO_LIMIT_MS));
    assert_int_equal(numbers.seen, 2);
    /* Calls go on as if nothing had been. */
    assert_int_equal(expect_calls_go_on(world, world->client), 1);
    assert_true(etcd_server_restart(world->server, leader));
    heal(world);
    close_numbers(&numbers);
    etcd_client_free(world->client);
}

static void test_a_get_under_way_survives_a_restart(void **state)
{
    struct world *world = *state;

    for (int serializable = 0; serializable < 2; serializable++) {
        etcd_op *op = NULL;

        world->client = open_all(world, NULL);
        for (size_t i = 0; i < MEMBERS; i++)
            assert_true(etcd_server_kill(world->server, i));
        ok(etcd_get_async(world->client, etcd_cstr("k"),
                          ETCD_GET_OPTS(.serializable = serializable == 1, .timeout_ms = 3 * PATIENCE_MS),
                          NULL, NULL, &op, &world->err),
           &world->err);
        for (size_t i = 0; i < MEMBERS; i++)
            assert_true(etcd_server_restart(world->server, i));
        ok(etcd_op_wait(op, 3 * PATIENCE_MS, &world->err), &world->err);
        ok(etcd_op_status(op, &world->err), &world->err);
        etcd_op_free(op);
        etcd_client_free(world->client);
        heal(world);
    }
}

/* ---- the leader is preferred ----------------------------------------------------------------------- */

/* Which member answered. */
static uint64_t put_by(struct world *world, etcd_client *client)
{
    etcd_put_result *result = NULL;
    uint64_t id;

    ok(etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = PATIENCE_MS), &result,
                &world->err),
       &world->err);
    id = etcd_put_result_header(result)->member_id;
    etcd_put_result_free(result);
    return id;
}

static void expect_leader_is_found(struct world *world, etcd_client *client, uint64_t id)
{
    int64_t until_ms = test_deadline_ms(PATIENCE_MS);
    int in_a_row = 0;

    while (in_a_row < 10 && test_now_ms() < until_ms) {
        in_a_row = put_by(world, client) == id ? in_a_row + 1 : 0;
        test_pump(client, 20);
    }
    assert_int_equal(in_a_row, 10);
}

static void test_puts_follow_the_leader(void **state)
{
    struct world *world = *state;
    etcd_client *client = open_all(world, ETCD_CLIENT_OPTS(.prefer = ETCD_PREFER_LEADER));
    uint64_t id, next_id;
    size_t leader = find_leader(world, &id);

    expect_leader_is_found(world, client, id);
    assert_true(etcd_server_kill(world->server, leader));
    (void)find_leader(world, &next_id);
    assert_true(next_id != id);
    expect_leader_is_found(world, client, next_id);
    assert_true(etcd_server_restart(world->server, leader));
    heal(world);
    etcd_client_free(client);
}

static void test_versions(void **state)
{
    struct world *world = *state;
    etcd_client *client = open_all(world, NULL);
    char version[16];

    ok(etcd_client_server_version(client, 0, version, sizeof(version), &world->err), &world->err);
    assert_string_equal(version, etcd_server_version(world->server));
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_calls_with_a_follower_cut_off),
        cmocka_unit_test(test_calls_with_the_leader_cut_off),
        cmocka_unit_test(test_alone_with_a_member_without_leader),
        cmocka_unit_test(test_no_quorum),
        cmocka_unit_test(test_a_watch_on_a_member_cut_off),
        cmocka_unit_test(test_a_watch_moves_away_from_a_member_cut_off),
        cmocka_unit_test(test_watch_and_keepalive_leave_a_removed_member),
        cmocka_unit_test(test_the_watched_member_is_killed),
        cmocka_unit_test(test_a_get_under_way_survives_a_restart),
        cmocka_unit_test(test_puts_follow_the_leader),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
