/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager hears: a socket of the test stands for systemd's. */
#include "capp/notify.h"

#include "fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

static struct manager {
    int fd;
    char path[108]; /* as in NOTIFY_SOCKET */
} manager;

static void listen_as_manager(bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static int count;
    size_t len = (size_t)snprintf(manager.path, sizeof(manager.path), "%s%d-%d",
                                  abstract ? "@etcdc-test-notify-" : "/tmp/etcdc-test-notify-", (int)getpid(),
                                  count++);

    memcpy(address.sun_path, manager.path, len);
    if (abstract)
        address.sun_path[0] = '\0';
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager.fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (abstract ? 0 : 1))),
                     0);
    setenv("NOTIFY_SOCKET", manager.path, 1);
}

static void stop_listening(void)
{
    close(manager.fd);
    if (manager.path[0] == '/')
        unlink(manager.path);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* The next message; fails the test when none comes. */
static const char *hear(void)
{
    static char text[2048];
    const struct timeval limit = {.tv_sec = 10};

    setsockopt(manager.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ssize_t len = recv(manager.fd, text, sizeof(text) - 1, 0);
    if (len < 0)
        fail_msg("nothing was heard: %s", strerror(errno));
    text[len] = '\0';
    return text;
}

static void hears_nothing_more(void)
{
    char text[8];

    assert_int_equal(recv(manager.fd, text, sizeof(text), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void hear_reloading(int64_t after_us)
{
    char expected[64];
    const char *text = hear();
    long long at_us = 0;

    assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lld", &at_us), 1);
    snprintf(expected, sizeof(expected), "RELOADING=1\nMONOTONIC_USEC=%lld", at_us);
    assert_string_equal(text, expected); /* and nothing else */
    assert_true(at_us >= after_us && at_us <= now_us());
}

static capp_app *build(capp_notify notify, int64_t shutdown_ms)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    capp_use_notify(builder, notify);
    capp_use_shutdown_timeout(builder, shutdown_ms);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    return app;
}

static void *run_app(void *app)
{
    return (void *)(intptr_t)capp_run(app, NULL);
}

static pthread_t start(capp_app *app)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_app, app), 0);
    return thread;
}

static void join_and_free(pthread_t thread, capp_app *app)
{
    void *result;

    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, CAPP_OK);
    capp_free(app);
}

