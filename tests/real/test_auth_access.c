/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: nobody, a user and root, call by call; what permissions permit, and for how long. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"

#include <stdio.h>
#include <stdlib.h>

struct world {
    struct etcd_server *server;
    etcd_client *nobody, *app, *root;
    etcd_error err;
};

#define ROLE "app" /* of the user app: everything below app/ */

static void check(struct world *world, etcd_status st, etcd_status wanted, const char *what)
{
    if (st != wanted)
        fail_msg("%s: %s instead of %s: %s", what, etcd_status_name(st), etcd_status_name(wanted),
                 st == ETCD_OK ? "" : world->err.message);
}

static etcd_client *open_as(struct world *world, const char *name, const char *password)
{
    return test_client_open(etcd_server_endpoints(world->server),
                            ETCD_CLIENT_OPTS(.username = name, .password = ETCD_SECRET_TEXT(password)));
}

static int set_up(void **state)
{
    static const struct etcd_server_user users[] = {{"app", "app-password", "app/"}, {NULL, NULL, NULL}};
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(
        &(struct etcd_server_options){.version = test_version(), .auth = true, .users = users});
    assert_non_null(world->server);
    world->nobody = test_client_open(etcd_server_endpoints(world->server), NULL);
    world->app = open_as(world, "app", "app-password");
    world->root = open_as(world, "root", ETCD_SERVER_ROOT_PASSWORD);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->nobody);
    etcd_client_free(world->app);
    etcd_client_free(world->root);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

/* ---- call by call ---------------------------------------------------------------------------------- */

static const char *const urls[] = {"http://127.0.0.1:1", NULL};

#define CALL(name, expression)                                    \
    static etcd_status name(etcd_client *client, etcd_error *err) \
    {                                                             \
        return expression;                                        \
    }

CALL(auth_enable, etcd_auth_enable(client, NULL, err))
CALL(auth_disable, etcd_auth_disable(client, NULL, err))
CALL(user_add, etcd_user_add(client, "new", ETCD_SECRET_TEXT("x"), NULL, err))
CALL(user_change, etcd_user_change_password(client, "new", ETCD_SECRET_TEXT("y"), NULL, err))
CALL(user_grant, etcd_user_grant_role(client, "new", ROLE, NULL, err))
CALL(user_revoke, etcd_user_revoke_role(client, "new", ROLE, NULL, err))
CALL(user_get, etcd_user_get(client, "new", NULL, NULL, err))
CALL(user_get_self, etcd_user_get(client, "app", NULL, NULL, err))
CALL(user_list, etcd_user_list(client, NULL, NULL, err))
CALL(user_delete, etcd_user_delete(client, "new", NULL, err))
CALL(role_add, etcd_role_add(client, "another", NULL, err))
CALL(role_grant,
     etcd_role_grant_permission(client, "another", ETCD_PERMISSION_READ, etcd_cstr("x"), NULL, err))
CALL(role_revoke, etcd_role_revoke_permission(client, "another", etcd_cstr("x"), NULL, err))
CALL(role_get, etcd_role_get(client, "another", NULL, NULL, err))
CALL(role_get_own, etcd_role_get(client, ROLE, NULL, NULL, err))
CALL(role_list, etcd_role_list(client, NULL, NULL, err))
CALL(role_delete, etcd_role_delete(client, "another", NULL, err))
CALL(member_list, etcd_member_list(client, NULL, NULL, err))
CALL(member_add, etcd_member_add(client, urls, ETCD_MEMBER_ADD_OPTS(.learner = true), NULL, err))
CALL(member_remove, etcd_member_remove(client, 4711, NULL, NULL, err))
CALL(member_update, etcd_member_update(client, 4711, urls, NULL, NULL, err))
CALL(member_promote, etcd_member_promote(client, 4711, NULL, NULL, err))
CALL(compact, etcd_compact(client, 1, NULL, err))
CALL(lease_grant, etcd_lease_grant(client, 600, ETCD_LEASE_OPTS(.id = 77), NULL, err))
CALL(lease_list, etcd_lease_list(client, NULL, NULL, err))
CALL(lease_ttl, etcd_lease_time_to_live(client, 77, NULL, NULL, err))
CALL(lease_revoke, etcd_lease_revoke(client, 77, NULL, err))

/* clang-format off */
#define SAME(nobody, app, root) {nobody, app, root}, {nobody, app, root}
/* clang-format on */

/* In this order: what one has done the next one finds. Servers before 3.5.30 leave some calls to everybody.
 */
