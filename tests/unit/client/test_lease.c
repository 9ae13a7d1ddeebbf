/* SPDX-License-Identifier: Apache-2.0 */
/* The calls about leases against a scripted server: answers of every kind, and no memory for them. */
#include "etcdc/lease.h"

#include "client/client.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"
#include "wire/messages.h"

#include <stdlib.h>

static struct script {
    struct world world;
    struct etcd_loop *loop;
    etcd_client *client;
    const ProtobufCMessage *answer; /* to whatever is asked */
    size_t live;
    int64_t asked_id;
} script;

/* Grants say which id was asked for. */
static void on_message(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    uint8_t buf[512];

    if (strcmp(h2_server_field(stream, ":path"), "/etcdserverpb.Lease/LeaseGrant") == 0) {
        Etcd__Pb__LeaseGrantRequest *request = etcd__pb__lease_grant_request__unpack(NULL, len, data);

        assert_non_null(request);
        script.asked_id = request->id;
        etcd__pb__lease_grant_request__free_unpacked(request, NULL);
    }
    assert_true(protobuf_c_message_get_packed_size(script.answer) <= sizeof(buf));
    h2_reply_message(stream, buf, protobuf_c_message_pack(script.answer, buf));
    h2_reply_status(stream, 0, NULL);
}

