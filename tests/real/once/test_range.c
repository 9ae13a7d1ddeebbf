/* SPDX-License-Identifier: Apache-2.0 */
/* 100,000 pairs read page by page while others write. */
#include "support/real.h"
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS = 100000, TXN_PAIRS = 100, WRITERS = 3, SMALL_RECV = 300 << 10 };

static struct etcd_server *server;
static struct real filled;

struct writer {
    etcd_client *client;
    pthread_t thread;
    atomic_bool stop;
    atomic_int writes;
    unsigned number;
};

/* Changes old pairs, adds new ones, deletes some. */
static void *write_on(void *arg)
{
    struct writer *writer = arg;
    char key[32];

    for (unsigned i = writer->number; !atomic_load(&writer->stop); i += 97) {
        etcd_status st;

        snprintf(key, sizeof(key), "range/%06u%s", i % PAIRS, i % 3 == 0 ? "x" : "");
        if (i % 5 == 0)
            st = etcd_delete(writer->client, etcd_cstr(key), NULL, NULL, NULL);
        else
            st = etcd_put(writer->client, etcd_cstr(key), etcd_cstr("changed"), NULL, NULL, NULL);
        if (st == ETCD_OK)
            atomic_fetch_add(&writer->writes, 1);
    }
    return NULL;
}

static void fill(void)
{
    char key[32];
    etcd_error err;

    for (unsigned i = 0; i < PAIRS; i += TXN_PAIRS) {
        etcd_txn *txn = etcd_txn_new();

        assert_non_null(txn);
        for (unsigned j = 0; j < TXN_PAIRS; j++) {
            snprintf(key, sizeof(key), "range/%06u", i + j);
            etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("original"), NULL);
        }
        assert_false(real_failed(etcd_txn_commit(filled.client, txn, NULL, NULL, &err), &err));
        etcd_txn_free(txn);
    }
}

static int start(void **state)
{
    (void)state;
    server = etcd_server_start(NULL);
    assert_non_null(server);
    assert_true(real_open(&filled, etcd_server_endpoint(server, 0)));
    fill();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    real_close(&filled);
    etcd_server_free(server);
    return 0;
}

struct seen {
    size_t pairs, pages, originals;
    char last[32];
};

static void look_at_page(const etcd_get_result *page, int64_t revision, struct seen *seen)
{
    for (size_t i = 0; i < etcd_get_result_count(page); i++) {
        const etcd_kv *kv = etcd_get_result_kv(page, i);

        if (strcmp(kv->key.data, seen->last) <= 0)
            fail_msg("%s comes after %s", (const char *)kv->key.data, seen->last);
        if (kv->mod_revision > revision)
            fail_msg("%s is of a later revision", (const char *)kv->key.data);
        snprintf(seen->last, sizeof(seen->last), "%s", (const char *)kv->key.data);
        seen->originals += kv->version == 1 ? 1 : 0;
    }
    seen->pairs += etcd_get_result_count(page);
    seen->pages++;
}

static struct seen read_all(etcd_client *client, const etcd_range_opts *opts)
{
    struct seen seen = {.last = ""};
    etcd_range *range = NULL;
    etcd_get_result *page = NULL;
    int64_t revision = 0;
    etcd_error err;

    assert_false(real_failed(etcd_range_open(client, etcd_cstr("range/"), opts, &range, &err), &err));
    for (;;) {
        assert_false(real_failed(etcd_range_next(range, &page, &err), &err));
        if (page == NULL)
            break;
        assert_true(revision == 0 || etcd_range_revision(range) == revision);
        revision = etcd_range_revision(range);
        look_at_page(page, revision, &seen);
        etcd_get_result_free(page);
        page = NULL;
    }
    etcd_range_close(range);
    return seen;
}

static void test_all_pairs_once_and_in_order(void **state)
{
    struct seen seen = read_all(filled.client, ETCD_RANGE_OPTS(.prefix = true));

    (void)state;
    assert_int_equal(seen.pairs, PAIRS);
    assert_in_range(seen.pages, 11, 30); /* they grow to 10,000 pairs */
    assert_string_equal(seen.last, "range/099999");

    seen = read_all(filled.client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 1000, .limit = 12345));
    assert_int_equal(seen.pairs, 12345);
    seen = read_all(filled.client, ETCD_RANGE_OPTS(.prefix = true, .serializable = true, .keys_only = true));
    assert_int_equal(seen.pairs, PAIRS);
}

