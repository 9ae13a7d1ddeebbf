/* SPDX-License-Identifier: Apache-2.0 */
/* Watches on a server with authentication: who may not look, and tokens that do not last. */
#include "support/client.h"
#include "support/matrix.h"
#include "support/test.h"
#include "support/watching.h"

#include <stdlib.h>

enum { TOKEN_TTL_S = 2 };

static int set_up(void **state)
{
    static const struct etcd_server_user users[] = {{"app", "app-password", "app/"}, {NULL, NULL, NULL}};
    struct watching *watching = calloc(1, sizeof(*watching));
    const struct etcd_server_options options = {
        .version = test_version(),
        .auth = true,
        .users = users,
        .token_ttl_s = TOKEN_TTL_S,
    };

    assert_non_null(watching);
    watching->server = etcd_server_start(&options);
    assert_non_null(watching->server);
    watching->client =
        test_client_open(etcd_server_endpoints(watching->server),
                         ETCD_CLIENT_OPTS(.username = "app", .password = ETCD_SECRET_TEXT("app-password")));
    *state = watching;
    return 0;
}

static void test_denied(void **state)
{
    etcd_client *client = watching_client(state);
    etcd_watch *allowed = watch_open(client, "app/a", NULL);
    etcd_watch *allowed_from_one = watch_open(client, "app/",
                                              ETCD_WATCH_OPTS(.prefix = true, .start_revision = 1));
    etcd_watch *denied[] = {
        watch_open(client, "other", NULL),
        watch_open(client, "other", ETCD_WATCH_OPTS(.start_revision = 1)),
        watch_open(client, "", ETCD_WATCH_OPTS(.prefix = true)),
    };
    etcd_error err;
    int64_t revision;

    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
        assert_int_equal(watch_end(denied[i], &err), ETCD_E_DENIED);
        assert_non_null(strstr(err.message, "permission denied"));
        assert_null(strstr(err.message, "app-password"));
        etcd_watch_close(denied[i]);
    }
    watch_wait_metric(*state, "watcher", 2);
    revision = watch_put(client, "app/a", "x");
    watch_expect_each(allowed, revision, revision);
    watch_expect_each(allowed_from_one, revision, revision);
    etcd_watch_close(allowed);
    etcd_watch_close(allowed_from_one);
}

/* Nobody used the token for so long that the server forgot it. */
static void test_an_expired_token(void **state)
{
    etcd_client *client = watching_client(state);
    etcd_watch *old = watch_open(
        client, "app/", ETCD_WATCH_OPTS(.prefix = true, .start_revision = watch_revision(client) + 1));
    etcd_watch *newer[3];
    int64_t revision;

    for (int i = 0; i < 3; i++) {
        test_pump(client, TOKEN_TTL_S * 1000 + 1500);
        newer[i] = watch_open(client, "app/",
                              ETCD_WATCH_OPTS(.prefix = true, .start_revision = watch_revision(client) + 1));
        revision = watch_put(client, "app/expired", "x");
        watch_expect_each(old, revision, revision);
        for (int j = 0; j <= i; j++)
            watch_expect_each(newer[j], revision, revision);
    }
    etcd_watch_close(old);
    for (int i = 0; i < 3; i++)
        etcd_watch_close(newer[i]);
    watch_wait_metric(*state, "watcher", 0);
    watch_wait_metric(*state, "watch_stream", 0);
}

static void test_expired_without_any_other_call(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_put(client, "app/b", "x");
    etcd_watch *watch;

    test_pump(client, TOKEN_TTL_S * 1000 + 1500);
    watch = watch_open(client, "app/b", ETCD_WATCH_OPTS(.start_revision = first));
    watch_expect_each(watch, first, first);
    etcd_watch_close(watch);
}

static void test_a_restart_forgets_tokens(void **state)
{
    etcd_client *client = watching_client(state);
    int64_t first = watch_revision(client) + 1;
    etcd_watch *watch = watch_open(client, "app/c", ETCD_WATCH_OPTS(.start_revision = first));

    watch_put(client, "app/c", "1");
    watch_expect_each(watch, first, first);
    assert_true(etcd_server_kill(watching_server(state), 0));
    assert_true(etcd_server_restart(watching_server(state), 0));
    assert_true(etcd_server_wait(watching_server(state), 0));
    watch_put(client, "app/c", "2");
    watch_expect_each(watch, first + 1, first + 1);
    etcd_watch_close(watch);
}

static void check_refused(void **state, const etcd_client_opts *opts)
{
    etcd_client *client = test_client_open(etcd_server_endpoints(watching_server(state)), opts);
    etcd_watch *learns = watch_open(client, "app/a", NULL);
    etcd_watch *starts = watch_open(client, "app/a", ETCD_WATCH_OPTS(.start_revision = 1));
    etcd_error err;

    assert_int_equal(watch_end(learns, &err), ETCD_E_AUTH);
    assert_int_equal(watch_end(starts, &err), ETCD_E_AUTH);
    etcd_watch_close(learns);
    etcd_watch_close(starts);
    etcd_client_free(client);
}

static void test_who_cannot_log_in(void **state)
{
    check_refused(state, ETCD_CLIENT_OPTS(.username = "app", .password = ETCD_SECRET_TEXT("wrong")));
    check_refused(state, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_an_expired_token),
        cmocka_unit_test(test_expired_without_any_other_call),
        cmocka_unit_test(test_a_restart_forgets_tokens),
        cmocka_unit_test(test_who_cannot_log_in),
    };

    return cmocka_run_group_tests(tests, set_up, watching_tear_down);
}
