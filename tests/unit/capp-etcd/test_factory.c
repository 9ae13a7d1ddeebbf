/* SPDX-License-Identifier: Apache-2.0 */
/* The factory without the host, and without a server: names, options, lookups, closing. */
#include "capp/etcd.h"

#include "support/alloc_fail.h"
#include "support/ports.h"
#include "unit/capp/fixture.h"

#define LAZY CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY)

static capp_etcd_factory *new_factory(void)
{
    capp_etcd_factory *factory = NULL;
    capp_error error;

    assert_int_equal(capp_etcd_factory_new(NULL, &factory, &error), CAPP_OK);
    return factory;
}

static void add_lazy(capp_etcd_factory *factory, const char *name)
{
    capp_error error;

    if (capp_etcd_factory_register(factory, name, NULL, LAZY, &error) != CAPP_OK)
        fail_msg("%s", error.message);
}

static etcd_client *get(capp_etcd_factory *factory, const char *name)
{
    etcd_client *client = NULL;

    assert_int_equal(capp_etcd_factory_get(factory, name, &client, NULL), CAPP_OK);
    assert_non_null(client);
    return client;
}

static void an_empty_factory_knows_nobody(void **state)
{
    capp_etcd_factory *factory = new_factory();
    etcd_client *client = (etcd_client *)&factory;
    capp_error error;

    (void)state;
    assert_int_equal(capp_etcd_factory_list(factory, NULL, 0), 0);
    assert_false(capp_etcd_factory_has(factory, "default"));
    assert_int_equal(capp_etcd_factory_get(factory, "default", &client, &error), CAPP_E_NOT_FOUND);
    assert_null(client);
    assert_string_equal(error.message, "there is no etcd client 'default'; there is none at all");
    capp_etcd_factory_free(factory);
    capp_etcd_factory_free(NULL);
}

static void names_are_checked(void **state)
{
    static const char *const bad[] = {
        NULL,   "",
        " ",    "a.b",
        "a b",  "a\tb",
        "\x01", "\xc3\xa4",
        "a/b",  "0123456789012345678901234567890123456789012345678901234567890123", /* 64 */
    };
    static const char longest[] = "012345678901234567890123456789012345678901234567890123456789012";
    capp_etcd_factory *factory = new_factory();
    capp_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(capp_etcd_factory_register(factory, bad[i], NULL, LAZY, &error),
                         CAPP_E_INVALID_ARGUMENT);
        assert_has(error.message, "name");
    }
    add_lazy(factory, longest);
    add_lazy(factory, "A-z_0");
    assert_int_equal(capp_etcd_factory_list(factory, NULL, 0), 2);
    capp_etcd_factory_free(factory);
}

static void a_name_is_taken_once(void **state)
{
    static const char *const same[] = {"read-only", "read_only", "Read-Only", "READ_ONLY"};
    capp_etcd_factory *factory = new_factory();
    capp_error error;

    (void)state;
    add_lazy(factory, "read-only");
    etcd_client *first = get(factory, "read-only");
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(capp_etcd_factory_register(factory, same[i], NULL, LAZY, &error), CAPP_E_DUPLICATE);
        assert_has(error.message, "read-only");
        assert_has(error.message, same[i]);
    }
    assert_ptr_equal(get(factory, "read-only"), first);
    add_lazy(factory, "readonly");
    capp_etcd_factory_free(factory);
}