static const struct call {
    const char *name;
    etcd_status (*run)(etcd_client *client, etcd_error *err);
    etcd_status now[3], before[3]; /* nobody, app, root */
} calls[] = {
    {"auth enable", auth_enable, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user add", user_add, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user change password", user_change, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user grant role", user_grant, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user get", user_get, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user get, itself", user_get_self, SAME(ETCD_E_AUTH, ETCD_OK, ETCD_OK)},
    {"user list", user_list, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user revoke role", user_revoke, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"user delete", user_delete, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"role add", role_add, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"role grant permission", role_grant, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"role get", role_get, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"role get, its own", role_get_own, SAME(ETCD_E_AUTH, ETCD_OK, ETCD_OK)},
    {"role list", role_list, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"role revoke permission", role_revoke, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"role delete", role_delete, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"member list", member_list, {ETCD_E_AUTH, ETCD_OK, ETCD_OK}, {ETCD_OK, ETCD_OK, ETCD_OK}},
    {"member add", member_add, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
    {"member remove", member_remove, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_E_NOT_FOUND)},
    {"member update", member_update, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_E_NOT_FOUND)},
    {"member promote", member_promote, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_E_NOT_FOUND)},
    {"compact",
     compact,
     {ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK},
     {ETCD_OK, ETCD_E_COMPACTED, ETCD_E_COMPACTED}},
    {"lease grant",
     lease_grant,
     {ETCD_E_AUTH, ETCD_OK, ETCD_E_EXISTS},
     {ETCD_OK, ETCD_E_EXISTS, ETCD_E_EXISTS}},
    {"lease list", lease_list, {ETCD_E_AUTH, ETCD_OK, ETCD_OK}, {ETCD_OK, ETCD_OK, ETCD_OK}},
    {"lease time to live", lease_ttl, {ETCD_E_AUTH, ETCD_OK, ETCD_OK}, {ETCD_OK, ETCD_OK, ETCD_OK}},
    {"lease revoke",
     lease_revoke,
     {ETCD_E_AUTH, ETCD_OK, ETCD_E_LEASE_NOT_FOUND},
     {ETCD_OK, ETCD_E_LEASE_NOT_FOUND, ETCD_E_LEASE_NOT_FOUND}},
    {"auth disable", auth_disable, SAME(ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK)},
};

static void test_call_by_call(void **state)
{
    struct world *world = *state;
    etcd_client *const clients[] = {world->nobody, world->app, world->root};
    static const char *const names[] = {"nobody", "app", "root"};
    bool now = etcd_server_at_least(world->server, 3, 5, 30);
    size_t wrong = 0;

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) * 3; i++) {
        const struct call *call = &calls[i / 3];
        etcd_status wanted = (now ? call->now : call->before)[i % 3];
        etcd_status st = call->run(clients[i % 3], &world->err);

        if (st != wanted)
            print_error("%s by %s: %s instead of %s\n", call->name, names[i % 3], etcd_status_name(st),
                        etcd_status_name(wanted));
        wrong += st != wanted;
    }
    assert_int_equal(wrong, 0);
}

/* Servers before 3.5 cannot be asked; those that can be want root, until 3.7. */
static void test_who_may_ask(void **state)
{
    static const etcd_status wanted[] = {ETCD_E_AUTH, ETCD_E_DENIED, ETCD_OK};
    struct world *world = *state;
    etcd_client *const clients[] = {world->nobody, world->app, world->root};

    for (size_t i = 0; i < 3; i++)
        check(world, etcd_auth_status(clients[i], NULL, NULL, &world->err),
              etcd_server_at_least(world->server, 3, 5, 0) ? wanted[i] : ETCD_E_UNSUPPORTED, "auth status");
}

/* ---- what permissions permit ----------------------------------------------------------------------- */

static etcd_status do_put(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_put(client, etcd_cstr(key), etcd_cstr("x"), NULL, NULL, err);
}

static etcd_status do_get(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_get(client, etcd_cstr(key), NULL, NULL, err);
}

static etcd_status do_delete(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_delete(client, etcd_cstr(key), NULL, NULL, err);
}

static etcd_status do_get_prefix(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_get(client, etcd_cstr(key), ETCD_GET_OPTS(.prefix = true), NULL, err);
}

static etcd_status do_delete_prefix(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_delete(client, etcd_cstr(key), ETCD_DELETE_OPTS(.prefix = true), NULL, err);
}

/* What is gone may be seen by who may read only. */
static etcd_status do_delete_prev(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_delete(client, etcd_cstr(key), ETCD_DELETE_OPTS(.prev_kv = true), NULL, err);
}

static etcd_status do_put_prev(etcd_client *client, const char *key, etcd_error *err)
{
    return etcd_put(client, etcd_cstr(key), etcd_cstr("x"), ETCD_PUT_OPTS(.prev_kv = true), NULL, err);
}