/* What is read is the store of one revision, whatever becomes of it meanwhile. */
static void test_writers_are_not_seen(void **state)
{
    static struct writer writers[WRITERS];
    int writes = 0, before;
    etcd_error err;

    (void)state;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.client = filled.client, .number = i * 31};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
    for (int round = 0; round < 2; round++) {
        etcd_get_result *counted = NULL;
        struct seen seen;
        etcd_range *range = NULL;
        etcd_get_result *page = NULL;
        int64_t total, revision;

        memset(&seen, 0, sizeof(seen));
        before = writes;
        assert_false(
            real_failed(etcd_range_open(filled.client, etcd_cstr("range/"),
                                        ETCD_RANGE_OPTS(.prefix = true, .page_size = 2000), &range, &err),
                        &err));
        assert_false(real_failed(etcd_range_next(range, &page, &err), &err));
        total = etcd_get_result_total(page);
        revision = etcd_range_revision(range);
        while (page != NULL) {
            look_at_page(page, revision, &seen);
            assert_int_equal(etcd_get_result_total(page), total);
            etcd_get_result_free(page);
            page = NULL;
            assert_false(real_failed(etcd_range_next(range, &page, &err), &err));
        }
        etcd_range_close(range);
        assert_int_equal(seen.pairs, total);
        assert_false(real_failed(
            etcd_get(filled.client, etcd_cstr("range/"),
                     ETCD_GET_OPTS(.prefix = true, .revision = revision, .count_only = true), &counted, &err),
            &err));
        assert_int_equal(etcd_get_result_total(counted), seen.pairs);
        etcd_get_result_free(counted);
        writes = 0;
        for (unsigned i = 0; i < WRITERS; i++)
            writes += atomic_load(&writers[i].writes);
        assert_true(writes > before); /* they were not held up */
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        atomic_store(&writers[i].stop, true);
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    }
}

static void test_a_small_receive_limit(void **state)
{
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_client *client = NULL;
    struct seen seen, small;
    etcd_error err;

    (void)state;
    assert_false(
        real_failed(etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .max_send_bytes = 64 << 10,
                                                      .max_recv_bytes = SMALL_RECV),
                                     &client, &err),
                    &err));
    seen = read_all(filled.client, ETCD_RANGE_OPTS(.prefix = true));
    small = read_all(client, ETCD_RANGE_OPTS(.prefix = true));
    assert_int_equal(small.pairs, seen.pairs);
    assert_true(small.pages > seen.pages);
    etcd_client_free(client);
}

static void test_compaction_under_way(void **state)
{
    etcd_range *range = NULL;
    etcd_get_result *page = NULL;
    etcd_put_result *put = NULL;
    int64_t revision;
    etcd_error err;

    (void)state;
    assert_false(real_failed(
        etcd_range_open(filled.client, etcd_cstr("range/"), ETCD_RANGE_OPTS(.prefix = true), &range, &err),
        &err));
    assert_false(real_failed(etcd_range_next(range, &page, &err), &err));
    etcd_get_result_free(page);
    page = NULL;
    assert_false(
        real_failed(etcd_put(filled.client, etcd_cstr("x"), etcd_cstr("y"), NULL, &put, &err), &err));
    revision = etcd_put_result_header(put)->revision;
    etcd_put_result_free(put);
    assert_false(real_failed(etcd_compact(filled.client, revision, NULL, &err), &err));
    assert_int_equal(etcd_range_next(range, &page, &err), ETCD_E_COMPACTED);
    assert_int_equal(etcd_range_next(range, &page, &err), ETCD_E_COMPACTED);
    assert_null(page);
    etcd_range_close(range);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pairs_once_and_in_order),
        cmocka_unit_test(test_writers_are_not_seen),
        cmocka_unit_test(test_a_small_receive_limit),
        cmocka_unit_test(test_compaction_under_way),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
