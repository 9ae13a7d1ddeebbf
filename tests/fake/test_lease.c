/* SPDX-License-Identifier: Apache-2.0 */
/* Grants and revocations whose answer is lost: repeated, and the repetition's refusal understood. */
#include "support/fake_client.h"

#include <stdlib.h>

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    etcd_error err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->fake = fake_etcd_start();
    world->client = test_client_open(fake_etcd_endpoint(world->fake), NULL);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    fake_etcd_free(world->fake);
    free(world);
    return 0;
}

static etcd_status grant(struct world *world, int64_t id, etcd_lease *ret_lease)
{
    return etcd_lease_grant(world->client, 77, ETCD_LEASE_OPTS(.id = id), ret_lease, &world->err);
}

static etcd_status revoke(struct world *world, int64_t id)
{
    return etcd_lease_revoke(world->client, id, NULL, &world->err);
}

static void assert_calls(struct world *world, const char *method, size_t calls, size_t done)
{
    assert_int_equal(fake_etcd_calls(world->fake, method), calls);
    assert_int_equal(fake_etcd_done(world->fake, method), done);
}

static void test_a_grant_is_repeated(void **state)
{
    struct world *world = *state;
    etcd_lease lease = {0, 0};

    fake_etcd_next(world->fake, "LeaseGrant", &(struct fake_step){.what = STEP_DO_AND_CUT});
    assert_status(grant(world, 0, &lease), ETCD_OK, &world->err);
    assert_true(lease.id > 0);
    assert_int_equal(lease.ttl_s, 77);
    assert_int_equal(fake_etcd_calls(world->fake, "LeaseGrant"), 2);
    /* It is the one that the first attempt made. */
    assert_status(revoke(world, lease.id), ETCD_OK, &world->err);
    assert_status(revoke(world, lease.id), ETCD_E_LEASE_NOT_FOUND, &world->err);
}

static void test_a_repeated_grant_is_taken_from_its_operation(void **state)
{
    struct world *world = *state;
    etcd_lease lease = {0, 0};
    etcd_op *op = NULL;

    fake_etcd_next(world->fake, "LeaseGrant", &(struct fake_step){.what = STEP_DO_AND_RESET, .code = 8});
    assert_status(etcd_lease_grant_async(world->client, 77, NULL, NULL, NULL, &op, &world->err), ETCD_OK,
                  &world->err);
    fake_await_op(world->client, op);
    assert_status(etcd_op_status(op, &world->err), ETCD_OK, &world->err);
    assert_status(etcd_lease_grant_take(op, &lease, &world->err), ETCD_OK, &world->err);
    assert_int_equal(lease.ttl_s, 77);
    etcd_op_free(op);
}

/* Nobody could tell whose lease an "exists" is about. */
static void test_a_grant_of_a_given_id_is_sent_once(void **state)
{
    struct world *world = *state;
    etcd_lease lease = {0, 0};

    fake_etcd_next(world->fake, "LeaseGrant", &(struct fake_step){.what = STEP_DO_AND_CUT});
    assert_status(grant(world, 5, &lease), ETCD_E_UNAVAILABLE, &world->err);
    assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    assert_calls(world, "LeaseGrant", 1, 1);
    assert_status(grant(world, 5, &lease), ETCD_E_EXISTS, &world->err);
    assert_int_equal(world->err.flags & ETCD_ERROR_MAYBE_APPLIED, 0);
    assert_int_equal(lease.id, 0);
    /* Refused unprocessed is another matter. */
    fake_etcd_next(world->fake, "LeaseGrant", &(struct fake_step){.what = STEP_REFUSE});
    assert_status(grant(world, 6, &lease), ETCD_OK, &world->err);
    assert_int_equal(lease.id, 6);
}

static void test_a_revocation_is_repeated(void **state)
{
    struct world *world = *state;
    etcd_lease lease = {0, 0};

    assert_status(grant(world, 0, &lease), ETCD_OK, &world->err);
    fake_etcd_next(world->fake, "LeaseRevoke", &(struct fake_step){.what = STEP_DO_AND_CUT});
    assert_status(revoke(world, lease.id), ETCD_OK, &world->err);
    assert_int_equal(fake_etcd_calls(world->fake, "LeaseRevoke"), 2);
}

static void test_what_was_never_there_is_not_found(void **state)
{
    struct world *world = *state;

    assert_status(revoke(world, 4711), ETCD_E_LEASE_NOT_FOUND, &world->err);
    /* The first attempt was refused unprocessed, so it cannot have been it. */
    fake_etcd_next(world->fake, "LeaseRevoke", &(struct fake_step){.what = STEP_REFUSE});
    assert_status(revoke(world, 4711), ETCD_E_LEASE_NOT_FOUND, &world->err);
}

static void test_an_answer_that_is_none(void **state)
{
    static const struct fake_step steps[] = {
        {.what = STEP_GARBAGE}, {.what = STEP_EMPTY}, {.what = STEP_HALF}};
    struct world *world = *state;
    etcd_lease lease = {0, 0};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        fake_etcd_next(world->fake, "LeaseGrant", &steps[i]);
        assert_status(grant(world, 0, &lease), ETCD_E_PROTOCOL, &world->err);
        assert_true((world->err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
        assert_int_equal(lease.id, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_grant_is_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_repeated_grant_is_taken_from_its_operation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_grant_of_a_given_id_is_sent_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_revocation_is_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_never_there_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_that_is_none, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
