/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reader.h"

#include "base/mem.h"
#include "support/test.h"

static const struct {
    uint8_t data[12];
    size_t len;
    bool ok;
    uint64_t value;
} varints[] = {
    {{0}, 0, false, 0},
    {{0}, 1, true, 0},
    {{0x7f}, 1, true, 127},
    {{0x80, 1}, 2, true, 128},
    {{0x80}, 1, false, 0},
    {{0x80, 0}, 2, true, 0}, /* longer than it must be, which encoders may do */
    {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 10, true, UINT64_MAX},
    {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 11, false, 0},
};

static void numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(varints); i++) {
        struct etcd__wire_reader reader = {.pos = varints[i].data, .end = varints[i].data + varints[i].len};
        uint64_t value = 0;

        assert_int_equal(etcd__wire_read_varint(&reader, &value), varints[i].ok);
        if (varints[i].ok) {
            assert_true(value == varints[i].value);
            assert_int_equal(etcd__wire_left(&reader), 0);
        }
    }
}

static void typed_numbers(void **state)
{
    static const uint8_t data[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 0};
    struct etcd__wire_reader reader = {.pos = data, .end = data + sizeof(data)};
    int64_t number = 0;
    bool flag = false;

    (void)state;
    assert_true(etcd__wire_read_int64(&reader, &number));
    assert_true(number == -1);
    assert_true(etcd__wire_read_bool(&reader, &flag));
    assert_true(flag);
    assert_true(etcd__wire_read_bool(&reader, &flag));
    assert_false(flag);
    assert_false(etcd__wire_read_bool(&reader, &flag));
    assert_false(etcd__wire_read_int64(&reader, &number));
}

static void bytes_stay_inside(void **state)
{
    static const uint8_t data[] = {2, 'a', 'b', 3, 'c'};
    struct etcd__wire_reader reader = {.pos = data, .end = data + sizeof(data)}, content;

    (void)state;
    assert_true(etcd__wire_read_bytes(&reader, &content));
    assert_int_equal(etcd__wire_left(&content), 2);
    assert_memory_equal(content.pos, "ab", 2);
    assert_false(etcd__wire_read_bytes(&reader, &content));
}

static const struct {
    uint64_t tag;
    uint8_t data[12];
    size_t len;
    bool ok;
} skips[] = {
    {ETCD__WIRE_TAG(1, 0), {5}, 1, true},  {ETCD__WIRE_TAG(1, 0), {0}, 0, false},
    {ETCD__WIRE_TAG(1, 1), {0}, 8, true},  {ETCD__WIRE_TAG(1, 1), {0}, 7, false},
    {ETCD__WIRE_TAG(1, 2), {3}, 4, true},  {ETCD__WIRE_TAG(1, 2), {3}, 3, false},
    {ETCD__WIRE_TAG(1, 3), {0}, 8, false}, {ETCD__WIRE_TAG(1, 4), {0}, 8, false},
    {ETCD__WIRE_TAG(1, 5), {0}, 4, true},  {ETCD__WIRE_TAG(1, 5), {0}, 3, false},
};

static void skipping(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(skips); i++) {
        struct etcd__wire_reader reader = {.pos = skips[i].data, .end = skips[i].data + skips[i].len};

        assert_int_equal(etcd__wire_skip(&reader, skips[i].tag), skips[i].ok);
        if (skips[i].ok)
            assert_int_equal(etcd__wire_left(&reader), 0);
    }
}

static void tags(void **state)
{
    static const struct {
        uint8_t data[8];
        size_t len;
        bool ok;
    } cases[] = {
        {{0x08}, 1, true},
        {{0x07}, 1, false}, /* field 0 */
        {{0xff, 0xff, 0xff, 0xff, 0x0f}, 5, true},
        {{0xff, 0xff, 0xff, 0xff, 0x1f}, 5, false},
        {{0x88}, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(cases); i++) {
        struct etcd__wire_reader reader = {.pos = cases[i].data, .end = cases[i].data + cases[i].len};
        uint64_t tag;

        assert_int_equal(etcd__wire_read_tag(&reader, &tag), cases[i].ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(typed_numbers), cmocka_unit_test(bytes_stay_inside),
        cmocka_unit_test(tags),    cmocka_unit_test(skipping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
