/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of applications: two of them side by side, servers that hold a start up, odd passwords, log fields.
 */
#include "capp/etcd.h"

#include "support/fake_client.h"
#include "unit/capp/fixture.h"

#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static capp_app *build(capp_builder *builder)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static void add_default(capp_etcd_builder *b, void *user)
{
    const char *const list[] = {fake_etcd_endpoint(user), NULL};

    assert_int_equal(capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.endpoints = list)), CAPP_OK);
}

/* ---- two applications ---------------------------------------------------------------------------------- */

enum { PUTS = 50 };

/* An application on a thread of its own, with a server of its own. */
struct side {
    struct fake_etcd *fake;
    pthread_t thread;
    capp_status status;
    capp_error error;
};

static capp_status put_some(capp_worker *worker, void *user_data, capp_error *reterr)
{
    etcd_client *client = capp_get(capp_worker_app(worker), etcd_client, reterr);
    etcd_error err;

    (void)user_data;
    for (int i = 0; i < PUTS; i++) {
        if (fake_put(client, PATIENCE_MS, &err) != ETCD_OK)
            return capp_error_from_etcd(&err, reterr);
    }
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void *live(void *user)
{
    struct side *side = user;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    capp_configure(builder, capp_etcd(add_default, side->fake));
    capp_add_worker(builder, "worker", put_some, NULL);
    side->status = capp_build(builder, &app, &side->error);
    if (side->status == CAPP_OK)
        side->status = capp_run(app, &side->error);
    capp_free(app);
    return NULL;
}

static void two_applications_have_clients_of_their_own(void **state)
{
    struct side sides[2] = {{.fake = fake_etcd_start()}, {.fake = fake_etcd_start()}};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&sides[i].thread, NULL, live, &sides[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        (void)pthread_join(sides[i].thread, NULL);
        if (sides[i].status != CAPP_OK)
            fail_msg("%s", sides[i].error.message);
        assert_int_equal(fake_etcd_done(sides[i].fake, "Put"), PUTS);
        assert_int_equal(fake_etcd_connections(sides[i].fake), 1);
        fake_etcd_free(sides[i].fake);
    }
}

/* ---- a registration that waits ------------------------------------------------------------------------- */

struct waiting {
    capp_etcd_factory *factory;
    const char *endpoint;
    pthread_t thread;
    capp_status status;
    capp_error error;
};

static void *wait_for_server(void *arg)
{
    struct waiting *waiting = arg;
    const char *const list[] = {waiting->endpoint, NULL};

    /* await_begin() takes the name for moments, to see whether it is free. */
    do
        waiting->status = capp_etcd_factory_register(
            waiting->factory, "slow", ETCD_CLIENT_OPTS(.endpoints = list, .dial_timeout_ms = 600000), NULL,
            &waiting->error);
    while (waiting->status == CAPP_E_DUPLICATE);
    return NULL;
}

/* The name stays taken as soon as the registration has begun. */
static void await_begin(capp_etcd_factory *factory)
{
    const etcd_client_opts *bad = ETCD_CLIENT_OPTS(.dial_timeout_ms = -1);
    int64_t until = test_deadline_ms(PATIENCE_MS);

    while (capp_etcd_factory_register(factory, "SLOW", bad, NULL, NULL) != CAPP_E_DUPLICATE)
        assert_true(test_poll_again(until));
}

/* None of the calls would return if a lock were held: the other one waits for ten minutes. */
static void assert_nobody_waits(const char *endpoint, struct fake_etcd *good)
{
    const char *const list[] = {fake_etcd_endpoint(good), NULL};
    struct waiting waiting = {.endpoint = endpoint};
    etcd_client *client = NULL;
    capp_error error;
    etcd_error err;

    assert_int_equal(capp_etcd_factory_new(NULL, &waiting.factory, &error), CAPP_OK);
    assert_int_equal(
        capp_etcd_factory_register(waiting.factory, "a", ETCD_CLIENT_OPTS(.endpoints = list), NULL, &error),
        CAPP_OK);
    assert_int_equal(pthread_create(&waiting.thread, NULL, wait_for_server, &waiting), 0);
    await_begin(waiting.factory);
    assert_int_equal(capp_etcd_factory_get(waiting.factory, "a", &client, &error), CAPP_OK);
    assert_status(fake_put(client, PATIENCE_MS, &err), ETCD_OK, &err);
    assert_int_equal(
        capp_etcd_factory_register(waiting.factory, "b", ETCD_CLIENT_OPTS(.endpoints = list), NULL, &error),
        CAPP_OK);
    assert_int_equal(capp_etcd_factory_list(waiting.factory, NULL, 0), 2);
    assert_int_equal(capp_etcd_factory_close(waiting.factory, 0, &error), CAPP_OK);
    (void)pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, CAPP_E_CLOSED);
    assert_has(waiting.error.message, "client 'slow'");
    capp_etcd_factory_free(waiting.factory);
}

