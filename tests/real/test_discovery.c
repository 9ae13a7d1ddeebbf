/* SPDX-License-Identifier: Apache-2.0 */
#include "support/real.h"
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct etcd_server *server;

static struct real open_real(void)
{
    struct real real;

    assert_true(real_open(&real, etcd_server_endpoints(server)));
    return real;
}

/* A client that does nothing unless it is pumped: what happens meanwhile is compacted before it can look. */
static struct real open_idle(void)
{
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    struct real real = {.loop = NULL};

    assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &real.loop, NULL), ETCD_OK);
    assert_int_equal(
        etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .loop = real.loop), &real.client, NULL),
        ETCD_OK);
    return real;
}

static void put(struct real *real, const char *key, const char *value)
{
    etcd_error err;

    assert_false(
        real_failed(etcd_put(real->client, etcd_cstr(key), etcd_cstr(value), NULL, NULL, &err), &err));
}

static void delete_key(struct real *real, const char *key)
{
    assert_int_equal(etcd_delete(real->client, etcd_cstr(key), NULL, NULL, NULL), ETCD_OK);
}

static void clear(struct real *real)
{
    assert_int_equal(
        etcd_delete(real->client, etcd_cstr("/services/"), ETCD_DELETE_OPTS(.prefix = true), NULL, NULL),
        ETCD_OK);
}

/* ---- what a discovery tells ------------------------------------------------------------------------ */

struct news {
    pthread_mutex_t mutex;
    char text[1024]; /* "+a=1 ~a=2 -a=2 " */
    atomic_int ends;
    etcd_status status;
    bool close; /* with the first change */
};

static void on_change(etcd_discovery *discovery, const etcd_services *services,
                      const etcd_service_change *changes, size_t count, const etcd_error *err,
                      void *user_data)
{
    static const char signs[] = {
        [ETCD_SERVICE_JOINED] = '+', [ETCD_SERVICE_CHANGED] = '~', [ETCD_SERVICE_LEFT] = '-'};
    struct news *news = user_data;

    if (services == NULL) {
        news->status = err->status;
        assert_int_equal(count, 0);
        atomic_fetch_add(&news->ends, 1);
        return;
    }
    assert_true(count > 0);
    pthread_mutex_lock(&news->mutex);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(news->text);

        snprintf(news->text + used, sizeof(news->text) - used, "%c%.*s=%.*s ", signs[changes[i].event],
                 (int)changes[i].service.instance.len, (const char *)changes[i].service.instance.data,
                 (int)changes[i].service.address.len, (const char *)changes[i].service.address.data);
    }
    pthread_mutex_unlock(&news->mutex);
    if (news->close)
        etcd_discovery_close(discovery);
}

static etcd_discovery *follow(struct real *real, struct news *news)
{
    etcd_discovery *discovery = NULL;
    etcd_error err;

    memset(news, 0, sizeof(*news));
    assert_int_equal(pthread_mutex_init(&news->mutex, NULL), 0);
    assert_false(real_failed(
        etcd_discovery_open(real->client, "web",
                            ETCD_DISCOVERY_OPTS(.on_change = on_change, .user_data = news), &discovery, &err),
        &err));
    return discovery;
}

static void copy_text(struct news *news, char text[sizeof(news->text)])
{
    pthread_mutex_lock(&news->mutex);
    memcpy(text, news->text, sizeof(news->text));
    pthread_mutex_unlock(&news->mutex);
}

struct told {
    struct news *news;
    const char *text;
};

static bool was_told(void *arg)
{
    struct told *told = arg;
    char text[sizeof(told->news->text)];

    copy_text(told->news, text);
    return strcmp(text, told->text) == 0;
}

/* Everything that was told until now. */
static void expect_told(struct real *real, struct news *news, const char *text)
{
    struct told told = {news, text};

    if (!real_wait(real, was_told, &told, 10000))
        fail_msg("\"%s\" instead of \"%s\"", news->text, text);
}

