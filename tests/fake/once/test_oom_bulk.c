/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of ranges, backups and the calls about a member failing once, then every one from there
 * on, in the scripted network. Nothing may crash, hang or leak; a range leaves nothing out.
 */
#include "support/alloc_fail.h"
#include "support/fake_client.h"
#include "support/fake_env.h"

#include "client/client.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAIRS = 8, SNAPSHOT = 70 * 512 };

struct run {
    struct fake_env *env;
    struct fake_etcd *fake, *other;
    etcd_loop *loop;
    etcd_client *client;
    size_t failed;
};

static uint8_t snapshot[SNAPSHOT + SHA256_DIGEST_LENGTH];
static char path[80], part[96];

static void make_world(struct run *run)
{
    static const struct fake_alarm alarms[] = {{1, ETCD_ALARM_NO_SPACE}, {2, ETCD_ALARM_CORRUPT}};

    memset(run, 0, sizeof(*run));
    run->env = fake_env_new(1);
    run->fake = fake_etcd_attach(run->env, "192.0.2.1", 2379);
    run->other = fake_etcd_attach(run->env, "192.0.2.2", 2379);
    fake_etcd_set_alarms(run->other, alarms, 2);
    fake_etcd_set_snapshot(run->fake, snapshot, sizeof(snapshot));
}

static void free_world(struct run *run)
{
    etcd_client_free(run->client);
    etcd_loop_free(run->loop);
    fake_etcd_free(run->fake);
    fake_etcd_free(run->other);
    assert_int_equal(fake_open_sockets(run->env), 0);
    assert_int_equal(fake_misuses(run->env), 0);
    fake_env_free(run->env);
}

static bool ok(struct run *run, const char *what, etcd_status st, const etcd_error *err)
{
    if (st == ETCD_OK)
        return true;
    run->failed++;
    if (st != ETCD_E_NO_MEMORY && st != ETCD_E_UNAVAILABLE && st != ETCD_E_DEADLINE)
        fail_msg("%s: %s: %s", what, etcd_status_name(st), err->message);
    return false;
}

static bool fill(struct run *run)
{
    bool filled = true;
    etcd_error err;
    char key[8];

    for (int i = 0; i < PAIRS; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        filled = ok(run, "put", etcd_put(run->client, etcd_cstr(key), etcd_cstr("v"), NULL, NULL, &err),
                    &err) &&
                 filled;
    }
    return filled;
}

/* Goes on over failures, as a patient program does: each pair comes once. */
static void read_range(struct run *run)
{
    etcd_range *range = NULL;
    int seen = 0, failures = 0;
    etcd_error err;

    if (!ok(run, "open",
            etcd_range_open(run->client, etcd_cstr("k"), ETCD_RANGE_OPTS(.prefix = true, .page_size = 2),
                            &range, &err),
            &err))
        return;
    while (failures < 3) {
        etcd_get_result *page = NULL;

        if (!ok(run, "next", etcd_range_next(range, &page, &err), &err)) {
            failures++;
            continue;
        }
        if (page == NULL) {
            assert_int_equal(seen, PAIRS);
            break;
        }
        for (size_t i = 0; i < etcd_get_result_count(page); i++)
            assert_int_equal(((const char *)etcd_get_result_kv(page, i)->key.data)[1], '0' + seen++);
        etcd_get_result_free(page);
    }
    etcd_range_close(range);
}

static bool go_on(const etcd_backup_part *backup_part, void *user_data)
{
    (void)backup_part;
    (void)user_data;
    return true;
}

static void back_up(struct run *run)
{
    etcd_error err;

    (void)ok(run, "read", etcd_backup_read(run->client, ETCD_BACKUP_OPTS(.on_part = go_on), NULL, &err),
             &err);
    (void)ok(run, "save", etcd_backup_save(run->client, path, NULL, NULL, &err), &err);
    assert_int_not_equal(access(part, F_OK), 0);
}

static void look_after(struct run *run)
{
    etcd_member_status_result *status = NULL;
    etcd_alarm_result *alarms = NULL;
    etcd_downgrade_result *downgrade = NULL;
    etcd_hash_result hash;
    etcd_error err;

    (void)ok(run, "status", etcd_member_status(run->client, "192.0.2.2:2379", NULL, &status, &err), &err);
    etcd_member_status_result_free(status);
    (void)ok(run, "hash", etcd_hash_kv(run->client, "192.0.2.2:2379", 0, NULL, &hash, &err), &err);
    (void)ok(run, "downgrade",
             etcd_downgrade(run->client, NULL, ETCD_DOWNGRADE_VALIDATE, "3.5.0", NULL, &downgrade, &err),
             &err);
    etcd_downgrade_result_free(downgrade);
    (void)ok(run, "disarm",
             etcd_alarm_disarm(run->client, "192.0.2.2:2379", 0, ETCD_ALARM_NONE, NULL, &alarms, &err), &err);
    etcd_alarm_result_free(alarms);
}

static void live(struct run *run)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    etcd_error err;

    opts.endpoints = ETCD_LIST("192.0.2.1:2379");
    if (!ok(run, "loop", etcd__loop_new_env(fake_env_table(run->env), &run->loop, &err), &err))
        return;
    opts.loop = run->loop;
    if (!ok(run, "open", etcd_client_open(&opts, &run->client, &err), &err) || !fill(run))
        return;
    read_range(run); /* by pages */
    fake_etcd_stream_ranges(run->fake, 1);
    run->client->no_range_stream = false;
    read_range(run); /* by a stream */
    look_after(run);
    back_up(run);
    assert_status(etcd_client_close(run->client, &err), ETCD_OK, &err);
}

static void scenario(size_t n, void *user)
{
    size_t *failures = user;
    struct run run;
    size_t before = alloc_live();

    make_world(&run);
    live(&run);
    free_world(&run);
    if (alloc_live() != before)
        fail_msg("allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    *failures += run.failed;
}

static void test_one_failure(void **state)
{
    size_t failures = 0, allocations;

    (void)state;
    allocations = alloc_fail_each(scenario, &failures);
    print_message("%zu allocations, %zu calls failed\n", allocations, failures);
    assert_true(allocations > 200);
    assert_true(failures > 20);
}

static void test_no_memory_from_some_time_on(void **state)
{
    size_t failures = 0, allocations;

    (void)state;
    alloc_fail_at(0);
    scenario(0, &failures);
    allocations = alloc_count();
    assert_int_equal(failures, 0);
    for (size_t n = 1; n <= allocations; n++) {
        struct run run;
        size_t before = alloc_live();

        make_world(&run);
        alloc_fail_from(n);
        live(&run);
        alloc_fail_at(0);
        free_world(&run);
        if (alloc_live() != before)
            fail_msg("from allocation %zu: %zu blocks leaked", n, alloc_live() - before);
    }
}

static int start(void **state)
{
    static char dir[64];
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* each backup is synced */

    memset(snapshot, 'x', SNAPSHOT);
    (void)SHA256(snapshot, SNAPSHOT, snapshot + SNAPSHOT);
    (void)snprintf(dir, sizeof(dir), "%s/etcdc-bulk-XXXXXX", parent);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/db", dir);
    (void)snprintf(part, sizeof(part), "%s.part", path);
    *state = dir;
    return 0;
}

static int stop(void **state)
{
    (void)unlink(path);
    return rmdir(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_failure),
        cmocka_unit_test(test_no_memory_from_some_time_on),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
