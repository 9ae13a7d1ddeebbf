/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of administration are given: mistakes that are found before anything is sent, and passwords.
 */
#include "support/fake_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CODE_UNAVAILABLE = 14, CODE_DENIED = 7 };

static const char canary[] = "canary-7f3a%s%n";

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    struct fake_log log;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->fake = fake_etcd_start();
    world->client = test_client_open(fake_etcd_endpoint(world->fake),
                                     ETCD_CLIENT_OPTS(.name = "orders", .log_fn = fake_log_line,
                                                      .log_user_data = &world->log,
                                                      .log_level = ETCD_LOG_TRACE));
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

/* ---- mistakes -------------------------------------------------------------------------------------- */

static void refused(struct world *world, etcd_status st, const char *text)
{
    assert_status(st, ETCD_E_INVALID_ARGUMENT, &world->err);
    assert_has_text(world->err.message, text);
    assert_int_equal(world->err.flags, 0);
    assert_int_equal(fake_etcd_calls(world->fake, NULL), 0);
}

static void test_names_are_checked(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->client;
    etcd_error *err = &world->err;
    const etcd_secret hush = ETCD_SECRET_TEXT("hush");

    refused(world, etcd_user_add(client, NULL, hush, NULL, err), "user add: name is NULL");
    refused(world, etcd_user_add(client, "", hush, NULL, err), "user add: name is empty");
    refused(world, etcd_user_add(client, "a\xff", hush, NULL, err),
            "user add: name is 'a\\xFF', which is not UTF-8");
    refused(world, etcd_user_delete(client, "", NULL, err), "user delete: name is empty");
    refused(world, etcd_user_change_password(client, "", hush, NULL, err),
            "user change password: name is empty");
    refused(world, etcd_user_get(client, "", NULL, NULL, err), "user get: name is empty");
    refused(world, etcd_user_grant_role(client, "", "r", NULL, err), "user grant role: name is empty");
    refused(world, etcd_user_grant_role(client, "u", NULL, NULL, err), "user grant role: role is NULL");
    refused(world, etcd_user_revoke_role(client, "", "r", NULL, err), "user revoke role: name is empty");
    refused(world, etcd_user_revoke_role(client, "u", "", NULL, err), "user revoke role: role is empty");
    refused(world, etcd_role_add(client, "", NULL, err), "role add: role is empty");
    refused(world, etcd_role_delete(client, NULL, NULL, err), "role delete: role is NULL");
    refused(world, etcd_role_get(client, "\xc3", NULL, NULL, err),
            "role get: role is '\\xC3', which is not UTF-8");
}

static void test_permissions_are_checked(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->client;
    etcd_error *err = &world->err;
    const etcd_bytes k = etcd_cstr("k");

    refused(world, etcd_role_grant_permission(client, "", ETCD_PERMISSION_READ, k, NULL, err),
            "role grant permission: role is empty");
    refused(world, etcd_role_grant_permission(client, "r", (etcd_permission_type)3, k, NULL, err),
            "role grant permission: type is 3");
    refused(world, etcd_role_grant_permission(client, "r", ETCD_PERMISSION_READ, etcd_cstr(""), NULL, err),
            "role grant permission: key is empty");
    refused(world,
            etcd_role_grant_permission(client, "r", ETCD_PERMISSION_READ, k,
                                       ETCD_PERMISSION_OPTS(.prefix = true, .from_key = true), err),
            "only one of prefix, from_key and range_end");
    refused(world,
            etcd_role_revoke_permission(client, "r", k, ETCD_PERMISSION_OPTS(.prefix = true, .range_end = k),
                                        err),
            "role revoke permission: only one of prefix, from_key and range_end");
    refused(world, etcd_role_revoke_permission(client, "r", etcd_bytes_of(NULL, 2), NULL, err),
            "role revoke permission: key has 2 bytes but no data");
    refused(world, etcd_role_revoke_permission(client, NULL, k, NULL, err),
            "role revoke permission: role is NULL");
}

static void test_members_are_checked(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->client;
    etcd_error *err = &world->err;
    const char *const good[] = {"http://10.0.0.1:2380", NULL}, *const none[] = {NULL};

    refused(world, etcd_member_remove(client, 0, NULL, NULL, err), "member remove: member_id is 0");
    refused(world, etcd_member_promote(client, 0, NULL, NULL, err), "member promote: member_id is 0");
    refused(world, etcd_member_update(client, 0, good, NULL, NULL, err), "member update: member_id is 0");
    refused(world, etcd_member_add(client, NULL, NULL, NULL, err), "member add: peer_urls has no address");
    refused(world, etcd_member_add(client, none, NULL, NULL, err), "member add: peer_urls has no address");
    refused(world, etcd_member_update(client, 1, none, NULL, NULL, err),
            "member update: peer_urls has no address");
}

