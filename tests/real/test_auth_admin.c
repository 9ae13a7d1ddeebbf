/* SPDX-License-Identifier: Apache-2.0 */
/* Users, roles, passwords; authentication on and off. */
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/process.h"

#include <stdlib.h>

struct world {
    struct etcd_server *server;
    etcd_client *nobody; /* without credentials */
    etcd_error err;
};

static void check(struct world *world, etcd_status st, etcd_status wanted)
{
    if (st != wanted)
        fail_msg("%s instead of %s: %s", etcd_status_name(st), etcd_status_name(wanted),
                 st == ETCD_OK ? "" : world->err.message);
}

static etcd_client *open_as(struct world *world, const char *name, const char *password)
{
    return test_client_open(etcd_server_endpoints(world->server),
                            ETCD_CLIENT_OPTS(.username = name, .password = ETCD_SECRET_TEXT(password)));
}

static etcd_status put_as(struct world *world, etcd_client *client, const char *key)
{
    return etcd_put(client, etcd_cstr(key), etcd_cstr("x"), NULL, NULL, &world->err);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(world->server);
    world->nobody = test_client_open(etcd_server_endpoints(world->server), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->nobody);
    etcd_server_free(world->server);
    free(world);
    return 0;
}

static void check_users(struct world *world, const char *const *names, size_t count)
{
    etcd_users_result *users = NULL;

    check(world, etcd_user_list(world->nobody, NULL, &users, &world->err), ETCD_OK);
    assert_true(etcd_users_result_header(users)->cluster_id != 0);
    assert_int_equal(etcd_users_result_count(users), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(etcd_users_result_name(users, i), names[i]);
    etcd_users_result_free(users);
}

static void check_user_roles(struct world *world, const char *name, const char *role)
{
    etcd_user_result *user = NULL;

    check(world, etcd_user_get(world->nobody, name, NULL, &user, &world->err), ETCD_OK);
    assert_int_equal(etcd_user_result_role_count(user), role == NULL ? 0 : 1);
    if (role != NULL)
        assert_string_equal(etcd_user_result_role(user, 0), role);
    etcd_user_result_free(user);
}

static void test_users(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->nobody;
    etcd_error *err = &world->err;

    check_users(world, NULL, 0);
    check(world, etcd_user_add(client, "bob", ETCD_SECRET_TEXT("b"), NULL, err), ETCD_OK);
    check(world, etcd_user_add(client, "alice", ETCD_SECRET_TEXT("a"), NULL, err), ETCD_OK);
    check(world, etcd_user_add(client, "alice", ETCD_SECRET_TEXT("a"), NULL, err), ETCD_E_EXISTS);
    check(world,
          etcd_user_add(client, "cert", ETCD_SECRET_NONE, ETCD_USER_ADD_OPTS(.no_password = true), err),
          ETCD_OK);
    check_users(world, (const char *const[]){"alice", "bob", "cert"}, 3);
    check(world, etcd_user_get(client, "nobody", NULL, NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_user_change_password(client, "nobody", ETCD_SECRET_TEXT("x"), NULL, err),
          ETCD_E_NOT_FOUND);
    check(world, etcd_user_change_password(client, "bob", ETCD_SECRET_TEXT("x"), NULL, err), ETCD_OK);
    check(world, etcd_user_grant_role(client, "alice", "admin", NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_role_add(client, "admin", NULL, err), ETCD_OK);
    check(world, etcd_user_grant_role(client, "nobody", "admin", NULL, err), ETCD_E_NOT_FOUND);
    check_user_roles(world, "alice", NULL);
    check(world, etcd_user_grant_role(client, "alice", "admin", NULL, err), ETCD_OK);
    check(world, etcd_user_grant_role(client, "alice", "admin", NULL, err), ETCD_OK);
    check_user_roles(world, "alice", "admin");
    check(world, etcd_user_revoke_role(client, "bob", "admin", NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_user_revoke_role(client, "alice", "admin", NULL, err), ETCD_OK);
    check(world, etcd_user_revoke_role(client, "alice", "admin", NULL, err), ETCD_E_NOT_FOUND);
    /* A role that goes is taken from all who have it. */
    check(world, etcd_user_grant_role(client, "alice", "admin", NULL, err), ETCD_OK);
    check(world, etcd_role_delete(client, "admin", NULL, err), ETCD_OK);
    check_user_roles(world, "alice", NULL);
    check(world, etcd_user_delete(client, "alice", NULL, err), ETCD_OK);
    check(world, etcd_user_delete(client, "alice", NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_user_delete(client, "bob", NULL, err), ETCD_OK);
    check(world, etcd_user_delete(client, "cert", NULL, err), ETCD_OK);
    check_users(world, NULL, 0);
}

static void check_permission(struct world *world, const char *role, size_t count, etcd_permission_type type,
                             etcd_bytes key, etcd_bytes range_end)
{
    etcd_role_result *result = NULL;
    bool found = false;

    check(world, etcd_role_get(world->nobody, role, NULL, &result, &world->err), ETCD_OK);
    assert_int_equal(etcd_role_result_permission_count(result), count);
    for (size_t i = 0; i < count; i++) {
        const etcd_permission *permission = etcd_role_result_permission(result, i);

        found = found || (permission->type == type && permission->key.len == key.len &&
                          permission->range_end.len == range_end.len &&
                          memcmp(permission->key.data, key.data, key.len) == 0 &&
                          memcmp(permission->range_end.data, range_end.data, range_end.len) == 0);
    }
    etcd_role_result_free(result);
    assert_true(found);
}

static void test_roles(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->nobody;
    etcd_error *err = &world->err;
    etcd_roles_result *roles = NULL;

    check(world, etcd_role_add(client, "b", NULL, err), ETCD_OK);
    check(world, etcd_role_add(client, "a", NULL, err), ETCD_OK);
    check(world, etcd_role_add(client, "a", NULL, err), ETCD_E_EXISTS);
    check(world, etcd_role_list(client, NULL, &roles, err), ETCD_OK);
    assert_int_equal(etcd_roles_result_count(roles), 2);
    assert_string_equal(etcd_roles_result_name(roles, 0), "a");
    assert_string_equal(etcd_roles_result_name(roles, 1), "b");
    etcd_roles_result_free(roles);
    check(world, etcd_role_get(client, "c", NULL, NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_role_delete(client, "c", NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_role_delete(client, "a", NULL, err), ETCD_OK);
    check(world, etcd_role_delete(client, "b", NULL, err), ETCD_OK);
}

static void test_permissions(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->nobody;
    etcd_error *err = &world->err;
    const etcd_bytes k = etcd_cstr("k"), none = etcd_cstr(""), zero = etcd_bytes_of("\0", 1);
    const etcd_permission_opts *prefix = ETCD_PERMISSION_OPTS(.prefix = true);
    const etcd_permission_opts *from = ETCD_PERMISSION_OPTS(.from_key = true);
    const etcd_permission_opts *range = ETCD_PERMISSION_OPTS(.range_end = etcd_cstr("kk"));

    check(world, etcd_role_add(client, "p", NULL, err), ETCD_OK);
    check(world, etcd_role_grant_permission(client, "q", ETCD_PERMISSION_READ, k, NULL, err),
          ETCD_E_NOT_FOUND);
    check(world, etcd_role_grant_permission(client, "p", ETCD_PERMISSION_READ, k, NULL, err), ETCD_OK);
    check_permission(world, "p", 1, ETCD_PERMISSION_READ, k, none);
    check(world, etcd_role_grant_permission(client, "p", ETCD_PERMISSION_WRITE, k, NULL, err), ETCD_OK);
    check_permission(world, "p", 1, ETCD_PERMISSION_WRITE, k, none);
    check(world, etcd_role_grant_permission(client, "p", ETCD_PERMISSION_READWRITE, k, prefix, err), ETCD_OK);
    check_permission(world, "p", 2, ETCD_PERMISSION_READWRITE, k, etcd_cstr("l"));
    check(world, etcd_role_grant_permission(client, "p", ETCD_PERMISSION_READ, k, from, err), ETCD_OK);
    check_permission(world, "p", 3, ETCD_PERMISSION_READ, k, zero);
    check(world, etcd_role_grant_permission(client, "p", ETCD_PERMISSION_READ, k, range, err), ETCD_OK);
    check_permission(world, "p", 4, ETCD_PERMISSION_READ, k, etcd_cstr("kk"));
    check(world, etcd_role_grant_permission(client, "p", ETCD_PERMISSION_WRITE, none, prefix, err), ETCD_OK);
    check_permission(world, "p", 5, ETCD_PERMISSION_WRITE, zero, zero);
    check(world, etcd_role_revoke_permission(client, "p", k, prefix, err), ETCD_OK);
    check(world, etcd_role_revoke_permission(client, "p", k, prefix, err), ETCD_E_NOT_FOUND);
    check(world, etcd_role_revoke_permission(client, "p", etcd_cstr("x"), NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_role_revoke_permission(client, "q", k, NULL, err), ETCD_E_NOT_FOUND);
    check(world, etcd_role_revoke_permission(client, "p", k, from, err), ETCD_OK);
    check(world, etcd_role_revoke_permission(client, "p", k, range, err), ETCD_OK);
    check(world, etcd_role_revoke_permission(client, "p", none, from, err), ETCD_OK);
    check_permission(world, "p", 1, ETCD_PERMISSION_WRITE, k, none);
    /* A range that ends where it begins, or before. */
    if (etcd_server_at_least(world->server, 3, 5, 0))
        check(world,
              etcd_role_grant_permission(client, "p", ETCD_PERMISSION_READ, k,
                                         ETCD_PERMISSION_OPTS(.range_end = etcd_cstr("a")), err),
              ETCD_E_INVALID_ARGUMENT);
    check(world, etcd_role_delete(client, "p", NULL, err), ETCD_OK);
}

/* ---- on and off ------------------------------------------------------------------------------------ */

/* Servers before 3.5 cannot be asked. */
static void check_enabled(struct world *world, etcd_client *client, bool enabled)
{
    etcd_auth_status_result *status = NULL;
    etcd_status st = etcd_auth_status(client, NULL, &status, &world->err);

    if (!etcd_server_at_least(world->server, 3, 5, 0)) {
        check(world, st, ETCD_E_UNSUPPORTED);
        return;
    }
    check(world, st, ETCD_OK);
    assert_int_equal(etcd_auth_status_result_enabled(status), enabled);
    assert_true(etcd_auth_status_result_revision(status) > 1);
    etcd_auth_status_result_free(status);
}

/* Leaves root with its role, and authentication off. */
static void test_on_and_off(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->nobody, *root;
    etcd_error *err = &world->err;

    check(world, etcd_auth_enable(client, NULL, err), ETCD_E_NOT_FOUND);
    assert_non_null(strstr(err->message, "root user does not exist"));
    check(world, etcd_user_add(client, "root", ETCD_SECRET_TEXT("r"), NULL, err), ETCD_OK);
    check(world, etcd_auth_enable(client, NULL, err), ETCD_E_PRECONDITION);
    check(world, etcd_role_add(client, "root", NULL, err), ETCD_OK);
    check(world, etcd_user_grant_role(client, "root", "root", NULL, err), ETCD_OK);
    check_enabled(world, client, false);
    check(world, put_as(world, client, "k"), ETCD_OK);
    check(world, etcd_auth_enable(client, NULL, err), ETCD_OK);
    check(world, put_as(world, client, "k"), ETCD_E_AUTH);
    assert_non_null(strstr(err->message, "no user given"));
    root = open_as(world, "root", "r");
    check_enabled(world, root, true);
    check(world, put_as(world, root, "k"), ETCD_OK);
    check(world, etcd_auth_enable(root, NULL, err), ETCD_OK);
    check(world, etcd_auth_disable(client, NULL, err), ETCD_E_AUTH);
    check(world, etcd_auth_disable(root, NULL, err), ETCD_OK);
    check_enabled(world, root, false);
    check(world, put_as(world, client, "k"), ETCD_OK);
    /* Who has credentials goes on with what needs none. */
    check(world, put_as(world, root, "k"), ETCD_OK);
    check(world, etcd_auth_disable(client, NULL, err), ETCD_OK);
    etcd_client_free(root);
}

/* With a call and a watch under way. */
static void test_turned_off_meanwhile(void **state)
{
    struct world *world = *state;
    etcd_client *root;
    etcd_watch *watch = NULL;
    etcd_events *events = NULL;
    etcd_error *err = &world->err;

    check(world, etcd_auth_enable(world->nobody, NULL, err), ETCD_OK);
    root = open_as(world, "root", "r");
    check(world, put_as(world, root, "w"), ETCD_OK);
    check(world, etcd_watch_open(root, etcd_cstr("w"), ETCD_WATCH_OPTS(.start_revision = 1), &watch, err),
          ETCD_OK);
    check(world, etcd_watch_next(watch, 10000, &events, err), ETCD_OK);
    etcd_events_free(events);
    events = NULL;
    check(world, etcd_auth_disable(root, NULL, err), ETCD_OK);
    check(world, put_as(world, root, "w"), ETCD_OK);
    check(world, etcd_watch_next(watch, 10000, &events, err), ETCD_OK);
    etcd_events_free(events);
    etcd_watch_close(watch);
    etcd_client_free(root);
    check(world, put_as(world, world->nobody, "w"), ETCD_OK);
}

/* ---- with authentication on ------------------------------------------------------------------------ */

struct on {
    struct world *world;
    etcd_client *root;
};

static struct on turn_on(struct world *world)
{
    struct on on = {.world = world};

    check(world, etcd_auth_enable(world->nobody, NULL, &world->err), ETCD_OK);
    on.root = open_as(world, "root", "r");
    return on;
}

static void turn_off(struct on *on)
{
    check(on->world, etcd_auth_disable(on->root, NULL, &on->world->err), ETCD_OK);
    etcd_client_free(on->root);
}

static void test_root_is_protected(void **state)
{
    struct world *world = *state;
    struct on on = turn_on(world);
    etcd_error *err = &world->err;

    check(world, etcd_user_delete(on.root, "root", NULL, err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err->message, "invalid auth management"));
    check(world, etcd_user_revoke_role(on.root, "root", "root", NULL, err), ETCD_E_INVALID_ARGUMENT);
    check(world, etcd_role_delete(on.root, "root", NULL, err), ETCD_E_INVALID_ARGUMENT);
    check(world, put_as(world, on.root, "k"), ETCD_OK);
    turn_off(&on);
}

static void add_app(struct on *on, const char *password)
{
    struct world *world = on->world;
    etcd_error *err = &world->err;

    check(world, etcd_user_add(on->root, "app", ETCD_SECRET_TEXT(password), NULL, err), ETCD_OK);
    check(world, etcd_user_grant_role(on->root, "app", "root", NULL, err), ETCD_OK);
}

static void check_login(struct world *world, const char *name, const char *password, etcd_status wanted)
{
    etcd_client *client = open_as(world, name, password);

    check(world, etcd_client_wait_ready(client, 0, &world->err), wanted);
    if (wanted != ETCD_OK)
        assert_non_null(strstr(world->err.message, name));
    check(world, put_as(world, client, "k"), wanted);
    etcd_client_free(client);
}

static void test_logins(void **state)
{
    struct world *world = *state;
    struct on on = turn_on(world);
    etcd_error *err = &world->err;

    check_login(world, "root", "wrong", ETCD_E_AUTH);
    check_login(world, "nobody", "r", ETCD_E_AUTH);
    check(world,
          etcd_user_add(on.root, "cert", ETCD_SECRET_NONE, ETCD_USER_ADD_OPTS(.no_password = true), err),
          ETCD_OK);
    check_login(world, "cert", "any", ETCD_E_AUTH);
    check(world, etcd_user_delete(on.root, "cert", NULL, err), ETCD_OK);
    turn_off(&on);
}

/* An old password and an old token are worth nothing; who reads it from its source finds the new one. */
static void test_a_new_password(void **state)
{
    struct world *world = *state;
    struct on on = turn_on(world);
    etcd_client *fixed, *rotating;
    etcd_error *err = &world->err;

    add_app(&on, "first");
    assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "first", 1), 0);
    fixed = open_as(world, "app", "first");
    rotating = test_client_open(
        etcd_server_endpoints(world->server),
        ETCD_CLIENT_OPTS(.username = "app", .password = ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD")));
    check(world, put_as(world, fixed, "k"), ETCD_OK);
    check(world, put_as(world, rotating, "k"), ETCD_OK);
    assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "second", 1), 0);
    check(world, etcd_user_change_password(on.root, "app", ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD"), NULL, err),
          ETCD_OK);
    check(world, put_as(world, fixed, "k"), ETCD_E_AUTH);
    check(world, put_as(world, rotating, "k"), ETCD_OK);
    check_login(world, "app", "first", ETCD_E_AUTH);
    check_login(world, "app", "second", ETCD_OK);
    etcd_client_free(fixed);
    etcd_client_free(rotating);
    check(world, etcd_user_delete(on.root, "app", NULL, err), ETCD_OK);
    turn_off(&on);
}

/* Somebody of the same name is somebody else. */
static void test_deleted_and_added_again(void **state)
{
    struct world *world = *state;
    struct on on = turn_on(world);
    etcd_client *app;
    etcd_error *err = &world->err;

    add_app(&on, "first");
    app = open_as(world, "app", "first");
    check(world, put_as(world, app, "k"), ETCD_OK);
    check(world, etcd_user_delete(on.root, "app", NULL, err), ETCD_OK);
    check(world, put_as(world, app, "k"), ETCD_E_AUTH);
    add_app(&on, "second");
    check(world, put_as(world, app, "k"), ETCD_E_AUTH);
    check_login(world, "app", "second", ETCD_OK);
    check(world, etcd_user_change_password(on.root, "app", ETCD_SECRET_TEXT("first"), NULL, err), ETCD_OK);
    check(world, put_as(world, app, "k"), ETCD_OK);
    etcd_client_free(app);
    check(world, etcd_user_delete(on.root, "app", NULL, err), ETCD_OK);
    turn_off(&on);
}

static void test_a_restart_remembers(void **state)
{
    struct world *world = *state;
    struct on on = turn_on(world);

    assert_true(etcd_server_kill(world->server, 0) && etcd_server_restart(world->server, 0) &&
                etcd_server_wait(world->server, 0));
    check(world, put_as(world, world->nobody, "k"), ETCD_E_AUTH);
    check(world, put_as(world, on.root, "k"), ETCD_OK);
    check_enabled(world, on.root, true);
    turn_off(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_on_and_off),
        cmocka_unit_test(test_turned_off_meanwhile),
        cmocka_unit_test(test_root_is_protected),
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_a_new_password),
        cmocka_unit_test(test_deleted_and_added_again),
        cmocka_unit_test(test_a_restart_remembers),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