/* All transactions are allowed but for this key, in one place or another. */
static etcd_status in_txn(etcd_client *client, const char *key, int place, etcd_error *err)
{
    etcd_txn *txn = etcd_txn_new();
    etcd_status st;

    if (place == 0)
        etcd_txn_if_exists(txn, etcd_cstr(key));
    if (place == 1)
        etcd_txn_get(txn, ETCD_TXN_THEN, etcd_cstr(key), NULL);
    if (place == 2)
        etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr(key), etcd_cstr("x"), NULL);
    if (place == 3)
        etcd_txn_put(txn, ETCD_TXN_ELSE, etcd_cstr(key), etcd_cstr("x"), NULL);
    etcd_txn_put(txn, ETCD_TXN_THEN, etcd_cstr("app/ok"), etcd_cstr("x"), NULL);
    st = etcd_txn_commit(client, txn, NULL, NULL, err);
    etcd_txn_free(txn);
    return st;
}

static etcd_status do_compare(etcd_client *client, const char *key, etcd_error *err)
{
    return in_txn(client, key, 0, err);
}

static etcd_status do_txn_get(etcd_client *client, const char *key, etcd_error *err)
{
    return in_txn(client, key, 1, err);
}

static etcd_status do_txn_put(etcd_client *client, const char *key, etcd_error *err)
{
    return in_txn(client, key, 2, err);
}

/* Not even where the branch is not taken. */
static etcd_status do_txn_else(etcd_client *client, const char *key, etcd_error *err)
{
    return in_txn(client, key, 3, err);
}

enum { READS = 1, WRITES = 2 };

static const struct access {
    const char *name;
    etcd_status (*run)(etcd_client *client, const char *key, etcd_error *err);
    int needs;
    bool of_prefix;
} accesses[] = {
    {"put", do_put, WRITES, false},
    {"get", do_get, READS, false},
    {"put, prev_kv", do_put_prev, READS | WRITES, false},
    {"compare", do_compare, READS, false},
    {"get in a transaction", do_txn_get, READS, false},
    {"put in a transaction", do_txn_put, WRITES, false},
    {"put in the other branch", do_txn_else, WRITES, false},
    {"delete, prev_kv", do_delete_prev, READS | WRITES, false},
    {"delete", do_delete, WRITES, false},
    {"get of a prefix", do_get_prefix, READS, true},
    {"delete of a prefix", do_delete_prefix, WRITES, true},
};

/* What may be done with `key`, and with all that begins with it. */
static void check_access(struct world *world, const char *key, int may, int may_prefix)
{
    for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
        int has = accesses[i].of_prefix ? may_prefix : may;
        bool permitted = (accesses[i].needs & ~has) == 0;
        char what[64];

        (void)snprintf(what, sizeof(what), "%s of %s", accesses[i].name, key);
        check(world, accesses[i].run(world->app, key, &world->err), permitted ? ETCD_OK : ETCD_E_DENIED,
              what);
        if (!permitted)
            assert_non_null(strstr(world->err.message, "permission denied"));
    }
}

static void grant(struct world *world, etcd_permission_type type, const char *key,
                  const etcd_permission_opts *opts)
{
    check(world, etcd_role_grant_permission(world->root, ROLE, type, etcd_cstr(key), opts, &world->err),
          ETCD_OK, "grant");
}

static void revoke(struct world *world, const char *key, const etcd_permission_opts *opts)
{
    check(world, etcd_role_revoke_permission(world->root, ROLE, etcd_cstr(key), opts, &world->err), ETCD_OK,
          "revoke");
}

static void test_a_key(void **state)
{
    struct world *world = *state;

    check_access(world, "key", 0, 0);
    grant(world, ETCD_PERMISSION_READ, "key", NULL);
    check_access(world, "key", READS, 0);
    check_access(world, "key2", 0, 0);
    grant(world, ETCD_PERMISSION_WRITE, "key", NULL);
    check_access(world, "key", WRITES, 0);
    grant(world, ETCD_PERMISSION_READWRITE, "key", NULL);
    check_access(world, "key", READS | WRITES, 0);
    revoke(world, "key", NULL);
    check_access(world, "key", 0, 0);
}

static void test_a_prefix(void **state)
{
    const etcd_permission_opts *prefix = ETCD_PERMISSION_OPTS(.prefix = true);
    struct world *world = *state;

    check_access(world, "app/", READS | WRITES, READS | WRITES);
    check_access(world, "app/x", READS | WRITES, READS | WRITES);
    check_access(world, "app", 0, 0);
    check_access(world, "app0", 0, 0);
    grant(world, ETCD_PERMISSION_READ, "pre", prefix);
    check_access(world, "pre", READS, READS);
    check_access(world, "prefix", READS, READS);
    check_access(world, "pr", 0, 0);
    revoke(world, "pre", prefix);
    check_access(world, "prefix", 0, 0);
}

