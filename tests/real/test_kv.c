/* SPDX-License-Identifier: Apache-2.0 */
/* Put, get, delete, transactions and compaction against a real server. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

struct world {
    struct etcd_server *server;
    etcd_client *client;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(world->server);
    world->client = test_client_open(etcd_server_endpoints(world->server), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

static etcd_client *client_of(void **state)
{
    return ((struct world *)*state)->client;
}

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static void put(etcd_client *client, const char *key, const char *value)
{
    etcd_error err;

    ok(etcd_put(client, etcd_cstr(key), etcd_cstr(value), NULL, NULL, &err), &err);
}

static void assert_bytes(etcd_bytes bytes, const void *data, size_t len)
{
    assert_int_equal(bytes.len, len);
    assert_memory_equal(bytes.data, data, len);
}

/* ---- one key --------------------------------------------------------------------------------------- */

static void test_binary_key_and_value(void **state)
{
    static const char key[] = "bin\0key";
    static const char value[] = {0, 1, (char)0xff, 0, 'x'};
    etcd_get_result *result = NULL;
    etcd_error err;

    ok(etcd_put(client_of(state), etcd_bytes_of(key, sizeof(key)), etcd_bytes_of(value, sizeof(value)), NULL,
                NULL, &err),
       &err);
    ok(etcd_get(client_of(state), etcd_bytes_of(key, sizeof(key)), NULL, &result, &err), &err);
    assert_int_equal(etcd_get_result_count(result), 1);
    assert_bytes(etcd_get_result_kv(result, 0)->key, key, sizeof(key));
    assert_bytes(etcd_get_result_kv(result, 0)->value, value, sizeof(value));
    assert_int_equal(((const char *)etcd_get_result_kv(result, 0)->value.data)[sizeof(value)], 0);
    assert_null(etcd_get_result_kv(result, 1));
    etcd_get_result_free(result);
}

static void test_a_mebibyte(void **state)
{
    enum { SIZE = 1024 * 1024 };
    char *value = malloc(SIZE);
    etcd_get_result *result = NULL;
    etcd_error err;

    assert_non_null(value);
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (char)(i * 31);
    ok(etcd_put(client_of(state), etcd_cstr("big"), etcd_bytes_of(value, SIZE), NULL, NULL, &err), &err);
    ok(etcd_get(client_of(state), etcd_cstr("big"), NULL, &result, &err), &err);
    assert_bytes(etcd_get_result_kv(result, 0)->value, value, SIZE);
    etcd_get_result_free(result);
    free(value);
}

static void test_absent_is_not_empty(void **state)
{
    etcd_get_result *result = NULL;
    etcd_error err;

    put(client_of(state), "empty", "");
    ok(etcd_get(client_of(state), etcd_cstr("empty"), NULL, &result, &err), &err);
    assert_int_equal(etcd_get_result_count(result), 1);
    assert_int_equal(etcd_get_result_kv(result, 0)->value.len, 0);
    assert_string_equal(etcd_get_result_kv(result, 0)->value.data, "");
    etcd_get_result_free(result);
    ok(etcd_get(client_of(state), etcd_cstr("absent"), NULL, &result, &err), &err);
    assert_int_equal(etcd_get_result_count(result), 0);
    assert_true(etcd_get_result_header(result)->revision > 0);
    etcd_get_result_free(result);
}

static void test_previous_pair(void **state)
{
    etcd_put_result *result = NULL;
    etcd_error err;

    ok(etcd_put(client_of(state), etcd_cstr("prev"), etcd_cstr("1"), ETCD_PUT_OPTS(.prev_kv = true), &result,
                &err),
       &err);
    assert_null(etcd_put_result_prev_kv(result));
    etcd_put_result_free(result);
    ok(etcd_put(client_of(state), etcd_cstr("prev"), etcd_cstr("2"), ETCD_PUT_OPTS(.prev_kv = true), &result,
                &err),
       &err);
    assert_non_null(etcd_put_result_prev_kv(result));
    assert_string_equal(etcd_put_result_prev_kv(result)->value.data, "1");
    assert_int_equal(etcd_put_result_prev_kv(result)->version, 1);
    etcd_put_result_free(result);
}

