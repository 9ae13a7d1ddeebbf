/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher itself: what the other tests rely on, and that nothing of it stays behind. */
#include "support/certs.h"
#include "support/etcd_server.h"
#include "support/health.h"
#include "support/ports.h"
#include "support/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { GONE_MS = 10000 };

#define CTL(server, output, ...) \
    etcd_server_ctl(server, ETCD_SERVER_ALL, (const char *const[]){__VA_ARGS__, NULL}, output, sizeof(output))

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static void every_version_starts_and_leaves_nothing(void **state)
{
    (void)state;
    size_t count = 0;
    for (const char *const *version = etcd_server_versions(); *version != NULL; version++, count++) {
        const struct etcd_server_options options = {.version = *version};
        struct etcd_server *server = etcd_server_start(&options);
        assert_non_null(server);
        assert_string_equal(etcd_server_version(server), *version);
        char output[1024], dir[64];
        assert_int_equal(CTL(server, output, "put", "key", "value"), 0);
        pid_t pid = etcd_server_pid(server, 0);
        snprintf(dir, sizeof(dir), "%s", etcd_server_dir(server));
        assert_true(exists(dir));
        etcd_server_free(server);
        assert_false(exists(dir));
        assert_int_equal(kill(pid, 0), -1);
    }
    assert_true(count > 0);
}

static void a_killed_member_comes_back_with_its_data(void **state)
{
    (void)state;
    struct etcd_server *server = etcd_server_start(NULL);
    assert_non_null(server);
    char output[1024];
    assert_int_equal(CTL(server, output, "put", "key", "value"), 0);
    assert_true(etcd_server_kill(server, 0));
    assert_int_equal(etcd_server_pid(server, 0), 0);
    assert_true(etcd_server_restart(server, 0));
    assert_true(etcd_server_wait(server, 0));
    assert_int_equal(CTL(server, output, "get", "key", "--print-value-only"), 0);
    assert_string_equal(output, "value\n");

    assert_true(etcd_server_restart_empty(server, 0));
    assert_true(etcd_server_wait(server, 0));
    assert_int_equal(CTL(server, output, "get", "key", "--print-value-only"), 0);
    assert_string_equal(output, "");
    etcd_server_free(server);
}

static void a_cluster_survives_a_stopped_member(void **state)
{
    (void)state;
    const struct etcd_server_options options = {.members = 3};
    struct etcd_server *server = etcd_server_start(&options);
    assert_non_null(server);
    char output[4096];
    assert_true(etcd_server_pause(server, 0));
    const char *put[] = {"put", "key", "value", NULL};
    int64_t deadline = test_deadline_ms(GONE_MS);
    while (etcd_server_ctl(server, 1, put, output, sizeof(output)) != 0)
        assert_true(test_poll_again(deadline));
    assert_true(etcd_server_resume(server, 0));
    assert_true(etcd_server_wait(server, 0));
    etcd_server_free(server);
}

static void a_member_can_be_cut_off(void **state)
{
    (void)state;
    const struct etcd_server_options options = {.members = 3, .partitions = true};
    struct etcd_server *server = etcd_server_start(&options);
    assert_non_null(server);
    assert_true(etcd_server_partition(server, 2));

    /* It still answers what it can answer alone, and nothing else. */
    char output[4096];
    const char *alone[] = {"get", "key", "--consistency=s", NULL};
    const char *together[] = {"--command-timeout=2s", "get", "key", NULL};
    assert_int_equal(etcd_server_ctl(server, 2, alone, output, sizeof(output)), 0);
    assert_int_not_equal(etcd_server_ctl(server, 2, together, output, sizeof(output)), 0);
    /* The others carry on, if need be with a new leader. */
    const char *others[] = {"put", "key", "value", NULL};
    int64_t deadline = test_deadline_ms(GONE_MS);
    while (etcd_server_ctl(server, 0, others, output, sizeof(output)) != 0)
        assert_true(test_poll_again(deadline));

    assert_true(etcd_server_heal(server));
    assert_true(etcd_server_wait(server, 2));
    const char *healed[] = {"get", "key", "--print-value-only", NULL};
    assert_int_equal(etcd_server_ctl(server, 2, healed, output, sizeof(output)), 0);
    assert_string_equal(output, "value\n");
    etcd_server_free(server);
}

