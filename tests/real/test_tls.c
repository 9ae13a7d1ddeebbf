/* SPDX-License-Identifier: Apache-2.0 */
/* TLS against real servers: who is trusted, who is not, and what the error says about it. */
#include "support/certs.h"
#include "support/client.h"
#include "support/etcd_server.h"
#include "support/matrix.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { READY_MS = 3000, BIG = 200000 };

static struct etcd_server *start(enum etcd_server_tls tls, enum etcd_server_cert cert)
{
    struct etcd_server *server =
        etcd_server_start(&(struct etcd_server_options){.version = test_version(), .tls = tls, .cert = cert});

    assert_non_null(server);
    return server;
}

static void ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

static etcd_client *open_client(struct etcd_server *server, const etcd_tls_opts *tls)
{
    return test_client_open(etcd_server_endpoints(server), ETCD_CLIENT_OPTS(.name = "secure", .tls = tls));
}

/* More than one TLS record each way, and a stream beside the calls. */
static void check_works(struct etcd_server *server, const etcd_tls_opts *tls)
{
    etcd_client *client = open_client(server, tls);
    etcd_get_result *result = NULL;
    etcd_put_result *put = NULL;
    etcd_events *events = NULL;
    etcd_watch *watch = NULL;
    char *value = malloc(BIG);
    etcd_error err;

    assert_non_null(value);
    for (size_t i = 0; i < BIG; i++)
        value[i] = (char)(i * 7 >> 2);
    ok(etcd_client_wait_ready(client, READY_MS * ETCDC_TIME_SCALE, &err), &err);
    ok(etcd_put(client, etcd_cstr("big"), etcd_bytes_of(value, BIG), NULL, &put, &err), &err);
    ok(etcd_get(client, etcd_cstr("big"), NULL, &result, &err), &err);
    assert_int_equal(etcd_get_result_kv(result, 0)->value.len, BIG);
    assert_memory_equal(etcd_get_result_kv(result, 0)->value.data, value, BIG);
    ok(etcd_watch_open(client, etcd_cstr("big"),
                       ETCD_WATCH_OPTS(.start_revision = etcd_put_result_header(put)->revision), &watch,
                       &err),
       &err);
    ok(etcd_watch_next(watch, READY_MS * ETCDC_TIME_SCALE, &events, &err), &err);
    assert_int_equal(etcd_events_at(events, 0)->kv.value.len, BIG);
    etcd_events_free(events);
    etcd_watch_close(watch);
    etcd_get_result_free(result);
    etcd_put_result_free(put);
    etcd_client_free(client);
    free(value);
}

