/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that are broken in every way a protobuf can be, as the answer to each call: the call ends with
 * ETCD_E_PROTOCOL, a write says that it may have been carried out, the connection lives on, and the same call
 * works the next time.
 */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *what, *data;
    size_t len;
} broken[] = {
    {"a tag and nothing else", BYTES("\x0a")},
    {"a number that does not end", BYTES("\x08\xff\xff")},
    {"a number of eleven bytes", BYTES("\x98\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
    {"a tag that does not end", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
    {"field 0", BYTES("\x02\x01x")},
    {"a header longer than the message", BYTES("\x0a\x7f\x08\x01")},
    {"a header of 4 GiB", BYTES("\x0a\xff\xff\xff\xff\x0f\x08")},
    {"a header of 2^64-1 bytes", BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x08")},
    {"a header that is cut inside", BYTES("\x0a\x02\x08\x80")},
    {"a group", BYTES("\xfb\x3f\xfc\x3f")},
    {"wire type 6", BYTES("\xfe\x3f\x01")},
    {"wire type 7", BYTES("\xff\x3f\x01")},
    {"an unknown field that is cut", BYTES("\xfa\x3f\x05x")},
    {"four bytes of which two are there", BYTES("\xfd\x3f\x01\x02")},
    {"eight bytes of which two are there", BYTES("\xf9\x3f\x01\x02")},
};

/* What a later server may say as well. */
static const struct {
    const char *what, *data;
    size_t len;
} fine[] = {
    {"unknown fields of every type", BYTES("\xf8\x3f\x01\xf9\x3f"
                                           "12345678"
                                           "\xfa\x3f\x01x\xfd\x3f"
                                           "1234")},
    {"the header twice", BYTES("\x0a\x02\x08\x07\x0a\x02\x18\x05")},
    {"a field of the header nobody knows", BYTES("\x0a\x05\x08\x07\xfa\x01\x00")},
};

static etcd_lease granted;

static etcd_status get(etcd_client *client, etcd_error *err)
{
    return fake_get(client, 5000, err);
}

static etcd_status put(etcd_client *client, etcd_error *err)
{
    return fake_put(client, 5000, err);
}

static etcd_status delete (etcd_client *client, etcd_error *err)
{
    return etcd_delete(client, etcd_cstr("x"), NULL, NULL, err);
}

static etcd_status commit(etcd_client *client, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_txn_result *result = NULL;
    etcd_status st;

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("w"), NULL);
    st = etcd_txn_commit(client, txn, NULL, &result, err);
    etcd_txn_result_free(result);
    etcd_txn_free(txn);
    return st;
}

static etcd_status grant(etcd_client *client, etcd_error *err)
{
    return etcd_lease_grant(client, 60, NULL, &granted, err);
}

static etcd_status sync_members(etcd_client *client, etcd_error *err)
{
    return etcd_client_sync(client, 5000, err);
}

static const struct {
    const char *method;
    etcd_status (*call)(etcd_client *client, etcd_error *err);
    bool writes;
} calls[] = {
    {"Range", get, false}, {"Put", put, true},           {"DeleteRange", delete, true},
    {"Txn", commit, true}, {"LeaseGrant", grant, true}, {"MemberList", sync_members, false},
};

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    char endpoint[64];
    struct fake_member member;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->fake = fake_etcd_start();
    (void)snprintf(world->endpoint, sizeof(world->endpoint), "http://%s", fake_etcd_endpoint(world->fake));
    world->member = (struct fake_member){"a", world->endpoint, false};
    fake_etcd_set_members(world->fake, &world->member, 1);
    world->client = test_client_open(fake_etcd_endpoint(world->fake), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    fake_etcd_free(world->fake);
    free(world);
    return 0;
}

static void answer_with(struct world *world, const char *method, const char *data, size_t len)
{
    fake_etcd_next(world->fake, method,
                   &(struct fake_step){.what = STEP_MESSAGE, .message = data, .size = len});
}

static void check_broken(struct world *world, size_t call, size_t answer)
{
    uint32_t flags = calls[call].writes ? ETCD_ERROR_MAYBE_APPLIED : 0;
    etcd_error err;
    etcd_status st;

    answer_with(world, calls[call].method, broken[answer].data, broken[answer].len);
    st = calls[call].call(world->client, &err);
    if (st != ETCD_E_PROTOCOL)
        fail_msg("%s: %s: %s", calls[call].method, broken[answer].what, etcd_status_name(st));
    assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, flags);
    assert_has_text(err.message, "cannot be read");
}

static void test_broken_answers(void **state)
{
    struct world *world = *state;
    etcd_error err;

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (size_t j = 0; j < sizeof(broken) / sizeof(broken[0]); j++)
            check_broken(world, i, j);
        assert_status(calls[i].call(world->client, &err), ETCD_OK, &err);
    }
    assert_int_equal(fake_etcd_connections(world->fake), 1);
    assert_int_equal(fake_etcd_resets(world->fake), 0);
}

static void test_unknown_fields(void **state)
{
    struct world *world = *state;
    etcd_error err;

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].method, "MemberList") == 0 || strcmp(calls[i].method, "LeaseGrant") == 0)
            continue; /* without members, or without an id, the rest of the answer is no good */
        for (size_t j = 0; j < sizeof(fine) / sizeof(fine[0]); j++) {
            print_message("%s: %s\n", calls[i].method, fine[j].what);
            answer_with(world, calls[i].method, fine[j].data, fine[j].len);
            assert_status(calls[i].call(world->client, &err), ETCD_OK, &err);
        }
    }
}

/* An answer that nests transactions without end: refused before anything recurses. */
static void test_deep_answers(void **state)
{
    enum { LEVELS = 20000, SIZE = LEVELS * 8 };
    struct world *world = *state;
    static uint8_t data[SIZE];
    size_t at = SIZE;
    etcd_error err;

    for (size_t level = 0; level < LEVELS; level++) {
        size_t len = SIZE - at;

        data[--at] = (uint8_t)(len >> 14);
        data[--at] = (uint8_t)(len >> 7 | 0x80);
        data[--at] = (uint8_t)(len | 0x80);
        data[--at] = level % 2 == 0 ? 0x22 : 0x1a; /* ResponseOp.response_txn, TxnResponse.responses */
    }
    answer_with(world, "Txn", (const char *)data + at, SIZE - at);
    assert_status(commit(world->client, &err), ETCD_E_PROTOCOL, &err);
    assert_true((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    assert_status(commit(world->client, &err), ETCD_OK, &err);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_broken_answers),
        TEST(test_unknown_fields),
        TEST(test_deep_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
