/* SPDX-License-Identifier: Apache-2.0 */
/* Every answer that a server is known to give, over the wire: what it becomes for a write and for a read. */
#include "support/every_call.h"
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum code {
    CANCELLED = 1,
    UNKNOWN = 2,
    INVALID_ARGUMENT = 3,
    DEADLINE_EXCEEDED = 4,
    NOT_FOUND = 5,
    ALREADY_EXISTS = 6,
    PERMISSION_DENIED = 7,
    RESOURCE_EXHAUSTED = 8,
    FAILED_PRECONDITION = 9,
    ABORTED = 10,
    OUT_OF_RANGE = 11,
    UNIMPLEMENTED = 12,
    INTERNAL = 13,
    UNAVAILABLE = 14,
    DATA_LOSS = 15,
    UNAUTHENTICATED = 16,
};

/* What a client does about it. */
enum class {
    FINAL,   /* says so */
    LATER,   /* says so, and that it may be tried again */
    MAYBE,   /* a read is repeated; a write may have been carried out */
    PASSING, /* a read is repeated; a write was not carried out, and may be tried again */
    REPEAT,  /* not processed: everything is repeated */
    UNSURE,  /* says so; a write may have been carried out */
};

static const struct known {
    enum code code;
    const char *message;
    etcd_status status;
    enum class class;
} table[] = {
    {INVALID_ARGUMENT, "etcdserver: key is not provided", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: key not found", ETCD_E_NOT_FOUND, FINAL},
    {INVALID_ARGUMENT, "etcdserver: value is provided", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: lease is provided", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: too many operations in txn request", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: invalid client api version", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: invalid sort option", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: given member URLs are invalid", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: request is too large", ETCD_E_TOO_LARGE, FINAL},
    {INVALID_ARGUMENT, "etcdserver: role name is empty", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password", ETCD_E_AUTH, FINAL},
    {INVALID_ARGUMENT, "etcdserver: permission not given", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: invalid auth management", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: invalid downgrade target version", ETCD_E_INVALID_ARGUMENT, FINAL},
    {INVALID_ARGUMENT, "etcdserver: user name is empty", ETCD_E_AUTH, FINAL},
    {INVALID_ARGUMENT, "etcdserver: revision of auth store is old", ETCD_E_AUTH, LATER},
    {OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted", ETCD_E_COMPACTED, FINAL},
    {OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision", ETCD_E_FUTURE_REVISION, FINAL},
    {OUT_OF_RANGE, "etcdserver: too large lease TTL", ETCD_E_INVALID_ARGUMENT, FINAL},
    {RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", ETCD_E_NO_SPACE, FINAL},
    {RESOURCE_EXHAUSTED, "etcdserver: too many requests", ETCD_E_BUSY, LATER},
    {NOT_FOUND, "etcdserver: requested lease not found", ETCD_E_LEASE_NOT_FOUND, FINAL},
    {NOT_FOUND, "etcdserver: member not found", ETCD_E_NOT_FOUND, FINAL},
    {FAILED_PRECONDITION, "etcdserver: lease already exists", ETCD_E_EXISTS, FINAL},
    {FAILED_PRECONDITION, "etcdserver: member ID already exist", ETCD_E_EXISTS, FINAL},
    {FAILED_PRECONDITION, "etcdserver: Peer URLs already exists", ETCD_E_EXISTS, FINAL},
    {FAILED_PRECONDITION, "etcdserver: re-configuration failed due to not enough started members",
     ETCD_E_PRECONDITION, LATER},
    {FAILED_PRECONDITION, "etcdserver: can only promote a learner member", ETCD_E_PRECONDITION, FINAL},
    {FAILED_PRECONDITION, "etcdserver: can only promote a learner member which is in sync with leader",
     ETCD_E_PRECONDITION, LATER},
    {FAILED_PRECONDITION, "etcdserver: too many learner members in cluster", ETCD_E_PRECONDITION, FINAL},
    {FAILED_PRECONDITION, "etcdserver: cluster ID mismatch", ETCD_E_CLUSTER_CHANGED, FINAL},
    {FAILED_PRECONDITION, "etcdserver: root user does not exist", ETCD_E_NOT_FOUND, FINAL},
    {FAILED_PRECONDITION, "etcdserver: root user does not have root role", ETCD_E_PRECONDITION, FINAL},
    {FAILED_PRECONDITION, "etcdserver: user name already exists", ETCD_E_EXISTS, FINAL},
    {FAILED_PRECONDITION, "etcdserver: user name not found", ETCD_E_NOT_FOUND, FINAL},
    {FAILED_PRECONDITION, "etcdserver: role name already exists", ETCD_E_EXISTS, FINAL},
    {FAILED_PRECONDITION, "etcdserver: role name not found", ETCD_E_NOT_FOUND, FINAL},
    {FAILED_PRECONDITION, "etcdserver: role is not granted to the user", ETCD_E_NOT_FOUND, FINAL},
    {FAILED_PRECONDITION, "etcdserver: permission is not granted to the role", ETCD_E_NOT_FOUND, FINAL},
    {FAILED_PRECONDITION, "etcdserver: authentication is not enabled", ETCD_E_PRECONDITION, FINAL},
    {FAILED_PRECONDITION, "etcdserver: not leader", ETCD_E_PRECONDITION, LATER},
    {FAILED_PRECONDITION, "etcdserver: not capable", ETCD_E_UNSUPPORTED, FINAL},
    {FAILED_PRECONDITION, "etcdserver: rpc not supported for learner", ETCD_E_PRECONDITION, REPEAT},
    {FAILED_PRECONDITION, "etcdserver: bad leader transferee", ETCD_E_INVALID_ARGUMENT, FINAL},
    {FAILED_PRECONDITION, "etcdserver: cluster version not found during downgrade", ETCD_E_PRECONDITION,
     FINAL},
    {FAILED_PRECONDITION, "etcdserver: cluster has a downgrade job in progress", ETCD_E_EXISTS, FINAL},
    {FAILED_PRECONDITION, "etcdserver: no inflight downgrade job", ETCD_E_NOT_FOUND, FINAL},
    {PERMISSION_DENIED, "etcdserver: permission denied", ETCD_E_DENIED, FINAL},
    {UNAUTHENTICATED, "etcdserver: invalid auth token", ETCD_E_AUTH, LATER},
    {UNAVAILABLE, "etcdserver: no leader", ETCD_E_NO_LEADER, REPEAT},
    {UNAVAILABLE, "etcdserver: leader changed", ETCD_E_NO_LEADER, MAYBE},
    {UNAVAILABLE, "etcdserver: server stopped", ETCD_E_UNAVAILABLE, MAYBE},
    {UNAVAILABLE, "etcdserver: request timed out", ETCD_E_UNAVAILABLE, MAYBE},
    {UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure",
     ETCD_E_UNAVAILABLE, MAYBE},
    {UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost", ETCD_E_UNAVAILABLE,
     MAYBE},
    {UNAVAILABLE, "etcdserver: request timed out, waiting for the applied index took too long",
     ETCD_E_UNAVAILABLE, MAYBE},
    {UNAVAILABLE, "etcdserver: unhealthy cluster", ETCD_E_UNAVAILABLE, PASSING},
    {CANCELLED, "etcdserver: request canceled", ETCD_E_UNAVAILABLE, MAYBE},
    {UNKNOWN, "etcdserver: watch canceled", ETCD_E_UNAVAILABLE, MAYBE},
    {DATA_LOSS, "etcdserver: corrupt cluster", ETCD_E_CORRUPT, FINAL},
    {CANCELLED, "etcdserver: request canceled", ETCD_E_UNAVAILABLE, MAYBE},
    {CANCELLED, "etcdserver: watch canceled", ETCD_E_UNAVAILABLE, MAYBE},
    {DEADLINE_EXCEEDED, "etcdserver: context deadline exceeded", ETCD_E_DEADLINE, MAYBE},
    {UNKNOWN, "context canceled", ETCD_E_UNAVAILABLE, MAYBE},
    {UNKNOWN, "context deadline exceeded", ETCD_E_DEADLINE, MAYBE},
    {UNKNOWN, "raft proposal dropped", ETCD_E_NO_LEADER, REPEAT},
    {UNKNOWN, "raft: stopped", ETCD_E_UNAVAILABLE, MAYBE},
    {UNKNOWN, "auth: authentication failed, password was given for no password user", ETCD_E_AUTH, FINAL},
    /* By text, whatever the code: a server of another version or a proxy may use another one. */
    {UNKNOWN, "etcdserver: mvcc: required revision has been compacted", ETCD_E_COMPACTED, FINAL},
    {UNKNOWN, "etcdserver: permission denied", ETCD_E_DENIED, FINAL},
    {UNKNOWN, "permission denied", ETCD_E_DENIED, FINAL},
    {UNKNOWN, "auth: permission denied", ETCD_E_DENIED, FINAL},
    {UNKNOWN, "auth: user name is empty", ETCD_E_AUTH, FINAL},
    {UNKNOWN, "etcdserver%3A%20permission%20denied", ETCD_E_DENIED, FINAL},
    /* By code, when the text says nothing. */
    {CANCELLED, "x", ETCD_E_UNAVAILABLE, MAYBE},
    {UNKNOWN, "x", ETCD_E_PRECONDITION, UNSURE},
    {INVALID_ARGUMENT, "x", ETCD_E_INVALID_ARGUMENT, FINAL},
    {DEADLINE_EXCEEDED, "x", ETCD_E_DEADLINE, MAYBE},
    {NOT_FOUND, "x", ETCD_E_NOT_FOUND, FINAL},
    {ALREADY_EXISTS, "x", ETCD_E_EXISTS, FINAL},
    {PERMISSION_DENIED, "x", ETCD_E_DENIED, FINAL},
    {RESOURCE_EXHAUSTED, "x", ETCD_E_TOO_LARGE, FINAL},
    {FAILED_PRECONDITION, "x", ETCD_E_PRECONDITION, FINAL},
    {ABORTED, "x", ETCD_E_PRECONDITION, LATER},
    {OUT_OF_RANGE, "x", ETCD_E_INVALID_ARGUMENT, FINAL},
    {UNIMPLEMENTED, "x", ETCD_E_UNSUPPORTED, FINAL},
    {INTERNAL, "x", ETCD_E_PROTOCOL, MAYBE},
    {UNAVAILABLE, "x", ETCD_E_UNAVAILABLE, MAYBE},
    {DATA_LOSS, "x", ETCD_E_CORRUPT, UNSURE},
    {UNAUTHENTICATED, "x", ETCD_E_AUTH, FINAL},
    {(enum code)99, "x", ETCD_E_PRECONDITION, UNSURE},
};
enum { KNOWN = sizeof(table) / sizeof(table[0]) };

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->fake = fake_etcd_start();
    world->client = test_client_open(fake_etcd_endpoint(world->fake), ETCD_CLIENT_OPTS(.name = "orders"));
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

static struct fake_step step_of(const struct known *known)
{
    return (struct fake_step){.what = STEP_STATUS, .code = (int)known->code, .message = known->message};
}

static uint32_t flags_of_write(enum class class)
{
    switch (class) {
    case MAYBE:
    case UNSURE:
        return ETCD_ERROR_FROM_SERVER | ETCD_ERROR_MAYBE_APPLIED;
    case LATER:
    case PASSING:
        return ETCD_ERROR_FROM_SERVER | ETCD_ERROR_RETRYABLE;
    default:
        return ETCD_ERROR_FROM_SERVER;
    }
}

static void test_writes(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < KNOWN; i++) {
        struct fake_step step = step_of(&table[i]);

        print_message("%d %s\n", (int)table[i].code, table[i].message);
        fake_etcd_next(world->fake, "Put", &step);
        if (table[i].class == REPEAT) {
            assert_status(fake_put(world->client, 5000, &world->err), ETCD_OK, &world->err);
            continue;
        }
        assert_status(fake_put(world->client, 5000, &world->err), table[i].status, &world->err);
        assert_int_equal(world->err.flags, flags_of_write(table[i].class));
        assert_int_equal(world->err.grpc_code, table[i].code == (enum code)99 ? UNKNOWN : (int)table[i].code);
        assert_has_text(world->err.message, "put: client 'orders', endpoint 127.0.0.1:");
        if (strchr(table[i].message, '%') == NULL)
            assert_has_text(world->err.message, table[i].message);
    }
}

static void test_reads(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < KNOWN; i++) {
        struct fake_step step = step_of(&table[i]);
        size_t before = fake_etcd_calls(world->fake, "Range");

        print_message("%d %s\n", (int)table[i].code, table[i].message);
        fake_etcd_next(world->fake, "Range", &step);
        if (table[i].class == REPEAT || table[i].class == MAYBE || table[i].class == PASSING) {
            assert_status(fake_get(world->client, 5000, &world->err), ETCD_OK, &world->err);
            assert_int_equal(fake_etcd_calls(world->fake, "Range"), before + 2);
            continue;
        }
        assert_status(fake_get(world->client, 5000, &world->err), table[i].status, &world->err);
        assert_int_equal(world->err.flags,
                         ETCD_ERROR_FROM_SERVER | (table[i].class == LATER ? ETCD_ERROR_RETRYABLE : 0));
        assert_int_equal(fake_etcd_calls(world->fake, "Range"), before + 1);
    }
}

/* ---- proxies and nonsense -------------------------------------------------------------------------- */

static void test_answers_that_are_not_grpc(void **state)
{
    static const struct {
        int http;
        etcd_status status;
    } cases[] = {
        {400, ETCD_E_PROTOCOL},     {401, ETCD_E_AUTH},        {403, ETCD_E_DENIED},
        {404, ETCD_E_UNSUPPORTED},  {429, ETCD_E_UNAVAILABLE}, {502, ETCD_E_UNAVAILABLE},
        {503, ETCD_E_UNAVAILABLE},  {504, ETCD_E_UNAVAILABLE}, {200, ETCD_E_PROTOCOL},
        {418, ETCD_E_PRECONDITION},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[32];

        fake_etcd_next(world->fake, "Put", &(struct fake_step){.what = STEP_HTTP, .code = cases[i].http});
        print_message("%d\n", cases[i].http);
        assert_status(fake_put(world->client, 5000, &world->err), cases[i].status, &world->err);
        assert_int_equal(world->err.grpc_code, -1);
        assert_int_equal(world->err.flags & ETCD_ERROR_FROM_SERVER, 0);
        (void)snprintf(text, sizeof(text), "HTTP status %d", cases[i].http);
        assert_has_text(world->err.message, text);
    }
}

static void test_nonsense(void **state)
{
    static const struct {
        enum fake_what what;
        const char *part;
    } cases[] = {
        {STEP_GARBAGE, "cannot be read"},
        {STEP_COMPRESSED, "compressed"},
        {STEP_TWICE, "two answers"},
        {STEP_HALF, "within a message"},
        {STEP_NO_TRAILERS, "without a status"},
        {STEP_EMPTY, "without an answer"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_etcd_next(world->fake, "Range", &(struct fake_step){.what = cases[i].what});
        print_message("case %zu\n", i);
        assert_status(fake_get(world->client, 5000, &world->err), ETCD_E_PROTOCOL, &world->err);
        assert_has_text(world->err.message, cases[i].part);
        assert_int_equal(world->err.flags, 0);
        /* The connection is fine. */
        assert_status(fake_get(world->client, 5000, &world->err), ETCD_OK, &world->err);
    }
    assert_int_equal(fake_etcd_connections(world->fake), 1);
}

/* ---- the record ------------------------------------------------------------------------------------ */

static void test_messages_are_text(void **state)
{
    struct world *world = *state;
    char huge[2001];

    fake_etcd_next(world->fake, "Put",
                   &(struct fake_step){.what = STEP_STATUS,
                                       .code = FAILED_PRECONDITION,
                                       .message = "a%0Ab%1B[31mc%00d%FFe%s%n%"});
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_E_PRECONDITION, &world->err);
    for (const char *c = world->err.message; *c != '\0'; c++)
        assert_true((unsigned char)*c >= 0x20 && (unsigned char)*c != 0x7f);
    memset(huge, 'x', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    for (size_t i = 3; i + 6 < sizeof(huge); i += 6)
        memcpy(huge + i, "%C3%A4", 6); /* an umlaut, cut somewhere */
    fake_etcd_next(world->fake, "Put",
                   &(struct fake_step){.what = STEP_STATUS, .code = FAILED_PRECONDITION, .message = huge});
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_E_PRECONDITION, &world->err);
    assert_in_range(strlen(world->err.message), 100, ETCD_ERROR_MESSAGE_SIZE - 1);
    for (const unsigned char *c = (const unsigned char *)world->err.message; *c != '\0'; c++) {
        if (*c == 0xc3)
            assert_int_equal(c[1], 0xa4);
    }
    /* No message at all, and nobody who wants one. */
    fake_etcd_next(world->fake, "Put", &(struct fake_step){.what = STEP_STATUS, .code = FAILED_PRECONDITION});
    assert_status(fake_put(world->client, 5000, &world->err), ETCD_E_PRECONDITION, &world->err);
    fake_etcd_next(world->fake, "Put",
                   &(struct fake_step){.what = STEP_STATUS, .code = NOT_FOUND, .message = "x"});
    assert_status(fake_put(world->client, 5000, NULL), ETCD_E_NOT_FOUND, NULL);
}

static void test_byte_by_byte(void **state)
{
    struct world *world = *state;
    etcd_get_result *result = NULL;

    fake_etcd_split(world->fake, true);
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_OK, &world->err);
    assert_status(etcd_get(world->client, etcd_cstr("k"), NULL, &result, &world->err), ETCD_OK, &world->err);
    assert_int_equal(etcd_get_result_count(result), 1);
    assert_string_equal(etcd_get_result_kv(result, 0)->value.data, "v");
    etcd_get_result_free(result);
    fake_etcd_next(world->fake, "Put",
                   &(struct fake_step){.what = STEP_STATUS_LATE,
                                       .code = PERMISSION_DENIED,
                                       .message = "etcdserver: permission denied"});
    assert_status(fake_put(world->client, 10000, &world->err), ETCD_E_DENIED, &world->err);
}

/* Each call with and without a record to fill: refused, without an answer, and on a client that is closed. */
static void test_no_call_needs_a_record(void **state)
{
    static const struct fake_step denied = {
        .what = STEP_STATUS, .code = PERMISSION_DENIED, .message = "etcdserver: permission denied"};
    static const struct fake_step nonsense = {.what = STEP_MESSAGE, .message = "\xff", .size = 1};
    struct world *world = *state;
    const char *endpoint = fake_etcd_endpoint(world->fake);

    for (size_t i = 0; i < every_call_count; i++) {
        const struct every_call *call = &every_call[i];

        fake_etcd_next(world->fake, call->method, &denied);
        assert_status(call->run(world->client, endpoint, &world->err), ETCD_E_DENIED, &world->err);
        fake_etcd_next(world->fake, call->method, &denied);
        assert_status(call->run(world->client, endpoint, NULL), ETCD_E_DENIED, NULL);
        fake_etcd_next(world->fake, call->method, &nonsense);
        assert_status(call->run(world->client, endpoint, NULL),
                      call->reads_answer ? ETCD_E_PROTOCOL : ETCD_OK, NULL);
    }
    assert_status(etcd_client_close(world->client, NULL), ETCD_OK, NULL);
    for (size_t i = 0; i < every_call_count; i++)
        assert_status(every_call[i].run(world->client, endpoint, NULL), ETCD_E_CLOSED, NULL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_writes),
        TEST(test_reads),
        TEST(test_answers_that_are_not_grpc),
        TEST(test_nonsense),
        TEST(test_messages_are_text),
        TEST(test_byte_by_byte),
        TEST(test_no_call_needs_a_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
