/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon with three clients, one of which finds no server: how it starts, and what it says of itself. The
 * daemon is support/daemon_main.c, run as a process; its log and its standard output go to one file.
 */
#include "support/etcd_server.h"
#include "support/fake_etcd.h"
#include "support/process.h"
#include "support/test.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIAL_MS = 1000, SLACK_MS = 400, PATIENCE_MS = 15000, ARGS_MAX = 12 };

static struct etcd_server *good, *late;
static struct temp_dir work;
static char program[PATH_MAX + 16], output_path[128];

struct daemon {
    char text[ARGS_MAX][160];
    const char *argv[ARGS_MAX + 2];
    size_t count;
    pid_t pid;
    int64_t begin_ms;
};

static int start_all(void **state)
{
    ssize_t len = readlink("/proc/self/exe", program, PATH_MAX);

    (void)state;
    if (len <= 0 || !temp_dir_make(&work, 1 << 20))
        return -1;
    program[len] = '\0';
    snprintf(strrchr(program, '/'), 16, "/etcd-daemon");
    snprintf(output_path, sizeof(output_path), "%s/output", work.path);
    good = etcd_server_start(NULL);
    late = etcd_server_start(NULL);
    return good != NULL && late != NULL ? 0 : -1;
}

static int stop_all(void **state)
{
    (void)state;
    etcd_server_free(good);
    etcd_server_free(late);
    temp_dir_remove(&work);
    return 0;
}

/* ---- the process --------------------------------------------------------------------------------------- */

/* One value of the configuration, as an argument. */
static void say(struct daemon *daemon, const char *client, const char *key, const char *value)
{
    assert_true(daemon->count < ARGS_MAX);
    snprintf(daemon->text[daemon->count], sizeof(daemon->text[0]), "--etcd.clients.%s.%s=%s", client, key,
             value);
    daemon->count++;
}

static void start(struct daemon *daemon)
{
    static const char *env[2];
    static char library_path[PATH_MAX + 32];
    const char *const ld = getenv("LD_LIBRARY_PATH");

    snprintf(library_path, sizeof(library_path), "LD_LIBRARY_PATH=%s", ld == NULL ? "" : ld);
    env[0] = library_path;
    (void)unlink(output_path);
    daemon->argv[0] = program;
    for (size_t i = 0; i < daemon->count; i++)
        daemon->argv[i + 1] = daemon->text[i];
    daemon->begin_ms = test_now_ms();
    daemon->pid = process_start(daemon->argv, env, output_path);
    assert_true(daemon->pid > 0);
}

/* All three clients and their endpoints; all dial timeouts are the same. */
static void start_three(struct daemon *daemon, const char *orders, const char *stock, const char *audit,
                        const char *dial_timeout)
{
    say(daemon, "orders", "endpoints", orders);
    say(daemon, "stock", "endpoints", stock);
    say(daemon, "audit", "endpoints", audit);
    say(daemon, "orders", "dial_timeout", dial_timeout);
    say(daemon, "stock", "dial_timeout", dial_timeout);
    say(daemon, "audit", "dial_timeout", dial_timeout);
    start(daemon);
}

/* What it has written by now. */
static const char *output(void)
{
    static char text[65536];
    FILE *file = fopen(output_path, "r");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);

    text[len] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}

static void fail_without(const char *part)
{
    fprintf(stderr, "%s\n", output());
    fail_msg("'%s' is not in the output above", part);
}

/* Behind the first `from` bytes. Returns where it begins. */
static size_t await_text(const char *part, size_t from)
{
    int64_t until = test_deadline_ms(PATIENCE_MS);
    const char *at;

    while (strlen(output()) < from || (at = strstr(output() + from, part)) == NULL) {
        if (!test_poll_again(until))
            fail_without(part);
    }
    return (size_t)(at - output());
}

static void assert_said(const char *part)
{
    if (strstr(output(), part) == NULL)
        fail_without(part);
}

static void assert_unsaid(const char *part)
{
    if (strstr(output(), part) != NULL) {
        fprintf(stderr, "%s\n", output());
        fail_msg("'%s' is in the output above", part);
    }
}

/* As long as a promise says, and a bit: what a loaded machine needs. */
static void assert_within(const struct daemon *daemon, int64_t limit_ms)
{
    int64_t took_ms = test_now_ms() - daemon->begin_ms;

    print_message("%lld ms of %lld\n", (long long)took_ms, (long long)limit_ms);
    assert_true(took_ms <= limit_ms + SLACK_MS * ETCDC_TIME_SCALE);
}

/* In the reverse order of the start. */
static void end(struct daemon *daemon)
{
    size_t at;

    assert_int_equal(kill(daemon->pid, SIGTERM), 0);
    assert_int_equal(process_wait(daemon->pid), 0);
    at = await_text("desk: closed\n", 0);
    at = await_text("client 'audit': closed", at);
    at = await_text("client 'stock': closed", at);
    at = await_text("client 'orders': closed", at);
    at = await_text("journal: closed\n", at);
    (void)await_text("app: stopped", at);
}

/* ---- one server is away ---------------------------------------------------------------------------------
 */

