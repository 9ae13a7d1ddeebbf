/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that were issued elsewhere; and what a thousand calls do when a token is no longer accepted. */
#include "support/fake_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STORM = 1000 };

static const char canary[] = "canary.7f3a-_";

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

/* The server, and the first token it hands out: "fake.1". */
static struct fake_etcd *start(void)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;
    etcd_error err;

    fake_etcd_set_auth(fake, "alice", "secret");
    client = test_client_open(fake_etcd_endpoint(fake),
                              ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT("secret")));
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    return fake;
}

static etcd_client *open_with(struct fake_etcd *fake, etcd_secret token, struct fake_log *log)
{
    return test_client_open(fake_etcd_endpoint(fake),
                            ETCD_CLIENT_OPTS(.name = "orders", .token = token,
                                             .log_fn = log == NULL ? NULL : fake_log_line,
                                             .log_user_data = log, .log_level = ETCD_LOG_TRACE));
}

/* ---- a given token --------------------------------------------------------------------------------- */

static void test_each_source_is_read(void **state)
{
    struct temp_dir dir;
    char path[96], seen[64];
    struct fake_etcd *fake = start();
    etcd_secret sources[3];
    etcd_error err;

    (void)state;
    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/token", dir.path);
    write_file(path, "fake.1\n");
    assert_int_equal(setenv("ETCDC_TEST_TOKEN", "fake.1", 1), 0);
    sources[0] = ETCD_SECRET_TEXT("fake.1");
    sources[1] = ETCD_SECRET_ENV("ETCDC_TEST_TOKEN");
    sources[2] = ETCD_SECRET_FILE(path);
    for (size_t i = 0; i < 3; i++) {
        etcd_client *client = open_with(fake, sources[i], NULL);

        assert_status(etcd_client_wait_ready(client, 5000, &err), ETCD_OK, &err);
        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
        assert_true(fake_etcd_field(fake, "Put", "token", seen, sizeof(seen)));
        assert_string_equal(seen, "fake.1");
        etcd_client_free(client);
    }
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 1);
    temp_dir_remove(&dir);
    fake_etcd_free(fake);
}

/* Never a login; but what its source has meanwhile is tried, and a write that was refused is not lost. */
static void test_a_refused_token_is_read_again(void **state)
{
    struct temp_dir dir;
    char path[96], seen[64];
    struct fake_etcd *fake = start();
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_client *client;
    etcd_error err;

    (void)state;
    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/token", dir.path);
    write_file(path, "fake.1");
    client = open_with(fake, ETCD_SECRET_FILE(path), log);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_expire_tokens(fake);
    for (int i = 0; i < 2; i++) {
        size_t before = fake_etcd_calls(fake, "Put");

        assert_status(fake_put(client, 5000, &err), ETCD_E_AUTH, &err);
        assert_has_text(err.message, "token is not accepted");
        assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
        assert_int_equal(fake_etcd_calls(fake, "Put"), before + 1);
    }
    write_file(path, "fake.2\n");
    {
        etcd_client *other =
            test_client_open(fake_etcd_endpoint(fake),
                             ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT("secret")));

        assert_status(fake_get(other, 5000, &err), ETCD_OK, &err);
        etcd_client_free(other);
    }
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_true(fake_etcd_field(fake, "Put", "token", seen, sizeof(seen)));
    assert_string_equal(seen, "fake.2");
    /* A source that is gone is told of, and the call ends all the same. */
    assert_int_equal(unlink(path), 0);
    fake_etcd_expire_tokens(fake);
    assert_status(fake_put(client, 5000, &err), ETCD_E_AUTH, &err);
    etcd_client_free(client);
    assert_true(fake_log_count(log, "cannot read") > 0);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 2);
    temp_dir_remove(&dir);
    fake_etcd_free(fake);
    free(log);
}

static void test_mistakes_are_named(void **state)
{
    static const struct {
        etcd_client_opts opts;
        const char *says;
    } cases[] = {
        {{.size = sizeof(etcd_client_opts),
          .token = {"t", ETCD_SECRET_KIND_TEXT, 0},
          .username = "u",
          .password = {"p", ETCD_SECRET_KIND_TEXT, 0}},
         "only one"},
        {{.size = sizeof(etcd_client_opts), .token = {"", ETCD_SECRET_KIND_TEXT, 0}},
         "token: the text is empty"},
        {{.size = sizeof(etcd_client_opts), .token = {NULL, ETCD_SECRET_KIND_TEXT, 0}},
         "token: its source is NULL"},
        {{.size = sizeof(etcd_client_opts), .token = {"ETCDC_TEST_NOT_SET", ETCD_SECRET_KIND_ENV, 0}},
         "ETCDC_TEST_NOT_SET"},
        {{.size = sizeof(etcd_client_opts), .token = {"canary b", ETCD_SECRET_KIND_TEXT, 0}}, "character"},
        {{.size = sizeof(etcd_client_opts), .token = {"canary\nb", ETCD_SECRET_KIND_TEXT, 0}}, "character"},
        {{.size = sizeof(etcd_client_opts), .token = {"canary\xc3\xa4", ETCD_SECRET_KIND_TEXT, 0}},
         "character"},
        {{.size = sizeof(etcd_client_opts), .token = {"canary", (etcd_secret_kind)9, 0}}, "its kind is 9"},
    };
    etcd_client *client = NULL;
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_status(etcd_client_open(&cases[i].opts, &client, &err), ETCD_E_INVALID_ARGUMENT, &err);
        assert_has_text(err.message, "token");
        assert_has_text(err.message, cases[i].says);
        assert_lacks_text(err.message, "canary");
        assert_null(client);
    }
    assert_status(
        etcd_client_open(ETCD_CLIENT_OPTS(.token = ETCD_SECRET_FILE("/nonexistent/token")), &client, &err),
        ETCD_E_IO, &err);
    assert_has_text(err.message, "/nonexistent/token");
}