static int begin(void **state)
{
    etcd_error err;

    (void)state;
    memset(&script, 0, sizeof(script));
    alloc_fail_at(0);
    script.live = alloc_live();
    world_init(&script.world, 1);
    script.world.hosts[0].ops = (struct h2_server_ops){.on_message = on_message};
    assert_int_equal(etcd__loop_new_env(fake_env_table(script.world.fake), &script.loop, NULL), ETCD_OK);
    if (etcd_client_open(ETCD_CLIENT_OPTS(.endpoints = ETCD_LIST("192.0.2.1:2379"), .loop = script.loop),
                         &script.client, &err) != ETCD_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_client_free(script.client);
    etcd_loop_free(script.loop);
    world_close(&script.world);
    assert_int_equal(alloc_live(), script.live);
    return 0;
}

static void an_id_is_chosen_for_each_grant(void **state)
{
    Etcd__Pb__LeaseGrantResponse answer = ETCD__PB__LEASE_GRANT_RESPONSE__INIT;
    int64_t last = 0;

    (void)state;
    answer.id = 9;
    answer.ttl = 20;
    script.answer = &answer.base;
    for (int i = 0; i < 100; i++) {
        etcd_lease lease = {0, 0};

        assert_int_equal(etcd_lease_grant(script.client, 10, NULL, &lease, NULL), ETCD_OK);
        assert_int_equal(lease.id, 9);
        assert_int_equal(lease.ttl_s, 20);
        assert_true(script.asked_id > 0);
        assert_true(script.asked_id != last);
        last = script.asked_id;
    }
    assert_int_equal(etcd_lease_grant(script.client, 10, ETCD_LEASE_OPTS(.id = -5), NULL, NULL), ETCD_OK);
    assert_int_equal(script.asked_id, -5);
}

static void a_grant_without_a_lease_is_nonsense(void **state)
{
    static const int64_t bad[][2] = {{0, 10}, {7, 0}, {7, -1}, {0, 0}};
    Etcd__Pb__LeaseGrantResponse answer = ETCD__PB__LEASE_GRANT_RESPONSE__INIT;

    (void)state;
    script.answer = &answer.base;
    for (size_t i = 0; i < ETCD__COUNT(bad); i++) {
        etcd_lease lease = {1, 1};
        etcd_error err;

        answer.id = bad[i][0];
        answer.ttl = bad[i][1];
        assert_int_equal(etcd_lease_grant(script.client, 10, NULL, &lease, &err), ETCD_E_PROTOCOL);
        assert_int_equal(lease.id, 1);
        assert_true((err.flags & ETCD_ERROR_MAYBE_APPLIED) != 0);
    }
}

static void time_to_live_says_all(void **state)
{
    static uint8_t one[] = {'a', 0, 'b'};
    ProtobufCBinaryData keys[] = {{sizeof(one), one}, {0, NULL}};
    Etcd__Pb__LeaseTimeToLiveResponse answer = ETCD__PB__LEASE_TIME_TO_LIVE_RESPONSE__INIT;
    etcd_ttl_result *result = NULL;

    (void)state;
    answer.ttl = 0; /* about to expire, but there */
    answer.granted_ttl = 60;
    answer.n_keys = 2;
    answer.keys = keys;
    script.answer = &answer.base;
    assert_int_equal(etcd_lease_time_to_live(script.client, 5, ETCD_LEASE_OPTS(.keys = true), &result, NULL),
                     ETCD_OK);
    assert_int_equal(etcd_ttl_result_ttl_s(result), 0);
    assert_int_equal(etcd_ttl_result_granted_ttl_s(result), 60);
    assert_int_equal(etcd_ttl_result_key_count(result), 2);
    assert_int_equal(etcd_ttl_result_key(result, 0).len, sizeof(one));
    assert_memory_equal(etcd_ttl_result_key(result, 0).data, one, sizeof(one));
    assert_string_equal(etcd_ttl_result_key(result, 1).data, "");
    etcd_ttl_result_free(result);
    assert_int_equal(etcd_lease_time_to_live(script.client, 5, NULL, NULL, NULL), ETCD_OK);
}

static void a_negative_time_to_live_is_no_lease(void **state)
{
    Etcd__Pb__LeaseTimeToLiveResponse answer = ETCD__PB__LEASE_TIME_TO_LIVE_RESPONSE__INIT;
    etcd_ttl_result *result = NULL;
    etcd_error err;

    (void)state;
    answer.ttl = -1;
    script.answer = &answer.base;
    assert_int_equal(etcd_lease_time_to_live(script.client, 5, NULL, &result, &err), ETCD_E_LEASE_NOT_FOUND);
    assert_null(result);
    assert_int_equal(err.flags & ETCD_ERROR_RETRYABLE, 0);
}

static void results_that_are_not_there_are_empty(void **state)
{
    (void)state;
    assert_int_equal(etcd_ttl_result_ttl_s(NULL), 0);
    assert_int_equal(etcd_ttl_result_granted_ttl_s(NULL), 0);
    assert_int_equal(etcd_ttl_result_key_count(NULL), 0);
    assert_int_equal(etcd_ttl_result_key(NULL, 0).len, 0);
    etcd_ttl_result_free(NULL);
    assert_int_equal(etcd_leases_result_count(NULL), 0);
    assert_int_equal(etcd_leases_result_id(NULL, 0), 0);
    etcd_leases_result_free(NULL);
    assert_int_equal(etcd_lease_grant_take(NULL, NULL, NULL), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_time_to_live_take(NULL, NULL, NULL), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_list_take(NULL, NULL, NULL), ETCD_E_INVALID_ARGUMENT);
}

static void bad_arguments_send_nothing(void **state)
{
    etcd_error err;

    (void)state;
    assert_int_equal(etcd_lease_grant(NULL, 10, NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_grant(script.client, 0, NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "ttl_s is 0"));
    assert_int_equal(etcd_lease_grant(script.client, ETCD_LEASE_TTL_MAX + 1, NULL, NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_revoke(script.client, 0, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_time_to_live(script.client, 0, NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_lease_list(script.client, ETCD_LEASE_OPTS(.timeout_ms = -1), NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(world_requests(&script.world.hosts[0]), 0);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static etcd_status ask_list(void)
{
    Etcd__Pb__LeaseStatus leases[2] = {ETCD__PB__LEASE_STATUS__INIT, ETCD__PB__LEASE_STATUS__INIT};
    Etcd__Pb__LeaseStatus *list[2] = {&leases[0], &leases[1]};
    Etcd__Pb__LeaseLeasesResponse answer = ETCD__PB__LEASE_LEASES_RESPONSE__INIT;
    etcd_leases_result *result = NULL;
    etcd_status st;

    leases[0].id = 3;
    leases[1].id = INT64_MAX;
    answer.n_leases = 2;
    answer.leases = list;
    script.answer = &answer.base;
    st = etcd_lease_list(script.client, NULL, &result, NULL);
    assert_int_equal(result != NULL, st == ETCD_OK);
    if (st == ETCD_OK) {
        assert_int_equal(etcd_leases_result_count(result), 2);
        assert_int_equal(etcd_leases_result_id(result, 0), 3);
        assert_int_equal(etcd_leases_result_id(result, 1), INT64_MAX);
        assert_int_equal(etcd_leases_result_id(result, 2), 0);
    }
    etcd_leases_result_free(result);
    return st;
}

static etcd_status ask_ttl(void)
{
    static uint8_t key[] = {'k'};
    ProtobufCBinaryData keys[] = {{sizeof(key), key}};
    Etcd__Pb__LeaseTimeToLiveResponse answer = ETCD__PB__LEASE_TIME_TO_LIVE_RESPONSE__INIT;
    etcd_ttl_result *result = NULL;
    etcd_status st;

    answer.ttl = 4;
    answer.n_keys = 1;
    answer.keys = keys;
    script.answer = &answer.base;
    st = etcd_lease_time_to_live(script.client, 8, NULL, &result, NULL);
    assert_int_equal(result != NULL, st == ETCD_OK);
    etcd_ttl_result_free(result);
    return st;
}

static etcd_status ask_grant(void)
{
    Etcd__Pb__LeaseGrantResponse answer = ETCD__PB__LEASE_GRANT_RESPONSE__INIT;
    etcd_lease lease = {0, 0};
    etcd_status st;

    answer.id = 4;
    answer.ttl = 5;
    script.answer = &answer.base;
    st = etcd_lease_grant(script.client, 5, NULL, &lease, NULL);
    assert_int_equal(lease.id != 0, st == ETCD_OK);
    return st;
}

/* With a connection, so that what fails is the call's own. Repeatable calls may also succeed in the end. */
static void every_allocation_may_fail(void **state)
{
    static etcd_status (*const asks[])(void) = {ask_list, ask_ttl, ask_grant};

    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(asks); i++) {
        size_t used;

        assert_int_equal(asks[i](), ETCD_OK);
        alloc_fail_at(0);
        assert_int_equal(asks[i](), ETCD_OK);
        used = alloc_count();
        assert_true(used >= 3);
        for (size_t n = 1; n <= used; n++) {
            etcd_status st;

            alloc_fail_at(n);
            st = asks[i]();
            alloc_fail_at(0);
            assert_true(st == ETCD_OK || st == ETCD_E_NO_MEMORY || st == ETCD_E_DEADLINE ||
                        st == ETCD_E_UNAVAILABLE);
            assert_int_equal(asks[i](), ETCD_OK);
        }
    }
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(an_id_is_chosen_for_each_grant),
        TEST(a_grant_without_a_lease_is_nonsense),
        TEST(time_to_live_says_all),
        TEST(a_negative_time_to_live_is_no_lease),
        TEST(results_that_are_not_there_are_empty),
        TEST(bad_arguments_send_nothing),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
