/* SPDX-License-Identifier: Apache-2.0 */
/* What a secret was ever written into is wiped before it is given back, whatever kept it. */
#include "support/fake_client.h"

#include <etcdc/memory.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char canary[] = "canary-5d1e";
static const char issued[] = "fake."; /* what all tokens of the fake server begin with */

/* In front of each block: its size, so that it can be looked through when it comes back. */
union head {
    size_t size;
    max_align_t align;
};

static atomic_size_t found, looked_at;

static void look(const void *data, size_t size)
{
    atomic_fetch_add(&looked_at, 1);
    if (memmem(data, size, canary, sizeof(canary) - 1) != NULL ||
        memmem(data, size, issued, sizeof(issued) - 1) != NULL)
        atomic_fetch_add(&found, 1);
}

static void *own_malloc(void *user_data, size_t size)
{
    union head *head = malloc(sizeof(*head) + size);

    (void)user_data;
    if (head == NULL)
        return NULL;
    head->size = size;
    memset(head + 1, 0xa5, size);
    return head + 1;
}

static void own_free(void *user_data, void *ptr)
{
    union head *head = ptr;

    (void)user_data;
    look(ptr, head[-1].size);
    free(head - 1);
}

/* Always moves, so that nothing is hidden by a block that could stay. */
static void *own_realloc(void *user_data, void *ptr, size_t size)
{
    const union head *head = ptr;
    void *copy = own_malloc(user_data, size);

    if (copy == NULL)
        return NULL;
    memcpy(copy, ptr, head[-1].size < size ? head[-1].size : size);
    own_free(user_data, ptr);
    return copy;
}

static int set_up(void **state)
{
    etcd_allocator allocator = ETCD_ALLOCATOR_INIT;
    etcd_error err;

    (void)state;
    allocator.malloc_fn = own_malloc;
    allocator.realloc_fn = own_realloc;
    allocator.free_fn = own_free;
    assert_status(etcd_set_allocator(&allocator, &err), ETCD_OK, &err);
    atomic_store(&found, 0);
    atomic_store(&looked_at, 0);
    return 0;
}

static int tear_down(void **state)
{
    etcd_error err;

    (void)state;
    assert_status(etcd_set_allocator(NULL, &err), ETCD_OK, &err);
    return 0;
}

static void expect_nothing(void)
{
    assert_true(atomic_load(&looked_at) > 50);
    assert_int_equal(atomic_load(&found), 0);
}

/* The hook itself: a value is no secret, and is found. */
static void test_the_hook_sees_what_is_not_wiped(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_error err;

    (void)state;
    assert_status(etcd_put(client, etcd_cstr("k"), etcd_cstr(canary), NULL, NULL, &err), ETCD_OK, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
    assert_true(atomic_load(&found) > 0);
}

static void run_login(bool split)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client;
    etcd_error err;

    fake_etcd_set_auth(fake, "alice", canary);
    fake_etcd_split(fake, split);
    client = test_client_open(fake_etcd_endpoint(fake),
                              ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT(canary)));
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    for (int i = 0; i < 3; i++) {
        fake_etcd_expire_tokens(fake);
        assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    }
    /* Lost on the way, refused, and never sent at all. */
    fake_etcd_expire_tokens(fake);
    fake_etcd_next(fake, "Authenticate", &(struct fake_step){.what = STEP_CUT});
    assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    fake_etcd_expire_tokens(fake);
    fake_etcd_set_auth(fake, "alice", "another");
    assert_status(fake_put(client, 10000, &err), ETCD_E_AUTH, &err);
    fake_etcd_listen(fake, false);
    fake_etcd_cut(fake);
    (void)fake_put(client, 100, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
    expect_nothing();
}

static void test_a_login(void **state)
{
    (void)state;
    run_login(false);
}

static void test_a_login_byte_by_byte(void **state)
{
    (void)state;
    run_login(true);
}

static void test_a_given_token(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake),
                                           ETCD_CLIENT_OPTS(.token = ETCD_SECRET_TEXT(canary)));
    etcd_error err;

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_status(fake_put(client, 10000, &err), ETCD_OK, &err);
    fake_etcd_cut(fake);
    assert_status(fake_get(client, 10000, &err), ETCD_OK, &err);
    fake_etcd_set_auth(fake, "alice", "secret");
    assert_status(fake_put(client, 10000, &err), ETCD_E_AUTH, &err);
    etcd_client_free(client);
    fake_etcd_free(fake);
    expect_nothing();
}

static void test_an_open_that_fails(void **state)
{
    etcd_client *client = NULL;
    etcd_error err;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_status(
            etcd_client_open(ETCD_CLIENT_OPTS(.username = "alice", .password = ETCD_SECRET_TEXT(canary),
                                              .log_level = (etcd_log_level)9),
                             &client, &err),
            ETCD_E_INVALID_ARGUMENT, &err);
        assert_status(etcd_client_open(
                          ETCD_CLIENT_OPTS(.token = ETCD_SECRET_TEXT(canary), .log_level = (etcd_log_level)9),
                          &client, &err),
                      ETCD_E_INVALID_ARGUMENT, &err);
    }
    expect_nothing();
}

/* However the call ends, and also while its operation is still held. */
static void test_passwords_of_users(void **state)
{
    static const struct fake_step endings[] = {
        {.what = STEP_BYTES, .data = "", .size = 0},
        {.what = STEP_CUT},
        {.what = STEP_GARBAGE},
        {.what = STEP_REFUSE},
        {.what = STEP_SILENT},
        {.what = STEP_STATUS, .code = 7, .message = "etcdserver: permission denied"},
    };
    enum { COUNT = sizeof(endings) / sizeof(endings[0]) };
    const etcd_secret secret = ETCD_SECRET_TEXT(canary);
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_op *ops[COUNT] = {NULL};
    etcd_error err;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        fake_etcd_next(fake, "UserAdd", &endings[i]);
        assert_status(etcd_user_add_async(client, "u", secret, ETCD_USER_ADD_OPTS(.timeout_ms = 200), NULL,
                                          NULL, &ops[i], &err),
                      ETCD_OK, &err);
        fake_await_op(client, ops[i]);
    }
    /* Refused before it began, and on a client that is closed. */
    assert_status(etcd_user_add(client, "u", secret, ETCD_USER_ADD_OPTS(.timeout_ms = -1), &err),
                  ETCD_E_INVALID_ARGUMENT, &err);
    assert_status(etcd_client_close(client, &err), ETCD_OK, &err);
    assert_status(etcd_user_change_password(client, "u", secret, NULL, &err), ETCD_E_CLOSED, &err);
    expect_nothing();
    for (size_t i = 0; i < COUNT; i++)
        etcd_op_free(ops[i]);
    etcd_client_free(client);
    fake_etcd_free(fake);
    expect_nothing();
}

#define HOOKED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOOKED(test_the_hook_sees_what_is_not_wiped),
        HOOKED(test_a_login),
        HOOKED(test_a_login_byte_by_byte),
        HOOKED(test_a_given_token),
        HOOKED(test_an_open_that_fails),
        HOOKED(test_passwords_of_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
