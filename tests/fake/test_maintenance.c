/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about one member: what is sent where, what comes back, what is refused. */
#include "support/fake_client.h"

#include <string.h>

struct pair {
    struct fake_etcd *listed, *other;
    etcd_client *client; /* knows the first one only */
};

static int start(void **state)
{
    static struct pair pair;

    pair.listed = fake_etcd_start();
    pair.other = fake_etcd_start();
    pair.client = test_client_open(fake_etcd_endpoint(pair.listed), NULL);
    *state = &pair;
    return 0;
}

static int stop(void **state)
{
    struct pair *pair = *state;

    etcd_client_free(pair->client);
    fake_etcd_free(pair->listed);
    fake_etcd_free(pair->other);
    return 0;
}

static void test_status_has_every_field(void **state)
{
    struct pair *pair = *state;
    etcd_member_status_result *status = NULL;
    etcd_error err;

    fake_etcd_set_status(
        pair->listed,
        &(struct fake_status){
            .member_id = 7, .leader_id = 1002, .term = 1004, .version = "3.6.1", .learner = true});
    assert_status(etcd_member_status(pair->client, NULL, NULL, &status, &err), ETCD_OK, &err);
    assert_int_equal(status->header.member_id, 7);
    assert_int_equal(status->header.cluster_id, 0xfa4e);
    assert_string_equal(status->version, "3.6.1");
    assert_int_equal(status->db_size, 1001);
    assert_int_equal(status->leader_id, 1002);
    assert_int_equal(status->raft_index, 1003);
    assert_int_equal(status->raft_term, 1004);
    assert_int_equal(status->raft_applied_index, 1005);
    assert_int_equal(status->error_count, 1);
    assert_string_equal(status->errors[0], "memberID:1 alarm:NOSPACE");
    assert_int_equal(status->db_size_in_use, 1006);
    assert_true(status->is_learner);
    assert_string_equal(status->storage_version, "3.6.0");
    assert_int_equal(status->db_size_quota, 1007);
    assert_true(status->downgrade_enabled);
    assert_string_equal(status->downgrade_target_version, "3.5.0");
    etcd_member_status_result_free(status);
    etcd_member_status_result_free(NULL);
}

static bool other_is_closed(void *user)
{
    return fake_etcd_open_connections(((struct pair *)user)->other) == 0;
}

static void await_other_closed(struct pair *pair)
{
    for (int i = 0; i < 500 && !other_is_closed(pair); i++)
        test_pump(pair->client, 10);
    assert_true(other_is_closed(pair));
}

static void test_a_stranger_is_asked_and_left(void **state)
{
    struct pair *pair = *state;
    etcd_error err;

    assert_status(etcd_member_status(pair->client, fake_etcd_endpoint(pair->other), NULL, NULL, &err),
                  ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(pair->other, "Status"), 1);
    assert_int_equal(fake_etcd_calls(pair->listed, NULL), 0);
    await_other_closed(pair);
    assert_status(fake_get(pair->client, 0, &err), ETCD_OK, &err); /* the list is as it was */
    assert_int_equal(fake_etcd_calls(pair->listed, "Range"), 1);
}

/* Nothing of it goes to the member that would answer. */
static void test_only_that_one_is_asked(void **state)
{
    struct pair *pair = *state;
    etcd_error err;

    fake_etcd_always(pair->other, "Status", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_member_status(pair->client, fake_etcd_endpoint(pair->other),
                                     ETCD_ADMIN_OPTS(.timeout_ms = 1500), NULL, &err),
                  ETCD_E_DEADLINE, &err);
    assert_has_text(err.message, fake_etcd_endpoint(pair->other));
    assert_int_equal(fake_etcd_calls(pair->listed, NULL), 0);

    fake_etcd_listen(pair->other, false);
    fake_etcd_cut(pair->other);
    assert_status(etcd_member_status(pair->client, fake_etcd_endpoint(pair->other),
                                     ETCD_ADMIN_OPTS(.timeout_ms = 300), NULL, &err),
                  ETCD_E_UNAVAILABLE, &err);
    assert_has_text(err.message, fake_etcd_endpoint(pair->other));
    assert_status(etcd_member_status(pair->client, fake_etcd_endpoint(pair->other),
                                     ETCD_ADMIN_OPTS(.fail_fast = true), NULL, &err),
                  ETCD_E_UNAVAILABLE, &err);
    assert_int_equal(fake_etcd_calls(pair->listed, NULL), 0);
}