static void test_put_options(void **state)
{
    etcd_client *client = client_of(state);
    etcd_error err;

    assert_int_equal(etcd_put(client, etcd_cstr("no-such"), etcd_cstr(""),
                              ETCD_PUT_OPTS(.ignore_value = true), NULL, &err),
                     ETCD_E_NOT_FOUND);
    assert_true((err.flags & ETCD_ERROR_FROM_SERVER) != 0);
    assert_int_equal(err.grpc_code, 3);
    assert_int_equal(
        etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.ignore_value = true), NULL, &err),
        ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(
        etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.lease_id = 0x1234567), NULL, &err),
        ETCD_E_LEASE_NOT_FOUND);
    assert_int_equal(etcd_put(client, etcd_cstr(""), etcd_cstr("v"), NULL, NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "key is empty"));
    assert_int_equal(
        etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = -7), NULL, &err),
        ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "-7"));
    assert_int_equal(
        etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = -7), NULL, NULL),
        ETCD_E_INVALID_ARGUMENT);
}

/* ---- ranges ---------------------------------------------------------------------------------------- */

static void expect_keys(etcd_client *client, const char *key, const etcd_get_opts *opts, const char *expected)
{
    char found[256] = "";
    etcd_get_result *result = NULL;
    etcd_error err;

    ok(etcd_get(client, etcd_cstr(key), opts, &result, &err), &err);
    for (size_t i = 0; i < etcd_get_result_count(result); i++) {
        (void)strcat(found, i == 0 ? "" : " ");
        (void)strcat(found, etcd_get_result_kv(result, i)->key.data);
    }
    assert_string_equal(found, expected);
    etcd_get_result_free(result);
}

static void test_ranges(void **state)
{
    etcd_client *client = client_of(state);
    etcd_get_result *result = NULL;
    etcd_error err;

    put(client, "r/b", "2");
    put(client, "r/a", "3");
    put(client, "r/c", "1");
    put(client, "r0", "x");
    expect_keys(client, "r/", ETCD_GET_OPTS(.prefix = true), "r/a r/b r/c");
    expect_keys(client, "r/a", ETCD_GET_OPTS(.range_end = etcd_cstr("r/c")), "r/a r/b");
    expect_keys(client, "r/b", ETCD_GET_OPTS(.from_key = true), "r/b r/c r0");
    expect_keys(
        client, "r/",
        ETCD_GET_OPTS(.prefix = true, .sort_target = ETCD_SORT_BY_VALUE, .sort_order = ETCD_SORT_DESCEND),
        "r/a r/b r/c");
    expect_keys(
        client, "r/",
        ETCD_GET_OPTS(.prefix = true, .sort_target = ETCD_SORT_BY_KEY, .sort_order = ETCD_SORT_DESCEND),
        "r/c r/b r/a");
    expect_keys(client, "r/",
                ETCD_GET_OPTS(.prefix = true, .sort_target = ETCD_SORT_BY_CREATE_REVISION,
                              .sort_order = ETCD_SORT_ASCEND, .limit = 2),
                "r/b r/a");
    expect_keys(client, "r/", ETCD_GET_OPTS(.prefix = true, .serializable = true, .keys_only = true),
                "r/a r/b r/c");
    ok(etcd_get(client, etcd_cstr("r/"), ETCD_GET_OPTS(.prefix = true, .limit = 1), &result, &err), &err);
    assert_int_equal(etcd_get_result_total(result), 3);
    assert_true(etcd_get_result_more(result));
    etcd_get_result_free(result);
    ok(etcd_get(client, etcd_cstr("r/"), ETCD_GET_OPTS(.prefix = true, .count_only = true), &result, &err),
       &err);
    assert_int_equal(etcd_get_result_total(result), 3);
    assert_int_equal(etcd_get_result_count(result), 0);
    etcd_get_result_free(result);
    assert_int_equal(
        etcd_get(client, etcd_cstr("r/"), ETCD_GET_OPTS(.prefix = true, .from_key = true), &result, &err),
        ETCD_E_INVALID_ARGUMENT);
}

