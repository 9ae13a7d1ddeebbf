/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong in the framework whose module this one follows, and must not here. Each test would fail on
 * what that one does; docs/conformance.md, section 5, has the list, with the tests of it that are elsewhere.
 */
#include "capp/etcd.h"

#include "support/fake_client.h"
#include "support/ports.h"
#include "unit/capp/fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#define CANARY "c4n4ry-of-the-weaknesses"
#define REQUIRED CAPP_ETCD_CLIENT(.start = CAPP_ETCD_REQUIRED)

enum { PATIENCE_MS = 20000, RUNS = 20, AWAY = 8, DIAL_MS = 500 };

static capp_app *build(capp_builder *builder)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

/* A worker that has the application stopped. */
static capp_status stop(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

/* ---- a mistake is told of, and the program goes on ---------------------------------------------------- */

static void bad_endpoint(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("localhost:0")));
}

/* The child's standard error, and its exit status. */
static int run_program(int (*program)(void), char *text, size_t size)
{
    size_t len = 0;
    int fds[2], status = 0;
    ssize_t n;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        exit(program());
    }
    close(fds[1]);
    while (len < size - 1 && (n = read(fds[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int program_with_a_bad_client(void)
{
    capp_builder *app = capp_builder_new();

    capp_configure(app, capp_etcd(bad_endpoint, NULL));
    return capp_main(app);
}

static void a_bad_client_does_not_end_a_program_in_silence(void **state)
{
    char text[4096];

    (void)state;
    assert_int_equal(run_program(program_with_a_bad_client, text, sizeof(text)), 1);
    assert_has(text, "client 'default': endpoints[0]");
    assert_has(text, "localhost:0");
}

static void a_bad_client_does_not_end_the_process(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(bad_endpoint, NULL));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_null(app);
    assert_has(error.message, "client 'default': endpoints[0]");
}

/* ---- names ----------------------------------------------------------------------------------------------
 */

static void renamed(capp_etcd_builder *b, void *user)
{
    (void)user;
    assert_int_equal(capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.name = "other")),
                     CAPP_E_INVALID_ARGUMENT);
}

static void options_cannot_rename_a_client(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_etcd(renamed, NULL));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_has(error.message, "client 'default'");
    assert_has(error.message, "other");
}

/* ---- starts that fail -----------------------------------------------------------------------------------
 */

/* One client that finds its server, and `AWAY` that do not. */
struct world {
    struct fake_etcd *fake;
    struct port port;
    char away[32];
};

static void world_begin(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->fake = fake_etcd_start();
    assert_true(port_hold(&world->port));
    (void)snprintf(world->away, sizeof(world->away), "127.0.0.1:%d", world->port.number);
}

static void world_end(struct world *world)
{
    fake_etcd_free(world->fake);
    port_release(&world->port);
}

static void one_of_them_is_there(capp_etcd_builder *b, void *user)
{
    const struct world *world = user;
    const char *const here[] = {fake_etcd_endpoint(world->fake), NULL};
    const char *const away[] = {world->away, NULL};
    char name[16];

    capp_etcd_add_client_with(b, "here", ETCD_CLIENT_OPTS(.endpoints = here), REQUIRED);
    for (int i = 0; i < AWAY; i++) {
        (void)snprintf(name, sizeof(name), "away-%d", i);
        capp_etcd_add_client_with(b, name, ETCD_CLIENT_OPTS(.endpoints = away, .dial_timeout_ms = DIAL_MS),
                                  REQUIRED);
    }
}

/* Runs the application, whose start fails, and returns how long that took. */
static int64_t fail_to_start(struct world *world, capp_error *reterr)
{
    capp_builder *builder = quiet_builder(NULL);

    capp_configure(builder, capp_etcd(one_of_them_is_there, world));
    capp_app *app = build(builder);
    int64_t began_ms = now_ms();
    assert_int_equal(capp_run(app, reterr), CAPP_E_UNAVAILABLE);
    int64_t took_ms = now_ms() - began_ms;
    capp_free(app);
    return took_ms;
}

/* Nothing of the client that had its connection already. */
static void a_failed_start_closes_what_was_opened(void **state)
{
    size_t fds = open_fds(), threads = fake_count_threads();
    struct world world;
    capp_error error;

    (void)state;
    world_begin(&world);
    (void)fail_to_start(&world, &error);
    assert_has(error.message, "client 'away-0'");
    assert_int_equal(fake_etcd_connections(world.fake), 1);
    int64_t deadline_ms = test_deadline_ms(PATIENCE_MS);
    while (fake_etcd_open_connections(world.fake) > 0 && test_poll_again(deadline_ms))
        continue;
    assert_int_equal(fake_etcd_open_connections(world.fake), 0);
    world_end(&world);
    while ((open_fds() != fds || fake_count_threads() != threads) && test_poll_again(deadline_ms))
        continue;
    assert_int_equal(open_fds(), fds);
    assert_int_equal(fake_count_threads(), threads);
}

