/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes at and around the server's limits, answers of 100 MB, transactions as deep as they go, calls in a
 * hurry. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"
#include "support/watching.h"

#include <etcdc/memory.h>
#include <etcdc/metrics.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MIB = 1024 * 1024,
    SERVER_LIMIT = 3 * MIB / 2, /* etcd's default: of the request as raft stores it */
    OVERHEAD_MAX = 512,         /* what it adds to a value */
    PAIRS = 100,
    DEPTH_MAX = 64, /* of transactions in transactions, here */
    HURRIED = 3000,
    AT_ONCE = 20
};

static etcd_status put_of(etcd_client *client, const char *key, size_t len, etcd_error *err)
{
    char *value = malloc(len);
    etcd_status st;

    assert_non_null(value);
    memset(value, 'v', len);
    st = etcd_put(client, etcd_cstr(key), etcd_bytes_of(value, len), ETCD_PUT_OPTS(.timeout_ms = 30000), NULL,
                  err);
    free(value);
    return st;
}

/* ---- requests -------------------------------------------------------------------------------------- */

static void expect_too_large(etcd_status st, const etcd_error *err)
{
    assert_int_equal(st, ETCD_E_TOO_LARGE);
    assert_int_equal(err->flags, ETCD_ERROR_FROM_SERVER);
}

static void expect_stored(etcd_client *client, const char *key, size_t len)
{
    etcd_get_result *result = NULL;
    etcd_error err;

    watch_ok(etcd_get(client, etcd_cstr(key), ETCD_GET_OPTS(.timeout_ms = 30000), &result, &err), &err);
    assert_int_equal(etcd_get_result_count(result), len == 0 ? 0 : 1);
    if (len > 0)
        assert_int_equal(etcd_get_result_kv(result, 0)->value.len, len);
    etcd_get_result_free(result);
}

/* The largest value that the server takes, to the byte: what is refused is not there, what is taken is whole.
 */
static void test_at_the_servers_limit(void **state)
{
    etcd_client *client = watching_client(state);
    size_t good = SERVER_LIMIT - OVERHEAD_MAX, bad = SERVER_LIMIT + 1;
    etcd_error err;

    watch_ok(put_of(client, "limit", good, &err), &err);
    while (bad - good > 1) {
        size_t middle = good + (bad - good) / 2;
        etcd_status st = put_of(client, "limit", middle, &err);

        if (st == ETCD_OK)
            good = middle;
        else
            expect_too_large(st, &err);
        if (st != ETCD_OK)
            bad = middle;
    }
    print_message("the largest value has %zu bytes, %zu below the limit\n", good, SERVER_LIMIT - good);
    /* The server's own part of a request, an id in it, is now and then a byte longer. */
    good -= 2;
    watch_ok(put_of(client, "limit", good, &err), &err);
    expect_too_large(put_of(client, "above", good + 5, &err), &err);
    assert_non_null(strstr(err.message, "too large"));
    expect_stored(client, "limit", good);
    expect_stored(client, "above", 0);
}

/* Above what the server's HTTP/2 side reads at all; the client's own limit is higher here. */
static void test_far_above_the_servers_limit(void **state)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)),
                                           ETCD_CLIENT_OPTS(.max_send_bytes = 16 * MIB));
    etcd_metrics metrics = ETCD_METRICS_INIT;
    etcd_error err;

    for (size_t mib = 2; mib <= 8; mib *= 2) {
        expect_too_large(put_of(client, "far", mib * MIB, &err), &err);
        expect_stored(client, "far", 0);
    }
    watch_ok(etcd_client_metrics(client, &metrics, &err), &err);
    assert_int_equal(metrics.connects, 1);
    etcd_client_free(client);
}

/* ---- answers --------------------------------------------------------------------------------------- */

union head {
    size_t size;
    max_align_t align;
};

static atomic_size_t in_use, most_in_use;

static void *own_malloc(void *user_data, size_t size)
{
    union head *head = malloc(sizeof(*head) + size);
    size_t now, most;

    (void)user_data;
    if (head == NULL)
        return NULL;
    head->size = size;
    now = atomic_fetch_add(&in_use, size) + size;
    most = atomic_load(&most_in_use);
    while (now > most && !atomic_compare_exchange_weak(&most_in_use, &most, now))
        ;
    return head + 1;
}

