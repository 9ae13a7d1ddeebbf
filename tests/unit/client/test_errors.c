/* SPDX-License-Identifier: Apache-2.0 */
/* What ends of calls mean, also those that no server can be made to give. The whole table goes over the wire
 * in tests/fake/test_errors.c. */
#include "client/errors.h"

#include "client/client.h"
#include "support/test.h"

static struct etcd__call_end end_here(enum etcd__grpc_code code, enum etcd__sent sent)
{
    return (struct etcd__call_end){.code = code, .message = "x", .sent = sent, .endpoint = "h:1"};
}

static void test_ends_found_here(void **state)
{
    static const struct {
        enum etcd__grpc_code code;
        enum etcd__sent sent;
        bool no_memory, too_large, malformed;
        etcd_status status;
        enum etcd__remedy remedy;
        bool maybe;
    } cases[] = {
        {ETCD__GRPC_UNAVAILABLE, ETCD__MAYBE_SENT, false, false, false, ETCD_E_UNAVAILABLE,
         ETCD__REMEDY_RETRY, true},
        {ETCD__GRPC_UNAVAILABLE, ETCD__NOT_SENT, false, false, false, ETCD_E_UNAVAILABLE, ETCD__REMEDY_REPEAT,
         false},
        {ETCD__GRPC_INTERNAL, ETCD__NOT_SENT, false, false, false, ETCD_E_PROTOCOL, ETCD__REMEDY_REPEAT,
         false},
        {ETCD__GRPC_RESOURCE_EXHAUSTED, ETCD__MAYBE_SENT, true, false, false, ETCD_E_NO_MEMORY,
         ETCD__REMEDY_NONE, true},
        {ETCD__GRPC_RESOURCE_EXHAUSTED, ETCD__NOT_SENT, true, false, false, ETCD_E_NO_MEMORY,
         ETCD__REMEDY_NONE, false},
        {ETCD__GRPC_RESOURCE_EXHAUSTED, ETCD__MAYBE_SENT, false, true, false, ETCD_E_TOO_LARGE,
         ETCD__REMEDY_NONE, true},
        {ETCD__GRPC_INTERNAL, ETCD__MAYBE_SENT, false, false, true, ETCD_E_PROTOCOL, ETCD__REMEDY_NONE, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct etcd__call_end end = end_here(cases[i].code, cases[i].sent);
        struct etcd__verdict verdict;

        end.no_memory = cases[i].no_memory;
        end.too_large = cases[i].too_large;
        end.malformed = cases[i].malformed;
        verdict = etcd__verdict_of(&end);
        print_message("case %zu\n", i);
        assert_int_equal(verdict.status, cases[i].status);
        assert_int_equal(verdict.remedy, cases[i].remedy);
        assert_int_equal(verdict.maybe_applied, cases[i].maybe);
    }
}

/* Only a server's own words are looked up: a message that was made here is nobody's answer. */
static void test_texts_count_from_servers_only(void **state)
{
    struct etcd__call_end end = end_here(ETCD__GRPC_UNAVAILABLE, ETCD__MAYBE_SENT);

    (void)state;
    end.message = "etcdserver: permission denied";
    assert_int_equal(etcd__verdict_of(&end).status, ETCD_E_UNAVAILABLE);
    end.from_server = true;
    assert_int_equal(etcd__verdict_of(&end).status, ETCD_E_DENIED);
    end.message = "etcdserver: permission denied, and more";
    assert_int_equal(etcd__verdict_of(&end).status, ETCD_E_UNAVAILABLE);
}

static void test_texts_inside_of_answers(void **state)
{
    static const struct {
        const char *text;
        etcd_status status;
        enum etcd__remedy remedy;
    } cases[] = {
        {"etcdserver: permission denied", ETCD_E_DENIED, ETCD__REMEDY_NONE},
        {"rpc error: code = PermissionDenied desc = etcdserver: permission denied", ETCD_E_DENIED,
         ETCD__REMEDY_NONE},
        {"rpc error: code = Unauthenticated desc = etcdserver: invalid auth token", ETCD_E_AUTH,
         ETCD__REMEDY_LOGIN},
        {"etcdserver: no leader", ETCD_E_NO_LEADER, ETCD__REMEDY_REPEAT},
        {"something new", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE},
        {"rpc error: code = X desc = ", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE},
        {"", ETCD_E_PRECONDITION, ETCD__REMEDY_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct etcd__verdict verdict = etcd__verdict_of_text(cases[i].text);

        print_message("%s\n", cases[i].text);
        assert_int_equal(verdict.status, cases[i].status);
        assert_int_equal(verdict.remedy, cases[i].remedy);
    }
}

static void test_records(void **state)
{
    char name[] = "orders";
    struct etcd_client client = {.config.name = name};
    struct etcd__call_end end = end_here(ETCD__GRPC_UNAVAILABLE, ETCD__MAYBE_SENT);
    struct etcd__verdict verdict = etcd__verdict_of(&end);
    etcd_error err;

    (void)state;
    assert_int_equal(etcd__error_of_end(&err, &client, "put", &end, &verdict, true), ETCD_E_UNAVAILABLE);
    assert_string_equal(err.message,
                        "put: client 'orders', endpoint h:1: x (the write may have been applied)");
    assert_int_equal(err.flags, ETCD_ERROR_MAYBE_APPLIED);
    assert_int_equal(err.grpc_code, -1);
    assert_int_equal(etcd__error_of_end(&err, &client, "get", &end, &verdict, false), ETCD_E_UNAVAILABLE);
    assert_string_equal(err.message, "get: client 'orders', endpoint h:1: x");
    assert_int_equal(err.flags, ETCD_ERROR_RETRYABLE);
    end.endpoint = "";
    end.from_server = true;
    assert_int_equal(etcd__error_of_end(&err, &client, "get", &end, &verdict, false), ETCD_E_UNAVAILABLE);
    assert_string_equal(err.message, "get: client 'orders': x");
    assert_int_equal(err.flags, ETCD_ERROR_RETRYABLE | ETCD_ERROR_FROM_SERVER);
    assert_int_equal(err.grpc_code, ETCD__GRPC_UNAVAILABLE);
    assert_int_equal(etcd__error_of_end(NULL, &client, "get", &end, &verdict, false), ETCD_E_UNAVAILABLE);
}

static void test_which_statuses_pass(void **state)
{
    (void)state;
    for (int status = ETCD_OK; status <= ETCD_E_INTERNAL; status++) {
        bool passes = status == ETCD_E_UNAVAILABLE || status == ETCD_E_DEADLINE ||
                      status == ETCD_E_NO_LEADER || status == ETCD_E_BUSY || status == ETCD_E_NO_MEMORY;

        assert_int_equal(etcd__status_retryable((etcd_status)status), passes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_found_here),         cmocka_unit_test(test_texts_count_from_servers_only),
        cmocka_unit_test(test_texts_inside_of_answers), cmocka_unit_test(test_records),
        cmocka_unit_test(test_which_statuses_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
