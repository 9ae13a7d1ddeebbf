/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in: once for all who need it, again when the token is no longer accepted, never with a secret in
 * sight. */
#include "support/fake_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CALLS = 50,
    CODE_INVALID_ARGUMENT = 3,
    CODE_FAILED_PRECONDITION = 9,
    CODE_UNAVAILABLE = 14,
    CODE_UNAUTHENTICATED = 16
};

static const char canary[] = "canary-7f3a%s%n";

static etcd_client *open_with(struct fake_etcd *fake, etcd_secret password, struct fake_log *log)
{
    return test_client_open(fake_etcd_endpoint(fake),
                            ETCD_CLIENT_OPTS(.name = "orders", .username = "alice", .password = password,
                                             .log_fn = log == NULL ? NULL : fake_log_line,
                                             .log_user_data = log, .log_level = ETCD_LOG_TRACE));
}

static struct fake_etcd *start_with(const char *password)
{
    struct fake_etcd *fake = fake_etcd_start();

    fake_etcd_set_auth(fake, "alice", password);
    return fake;
}

/* ---- once for all ---------------------------------------------------------------------------------- */

static void start_gets(etcd_client *client, etcd_op **ops)
{
    etcd_error err;

    for (size_t i = 0; i < CALLS; i++)
        assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, NULL, NULL, &ops[i], &err), ETCD_OK, &err);
}

static void finish_gets(etcd_op **ops, etcd_status wanted)
{
    etcd_error err;

    for (size_t i = 0; i < CALLS; i++) {
        assert_status(etcd_op_wait(ops[i], 20000, &err), ETCD_OK, &err);
        assert_status(etcd_op_status(ops[i], &err), wanted, &err);
        etcd_op_free(ops[i]);
    }
}

static void test_one_login_for_many_calls(void **state)
{
    struct fake_etcd *fake = start_with("secret");
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), NULL);
    etcd_op *ops[CALLS];
    char token[64];

    (void)state;
    fake_etcd_next(fake, "Authenticate", &(struct fake_step){.delay_ms = 100});
    start_gets(client, ops);
    finish_gets(ops, ETCD_OK);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 1);
    assert_int_equal(fake_etcd_calls(fake, "Range"), CALLS);
    assert_true(fake_etcd_field(fake, "Range", "token", token, sizeof(token)));
    assert_string_equal(token, "fake.1");
    assert_false(fake_etcd_field(fake, "Authenticate", "token", token, sizeof(token)));
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_one_renewal_for_many_calls(void **state)
{
    struct fake_etcd *fake = start_with("secret");
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), NULL);
    etcd_op *ops[CALLS];
    etcd_error err;

    (void)state;
    assert_status(fake_get(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_expire_tokens(fake);
    start_gets(client, ops);
    finish_gets(ops, ETCD_OK);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 2);
    /* A write whose token was refused was not carried out: it goes out again. */
    fake_etcd_expire_tokens(fake);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 3);
    assert_int_equal(fake_etcd_calls(fake, "Put"), 2);
    assert_int_equal(fake_etcd_done(fake, "Put"), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_answers_that_ask_for_a_login(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_STATUS, .code = CODE_UNAUTHENTICATED, .message = "etcdserver: invalid auth token"},
        {.what = STEP_STATUS,
         .code = CODE_INVALID_ARGUMENT,
         .message = "etcdserver: revision of auth store is old"},
        {.what = STEP_STATUS, .code = CODE_INVALID_ARGUMENT, .message = "etcdserver: user name is empty"},
    };
    struct fake_etcd *fake = start_with("secret");
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), NULL);
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fake_etcd_next(fake, "Put", &steps[i]);
        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
        assert_int_equal(fake_etcd_calls(fake, "Authenticate"), i + 2);
    }
    /* A server that never is content does not get asked for ever. */
    fake_etcd_always(fake, "Put", &steps[0]);
    assert_status(fake_put(client, 5000, &err), ETCD_E_AUTH, &err);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 4 + 5);
    assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* ---- refused --------------------------------------------------------------------------------------- */

static void test_a_wrong_password(void **state)
{
    struct fake_etcd *fake = start_with("right");
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("wrong"), NULL);
    etcd_op *ops[CALLS];
    etcd_error err;

    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        int64_t begin_ms = test_now_ms();

        assert_status(fake_get(client, 20000, &err), ETCD_E_AUTH, &err);
        assert_true(test_now_ms() - begin_ms < 10000);
        assert_int_equal(fake_etcd_calls(fake, "Authenticate"), i);
        assert_has_text(err.message, "orders");
        assert_has_text(err.message, "alice");
        assert_has_text(err.message, "invalid user ID or password");
        assert_lacks_text(err.message, "wrong");
        assert_int_equal(err.flags & ETCD_ERROR_RETRYABLE, 0);
        assert_int_equal(err.grpc_code, CODE_INVALID_ARGUMENT);
    }
    assert_status(etcd_client_wait_ready(client, 20000, &err), ETCD_E_AUTH, &err);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 4);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 0);
    fake_etcd_next(fake, "Authenticate", &(struct fake_step){.delay_ms = 100});
    start_gets(client, ops);
    finish_gets(ops, ETCD_E_AUTH);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 5);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_no_credentials(void **state)
{
    struct fake_etcd *fake = start_with("secret");
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    assert_status(fake_get(client, 5000, &err), ETCD_E_AUTH, &err);
    assert_has_text(err.message, "no user given");
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 0);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_permission_denied(void **state)
{
    struct fake_etcd *fake = start_with("secret");
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), NULL);
    etcd_error err;

    (void)state;
    fake_etcd_next(
        fake, "Put",
        &(struct fake_step){.what = STEP_STATUS, .code = 7, .message = "etcdserver: permission denied"});
    assert_status(fake_put(client, 5000, &err), ETCD_E_DENIED, &err);
    assert_has_text(err.message, "put");
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* ---- passing failures ------------------------------------------------------------------------------ */

