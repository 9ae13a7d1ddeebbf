/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of administration against a scripted server: what is sent for each, what its answer becomes, what
 * its failures are, what is refused before anything is sent.
 */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CODE_UNIMPLEMENTED = 12, CODE_DENIED = 7, CODE_UNAVAILABLE = 14 };

#define BYTES(text) text, sizeof(text) - 1
#define CALL(name) static etcd_status name(etcd_client *client, etcd_error *err)
#define START(name) \
    static etcd_status name(etcd_client *client, etcd_op_fn *fn, void *user, etcd_op **op, etcd_error *err)

static const char *const urls[] = {"http://10.0.0.1:2380", "https://[::1]:2380", NULL};

/* ---- every call, both ways ------------------------------------------------------------------------- */

#define BOTH(name, function, ...)                                        \
    CALL(name)                                                           \
    {                                                                    \
        return function(client, __VA_ARGS__, err);                       \
    }                                                                    \
    START(start_##name)                                                  \
    {                                                                    \
        return function##_async(client, __VA_ARGS__, fn, user, op, err); \
    }
#define BOTH_RESULT(name, function, ...)                                 \
    CALL(name)                                                           \
    {                                                                    \
        return function(client, __VA_ARGS__, NULL, err);                 \
    }                                                                    \
    START(start_##name)                                                  \
    {                                                                    \
        return function##_async(client, __VA_ARGS__, fn, user, op, err); \
    }

BOTH(auth_enable, etcd_auth_enable, NULL)
BOTH(auth_disable, etcd_auth_disable, NULL)
BOTH_RESULT(auth_status, etcd_auth_status, NULL)
BOTH(user_add, etcd_user_add, "alice", ETCD_SECRET_TEXT("hush"), NULL)
BOTH(user_add_none, etcd_user_add, "alice", ETCD_SECRET_NONE, ETCD_USER_ADD_OPTS(.no_password = true))
BOTH(user_delete, etcd_user_delete, "alice", NULL)
BOTH(user_change, etcd_user_change_password, "alice", ETCD_SECRET_TEXT("hush"), NULL)
BOTH(user_grant, etcd_user_grant_role, "alice", "admin", NULL)
BOTH(user_revoke, etcd_user_revoke_role, "alice", "admin", NULL)
BOTH_RESULT(user_get, etcd_user_get, "alice", NULL)
BOTH_RESULT(user_list, etcd_user_list, NULL)
BOTH(role_add, etcd_role_add, "admin", NULL)
BOTH(role_delete, etcd_role_delete, "admin", NULL)
BOTH_RESULT(role_get, etcd_role_get, "admin", NULL)
BOTH_RESULT(role_list, etcd_role_list, NULL)
BOTH(grant_key, etcd_role_grant_permission, "admin", ETCD_PERMISSION_READ, etcd_cstr("k"), NULL)
BOTH(grant_prefix, etcd_role_grant_permission, "admin", ETCD_PERMISSION_WRITE, etcd_cstr("k"),
     ETCD_PERMISSION_OPTS(.prefix = true))
BOTH(grant_from, etcd_role_grant_permission, "admin", ETCD_PERMISSION_READWRITE, etcd_cstr("k"),
     ETCD_PERMISSION_OPTS(.from_key = true))
BOTH(grant_range, etcd_role_grant_permission, "admin", ETCD_PERMISSION_READWRITE, etcd_bytes_of("k\0", 2),
     ETCD_PERMISSION_OPTS(.range_end = etcd_cstr("kk")))
BOTH(grant_all, etcd_role_grant_permission, "admin", ETCD_PERMISSION_READWRITE, etcd_cstr(""),
     ETCD_PERMISSION_OPTS(.prefix = true))
BOTH(revoke_key, etcd_role_revoke_permission, "admin", etcd_cstr("k"), NULL)
BOTH(revoke_prefix, etcd_role_revoke_permission, "admin", etcd_cstr("k"),
     ETCD_PERMISSION_OPTS(.prefix = true))
BOTH(revoke_from, etcd_role_revoke_permission, "admin", etcd_cstr(""), ETCD_PERMISSION_OPTS(.from_key = true))
BOTH_RESULT(member_list, etcd_member_list, NULL)
BOTH_RESULT(member_list_serializable, etcd_member_list, ETCD_MEMBER_LIST_OPTS(.serializable = true))
BOTH_RESULT(member_add, etcd_member_add, urls, NULL)
BOTH_RESULT(member_add_learner, etcd_member_add, urls, ETCD_MEMBER_ADD_OPTS(.learner = true))
BOTH_RESULT(member_remove, etcd_member_remove, 300, NULL)
BOTH_RESULT(member_update, etcd_member_update, 300, urls, NULL)
BOTH_RESULT(member_promote, etcd_member_promote, 300, NULL)

#define WIRE_URLS "\x0a\x14http://10.0.0.1:2380\x0a\x12https://[::1]:2380"
#define WIRE_URLS_2 "\x12\x14http://10.0.0.1:2380\x12\x12https://[::1]:2380"

static const struct call {
    const char *name, *method;
    etcd_status (*run)(etcd_client *client, etcd_error *err);
    etcd_status (*start)(etcd_client *client, etcd_op_fn *fn, void *user, etcd_op **op, etcd_error *err);
    const char *request;
    size_t request_len;
    bool reads; /* and is repeated */
} calls[] = {
    {"auth enable", "AuthEnable", auth_enable, start_auth_enable, BYTES(""), false},
    {"auth disable", "AuthDisable", auth_disable, start_auth_disable, BYTES(""), false},
    {"auth status", "AuthStatus", auth_status, start_auth_status, BYTES(""), true},
    {"user add", "UserAdd", user_add, start_user_add,
     BYTES("\x0a\x05"
           "alice\x12\x04hush"),
     false},
    {"user add", "UserAdd", user_add_none, start_user_add_none,
     BYTES("\x0a\x05"
           "alice\x1a\x02\x08\x01"),
     false},
    {"user delete", "UserDelete", user_delete, start_user_delete,
     BYTES("\x0a\x05"
           "alice"),
     false},
    {"user change password", "UserChangePassword", user_change, start_user_change,
     BYTES("\x0a\x05"
           "alice\x12\x04hush"),
     false},
    {"user grant role", "UserGrantRole", user_grant, start_user_grant,
     BYTES("\x0a\x05"
           "alice\x12\x05"
           "admin"),
     false},
    {"user revoke role", "UserRevokeRole", user_revoke, start_user_revoke,
     BYTES("\x0a\x05"
           "alice\x12\x05"
           "admin"),
     false},
    {"user get", "UserGet", user_get, start_user_get,
     BYTES("\x0a\x05"
           "alice"),
     true},
    {"user list", "UserList", user_list, start_user_list, BYTES(""), true},
    {"role add", "RoleAdd", role_add, start_role_add,
     BYTES("\x0a\x05"
           "admin"),
     false},
    {"role delete", "RoleDelete", role_delete, start_role_delete,
     BYTES("\x0a\x05"
           "admin"),
     false},
    {"role get", "RoleGet", role_get, start_role_get,
     BYTES("\x0a\x05"
           "admin"),
     true},
    {"role list", "RoleList", role_list, start_role_list, BYTES(""), true},
    {"role grant permission", "RoleGrantPermission", grant_key, start_grant_key,
     BYTES("\x0a\x05"
           "admin\x12\x03\x12\x01k"),
     false},
    {"role grant permission", "RoleGrantPermission", grant_prefix, start_grant_prefix,
     BYTES("\x0a\x05"
           "admin\x12\x08\x08\x01\x12\x01k\x1a\x01l"),
     false},
    {"role grant permission", "RoleGrantPermission", grant_from, start_grant_from,
     BYTES("\x0a\x05"
           "admin\x12\x08\x08\x02\x12\x01k\x1a\x01\x00"),
     false},
    {"role grant permission", "RoleGrantPermission", grant_range, start_grant_range,
     BYTES("\x0a\x05"
           "admin\x12\x0a\x08\x02\x12\x02k\x00\x1a\x02kk"),
     false},
    {"role grant permission", "RoleGrantPermission", grant_all, start_grant_all,
     BYTES("\x0a\x05"
           "admin\x12\x08\x08\x02\x12\x01\x00\x1a\x01\x00"),
     false},
    {"role revoke permission", "RoleRevokePermission", revoke_key, start_revoke_key,
     BYTES("\x0a\x05"
           "admin\x12\x01k"),
     false},
    {"role revoke permission", "RoleRevokePermission", revoke_prefix, start_revoke_prefix,
     BYTES("\x0a\x05"
           "admin\x12\x01k\x1a\x01l"),
     false},
    {"role revoke permission", "RoleRevokePermission", revoke_from, start_revoke_from,
     BYTES("\x0a\x05"
           "admin\x12\x01\x00\x1a\x01\x00"),
     false},
    {"member list", "MemberList", member_list, start_member_list, BYTES("\x08\x01"), true},
    {"member list", "MemberList", member_list_serializable, start_member_list_serializable, BYTES(""), true},
    {"member add", "MemberAdd", member_add, start_member_add, BYTES(WIRE_URLS), false},
    {"member add", "MemberAdd", member_add_learner, start_member_add_learner, BYTES(WIRE_URLS "\x10\x01"),
     false},
    {"member remove", "MemberRemove", member_remove, start_member_remove, BYTES("\x08\xac\x02"), false},
    {"member update", "MemberUpdate", member_update, start_member_update, BYTES("\x08\xac\x02" WIRE_URLS_2),
     false},
    {"member promote", "MemberPromote", member_promote, start_member_promote, BYTES("\x08\xac\x02"), false},
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* What all of them can be answered with: a header, and for MemberAdd a member. */
static const char header_only[] = "\x0a\x02\x10\x07", with_member[] = "\x0a\x02\x10\x07\x12\x00";

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    struct fake_log log;
    etcd_error err;
};

static void always_ok(struct world *world)
{
    for (size_t i = 0; i < CALLS; i++) {
        bool add = strcmp(calls[i].method, "MemberAdd") == 0;

        fake_etcd_always(
            world->fake, calls[i].method,
            &(struct fake_step){.what = STEP_BYTES,
                                .data = add ? with_member : header_only,
                                .size = add ? sizeof(with_member) - 1 : sizeof(header_only) - 1});
    }
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->fake = fake_etcd_start();
    world->client = test_client_open(fake_etcd_endpoint(world->fake),
                                     ETCD_CLIENT_OPTS(.name = "orders", .log_fn = fake_log_line,
                                                      .log_user_data = &world->log,
                                                      .log_level = ETCD_LOG_TRACE));
    always_ok(world);
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

/* ---- requests -------------------------------------------------------------------------------------- */

static void check_request(struct world *world, const struct call *call)
{
    char bytes[128], path[64], wanted[64];
    size_t len = fake_etcd_request(world->fake, call->method, bytes, sizeof(bytes));

    if (len != call->request_len || memcmp(bytes, call->request, len) != 0)
        fail_msg("%s: another request of %zu bytes", call->name, len);
    (void)snprintf(wanted, sizeof(wanted), "/etcdserverpb.%s/%s",
                   strncmp(call->method, "Member", 6) == 0 ? "Cluster" : "Auth", call->method);
    assert_true(fake_etcd_field(world->fake, call->method, ":path", path, sizeof(path)));
    assert_string_equal(path, wanted);
}

static void test_blocking_requests(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < CALLS; i++) {
        print_message("%s\n", calls[i].name);
        assert_status(calls[i].run(world->client, &world->err), ETCD_OK, &world->err);
        check_request(world, &calls[i]);
    }
    assert_int_equal(fake_etcd_calls(world->fake, NULL), CALLS);
}

static void on_done(etcd_op *op, void *user_data)
{
    assert_true(etcd_op_done(op));
    __atomic_add_fetch((size_t *)user_data, 1, __ATOMIC_RELEASE);
}

static void test_asynchronous_requests(void **state)
{
    struct world *world = *state;
    size_t done = 0;

    for (size_t i = 0; i < CALLS; i++) {
        etcd_op *op = NULL;

        assert_status(calls[i].start(world->client, on_done, &done, &op, &world->err), ETCD_OK, &world->err);
        assert_status(etcd_op_wait(op, 10000, &world->err), ETCD_OK, &world->err);
        assert_status(etcd_op_status(op, &world->err), ETCD_OK, &world->err);
        check_request(world, &calls[i]);
        fake_await_count(world->client, &done, i + 1);
        etcd_op_free(op);
    }
    /* Nobody need keep the handle, nor be told. */
    for (size_t i = 0; i < CALLS; i++)
        assert_status(calls[i].start(world->client, NULL, NULL, NULL, &world->err), ETCD_OK, &world->err);
    fake_await_calls(world->client, world->fake, NULL, 2 * CALLS);
}

/* ---- answers --------------------------------------------------------------------------------------- */

static void answer(struct world *world, const char *method, const char *data, size_t size)
{
    fake_etcd_next(world->fake, method, &(struct fake_step){.what = STEP_BYTES, .data = data, .size = size});
}

#define HEADER "\x0a\x08\x08\x05\x10\x06\x18\x07\x20\x08"

static void check_header(const etcd_header *header)
{
    assert_int_equal(header->cluster_id, 5);
    assert_int_equal(header->member_id, 6);
    assert_int_equal(header->revision, 7);
    assert_int_equal(header->raft_term, 8);
}

static void test_names(void **state)
{
    struct world *world = *state;
    etcd_user_result *user = NULL;
    etcd_users_result *users = NULL;
    etcd_roles_result *roles = NULL;

    answer(world, "UserGet",
           BYTES(HEADER "\x12\x01"
                        "a\x12\x02"
                        "bc"));
    assert_status(etcd_user_get(world->client, "alice", NULL, &user, &world->err), ETCD_OK, &world->err);
    check_header(etcd_user_result_header(user));
    assert_int_equal(etcd_user_result_role_count(user), 2);
    assert_string_equal(etcd_user_result_role(user, 0), "a");
    assert_string_equal(etcd_user_result_role(user, 1), "bc");
    assert_null(etcd_user_result_role(user, 2));
    etcd_user_result_free(user);
    answer(world, "UserList",
           BYTES(HEADER "\x12\x05"
                        "alice"));
    assert_status(etcd_user_list(world->client, NULL, &users, &world->err), ETCD_OK, &world->err);
    check_header(etcd_users_result_header(users));
    assert_int_equal(etcd_users_result_count(users), 1);
    assert_string_equal(etcd_users_result_name(users, 0), "alice");
    assert_null(etcd_users_result_name(users, 1));
    etcd_users_result_free(users);
    answer(world, "RoleList", BYTES(HEADER));
    assert_status(etcd_role_list(world->client, NULL, &roles, &world->err), ETCD_OK, &world->err);
    check_header(etcd_roles_result_header(roles));
    assert_int_equal(etcd_roles_result_count(roles), 0);
    assert_null(etcd_roles_result_name(roles, 0));
    etcd_roles_result_free(roles);
    etcd_user_result_free(NULL);
    etcd_users_result_free(NULL);
    etcd_roles_result_free(NULL);
}

static void test_status_and_permissions(void **state)
{
    struct world *world = *state;
    etcd_auth_status_result *status = NULL;
    etcd_role_result *role = NULL;
    const etcd_permission *permission;

    answer(world, "AuthStatus", BYTES(HEADER "\x10\x01\x18\x09"));
    assert_status(etcd_auth_status(world->client, NULL, &status, &world->err), ETCD_OK, &world->err);
    check_header(etcd_auth_status_result_header(status));
    assert_true(etcd_auth_status_result_enabled(status));
    assert_int_equal(etcd_auth_status_result_revision(status), 9);
    etcd_auth_status_result_free(status);
    etcd_auth_status_result_free(NULL);
    answer(world, "RoleGet", BYTES(HEADER "\x12\x03\x12\x01k\x12\x08\x08\x02\x12\x01k\x1a\x01\x00"));
    assert_status(etcd_role_get(world->client, "admin", NULL, &role, &world->err), ETCD_OK, &world->err);
    check_header(etcd_role_result_header(role));
    assert_int_equal(etcd_role_result_permission_count(role), 2);
    permission = etcd_role_result_permission(role, 0);
    assert_int_equal(permission->type, ETCD_PERMISSION_READ);
    assert_int_equal(permission->key.len, 1);
    assert_int_equal(permission->range_end.len, 0);
    permission = etcd_role_result_permission(role, 1);
    assert_int_equal(permission->type, ETCD_PERMISSION_READWRITE);
    assert_memory_equal(permission->key.data, "k\0", 2);
    assert_int_equal(permission->range_end.len, 1);
    assert_memory_equal(permission->range_end.data, "\0", 2);
    assert_null(etcd_role_result_permission(role, 2));
    etcd_role_result_free(role);
    etcd_role_result_free(NULL);
}

#define MEMBER_1                                    \
    "\x08\x01\x12\x01m\x1a\x02p1\x1a\x02p2\x22\x02" \
    "c1"
#define MEMBER_2 "\x08\x02\x1a\x02p3\x28\x01"

static void check_members(const etcd_members_result *result)
{
    const etcd_member *member = etcd_members_result_member(result, 0);

    check_header(etcd_members_result_header(result));
    assert_int_equal(etcd_members_result_count(result), 2);
    assert_int_equal(member->id, 1);
    assert_string_equal(member->name, "m");
    assert_string_equal(member->peer_urls[0], "p1");
    assert_string_equal(member->peer_urls[1], "p2");
    assert_null(member->peer_urls[2]);
    assert_string_equal(member->client_urls[0], "c1");
    assert_null(member->client_urls[1]);
    assert_false(member->is_learner);
    member = etcd_members_result_member(result, 1);
    assert_int_equal(member->id, 2);
    assert_string_equal(member->name, "");
    assert_string_equal(member->peer_urls[0], "p3");
    assert_null(member->client_urls[0]);
    assert_true(member->is_learner);
    assert_null(etcd_members_result_member(result, 2));
}

static void test_members(void **state)
{
    static const char members[] = HEADER "\x12\x11" MEMBER_1 "\x12\x08" MEMBER_2;
    static const char added[] = HEADER "\x12\x08" MEMBER_2 "\x1a\x11" MEMBER_1 "\x1a\x08" MEMBER_2;
    struct world *world = *state;
    etcd_members_result *results[5] = {NULL};

    answer(world, "MemberList", BYTES(members));
    answer(world, "MemberAdd", BYTES(added));
    answer(world, "MemberRemove", BYTES(members));
    answer(world, "MemberUpdate", BYTES(members));
    answer(world, "MemberPromote", BYTES(members));
    assert_status(etcd_member_list(world->client, NULL, &results[0], &world->err), ETCD_OK, &world->err);
    assert_status(etcd_member_add(world->client, urls, NULL, &results[1], &world->err), ETCD_OK, &world->err);
    assert_status(etcd_member_remove(world->client, 3, NULL, &results[2], &world->err), ETCD_OK, &world->err);
    assert_status(etcd_member_update(world->client, 1, urls, NULL, &results[3], &world->err), ETCD_OK,
                  &world->err);
    assert_status(etcd_member_promote(world->client, 1, NULL, &results[4], &world->err), ETCD_OK,
                  &world->err);
    for (size_t i = 0; i < 5; i++) {
        const etcd_member *member = etcd_members_result_added(results[i]);

        check_members(results[i]);
        assert_int_equal(member == NULL ? 0 : member->id, i == 1 ? 2 : 0);
        etcd_members_result_free(results[i]);
    }
    etcd_members_result_free(NULL);
    /* An answer to an addition without what was added makes no sense. */
    answer(world, "MemberAdd", BYTES(HEADER));
    assert_status(etcd_member_add(world->client, urls, NULL, &results[1], &world->err), ETCD_E_PROTOCOL,
                  &world->err);
    assert_int_equal(world->err.flags, ETCD_ERROR_MAYBE_APPLIED);
}

static void test_take(void **state)
{
    struct world *world = *state;
    etcd_members_result *members = NULL;
    etcd_users_result *users = NULL;
    etcd_op *op = NULL;

    answer(world, "MemberList", BYTES(HEADER "\x12\x11" MEMBER_1 "\x12\x08" MEMBER_2));
    assert_status(etcd_member_list_async(world->client, NULL, NULL, NULL, &op, &world->err), ETCD_OK,
                  &world->err);
    assert_status(etcd_op_wait(op, 10000, &world->err), ETCD_OK, &world->err);
    assert_status(etcd_member_add_take(op, &members, &world->err), ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_status(etcd_user_list_take(op, &users, &world->err), ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_status(etcd_member_list_take(op, &members, &world->err), ETCD_OK, &world->err);
    check_members(members);
    assert_status(etcd_member_list_take(op, &members, &world->err), ETCD_E_INVALID_ARGUMENT, &world->err);
    etcd_op_free(op);
    check_members(members); /* it outlives its operation */
    etcd_members_result_free(members);
}

/* ---- failures -------------------------------------------------------------------------------------- */

static void check_failure(struct world *world, const struct call *call, const struct fake_step *step,
                          etcd_status wanted, uint32_t flags)
{
    char text[64];

    fake_etcd_next(world->fake, call->method, step);
    assert_status(call->run(world->client, &world->err), wanted, &world->err);
    assert_int_equal(world->err.flags, flags);
    (void)snprintf(text, sizeof(text), "%s: client 'orders'", call->name);
    assert_has_text(world->err.message, text);
}

static bool has_result(const struct call *call)
{
    return call->reads || strncmp(call->method, "Member", 6) == 0;
}

static void test_refusals(void **state)
{
    static const struct fake_step denied = {
        .what = STEP_STATUS, .code = CODE_DENIED, .message = "etcdserver: permission denied"};
    static const struct fake_step unknown = {
        .what = STEP_STATUS, .code = CODE_UNIMPLEMENTED, .message = "unknown method"};
    struct world *world = *state;

    for (size_t i = 0; i < CALLS; i++) {
        check_failure(world, &calls[i], &denied, ETCD_E_DENIED, ETCD_ERROR_FROM_SERVER);
        check_failure(world, &calls[i], &unknown, ETCD_E_UNSUPPORTED, ETCD_ERROR_FROM_SERVER);
        if (has_result(&calls[i]))
            check_failure(world, &calls[i], &(struct fake_step){.what = STEP_GARBAGE}, ETCD_E_PROTOCOL,
                          calls[i].reads ? 0 : ETCD_ERROR_MAYBE_APPLIED);
    }
}

/* An answer that is lost, or a server that does not know: reads go out again, writes never do. */
static void test_repeated_or_not(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_CUT},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: request timed out"},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: leader changed"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < CALLS * 3; i++) {
        const struct call *call = &calls[i / 3];
        size_t before = fake_etcd_calls(world->fake, call->method);
        etcd_status st;

        fake_etcd_next(world->fake, call->method, &steps[i % 3]);
        st = call->run(world->client, &world->err);
        print_message("%s: %s\n", call->name, etcd_status_name(st));
        assert_int_equal(st == ETCD_OK, call->reads);
        assert_int_equal(fake_etcd_calls(world->fake, call->method), before + (call->reads ? 2 : 1));
        if (!call->reads) {
            assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
            assert_has_text(world->err.message, "may have been applied");
        }
    }
}

/* Refused unprocessed: whatever it is, it goes out again. */
static void test_refused_unprocessed(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < CALLS; i++) {
        size_t before = fake_etcd_calls(world->fake, calls[i].method);

        fake_etcd_next(world->fake, calls[i].method, &(struct fake_step){.what = STEP_REFUSE});
        assert_status(calls[i].run(world->client, &world->err), ETCD_OK, &world->err);
        check_request(world, &calls[i]);
        assert_int_equal(fake_etcd_calls(world->fake, calls[i].method), before + 2);
    }
}

static void test_out_of_time(void **state)
{
    struct world *world = *state;
    const etcd_admin_opts *opts = ETCD_ADMIN_OPTS(.timeout_ms = 50);

    fake_etcd_next(world->fake, "UserDelete", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_user_delete(world->client, "alice", opts, &world->err), ETCD_E_DEADLINE, &world->err);
    assert_int_equal(world->err.flags, ETCD_ERROR_MAYBE_APPLIED);
    fake_etcd_next(world->fake, "RoleGet", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_role_get(world->client, "admin", opts, NULL, &world->err), ETCD_E_DEADLINE,
                  &world->err);
    assert_int_equal(world->err.flags, ETCD_ERROR_RETRYABLE);
    fake_etcd_next(world->fake, "MemberAdd", &(struct fake_step){.what = STEP_SILENT});
    assert_status(
        etcd_member_add(world->client, urls, ETCD_MEMBER_ADD_OPTS(.timeout_ms = 50), NULL, &world->err),
        ETCD_E_DEADLINE, &world->err);
    assert_int_equal(world->err.flags, ETCD_ERROR_MAYBE_APPLIED);
}

static void test_a_closed_client(void **state)
{
    struct world *world = *state;

    assert_status(etcd_client_close(world->client, &world->err), ETCD_OK, &world->err);
    for (size_t i = 0; i < CALLS; i++) {
        etcd_op *op = NULL;

        assert_status(calls[i].run(world->client, &world->err), ETCD_E_CLOSED, &world->err);
        assert_status(calls[i].start(world->client, NULL, NULL, &op, &world->err), ETCD_E_CLOSED,
                      &world->err);
        assert_null(op);
    }
    assert_int_equal(fake_etcd_calls(world->fake, NULL), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_blocking_requests),
        TEST(test_asynchronous_requests),
        TEST(test_names),
        TEST(test_status_and_permissions),
        TEST(test_members),
        TEST(test_take),
        TEST(test_refusals),
        TEST(test_repeated_or_not),
        TEST(test_refused_unprocessed),
        TEST(test_out_of_time),
        TEST(test_a_closed_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