static void test_prefix_of_all_ones(void **state)
{
    static const char key[] = {(char)0xff, (char)0xff, 'z'};
    etcd_client *client = client_of(state);
    etcd_get_result *result = NULL;
    etcd_error err;

    ok(etcd_put(client, etcd_bytes_of(key, 3), etcd_cstr("v"), NULL, NULL, &err), &err);
    ok(etcd_get(client, etcd_bytes_of(key, 2), ETCD_GET_OPTS(.prefix = true), &result, &err), &err);
    assert_int_equal(etcd_get_result_count(result), 1);
    assert_bytes(etcd_get_result_kv(result, 0)->key, key, 3);
    etcd_get_result_free(result);
}

static void test_old_revisions_and_compaction(void **state)
{
    etcd_client *client = client_of(state);
    etcd_put_result *first = NULL;
    etcd_put_result *second = NULL;
    etcd_get_result *result = NULL;
    int64_t revision;
    etcd_error err;

    ok(etcd_put(client, etcd_cstr("old"), etcd_cstr("1"), NULL, &first, &err), &err);
    ok(etcd_put(client, etcd_cstr("old"), etcd_cstr("2"), NULL, &second, &err), &err);
    revision = etcd_put_result_header(first)->revision;
    ok(etcd_get(client, etcd_cstr("old"), ETCD_GET_OPTS(.revision = revision), &result, &err), &err);
    assert_string_equal(etcd_get_result_kv(result, 0)->value.data, "1");
    etcd_get_result_free(result);
    assert_int_equal(
        etcd_get(client, etcd_cstr("old"), ETCD_GET_OPTS(.revision = revision + 1000), &result, &err),
        ETCD_E_FUTURE_REVISION);
    ok(etcd_compact(client, etcd_put_result_header(second)->revision, ETCD_COMPACT_OPTS(.physical = true),
                    &err),
       &err);
    assert_int_equal(etcd_get(client, etcd_cstr("old"), ETCD_GET_OPTS(.revision = revision), &result, &err),
                     ETCD_E_COMPACTED);
    assert_int_equal(etcd_compact(client, revision, NULL, &err), ETCD_E_COMPACTED);
    assert_int_equal(etcd_compact(client, revision + 1000, NULL, &err), ETCD_E_FUTURE_REVISION);
    assert_int_equal(etcd_compact(client, 0, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_put_result_free(first);
    etcd_put_result_free(second);
}

static void test_delete(void **state)
{
    etcd_client *client = client_of(state);
    etcd_delete_result *result = NULL;
    etcd_error err;

    put(client, "d/1", "a");
    put(client, "d/2", "b");
    put(client, "d0", "c");
    ok(etcd_delete(client, etcd_cstr("d/1"), NULL, &result, &err), &err);
    assert_int_equal(etcd_delete_result_deleted(result), 1);
    assert_int_equal(etcd_delete_result_prev_count(result), 0);
    etcd_delete_result_free(result);
    ok(etcd_delete(client, etcd_cstr("d/"), ETCD_DELETE_OPTS(.prefix = true, .prev_kv = true), &result, &err),
       &err);
    assert_int_equal(etcd_delete_result_deleted(result), 1);
    assert_int_equal(etcd_delete_result_prev_count(result), 1);
    assert_string_equal(etcd_delete_result_prev_kv(result, 0)->value.data, "b");
    etcd_delete_result_free(result);
    ok(etcd_delete(client, etcd_cstr("d/1"), NULL, &result, &err), &err);
    assert_int_equal(etcd_delete_result_deleted(result), 0);
    etcd_delete_result_free(result);
}

/* ---- transactions ---------------------------------------------------------------------------------- */

static void test_txn_puts_at_one_revision(void **state)
{
    etcd_client *client = client_of(state);
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_get_result *got = NULL;
    etcd_error err;

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("t/1"), etcd_cstr("a"), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("t/2"), etcd_cstr("b"), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("t/3"), etcd_cstr("c"), NULL);
    ok(etcd_txn_commit(client, txn, NULL, &result, &err), &err);
    assert_true(etcd_txn_result_succeeded(result));
    assert_int_equal(etcd_txn_result_count(result), 3);
    assert_int_equal(etcd_txn_result_kind(result, 2), ETCD_TXN_KIND_PUT);
    assert_int_equal(etcd_txn_result_kind(result, 3), ETCD_TXN_KIND_NONE);
    ok(etcd_get(client, etcd_cstr("t/"), ETCD_GET_OPTS(.prefix = true), &got, &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(etcd_get_result_kv(got, i)->mod_revision, etcd_txn_result_header(result)->revision);
    etcd_get_result_free(got);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
}

static void test_txn_branches(void **state)
{
    etcd_client *client = client_of(state);
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_error err;

    put(client, "branch", "1");
    etcd_txn_if_value(txn, etcd_cstr("branch"), ETCD_CMP_EQUAL, etcd_cstr("2"));
    etcd_txn_if_missing(txn, etcd_cstr("branch-none"));
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("branch"), etcd_cstr("then"), NULL);
    etcd_txn_get(txn, ETCD_TXN_ELSE, etcd_cstr("branch"), NULL);
    etcd_txn_delete(txn, ETCD_TXN_ELSE, etcd_cstr("branch"), ETCD_DELETE_OPTS(.prev_kv = true));
    ok(etcd_txn_commit(client, txn, NULL, &result, &err), &err);
    assert_false(etcd_txn_result_succeeded(result));
    assert_int_equal(etcd_txn_result_count(result), 2);
    assert_string_equal(etcd_get_result_kv(etcd_txn_result_get(result, 0), 0)->value.data, "1");
    assert_int_equal(etcd_delete_result_deleted(etcd_txn_result_delete(result, 1)), 1);
    assert_null(etcd_txn_result_put(result, 0));
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
}

static void test_txn_nested(void **state)
{
    etcd_client *client = client_of(state);
    etcd_txn *outer = etcd_txn_new();
    etcd_txn *inner = etcd_txn_new();
    etcd_txn_result *result = NULL;
    const etcd_txn_result *nested;
    etcd_error err;

    put(client, "nest", "1");
    etcd_txn_if(inner, etcd_cstr("nest"), ETCD_CMP_VERSION, ETCD_CMP_GREATER, 0);
    etcd_txn_put(inner, ETCD_TXN_THEN, etcd_cstr("nest/in"), etcd_cstr("x"), NULL);
    etcd_txn_if_exists(outer, etcd_cstr("nest"));
    etcd_txn_nest(outer, ETCD_TXN_THEN, inner);
    etcd_txn_free(inner);
    ok(etcd_txn_commit(client, outer, NULL, &result, &err), &err);
    nested = etcd_txn_result_nested(result, 0);
    assert_non_null(nested);
    assert_true(etcd_txn_result_succeeded(nested));
    assert_int_equal(etcd_txn_result_kind(nested, 0), ETCD_TXN_KIND_PUT);
    etcd_txn_result_free(result);
    etcd_txn_free(outer);
}

static void test_txn_mistakes(void **state)
{
    etcd_client *client = client_of(state);
    etcd_txn *txn = etcd_txn_new();
    char key[16];
    etcd_error err;

    for (int i = 0; i < 129; i++) {
        (void)snprintf(key, sizeof(key), "many/%d", i);
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("v"), NULL);
    }
    assert_int_equal(etcd_txn_commit(client, txn, NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "too many operations"));
    etcd_txn_free(txn);
    txn = etcd_txn_new();
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("twice"), etcd_cstr("1"), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("twice"), etcd_cstr("2"), NULL);
    assert_int_equal(etcd_txn_commit(client, txn, NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "duplicate key"));
    etcd_txn_free(txn);
    txn = etcd_txn_new();
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(""), etcd_cstr("1"), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("fine"), etcd_cstr("2"), NULL);
    assert_int_equal(etcd_txn_commit(client, txn, NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "key is empty"));
    etcd_txn_free(txn);
    assert_int_equal(etcd_txn_commit(client, NULL, NULL, NULL, &err), ETCD_E_NO_MEMORY);
}

