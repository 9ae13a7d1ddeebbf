/* SPDX-License-Identifier: Apache-2.0 */
#include "support/real.h"
#include "support/test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static struct etcd_server *server;
static const char *self; /* this program, for children */

static struct real open_real(void)
{
    struct real real;

    assert_true(real_open(&real, etcd_server_endpoints(server)));
    return real;
}

/* What a registration has told. */
struct news {
    atomic_int lost, restored, ended;
    atomic_int status; /* of the last LOST or ENDED */
};

static void on_event(etcd_registration *registration, etcd_registration_event event, const etcd_error *err,
                     void *user_data)
{
    struct news *news = user_data;

    (void)registration;
    if (err != NULL)
        atomic_store(&news->status, (int)err->status);
    atomic_fetch_add(event == ETCD_REGISTRATION_LOST       ? &news->lost
                     : event == ETCD_REGISTRATION_RESTORED ? &news->restored
                                                           : &news->ended,
                     1);
}

static bool is_lost(void *arg)
{
    return atomic_load(&((struct news *)arg)->lost) > 0;
}

static bool is_restored(void *arg)
{
    return atomic_load(&((struct news *)arg)->restored) > 0;
}

static bool is_ended(void *arg)
{
    return atomic_load(&((struct news *)arg)->ended) > 0;
}

static etcd_registration *enter(struct real *real, const char *service, const char *instance, int64_t ttl_s,
                                struct news *news)
{
    etcd_registration *reg = NULL;
    etcd_error err;

    assert_false(real_failed(
        etcd_register(
            real->client, service, instance, "10.0.0.1:80",
            ETCD_REGISTER_OPTS(.ttl_s = ttl_s, .on_event = news == NULL ? NULL : on_event, .user_data = news),
            &reg, &err),
        &err));
    return reg;
}

static void leave(etcd_registration *reg)
{
    etcd_error err;

    assert_false(real_failed(etcd_registration_close(reg, 0, &err), &err));
}

/* "1=a 2=b": the instances found, with their addresses. */
static void find(struct real *real, const char *service, char *text, size_t size)
{
    etcd_services *services = NULL;
    etcd_error err;
    size_t used = 0;

    text[0] = '\0';
    assert_false(real_failed(etcd_discover(real->client, service, NULL, &services, &err), &err));
    assert_true(etcd_services_revision(services) > 0);
    for (size_t i = 0; i < etcd_services_count(services); i++) {
        const etcd_service *s = etcd_services_at(services, i);

        used += (size_t)snprintf(text + used, size - used, "%s%.*s=%.*s", i == 0 ? "" : " ",
                                 (int)s->instance.len, (const char *)s->instance.data, (int)s->address.len,
                                 (const char *)s->address.data);
    }
    assert_null(etcd_services_at(services, etcd_services_count(services)));
    etcd_services_free(services);
}

