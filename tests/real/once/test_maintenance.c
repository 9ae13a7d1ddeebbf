/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after the members of real clusters, of every version there is. */
#include "support/real.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 3, MAX_VERSIONS = 8 };

/* One cluster for each version, and clients that know the first member only. */
static struct etcd_server *clusters[MAX_VERSIONS];
static struct real clients[MAX_VERSIONS];

static int start_all(void **state)
{
    const char *const *versions = etcd_server_versions();

    (void)state;
    for (size_t i = 0; versions[i] != NULL; i++) {
        assert_true(i + 1 < MAX_VERSIONS);
        clusters[i] =
            etcd_server_start(&(struct etcd_server_options){.version = versions[i], .members = MEMBERS});
        assert_non_null(clusters[i]);
        assert_true(real_open(&clients[i], etcd_server_endpoint(clusters[i], 0)));
    }
    return 0;
}

static int stop_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAX_VERSIONS; i++) {
        real_close(&clients[i]);
        etcd_server_free(clusters[i]);
    }
    return 0;
}

static void each_cluster(void (*run)(struct etcd_server *server, struct real *real))
{
    for (size_t i = 0; clusters[i] != NULL; i++)
        run(clusters[i], &clients[i]);
}

static etcd_member_status_result *status_of(struct etcd_server *server, struct real *real, size_t member)
{
    etcd_member_status_result *status = NULL;
    etcd_error err;

    assert_false(real_failed(
        etcd_member_status(real->client, etcd_server_endpoint(server, member), NULL, &status, &err), &err));
    return status;
}

static void check_status(struct etcd_server *server, struct real *real)
{
    uint64_t ids[MEMBERS], leader = 0;
    size_t leaders = 0;

    for (size_t i = 0; i < MEMBERS; i++) {
        etcd_member_status_result *status = status_of(server, real, i);

        ids[i] = status->header.member_id;
        for (size_t j = 0; j < i; j++)
            assert_true(ids[j] != ids[i]);
        assert_true(leader == 0 || status->leader_id == leader);
        leader = status->leader_id;
        leaders += status->leader_id == ids[i] ? 1 : 0;
        assert_string_equal(status->version, etcd_server_version(server));
        assert_true(status->db_size > 0 && status->db_size_in_use > 0);
        assert_true(status->db_size_in_use <= status->db_size);
        assert_true(status->raft_term > 0 && status->raft_index >= status->raft_applied_index);
        assert_false(status->is_learner);
        assert_int_equal(status->error_count, 0);
        if (etcd_server_at_least(server, 3, 6, 0))
            assert_true(status->storage_version[0] != '\0' && status->db_size_quota > 0);
        else
            assert_true(status->storage_version[0] == '\0' && status->db_size_quota == 0);
        etcd_member_status_result_free(status);
    }
    assert_int_equal(leaders, 1);
}

static void test_each_member_tells_its_status(void **state)
{
    (void)state;
    each_cluster(check_status);
}

static int64_t write_some(struct real *real)
{
    etcd_put_result *put = NULL;
    int64_t revision = 0;
    char key[32];
    etcd_error err;

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key%d", i % 10);
        assert_false(
            real_failed(etcd_put(real->client, etcd_cstr(key), etcd_cstr("value"), NULL, &put, &err), &err));
        revision = etcd_put_result_header(put)->revision;
        etcd_put_result_free(put);
    }
    return revision;
}

struct wait_hash {
    struct etcd_server *server;
    struct real *real;
    size_t member;
    int64_t revision;
    etcd_hash_result hash;
};

/* A member may lag behind the revision. */
static bool has_hash(void *arg)
{
    struct wait_hash *wait = arg;
    etcd_error err;
    etcd_status st = etcd_hash_kv(wait->real->client, etcd_server_endpoint(wait->server, wait->member),
                                  wait->revision, NULL, &wait->hash, &err);

    if (st != ETCD_OK && st != ETCD_E_FUTURE_REVISION)
        fail_msg("%s", err.message);
    return st == ETCD_OK;
}

