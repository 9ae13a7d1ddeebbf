/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client in a namespace, in the scripted network: every allocation failing once, and then every one from
 * there on; and servers that answer with keys of others.
 */
#include "support/alloc_fail.h"
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "client/client.h"
#include "wire/codec.h"
#include "wire/convert.h"
#include "wire/messages.h"

#include <stdio.h>
#include <string.h>

enum { PAIRS = 6 };

struct run {
    struct fake_env *env;
    struct fake_etcd *fake;
    etcd_loop *loop;
    etcd_client *client;
    size_t failed;
};

static void make_world(struct run *run)
{
    memset(run, 0, sizeof(*run));
    run->env = fake_env_new(1);
    run->fake = fake_etcd_attach(run->env, "192.0.2.1", 2379);
}

static void free_world(struct run *run)
{
    etcd_client_free(run->client);
    etcd_loop_free(run->loop);
    fake_etcd_free(run->fake);
    assert_int_equal(fake_open_sockets(run->env), 0);
    assert_int_equal(fake_misuses(run->env), 0);
    fake_env_free(run->env);
}

static bool ok(struct run *run, const char *what, etcd_status st, const etcd_error *err)
{
    if (st == ETCD_OK)
        return true;
    run->failed++;
    if (st != ETCD_E_NO_MEMORY && st != ETCD_E_UNAVAILABLE && st != ETCD_E_DEADLINE)
        fail_msg("%s: %s: %s", what, etcd_status_name(st), err->message);
    return false;
}

static bool open_client(struct run *run)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_error err;

    if (!ok(run, "loop", etcd__loop_new_env(fake_env_table(run->env), &run->loop, &err), &err))
        return false;
    opts.endpoints = ETCD_LIST("192.0.2.1:2379");
    opts.loop = run->loop;
    opts.key_namespace = etcd_cstr("ns/");
    return ok(run, "open", etcd_client_open(&opts, &run->client, &err), &err);
}

static bool put(struct run *run, const char *key)
{
    etcd_error err;

    return ok(run, "put", etcd_put(run->client, etcd_cstr(key), etcd_cstr("v"), NULL, NULL, &err), &err);
}

static bool fill(struct run *run)
{
    bool filled = true;
    char key[8];

    for (int i = 0; i < PAIRS; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        filled = put(run, key) && filled;
    }
    return filled;
}

static void assert_pair(const etcd_kv *kv, int number)
{
    assert_int_equal(kv->key.len, 2);
    assert_int_equal(((const char *)kv->key.data)[0], 'k');
    assert_int_equal(((const char *)kv->key.data)[1], '0' + number);
}

static void get_all(struct run *run)
{
    etcd_get_result *result = NULL;
    etcd_error err;

    if (!ok(run, "get", etcd_get(run->client, etcd_cstr(""), ETCD_GET_OPTS(.from_key = true), &result, &err),
            &err))
        return;
    assert_int_equal(etcd_get_result_count(result), PAIRS);
    for (int i = 0; i < PAIRS; i++)
        assert_pair(etcd_get_result_kv(result, (size_t)i), i);
    etcd_get_result_free(result);
}

/* Goes on over failures: each pair comes once. */
static void read_range(struct run *run)
{
    etcd_range *range = NULL;
    int seen = 0, failures = 0;
    etcd_error err;

    if (!ok(run, "open",
            etcd_range_open(run->client, etcd_cstr("k"), ETCD_RANGE_OPTS(.prefix = true, .page_size = 2),
                            &range, &err),
            &err))
        return;
    while (failures < 3) {
        etcd_get_result *page = NULL;

        if (!ok(run, "next", etcd_range_next(range, &page, &err), &err)) {
            failures++;
            continue;
        }
        if (page == NULL) {
            assert_int_equal(seen, PAIRS);
            break;
        }
        for (size_t i = 0; i < etcd_get_result_count(page); i++)
            assert_pair(etcd_get_result_kv(page, i), seen++);
        etcd_get_result_free(page);
    }
    etcd_range_close(range);
}

static void commit(struct run *run)
{
    etcd_txn *txn = etcd_txn_new(), *nested = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_error err;

    etcd_txn_put(nested, ETCD_TXN_THEN, etcd_cstr("n"), etcd_cstr("v"), NULL);
    etcd_txn_if(txn, etcd_cstr("k0"), ETCD_CMP_VERSION, ETCD_CMP_EQUAL, 1);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k0"), etcd_cstr("w"), NULL);
    etcd_txn_nest(txn, ETCD_TXN_ELSE, nested);
    etcd_txn_free(nested);
    if (ok(run, "txn", etcd_txn_commit(run->client, txn, NULL, &result, &err), &err)) {
        assert_true(etcd_txn_result_succeeded(result));
        etcd_txn_result_free(result);
    }
    etcd_txn_free(txn);
}

static void watch(struct run *run)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    if (ok(run, "watch",
           etcd_watch_open(run->client, etcd_cstr("k"), ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1),
                           &watch, &err),
           &err))
        etcd_watch_close(watch);
}

static void live(struct run *run)
{
    etcd_error err;

    if (!open_client(run) || !fill(run))
        return;
    get_all(run);
    commit(run);
    read_range(run); /* by pages */
    fake_etcd_stream_ranges(run->fake, 1);
    run->client->no_range_stream = false;
    read_range(run); /* by a stream */
    watch(run);
    (void)ok(run, "delete",
             etcd_delete(run->client, etcd_cstr(""), ETCD_DELETE_OPTS(.prefix = true), NULL, &err), &err);
}