static void finds(struct real *real, const char *service, const char *expected)
{
    char text[512];

    find(real, service, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void put(struct real *real, const char *key, const char *value)
{
    assert_int_equal(etcd_put(real->client, etcd_cstr(key), etcd_cstr(value), NULL, NULL, NULL), ETCD_OK);
}

static void clear(struct real *real)
{
    assert_int_equal(
        etcd_delete(real->client, etcd_cstr("/services/"), ETCD_DELETE_OPTS(.prefix = true), NULL, NULL),
        ETCD_OK);
}

/* ---- discovery ------------------------------------------------------------------------------------- */

static void discovery_finds_one_service(void **state)
{
    struct real real = open_real();
    etcd_services *services = NULL;

    (void)state;
    finds(&real, "web", "");
    put(&real, "/services/web/b", "2");
    put(&real, "/services/web/a", "1");
    put(&real, "/services/web2/x", "no");
    put(&real, "/services/we", "no");
    put(&real, "/services/web.x", "no");
    finds(&real, "web", "a=1 b=2");
    put(&real, "/services/web", "0"); /* as the instances of old wrote it */
    finds(&real, "web", "=0 a=1 b=2");
    assert_int_equal(
        etcd_discover(real.client, "x", ETCD_DISCOVER_OPTS(.prefix = "/services/web2/"), &services, NULL),
        ETCD_OK);
    assert_int_equal(etcd_services_count(services), 1); /* the plain key below another prefix */
    etcd_services_free(services);
    etcd_services_free(NULL);
    clear(&real);
    real_close(&real);
}

static void bad_arguments(void **state)
{
    struct real real = open_real();
    etcd_registration *reg = NULL;
    etcd_services *services = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_register(real.client, "a/b", "1", "x", NULL, &reg, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\"a/b\""));
    assert_int_equal(etcd_register(real.client, "a", "", "x", NULL, &reg, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_register(real.client, "a", "1", NULL, NULL, &reg, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_register(real.client, "a", "1", "x", ETCD_REGISTER_OPTS(.ttl_s = -5), &reg, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "-5"));
    assert_int_equal(etcd_register(real.client, "a", "1", "x", ETCD_REGISTER_OPTS(.prefix = "p"), &reg, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_register(NULL, "a", "1", "x", NULL, &reg, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_register(real.client, "a", "1", "x", NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_null(reg);
    assert_int_equal(etcd_discover(real.client, "", NULL, &services, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_discover(real.client, "a", ETCD_DISCOVER_OPTS(.timeout_ms = -1), &services, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_registration_close(NULL, 0, NULL), ETCD_OK);
    assert_false(etcd_registration_alive(NULL));
    assert_int_equal(real_keys(&real, "/services/"), 0);
    real_close(&real);
}

/* ---- registration ---------------------------------------------------------------------------------- */

static void several_instances(void **state)
{
    struct real real = open_real();
    etcd_registration *one = enter(&real, "web", "1", 0, NULL), *two = enter(&real, "web", "2", 0, NULL);

    (void)state;
    finds(&real, "web", "1=10.0.0.1:80 2=10.0.0.1:80");
    assert_true(etcd_registration_alive(one));
    assert_string_equal((const char *)etcd_registration_key(one).data, "/services/web/1");
    assert_int_not_equal(etcd_registration_lease_id(one), etcd_registration_lease_id(two));
    leave(one);
    finds(&real, "web", "2=10.0.0.1:80");
    leave(two);
    finds(&real, "web", "");
    assert_int_equal(real_leases(&real), 0);
    real_close(&real);
}

/* A process with one instance, until it is killed. */
static int child_registers(const char *endpoints, const char *instance)
{
    etcd_registration *reg = NULL;
    struct real real;
    etcd_error err;

    if (!real_open(&real, endpoints) || real_failed(etcd_register(real.client, "web", instance, "10.0.0.1:80",
                                                                  ETCD_REGISTER_OPTS(.ttl_s = 2), &reg, &err),
                                                    &err))
        return 1;
    for (;;)
        real_idle(&real, 1000);
}

static pid_t start_instance(const char *instance)
{
    const char *const argv[] = {self, "registers", etcd_server_endpoints(server), instance, NULL};
    const char *drive = test_caller_drive() ? "ETCDC_TEST_DRIVE=caller" : "ETCDC_TEST_DRIVE=thread";
    const char *const env[] = {"PATH=/usr/bin:/bin", drive, NULL};
    pid_t pid = process_start(argv, env, etcd_server_file(server, "children.log"));

    assert_true(pid > 0);
    return pid;
}

static void two_processes(void **state)
{
    struct real real = open_real();
    pid_t one = start_instance("1"), two = start_instance("2");

    (void)state;
    assert_true(real_wait_keys(&real, "/services/web/", 2, 10000));
    finds(&real, "web", "1=10.0.0.1:80 2=10.0.0.1:80");
    assert_int_equal(kill(one, SIGKILL), 0);
    (void)process_wait(one);
    assert_true(real_wait_keys(&real, "/services/web/", 1, 10000)); /* nobody renews it */
    finds(&real, "web", "2=10.0.0.1:80");
    assert_int_equal(kill(two, SIGKILL), 0);
    (void)process_wait(two);
    assert_true(real_wait_keys(&real, "/services/web/", 0, 10000));
    real_close(&real);
}

static void stays_registered(void **state)
{
    struct real real = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", 2, &news);

    (void)state;
    real_idle(&real, 5000);
    finds(&real, "web", "1=10.0.0.1:80");
    assert_true(etcd_registration_alive(reg));
    assert_false(is_lost(&news));
    leave(reg);
    real_close(&real);
}

static void comes_back_after_a_revocation(void **state)
{
    struct real real = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", 3, &news);
    int64_t before = etcd_registration_lease_id(reg);

    (void)state;
    assert_int_equal(etcd_lease_revoke(real.client, before, NULL, NULL), ETCD_OK);
    finds(&real, "web", "");
    assert_true(real_wait(&real, is_restored, &news, 5000));
    assert_int_equal(atomic_load(&news.lost), 1);
    assert_int_equal(news.status, ETCD_E_LEASE_LOST);
    finds(&real, "web", "1=10.0.0.1:80");
    assert_true(etcd_registration_alive(reg));
    assert_int_not_equal(etcd_registration_lease_id(reg), before);
    leave(reg);
    finds(&real, "web", "");
    assert_int_equal(real_leases(&real), 0);
    real_close(&real);
}

static void comes_back_after_a_restart(void **state)
{
    enum { TTL_S = 2 };
    struct real real = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", TTL_S, &news);

    (void)state;
    assert_true(etcd_server_kill(server, 0));
    real_idle(&real, 4000); /* longer than the lease can live */
    assert_false(etcd_registration_alive(reg));
    assert_int_equal(etcd_registration_lease_id(reg), 0);
    assert_true(etcd_server_restart(server, 0) && etcd_server_wait(server, 0));
    assert_true(real_wait(&real, is_restored, &news, (TTL_S + 2) * 1000));
    finds(&real, "web", "1=10.0.0.1:80");
    assert_true(atomic_load(&news.lost) >= 1);
    leave(reg);
    finds(&real, "web", "");
    real_close(&real);
}

static void closes_while_the_server_is_away(void **state)
{
    struct real real = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", 2, &news), *other = enter(&real, "web", "2", 60, NULL);
    int64_t start;
    etcd_status st;

    (void)state;
    assert_true(etcd_server_pause(server, 0));
    assert_true(real_wait(&real, is_lost, &news, 8000));
    start = test_now_ms();
    st = etcd_registration_close(reg, 300, NULL); /* lost, and being tried again */
    assert_true(st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
    st = etcd_registration_close(other, 300, NULL); /* as far as it knows, it stands */
    assert_true(st == ETCD_E_DEADLINE || st == ETCD_E_UNAVAILABLE);
    assert_true(test_now_ms() - start < 2000 * ETCDC_TIME_SCALE);
    assert_true(etcd_server_resume(server, 0));
    assert_true(real_wait_keys(&real, "/services/", 0, 10000)); /* long before the TTL of 60 s */
    real_close(&real);
}

static void ends_with_the_client(void **state)
{
    struct real real = open_real(), other = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", 2, &news);

    (void)state;
    assert_int_equal(etcd_client_close(real.client, NULL), ETCD_OK);
    assert_true(real_wait(&real, is_ended, &news, 2000));
    assert_int_equal(news.status, ETCD_E_CLOSED);
    assert_false(etcd_registration_alive(reg));
    assert_int_equal(etcd_registration_close(reg, 0, NULL), ETCD_E_CLOSED);
    assert_int_equal(atomic_load(&news.ended), 1);
    assert_int_equal(atomic_load(&news.lost), 0);

    reg = enter(&other, "web", "2", 2, &news);
    assert_int_equal(etcd_client_close(other.client, NULL), ETCD_OK);
    assert_int_equal(etcd_registration_close(reg, 0, NULL),
                     ETCD_E_CLOSED); /* whether the news has come or not */
    real_close(&other);
    other = open_real();
    assert_true(real_wait_keys(&other, "/services/", 0, 5000)); /* nobody renews them */
    real_close(&real);
    real_close(&other);
}

/* ---- another address, and no way back --------------------------------------------------------------- */

static etcd_status update(etcd_registration *reg, const char *address)
{
    etcd_error err;
    etcd_status st = etcd_registration_update(reg, address, 0, &err);

    if (st != ETCD_OK)
        assert_non_null(strstr(err.message, "/services/web/1"));
    return st;
}

static void the_address_can_change(void **state)
{
    struct real real = open_real(), other = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", 2, &news);
    int64_t lease_id = etcd_registration_lease_id(reg);

    (void)state;
    assert_int_equal(update(reg, "b"), ETCD_OK);
    finds(&other, "web", "1=b");
    assert_int_equal(etcd_registration_lease_id(reg), lease_id);
    clear(&other); /* an entry that somebody has deleted is put again */
    assert_int_equal(update(reg, "c"), ETCD_OK);
    finds(&other, "web", "1=c");
    /* The newest address comes back with the entry, also one that was given while it was away. */
    assert_int_equal(etcd_lease_revoke(other.client, lease_id, NULL, NULL), ETCD_OK);
    assert_int_equal(update(reg, "d"), ETCD_E_LEASE_LOST);
    assert_true(real_wait(&real, is_restored, &news, 5000));
    finds(&other, "web", "1=d");
    assert_int_equal(etcd_registration_update(reg, NULL, 0, NULL), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_registration_update(NULL, "x", 0, NULL), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_registration_update(reg, "x", -1, NULL), ETCD_E_INVALID_ARGUMENT);
    finds(&other, "web", "1=d");
    leave(reg);
    real_close(&real);
    real_close(&other);
}

/* Whatever comes between, what is found at last is what was given last. */
static void addresses_race_with_loss(void **state)
{
    struct real real = open_real(), other = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = enter(&real, "web", "1", 1, &news);
    int64_t deadline = test_deadline_ms(10000);
    char address[16], wanted[20], text[64] = "";

    (void)state;
    for (int i = 0; i < 60; i++) {
        etcd_status st;

        if (i % 20 == 5)
            (void)!etcd_lease_revoke(other.client, etcd_registration_lease_id(reg), NULL, NULL);
        snprintf(address, sizeof(address), "a%d", i);
        st = update(reg, address);
        assert_true(st == ETCD_OK || st == ETCD_E_LEASE_LOST);
        snprintf(wanted, sizeof(wanted), "1=%s", address);
        if (st == ETCD_OK)
            finds(&other, "web", wanted);
        real_idle(&real, i % 7 * 10);
    }
    while (strcmp(text, wanted) != 0 && test_poll_again(deadline)) {
        real_idle(&real, 10);
        find(&other, "web", text, sizeof(text));
    }
    assert_string_equal(text, wanted);
    leave(reg);
    assert_int_equal(real_keys(&other, "/services/"), 0);
    real_close(&real);
    real_close(&other);
}

static void need_not_come_back(void **state)
{
    struct real real = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = NULL;

    (void)state;
    assert_int_equal(etcd_register(real.client, "web", "1", "x",
                                   ETCD_REGISTER_OPTS(.ttl_s = 2, .no_restore = true, .on_event = on_event,
                                                      .user_data = &news),
                                   &reg, NULL),
                     ETCD_OK);
    assert_int_equal(etcd_lease_revoke(real.client, etcd_registration_lease_id(reg), NULL, NULL), ETCD_OK);
    assert_true(real_wait(&real, is_ended, &news, 5000));
    assert_int_equal(news.status, ETCD_E_LEASE_LOST);
    real_idle(&real, 500);
    assert_int_equal(atomic_load(&news.lost) + atomic_load(&news.restored), 0);
    assert_int_equal(atomic_load(&news.ended), 1);
    assert_false(etcd_registration_alive(reg));
    assert_int_equal(update(reg, "y"), ETCD_E_LEASE_LOST);
    finds(&real, "web", "");
    leave(reg);
    real_close(&real);
}

/* The callback may close what it is told about. */
static void close_inside(etcd_registration *registration, etcd_registration_event event,
                         const etcd_error *err, void *user_data)
{
    struct news *news = user_data;

    on_event(registration, event, err, user_data);
    atomic_store(&news->status, (int)etcd_registration_close(registration, 0, NULL));
}

static void can_be_closed_from_its_callback(void **state)
{
    struct real real = open_real();
    struct news news = {.lost = 0};
    etcd_registration *reg = NULL;

    (void)state;
    assert_int_equal(
        etcd_register(real.client, "web", "1", "x",
                      ETCD_REGISTER_OPTS(.ttl_s = 2, .on_event = close_inside, .user_data = &news), &reg,
                      NULL),
        ETCD_OK);
    assert_int_equal(etcd_lease_revoke(real.client, etcd_registration_lease_id(reg), NULL, NULL), ETCD_OK);
    assert_true(real_wait(&real, is_lost, &news, 5000));
    real_idle(&real, 500);
    assert_int_equal(atomic_load(&news.restored), 0);
    assert_int_equal(news.status, ETCD_E_WOULD_DEADLOCK);
    finds(&real, "web", "");
    real_close(&real);
}

/* Loses its lease again and again while it is closed at any moment. */
static void close_races_with_loss(void **state)
{
    struct real real = open_real(), other = open_real();
    struct news news = {.lost = 0};

    (void)state;
    for (int i = 0; i < 30; i++) {
        etcd_registration *reg = enter(&real, "race", "1", 2, &news);
        etcd_status st;

        assert_int_equal(etcd_lease_revoke(other.client, etcd_registration_lease_id(reg), NULL, NULL),
                         ETCD_OK);
        real_idle(&real, i % 3 == 0 ? 660 + i * 3 : i);
        st = etcd_registration_close(reg, 0, NULL);
        assert_int_equal(st, ETCD_OK);
        finds(&real, "race", "");
    }
    assert_int_equal(real_leases(&real), 0);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discovery_finds_one_service),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(several_instances),
        cmocka_unit_test(two_processes),
        cmocka_unit_test(stays_registered),
        cmocka_unit_test(comes_back_after_a_revocation),
        cmocka_unit_test(comes_back_after_a_restart),
        cmocka_unit_test(the_address_can_change),
        cmocka_unit_test(addresses_race_with_loss),
        cmocka_unit_test(need_not_come_back),
        cmocka_unit_test(closes_while_the_server_is_away),
        cmocka_unit_test(ends_with_the_client),
        cmocka_unit_test(can_be_closed_from_its_callback),
        cmocka_unit_test(close_races_with_loss),
    };

    if (argc == 4 && strcmp(argv[1], "registers") == 0)
        return child_registers(argv[2], argv[3]);
    self = argv[0];
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