/* One after the other they would take eight dial timeouts at least. */
static void servers_that_are_away_are_waited_for_together(void **state)
{
    struct world world;
    capp_error error;

    (void)state;
    world_begin(&world);
    assert_in_range(fail_to_start(&world, &error), 0, AWAY * DIAL_MS - 1);
    world_end(&world);
}

/* ---- every run is the same ------------------------------------------------------------------------------
 */

static void many_mistakes(capp_etcd_builder *b, void *user)
{
    static const char *const names[] = {"zulu", "alpha", "mike", "bravo", "yankee", "charlie"};

    (void)user;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        capp_etcd_add_client(b, names[i], ETCD_CLIENT_OPTS(.timeout_ms = -1 - (int64_t)i));
}

static void mistakes_come_in_order_in_every_run(void **state)
{
    static const char *const names[] = {"zulu", "alpha", "mike", "bravo", "yankee", "charlie"};

    (void)state;
    for (int run = 0; run < RUNS; run++) {
        static struct log_text log;
        capp_builder *builder = quiet_builder(&log);
        const char *at = log.text;
        capp_app *app = NULL;
        char client[32];

        capp_configure(builder, capp_etcd(many_mistakes, NULL));
        assert_int_equal(capp_build(builder, &app, NULL), CAPP_E_INVALID_ARGUMENT);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            (void)snprintf(client, sizeof(client), "client '%s'", names[i]);
            at = strstr(at, client);
            if (at == NULL)
                fail_msg("%s is not where it should be in %s", client, log.text);
        }
    }
}

/* ---- who uses a client ends before it -------------------------------------------------------------------
 */

typedef struct last_words {
    etcd_client *etcd;
} last_words;
CAPP_TYPE_DEFINE(last_words);

static int goodbyes;

static capp_status say_goodbye(void *self, int64_t limit_ms, capp_error *reterr)
{
    etcd_error err;

    (void)limit_ms;
    if (fake_put(((last_words *)self)->etcd, PATIENCE_MS, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    goodbyes++;
    return CAPP_OK;
}

static const capp_inject last_words_deps[] = {CAPP_INJECT(last_words, etcd, etcd_client)};
static const capp_service last_words_def = CAPP_SERVICE(last_words, CAPP_INJECTS(last_words_deps),
                                                        .stop = say_goodbye);

static void the_only_client(capp_etcd_builder *b, void *fake)
{
    const char *const list[] = {fake_etcd_endpoint(fake), NULL};

    capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.endpoints = list));
}

/* Whichever was registered first. */
static void a_client_is_closed_after_everybody_who_uses_it(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    capp_error error;

    (void)state;
    goodbyes = 0;
    for (int run = 0; run < RUNS; run++) {
        capp_builder *builder = quiet_builder(NULL);

        if (run % 2 == 0)
            capp_add_service(builder, &last_words_def);
        capp_configure(builder, capp_etcd(the_only_client, fake));
        if (run % 2 != 0)
            capp_add_service(builder, &last_words_def);
        capp_add_worker(builder, "stopper", stop, NULL);
        capp_app *app = build(builder);
        if (capp_run(app, &error) != CAPP_OK)
            fail_msg("run %d: %s", run, error.message);
        capp_free(app);
    }
    assert_int_equal(goodbyes, RUNS);
    assert_int_equal(fake_etcd_done(fake, "Put"), RUNS);
    fake_etcd_free(fake);
}

/* ---- secrets and texts ----------------------------------------------------------------------------------
 */

