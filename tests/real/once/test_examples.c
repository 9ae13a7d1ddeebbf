/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The examples as their users run them: built against the shared libraries, on real servers, ended by
 * themselves or by SIGTERM. They lie in the same build folder; where examples are not built, there is nothing
 * to test.
 */
#include "support/etcd_server.h"
#include "support/ports.h"
#include "support/process.h"
#include "support/real.h"
#include "support/test.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PREFIX "/etcdc-examples/"
#define PASSWORD "c4n4ry-of-the-examples"

enum { ONCE_MS = 30000, STOP_MS = 10000, OUTPUT_SIZE = 32768 };

static struct etcd_server *open_server, *auth_server;
static char folder[PATH_MAX];
static struct temp_dir work;
static char environment[6][512];
static const char *env[9];

/* The folder examples/ beside the one that this program lies in. */
static bool find_examples(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (len <= 0)
        return false;
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    *strrchr(path, '/') = '\0';
    snprintf(folder, sizeof(folder), "%.*s/examples", PATH_MAX - 16, path);
    return access(folder, X_OK) == 0;
}

static void use_endpoints(const char *open, const char *discovery)
{
    const char *const ld = getenv("LD_LIBRARY_PATH");

    snprintf(environment[0], sizeof(environment[0]), "CAPP_ETCD__CLIENTS__DEFAULT__ENDPOINTS=%s", open);
    snprintf(environment[1], sizeof(environment[1]), "CAPP_ETCD__CLIENTS__CONFIG__ENDPOINTS=%s", open);
    snprintf(environment[2], sizeof(environment[2]), "CAPP_ETCD__CLIENTS__DISCOVERY__ENDPOINTS=%s",
             discovery);
    snprintf(environment[3], sizeof(environment[3]), "ETCD_DISCOVERY_PASSWORD=%s", PASSWORD);
    snprintf(environment[4], sizeof(environment[4]), "LD_LIBRARY_PATH=%s", ld == NULL ? "" : ld);
    snprintf(environment[5], sizeof(environment[5]), "ETCDC_ENDPOINT=%s", open);
    for (size_t i = 0; i < 6; i++)
        env[i] = environment[i];
    /* For those of the guide, which say nothing of their clients. */
    env[6] = "CAPP_ETCD__CLIENTS__DISCOVERY__USERNAME=admin";
    env[7] = "CAPP_ETCD__CLIENTS__DISCOVERY__PASSWORD__ENV=ETCD_DISCOVERY_PASSWORD";
    env[8] = NULL;
}

static int start_servers(void **state)
{
    static const struct etcd_server_user users[] = {{"admin", PASSWORD, PREFIX}, {NULL, NULL, NULL}};

    (void)state;
    if (!find_examples())
        return 0;
    open_server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    auth_server = etcd_server_start(
        &(struct etcd_server_options){.version = test_version(), .auth = true, .users = users});
    if (open_server == NULL || auth_server == NULL || !temp_dir_make(&work, 1 << 20))
        return -1;
    use_endpoints(etcd_server_endpoint(open_server, 0), etcd_server_endpoint(auth_server, 0));
    return 0;
}

static int stop_servers(void **state)
{
    (void)state;
    if (open_server == NULL)
        return 0;
    etcd_server_free(open_server);
    etcd_server_free(auth_server);
    temp_dir_remove(&work);
    return 0;
}