static void expect_list(etcd_discovery *discovery, const char *expected)
{
    etcd_services *services = etcd_discovery_services(discovery);
    char text[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < etcd_services_count(services); i++) {
        const etcd_service *service = etcd_services_at(services, i);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s ",
                                 (const char *)service->instance.data, (const char *)service->address.data);
    }
    assert_true(etcd_services_revision(services) > 0);
    etcd_services_free(services);
    assert_string_equal(text, expected);
}

static bool lists_one(etcd_discovery *discovery)
{
    etcd_services *services = etcd_discovery_services(discovery);
    size_t count = etcd_services_count(services);

    etcd_services_free(services);
    return count == 1;
}

/* ---- the tests ------------------------------------------------------------------------------------- */

static void join_change_leave(void **state)
{
    struct real real = open_real(), other = open_real();
    etcd_registration *reg = NULL;
    etcd_discovery *discovery;
    etcd_services *kept;
    struct news news;

    (void)state;
    put(&other, "/services/web/a", "1");
    put(&other, "/services/web", "0");
    discovery = follow(&real, &news);
    expect_list(discovery, "=0 a=1 ");
    assert_int_equal(etcd_register(other.client, "web", "b", "2", ETCD_REGISTER_OPTS(.ttl_s = 5), &reg, NULL),
                     ETCD_OK);
    expect_told(&real, &news, "+b=2 ");
    kept = etcd_discovery_services(discovery);
    assert_int_equal(etcd_services_at(kept, 2)->lease_id, etcd_registration_lease_id(reg));
    assert_int_equal(etcd_registration_update(reg, "3", 0, NULL), ETCD_OK);
    expect_told(&real, &news, "+b=2 ~b=3 ");
    /* Names that only begin alike are another service's. */
    put(&other, "/services/web2/x", "no");
    put(&other, "/services/web-2", "no");
    put(&other, "/services/we", "no");
    delete_key(&other, "/services/web");
    expect_told(&real, &news, "+b=2 ~b=3 -=0 ");
    expect_list(discovery, "a=1 b=3 ");
    assert_int_equal(etcd_registration_close(reg, 0, NULL), ETCD_OK);
    expect_told(&real, &news, "+b=2 ~b=3 -=0 -b=3 ");
    expect_list(discovery, "a=1 ");
    etcd_discovery_close(discovery);
    assert_int_equal(etcd_services_count(kept), 3);
    etcd_services_free(kept);
    assert_int_equal(atomic_load(&news.ends), 1);
    assert_int_equal(news.status, ETCD_E_CANCELLED);
    clear(&other);
    real_close(&real);
    real_close(&other);
}