static void check_hashes(struct etcd_server *server, struct real *real)
{
    struct wait_hash wait[MEMBERS];
    int64_t revision = write_some(real);
    etcd_error err;

    assert_false(real_failed(etcd_compact(real->client, revision - 50, NULL, &err), &err));
    for (size_t i = 0; i < MEMBERS; i++) {
        wait[i] = (struct wait_hash){.server = server, .real = real, .member = i, .revision = revision};
        assert_true(real_wait(real, has_hash, &wait[i], 5000));
        assert_true(wait[i].hash.hash != 0);
        assert_int_equal(wait[i].hash.hash, wait[0].hash.hash);
        assert_int_equal(wait[i].hash.compact_revision, revision - 50);
        assert_true(i == 0 || wait[i].hash.header.member_id != wait[0].hash.header.member_id);
    }
    assert_int_equal(etcd_hash_kv(real->client, NULL, revision - 60, NULL, NULL, &err), ETCD_E_COMPACTED);
    assert_int_equal(etcd_hash_kv(real->client, NULL, revision + 9, NULL, NULL, &err),
                     ETCD_E_FUTURE_REVISION);
    assert_false(real_failed(etcd_hash(real->client, NULL, NULL, &wait[0].hash, &err), &err));
    assert_true(wait[0].hash.hash != 0);
}

static void test_members_agree_on_the_hash(void **state)
{
    (void)state;
    each_cluster(check_hashes);
}

