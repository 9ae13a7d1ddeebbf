/* SPDX-License-Identifier: Apache-2.0 */
/* Backups of real members, of every version there is: etcdctl finds in them what was written. */
#include "support/process.h"
#include "support/real.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEYS = 200, MAX_VERSIONS = 8 };

static struct etcd_server *servers[MAX_VERSIONS];
static struct real clients[MAX_VERSIONS];

/* Megabytes of data, so that a backup has many parts. */
static void fill(struct real *real)
{
    static char value[16 << 10];
    char key[32];
    etcd_error err;

    memset(value, 'v', sizeof(value));
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "key%03d", i);
        assert_false(real_failed(
            etcd_put(real->client, etcd_cstr(key), etcd_bytes_of(value, sizeof(value)), NULL, NULL, &err),
            &err));
    }
}

static int start_all(void **state)
{
    const char *const *versions = etcd_server_versions();

    (void)state;
    for (size_t i = 0; versions[i] != NULL; i++) {
        assert_true(i + 1 < MAX_VERSIONS);
        servers[i] = etcd_server_start(&(struct etcd_server_options){.version = versions[i]});
        assert_non_null(servers[i]);
        assert_true(real_open(&clients[i], etcd_server_endpoint(servers[i], 0)));
        fill(&clients[i]);
    }
    return 0;
}

static int stop_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAX_VERSIONS; i++) {
        real_close(&clients[i]);
        etcd_server_free(servers[i]);
    }
    return 0;
}

struct progress {
    int64_t done, remaining;
    size_t parts, cancel_after;
};

static bool on_part(const etcd_backup_part *part, void *user_data)
{
    struct progress *progress = user_data;

    if (part->data.len == 0)
        return true;
    assert_true(part->done > progress->done);
    progress->done = part->done;
    progress->remaining = part->remaining;
    progress->parts++;
    return progress->cancel_after == 0 || progress->parts < progress->cancel_after;
}

/* etcdctl's own check reads the whole database and counts its keys. */
static void check_with_etcdctl(struct etcd_server *server, const char *path)
{
    const char *const args[] = {"snapshot", "status", path, "-w", "fields", NULL};
    char output[4096];
    const char *keys;

    assert_int_equal(etcd_server_ctl(server, 0, args, output, sizeof(output)), 0);
    keys = strstr(output, "\"Keys\" : ");
    assert_non_null(keys);
    assert_true(strtol(keys + strlen("\"Keys\" : "), NULL, 10) >= KEYS);
}

static void save_and_check(struct etcd_server *server, struct real *real)
{
    const char *path = etcd_server_file(server, "backup");
    struct progress progress = {.parts = 0};
    etcd_backup_info info;
    struct stat file;
    etcd_error err;

    assert_false(real_failed(
        etcd_backup_save(real->client, path,
                         ETCD_BACKUP_OPTS(.endpoint = etcd_server_endpoint(server, 0), .timeout_ms = 60000,
                                          .on_part = on_part, .user_data = &progress),
                         &info, &err),
        &err));
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_size, info.bytes);
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_int_equal(progress.done, info.bytes);
    assert_int_equal(progress.remaining, 0);
    assert_true(progress.parts > 50);
    assert_true(info.bytes > KEYS * (16 << 10));
    assert_true((info.version[0] != '\0') == etcd_server_at_least(server, 3, 6, 0));
    check_with_etcdctl(server, path);
}

static void test_etcdctl_reads_what_was_saved(void **state)
{
    (void)state;
    for (size_t i = 0; servers[i] != NULL; i++)
        save_and_check(servers[i], &clients[i]);
}

/* A server starts from it and has what was written. */
static void test_a_restored_member_has_the_data(void **state)
{
    (void)state;
    for (size_t i = 0; servers[i] != NULL; i++) {
        const char *path = etcd_server_file(servers[i], "to-restore");
        char data_dir[256];
        const char *const args[] = {"snapshot", "restore", path, "--data-dir", data_dir, NULL};
        struct stat member;
        char db[300];
        etcd_error err;

        assert_false(real_failed(
            etcd_backup_save(clients[i].client, path, ETCD_BACKUP_OPTS(.timeout_ms = 60000), NULL, &err),
            &err));
        snprintf(data_dir, sizeof(data_dir), "%s/restored", etcd_server_dir(servers[i]));
        assert_int_equal(etcd_server_ctl(servers[i], 0, args, NULL, 0), 0);
        snprintf(db, sizeof(db), "%s/member/snap/db", data_dir);
        assert_int_equal(stat(db, &member), 0);
        assert_true(member.st_size > KEYS * (16 << 10));
    }
}

static void test_cancelled_and_late_ones_leave_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; servers[i] != NULL; i++) {
        const char *path = etcd_server_file(servers[i], "never");
        struct progress progress = {.cancel_after = 5};
        char part[512];
        etcd_error err;

        snprintf(part, sizeof(part), "%s.part", path);
        assert_int_equal(etcd_backup_save(clients[i].client, path,
                                          ETCD_BACKUP_OPTS(.on_part = on_part, .user_data = &progress), NULL,
                                          &err),
                         ETCD_E_CANCELLED);
        assert_true(etcd_server_pause(servers[i], 0));
        assert_int_equal(
            etcd_backup_save(clients[i].client, path, ETCD_BACKUP_OPTS(.timeout_ms = 500), NULL, &err),
            ETCD_E_DEADLINE);
        assert_true(etcd_server_resume(servers[i], 0));
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_not_equal(access(part, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_etcdctl_reads_what_was_saved),
        cmocka_unit_test(test_a_restored_member_has_the_data),
        cmocka_unit_test(test_cancelled_and_late_ones_leave_nothing),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