static void test_a_login_that_fails_in_passing_is_repeated(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: request timed out"},
        {.what = STEP_CUT},
        {.what = STEP_REFUSE},
    };
    struct fake_etcd *fake = start_with("secret");
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), NULL);

        fake_etcd_next(fake, "Authenticate", &steps[i]);
        assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
        etcd_client_free(client);
    }
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 2 * sizeof(steps) / sizeof(steps[0]));
    fake_etcd_free(fake);
}

static void test_an_answer_without_sense(void **state)
{
    static const enum fake_what whats[] = {STEP_GARBAGE, STEP_EMPTY, STEP_COMPRESSED,
                                           STEP_TWICE,   STEP_HALF,  STEP_NO_TRAILERS};
    struct fake_etcd *fake = start_with("secret");
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), NULL);
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
        fake_etcd_always(fake, "Authenticate", &(struct fake_step){.what = whats[i]});
        print_message("case %zu\n", i);
        assert_status(fake_get(client, 3000, &err), ETCD_E_PROTOCOL, &err);
        assert_has_text(err.message, "alice");
        assert_int_equal(fake_etcd_calls(fake, "Authenticate"), i + 1);
    }
    fake_etcd_always(fake, "Authenticate", NULL);
    assert_status(fake_get(client, 3000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_authentication_is_off(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_client *client = open_with(fake, ETCD_SECRET_TEXT("secret"), log);
    char token[64];
    etcd_error err;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 1);
    assert_false(fake_etcd_field(fake, "Put", "token", token, sizeof(token)));
    /* Turned on meanwhile. */
    fake_etcd_set_auth(fake, "alice", "secret");
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(fake, "Authenticate"), 2);
    /* And off again: the token is refused by nobody. */
    fake_etcd_set_auth(fake, NULL, NULL);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    assert_int_equal(log->warnings, 1);
    assert_int_equal(fake_log_count(log, "authentication is off"), 1);
    fake_etcd_free(fake);
    free(log);
}

/* ---- where passwords come from --------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void test_all_sources(void **state)
{
    struct temp_dir dir;
    char path[96], line[64];
    struct fake_etcd *fake = start_with("one");
    etcd_secret sources[3];
    etcd_error err;

    (void)state;
    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/password", dir.path);
    write_file(path, "one\n");
    assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "one", 1), 0);
    sources[0] = ETCD_SECRET_TEXT("one");
    sources[1] = ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD");
    sources[2] = ETCD_SECRET_FILE(path);
    for (size_t i = 0; i < 3; i++) {
        etcd_client *client = open_with(fake, sources[i], NULL);

        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
        if (i > 0) {
            /* A rotated password is picked up at the next login. */
            (void)snprintf(line, sizeof(line), "two\n");
            write_file(path, line);
            assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "two", 1), 0);
            fake_etcd_set_auth(fake, "alice", "two");
            fake_etcd_expire_tokens(fake);
            assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
            write_file(path, "one\n");
            assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "one", 1), 0);
            fake_etcd_set_auth(fake, "alice", "one");
        }
        etcd_client_free(client);
    }
    temp_dir_remove(&dir);
    fake_etcd_free(fake);
}