static void eager_starts_in_time_and_warns(void **state)
{
    const char *endpoint = etcd_server_endpoint(good, 0);
    struct daemon daemon = {.count = 0};
    struct black_hole hole;

    (void)state;
    black_hole_open(&hole);
    start_three(&daemon, endpoint, endpoint, hole.endpoint, "1s");
    (void)await_text("app: started", 0);
    assert_within(&daemon, DIAL_MS);
    assert_said("WARN  etcd: client 'audit': ");
    assert_said("going on without it, and trying again");
    assert_said("client 'orders': connected to ");
    assert_said("client 'stock': connected to ");
    assert_unsaid("WARN  etcd: client 'orders'");
    (void)await_text("NOT READY\netcd-daemon (development): running, live, not ready\n", 0);
    (void)await_text("etcd.orders: up\netcd.stock: up\netcd.audit: down: client 'audit': not connected: ", 0);
    end(&daemon);
    black_hole_close(&hole);
}

/* All at the same time: three limits are no longer than one. */
static void three_silent_servers_cost_one_timeout(void **state)
{
    struct daemon daemon = {.count = 0};
    struct black_hole hole;

    (void)state;
    black_hole_open(&hole);
    start_three(&daemon, hole.endpoint, hole.endpoint, hole.endpoint, "1s");
    (void)await_text("app: started", 0);
    assert_within(&daemon, DIAL_MS);
    end(&daemon);
    black_hole_close(&hole);
}

static void lazy_starts_at_once(void **state)
{
    const char *endpoint = etcd_server_endpoint(good, 0);
    struct daemon daemon = {.count = 0};
    struct black_hole hole;

    (void)state;
    black_hole_open(&hole);
    say(&daemon, "audit", "start", "lazy");
    start_three(&daemon, endpoint, endpoint, hole.endpoint, "30s");
    (void)await_text("app: started", 0);
    assert_within(&daemon, 100);
    (void)await_text("etcd.audit: up: not used yet\n", 0);
    assert_said("READY\netcd-daemon (development): running, live, ready\n");
    assert_unsaid("down");
    end(&daemon);
    black_hole_close(&hole);
}

/* The program's own line, from capp_main(): there is one. */
static size_t count_own_lines(void)
{
    size_t count = 0;

    for (const char *at = output(); (at = strstr(at, "\netcd-daemon: ")) != NULL; at++)
        count++;
    return count;
}

static void required_fails_and_unwinds(void **state)
{
    struct fake_etcd *orders = fake_etcd_start(), *stock = fake_etcd_start();
    struct daemon daemon = {.count = 0};
    struct black_hole hole;
    size_t at;

    (void)state;
    black_hole_open(&hole);
    say(&daemon, "audit", "start", "required");
    start_three(&daemon, fake_etcd_endpoint(orders), fake_etcd_endpoint(stock), hole.endpoint, "1s");
    assert_int_equal(process_wait(daemon.pid), EXIT_FAILURE);
    assert_within(&daemon, DIAL_MS);
    assert_said("\netcd-daemon: start of etcd: client 'audit': no ");
    assert_int_equal(count_own_lines(), 1);
    assert_unsaid("desk: opened");
    at = await_text("journal: opened\n", 0);
    at = await_text("client 'stock': closed", at);
    at = await_text("client 'orders': closed", at);
    at = await_text("journal: closed\n", at);
    (void)await_text("app: stopped", at);
    assert_int_equal(fake_etcd_connections(orders), 1);
    assert_int_equal(fake_etcd_connections(stock), 1);
    for (int64_t until = test_deadline_ms(PATIENCE_MS);
         fake_etcd_open_connections(orders) + fake_etcd_open_connections(stock) > 0;)
        assert_true(test_poll_again(until));
    fake_etcd_free(orders);
    fake_etcd_free(stock);
    black_hole_close(&hole);
}

/* ---- it comes, and goes ---------------------------------------------------------------------------------
 */

static void readiness_follows_the_server(void **state)
{
    const char *endpoint = etcd_server_endpoint(good, 0);
    struct daemon daemon = {.count = 0};
    size_t at;

    (void)state;
    assert_true(etcd_server_kill(late, 0));
    start_three(&daemon, endpoint, endpoint, etcd_server_endpoint(late, 0), "500ms");
    at = await_text("etcd.audit: down: client 'audit': not connected: ", 0);
    assert_true(etcd_server_restart(late, 0));
    at = await_text("\nREADY\netcd-daemon (development): running, live, ready\n", at);
    at = await_text("etcd.audit: up\n", at);
    assert_true(etcd_server_kill(late, 0));
    at = await_text("NOT READY\n", at);
    (void)await_text("etcd.audit: down: client 'audit': not connected: ", at);
    assert_true(etcd_server_restart(late, 0));
    (void)await_text("\nREADY\n", at);
    end(&daemon);
    assert_true(etcd_server_wait(late, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eager_starts_in_time_and_warns),
        cmocka_unit_test(three_silent_servers_cost_one_timeout),
        cmocka_unit_test(lazy_starts_at_once),
        cmocka_unit_test(required_fails_and_unwinds),
        cmocka_unit_test(readiness_follows_the_server),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