static void check_move(struct etcd_server *server, struct real *real)
{
    etcd_member_status_result *statuses[MEMBERS], *after;
    size_t leader = MEMBERS, follower;
    etcd_error err;

    for (size_t i = 0; i < MEMBERS; i++) {
        statuses[i] = status_of(server, real, i);
        if (statuses[i]->leader_id == statuses[i]->header.member_id)
            leader = i;
    }
    assert_true(leader < MEMBERS);
    follower = (leader + 1) % MEMBERS;

    assert_int_equal(etcd_move_leader(real->client, etcd_server_endpoint(server, follower),
                                      statuses[follower]->header.member_id, NULL, &err),
                     ETCD_E_PRECONDITION);
    assert_non_null(strstr(err.message, "not leader"));
    assert_non_null(strstr(err.message, etcd_server_endpoint(server, follower)));
    assert_int_equal(etcd_move_leader(real->client, etcd_server_endpoint(server, leader), 0x1234, NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_false(real_failed(etcd_move_leader(real->client, etcd_server_endpoint(server, leader),
                                              statuses[follower]->header.member_id, NULL, &err),
                             &err));
    after = status_of(server, real, leader);
    assert_int_equal(after->leader_id, statuses[follower]->header.member_id);
    etcd_member_status_result_free(after);
    for (size_t i = 0; i < MEMBERS; i++)
        etcd_member_status_result_free(statuses[i]);
}

static void test_only_the_leader_hands_over(void **state)
{
    (void)state;
    each_cluster(check_move);
}

static void check_downgrade(struct etcd_server *server, struct real *real)
{
    etcd_downgrade_result *result = NULL;
    etcd_error err;
    etcd_status st = etcd_downgrade(real->client, NULL, ETCD_DOWNGRADE_VALIDATE, "3.4.0", NULL, &result,
                                    &err);

    if (!etcd_server_at_least(server, 3, 5, 0)) {
        assert_int_equal(st, ETCD_E_UNSUPPORTED);
        return;
    }
    assert_false(real_failed(st, &err));
    assert_non_null(strstr(etcd_downgrade_result_version(result), "3.5"));
    etcd_downgrade_result_free(result);
    assert_int_equal(etcd_downgrade(real->client, NULL, ETCD_DOWNGRADE_VALIDATE, "3.1.0", NULL, NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_downgrade(real->client, NULL, ETCD_DOWNGRADE_VALIDATE, "x", NULL, NULL, &err),
                     ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_downgrade(real->client, NULL, ETCD_DOWNGRADE_CANCEL, NULL, NULL, NULL, &err),
                     ETCD_E_NOT_FOUND);
}

static void test_a_downgrade_is_judged(void **state)
{
    (void)state;
    each_cluster(check_downgrade);
}

/* ---- the quota ------------------------------------------------------------------------------------- */

/* Writes until the server takes no more. */
static void fill(struct real *real)
{
    static char value[64 << 10];
    etcd_status st = ETCD_OK;
    etcd_error err;

    for (int i = 0; i < 200 && st == ETCD_OK; i++)
        st = etcd_put(real->client, etcd_cstr("big"), etcd_bytes_of(value, sizeof(value)), NULL, NULL, &err);
    assert_int_equal(st, ETCD_E_NO_SPACE);
}

static void make_space(struct real *real, const char *endpoint)
{
    etcd_get_result *get = NULL;
    etcd_error err;

    assert_false(real_failed(etcd_get(real->client, etcd_cstr("big"), NULL, &get, &err), &err));
    assert_false(real_failed(etcd_compact(real->client, etcd_get_result_header(get)->revision,
                                          ETCD_COMPACT_OPTS(.physical = true), &err),
                             &err));
    etcd_get_result_free(get);
    assert_false(real_failed(
        etcd_defragment(real->client, endpoint, ETCD_ADMIN_OPTS(.timeout_ms = 60000), &err), &err));
}

static void check_quota(const char *version)
{
    const char *const args[] = {"--quota-backend-bytes=2097152", NULL};
    struct etcd_server *server =
        etcd_server_start(&(struct etcd_server_options){.version = version, .args = args});
    etcd_member_status_result *status = NULL, *after = NULL;
    etcd_alarm_result *alarms = NULL;
    struct real real;
    etcd_error err;

    assert_non_null(server);
    assert_true(real_open(&real, etcd_server_endpoint(server, 0)));
    fill(&real);
    assert_false(real_failed(etcd_alarm_list(real.client, NULL, NULL, &alarms, &err), &err));
    assert_int_equal(etcd_alarm_result_count(alarms), 1);
    assert_int_equal(etcd_alarm_result_at(alarms, 0)->type, ETCD_ALARM_NO_SPACE);
    status = status_of(server, &real, 0);
    assert_int_equal(etcd_alarm_result_at(alarms, 0)->member_id, status->header.member_id);
    assert_int_equal(status->error_count, 1);
    assert_non_null(strstr(status->errors[0], "NOSPACE"));
    etcd_alarm_result_free(alarms);

    make_space(&real, etcd_server_endpoint(server, 0));
    after = status_of(server, &real, 0);
    assert_true(after->db_size < status->db_size);
    assert_int_equal(etcd_put(real.client, etcd_cstr("small"), etcd_cstr("v"), NULL, NULL, &err),
                     ETCD_E_NO_SPACE); /* the alarm is still there */
    assert_false(
        real_failed(etcd_alarm_disarm(real.client, NULL, 0, ETCD_ALARM_NONE, NULL, &alarms, &err), &err));
    assert_int_equal(etcd_alarm_result_count(alarms), 1);
    etcd_alarm_result_free(alarms);
    assert_false(
        real_failed(etcd_put(real.client, etcd_cstr("small"), etcd_cstr("v"), NULL, NULL, &err), &err));
    assert_false(real_failed(etcd_alarm_list(real.client, NULL, NULL, &alarms, &err), &err));
    assert_int_equal(etcd_alarm_result_count(alarms), 0);
    etcd_alarm_result_free(alarms);
    etcd_member_status_result_free(status);
    etcd_member_status_result_free(after);
    real_close(&real);
    etcd_server_free(server);
}

static void test_a_full_member_gets_well_again(void **state)
{
    const char *const *versions = etcd_server_versions();

    (void)state;
    for (size_t i = 0; versions[i] != NULL; i++)
        check_quota(versions[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_member_tells_its_status),
        cmocka_unit_test(test_members_agree_on_the_hash),
        cmocka_unit_test(test_only_the_leader_hands_over),
        cmocka_unit_test(test_a_downgrade_is_judged),
        cmocka_unit_test(test_a_full_member_gets_well_again),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