static void test_a_source_that_goes_away(void **state)
{
    struct fake_etcd *fake = start_with("one");
    etcd_client *client;
    etcd_error err;

    (void)state;
    assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "one", 1), 0);
    client = open_with(fake, ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD"), NULL);
    assert_int_equal(unsetenv("ETCDC_TEST_PASSWORD"), 0);
    assert_status(fake_put(client, 5000, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "ETCDC_TEST_PASSWORD");
    assert_has_text(err.message, "orders");
    assert_int_equal(setenv("ETCDC_TEST_PASSWORD", "one", 1), 0);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

static void test_passwords_go_through_unchanged(void **state)
{
    char long_one[257];
    const char *const passwords[] = {"0123",  "true",  "1e5", "  a b  ", "%s%n%d", "p\xc3\xa4ssw\xc3\xb6rt",
                                     "\"'\\", long_one};
    struct fake_etcd *fake = fake_etcd_start();
    etcd_error err;

    (void)state;
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
        etcd_client *client = open_with(fake, ETCD_SECRET_TEXT(passwords[i]), NULL);

        fake_etcd_set_auth(fake, "alice", passwords[i]);
        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
        etcd_client_free(client);
    }
    fake_etcd_free(fake);
}

/* ---- secrets stay secret --------------------------------------------------------------------------- */

static void look_everywhere(struct fake_etcd *fake, etcd_secret password, struct fake_log *log)
{
    static const struct fake_step failures[] = {
        {.what = STEP_CUT},
        {.what = STEP_GARBAGE},
        {.what = STEP_STATUS, .code = CODE_UNAVAILABLE, .message = "etcdserver: no leader"},
        {.what = STEP_STATUS,
         .code = CODE_FAILED_PRECONDITION,
         .message = "etcdserver: authentication is not enabled"},
    };
    etcd_client *client = open_with(fake, password, log);
    char text[4096];
    etcd_error err;

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        fake_etcd_next(fake, "Authenticate", &failures[i]);
        if (fake_put(client, 3000, &err) != ETCD_OK)
            assert_lacks_text(err.message, "canary");
        fake_etcd_expire_tokens(fake);
    }
    fake_etcd_set_auth(fake, "alice", "another");
    fake_etcd_expire_tokens(fake);
    assert_status(fake_put(client, 3000, &err), ETCD_E_AUTH, &err);
    assert_lacks_text(err.message, "canary");
    fake_etcd_set_auth(fake, "alice", canary);
    assert_status(fake_put(client, 3000, &err), ETCD_OK, &err);
    assert_true(etcd_client_describe(client, text, sizeof(text)) < sizeof(text));
    assert_lacks_text(text, "canary");
    assert_has_text(text, "password: set\n");
    etcd_client_free(client);
}

static void test_secrets_are_never_shown(void **state)
{
    struct temp_dir dir;
    char path[96];
    struct fake_etcd *fake = start_with(canary);
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_client *client = NULL;
    etcd_error err;

    (void)state;
    assert_true(temp_dir_make(&dir, 4096));
    (void)snprintf(path, sizeof(path), "%s/password", dir.path);
    write_file(path, canary);
    assert_int_equal(setenv("ETCDC_TEST_PASSWORD", canary, 1), 0);
    look_everywhere(fake, ETCD_SECRET_TEXT(canary), log);
    look_everywhere(fake, ETCD_SECRET_ENV("ETCDC_TEST_PASSWORD"), log);
    look_everywhere(fake, ETCD_SECRET_FILE(path), log);
    /* Nor when opening fails. */
    opts.password = ETCD_SECRET_TEXT(canary);
    assert_status(etcd_client_open(&opts, &client, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_lacks_text(err.message, "canary");
    opts.endpoints = ETCD_LIST("http://alice:canary-7f3a@localhost:2379");
    opts.password = (etcd_secret){.ref = NULL};
    assert_status(etcd_client_open(&opts, &client, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_lacks_text(err.message, "canary");
    assert_true(log->len > 0);
    assert_lacks_text(log->text, "canary");
    assert_lacks_text(log->text, "fake.1");
    temp_dir_remove(&dir);
    fake_etcd_free(fake);
    free(log);
}

static void test_clear_text_is_warned_about_once(void **state)
{
    static const struct {
        const char *endpoint;
        size_t warnings;
    } cases[] = {
        {"localhost:2379", 0},   {"127.0.0.1:2379", 0},    {"[::1]:2379", 0},
        {"unix:/tmp/x", 0},      {"192.0.2.1:2379", 1},    {"etcd.example:2379", 1},
        {"http://192.0.2.1", 1}, {"https://192.0.2.1", 0}, {"127.example:2379", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_log *log = calloc(1, sizeof(*log));
        etcd_client *client = test_client_open(
            NULL, ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST(cases[i].endpoint, cases[i].endpoint),
                                   .username = "u", .password = ETCD_SECRET_TEXT("p"),
                                   .log_fn = fake_log_line, .log_user_data = log));

        etcd_client_free(client);
        if (log->warnings != cases[i].warnings)
            fail_msg("%s: %zu warnings", cases[i].endpoint, log->warnings);
        free(log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_login_for_many_calls),
        cmocka_unit_test(test_one_renewal_for_many_calls),
        cmocka_unit_test(test_answers_that_ask_for_a_login),
        cmocka_unit_test(test_a_wrong_password),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_permission_denied),
        cmocka_unit_test(test_a_login_that_fails_in_passing_is_repeated),
        cmocka_unit_test(test_an_answer_without_sense),
        cmocka_unit_test(test_authentication_is_off),
        cmocka_unit_test(test_all_sources),
        cmocka_unit_test(test_a_source_that_goes_away),
        cmocka_unit_test(test_passwords_go_through_unchanged),
        cmocka_unit_test(test_secrets_are_never_shown),
        cmocka_unit_test(test_clear_text_is_warned_about_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