static void test_a_stranger_gets_the_token(void **state)
{
    struct pair *pair = *state;
    const etcd_client_opts opts = {.size = sizeof(opts), .username = "u", .password = ETCD_SECRET_TEXT("p")};
    etcd_client *client;
    etcd_error err;
    char token[64];

    fake_etcd_set_auth(pair->listed, "u", "p");
    client = test_client_open(fake_etcd_endpoint(pair->listed), &opts);
    assert_status(etcd_member_status(client, fake_etcd_endpoint(pair->other), NULL, NULL, &err), ETCD_OK,
                  &err);
    assert_true(fake_etcd_field(pair->other, "Status", "token", token, sizeof(token)));
    assert_string_equal(token, "fake.1");
    etcd_client_free(client);
}

/* What may be repeated is; what may not be, is not. */
static void test_repeated_where_that_is_harmless(void **state)
{
    struct pair *pair = *state;
    etcd_hash_result hash;
    etcd_error err;

    fake_etcd_next(pair->listed, "Status", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(pair->listed, "HashKV", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(pair->listed, "Hash", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(pair->listed, "MoveLeader", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(pair->listed, "Alarm", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(pair->listed, "Defragment", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(pair->listed, "Downgrade", &(struct fake_step){.what = STEP_CUT});
    assert_status(etcd_member_status(pair->client, NULL, NULL, NULL, &err), ETCD_OK, &err);
    assert_status(etcd_hash_kv(pair->client, NULL, 7, NULL, &hash, &err), ETCD_OK, &err);
    assert_int_equal(hash.hash, 2001);
    assert_int_equal(hash.compact_revision, 2002);
    assert_int_equal(hash.hash_revision, 7);
    assert_status(etcd_hash(pair->client, NULL, NULL, &hash, &err), ETCD_OK, &err);
    assert_int_equal(hash.hash, 3001);
    assert_status(etcd_move_leader(pair->client, NULL, 2, NULL, &err), ETCD_OK, &err);
    assert_status(etcd_alarm_list(pair->client, NULL, NULL, NULL, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(pair->listed, "Alarm"), 2);

    assert_status(etcd_defragment(pair->client, NULL, NULL, &err), ETCD_E_UNAVAILABLE, &err);
    assert_true((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    assert_int_equal(fake_etcd_calls(pair->listed, "Defragment"), 1);
    assert_status(etcd_downgrade(pair->client, NULL, ETCD_DOWNGRADE_ENABLE, "3.5.0", NULL, NULL, &err),
                  ETCD_E_UNAVAILABLE, &err);
    assert_int_equal(fake_etcd_calls(pair->listed, "Downgrade"), 1);
}

static void test_downgrade_says_the_version(void **state)
{
    struct pair *pair = *state;
    etcd_downgrade_result *result = NULL;
    etcd_error err;

    assert_status(etcd_downgrade(pair->client, NULL, ETCD_DOWNGRADE_VALIDATE, "3.5.0", NULL, &result, &err),
                  ETCD_OK, &err);
    assert_string_equal(etcd_downgrade_result_version(result), "3.6.0");
    assert_int_equal(etcd_downgrade_result_header(result)->cluster_id, 0xfa4e);
    etcd_downgrade_result_free(result);
    assert_status(etcd_downgrade(pair->client, NULL, ETCD_DOWNGRADE_CANCEL, NULL, NULL, NULL, &err), ETCD_OK,
                  &err);
    assert_status(etcd_downgrade(pair->client, NULL, ETCD_DOWNGRADE_VALIDATE, "3.1", NULL, NULL, &err),
                  ETCD_E_INVALID_ARGUMENT, &err);
}

static const struct fake_alarm three_alarms[] = {{1, ETCD_ALARM_NO_SPACE}, {2, ETCD_ALARM_CORRUPT}, {3, 1}};

static void test_one_alarm_is_withdrawn(void **state)
{
    struct pair *pair = *state;
    etcd_alarm_result *result = NULL;
    etcd_error err;

    fake_etcd_set_alarms(pair->listed, three_alarms, 3);
    assert_status(etcd_alarm_disarm(pair->client, NULL, 2, ETCD_ALARM_CORRUPT, NULL, &result, &err), ETCD_OK,
                  &err);
    assert_int_equal(etcd_alarm_result_count(result), 1);
    assert_int_equal(etcd_alarm_result_at(result, 0)->member_id, 2);
    assert_int_equal(etcd_alarm_result_at(result, 0)->type, ETCD_ALARM_CORRUPT);
    assert_null(etcd_alarm_result_at(result, 1));
    etcd_alarm_result_free(result);
    assert_status(etcd_alarm_list(pair->client, NULL, NULL, &result, &err), ETCD_OK, &err);
    assert_int_equal(etcd_alarm_result_count(result), 2);
    assert_int_equal(etcd_alarm_result_header(result)->cluster_id, 0xfa4e);
    etcd_alarm_result_free(result);
}

static void test_all_alarms_are_withdrawn_one_by_one(void **state)
{
    struct pair *pair = *state;
    etcd_alarm_result *result = NULL;
    etcd_error err;

    fake_etcd_set_alarms(pair->listed, three_alarms, 3);
    fake_etcd_next(pair->listed, "Alarm", &(struct fake_step){.what = STEP_CUT}); /* repeated */
    assert_status(etcd_alarm_disarm(pair->client, NULL, 0, ETCD_ALARM_NONE, NULL, &result, &err), ETCD_OK,
                  &err);
    assert_int_equal(etcd_alarm_result_count(result), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(etcd_alarm_result_at(result, i)->member_id, three_alarms[i].member_id);
        assert_int_equal(etcd_alarm_result_at(result, i)->type, three_alarms[i].type);
    }
    etcd_alarm_result_free(result);
    assert_int_equal(fake_etcd_calls(pair->listed, "Alarm"), 5);
    assert_status(etcd_alarm_disarm(pair->client, NULL, 0, ETCD_ALARM_NONE, NULL, &result, &err), ETCD_OK,
                  &err);
    assert_int_equal(etcd_alarm_result_count(result), 0);
    etcd_alarm_result_free(result);
}

/* In the middle of it: refused, silent, cancelled, closed. */
static void test_withdrawing_all_may_stop_half_way(void **state)
{
    struct pair *pair = *state;
    const struct fake_step refuse = {.what = STEP_STATUS, .code = 7, .message = "no"};
    const struct fake_step silent = {.what = STEP_SILENT}, answer = {.what = STEP_ANSWER};
    etcd_op *op = NULL;
    etcd_error err;

    fake_etcd_set_alarms(pair->listed, three_alarms, 3);
    fake_etcd_next(pair->listed, "Alarm", &answer);
    fake_etcd_next(pair->listed, "Alarm", &answer);
    fake_etcd_next(pair->listed, "Alarm", &refuse);
    assert_status(etcd_alarm_disarm(pair->client, NULL, 0, ETCD_ALARM_NONE, NULL, NULL, &err), ETCD_E_DENIED,
                  &err);
    assert_true((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);

    fake_etcd_next(pair->listed, "Alarm", &answer);
    fake_etcd_always(pair->listed, "Alarm", &silent);
    assert_status(etcd_alarm_disarm(pair->client, NULL, 0, ETCD_ALARM_NONE,
                                    ETCD_ADMIN_OPTS(.timeout_ms = 300), NULL, &err),
                  ETCD_E_DEADLINE, &err);
    assert_true((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);

    assert_status(
        etcd_alarm_disarm_async(pair->client, NULL, 0, ETCD_ALARM_NONE, NULL, NULL, NULL, &op, &err), ETCD_OK,
        &err);
    fake_await_calls(pair->client, pair->listed, "Alarm", 6);
    assert_int_equal(etcd_alarm_take(op, NULL, NULL), ETCD_E_BUSY);
    etcd_op_cancel(op);
    fake_await_op(pair->client, op);
    assert_int_equal(etcd_op_status(op, &err), ETCD_E_CANCELLED);
    etcd_op_free(op);

    assert_status(
        etcd_alarm_disarm_async(pair->client, NULL, 0, ETCD_ALARM_NONE, NULL, NULL, NULL, &op, &err), ETCD_OK,
        &err);
    assert_int_equal(etcd_client_close(pair->client, NULL), ETCD_OK);
    assert_int_equal(etcd_op_status(op, &err), ETCD_E_CLOSED);
    etcd_op_free(op);
    assert_int_equal(etcd_alarm_disarm(pair->client, NULL, 0, ETCD_ALARM_NONE, NULL, NULL, &err),
                     ETCD_E_CLOSED);
}

static void test_the_asynchronous_forms(void **state)
{
    struct pair *pair = *state;
    const char *endpoint = fake_etcd_endpoint(pair->other);
    etcd_member_status_result *status = NULL;
    etcd_alarm_result *alarms = NULL;
    etcd_downgrade_result *downgrade = NULL;
    etcd_hash_result hash = {.hash = 0};
    etcd_op *ops[8] = {NULL}, *holds = NULL; /* the connection */
    etcd_error err;

    fake_etcd_set_alarms(pair->other, three_alarms, 2);
    fake_etcd_next(pair->other, "Hash", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_hash_async(pair->client, endpoint, ETCD_ADMIN_OPTS(.timeout_ms = 60000), NULL, NULL,
                                  &holds, &err),
                  ETCD_OK, &err);
    fake_await_calls(pair->client, pair->other, "Hash", 1);
    assert_status(etcd_member_status_async(pair->client, endpoint, NULL, NULL, NULL, &ops[0], &err), ETCD_OK,
                  &err);
    assert_status(etcd_alarm_list_async(pair->client, endpoint, NULL, NULL, NULL, &ops[1], &err), ETCD_OK,
                  &err);
    assert_status(etcd_hash_async(pair->client, endpoint, NULL, NULL, NULL, &ops[2], &err), ETCD_OK, &err);
    assert_status(etcd_hash_kv_async(pair->client, endpoint, 0, NULL, NULL, NULL, &ops[3], &err), ETCD_OK,
                  &err);
    assert_status(etcd_defragment_async(pair->client, endpoint, NULL, NULL, NULL, &ops[4], &err), ETCD_OK,
                  &err);
    assert_status(etcd_move_leader_async(pair->client, endpoint, 2, NULL, NULL, NULL, &ops[5], &err), ETCD_OK,
                  &err);
    assert_status(etcd_downgrade_async(pair->client, endpoint, ETCD_DOWNGRADE_CANCEL, NULL, NULL, NULL, NULL,
                                       &ops[6], &err),
                  ETCD_OK, &err);
    assert_status(
        etcd_alarm_disarm_async(pair->client, endpoint, 0, ETCD_ALARM_NONE, NULL, NULL, NULL, &ops[7], &err),
        ETCD_OK, &err);
    for (size_t i = 0; i < 8; i++)
        fake_await_op(pair->client, ops[i]);
    assert_status(etcd_member_status_take(ops[0], &status, &err), ETCD_OK, &err);
    assert_status(etcd_alarm_take(ops[1], &alarms, &err), ETCD_OK, &err);
    etcd_alarm_result_free(alarms);
    assert_status(etcd_hash_take(ops[2], &hash, &err), ETCD_OK, &err);
    assert_int_equal(hash.hash, 3001);
    assert_status(etcd_hash_take(ops[3], &hash, &err), ETCD_OK, &err);
    assert_int_equal(hash.hash, 2001);
    assert_int_equal(etcd_op_status(ops[4], NULL), ETCD_OK);
    assert_int_equal(etcd_op_status(ops[5], NULL), ETCD_OK);
    assert_status(etcd_downgrade_take(ops[6], &downgrade, &err), ETCD_OK, &err);
    assert_status(etcd_alarm_take(ops[7], &alarms, &err), ETCD_OK, &err);
    assert_int_equal(etcd_alarm_result_count(alarms), 2);
    assert_int_equal(etcd_alarm_take(ops[0], NULL, NULL), ETCD_E_INVALID_ARGUMENT); /* of another kind */
    for (size_t i = 0; i < 8; i++)
        etcd_op_free(ops[i]);
    etcd_member_status_result_free(status);
    etcd_alarm_result_free(alarms);
    etcd_downgrade_result_free(downgrade);
    assert_int_equal(fake_etcd_calls(pair->listed, NULL), 0);
    assert_int_equal(fake_etcd_connections(pair->other), 1); /* all of them share it */
    assert_false(etcd_op_done(holds));
    etcd_op_cancel(holds);
    etcd_op_free(holds);
}

static void refused(etcd_status status, const etcd_error *err, const char *part)
{
    assert_status(status, ETCD_E_INVALID_ARGUMENT, err);
    assert_has_text(err->message, part);
}

static void test_bad_input_is_not_sent(void **state)
{
    struct pair *pair = *state;
    etcd_client *client = pair->client;
    etcd_error err;

    refused(etcd_member_status(client, "a b", NULL, NULL, &err), &err, "a b");
    refused(etcd_defragment(client, "", NULL, &err), &err, "defragment");
    refused(etcd_alarm_list(client, "x:0", NULL, NULL, &err), &err, "alarm list");
    refused(etcd_alarm_disarm(client, "x:0", 0, ETCD_ALARM_NONE, NULL, NULL, &err), &err, "alarm disarm");
    refused(etcd_alarm_disarm(client, NULL, 0, ETCD_ALARM_CORRUPT, NULL, NULL, &err), &err, "member_id is 0");
    refused(etcd_alarm_disarm(client, NULL, 0xab, ETCD_ALARM_NONE, NULL, NULL, &err), &err,
            "member_id is ab");
    refused(
        etcd_alarm_disarm(client, NULL, 0, ETCD_ALARM_NONE, ETCD_ADMIN_OPTS(.timeout_ms = -3), NULL, &err),
        &err, "timeout_ms is -3");
    refused(etcd_hash_kv(client, NULL, -1, NULL, NULL, &err), &err, "revision is -1");
    refused(etcd_move_leader(client, NULL, 0, NULL, &err), &err, "target_id is 0");
    refused(etcd_downgrade(client, NULL, (etcd_downgrade_action)3, "3.5.0", NULL, NULL, &err), &err,
            "action is 3");
    refused(etcd_downgrade(client, NULL, ETCD_DOWNGRADE_ENABLE, NULL, NULL, NULL, &err), &err,
            "version is empty");
    refused(etcd_downgrade(client, NULL, ETCD_DOWNGRADE_CANCEL, "3.5.0", NULL, NULL, &err), &err, "3.5.0");
    refused(etcd_member_status(NULL, NULL, NULL, NULL, &err), &err, "client is NULL");
    refused(etcd_member_status(client, NULL, &(etcd_admin_opts){.size = 1}, NULL, &err), &err,
            "not initialised");
    assert_int_equal(fake_etcd_calls(pair->listed, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_status_has_every_field),
        TEST(test_a_stranger_is_asked_and_left),
        TEST(test_only_that_one_is_asked),
        TEST(test_a_stranger_gets_the_token),
        TEST(test_repeated_where_that_is_harmless),
        TEST(test_downgrade_says_the_version),
        TEST(test_one_alarm_is_withdrawn),
        TEST(test_all_alarms_are_withdrawn_one_by_one),
        TEST(test_withdrawing_all_may_stop_half_way),
        TEST(test_the_asynchronous_forms),
        TEST(test_bad_input_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