static void own_free(void *user_data, void *ptr)
{
    union head *head = ptr;

    (void)user_data;
    atomic_fetch_sub(&in_use, head[-1].size);
    free(head - 1);
}

static void *own_realloc(void *user_data, void *ptr, size_t size)
{
    const union head *head = ptr;
    void *copy = own_malloc(user_data, size);

    if (copy == NULL)
        return NULL;
    memcpy(copy, ptr, head[-1].size < size ? head[-1].size : size);
    own_free(user_data, ptr);
    return copy;
}

static void read_all(etcd_client *client, const char *prefix)
{
    etcd_get_result *result = NULL;
    size_t before = atomic_load(&in_use);
    etcd_error err;

    watch_ok(etcd_get(client, etcd_cstr(prefix), ETCD_GET_OPTS(.prefix = true, .timeout_ms = 60000), &result,
                      &err),
             &err);
    assert_int_equal(etcd_get_result_count(result), PAIRS);
    for (size_t i = 0; i < PAIRS; i++)
        assert_int_equal(etcd_get_result_kv(result, i)->value.len, MIB);
    print_message("%d MiB: %zu MiB while it came, %zu MiB as a result\n", PAIRS,
                  (atomic_load(&most_in_use) - before) / MIB, (atomic_load(&in_use) - before) / MIB);
    assert_true(atomic_load(&in_use) - before < (size_t)PAIRS * MIB * 5 / 4);
    assert_true(atomic_load(&most_in_use) - before < (size_t)PAIRS * MIB * 3);
    etcd_get_result_free(result);
    assert_true(atomic_load(&in_use) < before + 4 * MIB);
}

static void test_an_answer_of_100_mib(void **state)
{
    etcd_allocator allocator = ETCD_ALLOCATOR_INIT;
    struct watching *watching = *state;
    etcd_client *client;
    etcd_error err;

    allocator.malloc_fn = own_malloc;
    allocator.realloc_fn = own_realloc;
    allocator.free_fn = own_free;
    /* The allocator is the process's, and taken before anything of the library exists. */
    etcd_client_free(watching->client);
    watch_ok(etcd_set_allocator(&allocator, &err), &err);
    client = test_client_open(etcd_server_endpoints(watching->server), NULL);
    for (int i = 0; i < PAIRS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "big/%03d", i);
        watch_ok(put_of(client, key, MIB, &err), &err);
    }
    atomic_store(&most_in_use, atomic_load(&in_use));
    read_all(client, "big/");
    atomic_store(&most_in_use, atomic_load(&in_use));
    read_all(client, "big/");
    watch_ok(etcd_delete(client, etcd_cstr("big/"), ETCD_DELETE_OPTS(.prefix = true), NULL, &err), &err);
    etcd_client_free(client);
    assert_int_equal(atomic_load(&in_use), 0);
    watch_ok(etcd_set_allocator(NULL, &err), &err);
    watching->client = test_client_open(etcd_server_endpoints(watching->server), NULL);
}

/* ---- depth ----------------------------------------------------------------------------------------- */

/* A put inside so many transactions. */
static etcd_txn *nest(size_t depth)
{
    etcd_txn *txn = etcd_txn_new();

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("deep"), etcd_cstr("v"), NULL);
    for (size_t i = 1; i < depth; i++) {
        etcd_txn *outer = etcd_txn_new();

        etcd_txn_nest(outer, ETCD_TXN_THEN, txn);
        etcd_txn_free(txn);
        txn = outer;
    }
    return txn;
}