/* The first six are those of Go's TestMemberAddUpdateWrongURLs. */
static void test_peer_urls_are_checked(void **state)
{
    static const struct {
        const char *url, *why;
    } cases[] = {
        {"://127.0.0.1:2379", "the scheme is not one of"},
        {"mailto://127.0.0.1:2379", "the scheme is not one of"},
        {"http://127.0.0.1", "the port is missing"},
        {"http://127.0.0.1:2379/path", "has a path"},
        {"127.0.0.1:2379", "the scheme is missing"},
        {"localhost:1234", "the scheme is missing"},
        {"", "empty"},
        {"http://", "host is missing"},
        {"http://h:2380/", "has a path"},
        {"https://[::1]", "the port is missing"},
        {"https://[::1:2380", "bracket"},
        {"http://h:0", "port"},
        {"http://h:65536", "port"},
        {"http://h:2380?x=1", "query"},
        {"http://h: 2380", "space"},
        {"unix:", "path of the socket is missing"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const list[] = {"http://10.0.0.1:2380", "unixs:///run/etcd", cases[i].url, NULL};

        refused(world, etcd_member_add(world->client, list, NULL, NULL, &world->err),
                "member add: peer_urls[2]: ");
        assert_has_text(world->err.message, cases[i].why);
        assert_has_text(world->err.message, cases[i].url[0] == '\0' ? "\"\"" : "2");
        refused(world, etcd_member_update(world->client, 1, list, NULL, NULL, &world->err),
                "member update: peer_urls[2]: ");
        assert_has_text(world->err.message, cases[i].why);
    }
}

static void test_credentials_in_urls_are_not_shown(void **state)
{
    static const char *const list[] = {"http://u:canary-7f3a@h:2380", NULL};
    struct world *world = *state;

    refused(world, etcd_member_add(world->client, list, NULL, NULL, &world->err),
            "member add: peer_urls[0]: ");
    assert_lacks_text(world->err.message, "canary");
}

static void test_options_are_checked(void **state)
{
    struct world *world = *state;
    etcd_admin_opts garbage;
    etcd_error *err = &world->err;

    memset(&garbage, 0xff, sizeof(garbage));
    refused(world, etcd_auth_enable(world->client, &garbage, err),
            "auth enable options were not initialised");
    refused(world, etcd_role_list(world->client, &garbage, NULL, err),
            "role list options were not initialised");
    refused(world, etcd_member_remove(world->client, 1, &garbage, NULL, err),
            "member remove options were not");
    refused(world, etcd_auth_enable(world->client, ETCD_ADMIN_OPTS(.timeout_ms = -1), err),
            "timeout_ms is -1");
    refused(world, etcd_auth_enable(NULL, NULL, err), "client");
}

/* ---- passwords ------------------------------------------------------------------------------------- */

static void test_password_sources(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->client;
    etcd_error *err = &world->err;

    (void)unsetenv("ETCDC_TEST_PASSWORD");
    refused(world, etcd_user_add(client, "u", ETCD_SECRET_NONE, NULL, err),
            "user add: password: there is none");
    refused(world, etcd_user_add(client, "u", ETCD_SECRET_TEXT(NULL), NULL, err),
            "user add: password: its source is NULL");
    refused(world, etcd_user_add(client, "u", ETCD_SECRET_TEXT(""), NULL, err),
            "user add: password: the text is empty");
    refused(world, etcd_user_add(client, "u", ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD"), NULL, err),
            "user add: password: the environment variable ETCDC_TEST_PASSWORD is not set");
    refused(world, etcd_user_add(client, "u", etcd_secret_of((etcd_secret_kind)7, "x"), NULL, err),
            "user add: password: its kind is 7");
    refused(
        world,
        etcd_user_add(client, "u", ETCD_SECRET_TEXT(canary), ETCD_USER_ADD_OPTS(.no_password = true), err),
        "user add: no_password is set and there is a password");
    assert_lacks_text(err->message, "canary");
    refused(world, etcd_user_change_password(client, "u", ETCD_SECRET_NONE, NULL, err),
            "user change password: password: there is none");
    assert_status(etcd_user_change_password(client, "u", ETCD_SECRET_FILE("/nowhere/at/all"), NULL, err),
                  ETCD_E_IO, err);
    assert_has_text(err->message, "user change password: password: cannot read /nowhere/at/all");
    assert_int_equal(fake_etcd_calls(world->fake, NULL), 0);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void answer(struct world *world, const char *method)
{
    fake_etcd_next(world->fake, method, &(struct fake_step){.what = STEP_BYTES, .data = "", .size = 0});
}

static void check_sent(struct world *world, const char *method, const char *password)
{
    char bytes[128], wanted[128];
    int len = snprintf(wanted, sizeof(wanted), "\x0a\x01u\x12%c%s", (int)strlen(password), password);

    assert_int_equal(fake_etcd_request(world->fake, method, bytes, sizeof(bytes)), len);
    assert_memory_equal(bytes, wanted, (size_t)len);
}

/* Each source is read at the call, so that the second call finds what it is by then. */
static void test_sources_are_read_at_the_call(void **state)
{
    static const char *const passwords[] = {"one", "0123 %s \xc3\xa4"};
    struct world *world = *state;
    struct temp_dir dir;
    char path[96];

    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/password", dir.path);
    for (size_t i = 0; i < 2; i++) {
        const etcd_secret sources[] = {ETCD_SECRET_TEXT(passwords[i]), ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD"),
                                       ETCD_SECRET_FILE(path)};

        write_file(path, passwords[i]);
        assert_int_equal(setenv("ETCDC_TEST_PASSWORD", passwords[i], 1), 0);
        for (size_t source = 0; source < 3; source++) {
            answer(world, "UserAdd");
            assert_status(etcd_user_add(world->client, "u", sources[source], NULL, &world->err), ETCD_OK,
                          &world->err);
            check_sent(world, "UserAdd", passwords[i]);
            answer(world, "UserChangePassword");
            assert_status(etcd_user_change_password(world->client, "u", sources[source], NULL, &world->err),
                          ETCD_OK, &world->err);
            check_sent(world, "UserChangePassword", passwords[i]);
        }
    }
    temp_dir_remove(&dir);
}

static const struct fake_step endings[] = {
    {.what = STEP_BYTES, .data = "", .size = 0},
    {.what = STEP_CUT},
    {.what = STEP_GARBAGE},
    {.what = STEP_HALF},
    {.what = STEP_REFUSE},
    {.what = STEP_SILENT},
    {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"},
    {.what = STEP_STATUS, .code = CODE_DENIED, .message = "etcdserver: permission denied"},
};

/* However the calls end. */
static void test_passwords_are_never_shown(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        etcd_error err[2] = {{.status = ETCD_OK}, {.status = ETCD_OK}};
        etcd_status st[2];

        fake_etcd_next(world->fake, "UserAdd", &endings[i]);
        st[0] = etcd_user_add(world->client, "u", ETCD_SECRET_TEXT(canary),
                              ETCD_USER_ADD_OPTS(.timeout_ms = 100), &err[0]);
        fake_etcd_next(world->fake, "UserChangePassword", &endings[i]);
        st[1] = etcd_user_change_password(world->client, "u", ETCD_SECRET_TEXT(canary),
                                          ETCD_ADMIN_OPTS(.timeout_ms = 100), &err[1]);
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(st[j], err[j].status);
            assert_lacks_text(err[j].message, "canary");
        }
    }
    etcd_client_free(world->client);
    world->client = NULL;
    assert_true(world->log.len > 0);
    assert_lacks_text(world->log.text, "canary");
}

/* A client without credentials of its own warns when it is to send some in clear. */
static void test_clear_text_is_warned_about_once(void **state)
{
    static const struct {
        const char *endpoint;
        size_t warnings;
    } cases[] = {{"127.0.0.1:1", 0}, {"192.0.2.1:2379", 1}, {"https://192.0.2.1:2379", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_log *log = calloc(1, sizeof(*log));
        etcd_client *client = test_client_open(
            cases[i].endpoint, ETCD_CLIENT_OPTS(.log_fn = fake_log_line, .log_user_data = log));
        const etcd_admin_opts *opts = ETCD_ADMIN_OPTS(.timeout_ms = 20);

        assert_int_equal(etcd_user_delete(client, "u", opts, NULL), ETCD_E_UNAVAILABLE);
        for (int j = 0; j < 2; j++)
            assert_int_equal(etcd_user_change_password(client, "u", ETCD_SECRET_TEXT("p"), opts, NULL),
                             ETCD_E_UNAVAILABLE);
        etcd_client_free(client);
        assert_int_equal(log->warnings, cases[i].warnings);
        free(log);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names_are_checked),
        TEST(test_permissions_are_checked),
        TEST(test_members_are_checked),
        TEST(test_peer_urls_are_checked),
        TEST(test_credentials_in_urls_are_not_shown),
        TEST(test_options_are_checked),
        TEST(test_password_sources),
        TEST(test_sources_are_read_at_the_call),
        TEST(test_passwords_are_never_shown),
        TEST(test_clear_text_is_warned_about_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
