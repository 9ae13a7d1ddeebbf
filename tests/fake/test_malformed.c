/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that are broken in every way a protobuf can be, as the answer to each call: the call ends with
 * ETCD_E_PROTOCOL, a write says that it may have been carried out, the connection lives on, and the same call
 * works the next time.
 */
#include "support/every_call.h"
#include "support/fake_client.h"
#include "support/wire_fill.h"
#include "wire/codec.h"

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

static void check_broken(struct world *world, const struct every_call *call, size_t answer)
{
    etcd_error err;
    etcd_status st;

    answer_with(world, call->method, broken[answer].data, broken[answer].len);
    st = call->run(world->client, fake_etcd_endpoint(world->fake), &err);
    if (st != (call->reads_answer ? ETCD_E_PROTOCOL : ETCD_OK))
        fail_msg("%s: %s: %s", call->method, broken[answer].what, etcd_status_name(st));
    if (st == ETCD_OK)
        return; /* "done" is said by the status */
    assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, call->writes ? ETCD_ERROR_MAYBE_APPLIED : 0);
    assert_has_text(err.message, "cannot be read");
}

static void test_broken_answers(void **state)
{
    struct world *world = *state;
    etcd_error err;

    for (size_t i = 0; i < every_call_count; i++) {
        for (size_t j = 0; j < sizeof(broken) / sizeof(broken[0]); j++)
            check_broken(world, &every_call[i], j);
        assert_status(fake_put(world->client, 5000, &err), ETCD_OK, &err);
    }
    assert_int_equal(fake_etcd_connections(world->fake), 1);
}

/*
 * A whole answer with every field in use, and the same cut at each length: whatever is left of it, the call
 * says one thing or the other, and its result can be looked at.
 */
static void check_cuts(struct world *world, const struct every_call *call, uint32_t seed)
{
    struct etcd__arena arena = {0};
    uint8_t *data;
    size_t len;
    etcd_error err;

    assert_int_equal(etcd__wire_pack(wire_fill(&arena, call->answer, 2, &seed), 0, &data, &len), ETCD_OK);
    etcd__arena_deinit(&arena);
    for (size_t cut = 0; cut <= len; cut++) {
        etcd_status st;

        answer_with(world, call->method, (const char *)data, cut);
        st = call->run(world->client, fake_etcd_endpoint(world->fake), &err);
        if (st != ETCD_OK && st != ETCD_E_PROTOCOL && st != ETCD_E_LEASE_NOT_FOUND && st != ETCD_E_CORRUPT)
            fail_msg("%s: %zu of %zu bytes: %s", call->method, cut, len, err.message);
    }
    etcd__free(data);
}

static void test_answers_that_are_cut(void **state)
{
    struct world *world = *state;
    etcd_error err;

    for (size_t i = 0; i < every_call_count; i++)
        check_cuts(world, &every_call[i], (uint32_t)i + 1);
    assert_status(fake_put(world->client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_connections(world->fake), 1);
}

/* Without a lease's or a member's id the rest of an answer is no good, whatever else is in it. */
static bool needs_content(const struct every_call *call)
{
    static const char *const methods[] = {"LeaseGrant", "LeaseKeepAlive", "LeaseTimeToLive", "MemberAdd",
                                          "Snapshot"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(call->method, methods[i]) == 0)
            return true;
    }
    return false;
}

static void test_unknown_fields(void **state)
{
    struct world *world = *state;
    etcd_error err;

    for (size_t i = 0; i < every_call_count; i++) {
        for (size_t j = 0; j < sizeof(fine) / sizeof(fine[0]) && !needs_content(&every_call[i]); j++) {
            print_message("%s: %s\n", every_call[i].method, fine[j].what);
            answer_with(world, every_call[i].method, fine[j].data, fine[j].len);
            assert_status(every_call[i].run(world->client, fake_etcd_endpoint(world->fake), &err), ETCD_OK,
                          &err);
        }
    }
}

static etcd_status commit(etcd_client *client, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("k"), etcd_cstr("w"), NULL);
    st = etcd_txn_commit(client, txn, NULL, NULL, err);
    etcd_txn_free(txn);
    return st;
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
        TEST(test_answers_that_are_cut),
        TEST(test_unknown_fields),
        TEST(test_deep_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
