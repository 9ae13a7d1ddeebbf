/* SPDX-License-Identifier: Apache-2.0 */
/* No thread can be had: here pthread_create() always fails. */
#include "etcdc.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>

int pthread_create(pthread_t *restrict ret_thread, const pthread_attr_t *restrict attr,
                   void *(*start)(void *arg), void *restrict arg)
{
    (void)ret_thread;
    (void)attr;
    (void)start;
    (void)arg;
    return EAGAIN;
}

static void on_state(etcd_client *client, etcd_client_state state, const etcd_error *err, void *user_data)
{
    (void)client;
    (void)state;
    (void)err;
    ++*(int *)user_data;
}

static void a_client_is_not_opened(void **state)
{
    etcd_client *client = NULL;
    etcd_error err;
    int told = 0;

    (void)state;
    assert_int_equal(etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("127.0.0.1:1"),
                                                       .on_state = on_state, .state_user_data = &told),
                                      &client, &err),
                     ETCD_E_IO);
    assert_non_null(strstr(err.message, "cannot start the loop's thread"));
    assert_int_equal(err.sys_errno, EAGAIN);
    assert_null(client);
    assert_int_equal(told, 0);
    assert_int_equal(alloc_live(), 0);
}

static void a_loop_is_not_made(void **state)
{
    etcd_loop *loop = NULL;
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_loop_new(NULL, &loop, &err), ETCD_E_IO);
    assert_int_equal(err.sys_errno, EAGAIN);
    assert_null(loop);
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_not_opened),
        cmocka_unit_test(a_loop_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
