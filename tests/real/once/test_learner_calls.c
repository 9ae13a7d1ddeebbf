/* SPDX-License-Identifier: Apache-2.0 */
/* A member without a vote: what it answers, and that nothing is lost when it is one of several endpoints. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/process.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 20000, CALLS = 20, REFUSED_MS = 300 };

struct world {
    struct etcd_server *server;
    size_t learner;
    etcd_client *voter;
    etcd_error err;
};

static void check(struct world *world, etcd_status st, etcd_status wanted)
{
    if (st != wanted)
        fail_msg("%s instead of %s: %s", etcd_status_name(st), etcd_status_name(wanted),
                 st == ETCD_OK ? "" : world->err.message);
}

static int set_up(void **state)
{
    static const char *const args[] = {"--strict-reconfig-check=false", NULL};
    struct world *world = calloc(1, sizeof(*world));
    const char *urls[2] = {NULL, NULL};

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){.members = 1, .args = args});
    assert_non_null(world->server);
    world->voter = test_client_open(etcd_server_endpoint(world->server, 0), NULL);
    world->learner = etcd_server_prepare(world->server);
    urls[0] = etcd_server_peer_url(world->server, world->learner);
    check(world,
          etcd_member_add(world->voter, urls, ETCD_MEMBER_ADD_OPTS(.learner = true), NULL, &world->err),
          ETCD_OK);
    assert_true(etcd_server_restart(world->server, world->learner));
    check(world, etcd_put(world->voter, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, &world->err), ETCD_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->voter);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

/* Refused unprocessed, each time: a write's caller is told that nothing has happened. */
static void expect_refused(struct world *world, etcd_status st)
{
    check(world, st, ETCD_E_DEADLINE);
    assert_non_null(strstr(world->err.message, "rpc not supported for learner"));
    assert_int_equal(world->err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
    assert_int_equal(world->err.flags & ETCD_ERROR_RETRYABLE, ETCD_ERROR_RETRYABLE);
}

static etcd_txn *a_put(const char *key)
{
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("v"), NULL);
    return txn;
}

static void test_what_a_learner_answers(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(etcd_server_endpoint(world->server, world->learner), NULL);
    int64_t deadline_ms = test_deadline_ms(PATIENCE_MS);
    etcd_txn *txn = a_put("refused");
    etcd_get_result *result = NULL;

    while (etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.serializable = true), &result, &world->err) !=
               ETCD_OK ||
           etcd_get_result_count(result) == 0) {
        etcd_get_result_free(result);
        result = NULL;
        assert_true(test_poll_again(deadline_ms));
    }
    etcd_get_result_free(result);
    expect_refused(
        world, etcd_get(client, etcd_cstr("k"), ETCD_GET_OPTS(.timeout_ms = REFUSED_MS), NULL, &world->err));
    expect_refused(world, etcd_put(client, etcd_cstr("refused"), etcd_cstr("v"),
                                   ETCD_PUT_OPTS(.timeout_ms = REFUSED_MS), NULL, &world->err));
    expect_refused(world, etcd_delete(client, etcd_cstr("k"), ETCD_DELETE_OPTS(.timeout_ms = REFUSED_MS),
                                      NULL, &world->err));
    expect_refused(world,
                   etcd_txn_commit(client, txn, ETCD_TXN_OPTS(.timeout_ms = REFUSED_MS), NULL, &world->err));
    etcd_txn_free(txn);
    check(world, etcd_get(world->voter, etcd_cstr("refused"), NULL, &result, &world->err), ETCD_OK);
    assert_int_equal(etcd_get_result_count(result), 0);
    etcd_get_result_free(result);
    etcd_client_free(client);
}

static void test_a_learner_among_the_endpoints(void **state)
{
    struct world *world = *state;
    char endpoints[64];
    etcd_client *client;
    etcd_get_result *result = NULL;

    (void)snprintf(endpoints, sizeof(endpoints), "%s,%s", etcd_server_endpoint(world->server, world->learner),
                   etcd_server_endpoint(world->server, 0));
    client = test_client_open(endpoints, NULL);
    for (int i = 0; i < CALLS; i++) {
        etcd_txn *txn = a_put("t");

        check(world, etcd_get(client, etcd_cstr("k"), NULL, NULL, &world->err), ETCD_OK);
        check(world, etcd_put(client, etcd_cstr("p"), etcd_cstr("v"), NULL, NULL, &world->err), ETCD_OK);
        check(world, etcd_delete(client, etcd_cstr("d"), NULL, NULL, &world->err), ETCD_OK);
        check(world, etcd_txn_commit(client, txn, NULL, NULL, &world->err), ETCD_OK);
        etcd_txn_free(txn);
    }
    check(world, etcd_get(world->voter, etcd_cstr("p"), NULL, &result, &world->err), ETCD_OK);
    assert_int_equal(etcd_get_result_kv(result, 0)->version, CALLS);
    etcd_get_result_free(result);
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_learner_answers),
        cmocka_unit_test(test_a_learner_among_the_endpoints),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