/* ---- operations ------------------------------------------------------------------------------------ */

static void count_done(etcd_op *op, void *user_data)
{
    assert_int_equal(etcd_op_status(op, NULL), ETCD_OK);
    (*(int *)user_data)++;
}

static void test_async_with_callback(void **state)
{
    etcd_client *client = client_of(state);
    etcd_get_result *result = NULL;
    etcd_put_result *wrong = NULL;
    etcd_op *op = NULL;
    int done = 0;
    etcd_error err;

    put(client, "async", "v");
    ok(etcd_get_async(client, etcd_cstr("async"), NULL, count_done, &done, &op, &err), &err);
    ok(etcd_op_wait(op, ETCD_TIMEOUT_NONE, &err), &err);
    assert_int_equal(etcd_put_take(op, &wrong, &err), ETCD_E_INVALID_ARGUMENT);
    ok(etcd_get_take(op, &result, &err), &err);
    assert_string_equal(etcd_get_result_kv(result, 0)->value.data, "v");
    assert_int_equal(etcd_get_take(op, &result, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_get_result_free(result);
    etcd_op_free(op);
    test_pump(client, 50);
    assert_int_equal(done, 1);
}

static void test_too_large(void **state)
{
    enum { SIZE = 3 * 1024 * 1024 };
    struct world *world = *state;
    char *value = calloc(1, SIZE);
    etcd_client *small;
    etcd_get_result *result = NULL;
    etcd_error err;

    assert_non_null(value);
    assert_int_equal(
        etcd_put(world->client, etcd_cstr("large"), etcd_bytes_of(value, SIZE), NULL, NULL, &err),
        ETCD_E_TOO_LARGE);
    assert_int_equal(err.flags, 0);
    assert_int_equal(
        etcd_put(world->client, etcd_cstr("large"), etcd_bytes_of(value, 1900 * 1024), NULL, NULL, &err),
        ETCD_E_TOO_LARGE);
    assert_true((err.flags & ETCD_ERROR_FROM_SERVER) != 0);
    ok(etcd_put(world->client, etcd_cstr("large"), etcd_bytes_of(value, 100000), NULL, NULL, &err), &err);
    small = test_client_open(etcd_server_endpoints(world->server),
                             ETCD_CLIENT_OPTS(.max_recv_bytes = 50000, .max_send_bytes = 1000));
    assert_int_equal(etcd_get(small, etcd_cstr("large"), NULL, &result, &err), ETCD_E_TOO_LARGE);
    ok(etcd_get(small, etcd_cstr("absent"), NULL, &result, &err), &err);
    etcd_get_result_free(result);
    etcd_client_free(small);
    free(value);
}

static void test_closed(void **state)
{
    struct world *world = *state;
    etcd_client *client = test_client_open(etcd_server_endpoints(world->server), NULL);
    etcd_get_result *result = NULL;
    etcd_error err;

    ok(etcd_get(client, etcd_cstr("x"), NULL, &result, &err), &err);
    etcd_get_result_free(result);
    assert_int_equal(etcd_client_close(client, &err), ETCD_OK);
    assert_int_equal(etcd_client_close(client, &err), ETCD_OK);
    assert_int_equal(etcd_get(client, etcd_cstr("x"), NULL, &result, &err), ETCD_E_CLOSED);
    assert_int_equal(etcd_put(client, etcd_cstr("x"), etcd_cstr("y"), NULL, NULL, &err), ETCD_E_CLOSED);
    assert_int_equal(etcd_client_wait_ready(client, 0, &err), ETCD_E_CLOSED);
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_key_and_value),
        cmocka_unit_test(test_a_mebibyte),
        cmocka_unit_test(test_absent_is_not_empty),
        cmocka_unit_test(test_previous_pair),
        cmocka_unit_test(test_put_options),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_prefix_of_all_ones),
        cmocka_unit_test(test_old_revisions_and_compaction),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_txn_puts_at_one_revision),
        cmocka_unit_test(test_txn_branches),
        cmocka_unit_test(test_txn_nested),
        cmocka_unit_test(test_txn_mistakes),
        cmocka_unit_test(test_async_with_callback),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_closed),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