static void scenario(size_t n, void *user)
{
    size_t *failures = user, before = alloc_live();
    struct run run;

    make_world(&run);
    live(&run);
    free_world(&run);
    if (alloc_live() != before)
        fail_msg("allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    *failures += run.failed;
}

static void test_one_failure(void **state)
{
    size_t failures = 0, allocations;

    (void)state;
    allocations = alloc_fail_each(scenario, &failures);
    print_message("%zu allocations, %zu calls failed\n", allocations, failures);
    assert_true(allocations > 100);
    assert_true(failures > 20);
}

static void test_no_memory_from_some_time_on(void **state)
{
    size_t failures = 0, allocations;

    (void)state;
    alloc_fail_at(0);
    scenario(0, &failures);
    allocations = alloc_count();
    assert_int_equal(failures, 0);
    for (size_t n = 1; n <= allocations; n++) {
        size_t before = alloc_live();
        struct run run;

        make_world(&run);
        alloc_fail_from(n);
        live(&run);
        alloc_fail_at(0);
        free_world(&run);
        if (alloc_live() != before)
            fail_msg("from allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    }
}

/* ---- on the wire ----------------------------------------------------------------------------------- */

/* The server sees whole keys. */
static void test_requests_have_it(void **state)
{
    struct etcd__arena arena = {0};
    const Etcd__Pb__RangeRequest *range;
    uint8_t bytes[256];
    struct run run;
    size_t len;
    etcd_status st;

    (void)state;
    make_world(&run);
    assert_true(open_client(&run) && fill(&run));
    get_all(&run);
    len = fake_etcd_request(run.fake, "Range", bytes, sizeof(bytes));
    range = etcd__wire_unpack(&etcd__pb__range_request__descriptor, &arena, bytes, len, &st);
    assert_non_null(range);
    assert_int_equal(range->key.len, 4);
    assert_memory_equal(range->key.data, "ns/\0", 4);
    assert_int_equal(range->range_end.len, 3);
    assert_memory_equal(range->range_end.data, "ns0", 3);
    etcd__arena_deinit(&arena);
    free_world(&run);
}

/* It counts for the size of a request. */
static void test_it_counts(void **state)
{
    struct etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    char space[64];
    struct run run;
    etcd_error err;

    (void)state;
    memset(space, 'n', sizeof(space));
    make_world(&run);
    assert_int_equal(etcd__loop_new_env(fake_env_table(run.env), &run.loop, &err), ETCD_OK);
    opts.endpoints = ETCD_LIST("192.0.2.1:2379");
    opts.loop = run.loop;
    opts.max_send_bytes = 60;
    opts.key_namespace = etcd_bytes_of(space, sizeof(space));
    assert_status(etcd_client_open(&opts, &run.client, &err), ETCD_OK, &err);
    assert_int_equal(etcd_put(run.client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, &err),
                     ETCD_E_TOO_LARGE);
    assert_int_equal(fake_etcd_calls(run.fake, "Put"), 0);
    free_world(&run);
}

/* ---- servers that answer nonsense ------------------------------------------------------------------ */

static uint8_t *pair_of_another(size_t *ret_len)
{
    Etcd__Pb__RangeResponse response = ETCD__PB__RANGE_RESPONSE__INIT;
    Etcd__Pb__KeyValue pair = ETCD__PB__KEY_VALUE__INIT, *pairs[1];
    uint8_t *data;

    pair.key = etcd__wire_data(etcd_cstr("n"));
    pairs[0] = &pair;
    response.kvs = pairs;
    response.n_kvs = 1;
    response.count = 1;
    assert_int_equal(etcd__wire_pack(&response.base, 0, &data, ret_len), ETCD_OK);
    return data;
}

static void test_keys_of_others_are_refused(void **state)
{
    struct fake_step step = {.what = STEP_BYTES};
    etcd_get_result *result = NULL;
    etcd_range *range = NULL;
    struct run run;
    etcd_error err;
    uint8_t *data;

    (void)state;
    make_world(&run);
    assert_true(open_client(&run) && fill(&run));
    data = pair_of_another(&step.size);
    step.data = data;
    fake_etcd_next(run.fake, "Range", &step);
    assert_int_equal(etcd_get(run.client, etcd_cstr("k"), NULL, &result, &err), ETCD_E_PROTOCOL);
    assert_has_text(err.message, "outside of the namespace");
    assert_null(result);
    fake_etcd_next(run.fake, "Range", &step);
    assert_int_equal(
        etcd_range_open(run.client, etcd_cstr("k"), ETCD_RANGE_OPTS(.prefix = true), &range, &err), ETCD_OK);
    assert_int_equal(etcd_range_next(range, &result, &err), ETCD_E_PROTOCOL);
    assert_has_text(err.message, "outside of the namespace");
    etcd_range_close(range);
    get_all(&run); /* the connection is as good as before */
    etcd__free(data);
    free_world(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_failure),
        cmocka_unit_test(test_no_memory_from_some_time_on),
        cmocka_unit_test(test_requests_have_it),
        cmocka_unit_test(test_it_counts),
        cmocka_unit_test(test_keys_of_others_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
