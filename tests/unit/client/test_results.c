/* SPDX-License-Identifier: Apache-2.0 */
#include "client/results.h"

#include "base/mem.h"
#include "support/alloc_fail.h"
#include "support/test.h"
#include "wire/codec.h"
#include "wire/messages.h"

#include <stdlib.h>

struct bytes {
    uint8_t *data;
    size_t len;
};

static struct bytes pack(const ProtobufCMessage *message)
{
    struct bytes bytes = {.len = 0};

    assert_int_equal(etcd__wire_pack(message, 0, &bytes.data, &bytes.len), ETCD_OK);
    return bytes;
}

static ProtobufCBinaryData binary(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

static Etcd__Pb__ResponseHeader header_of(int64_t revision)
{
    Etcd__Pb__ResponseHeader header = ETCD__PB__RESPONSE_HEADER__INIT;

    header.cluster_id = 1;
    header.member_id = 2;
    header.revision = revision;
    header.raft_term = 4;
    return header;
}

static Etcd__Pb__KeyValue kv_of(const char *key, const char *value)
{
    Etcd__Pb__KeyValue kv = ETCD__PB__KEY_VALUE__INIT;

    kv.key = binary(key);
    kv.value = binary(value);
    kv.create_revision = 5;
    kv.mod_revision = 6;
    kv.version = 7;
    kv.lease = 8;
    return kv;
}

static void assert_kv(const etcd_kv *kv, const char *key, const char *value)
{
    assert_non_null(kv);
    assert_int_equal(kv->key.len, strlen(key));
    assert_string_equal(kv->key.data, key); /* with its NUL */
    assert_int_equal(kv->value.len, strlen(value));
    assert_string_equal(kv->value.data, value);
    assert_int_equal(kv->create_revision, 5);
    assert_int_equal(kv->mod_revision, 6);
    assert_int_equal(kv->version, 7);
    assert_int_equal(kv->lease_id, 8);
}

static void assert_header(const etcd_header *header, int64_t revision)
{
    assert_int_equal(header->cluster_id, 1);
    assert_int_equal(header->member_id, 2);
    assert_int_equal(header->revision, revision);
    assert_int_equal(header->raft_term, 4);
}

/* ---- single calls -----------------------------------------------------------------------------------------
 */

static struct bytes get_answer(void)
{
    Etcd__Pb__RangeResponse response = ETCD__PB__RANGE_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = header_of(9);
    Etcd__Pb__KeyValue a = kv_of("a", "1"), b = kv_of("b", ""), *kvs[] = {&a, &b};

    response.header = &header;
    response.kvs = kvs;
    response.n_kvs = 2;
    response.more = true;
    response.count = 10;
    return pack(&response.base);
}

/* As what has arrived in a buffer of its own, which is given away. */
static etcd_status get_decode_large(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr)
{
    struct etcd__buf answer = {.data = etcd__memdup(data, len), .end = len, .capacity = len};

    if (answer.data == NULL)
        return etcd__fail_memory(reterr);
    return etcd__get_decode_large(&answer, ret_result, reterr);
}

static void check_get(etcd_status (*decode)(const uint8_t *data, size_t len, void **ret_result,
                                            etcd_error *reterr))
{
    struct bytes bytes = get_answer();
    void *result = NULL;

    assert_int_equal(decode(bytes.data, bytes.len, &result, NULL), ETCD_OK);
    memset(bytes.data, 0xff, bytes.len); /* nothing refers to it */
    etcd__free(bytes.data);
    assert_header(etcd_get_result_header(result), 9);
    assert_int_equal(etcd_get_result_count(result), 2);
    assert_int_equal(etcd_get_result_total(result), 10);
    assert_true(etcd_get_result_more(result));
    assert_kv(etcd_get_result_kv(result, 0), "a", "1");
    assert_kv(etcd_get_result_kv(result, 1), "b", "");
    assert_null(etcd_get_result_kv(result, 2));
    assert_null(etcd_get_result_kv(result, SIZE_MAX));
    etcd_get_result_free(result);
}

static void test_get(void **state)
{
    (void)state;
    check_get(etcd__get_decode);
    check_get(get_decode_large);
}

static struct bytes put_answer(bool prev)
{
    Etcd__Pb__PutResponse response = ETCD__PB__PUT_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = header_of(9);
    Etcd__Pb__KeyValue kv = kv_of("a", "1");

    response.header = &header;
    response.prev_kv = prev ? &kv : NULL;
    return pack(&response.base);
}

static void test_put(void **state)
{
    (void)state;
    for (int prev = 0; prev < 2; prev++) {
        struct bytes bytes = put_answer(prev == 1);
        void *result = NULL;

        assert_int_equal(etcd__put_decode(bytes.data, bytes.len, &result, NULL), ETCD_OK);
        assert_header(etcd_put_result_header(result), 9);
        if (prev == 1)
            assert_kv(etcd_put_result_prev_kv(result), "a", "1");
        else
            assert_null(etcd_put_result_prev_kv(result));
        etcd_put_result_free(result);
        etcd__free(bytes.data);
    }
}

static struct bytes delete_answer(void)
{
    Etcd__Pb__DeleteRangeResponse response = ETCD__PB__DELETE_RANGE_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = header_of(9);
    Etcd__Pb__KeyValue kv = kv_of("a", "1"), *kvs[] = {&kv};

    response.header = &header;
    response.deleted = 3;
    response.prev_kvs = kvs;
    response.n_prev_kvs = 1;
    return pack(&response.base);
}

static void test_delete(void **state)
{
    struct bytes bytes = delete_answer();
    void *result = NULL;

    (void)state;
    assert_int_equal(etcd__delete_decode(bytes.data, bytes.len, &result, NULL), ETCD_OK);
    assert_header(etcd_delete_result_header(result), 9);
    assert_int_equal(etcd_delete_result_deleted(result), 3);
    assert_int_equal(etcd_delete_result_prev_count(result), 1);
    assert_kv(etcd_delete_result_prev_kv(result, 0), "a", "1");
    assert_null(etcd_delete_result_prev_kv(result, 1));
    etcd_delete_result_free(result);
    etcd__free(bytes.data);
}

/* ---- transactions
 * ------------------------------------------------------------------------------------------ */

static struct bytes txn_answer(bool unknown)
{
    Etcd__Pb__TxnResponse response = ETCD__PB__TXN_RESPONSE__INIT, inner = ETCD__PB__TXN_RESPONSE__INIT;
    Etcd__Pb__ResponseHeader header = header_of(9);
    Etcd__Pb__KeyValue kv = kv_of("a", "1"), *kvs[] = {&kv};
    Etcd__Pb__PutResponse put = ETCD__PB__PUT_RESPONSE__INIT;
    Etcd__Pb__RangeResponse get = ETCD__PB__RANGE_RESPONSE__INIT;
    Etcd__Pb__DeleteRangeResponse del = ETCD__PB__DELETE_RANGE_RESPONSE__INIT;
    Etcd__Pb__ResponseOp ops[4], *list[4];

    for (size_t i = 0; i < 4; i++) {
        etcd__pb__response_op__init(&ops[i]);
        list[i] = &ops[i];
    }
    put.prev_kv = &kv;
    get.kvs = kvs;
    get.n_kvs = 1;
    get.count = 1;
    del.deleted = 2;
    inner.succeeded = true;
    ops[0].response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_PUT;
    ops[0].response_put = &put;
    ops[1].response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE;
    ops[1].response_range = &get;
    ops[2].response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE;
    ops[2].response_delete_range = &del;
    if (!unknown) {
        ops[3].response_case = ETCD__PB__RESPONSE_OP__RESPONSE_RESPONSE_TXN;
        ops[3].response_txn = &inner;
    }
    response.header = &header;
    response.responses = list;
    response.n_responses = 4;
    return pack(&response.base);
}

static void test_txn(void **state)
{
    struct bytes bytes = txn_answer(false);
    void *result = NULL;

    (void)state;
    assert_int_equal(etcd__txn_decode(bytes.data, bytes.len, &result, NULL), ETCD_OK);
    assert_header(etcd_txn_result_header(result), 9);
    assert_false(etcd_txn_result_succeeded(result));
    assert_int_equal(etcd_txn_result_count(result), 4);
    assert_int_equal(etcd_txn_result_kind(result, 0), ETCD_TXN_KIND_PUT);
    assert_int_equal(etcd_txn_result_kind(result, 3), ETCD_TXN_KIND_TXN);
    assert_int_equal(etcd_txn_result_kind(result, 4), ETCD_TXN_KIND_NONE);
    assert_kv(etcd_put_result_prev_kv(etcd_txn_result_put(result, 0)), "a", "1");
    assert_kv(etcd_get_result_kv(etcd_txn_result_get(result, 1), 0), "a", "1");
    assert_int_equal(etcd_delete_result_deleted(etcd_txn_result_delete(result, 2)), 2);
    assert_true(etcd_txn_result_succeeded(etcd_txn_result_nested(result, 3)));
    assert_int_equal(etcd_txn_result_count(etcd_txn_result_nested(result, 3)), 0);
    /* As something that it is not. */
    assert_null(etcd_txn_result_put(result, 1));
    assert_null(etcd_txn_result_get(result, 0));
    assert_null(etcd_txn_result_delete(result, 0));
    assert_null(etcd_txn_result_nested(result, 0));
    assert_null(etcd_txn_result_put(result, 4));
    etcd_txn_result_free(result);
    etcd__free(bytes.data);
}

static void test_a_part_without_a_kind(void **state)
{
    struct bytes bytes = txn_answer(true);
    void *result = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd__txn_decode(bytes.data, bytes.len, &result, &err), ETCD_E_PROTOCOL);
    assert_null(result);
    etcd__free(bytes.data);
}

