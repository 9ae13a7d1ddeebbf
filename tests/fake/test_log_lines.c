/* SPDX-License-Identifier: Apache-2.0 */
/* What a client tells of its life at the ordinary level, word for word. */
#include "support/fake_client.h"

#include <stdio.h>
#include <stdlib.h>

static etcd_client *open_with(struct fake_etcd *fake, const char *user, struct fake_log *log)
{
    return test_client_open(fake_etcd_endpoint(fake),
                            ETCD_CLIENT_OPTS(.name = "orders", .username = user,
                                             .password = etcd_secret_of(user == NULL ? ETCD_SECRET_KIND_NONE
                                                                                     : ETCD_SECRET_KIND_TEXT,
                                                                        user == NULL ? NULL : "secret"),
                                             .log_fn = fake_log_line, .log_user_data = log));
}

/* `format` has the endpoint's places. */
static void expect_lines(const struct fake_log *log, const struct fake_etcd *fake, const char *format)
{
    char wanted[2048] = "";

    while (*format != '\0') {
        char piece[2] = {*format, '\0'};

        (void)strncat(wanted, *format == '@' ? fake_etcd_endpoint(fake) : piece,
                      sizeof(wanted) - strlen(wanted) - 1);
        format++;
    }
    assert_string_equal(log->text, wanted);
}

static void test_a_life(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_client *client;
    etcd_error err;

    (void)state;
    fake_etcd_set_auth(fake, "alice", "secret");
    client = open_with(fake, "alice", log);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_cut(fake);
    test_pump(client, 100);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fake_etcd_set_auth(fake, "alice", "another");
    fake_etcd_expire_tokens(fake);
    for (int i = 0; i < 3; i++) /* told once, not each time */
        assert_status(fake_put(client, 5000, &err), ETCD_E_AUTH, &err);
    etcd_client_free(client);
    expect_lines(log, fake,
                 "connect: client 'orders': connected to @\n"
                 "connect: client 'orders': lost the connection: @: connection closed by peer\n"
                 "connect: client 'orders': reconnected to @\n"
                 "auth: user 'alice': login: client 'orders', endpoint @: etcdserver: authentication failed, "
                 "invalid user ID or password\n"
                 "client: client 'orders': closing\n"
                 "client: client 'orders': closed\n");
    fake_etcd_free(fake);
    free(log);
}

/* What a record says beside the words. */
struct records {
    size_t count, wrong;
    char connected[64]; /* the endpoint of that line */
};

static void keep_record(void *user_data, const etcd_log_record *record)
{
    struct records *records = user_data;
    bool about_endpoint = strcmp(record->component, "connect") == 0;

    records->count++;
    if (record->size < sizeof(*record) || strcmp(record->client, "orders") != 0 ||
        (record->endpoint != NULL) != about_endpoint || strstr(record->message, "orders") == NULL ||
        record->level < ETCD_LOG_INFO)
        records->wrong++;
    if (strstr(record->message, ": connected to") != NULL)
        (void)snprintf(records->connected, sizeof(records->connected), "%s", record->endpoint);
}

static void test_records(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct records records = {.count = 0};
    etcd_client *client = test_client_open(
        fake_etcd_endpoint(fake),
        ETCD_CLIENT_OPTS(.name = "orders", .log_record_fn = keep_record, .log_user_data = &records));
    etcd_client *none = NULL;
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    assert_int_equal(records.count, 3); /* connected, closing, closed */
    assert_int_equal(records.wrong, 0);
    assert_string_equal(records.connected, fake_etcd_endpoint(fake));
    assert_int_equal(etcd_client_open(ETCD_CLIENT_OPTS(.log_fn = fake_log_line, .log_user_data = log,
                                                       .log_record_fn = keep_record),
                                      &none, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_has_text(err.message, "log_record_fn");
    free(log);
    fake_etcd_free(fake);
}

static void test_an_outage(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct fake_log *log = calloc(1, sizeof(*log));
    etcd_client *client = open_with(fake, NULL, log);
    etcd_error err;

    (void)state;
    fake_etcd_listen(fake, false);
    assert_status(fake_put(client, 500, &err), ETCD_E_UNAVAILABLE, &err);
    fake_etcd_listen(fake, true);
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    etcd_client_free(client);
    expect_lines(log, fake,
                 "connect: client 'orders': not connected: connect to @: Connection refused\n"
                 "connect: client 'orders': connected to @\n"
                 "client: client 'orders': closing\n"
                 "client: client 'orders': closed\n");
    fake_etcd_free(fake);
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_an_outage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