/* No server is reached, whoever asks; nothing was sent, and `part` says why. */
static void check_refused(struct etcd_server *server, const etcd_tls_opts *tls, const char *part)
{
    etcd_client *client = open_client(server, tls);
    etcd_error err;

    for (int call = 0; call < 2; call++) {
        etcd_status st = call == 0 ? etcd_client_wait_ready(client, READY_MS / 3 * ETCDC_TIME_SCALE, &err)
                                   : etcd_put(client, etcd_cstr("k"), etcd_cstr("v"),
                                              ETCD_PUT_OPTS(.timeout_ms = READY_MS / 3 * ETCDC_TIME_SCALE),
                                              NULL, &err);

        if (st != ETCD_E_UNAVAILABLE)
            fail_msg("%s: %s", etcd_status_name(st), st == ETCD_OK ? "" : err.message);
        assert_int_equal(err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
        if (strstr(err.message, part) == NULL)
            fail_msg("'%s' is not in: %s", part, err.message);
        assert_non_null(strstr(err.message, etcd_server_endpoint(server, 0) + strlen("https://")));
    }
    etcd_client_free(client);
}

static void test_verified(void **state)
{
    struct etcd_server *server = start(ETCD_SERVER_TLS, ETCD_SERVER_CERT_GOOD);
    const char *ca = etcd_server_file(server, CERTS_CA);

    (void)state;
    check_works(server, ETCD_TLS_OPTS(.ca_file = ca));
    check_works(server, ETCD_TLS_OPTS(.ca_file = ca, .server_name = "localhost"));
    check_refused(server, ETCD_TLS_OPTS(.ca_file = ca, .server_name = "etcd.example"),
                  "not valid for etcd.example");
    check_refused(server, ETCD_TLS_OPTS(.ca_file = etcd_server_file(server, CERTS_WRONG_CA)),
                  "unable to get local issuer certificate");
    /* Nobody asked for it: the server is verified, against the system's authorities. */
    check_refused(server, NULL, "certificate verify failed");
    check_refused(server, ETCD_TLS_OPTS(.ca_file = NULL), "certificate verify failed");
    check_works(server, ETCD_TLS_OPTS(.insecure_skip_verify = true));
    etcd_server_free(server);
}

static void test_bad_certificates(void **state)
{
    struct etcd_server *expired = start(ETCD_SERVER_TLS, ETCD_SERVER_CERT_EXPIRED);
    struct etcd_server *other = start(ETCD_SERVER_TLS, ETCD_SERVER_CERT_OTHER_HOST);

    (void)state;
    check_refused(expired, ETCD_TLS_OPTS(.ca_file = etcd_server_file(expired, CERTS_CA)),
                  "certificate has expired");
    check_refused(other, ETCD_TLS_OPTS(.ca_file = etcd_server_file(other, CERTS_CA)),
                  "not valid for 127.0.0.1");
    check_works(other,
                ETCD_TLS_OPTS(.ca_file = etcd_server_file(other, CERTS_CA), .server_name = "other.example"));
    etcd_server_free(expired);
    etcd_server_free(other);
}

static void test_both_sides(void **state)
{
    struct etcd_server *server = start(ETCD_SERVER_MTLS, ETCD_SERVER_CERT_GOOD);
    const char *ca = etcd_server_file(server, CERTS_CA);

    (void)state;
    check_works(server, ETCD_TLS_OPTS(.ca_file = ca, .cert_file = etcd_server_file(server, CERTS_CLIENT),
                                      .key_file = etcd_server_file(server, CERTS_CLIENT_KEY)));
    check_refused(server, ETCD_TLS_OPTS(.ca_file = ca), "certificate");
    check_refused(server,
                  ETCD_TLS_OPTS(.ca_file = ca, .cert_file = etcd_server_file(server, CERTS_WRONG_CLIENT),
                                .key_file = etcd_server_file(server, CERTS_WRONG_CLIENT_KEY)),
                  "certificate");
    etcd_server_free(server);
}

/* A client that speaks in clear to a server that does not, and the other way round: neither hangs. */
static void test_the_wrong_scheme(void **state)
{
    struct etcd_server *tls = start(ETCD_SERVER_TLS, ETCD_SERVER_CERT_GOOD);
    struct etcd_server *plain = start(ETCD_SERVER_PLAIN, ETCD_SERVER_CERT_GOOD);
    char endpoint[64];
    etcd_client *client;
    etcd_error err;

    (void)state;
    (void)snprintf(endpoint, sizeof(endpoint), "https://%s", etcd_server_endpoint(plain, 0));
    client = test_client_open(endpoint, NULL);
    assert_int_equal(etcd_client_wait_ready(client, READY_MS, &err), ETCD_E_UNAVAILABLE);
    assert_non_null(strstr(err.message, "TLS"));
    etcd_client_free(client);
    client = test_client_open(etcd_server_endpoint(tls, 0) + strlen("https://"), NULL);
    assert_int_equal(etcd_client_wait_ready(client, READY_MS, &err), ETCD_E_UNAVAILABLE);
    assert_non_null(strstr(err.message, "127.0.0.1"));
    etcd_client_free(client);
    etcd_server_free(tls);
    etcd_server_free(plain);
}

/* The id of the member that answers there. */
static uint64_t member_at(etcd_client *client, const char *endpoint)
{
    etcd_member_status_result *result = NULL;
    uint64_t id;
    etcd_error err;

    ok(etcd_member_status(client, endpoint, ETCD_ADMIN_OPTS(.timeout_ms = READY_MS * ETCDC_TIME_SCALE),
                          &result, &err),
       &err);
    id = result->header.member_id;
    etcd_member_status_result_free(result);
    return id;
}

static void check_no_member_at(etcd_client *client, const char *endpoint, const char *part)
{
    etcd_error err;

    assert_int_equal(etcd_member_status(client, endpoint,
                                        ETCD_ADMIN_OPTS(.timeout_ms = READY_MS / 3 * ETCDC_TIME_SCALE), NULL,
                                        &err),
                     ETCD_E_UNAVAILABLE);
    if (strstr(err.message, part) == NULL)
        fail_msg("'%s' is not in: %s", part, err.message);
}

/*
 * Calls to members that are not among the client's endpoints: they get the client's certificate, and are
 * verified as the others are, whatever the scheme.
 */
static void test_calls_to_one_member(void **state)
{
    struct etcd_server *server = etcd_server_start(
        &(struct etcd_server_options){.version = test_version(), .tls = ETCD_SERVER_MTLS, .members = 3});
    struct etcd_server *stranger = start(ETCD_SERVER_TLS, ETCD_SERVER_CERT_GOOD);
    const char *second = etcd_server_endpoint(server, 1), *third = etcd_server_endpoint(server, 2);
    etcd_client *client;
    uint64_t ids[3];

    (void)state;
    assert_non_null(server);
    client = test_client_open(
        etcd_server_endpoint(server, 0),
        ETCD_CLIENT_OPTS(.tls = ETCD_TLS_OPTS(.ca_file = etcd_server_file(server, CERTS_CA),
                                              .cert_file = etcd_server_file(server, CERTS_CLIENT),
                                              .key_file = etcd_server_file(server, CERTS_CLIENT_KEY))));
    ids[0] = member_at(client, etcd_server_endpoint(server, 0));
    ids[1] = member_at(client, second);
    ids[2] = member_at(client, third + strlen("https://")); /* in clear only where http:// says so */
    assert_true(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
    check_no_member_at(client, etcd_server_endpoint(stranger, 0), "certificate verify failed");
    assert_true(member_at(client, second) == ids[1]);
    etcd_client_free(client);

    /* Without options of its own the client trusts the system's authorities, there as well. */
    client = test_client_open("http://127.0.0.1:1", NULL);
    check_no_member_at(client, etcd_server_endpoint(stranger, 0), "certificate verify failed");
    etcd_client_free(client);
    etcd_server_free(server);
    etcd_server_free(stranger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verified),
        cmocka_unit_test(test_bad_certificates),
        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_the_wrong_scheme),
        cmocka_unit_test(test_calls_to_one_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