/* ---- bad input
 * ----------------------------------------------------------------------------------------------- */

typedef etcd_status decode_fn(const uint8_t *data, size_t len, void **ret_result, etcd_error *reterr);

struct decoding {
    decode_fn *decode;
    void (*release)(void *result);
    struct bytes bytes;
};

static void decode_one(size_t n, void *user)
{
    const struct decoding *decoding = user;
    size_t before = alloc_live();
    void *result = NULL;
    etcd_error err;
    etcd_status st = decoding->decode(decoding->bytes.data, decoding->bytes.len, &result, &err);

    (void)n;
    if (st == ETCD_OK)
        decoding->release(result);
    else
        assert_int_equal(st, ETCD_E_NO_MEMORY);
    assert_int_equal(alloc_live(), before);
}

/* Cut anywhere: an answer or a refusal, never a crash. The copy is of just that size, so that a byte too far
 * shows. */
static void decode_cut(const struct decoding *decoding)
{
    for (size_t len = 0; len < decoding->bytes.len; len++) {
        uint8_t *cut = malloc(len + 1);
        void *result = NULL;
        etcd_status st;

        memcpy(cut, decoding->bytes.data, len);
        cut = realloc(cut, len == 0 ? 1 : len);
        st = decoding->decode(cut, len, &result, NULL);
        if (st == ETCD_OK)
            decoding->release(result);
        else
            assert_int_equal(st, ETCD_E_PROTOCOL);
        free(cut);
    }
}

