/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "support/alloc_fail.h"
#include "support/test.h"

static void content_is(const struct etcd__buf *buf, const char *text)
{
    assert_int_equal(etcd__buf_len(buf), strlen(text));
    if (*text != '\0')
        assert_memory_equal(etcd__buf_front(buf), text, strlen(text));
}

static void fills_at_the_end_and_drains_at_the_front(void **state)
{
    struct etcd__buf buf = {0};

    (void)state;
    assert_null(etcd__buf_front(&buf));
    assert_true(etcd__buf_append(&buf, "hello ", 6));
    assert_true(etcd__buf_append(&buf, NULL, 0));
    assert_true(etcd__buf_printf(&buf, "%s %d", "world", 7));
    content_is(&buf, "hello world 7");
    etcd__buf_consume(&buf, 6);
    content_is(&buf, "world 7");
    etcd__buf_consume(&buf, 7);
    content_is(&buf, "");
    assert_int_equal(buf.start, 0);
    etcd__buf_deinit(&buf);
}

/* A stream of counted bytes through the buffer, in chunks of odd sizes, against arithmetic. */
static void keeps_every_byte_in_order(void **state)
{
    struct etcd__buf buf;
    size_t in = 0, out = 0;

    (void)state;
    etcd__buf_init(&buf, 0);
    for (size_t round = 0; round < 4000; round++) {
        size_t add = round * 37 % 301, take = round * 53 % 293;

        for (size_t i = 0; i < add; i++, in++) {
            uint8_t byte = (uint8_t)(in * 31);

            assert_true(etcd__buf_append(&buf, &byte, 1));
        }
        if (take > etcd__buf_len(&buf))
            take = etcd__buf_len(&buf);
        for (size_t i = 0; i < take; i++, out++)
            assert_int_equal(etcd__buf_front(&buf)[i], (uint8_t)(out * 31));
        etcd__buf_consume(&buf, take);
    }
    assert_int_equal(in - out, etcd__buf_len(&buf));
    assert_true(buf.capacity < 65536); /* drained memory is used again */
    etcd__buf_deinit(&buf);
}

static void stops_at_the_maximum(void **state)
{
    struct etcd__buf buf;

    (void)state;
    etcd__buf_init(&buf, 10);
    assert_true(etcd__buf_append(&buf, "12345678", 8));
    assert_false(etcd__buf_append(&buf, "123", 3));
    assert_null(etcd__buf_reserve(&buf, SIZE_MAX));
    assert_false(etcd__buf_printf(&buf, "%d", 123));
    content_is(&buf, "12345678");
    etcd__buf_consume(&buf, 4);
    assert_true(etcd__buf_printf(&buf, "%d", 123456)); /* to the last byte */
    content_is(&buf, "5678123456");
    assert_int_equal(buf.capacity, 10);
    etcd__buf_deinit(&buf);
    assert_int_equal(buf.max, 10);
}

static void reserve_and_commit(void **state)
{
    struct etcd__buf buf = {0};
    uint8_t *room = etcd__buf_reserve(&buf, 1000);

    (void)state;
    assert_non_null(room);
    memcpy(room, "ab", 2);
    etcd__buf_commit(&buf, 2);
    content_is(&buf, "ab");
    etcd__buf_deinit(&buf);
}

static void trim_gives_back(void **state)
{
    struct etcd__buf buf = {0};

    (void)state;
    assert_non_null(etcd__buf_reserve(&buf, 100000));
    assert_true(etcd__buf_append(&buf, "x", 1));
    etcd__buf_trim(&buf, 0);
    assert_true(buf.capacity >= 100000); /* not empty */
    etcd__buf_consume(&buf, 1);
    etcd__buf_trim(&buf, 1000);
    assert_int_equal(buf.capacity, 1000);
    assert_true(etcd__buf_append(&buf, "x", 1));
    etcd__buf_consume(&buf, 1);
    etcd__buf_trim(&buf, 0);
    assert_null(buf.data);
    assert_int_equal(alloc_live(), 0);
}

static void survives_out_of_memory(void **state)
{
    struct etcd__buf buf = {0};

    (void)state;
    alloc_fail_from(1);
    assert_false(etcd__buf_append(&buf, "x", 1));
    assert_false(etcd__buf_printf(&buf, "x"));
    alloc_fail_at(0);
    assert_true(etcd__buf_append(&buf, "kept", 4));
    alloc_fail_from(1);
    assert_null(etcd__buf_reserve(&buf, 100000));
    content_is(&buf, "kept");
    alloc_fail_at(0);
    etcd__buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_at_the_end_and_drains_at_the_front),
        cmocka_unit_test(keeps_every_byte_in_order),
        cmocka_unit_test(stops_at_the_maximum),
        cmocka_unit_test(reserve_and_commit),
        cmocka_unit_test(trim_gives_back),
        cmocka_unit_test(survives_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