static void lookups_say_what_is_wrong(void **state)
{
    capp_etcd_factory *factory = new_factory();
    etcd_client *client = (etcd_client *)&factory;
    capp_error error;

    (void)state;
    add_lazy(factory, "config");
    add_lazy(factory, "discovery");
    assert_int_equal(capp_etcd_factory_get(factory, "confg", &client, &error), CAPP_E_NOT_FOUND);
    assert_null(client);
    assert_string_equal(error.message, "there is no etcd client 'confg'; there are: 'config', 'discovery'");
    assert_int_equal(capp_etcd_factory_get(factory, "a\nb", &client, &error), CAPP_E_NOT_FOUND);
    assert_has(error.message, "a\\x0Ab");
    client = (etcd_client *)&factory;
    assert_int_equal(capp_etcd_factory_get(factory, "", &client, &error), CAPP_E_INVALID_ARGUMENT);
    assert_null(client);
    assert_int_equal(capp_etcd_factory_get(factory, NULL, &client, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_etcd_factory_get(NULL, "config", &client, NULL), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_etcd_factory_get(factory, "config", NULL, &error), CAPP_E_INVALID_ARGUMENT);
    capp_etcd_factory_free(factory);
}

/* Collects the names, "a,b,"; ends after `max` of them. */
struct seen {
    capp_etcd_factory *factory;
    char text[64];
    size_t max;
};

static bool see(const char *name, etcd_client *client, void *user_data)
{
    struct seen *seen = user_data;
    size_t len = strlen(seen->text);

    assert_ptr_equal(client, get(seen->factory, name)); /* no lock is held */
    snprintf(seen->text + len, sizeof(seen->text) - len, "%s,", name);
    return --seen->max > 0;
}

static void the_order_is_that_of_registration(void **state)
{
    capp_etcd_factory *factory = new_factory();
    const char *names[4] = {NULL, NULL, NULL, "untouched"};
    struct seen all = {.factory = factory, .max = 9}, two = {.factory = factory, .max = 2};

    (void)state;
    add_lazy(factory, "zebra");
    add_lazy(factory, "ape");
    add_lazy(factory, "mule");
    assert_int_equal(capp_etcd_factory_list(factory, names, 2), 3);
    assert_null(names[2]);
    assert_int_equal(capp_etcd_factory_list(factory, names, 4), 3);
    assert_string_equal(names[0], "zebra");
    assert_string_equal(names[1], "ape");
    assert_string_equal(names[2], "mule");
    assert_string_equal(names[3], "untouched");
    capp_etcd_factory_each(factory, see, &all);
    assert_string_equal(all.text, "zebra,ape,mule,");
    capp_etcd_factory_each(factory, see, &two);
    assert_string_equal(two.text, "zebra,ape,");
    capp_etcd_factory_free(factory);
}

static void bad_options_leave_nothing_behind(void **state)
{
    static const etcd_client_opts uninitialised;
    const struct {
        const etcd_client_opts *opts;
        const char *field;
    } table[] = {
        {ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("h:0")), "endpoints[0]"},
        {ETCD_CLIENT_OPTS(.endpoints = (const char *const[]){NULL}), "endpoints"},
        {ETCD_CLIENT_OPTS(.dial_timeout_ms = -1), "dial_timeout_ms"},
        {ETCD_CLIENT_OPTS(.auto_sync_interval_ms = -1), "auto_sync_interval_ms"},
        {ETCD_CLIENT_OPTS(.username = "u"), "password"},
        {ETCD_CLIENT_OPTS(.password = ETCD_SECRET_TEXT("p")), "username"},
        {ETCD_CLIENT_OPTS(.max_send_bytes = 2, .max_recv_bytes = 1), "max_send_bytes"},
        {ETCD_CLIENT_OPTS(.log_level = (etcd_log_level)99), "log_level"},
        {ETCD_CLIENT_OPTS(.name = "other"), "name is 'other'"},
        {&uninitialised, "its options were not initialised"},
    };
    size_t fds = open_fds();
    capp_etcd_factory *factory = new_factory();
    capp_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        capp_status status = capp_etcd_factory_register(factory, "one", table[i].opts, LAZY, &error);

        assert_int_equal(status, CAPP_E_INVALID_ARGUMENT);
        assert_has(error.message, "client 'one': ");
        assert_has(error.message, table[i].field);
        assert_false(capp_etcd_factory_has(factory, "one"));
    }
    const capp_etcd_client_opts *odd = CAPP_ETCD_CLIENT(.start = (capp_etcd_start)7);
    assert_int_equal(capp_etcd_factory_register(factory, "one", NULL, odd, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "client 'one': start is 7");
    odd = CAPP_ETCD_CLIENT(.health = (capp_etcd_health)8);
    assert_int_equal(capp_etcd_factory_register(factory, "one", NULL, odd, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "client 'one': health is 8");
    assert_int_equal(capp_etcd_factory_register(NULL, "one", NULL, NULL, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_etcd_factory_new(NULL, NULL, &error), CAPP_E_INVALID_ARGUMENT);
    add_lazy(factory, "one");
    capp_etcd_factory_free(factory);
    assert_int_equal(open_fds(), fds);
}

static void options_are_copied_deeply(void **state)
{
    char endpoint[] = "10.0.0.1:2379", user[] = "admin", password[] = "secret", name[] = "mine";
    const char *list[] = {endpoint, NULL};
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    capp_etcd_factory *factory = new_factory();
    char before[1024], after[1024];

    (void)state;
    opts.name = name;
    opts.endpoints = list;
    opts.username = user;
    opts.password = ETCD_SECRET_TEXT(password);
    assert_int_equal(capp_etcd_factory_register(factory, name, &opts, LAZY, NULL), CAPP_OK);
    etcd_client_describe(get(factory, "mine"), before, sizeof(before));
    memset(endpoint, '!', sizeof(endpoint) - 1);
    memset(user, '!', sizeof(user) - 1);
    memset(password, '!', sizeof(password) - 1);
    memset(name, '!', sizeof(name) - 1);
    list[0] = NULL;
    memset(&opts, 0xff, sizeof(opts));
    etcd_client_describe(get(factory, "mine"), after, sizeof(after));
    assert_string_equal(before, after);
    assert_has(after, "10.0.0.1:2379");
    assert_has(after, "admin");
    assert_null(strstr(after, "secret"));
    capp_etcd_factory_free(factory);
}

/* Options of a client whose server does not exist. */
struct nowhere {
    struct port port;
    char endpoint[32];
    const char *list[2];
    etcd_client_opts opts;
};

static void nowhere_init(struct nowhere *nowhere, int64_t dial_timeout_ms)
{
    memset(nowhere, 0, sizeof(*nowhere));
    assert_true(port_hold(&nowhere->port));
    snprintf(nowhere->endpoint, sizeof(nowhere->endpoint), "127.0.0.1:%d", nowhere->port.number);
    nowhere->list[0] = nowhere->endpoint;
    nowhere->opts = (etcd_client_opts)ETCD_CLIENT_OPTS_INIT;
    nowhere->opts.endpoints = nowhere->list;
    nowhere->opts.dial_timeout_ms = dial_timeout_ms;
}

static void a_server_may_be_away_or_not(void **state)
{
    capp_etcd_factory *factory = new_factory();
    struct nowhere nowhere;
    capp_error error;

    (void)state;
    nowhere_init(&nowhere, 100);
    const capp_etcd_client_opts *required = CAPP_ETCD_CLIENT(.start = CAPP_ETCD_REQUIRED);
    assert_int_equal(capp_etcd_factory_register(factory, "r", &nowhere.opts, required, &error),
                     CAPP_E_UNAVAILABLE);
    assert_has(error.message, "'r'");
    assert_true((error.flags & CAPP_ERROR_RETRYABLE) != 0);
    assert_int_equal(error.external_code, ETCD_E_UNAVAILABLE);
    assert_false(capp_etcd_factory_has(factory, "r"));
    assert_int_equal(capp_etcd_factory_register(factory, "e", &nowhere.opts, NULL, &error), CAPP_OK);
    assert_true(capp_etcd_factory_has(factory, "e"));
    capp_etcd_factory_free(factory);
    port_release(&nowhere.port);
}

/* A registration that waits for a server, on a thread of its own. */
struct waiting {
    capp_etcd_factory *factory;
    const etcd_client_opts *opts;
    pthread_t thread;
    capp_status status;
    capp_error error;
};

static void *wait_for_server(void *arg)
{
    struct waiting *waiting = arg;

    /* start_waiting() takes the name for moments, to see whether it is free. */
    do
        waiting->status = capp_etcd_factory_register(waiting->factory, "slow", waiting->opts, NULL,
                                                     &waiting->error);
    while (waiting->status == CAPP_E_DUPLICATE);
    return NULL;
}

/* Starts it, and returns when its name is reserved. */
static void start_waiting(struct waiting *waiting)
{
    assert_int_equal(pthread_create(&waiting->thread, NULL, wait_for_server, waiting), 0);
    for (;;) {
        capp_status status = capp_etcd_factory_register(waiting->factory, "SLOW",
                                                        ETCD_CLIENT_OPTS(.dial_timeout_ms = -1), LAZY, NULL);

        if (status == CAPP_E_DUPLICATE)
            return;
        assert_int_equal(status, CAPP_E_INVALID_ARGUMENT);
        sched_yield();
    }
}

static void others_do_not_wait_with_a_registration(void **state)
{
    struct waiting waiting = {.factory = new_factory()};
    struct nowhere nowhere;

    (void)state;
    add_lazy(waiting.factory, "quick");
    nowhere_init(&nowhere, 600000);
    waiting.opts = &nowhere.opts;
    start_waiting(&waiting);
    /* None of these would return if the lock were held: the other one waits for ten minutes. */
    assert_non_null(get(waiting.factory, "quick"));
    assert_false(capp_etcd_factory_has(waiting.factory, "slow"));
    add_lazy(waiting.factory, "late");
    assert_int_equal(capp_etcd_factory_list(waiting.factory, NULL, 0), 2);
    assert_int_equal(capp_etcd_factory_close(waiting.factory, 0, NULL), CAPP_OK);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, CAPP_E_CLOSED);
    assert_has(waiting.error.message, "client 'slow'");
    capp_etcd_factory_free(waiting.factory);
    port_release(&nowhere.port);
}

static void a_closed_factory_says_so(void **state)
{
    capp_etcd_factory *factory = new_factory();
    capp_error error;
    etcd_error err;

    (void)state;
    add_lazy(factory, "one");
    etcd_client *client = get(factory, "one");
    assert_int_equal(capp_etcd_factory_close(factory, -1, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_etcd_factory_close(NULL, 0, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_etcd_factory_close(factory, 0, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_close(factory, 0, &error), CAPP_OK);
    assert_int_equal(capp_etcd_factory_get(factory, "one", &(etcd_client *){NULL}, &error), CAPP_E_CLOSED);
    assert_int_equal(capp_etcd_factory_register(factory, "two", NULL, LAZY, &error), CAPP_E_CLOSED);
    assert_false(capp_etcd_factory_has(factory, "one"));
    assert_int_equal(capp_etcd_factory_list(factory, NULL, 0), 1);
    assert_int_equal(etcd_put(client, etcd_cstr("k"), etcd_cstr("v"), NULL, NULL, &err), ETCD_E_CLOSED);
    assert_has(err.message, "one");
    capp_etcd_factory_free(factory);
}

static void *close_factory(void *factory)
{
    return capp_etcd_factory_close(factory, 60000, NULL) == CAPP_OK ? factory : NULL;
}

static void many_threads_may_close(void **state)
{
    capp_etcd_factory *factory = new_factory();
    pthread_t threads[8];

    (void)state;
    add_lazy(factory, "one");
    add_lazy(factory, "two");
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, close_factory, factory), 0);
    for (size_t i = 0; i < 8; i++) {
        void *result = NULL;

        pthread_join(threads[i], &result);
        assert_ptr_equal(result, factory);
    }
    capp_etcd_factory_free(factory);
}

static void clients_share_one_loop_unless_they_bring_one(void **state)
{
    capp_etcd_factory *factory = new_factory();
    etcd_loop *loop = NULL;
    size_t fds, first;

    (void)state;
    fds = open_fds();
    add_lazy(factory, "a");
    first = open_fds();
    add_lazy(factory, "b");
    add_lazy(factory, "c");
    assert_int_equal(open_fds(), first);
    assert_true(first > fds);
    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, NULL), ETCD_OK);
    assert_int_equal(capp_etcd_factory_register(factory, "d", ETCD_CLIENT_OPTS(.loop = loop), LAZY, NULL),
                     CAPP_OK);
    assert_int_equal(etcd_client_drive(get(factory, "c")), ETCD_DRIVE_THREAD);
    assert_int_equal(etcd_client_drive(get(factory, "d")), ETCD_DRIVE_CALLER);
    etcd_loop_free(loop);
    capp_etcd_factory_free(factory);
    assert_int_equal(open_fds(), fds);
}

