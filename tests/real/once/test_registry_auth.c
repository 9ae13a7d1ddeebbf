/* SPDX-License-Identifier: Apache-2.0 */
/* A registration that the server refuses for a while: tried again, but not in a hurry. */
#include "support/real.h"
#include "support/test.h"

#include <stdatomic.h>

static const struct etcd_server_user users[] = {{"app", "app-password", "/services/"}, {NULL, NULL, NULL}};

struct news {
    atomic_int lost, denied, restored;
};

static void on_event(etcd_registration *registration, etcd_registration_event event, const etcd_error *err,
                     void *user_data)
{
    struct news *news = user_data;

    (void)registration;
    if (event == ETCD_REGISTRATION_RESTORED)
        atomic_fetch_add(&news->restored, 1);
    else if (err->status == ETCD_E_DENIED)
        atomic_fetch_add(&news->denied, 1);
    else
        atomic_fetch_add(&news->lost, 1);
}

static bool is_denied(void *arg)
{
    return atomic_load(&((struct news *)arg)->denied) > 0;
}

static bool is_restored(void *arg)
{
    return atomic_load(&((struct news *)arg)->restored) > 0;
}

static etcd_client *open_as(struct etcd_server *server, const char *user, const char *password)
{
    const char *endpoints[] = {etcd_server_endpoint(server, 0), NULL};
    etcd_client *client = NULL;
    etcd_error err;

    assert_false(real_failed(etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = endpoints, .username = user,
                                                               .password = ETCD_SECRET_TEXT(password)),
                                              &client, &err),
                             &err));
    return client;
}

static void a_denied_entry_comes_back(void **state)
{
    const struct etcd_server_options options = {.auth = true, .users = users};
    const char *const revoke[] = {"role", "revoke-permission", "--prefix=true", "app", "/services/", NULL};
    const char *const grant[] = {
        "role", "grant-permission", "--prefix=true", "app", "readwrite", "/services/", NULL};
    struct etcd_server *server = etcd_server_start(&options);
    struct real real = {.loop = NULL};
    struct news news = {.lost = 0};
    etcd_registration *reg = NULL;
    etcd_client *root;
    etcd_error err;
    int denied;

    (void)state;
    assert_non_null(server);
    real.client = open_as(server, "app", "app-password");
    root = open_as(server, "root", ETCD_SERVER_ROOT_PASSWORD);
    assert_false(real_failed(
        etcd_register(real.client, "web", "1", "x",
                      ETCD_REGISTER_OPTS(.ttl_s = 2, .on_event = on_event, .user_data = &news), &reg, &err),
        &err));
    assert_int_equal(etcd_server_ctl(server, ETCD_SERVER_ALL, revoke, NULL, 0), 0);
    assert_int_equal(etcd_lease_revoke(root, etcd_registration_lease_id(reg), NULL, NULL), ETCD_OK);
    assert_true(real_wait(&real, is_denied, &news, 10000));
    real_idle(&real, 2000);
    denied = atomic_load(&news.denied);
    assert_in_range(denied, 2, 8); /* after 250, 500, 1,000 ... ms */
    assert_false(etcd_registration_alive(reg));
    assert_int_equal(etcd_server_ctl(server, ETCD_SERVER_ALL, grant, NULL, 0), 0);
    assert_true(real_wait(&real, is_restored, &news, 10000));
    assert_true(etcd_registration_alive(reg));
    assert_false(real_failed(etcd_registration_close(reg, 0, &err), &err));
    assert_int_equal(atomic_load(&news.lost), 1);
    etcd_client_free(root);
    real_close(&real);
    etcd_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_denied_entry_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
