/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/nesting.h"

#include "support/test.h"
#include "wire/codec.h"
#include "wire/messages.h"

enum { MESSAGE_MAX = 65536 };

/* Bytes that are written from their end, since what is inside has to be known before its length. */
struct nested {
    uint8_t data[MESSAGE_MAX];
    size_t start;
};

static void wrap(struct nested *nested, uint8_t field)
{
    size_t len = MESSAGE_MAX - nested->start;
    uint8_t prefix[8];
    size_t used = 0;

    prefix[used++] = (uint8_t)(field << 3 | 2);
    do {
        prefix[used++] = (uint8_t)((len & 0x7f) | (len > 0x7f ? 0x80 : 0));
        len >>= 7;
    } while (len > 0);
    assert_true(nested->start >= used);
    nested->start -= used;
    memcpy(nested->data + nested->start, prefix, used);
}

/* `depth` transactions in each other; the innermost is empty. */
static void nest(struct nested *nested, size_t depth, uint8_t field)
{
    nested->start = MESSAGE_MAX;
    for (size_t i = 1; i < depth; i++) {
        wrap(nested, 4);
        wrap(nested, field);
    }
}

static etcd_status unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
    struct etcd__arena arena = {0};
    etcd_status status;

    etcd__wire_unpack(type, &arena, data, len, &status);
    etcd__arena_deinit(&arena);
    return status;
}

static void depth_is_limited(void **state)
{
    static const struct {
        const ProtobufCMessageDescriptor *type;
        uint8_t field;
    } cases[] = {
        {&etcd__pb__txn_response__descriptor, 3},
        {&etcd__pb__txn_request__descriptor, 2},
        {&etcd__pb__txn_request__descriptor, 3},
    };
    static struct nested nested;

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(cases); i++) {
        for (size_t depth = 1; depth < 200; depth++) {
            nest(&nested, depth, cases[i].field);
            assert_int_equal(unpack(cases[i].type, nested.data + nested.start, MESSAGE_MAX - nested.start),
                             depth <= ETCD__WIRE_DEPTH_MAX ? ETCD_OK : ETCD_E_PROTOCOL);
        }
        nest(&nested, 7000, cases[i].field); /* would take the stack with it */
        assert_int_equal(unpack(cases[i].type, nested.data + nested.start, MESSAGE_MAX - nested.start),
                         ETCD_E_PROTOCOL);
    }
}

static void wide_is_not_deep(void **state)
{
    uint8_t data[3000];
    size_t len = 0;

    (void)state;
    while (len + 4 <= sizeof(data)) {
        static const uint8_t op[] = {0x1a, 2, 0x22, 0};

        memcpy(data + len, op, sizeof(op));
        len += sizeof(op);
    }
    assert_int_equal(unpack(&etcd__pb__txn_response__descriptor, data, len), ETCD_OK);
}

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *type;
    uint8_t data[12];
    size_t len;
    bool ok;
} cases[] = {
    {"empty", &etcd__pb__txn_response__descriptor, {0}, 0, true},
    {"succeeded", &etcd__pb__txn_response__descriptor, {0x10, 1}, 2, true},
    {"tag cut off", &etcd__pb__txn_response__descriptor, {0x90}, 1, false},
    {"number cut off", &etcd__pb__txn_response__descriptor, {0x10}, 1, false},
    {"number without end",
     &etcd__pb__txn_response__descriptor,
     {0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
     12,
     false},
    {"length beyond the end", &etcd__pb__txn_response__descriptor, {0x1a, 2, 0}, 3, false},
    {"inner length beyond the outer end",
     &etcd__pb__txn_response__descriptor,
     {0x1a, 2, 0x22, 1, 0},
     5,
     false},
    {"huge length", &etcd__pb__txn_response__descriptor, {0x1a, 0xff, 0xff, 0xff, 0xff, 0x7f}, 6, false},
    {"a group", &etcd__pb__txn_response__descriptor, {0x1b}, 1, false},
    {"field 0", &etcd__pb__txn_response__descriptor, {0x02, 0}, 2, false},
    {"two operations in one", &etcd__pb__response_op__descriptor, {0x0a, 0, 0x12, 0}, 4, false},
    {"the same twice", &etcd__pb__request_op__descriptor, {0x0a, 0, 0x0a, 0}, 4, false},
    {"one operation", &etcd__pb__request_op__descriptor, {0x12, 0}, 2, true},
    {"two ranges in one part", &etcd__pb__range_stream_response__descriptor, {0x0a, 0, 0x0a, 0}, 4, false},
    {"cannot nest, is not looked at", &etcd__pb__put_response__descriptor, {0x90}, 1, true},
};

static void shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(cases); i++) {
        if (etcd__wire_nesting_ok(cases[i].type, cases[i].data, cases[i].len) != cases[i].ok)
            fail_msg("%s", cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(wide_is_not_deep),
        cmocka_unit_test(shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
