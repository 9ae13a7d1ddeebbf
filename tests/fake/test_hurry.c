/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of calls with a millisecond each: every one ends, says what is true, and the connection lives on.
 */
#include "support/fake_client.h"

#include <etcdc/metrics.h>

#include <stdlib.h>

/* So many that the fake's HTTP/2 library does not take the resets of one connection for an attack. */
enum { CLIENTS = 4, ROUNDS = 9, PER_ROUND = 100, BOTH = ETCD_ERROR_MAYBE_APPLIED | ETCD_ERROR_RETRYABLE };

struct outcomes {
    size_t ok, in_doubt, never_sent;
};

static void count(etcd_status st, const etcd_error *err, struct outcomes *outcomes)
{
    switch (st) {
    case ETCD_OK:
        outcomes->ok++;
        break;
    case ETCD_E_DEADLINE:
        if ((err->flags & ETCD_ERROR_MAYBE_APPLIED) != 0)
            outcomes->in_doubt++;
        else
            outcomes->never_sent++;
        break;
    default:
        assert_status(st, ETCD_E_UNAVAILABLE, err);
        assert_int_equal(err->flags & BOTH, ETCD_ERROR_RETRYABLE);
        outcomes->never_sent++;
        break;
    }
}

static void run_round(etcd_client *client, struct outcomes *outcomes)
{
    etcd_op *ops[PER_ROUND];
    etcd_error err;

    for (size_t i = 0; i < PER_ROUND; i++)
        assert_status(etcd_put_async(client, etcd_cstr("k"), etcd_cstr("v"), ETCD_PUT_OPTS(.timeout_ms = 1),
                                     NULL, NULL, &ops[i], &err),
                      ETCD_OK, &err);
    for (size_t i = 0; i < PER_ROUND; i++) {
        assert_status(etcd_op_wait(ops[i], 20000, &err), ETCD_OK, &err);
        count(etcd_op_status(ops[i], &err), &err, outcomes);
        etcd_op_free(ops[i]);
    }
}

static size_t hurry(void)
{
    struct fake_etcd *fake = fake_etcd_start();
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    struct outcomes outcomes = {0, 0, 0};
    etcd_metrics metrics = ETCD_METRICS_INIT;
    size_t done;
    etcd_error err;

    run_round(client, &outcomes); /* not even a connection yet */
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    for (int i = 1; i < ROUNDS; i++) {
        fake_etcd_always(fake, "Put", i % 2 == 0 ? NULL : &(struct fake_step){.delay_ms = i % 4});
        run_round(client, &outcomes);
    }
    fake_etcd_always(fake, "Put", NULL);
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    test_pump(client, 20); /* what was given up may be done until now */
    done = fake_etcd_done(fake, "Put") - 2;
    print_message("%zu in time, %zu in doubt, %zu never sent; %zu done\n", outcomes.ok, outcomes.in_doubt,
                  outcomes.never_sent, done);
    assert_int_equal(outcomes.ok + outcomes.in_doubt + outcomes.never_sent, ROUNDS * PER_ROUND);
    assert_true(outcomes.ok <= done && done <= outcomes.ok + outcomes.in_doubt);
    assert_int_equal(fake_etcd_connections(fake), 1);
    assert_status(etcd_client_metrics(client, &metrics, &err), ETCD_OK, &err);
    assert_int_equal(metrics.outstanding, 0);
    etcd_client_free(client);
    fake_etcd_free(fake);
    return outcomes.in_doubt;
}

static void test_a_millisecond(void **state)
{
    size_t in_doubt = 0;

    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        in_doubt += hurry();
    assert_true(in_doubt > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_millisecond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
