/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS and a real server in trouble: a key file that is replaced by a bad one, which is said once and does no
 * harm; a server that dies while it is written to.
 */
#include "support/certs.h"
#include "support/etcd_server.h"
#include "support/fake_client.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void copy_file(const char *from, const char *to)
{
    char buf[8192];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t len;

    assert_true(in != NULL && out != NULL);
    while ((len = fread(buf, 1, sizeof(buf), in)) > 0)
        assert_int_equal(fwrite(buf, 1, len, out), len);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* Another connection is needed. */
static void reconnect(struct etcd_server *server, etcd_client *client)
{
    etcd_error err;

    assert_true(etcd_server_kill(server, 0));
    assert_true(etcd_server_restart(server, 0));
    assert_status(fake_get(client, 20000, &err), ETCD_OK, &err);
}

static void test_a_bad_key_file(void **state)
{
    struct etcd_server *server = etcd_server_start(
        &(struct etcd_server_options){.tls = ETCD_SERVER_MTLS, .cert = ETCD_SERVER_CERT_GOOD});
    struct fake_log *log = calloc(1, sizeof(*log));
    char key[512];
    etcd_client *client;
    FILE *file;
    etcd_error err;

    (void)state;
    assert_true(server != NULL && log != NULL);
    (void)snprintf(key, sizeof(key), "%s/mine-key.pem", etcd_server_dir(server));
    copy_file(etcd_server_file(server, CERTS_CLIENT_KEY), key);
    client = test_client_open(
        etcd_server_endpoints(server),
        ETCD_CLIENT_OPTS(.tls = ETCD_TLS_OPTS(.ca_file = etcd_server_file(server, CERTS_CA),
                                              .cert_file = etcd_server_file(server, CERTS_CLIENT),
                                              .key_file = key),
                         .log_fn = fake_log_line, .log_user_data = log));
    assert_status(fake_get(client, 20000, &err), ETCD_OK, &err);
    file = fopen(key, "wb");
    assert_non_null(file);
    (void)fputs("rubbish\n", file);
    (void)fclose(file);
    reconnect(server, client);
    reconnect(server, client);
    etcd_client_free(client);
    assert_int_equal(fake_log_count(log, "TLS files"), 1);
    assert_int_equal(fake_log_count(log, "mine-key.pem"), 1);
    etcd_server_free(server);
    free(log);
}

enum { ROUNDS = 3, CALLS = 12, BIG = 1 << 20 };

/* SIGPIPE would end this process, and is left as it is. */
static void check_sigpipe(void)
{
    struct sigaction action;
    sigset_t blocked;

    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGPIPE), 0);
}

/* Every write ends, one way or the other, and the next one goes to the server's next life. */
static void test_it_dies_while_it_is_written_to(void **state)
{
    struct etcd_server *server = etcd_server_start(
        &(struct etcd_server_options){.tls = ETCD_SERVER_TLS, .cert = ETCD_SERVER_CERT_GOOD});
    const char *ca = server == NULL ? NULL : etcd_server_file(server, CERTS_CA);
    char *value = calloc(1, BIG);
    etcd_client *client;
    etcd_error err;

    (void)state;
    assert_true(server != NULL && value != NULL);
    check_sigpipe();
    client = test_client_open(etcd_server_endpoints(server),
                              ETCD_CLIENT_OPTS(.tls = ETCD_TLS_OPTS(.ca_file = ca)));
    for (int round = 0; round < ROUNDS; round++) {
        etcd_op *ops[CALLS];

        assert_status(fake_get(client, 20000, &err), ETCD_OK, &err);
        for (int i = 0; i < CALLS; i++)
            assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_bytes_of(value, BIG), NULL, NULL, NULL,
                                         &ops[i], &err),
                          ETCD_OK, &err);
        assert_true(etcd_server_kill(server, 0));
        assert_true(etcd_server_restart(server, 0));
        for (int i = 0; i < CALLS; i++) {
            assert_status(etcd_op_wait(ops[i], 20000, &err), ETCD_OK, &err);
            etcd_op_free(ops[i]);
        }
    }
    assert_status(fake_put(client, 20000, &err), ETCD_OK, &err);
    check_sigpipe();
    etcd_client_free(client);
    etcd_server_free(server);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bad_key_file),
        cmocka_unit_test(test_it_dies_while_it_is_written_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
