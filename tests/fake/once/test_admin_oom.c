/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once while users, roles and members are administered: see test_oom.c. */
#include "support/alloc_fail.h"
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "runtime/loop.h"

#include <stdio.h>

#define BYTES(text) .what = STEP_BYTES, .data = text, .size = sizeof(text) - 1

struct run {
    struct fake_env *env;
    struct fake_etcd *fake;
    etcd_loop *loop;
    etcd_client *client;
    size_t failed;
};

static void make_world(struct run *run)
{
    static const struct {
        const char *method;
        struct fake_step step;
    } answers[] = {
        {"UserAdd", {BYTES("")}},
        {"RoleGrantPermission", {BYTES("")}},
        {"RoleRevokePermission", {BYTES("")}},
        {"AuthStatus", {BYTES("\x10\x01")}},
        {"UserGet",
         {BYTES("\x12\x01"
                "a\x12\x02"
                "bc")}},
        {"RoleGet", {BYTES("\x12\x03\x12\x01k\x12\x08\x08\x02\x12\x01k\x1a\x01\x00")}},
        {"MemberList", {BYTES("\x12\x0f\x08\x01\x12\x01m\x1a\x02p1\x22\x04http")}},
        {"MemberAdd", {BYTES("\x12\x08\x08\x02\x1a\x02p3\x28\x01\x1a\x08\x08\x02\x1a\x02p3\x28\x01")}},
    };

    memset(run, 0, sizeof(*run));
    run->env = fake_env_new(1);
    run->fake = fake_etcd_attach(run->env, "192.0.2.1", 2379);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        fake_etcd_always(run->fake, answers[i].method, &answers[i].step);
}

static void free_world(struct run *run)
{
    etcd_client_free(run->client);
    etcd_loop_free(run->loop);
    fake_etcd_free(run->fake);
    assert_int_equal(fake_open_sockets(run->env), 0);
    assert_int_equal(fake_misuses(run->env), 0);
    fake_env_free(run->env);
}

/* True when it succeeded; a failure is told as what it is, or as what it led to. */
static bool look(struct run *run, const char *what, etcd_status st, const etcd_error *err)
{
    if (st == ETCD_OK)
        return true;
    run->failed++;
    if (st != ETCD_E_NO_MEMORY && st != ETCD_E_UNAVAILABLE && st != ETCD_E_DEADLINE)
        fail_msg("%s: %s: %s", what, etcd_status_name(st), err->message);
    assert_int_equal(err->status, st);
    assert_true(err->message[0] != '\0');
    return false;
}

static void administer_users(struct run *run)
{
    const etcd_permission_opts *prefix = ETCD_PERMISSION_OPTS(.prefix = true);
    const etcd_bytes key = etcd_cstr("key");
    etcd_auth_status_result *status = NULL;
    etcd_user_result *user = NULL;
    etcd_role_result *role = NULL;
    etcd_error err;

    look(run, "add", etcd_user_add(run->client, "u", ETCD_SECRET_TEXT("p"), NULL, &err), &err);
    look(run, "grant", etcd_role_grant_permission(run->client, "r", ETCD_PERMISSION_READ, key, prefix, &err),
         &err);
    look(run, "revoke", etcd_role_revoke_permission(run->client, "r", key, prefix, &err), &err);
    if (look(run, "status", etcd_auth_status(run->client, NULL, &status, &err), &err))
        assert_true(etcd_auth_status_result_enabled(status));
    if (look(run, "user", etcd_user_get(run->client, "u", NULL, &user, &err), &err))
        assert_string_equal(etcd_user_result_role(user, 1), "bc");
    if (look(run, "role", etcd_role_get(run->client, "r", NULL, &role, &err), &err))
        assert_int_equal(etcd_role_result_permission_count(role), 2);
    etcd_auth_status_result_free(status);
    etcd_user_result_free(user);
    etcd_role_result_free(role);
}

static void administer_members(struct run *run)
{
    etcd_members_result *listed = NULL, *added = NULL;
    etcd_error err;

    if (look(run, "list", etcd_member_list(run->client, NULL, &listed, &err), &err))
        assert_string_equal(etcd_members_result_member(listed, 0)->client_urls[0], "http");
    if (look(run, "add", etcd_member_add(run->client, ETCD_LIST("http://h:1", "unix:/x"), NULL, &added, &err),
             &err))
        assert_int_equal(etcd_members_result_added(added)->id, 2);
    etcd_members_result_free(listed);
    etcd_members_result_free(added);
}

static void live(struct run *run)
{
    etcd_client_opts opts = {.size = sizeof(opts), .endpoints = ETCD_LIST("192.0.2.1:2379")};
    etcd_error err;

    if (!look(run, "loop", etcd__loop_new_env(fake_env_table(run->env), &run->loop, &err), &err))
        return;
    opts.loop = run->loop;
    if (!look(run, "open", etcd_client_open(&opts, &run->client, &err), &err))
        return;
    administer_users(run);
    administer_members(run);
}

static void scenario(size_t n, void *user)
{
    size_t *failures = user;
    struct run run;
    size_t before = alloc_live();

    make_world(&run);
    live(&run);
    free_world(&run);
    if (alloc_live() != before)
        fail_msg("allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    *failures += run.failed;
}

static void test_one_failure(void **state)
{
    size_t failures = 0, allocations;

    (void)state;
    allocations = alloc_fail_each(scenario, &failures);
    print_message("%zu allocations, %zu calls failed\n", allocations, failures);
    assert_true(allocations > 50);
    assert_true(failures > 10);
    failures = 0;
    scenario(0, &failures);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
