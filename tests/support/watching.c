/* SPDX-License-Identifier: Apache-2.0 */
#include "support/watching.h"

#include "support/client.h"
#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

int watching_set_up(void **state)
{
    struct watching *watching = calloc(1, sizeof(*watching));

    assert_non_null(watching);
    watching->server = etcd_server_start(&(struct etcd_server_options){.version = test_version()});
    assert_non_null(watching->server);
    watching->client = test_client_open(etcd_server_endpoints(watching->server), NULL);
    *state = watching;
    return 0;
}

int watching_tear_down(void **state)
{
    struct watching *watching = *state;

    etcd_client_free(watching->client);
    etcd_server_free(watching->server);
    free(watching);
    return 0;
}

etcd_client *watching_client(void **state)
{
    return ((struct watching *)*state)->client;
}

struct etcd_server *watching_server(void **state)
{
    return ((struct watching *)*state)->server;
}

void watch_ok(etcd_status status, const etcd_error *err)
{
    if (status != ETCD_OK)
        fail_msg("%s: %s", etcd_status_name(status), err->message);
}

int64_t watch_put(etcd_client *client, const char *key, const char *value)
{
    etcd_put_result *result = NULL;
    etcd_error err;
    int64_t revision;

    watch_ok(etcd_put(client, etcd_cstr(key), etcd_cstr(value), ETCD_PUT_OPTS(.timeout_ms = PATIENCE_MS),
                      &result, &err),
             &err);
    revision = etcd_put_result_header(result)->revision;
    etcd_put_result_free(result);
    return revision;
}

int64_t watch_delete(etcd_client *client, const char *key)
{
    etcd_delete_result *result = NULL;
    etcd_error err;
    int64_t revision;

    watch_ok(etcd_delete(client, etcd_cstr(key), NULL, &result, &err), &err);
    revision = etcd_delete_result_header(result)->revision;
    etcd_delete_result_free(result);
    return revision;
}

int64_t watch_revision(etcd_client *client)
{
    etcd_get_result *result = NULL;
    etcd_error err;
    int64_t revision;

    watch_ok(etcd_get(client, etcd_cstr("app/none"), ETCD_GET_OPTS(.timeout_ms = PATIENCE_MS), &result, &err),
             &err);
    revision = etcd_get_result_header(result)->revision;
    etcd_get_result_free(result);
    return revision;
}

etcd_watch *watch_open(etcd_client *client, const char *key, const etcd_watch_opts *opts)
{
    etcd_watch *watch = NULL;
    etcd_error err;

    watch_ok(etcd_watch_open(client, etcd_cstr(key), opts, &watch, &err), &err);
    return watch;
}

etcd_events *watch_next(etcd_watch *watch)
{
    etcd_events *events = NULL;
    etcd_error err;

    watch_ok(etcd_watch_next(watch, PATIENCE_MS, &events, &err), &err);
    return events;
}

etcd_status watch_end(etcd_watch *watch, etcd_error *err)
{
    etcd_events *events = NULL;
    etcd_status st;

    while ((st = etcd_watch_next(watch, PATIENCE_MS, &events, err)) == ETCD_OK)
        etcd_events_free(events);
    return st;
}

int64_t watch_expect_until(etcd_watch *watch, int64_t first, int64_t until)
{
    int64_t expected = first;

    while (expected <= until) {
        etcd_events *events = watch_next(watch);

        for (size_t i = 0; i < etcd_events_count(events); i++)
            assert_int_equal(etcd_events_at(events, i)->kv.mod_revision, expected++);
        etcd_events_free(events);
    }
    return expected;
}

void watch_expect_each(etcd_watch *watch, int64_t first, int64_t last)
{
    assert_int_equal(watch_expect_until(watch, first, last), last + 1);
}

/* ---- what the server counts ------------------------------------------------------------------------ */

enum { METRICS_SIZE = 1 << 20 };

static int connect_to(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_non_null(colon);
    addr.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

int server_metric(struct etcd_server *server, const char *series)
{
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    char *text = malloc(METRICS_SIZE), name[160];
    int fd = connect_to(etcd_server_endpoint(server, 0)), value = -1;
    const char *line;
    size_t len = 0;
    ssize_t got;

    assert_non_null(text);
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), (ssize_t)(sizeof(request) - 1));
    while (len + 1 < METRICS_SIZE && (got = recv(fd, text + len, METRICS_SIZE - 1 - len, 0)) > 0)
        len += (size_t)got;
    close(fd);
    text[len] = '\0';
    snprintf(name, sizeof(name), "\n%s ", series);
    line = strstr(text, name);
    if (line != NULL)
        value = (int)strtod(line + strlen(name), NULL);
    free(text);
    return value;
}

int watch_metric(struct etcd_server *server, const char *what)
{
    char series[80];

    snprintf(series, sizeof(series), "etcd_debugging_mvcc_%s_total", what);
    return server_metric(server, series);
}

void watch_wait_metric(struct watching *watching, const char *what, int wanted)
{
    int64_t deadline = test_deadline_ms(20000);
    int value;

    while ((value = watch_metric(watching->server, what)) != wanted) {
        if (test_now_ms() > deadline)
            fail_msg("the server counts %d, not %d, of %s", value, wanted, what);
        test_pump(watching->client, 20);
    }
}