static void nobody_waits_with_a_registration(void **state)
{
    struct fake_etcd *good = fake_etcd_start(), *silent = fake_etcd_start();
    struct black_hole hole;

    (void)state;
    black_hole_open(&hole);
    assert_nobody_waits(hole.endpoint, good);
    black_hole_close(&hole);
    fake_etcd_freeze(silent, true);
    assert_nobody_waits(fake_etcd_endpoint(silent), good);
    fake_etcd_freeze(silent, false);
    assert_nobody_waits("no-such-host.invalid:2379", good);
    fake_etcd_free(silent);
    fake_etcd_free(good);
}

/* ---- passwords of a configuration ---------------------------------------------------------------------- */

static capp_status put_once(capp_worker *worker, void *user_data, capp_error *reterr)
{
    etcd_client *client = capp_get(capp_worker_app(worker), etcd_client, reterr);
    etcd_error err;

    (void)user_data;
    if (fake_put(client, PATIENCE_MS, &err) != ETCD_OK)
        return capp_error_from_etcd(&err, reterr);
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void write_config(const char *path, const char *endpoint, const char *password)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fprintf(file,
                        "etcd: {clients: {default: {endpoints: ['%s'], username: ann, password: %s}}}\n",
                        endpoint, password) > 0);
    assert_int_equal(fclose(file), 0);
}

/* As they are written in YAML, and as the server must see them: text stays text. */
static void passwords_of_a_file_go_through_unchanged(void **state)
{
    static const struct {
        const char *written, *meant;
    } cases[] = {
        {"0123", "0123"},
        {"true", "true"},
        {"1e5", "1e5"},
        {"no", "no"},
        {"'  two spaces  '", "  two spaces  "},
        {"\"p\xc3\xa4ss %s %n\"", "p\xc3\xa4ss %s %n"},
        {"'${HOME}'", "${HOME}"},
        {"'#: {a}'", "#: {a}"},
    };
    char path[] = "/tmp/capp-etcd-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_etcd *fake = fake_etcd_start();
        struct log_text log = {.text = ""};
        capp_builder *builder = quiet_builder(&log);
        capp_error error = {.message = ""};
        char dump[8192];

        print_message("%s\n", cases[i].written);
        fake_etcd_set_auth(fake, "ann", cases[i].meant);
        write_config(path, fake_etcd_endpoint(fake), cases[i].written);
        capp_use_log_level(builder, CAPP_LOG_TRACE);
        capp_use_config_file(builder, path, 0);
        capp_configure(builder, capp_etcd(NULL, NULL));
        capp_add_worker(builder, "worker", put_once, NULL);
        capp_app *app = build(builder);
        (void)capp_config_dump(app, dump, sizeof(dump));
        assert_has(dump, "etcd.clients.default.username: \"ann\"");
        if (capp_run(app, &error) != CAPP_OK)
            fail_msg("%s", error.message);
        assert_int_equal(fake_etcd_done(fake, "Put"), 1);
        capp_free(app);
        if (strlen(cases[i].meant) > 4) { /* the short ones are words that a log may use */
            assert_null(strstr(log.text, cases[i].meant));
            assert_null(strstr(dump, cases[i].meant));
        }
        fake_etcd_free(fake);
    }
    (void)unlink(path);
}

/* ---- fields of log lines --------------------------------------------------------------------------------
 */

struct lines {
    pthread_mutex_t mutex;
    size_t count, nameless;
    bool added, connected, closed;
};

static const char *field_of(const capp_log_record *record, const char *name)
{
    for (size_t i = 0; i < record->field_count; i++) {
        if (strcmp(record->fields[i].name, name) == 0)
            return record->fields[i].text;
    }
    return NULL;
}

static void collect(void *user_data, const capp_log_record *record)
{
    struct lines *lines = user_data;
    const char *client = field_of(record, "client"), *endpoints = field_of(record, "endpoints");

    if (strcmp(record->category, "etcd") != 0)
        return;
    pthread_mutex_lock(&lines->mutex);
    lines->count++;
    lines->nameless += client == NULL || strcmp(client, "default") != 0;
    lines->added = lines->added || (strstr(record->message, "added") != NULL && endpoints != NULL &&
                                    strncmp(endpoints, "127.0.0.1:", 10) == 0);
    lines->connected = lines->connected || (strstr(record->message, "connected to") != NULL &&
                                            field_of(record, "endpoint") != NULL &&
                                            strstr(record->message, field_of(record, "endpoint")) != NULL);
    lines->closed = lines->closed || strstr(record->message, "closed") != NULL;
    pthread_mutex_unlock(&lines->mutex);
}