/* The command line of a program whose configuration cannot be read. */
static void arguments_are_not_shown(void **state)
{
    static char *const lines[][5] = {
        {"program", "--etcd.clients.default.username=ann", "--etcd.clients.default.password=" CANARY,
         "--etcd.clients.default.dial_timeout=soon", NULL},
        {"program", "--etcd.clients.default.password=" CANARY, "--config", "/nowhere/at/all", NULL},
        {"program", "--etcd.clients.default.username=ann", "--etcd.clients.default.password", CANARY,
         "--no.such=1"},
        {"program", "--etcd.clients.default.passwrd=" CANARY, CANARY, CANARY, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        static struct log_text log;
        capp_builder *builder = quiet_builder(&log);
        capp_app *app = NULL;
        capp_error error;
        int argc = lines[i][4] == NULL ? 4 : 5;

        capp_use_log_level(builder, CAPP_LOG_TRACE);
        capp_use_config_args(builder, argc, lines[i]);
        capp_configure(builder, capp_etcd(NULL, NULL));
        assert_int_not_equal(capp_build(builder, &app, &error), CAPP_OK);
        assert_null(strstr(error.message, CANARY));
        assert_null(strstr(log.text, CANARY));
        assert_true(strlen(error.message) > 0);
    }
}

/* ---- the same where nothing is wrong ---- */

#define LAZY CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY)

static const char *const keepers[] = {"in-code", "in-file", "in-env", "in-args"};

static void add_keepers(capp_etcd_builder *b, void *user)
{
    (void)user;
    capp_etcd_add_client_with(
        b, "in-code", ETCD_CLIENT_OPTS(.username = "ann", .password = ETCD_SECRET_TEXT(CANARY)), LAZY);
    for (size_t i = 1; i < sizeof(keepers) / sizeof(keepers[0]); i++)
        capp_etcd_add_client_with(b, keepers[i], NULL, LAZY);
}

static void assert_no_canary(const char *what, const char *text)
{
    if (strstr(text, CANARY) != NULL)
        fail_msg("%s shows the password:\n%s", what, text);
}

/* What an application can be made to say of itself, and what a call says that cannot log in. */
static void look_at_all_texts(capp_app *app)
{
    static char text[65536];
    capp_error error;
    etcd_error err;

    assert_true(capp_config_dump(app, text, sizeof(text)) < sizeof(text));
    assert_has(text, "in-args");
    assert_has(text, "***");
    assert_no_canary("the dump", text);
    assert_true(capp_config_help(app, text, sizeof(text)) < sizeof(text));
    assert_no_canary("the help", text);
    for (size_t i = 0; i < sizeof(keepers) / sizeof(keepers[0]); i++) {
        etcd_client *client = capp_get_named(app, etcd_client, keepers[i], &error);

        etcd_client_describe(client, text, sizeof(text));
        assert_has(text, "password: set\n");
        assert_no_canary(keepers[i], text);
        assert_int_not_equal(fake_put(client, 1, &err), ETCD_OK);
        assert_no_canary(keepers[i], err.message);
    }
}

static void no_text_shows_a_password(void **state)
{
    static char *const argv[] = {"program", "--etcd.clients.in-args.username=ann",
                                 ("--etcd.clients.in-args.password=" CANARY)};
    static const char file[] = "etcd: {clients: {in-file: {username: ann, password: " CANARY "}}}\n";
    static struct log_text log;
    char path[] = "/tmp/capp-weaknesses-XXXXXX";
    int fd = mkstemp(path);
    capp_builder *builder = quiet_builder(&log);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
    close(fd);
    setenv("CAPP_ETCD__CLIENTS__IN_ENV__USERNAME", "ann", 1);
    setenv("CAPP_ETCD__CLIENTS__IN_ENV__PASSWORD", CANARY, 1);
    capp_use_log_level(builder, CAPP_LOG_TRACE);
    capp_use_config_file(builder, path, 0);
    capp_use_config_args(builder, 3, argv);
    capp_configure(builder, capp_etcd(add_keepers, NULL));
    capp_app *app = build(builder);
    look_at_all_texts(app);
    capp_free(app);
    assert_no_canary("the log", log.text);
    unsetenv("CAPP_ETCD__CLIENTS__IN_ENV__USERNAME");
    unsetenv("CAPP_ETCD__CLIENTS__IN_ENV__PASSWORD");
    unlink(path);
}

/* A file, as an operator writes it: nothing in it is turned into a number, and a duration is one. */
static void texts_of_a_file_reach_the_server_as_they_are(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    char path[] = "/tmp/capp-weaknesses-XXXXXX", text[2048];
    int fd = mkstemp(path);
    capp_builder *builder = quiet_builder(NULL);
    etcd_error err;

    (void)state;
    assert_true(fd >= 0);
    int len = snprintf(text, sizeof(text),
                       "etcd:\n  clients:\n    default:\n      endpoints: [%s]\n      username: 1e5\n"
                       "      password: 0123\n      dial_timeout: 1m30s\n      auto_sync_interval: 250ms\n",
                       fake_etcd_endpoint(fake));
    assert_int_equal(write(fd, text, (size_t)len), len);
    close(fd);
    fake_etcd_set_auth(fake, "1e5", "0123");
    capp_use_config_file(builder, path, 0);
    capp_configure(builder, capp_etcd(NULL, NULL));
    capp_app *app = build(builder);
    etcd_client *client = capp_get(app, etcd_client, NULL);
    assert_status(fake_put(client, PATIENCE_MS, &err), ETCD_OK, &err);
    etcd_client_describe(client, text, sizeof(text));
    assert_has(text, "username: 1e5\n");
    assert_has(text, "dial_timeout: 90000 ms\n");
    assert_has(text, "auto_sync_interval: 250 ms\n");
    capp_free(app);
    unlink(path);
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_client_does_not_end_a_program_in_silence),
        cmocka_unit_test(a_bad_client_does_not_end_the_process),
        cmocka_unit_test(options_cannot_rename_a_client),
        cmocka_unit_test(a_failed_start_closes_what_was_opened),
        cmocka_unit_test(servers_that_are_away_are_waited_for_together),
        cmocka_unit_test(mistakes_come_in_order_in_every_run),
        cmocka_unit_test(a_client_is_closed_after_everybody_who_uses_it),
        cmocka_unit_test(arguments_are_not_shown),
        cmocka_unit_test(no_text_shows_a_password),
        cmocka_unit_test(texts_of_a_file_reach_the_server_as_they_are),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
