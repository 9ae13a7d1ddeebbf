/* SPDX-License-Identifier: Apache-2.0 */
/* A forked child: its copy of a client answers and can be freed; the parent's goes on as if nothing had been.
 */
#include "client/client.h"
#include "support/fake_client.h"
#include "support/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first check that does not hold ends the child with its line. */
#define CHILD(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            (void)fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            _exit(1);                                                     \
        }                                                                 \
    } while (false)

static void count_it(etcd_op *op, void *user_data)
{
    (void)op;
    (void)__atomic_add_fetch((size_t *)user_data, 1, __ATOMIC_RELEASE);
}

static void be_child(etcd_client *client, etcd_op *pending, size_t fds, const size_t *callbacks)
{
    etcd_error err;
    etcd_op *op = NULL;
    char text[1024];

    CHILD(fake_put(client, 5000, &err) == ETCD_E_CLOSED);
    CHILD(strstr(err.message, "forked") != NULL);
    CHILD(fake_get(client, 5000, &err) == ETCD_E_CLOSED);
    CHILD(etcd_get_async(client, etcd_cstr("k"), NULL, NULL, NULL, &op, &err) == ETCD_E_CLOSED);
    CHILD(op == NULL);
    CHILD(etcd_client_wait_ready(client, 0, &err) == ETCD_E_CLOSED);
    CHILD(etcd_client_sync(client, 0, &err) == ETCD_E_CLOSED);
    CHILD(etcd_op_wait(pending, 5000, &err) == ETCD_E_CLOSED);
    CHILD(!etcd_op_done(pending));
    CHILD(etcd_client_describe(client, text, sizeof(text)) > 0);
    CHILD(etcd_client_endpoints(client, text, sizeof(text)) == 0 && text[0] == '\0');
    etcd_client_cancel_waits(client);
    etcd_op_cancel(pending);
    etcd_op_free(pending);
    CHILD(etcd_client_close(client, &err) == ETCD_OK);
    etcd_client_free(client);
    CHILD(fake_count_fds() == fds);
    CHILD(*callbacks == 0);
    _exit(0);
}

static void test_a_child(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    size_t fds = fake_count_fds(), callbacks = 0;
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_op *pending = NULL;
    int status = 0;
    pid_t pid;
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    fds++; /* the fake's end of the connection */
    fake_etcd_next(fake, "Range", &(struct fake_step){.delay_ms = 500});
    assert_status(etcd_get_async(client, etcd_cstr("k"), NULL, count_it, &callbacks, &pending, &err), ETCD_OK,
                  &err);
    fake_await_calls(client, fake, "Range", 1);
    pid = fork();
    if (pid == 0)
        be_child(client, pending, fds, &callbacks);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    /* What was under way here is not disturbed, nor is what comes. */
    fake_await_op(client, pending);
    assert_status(etcd_op_status(pending, &err), ETCD_OK, &err);
    fake_await_count(client, &callbacks, 1);
    etcd_op_free(pending);
    for (int i = 0; i < 10; i++)
        assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_connections(fake), 1);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* The parent's engine may have held the lock of what it shares just then. */
static void test_a_child_waits_for_no_lock(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    int status = 0;
    pid_t pid;
    char text[64];

    (void)state;
    assert_true(etcd_client_endpoints(client, text, sizeof(text)) > 0);
    assert_int_equal(pthread_mutex_lock(&client->shared.mutex), 0);
    pid = fork();
    if (pid == 0) {
        (void)alarm(10);
        CHILD(etcd_client_endpoints(client, text, sizeof(text)) == 0);
        _exit(0);
    }
    assert_int_equal(pthread_mutex_unlock(&client->shared.mutex), 0);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* TSan lets no child of a process with threads start one. */
static bool child_may_have_threads(void)
{
#ifdef __SANITIZE_THREAD__
    return false;
#else
    return true;
#endif
}

/* A client of its own works in the child, whatever happens to the copy. */
static void test_a_client_of_its_own(void **state)
{
    if (!test_caller_drive() && !child_may_have_threads())
        skip();

    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    int status = 0;
    pid_t pid;
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    pid = fork();
    if (pid == 0) {
        etcd_client *own = test_client_open(fake_etcd_endpoint(fake), NULL);

        CHILD(fake_put(own, 5000, &err) == ETCD_OK);
        etcd_client_free(client);
        CHILD(fake_put(own, 5000, &err) == ETCD_OK);
        etcd_client_free(own);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_connections(fake), 2);
    etcd_client_free(client);
    fake_etcd_free(fake);
}

/* The child's copies do not keep a connection alive that the parent has closed. */
static void test_a_child_does_not_hold_the_connection(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    int ready[2], leave[2], status = 0;
    char byte = 0;
    pid_t pid;
    etcd_error err;

    (void)state;
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leave), 0);
    pid = fork();
    if (pid == 0) {
        etcd_client_free(client);
        CHILD(write(ready[1], "x", 1) == 1);
        CHILD(read(leave[0], &byte, 1) == 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    etcd_client_free(client);
    for (int64_t until_ms = test_deadline_ms(5000); fake_etcd_open_connections(fake) > 0;)
        assert_true(test_poll_again(until_ms));
    assert_int_equal(write(leave[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(leave[i]);
    }
    fake_etcd_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child),
        cmocka_unit_test(test_a_child_waits_for_no_lock),
        cmocka_unit_test(test_a_client_of_its_own),
        cmocka_unit_test(test_a_child_does_not_hold_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