static void test_it_is_never_shown(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT(canary), log);
    char text[4096], seen[64];
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_true(fake_etcd_field(fake, "Put", "token", seen, sizeof(seen)));
    assert_string_equal(seen, canary);
    fake_etcd_set_auth(fake, "alice", "secret");
    assert_status(fake_put(client, 5000, &err), ETCD_E_AUTH, &err);
    assert_lacks_text(err.message, "canary");
    assert_true(etcd_client_describe(client, text, sizeof(text)) < sizeof(text));
    assert_has_text(text, "token: set\n");
    assert_lacks_text(text, "canary");
    etcd_client_free(client);
    assert_lacks_text(log->text, "canary");
    fake_etcd_free(fake);
    free(log);
}

static void test_in_clear_it_is_warned_of(void **state)
{
    struct fake_log *log = calloc(1, sizeof(*log));

    (void)state;
    etcd_client_free(test_client_open(NULL, ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"),
                                                             .token = ETCD_SECRET_TEXT("t"),
                                                             .log_fn = fake_log_line, .log_user_data = log)));
    assert_int_equal(log->warnings, 1);
    free(log);
}

/* ---- a storm --------------------------------------------------------------------------------------- */

static void storm(etcd_client *client, etcd_status wanted)
{
    static etcd_op *ops[STORM];
    etcd_error err;

    for (size_t i = 0; i < STORM; i++)
        assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"),
                                     ETCD_PUT_OPTS(.timeout_ms = 60000), NULL, NULL, &ops[i], &err),
                      ETCD_OK, &err);
    for (size_t i = 0; i < STORM; i++) {
        assert_status(etcd_op_wait(ops[i], 60000, &err), ETCD_OK, &err);
        assert_status(etcd_op_status(ops[i], &err), wanted, &err);
        etcd_op_free(ops[i]);
    }
}

static void test_a_storm_on_an_expired_token_is_one_login(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client =
        test_client_open(fake_etcd_endpoint(fake),
                         ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT("secret")));
    etcd_error err;

    (void)state;
    fake_etcd_set_auth(fake, "alice", "secret");
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    for (size_t round = 1; round <= 3; round++) {
        fake_etcd_expire_tokens(fake);
        fake_etcd_next(fake, "Authenticate", &(struct fake_step){.delay_ms = 20});
        storm(client, ETCD_OK);
        assert_int_equal(fake_etcd_calls(fake, "Authenticate"), round + 1);
        assert_int_equal(fake_etcd_done(fake, "Put"), round * STORM + 1);
    }
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* A login that is refused ends all who wait for it; whoever comes later asks once more, and that is all. */
static void test_a_storm_on_a_refused_login_ends(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client =
        test_client_open(fake_etcd_endpoint(fake),
                         ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT("secret")));
    size_t logins;
    etcd_error err;

    (void)state;
    fake_etcd_set_auth(fake, "alice", "secret");
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_set_auth(fake, "alice", "another");
    fake_etcd_expire_tokens(fake);
    fake_etcd_next(fake, "Authenticate", &(struct fake_step){.delay_ms = 300});
    storm(client, ETCD_E_AUTH);
    logins = fake_etcd_calls(fake, "Authenticate");
    assert_in_range(logins, 2, 3);
    test_pump(client, 300);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), logins);
    assert_int_equal(fake_etcd_done(fake, "Put"), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* ---- a silent member ------------------------------------------------------------------------------- */

/* A login that stays unanswered is tried elsewhere, long before the dial timeout. */
static void test_a_silent_login_is_tried_elsewhere(void **state)
{
    struct fake_etcd *a = fake_etcd_start(), *b = fake_etcd_start();
    char endpoints[64];
    etcd_error err;

    (void)state;
    (void)snprintf(endpoints, sizeof(endpoints), "%s,%s", fake_etcd_endpoint(a), fake_etcd_endpoint(b));
    fake_etcd_set_auth(a, "alice", "secret");
    fake_etcd_set_auth(b, "alice", "secret");
    fake_etcd_always(a, "Authenticate", &(struct fake_step){.what = STEP_SILENT});
    for (int i = 0; i < 20 && fake_etcd_calls(a, "Authenticate") == 0; i++) {
        etcd_client *client = test_client_open(
            endpoints, ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT("secret"),
                                        .dial_timeout_ms = 60000));

        assert_status(etcd_client_wait_ready(client, 20000, &err), ETCD_OK, &err);
        etcd_client_free(client);
    }
    assert_int_equal(fake_etcd_calls(a, "Authenticate"), 1);
    fake_etcd_free(a);
    fake_etcd_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_source_is_read),
        cmocka_unit_test(test_a_refused_token_is_read_again),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_it_is_never_shown),
        cmocka_unit_test(test_in_clear_it_is_warned_of),
        cmocka_unit_test(test_a_storm_on_an_expired_token_is_one_login),
        cmocka_unit_test(test_a_storm_on_a_refused_login_ends),
        cmocka_unit_test(test_a_silent_login_is_tried_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