/* Skips the test where there are no examples; otherwise the path of one. */
static const char *example(const char *name)
{
    static char path[PATH_MAX + 64];

    if (open_server == NULL)
        skip();
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* The output goes to stderr by itself: cmocka cuts its messages. */
static void assert_text(const char *output, const char *part)
{
    if (strstr(output, part) == NULL) {
        fprintf(stderr, "%s\n", output);
        fail_msg("'%s' is not in the output above", part);
    }
}

#define CTL(server, output, ...) \
    etcd_server_ctl(server, 0, (const char *const[]){__VA_ARGS__, NULL}, output, sizeof(output))

/* The servers know nothing of the examples any more. */
static void assert_nothing_left(void)
{
    struct etcd_server *const servers[] = {open_server, auth_server};

    for (size_t i = 0; i < 2; i++) {
        struct etcd_server *server = servers[i];
        char output[1024];

        assert_int_equal(CTL(server, output, "get", "--prefix", "--keys-only", PREFIX), 0);
        assert_string_equal(output, "");
        assert_int_equal(CTL(server, output, "lease", "list"), 0);
        assert_text(output, "found 0 leases");
    }
}

static void run(const char *name, const char *const *expected)
{
    char output[OUTPUT_SIZE];
    const char *const argv[] = {example(name), "--once", NULL};
    int status = process_run(argv, env, test_deadline_ms(ONCE_MS) - test_now_ms(), output, sizeof(output));

    if (status != 0)
        fail_msg("%s ended with %d:\n%s", name, status, output);
    for (; *expected != NULL; expected++)
        assert_text(output, *expected);
    assert_null(strstr(output, PASSWORD));
}

static void run_once(const char *name, const char *const *expected)
{
    run(name, expected);
    assert_nothing_left();
}

#define EXPECT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void config_service(void **state)
{
    (void)state;
    run_once("config_service",
             EXPECT("get: there is no such key\nput: 'debug'\nget: 'debug'\nput: ''\nget: ''\n",
                    "watch: 'debug'", "watch: ''", "watch: deleted", "watch: ended with ETCD_E_CANCELLED"));
}

static void factory(void **state)
{
    (void)state;
    run_once("factory", EXPECT("there is no etcd client 'cache'; there are: 'config', 'discovery'",
                               "saved " PREFIX, "registered " PREFIX "services/greeter/greeter-1"));
}

static void lock_service(void **state)
{
    (void)state;
    run_once("lock_service", EXPECT("day has the lock", "night has the lock"));
}

static void config_center(void **state)
{
    (void)state;
    run_once("config_center", EXPECT("0 keys below", "color = 'blue'", "motto = ''",
                                     "changed: " PREFIX "config_center/color is gone",
                                     "the view ended with ETCD_E_CANCELLED"));
}

static void service_discovery(void **state)
{
    (void)state;
    run_once("service_discovery", EXPECT("web: 2 found\n  web-1 at 10.0.0.1:80\n  web-2 at 10.0.0.2:80\n",
                                         "web/web-1 has left\nweb: 1 found", "nobody: 0 found"));
}

static void epoll(void **state)
{
    (void)state;
    run_once("epoll",
             EXPECT("watch: 'tick 1'\n", "watch: 'tick 3'\n", "put: done at revision ", "stopped\n"));
}

/* ---- until SIGTERM --------------------------------------------------------------------------------- */

static size_t read_log(const char *path, char *output, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t len = file == NULL ? 0 : fread(output, 1, size - 1, file);

    if (file != NULL)
        fclose(file);
    output[len] = '\0';
    return len;
}

/* Starts the program, waits until its output has `ready`, sends SIGTERM, and expects the end with status 0.
 */
static void run_until_term(const char *name, const char *ready)
{
    char log[PATH_MAX], output[OUTPUT_SIZE];
    const char *const argv[] = {example(name), NULL};
    int64_t deadline_ms = test_deadline_ms(ONCE_MS);
    const char *slash = strrchr(name, '/');

    snprintf(log, sizeof(log), "%s/%s.log", work.path, slash == NULL ? name : slash + 1);
    unlink(log);
    pid_t pid = process_start(argv, env, log);
    assert_true(pid > 0);
    do {
        read_log(log, output, sizeof(output));
        assert_false(process_ended(pid));
    } while (strstr(output, ready) == NULL && test_poll_again(deadline_ms));
    assert_int_equal(kill(pid, SIGTERM), 0);
    deadline_ms = test_deadline_ms(STOP_MS);
    int status = process_wait(pid);
    read_log(log, output, sizeof(output));
    assert_text(output, ready);
    if (status != 0)
        fail_msg("%s ended with %d:\n%s", name, status, output);
    assert_true(test_now_ms() < deadline_ms);
    assert_text(output, "INFO  app: stopped");
    assert_null(strstr(output, PASSWORD));
}

static void all_end_on_sigterm(void **state)
{
    static const char *const programs[][2] = {
        {"basic", "app: started"},
        {"clients", "app: started"},
        {"config_service", "watch: deleted"},
        {"factory", "registered "},
        {"lock_service", "night has the lock"},
        {"config_center", "color is gone"},
        {"service_discovery", "nobody: 0 found"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        run_until_term(programs[i][0], programs[i][1]);
        assert_nothing_left();
    }
}

static void the_smallest_program_starts_without_a_server(void **state)
{
    struct port port = {0};
    char endpoint[32];

    (void)state;
    (void)example("basic");
    assert_true(port_hold(&port));
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", port.number);
    use_endpoints(endpoint, endpoint);
    run_until_term("basic", "app: started");
    /* While it still waits for its server. Earlier it would not have taken charge of signals yet. */
    run_until_term("basic", "etcd: client 'default': not connected");
    use_endpoints(etcd_server_endpoint(open_server, 0), etcd_server_endpoint(auth_server, 0));
    port_release(&port);
}

/* ---- those of docs/guide.md ------------------------------------------------------------------------ */

#define GUIDE "../tests/guide/"

static void the_guide(void **state)
{
    char output[256];

    (void)state;
    run_until_term(GUIDE "1", "app: started");
    run_until_term(GUIDE "2", "app: started");
    run_once(GUIDE "3", EXPECT("it is 'info'\nchanged to 'debug'\ndeleted\n"));
    run(GUIDE "4", EXPECT("there is no etcd client 'cache'", "registered\n"));
    assert_int_equal(CTL(open_server, output, "del", PREFIX "guide/motto"), 0);
    assert_text(output, "1");
    assert_nothing_left();
    run_once(GUIDE "5", EXPECT("unit 3 under the lock\nreleased\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_service),     cmocka_unit_test(factory),
        cmocka_unit_test(lock_service),       cmocka_unit_test(config_center),
        cmocka_unit_test(service_discovery),  cmocka_unit_test(epoll),
        cmocka_unit_test(all_end_on_sigterm), cmocka_unit_test(the_smallest_program_starts_without_a_server),
        cmocka_unit_test(the_guide),
    };

    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