static void test_from_a_key(void **state)
{
    static const char high[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    const etcd_permission_opts *from = ETCD_PERMISSION_OPTS(.from_key = true);
    struct world *world = *state;

    grant(world, ETCD_PERMISSION_READWRITE, "m", from);
    check_access(world, "m", READS | WRITES, READS | WRITES);
    check_access(world, "z", READS | WRITES, READS | WRITES);
    check_access(world, high, READS | WRITES, READS | WRITES);
    check_access(world, "lz", 0, 0);
    revoke(world, "m", from);
    check_access(world, "z", 0, 0);
    grant(world, ETCD_PERMISSION_READ, "", from);
    check_access(world, "anything", READS, READS);
    revoke(world, "", from);
}

static void test_a_range(void **state)
{
    const etcd_permission_opts *range = ETCD_PERMISSION_OPTS(.range_end = etcd_cstr("bd"));
    struct world *world = *state;

    grant(world, ETCD_PERMISSION_READWRITE, "bb", range);
    check_access(world, "bb", READS | WRITES, READS | WRITES);
    check_access(world, "bc", READS | WRITES, READS | WRITES);
    check_access(world, "bd", 0, 0);
    check_access(world, "b", 0, 0);
    revoke(world, "bb", range);
}

/* ---- while it is used ------------------------------------------------------------------------------ */

static void test_a_role_comes_and_goes(void **state)
{
    struct world *world = *state;

    check(world, do_put(world->app, "app/a", &world->err), ETCD_OK, "put");
    check(world, etcd_user_revoke_role(world->root, "app", ROLE, NULL, &world->err), ETCD_OK, "revoke");
    check(world, do_put(world->app, "app/a", &world->err), ETCD_E_DENIED, "put without the role");
    check(world, etcd_user_grant_role(world->root, "app", ROLE, NULL, &world->err), ETCD_OK, "grant");
    check(world, do_put(world->app, "app/a", &world->err), ETCD_OK, "put with the role");
}

static void test_a_user_goes(void **state)
{
    struct world *world = *state;
    etcd_client *client;
    etcd_error *err = &world->err;

    check(world, etcd_user_add(world->root, "guest", ETCD_SECRET_TEXT("g"), NULL, err), ETCD_OK, "add");
    check(world, etcd_user_grant_role(world->root, "guest", ROLE, NULL, err), ETCD_OK, "grant");
    client = open_as(world, "guest", "g");
    check(world, do_put(client, "app/g", err), ETCD_OK, "put");
    check(world, etcd_user_delete(world->root, "guest", NULL, err), ETCD_OK, "delete");
    check(world, do_put(client, "app/g", err), ETCD_E_AUTH, "put of who is gone");
    assert_non_null(strstr(err->message, "authentication failed"));
    etcd_client_free(client);
}

/* A lease is revoked by who may write all its keys, and shows them to who may read them. */
static void test_leases_of_others(void **state)
{
    struct world *world = *state;
    etcd_lease lease;
    etcd_error *err = &world->err;

    check(world, etcd_lease_grant(world->root, 600, NULL, &lease, err), ETCD_OK, "grant");
    check(world,
          etcd_put(world->root, etcd_cstr("secret"), etcd_cstr("x"), ETCD_PUT_OPTS(.lease_id = lease.id),
                   NULL, err),
          ETCD_OK, "put");
    check(world, etcd_lease_revoke(world->app, lease.id, NULL, err), ETCD_E_DENIED, "revoke");
    if (etcd_server_at_least(world->server, 3, 5, 30))
        check(world, etcd_lease_time_to_live(world->app, lease.id, ETCD_LEASE_OPTS(.keys = true), NULL, err),
              ETCD_E_DENIED, "time to live");
    check(world,
          etcd_put(world->app, etcd_cstr("app/a"), etcd_cstr("x"), ETCD_PUT_OPTS(.lease_id = lease.id), NULL,
                   err),
          ETCD_E_DENIED, "put with a lease that has another's key");
    check(world, etcd_lease_revoke(world->root, lease.id, NULL, err), ETCD_OK, "revoke by root");
}

int main(void)
{
    /* The last one turns authentication off. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key),
        cmocka_unit_test(test_a_prefix),
        cmocka_unit_test(test_from_a_key),
        cmocka_unit_test(test_a_range),
        cmocka_unit_test(test_a_role_comes_and_goes),
        cmocka_unit_test(test_a_user_goes),
        cmocka_unit_test(test_leases_of_others),
        cmocka_unit_test(test_who_may_ask),
        cmocka_unit_test(test_call_by_call),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
