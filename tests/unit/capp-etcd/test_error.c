/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/etcd.h"

#include "support/test.h"

static etcd_error make(etcd_status status, const char *message)
{
    etcd_error error = {.status = status, .grpc_code = -1};

    memcpy(error.message, message, strlen(message) + 1);
    return error;
}

static void every_status_has_its_counterpart(void **state)
{
    static const struct {
        etcd_status from;
        capp_status to;
    } table[] = {
        {ETCD_E_INVALID_ARGUMENT, CAPP_E_INVALID_ARGUMENT},
        {ETCD_E_NO_MEMORY, CAPP_E_NO_MEMORY},
        {ETCD_E_CLOSED, CAPP_E_CLOSED},
        {ETCD_E_CANCELLED, CAPP_E_CANCELLED},
        {ETCD_E_DEADLINE, CAPP_E_TIMEOUT},
        {ETCD_E_UNAVAILABLE, CAPP_E_UNAVAILABLE},
        {ETCD_E_WOULD_DEADLOCK, CAPP_E_STATE},
        {ETCD_E_BUSY, CAPP_E_EXTERNAL},
        {ETCD_E_AUTH, CAPP_E_AUTH},
        {ETCD_E_DENIED, CAPP_E_DENIED},
        {ETCD_E_NOT_FOUND, CAPP_E_NOT_FOUND},
        {ETCD_E_EXISTS, CAPP_E_DUPLICATE},
        {ETCD_E_LEASE_NOT_FOUND, CAPP_E_EXTERNAL},
        {ETCD_E_LEASE_LOST, CAPP_E_EXTERNAL},
        {ETCD_E_COMPACTED, CAPP_E_EXTERNAL},
        {ETCD_E_FUTURE_REVISION, CAPP_E_EXTERNAL},
        {ETCD_E_TOO_LARGE, CAPP_E_EXTERNAL},
        {ETCD_E_NO_SPACE, CAPP_E_EXTERNAL},
        {ETCD_E_NO_LEADER, CAPP_E_UNAVAILABLE},
        {ETCD_E_PRECONDITION, CAPP_E_EXTERNAL},
        {ETCD_E_CLUSTER_CHANGED, CAPP_E_EXTERNAL},
        {ETCD_E_UNSUPPORTED, CAPP_E_EXTERNAL},
        {ETCD_E_PROTOCOL, CAPP_E_EXTERNAL},
        {ETCD_E_CORRUPT, CAPP_E_EXTERNAL},
        {ETCD_E_IO, CAPP_E_IO},
        {ETCD_E_INTERNAL, CAPP_E_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        etcd_error from = make(table[i].from, "put: client 'a': because");
        capp_error to;

        assert_int_equal(table[i].from, i + 1); /* none is left out */
        assert_int_equal(capp_error_from_etcd(&from, NULL), table[i].to);
        assert_int_equal(capp_error_from_etcd(&from, &to), table[i].to);
        assert_int_equal(to.status, table[i].to);
        assert_int_equal(to.external_code, table[i].from);
        assert_string_equal(to.message, from.message);
    }
}

static void no_text_and_no_flag_is_lost(void **state)
{
    char text[ETCD_ERROR_MESSAGE_SIZE];
    capp_error to;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "100% %s %n ", 11); /* is no format */
    etcd_error from = make(ETCD_E_IO, text);
    from.flags = ETCD_ERROR_RETRYABLE | ETCD_ERROR_MAYBE_APPLIED | ETCD_ERROR_FROM_SERVER;
    from.sys_errno = 13;
    assert_int_equal(capp_error_from_etcd(&from, &to), CAPP_E_IO);
    assert_string_equal(to.message, text);
    assert_int_equal(to.flags, CAPP_ERROR_RETRYABLE | CAPP_ERROR_MAYBE_APPLIED | CAPP_ERROR_FROM_SERVER);
    assert_int_equal(to.sys_errno, 13);

    from.flags = ETCD_ERROR_MAYBE_APPLIED;
    assert_int_equal(capp_error_from_etcd(&from, &to), CAPP_E_IO);
    assert_int_equal(to.flags, CAPP_ERROR_MAYBE_APPLIED);
}

static void a_status_without_a_text_gets_one(void **state)
{
    etcd_error from = make(ETCD_E_COMPACTED, "");
    capp_error to;

    (void)state;
    assert_int_equal(capp_error_from_etcd(&from, &to), CAPP_E_EXTERNAL);
    assert_string_equal(to.message, etcd_status_text(ETCD_E_COMPACTED));
}

static void success_stays_success(void **state)
{
    etcd_error from = make(ETCD_OK, "");
    capp_error to = {.status = CAPP_E_IO};

    (void)state;
    assert_int_equal(capp_error_from_etcd(&from, &to), CAPP_OK);
    assert_int_equal(to.status, CAPP_E_IO); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_counterpart),
        cmocka_unit_test(no_text_and_no_flag_is_lost),
        cmocka_unit_test(a_status_without_a_text_gets_one),
        cmocka_unit_test(success_stays_success),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