static void test_bad_input(void **state)
{
    struct decoding decodings[] = {
        {etcd__put_decode, etcd__put_result_release, put_answer(true)},
        {etcd__get_decode, etcd__get_result_release, get_answer()},
        {get_decode_large, etcd__get_result_release, get_answer()},
        {etcd__delete_decode, etcd__delete_result_release, delete_answer()},
        {etcd__txn_decode, etcd__txn_result_release, txn_answer(false)},
    };

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(decodings); i++) {
        void *result = NULL;
        etcd_error err;

        decode_cut(&decodings[i]);
        assert_true(alloc_fail_each(decode_one, &decodings[i]) > 0);
        assert_int_equal(decodings[i].decode((const uint8_t *)"\xff\xff\xff", 3, &result, &err),
                         ETCD_E_PROTOCOL);
        assert_string_equal(err.message, "the server's answer cannot be read");
        assert_null(result);
        etcd__free(decodings[i].bytes.data);
    }
}

static void test_an_empty_answer(void **state)
{
    void *result = NULL;

    (void)state;
    assert_int_equal(etcd__get_decode((const uint8_t *)"", 0, &result, NULL), ETCD_OK);
    assert_int_equal(etcd_get_result_count(result), 0);
    assert_int_equal(etcd_get_result_header(result)->revision, 0);
    etcd_get_result_free(result);
    assert_int_equal(etcd__txn_decode((const uint8_t *)"", 0, &result, NULL), ETCD_OK);
    assert_int_equal(etcd_txn_result_count(result), 0);
    etcd_txn_result_free(result);
    etcd_put_result_free(NULL);
    etcd_get_result_free(NULL);
    etcd_delete_result_free(NULL);
    etcd_txn_result_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_txn),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_a_part_without_a_kind),
        cmocka_unit_test(test_an_empty_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
