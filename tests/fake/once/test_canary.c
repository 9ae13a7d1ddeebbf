/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords of four clients, one from each source, in an application that says all it knows: its log at TRACE
 * in both formats, its health, its metrics, its configuration. None of them is in any of it, while the server
 * sees them.
 */
#include "capp/etcd.h"

#include "support/fake_client.h"
#include "unit/capp/fixture.h"

#include <fcntl.h>
#include <unistd.h>

#define CANARY "c4n4ry-in-the-mine"

enum { TEXT_SIZE = 65536 };

static const char *const names[] = {"from-text", "from-env", "from-file", "from-config"};

struct mine {
    struct fake_etcd *fake;
    char log[64], secret[64]; /* paths */
    char said[4][TEXT_SIZE];  /* what else the application says, from inside of the run */
};

static void add_clients(capp_etcd_builder *b, void *user)
{
    const struct mine *mine = user;
    const char *const list[] = {fake_etcd_endpoint(mine->fake), NULL};
    const etcd_secret secrets[] = {ETCD_SECRET_TEXT(CANARY), ETCD_SECRET_ENV("TEST_CANARY"),
                                   ETCD_SECRET_FILE(mine->secret)};

    for (size_t i = 0; i < 3; i++)
        capp_etcd_add_client(
            b, names[i], ETCD_CLIENT_OPTS(.endpoints = list, .username = "alice", .password = secrets[i]));
    capp_etcd_add_client(b, names[3], ETCD_CLIENT_OPTS(.endpoints = list));
}

static capp_status speak(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_app *app = capp_worker_app(worker);
    struct mine *mine = user_data;

    while (!capp_app_is_ready(app))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    capp_log(capp_app_logger(app), CAPP_LOG_TRACE, "mine", "this is shown");
    for (size_t i = 0; i < 4; i++) {
        etcd_client *client = capp_get_named(app, etcd_client, names[i], reterr);
        etcd_error err;

        if (client == NULL)
            return reterr->status;
        if (etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, &err) != ETCD_OK)
            return capp_fail(reterr, CAPP_E_EXTERNAL, "%s", err.message);
    }
    capp_health_report(app, CAPP_HEALTH_TEXT, mine->said[0], TEXT_SIZE);
    capp_health_report(app, CAPP_HEALTH_JSON, mine->said[1], TEXT_SIZE);
    capp_metrics_text(app, mine->said[2], TEXT_SIZE);
    capp_config_dump(app, mine->said[3], TEXT_SIZE);
    capp_stop(app);
    return CAPP_OK;
}

static char *read_whole(const char *path)
{
    char *text = calloc(1, 4 * TEXT_SIZE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_non_null(text);
    assert_in_range(read(fd, text, 4 * TEXT_SIZE - 1), 1, 4 * TEXT_SIZE - 2);
    close(fd);
    return text;
}

static void write_secret(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, CANARY "\n", sizeof(CANARY)), sizeof(CANARY));
    close(fd);
}

static void run_mine(struct mine *mine, capp_log_format format)
{
    char program[] = "mine", user[] = "--etcd.clients.from-config.username=alice";
    char password[] = "--etcd.clients.from-config.password=" CANARY, level[] = "--app.log.level=trace";
    char *argv[] = {program, user, password, level, NULL};
    capp_builder *builder = capp_builder_new();
    capp_app *app = NULL;
    capp_error error;

    capp_use_log_file(builder, mine->log);
    capp_use_log_format(builder, format);
    capp_use_config_args(builder, 4, argv);
    capp_configure(builder, capp_etcd(add_clients, mine));
    capp_add_worker(builder, "speak", speak, mine);
    if (capp_build(builder, &app, &error) != CAPP_OK || capp_run(app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    capp_free(app);
}

/* Half of it would be too much. */
static void assert_unseen(const char *what, const char *text)
{
    if (strstr(text, "c4n4ry") != NULL || strstr(text, "in-the-mine") != NULL)
        fail_msg("%s shows a password:\n%s", what, text);
}

static void nothing_that_is_said_has_a_password_in_it(void **state)
{
    static struct mine mine;

    (void)state;
    snprintf(mine.log, sizeof(mine.log), "/tmp/capp-canary-%ld.log", (long)getpid());
    snprintf(mine.secret, sizeof(mine.secret), "/tmp/capp-canary-%ld.secret", (long)getpid());
    write_secret(mine.secret);
    setenv("TEST_CANARY", CANARY, 1);
    for (int format = CAPP_LOG_FORMAT_TEXT; format <= CAPP_LOG_FORMAT_JSON; format++) {
        mine.fake = fake_etcd_start();
        fake_etcd_set_auth(mine.fake, "alice", CANARY);
        run_mine(&mine, (capp_log_format)format);
        assert_true(fake_etcd_done(mine.fake, "Authenticate") >= 4); /* the canary has flown */
        char *log = read_whole(mine.log);
        assert_has(log, "TRACE");
        assert_has(log, "from-config");
        assert_unseen("the log", log);
        free(log);
        for (size_t i = 0; i < 4; i++) {
            assert_true(mine.said[i][0] != '\0');
            assert_unseen("what was said", mine.said[i]);
        }
        assert_has(mine.said[0], "app (development): running, live, ready\n");
        assert_has(mine.said[2], "capp_log_records_total{level=\"trace\"} ");
        unlink(mine.log);
        fake_etcd_free(mine.fake);
    }
    unlink(mine.secret);
    unsetenv("TEST_CANARY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_said_has_a_password_in_it),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