static void whole_life(bool abstract)
{
    listen_as_manager(abstract);
    capp_app *app = build(CAPP_NOTIFY_ALWAYS, 20000);
    pthread_t thread = start(app);

    assert_string_equal(hear(), "READY=1");
    for (int i = 0; i < 2; i++) {
        int64_t asked_us = now_us();

        capp_reload(app);
        hear_reloading(asked_us);
        assert_string_equal(hear(), "READY=1");
    }
    capp_set_status(app, "%d orders\nREADY=0", 17);
    assert_string_equal(hear(), "STATUS=17 orders\\x0AREADY=0");
    capp_stop(app);
    assert_string_equal(hear(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000");
    join_and_free(thread, app);
    hears_nothing_more();
    assert_string_equal(getenv("NOTIFY_SOCKET"), manager.path);
    stop_listening();
}

static void a_path_hears_the_whole_life(void **state)
{
    (void)state;
    whole_life(false);
}

static void an_abstract_name_hears_the_whole_life(void **state)
{
    (void)state;
    whole_life(true);
}

static void a_stop_without_limit_extends_nothing(void **state)
{
    (void)state;
    listen_as_manager(true);
    capp_app *app = build(CAPP_NOTIFY_ALWAYS, CAPP_TIMEOUT_NONE);
    capp_stop(app);
    join_and_free(start(app), app);
    assert_string_equal(hear(), "STOPPING=1");
    hears_nothing_more();
    stop_listening();
}

/* Half of 100 ms lie between two of them at least; how much more is up to the machine. */
static void the_watchdog_is_fed(void **state)
{
    int64_t heard_us;
    char pid[32];

    (void)state;
    listen_as_manager(true);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "100000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    capp_app *app = build(CAPP_NOTIFY_ALWAYS, 20000);
    int64_t began_us = now_us();
    pthread_t thread = start(app);
    assert_string_equal(hear(), "READY=1");
    for (int i = 1; i <= 4; i++) {
        assert_string_equal(hear(), "WATCHDOG=1");
        heard_us = now_us();
        assert_true(heard_us - began_us >= i * 49000);
    }
    capp_stop(app);
    const char *text;
    do
        text = hear();
    while (strcmp(text, "WATCHDOG=1") == 0);
    assert_has(text, "STOPPING=1");
    join_and_free(thread, app);
    hears_nothing_more();
    stop_listening();
}

/* A check of liveness that the test turns. */
static void say_health(void *self, capp_health *health)
{
    health->state = atomic_load((atomic_bool *)self) ? CAPP_HEALTH_DOWN : CAPP_HEALTH_UP;
}

static capp_status configure_check(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)reterr;
    return capp_setup_add_health(setup, "engine", say_health, module->user_data, CAPP_HEALTH_LIVENESS);
}

/* As long as it is, the watchdog hears nothing: ten times its pace is waited for. */
static void who_is_not_alive_does_not_feed_the_watchdog(void **state)
{
    const struct timeval ten_times = {.tv_usec = 200 * 1000};
    atomic_bool down = false;
    struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    char text[64];

    (void)state;
    listen_as_manager(true);
    setenv("WATCHDOG_USEC", "40000", 1);
    capp_use_notify(builder, CAPP_NOTIFY_ALWAYS);
    capp_configure(builder, capp_module_of("engine", configure_check, &down));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    pthread_t thread = start(app);
    assert_string_equal(hear(), "READY=1");
    assert_string_equal(hear(), "WATCHDOG=1");
    atomic_store(&down, true);
    capp_set_status(app, "down");
    while (strcmp(hear(), "STATUS=down") != 0)
        continue;
    setsockopt(manager.fd, SOL_SOCKET, SO_RCVTIMEO, &ten_times, sizeof(ten_times));
    int heard = 0;
    while (recv(manager.fd, text, sizeof(text), 0) >= 0)
        heard++;
    assert_true(heard <= 1); /* one that was under way */
    atomic_store(&down, false);
    assert_string_equal(hear(), "WATCHDOG=1");
    capp_stop(app);
    join_and_free(thread, app);
    assert_has(log.text, "ERROR app: not alive: the watchdog hears nothing until it is\n");
    stop_listening();
}

/* Reads the environment as an application would. */
static struct capp__notify open_with(const char *name, const char *value)
{
    struct capp__notify notify;

    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
    assert_int_equal(capp__notify_open(&notify, NULL), CAPP_OK);
    capp__notify_close(&notify);
    return notify;
}

static void the_watchdog_of_another_is_left_alone(void **state)
{
    char pid[32];

    (void)state;
    listen_as_manager(true);
    assert_int_equal(open_with("WATCHDOG_USEC", NULL).watchdog_ms, 0);
    assert_int_equal(open_with("WATCHDOG_USEC", "30000000").watchdog_ms, 15000);
    assert_int_equal(open_with("WATCHDOG_USEC", "1500").watchdog_ms, 1);
    assert_int_equal(open_with("WATCHDOG_USEC", "soon").watchdog_ms, 0);
    assert_int_equal(open_with("WATCHDOG_USEC", "0").watchdog_ms, 0);
    setenv("WATCHDOG_USEC", "2000000", 1);
    assert_int_equal(open_with("WATCHDOG_PID", "1").watchdog_ms, 0);
    assert_int_equal(open_with("WATCHDOG_PID", "me").watchdog_ms, 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(open_with("WATCHDOG_PID", pid).watchdog_ms, 1000);
    stop_listening();
}

static void nobody_is_told_unless_it_is_wanted(void **state)
{
    static const capp_notify modes[] = {CAPP_NOTIFY_AUTO, CAPP_NOTIFY_NEVER};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        listen_as_manager(false);
        capp_app *app = build(modes[i], 20000);
        capp_stop(app);
        join_and_free(start(app), app);
        hears_nothing_more();
        stop_listening();
    }
}

static void without_a_listener_all_goes_on(void **state)
{
    struct log_text log;
    static const char *const addresses[] = {"", "vsock:2:1234", "@", "/tmp/etcdc-test-notify-nobody"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        capp_builder *builder = quiet_builder(&log);
        capp_app *app = NULL;

        setenv("NOTIFY_SOCKET", addresses[i], 1);
        capp_use_notify(builder, CAPP_NOTIFY_ALWAYS);
        assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
        capp_set_status(app, "on the way");
        capp_stop(app);
        assert_int_equal(capp_run(app, NULL), CAPP_OK);
        capp_free(app);
        assert_int_equal(strstr(log.text, "WARN app: NOTIFY_SOCKET is neither a path nor an abstract name") !=
                             NULL,
                         i == 1 || i == 2);
    }
    unsetenv("NOTIFY_SOCKET");
    capp_set_status(NULL, "nobody");
}

static void a_wrong_mode_is_a_mistake(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_use_notify(builder, (capp_notify)9);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "capp_use_notify: notify is 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_hears_the_whole_life),
        cmocka_unit_test(an_abstract_name_hears_the_whole_life),
        cmocka_unit_test(a_stop_without_limit_extends_nothing),
        cmocka_unit_test(the_watchdog_is_fed),
        cmocka_unit_test(who_is_not_alive_does_not_feed_the_watchdog),
        cmocka_unit_test(the_watchdog_of_another_is_left_alone),
        cmocka_unit_test(nobody_is_told_unless_it_is_wanted),
        cmocka_unit_test(without_a_listener_all_goes_on),
        cmocka_unit_test(a_wrong_mode_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
