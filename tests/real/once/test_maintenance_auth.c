/* SPDX-License-Identifier: Apache-2.0 */
/* Who may look after a member, of every version there is: nobody, somebody with a wrong password, root, a
 * user. */
#include "support/real.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

enum { MAX_VERSIONS = 8 };
enum who { NOBODY, WRONG, ROOT, USER, WHO_COUNT };

static const struct etcd_server_user users[] = {{"app", "app-password", "/app/"}, {NULL, NULL, NULL}};
static struct etcd_server *servers[MAX_VERSIONS];
static etcd_client *clients[MAX_VERSIONS][WHO_COUNT];

static etcd_client *open_as(struct etcd_server *server, const char *user, const char *password)
{
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_client *client = NULL;
    etcd_error err;

    opts.endpoints = endpoints;
    opts.username = user;
    if (user != NULL)
        opts.password = ETCD_SECRET_TEXT(password);
    assert_false(real_failed(etcd_client_open(&opts, &client, &err), &err));
    return client;
}

static int start_all(void **state)
{
    const char *const *versions = etcd_server_versions();

    (void)state;
    for (size_t i = 0; versions[i] != NULL; i++) {
        assert_true(i + 1 < MAX_VERSIONS);
        servers[i] = etcd_server_start(
            &(struct etcd_server_options){.version = versions[i], .auth = true, .users = users});
        assert_non_null(servers[i]);
        clients[i][NOBODY] = open_as(servers[i], NULL, NULL);
        clients[i][WRONG] = open_as(servers[i], "root", "wrong");
        clients[i][ROOT] = open_as(servers[i], "root", ETCD_SERVER_ROOT_PASSWORD);
        clients[i][USER] = open_as(servers[i], "app", "app-password");
    }
    return 0;
}

static int stop_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAX_VERSIONS; i++) {
        for (int who = 0; who < WHO_COUNT; who++)
            etcd_client_free(clients[i][who]);
        etcd_server_free(servers[i]);
    }
    return 0;
}

/* ---- the calls ------------------------------------------------------------------------------------- */

static etcd_status defragment(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_defragment(client, endpoint, ETCD_ADMIN_OPTS(.timeout_ms = 30000), err);
}

static etcd_status downgrade(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_downgrade(client, endpoint, ETCD_DOWNGRADE_VALIDATE, "3.4.0", NULL, NULL, err);
}

static etcd_status hash_kv(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_hash_kv(client, endpoint, 0, NULL, NULL, err);
}

/* To itself: there is only one. */
static etcd_status move_leader(etcd_client *client, const char *endpoint, etcd_error *err)
{
    etcd_member_status_result *status = NULL;
    etcd_client *root = NULL;
    etcd_status st;

    for (size_t i = 0; servers[i] != NULL; i++) {
        if (strcmp(etcd_server_endpoint(servers[i], 0), endpoint) == 0)
            root = clients[i][ROOT];
    }
    assert_false(real_failed(etcd_member_status(root, endpoint, NULL, &status, err), err));
    st = etcd_move_leader(client, endpoint, status->header.member_id, NULL, err);
    etcd_member_status_result_free(status);
    return st;
}

static bool go_on(const etcd_backup_part *part, void *user_data)
{
    (void)part;
    (void)user_data;
    return true;
}

static etcd_status back_up(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_backup_read(
        client, ETCD_BACKUP_OPTS(.endpoint = endpoint, .timeout_ms = 30000, .on_part = go_on), NULL, err);
}

static etcd_status member_status(etcd_client *client, const char *endpoint, etcd_error *err)
{
    return etcd_member_status(client, endpoint, NULL, NULL, err);
}

/* ---- who may -------------------------------------------------------------------------------------- */

typedef etcd_status call_fn(etcd_client *client, const char *endpoint, etcd_error *err);

/* Versions before 3.5.30 let everybody do some of it. */
static bool is_strict(const struct etcd_server *server)
{
    return etcd_server_at_least(server, 3, 5, 30);
}

static void expect(size_t server, enum who who, call_fn *call, etcd_status wanted)
{
    etcd_error err = {.message = ""};
    etcd_status st = call(clients[server][who], etcd_server_endpoint(servers[server], 0), &err);

    if (st != wanted)
        fail_msg("%s, %d: %s: %s", etcd_server_version(servers[server]), (int)who, etcd_status_name(st),
                 err.message);
    if (st != ETCD_OK)
        assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
}

static void only_root(size_t server, call_fn *call)
{
    expect(server, NOBODY, call, ETCD_E_AUTH);
    expect(server, WRONG, call, ETCD_E_AUTH);
    expect(server, ROOT, call, ETCD_OK);
    expect(server, USER, call, ETCD_E_DENIED);
}

static void everybody(size_t server, call_fn *call, etcd_status wanted)
{
    expect(server, NOBODY, call, wanted);
    expect(server, WRONG, call, ETCD_E_AUTH); /* a login that fails is none */
    expect(server, ROOT, call, wanted);
    expect(server, USER, call, wanted);
}

static void only_root_everywhere(call_fn *call)
{
    for (size_t i = 0; servers[i] != NULL; i++)
        only_root(i, call);
}

static void only_root_where_strict(call_fn *call)
{
    for (size_t i = 0; servers[i] != NULL; i++) {
        if (is_strict(servers[i]))
            only_root(i, call);
        else
            everybody(i, call, ETCD_OK);
    }
}

static void test_defragment(void **state)
{
    (void)state;
    only_root_everywhere(defragment);
}

static void test_hash_kv(void **state)
{
    (void)state;
    only_root_everywhere(hash_kv);
}

static void test_backup(void **state)
{
    (void)state;
    only_root_everywhere(back_up);
}

static void test_move_leader(void **state)
{
    (void)state;
    only_root_where_strict(move_leader);
}

static void test_status(void **state)
{
    (void)state;
    only_root_where_strict(member_status);
}

static void test_downgrade(void **state)
{
    (void)state;
    for (size_t i = 0; servers[i] != NULL; i++) {
        if (!etcd_server_at_least(servers[i], 3, 5, 0))
            everybody(i, downgrade, ETCD_E_UNSUPPORTED);
        else if (is_strict(servers[i]))
            only_root(i, downgrade);
        else
            everybody(i, downgrade, ETCD_OK);
    }
}

/* A server that was started again knows no token any more. */
static void test_a_forgotten_token_is_renewed(void **state)
{
    (void)state;
    for (size_t i = 0; servers[i] != NULL; i++) {
        etcd_client *other = open_as(servers[i], "root", ETCD_SERVER_ROOT_PASSWORD);
        etcd_error err;

        expect(i, ROOT, hash_kv, ETCD_OK);
        assert_false(real_failed(hash_kv(other, NULL, &err), &err));
        assert_true(etcd_server_kill(servers[i], 0));
        assert_true(etcd_server_restart(servers[i], 0));
        assert_true(etcd_server_wait(servers[i], 0));
        expect(i, ROOT, hash_kv, ETCD_OK);
        assert_false(real_failed(back_up(other, NULL, &err), &err));
        etcd_client_free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defragment),
        cmocka_unit_test(test_downgrade),
        cmocka_unit_test(test_hash_kv),
        cmocka_unit_test(test_move_leader),
        cmocka_unit_test(test_backup),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_a_forgotten_token_is_renewed),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