/* One run of a factory's life in which an allocation may fail at any point. */
static void life(size_t n, void *user)
{
    capp_etcd_factory *factory = NULL;
    etcd_client *client;
    capp_error error;

    (void)n;
    (void)user;
    if (capp_etcd_factory_new(NULL, &factory, &error) != CAPP_OK) {
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
        return;
    }
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "a" : "b";
        capp_status status = capp_etcd_factory_register(factory, name, NULL, LAZY, &error);

        assert_true(status == CAPP_OK || status == CAPP_E_NO_MEMORY);
        assert_int_equal(capp_etcd_factory_has(factory, name), status == CAPP_OK);
        assert_int_equal(capp_etcd_factory_get(factory, name, &client, NULL) == CAPP_OK, status == CAPP_OK);
    }
    capp_etcd_factory_free(factory);
}

static void it_survives_any_allocation_that_fails(void **state)
{
    (void)state;
    size_t live = alloc_live();
    assert_true(alloc_fail_each(life, NULL) > 5);
    assert_int_equal(alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_factory_knows_nobody),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(a_name_is_taken_once),
        cmocka_unit_test(lookups_say_what_is_wrong),
        cmocka_unit_test(the_order_is_that_of_registration),
        cmocka_unit_test(bad_options_leave_nothing_behind),
        cmocka_unit_test(options_are_copied_deeply),
        cmocka_unit_test(a_server_may_be_away_or_not),
        cmocka_unit_test(others_do_not_wait_with_a_registration),
        cmocka_unit_test(a_closed_factory_says_so),
        cmocka_unit_test(many_threads_may_close),
        cmocka_unit_test(clients_share_one_loop_unless_they_bring_one),
        cmocka_unit_test(it_survives_any_allocation_that_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