static void tls_and_auth_in_every_version(void **state)
{
    (void)state;
    static const struct etcd_server_user users[] = {{"alice", "alice-password", "/alice/"},
                                                    {NULL, NULL, NULL}};
    for (const char *const *version = etcd_server_versions(); *version != NULL; version++) {
        const struct etcd_server_options options = {
            .version = *version, .tls = ETCD_SERVER_MTLS, .auth = true, .users = users, .jwt = true};
        struct etcd_server *server = etcd_server_start(&options);
        assert_non_null(server);
        char output[4096];
        assert_int_equal(CTL(server, output, "--user=alice:alice-password", "put", "/alice/key", "value"), 0);
        assert_int_not_equal(CTL(server, output, "--user=alice:alice-password", "put", "/bob/key", "value"),
                             0);
        assert_true(exists(etcd_server_file(server, CERTS_WRONG_CLIENT)));
        etcd_server_free(server);
    }
}

static void a_bad_certificate_is_a_bad_certificate(void **state)
{
    (void)state;
    static const enum etcd_server_cert certs[] = {ETCD_SERVER_CERT_EXPIRED, ETCD_SERVER_CERT_OTHER_HOST};
    static const char *const reasons[] = {"expired", "127.0.0.1"};
    for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++) {
        const struct etcd_server_options options = {.tls = ETCD_SERVER_TLS, .cert = certs[i]};
        struct etcd_server *server = etcd_server_start(&options);
        assert_non_null(server);
        char output[8192];
        assert_int_not_equal(CTL(server, output, "--command-timeout=2s", "get", "key"), 0);
        if (etcd_server_at_least(server, 3, 5, 0)) /* etcdctl 3.4 only says that it waited */
            assert_non_null(strstr(output, reasons[i]));
        etcd_server_free(server);
    }
}

static void a_server_that_cannot_start_says_so(void **state)
{
    (void)state;
    static const char *const args[] = {"--no-such-flag", NULL};
    const struct etcd_server_options options = {.args = args};
    assert_null(etcd_server_start(&options));
    const struct etcd_server_options unknown = {.version = "9.9.9"};
    if (etcd_server_versions()[1] != NULL) /* not with ETCD_BIN, which is taken for any version */
        assert_null(etcd_server_start(&unknown));
}

/* A process of its own starts a server, tells us about it, and is killed. */
static void nothing_survives_a_crash(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct etcd_server *server = etcd_server_start(NULL);
        if (server != NULL)
            dprintf(ends[1], "%d %s\n", (int)etcd_server_pid(server, 0), etcd_server_dir(server));
        pause();
        _exit(1);
    }
    close(ends[1]);
    FILE *told = fdopen(ends[0], "r");
    int etcd = 0;
    char dir[64] = "";
    assert_int_equal(fscanf(told, "%d %63s", &etcd, dir), 2);
    assert_true(exists(dir));
    kill(pid, SIGKILL);
    assert_int_equal(process_wait(pid), 128 + SIGKILL);
    int64_t deadline = test_deadline_ms(GONE_MS);
    while (exists(dir))
        assert_true(test_poll_again(deadline));
    /* Gone, or dead and not yet waited for by whoever inherited it. */
    char status[64];
    snprintf(status, sizeof(status), "/proc/%d/exe", etcd);
    while (access(status, R_OK) == 0)
        assert_true(test_poll_again(deadline));
    fclose(told);
}

static void ports_are_not_given_twice(void **state)
{
    (void)state;
    struct port ports[64];
    for (size_t i = 0; i < 64; i++) {
        assert_true(port_hold(&ports[i]));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(ports[i].number, ports[j].number);
    }
    assert_false(health_is_good(ports[0].number));
    for (size_t i = 0; i < 64; i++)
        port_release(&ports[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_not_given_twice),
        cmocka_unit_test(every_version_starts_and_leaves_nothing),
        cmocka_unit_test(a_killed_member_comes_back_with_its_data),
        cmocka_unit_test(a_cluster_survives_a_stopped_member),
        cmocka_unit_test(a_member_can_be_cut_off),
        cmocka_unit_test(tls_and_auth_in_every_version),
        cmocka_unit_test(a_bad_certificate_is_a_bad_certificate),
        cmocka_unit_test(a_server_that_cannot_start_says_so),
        cmocka_unit_test(nothing_survives_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
