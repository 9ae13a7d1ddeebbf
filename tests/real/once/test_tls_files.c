/* SPDX-License-Identifier: Apache-2.0 */
/* A key file that is replaced by a bad one: the client goes on with what it has, and says so once. */
#include "support/certs.h"
#include "support/etcd_server.h"
#include "support/fake_client.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bad_key_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