/* Whatever it is about, and whoever says it: the module, or the client. */
static void every_line_names_its_client(void **state)
{
    struct lines lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct fake_etcd *fake = fake_etcd_start();
    capp_builder *builder = capp_builder_new();
    capp_error error = {.message = ""};

    (void)state;
    capp_use_log(builder, collect, &lines);
    capp_use_log_level(builder, CAPP_LOG_TRACE);
    capp_configure(builder, capp_etcd(add_default, fake));
    capp_add_worker(builder, "worker", put_once, NULL);
    capp_app *app = build(builder);
    if (capp_run(app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    capp_free(app);
    assert_true(lines.added && lines.connected && lines.closed);
    assert_true(lines.count >= 4); /* added, connected, closing, closed */
    assert_int_equal(lines.nameless, 0);
    fake_etcd_free(fake);
}

/* ---- reports --------------------------------------------------------------------------------------------
 */

#define CANARY "c4n4ry-of-the-test"

/* Looks from a worker: the checks are asked only while the application runs. */
struct looking {
    struct fake_etcd *fake, *closed_to_us, *away;
    char before[2048], after[2048], metrics[16384];
    bool ready;
};

static void add_some(capp_etcd_builder *b, void *user)
{
    const struct looking *looking = user;
    const char *const good[] = {fake_etcd_endpoint(looking->fake), NULL};
    const char *const guarded[] = {fake_etcd_endpoint(looking->closed_to_us), NULL};
    const char *const away[] = {fake_etcd_endpoint(looking->away), NULL};

    capp_etcd_add_client(b, "default", ETCD_CLIENT_OPTS(.endpoints = good));
    capp_etcd_add_client(b, "away", ETCD_CLIENT_OPTS(.endpoints = away, .dial_timeout_ms = 50));
    capp_etcd_add_client_with(
        b, "guarded",
        ETCD_CLIENT_OPTS(.endpoints = guarded, .username = "ann", .password = ETCD_SECRET_TEXT(CANARY)),
        CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY));
}

static bool is_running(capp_app *app)
{
    char text[2048];

    (void)capp_health_report(app, CAPP_HEALTH_TEXT, text, sizeof(text));
    return strstr(text, ": running") != NULL;
}

static capp_status look(capp_worker *worker, void *user_data, capp_error *reterr)
{
    struct looking *looking = user_data;
    capp_app *app = capp_worker_app(worker);
    int64_t until = test_deadline_ms(PATIENCE_MS);
    etcd_error err;

    while (!is_running(app) && test_poll_again(until))
        continue;
    (void)capp_health_report(app, CAPP_HEALTH_TEXT, looking->before, sizeof(looking->before));
    (void)fake_put(capp_get_named(app, etcd_client, "guarded", reterr), PATIENCE_MS, &err);
    (void)capp_health_report(app, CAPP_HEALTH_TEXT, looking->after, sizeof(looking->after));
    (void)capp_metrics_text(app, looking->metrics, sizeof(looking->metrics));
    looking->ready = capp_app_is_ready(app);
    capp_stop(app);
    return CAPP_OK;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void run_looking(struct looking *looking, struct log_text *log)
{
    capp_builder *builder = quiet_builder(log);
    capp_error error = {.message = ""};

    capp_use_log_level(builder, CAPP_LOG_TRACE);
    capp_configure(builder, capp_etcd(add_some, looking));
    capp_add_worker(builder, "worker", look, looking);
    capp_app *app = build(builder);
    if (capp_run(app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    capp_free(app);
}

/* One line HELP and one TYPE for each number, whatever the number of clients. */
static void check_metrics(const char *text)
{
    assert_has(text, "etcd_client_calls_total{client=\"default\"} ");
    assert_has(text, "etcd_client_failures_total{client=\"guarded\"} 1\n");
    assert_has(text, "etcd_client_losses_total{client=\"away\"} ");
    assert_int_equal(count_of(text, "# TYPE etcd_client_calls_total counter\n"), 1);
    assert_int_equal(count_of(text, "# HELP etcd_client_calls_total "), 1);
    assert_int_equal(count_of(text, "\netcd_client_calls_total{"), 3);
    assert_null(strstr(text, CANARY));
}

static void reports_tell_of_each_client(void **state)
{
    static struct looking looking;
    static struct log_text log;

    (void)state;
    looking = (struct looking){
        .fake = fake_etcd_start(), .closed_to_us = fake_etcd_start(), .away = fake_etcd_start()};
    fake_etcd_set_auth(looking.closed_to_us, "ann", "another");
    fake_etcd_listen(looking.away, false);
    run_looking(&looking, &log);
    assert_has(looking.before, "etcd.default: up\n");
    assert_has(looking.before, "etcd.away: down: client 'away': not connected: ");
    assert_has(looking.before, "etcd.guarded: up: not used yet\n");
    assert_has(looking.after, "etcd.guarded: down: ");
    assert_has(looking.after, "client 'guarded'");
    assert_has(looking.after, "user 'ann'");
    assert_false(looking.ready);
    check_metrics(looking.metrics);
    assert_null(strstr(looking.before, CANARY));
    assert_null(strstr(looking.after, CANARY));
    assert_null(strstr(log.text, CANARY));
    fake_etcd_free(looking.fake);
    fake_etcd_free(looking.closed_to_us);
    fake_etcd_free(looking.away);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_applications_have_clients_of_their_own),
        cmocka_unit_test(nobody_waits_with_a_registration),
        cmocka_unit_test(passwords_of_a_file_go_through_unchanged),
        cmocka_unit_test(every_line_names_its_client),
        cmocka_unit_test(reports_tell_of_each_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