static void bad_arguments(void **state)
{
    struct real real = open_real();
    etcd_discovery *discovery = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_discovery_open(NULL, "web", NULL, &discovery, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_discovery_open(real.client, "a/b", NULL, &discovery, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_discovery_open(real.client, "", NULL, &discovery, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_discovery_open(real.client, "web", NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(
        etcd_discovery_open(real.client, "web", ETCD_DISCOVERY_OPTS(.prefix = "/x"), &discovery, &err),
        ETCD_E_INVALID_ARGUMENT);
    assert_null(discovery);
    assert_null(etcd_discovery_services(NULL));
    etcd_discovery_close(NULL);
    real_close(&real);
}

/* Who comes while it is opened is in the first list, or told. */
static void no_gap_at_the_beginning(void **state)
{
    struct real real = open_real(), other = open_real();

    (void)state;
    for (int i = 0; i < 10; i++) {
        struct news news;
        etcd_discovery *discovery;
        etcd_services *first;
        etcd_op *op = NULL;
        char key[32], told[16];

        snprintf(key, sizeof(key), "/services/web/%d", i);
        snprintf(told, sizeof(told), "+%d=x ", i);
        assert_int_equal(
            etcd_put_async(other.client, etcd_cstr(key), etcd_cstr("x"), NULL, NULL, NULL, &op, NULL),
            ETCD_OK);
        if (i % 2 == 0)
            assert_int_equal(etcd_op_wait(op, 5000, NULL), ETCD_OK);
        discovery = follow(&real, &news);
        first = test_caller_drive() ? etcd_discovery_services(discovery)
                                    : NULL; /* nothing happens meanwhile */
        assert_int_equal(etcd_op_wait(op, 5000, NULL), ETCD_OK);
        etcd_op_free(op);
        if (i % 2 == 0 || etcd_services_count(first) == 1)
            expect_told(&real, &news, "");
        else if (first != NULL)
            expect_told(&real, &news, told);
        etcd_services_free(first);
        for (int n = 0; n < 500 && !lists_one(discovery); n++)
            real_idle(&real, 10);
        assert_true(lists_one(discovery));
        etcd_discovery_close(discovery);
        clear(&other);
    }
    real_close(&real);
    real_close(&other);
}

static void survives_compaction(void **state)
{
    struct real real = open_idle(), other = open_real();
    etcd_put_result *result = NULL;
    etcd_discovery *discovery;
    struct news news;

    (void)state;
    put(&other, "/services/web/a", "1");
    put(&other, "/services/web/b", "1");
    put(&other, "/services/web/c", "1");
    discovery = follow(&real, &news);
    real_idle(&other, 10); /* nobody pumps the one that follows */
    delete_key(&other, "/services/web/a");
    put(&other, "/services/web/b", "2");
    assert_int_equal(
        etcd_put(other.client, etcd_cstr("/services/web/d"), etcd_cstr("1"), NULL, &result, NULL), ETCD_OK);
    assert_int_equal(etcd_compact(other.client, etcd_put_result_header(result)->revision, NULL, NULL),
                     ETCD_OK);
    etcd_put_result_free(result);
    expect_told(&real, &news, "-a=1 ~b=2 +d=1 ");
    put(&other, "/services/web/e", "1");
    expect_told(&real, &news, "-a=1 ~b=2 +d=1 +e=1 ");
    expect_list(discovery, "b=2 c=1 d=1 e=1 ");
    assert_int_equal(atomic_load(&news.ends), 0);
    etcd_discovery_close(discovery);
    clear(&other);
    real_close(&real);
    real_close(&other);
}

static void ends_are_told_once(void **state)
{
    struct real real = open_real(), other = open_real();
    etcd_discovery *discovery;
    struct news news;

    (void)state;
    discovery = follow(&real, &news);
    etcd_client_cancel_waits(real.client);
    for (int n = 0; n < 500 && atomic_load(&news.ends) == 0; n++)
        real_idle(&real, 10);
    etcd_discovery_close(discovery);
    assert_int_equal(atomic_load(&news.ends), 1);
    assert_int_equal(news.status, ETCD_E_CANCELLED);
    real_close(&real);

    real = open_real();
    discovery = follow(&real, &news);
    news.close = true;
    put(&other, "/services/web/a", "1");
    expect_told(&real, &news, "+a=1 ");
    put(&other, "/services/web/a", "2");
    real_idle(&real, 100);
    expect_told(&real, &news, "+a=1 ");
    assert_int_equal(atomic_load(&news.ends), 0);
    clear(&other);

    discovery = follow(&real, &news);
    assert_int_equal(etcd_client_close(real.client, NULL), ETCD_OK);
    expect_list(discovery, ""); /* what was known stays known */
    etcd_discovery_close(discovery);
    assert_int_equal(atomic_load(&news.ends), 1);
    real_close(&real);
    real_close(&other);
}

static int start_server(void **state)
{
    const struct etcd_server_options options = {.version = test_version()};

    (void)state;
    server = etcd_server_start(&options);
    return server == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    (void)state;
    etcd_server_free(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_change_leave),       cmocka_unit_test(bad_arguments),
        cmocka_unit_test(no_gap_at_the_beginning), cmocka_unit_test(survives_compaction),
        cmocka_unit_test(ends_are_told_once),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