static void test_deep_transactions(void **state)
{
    etcd_client *client = watching_client(state);

    static const size_t depths[] = {1, 2, 8, DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, 4 * DEPTH_MAX};

    for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
        size_t depth = depths[d];
        etcd_txn *txn = nest(depth);
        etcd_txn_result *result = NULL;
        const etcd_txn_result *inner;
        etcd_error err;
        etcd_status st = etcd_txn_commit(client, txn, NULL, &result, &err);

        print_message("depth %zu: %s\n", depth, etcd_status_name(st));
        if (depth <= DEPTH_MAX) {
            watch_ok(st, &err);
            inner = result;
            for (size_t i = 1; i < depth; i++)
                inner = etcd_txn_result_nested(inner, 0);
            assert_non_null(etcd_txn_result_put(inner, 0));
        } else {
            assert_int_equal(st, ETCD_E_INVALID_ARGUMENT);
            assert_non_null(strstr(err.message, "deep"));
        }
        etcd_txn_result_free(result);
        etcd_txn_free(txn);
    }
}

/* The server's own limit: so many operations, wherever they are. */
static void test_too_many_operations(void **state)
{
    etcd_client *client = watching_client(state);

    for (int count = 128; count <= 129; count++) {
        etcd_txn *txn = etcd_txn_new();
        etcd_error err;
        etcd_status st;

        for (int i = 0; i < count; i++) {
            char key[16];

            (void)snprintf(key, sizeof(key), "ops/%d", i);
            etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("v"), NULL);
        }
        st = etcd_txn_commit(client, txn, NULL, NULL, &err);
        assert_int_equal(st, count == 128 ? ETCD_OK : ETCD_E_INVALID_ARGUMENT);
        etcd_txn_free(txn);
    }
}

/* ---- a millisecond --------------------------------------------------------------------------------- */

static void hurry(etcd_client *client, size_t *succeeded, size_t *in_doubt)
{
    etcd_op *ops[AT_ONCE];
    etcd_error err;

    for (size_t i = 0; i < AT_ONCE; i++)
        watch_ok(etcd_put_async(client, etcd_cstr("hurry"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = 1),
                                NULL, NULL, &ops[i], &err),
                 &err);
    for (size_t i = 0; i < AT_ONCE; i++) {
        etcd_status st;

        watch_ok(etcd_op_wait(ops[i], 20000, &err), &err);
        st = etcd_op_status(ops[i], &err);
        assert_true(st == ETCD_OK || st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
        *succeeded += st == ETCD_OK ? 1 : 0;
        *in_doubt += st != ETCD_OK && (err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0 ? 1 : 0;
        etcd_op_free(ops[i]);
    }
}

static void test_a_millisecond(void **state)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)), NULL);
    etcd_metrics metrics = ETCD_METRICS_INIT;
    etcd_get_result *result = NULL;
    size_t succeeded = 0, in_doubt = 0;
    etcd_error err;
    int64_t done;

    watch_ok(etcd_put(client, etcd_cstr("hurry"), etcd_cstr("v"), NULL, NULL, &err), &err);
    for (size_t i = 0; i < HURRIED / AT_ONCE; i++)
        hurry(client, &succeeded, &in_doubt);
    /* Behind all of them on the same connection, and a moment for what the server still has in hand. */
    watch_ok(etcd_put(client, etcd_cstr("hurry"), etcd_cstr("v"), NULL, NULL, &err), &err);
    test_pump(client, 200);
    watch_ok(etcd_get(client, etcd_cstr("hurry"), NULL, &result, &err), &err);
    done = etcd_get_result_kv(result, 0)->version - 2;
    etcd_get_result_free(result);
    print_message("%zu in time, %zu in doubt, %zu never sent; %lld done\n", succeeded, in_doubt,
                  HURRIED - succeeded - in_doubt, (long long)done);
    assert_true((int64_t)succeeded <= done && done <= (int64_t)(succeeded + in_doubt));
    assert_true(in_doubt > 0);
    watch_ok(etcd_client_metrics(client, &metrics, &err), &err);
    assert_int_equal(metrics.connects, 1);
    assert_int_equal(metrics.outstanding, 0);
    etcd_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_the_servers_limit), cmocka_unit_test(test_far_above_the_servers_limit),
        cmocka_unit_test(test_deep_transactions),    cmocka_unit_test(test_too_many_operations),
        cmocka_unit_test(test_a_millisecond),        cmocka_unit_test(test_an_answer_of_100_mib),
    };

    return cmocka_run_group_tests(tests, watching_set_up, watching_tear_down);
}
