/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: what is checked, what becomes of the file, what happens half way. */
#include "support/fake_client.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGES = 2000, PART = 32 << 10 }; /* of 512 bytes: a megabyte */

struct world {
    struct fake_etcd *fake;
    etcd_client *client;
    uint8_t *data;
    size_t len;
    char dir[64], path[96], part[112];
};

/* So many pages, and their digest. */
static uint8_t *make_snapshot(size_t pages, size_t *ret_len)
{
    size_t len = pages * 512;
    uint8_t *data = malloc(len + SHA256_DIGEST_LENGTH);

    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 2654435761U >> 7);
    (void)SHA256(data, len, data + len);
    *ret_len = len + SHA256_DIGEST_LENGTH;
    return data;
}

static int start(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof(world));
    world.fake = fake_etcd_start();
    world.client = test_client_open(fake_etcd_endpoint(world.fake), NULL);
    world.data = make_snapshot(PAGES, &world.len);
    fake_etcd_set_snapshot(world.fake, world.data, world.len);
    (void)snprintf(world.dir, sizeof(world.dir), "/tmp/etcdc-backup-XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    (void)snprintf(world.path, sizeof(world.path), "%s/db", world.dir);
    (void)snprintf(world.part, sizeof(world.part), "%s.part", world.path);
    *state = &world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;

    etcd_client_free(world->client);
    fake_etcd_free(world->fake);
    free(world->data);
    (void)unlink(world->path);
    (void)unlink(world->part);
    assert_int_equal(rmdir(world->dir), 0); /* nothing else was left there */
    return 0;
}

/* What `on_part` saw, and what it is to say. */
struct look {
    struct world *world;
    size_t bytes, parts, ticks;
    int64_t last_remaining;
    bool same;           /* the bytes are those of the snapshot so far */
    size_t cancel_after; /* parts; 0: never */
    size_t cancel_ticks; /* likewise */
    bool close_client;
};

static bool look_at(const etcd_backup_part *part, void *user_data)
{
    struct look *look = user_data;

    if (part->data.len == 0) {
        look->ticks++;
        return look->cancel_ticks == 0 || look->ticks < look->cancel_ticks;
    }
    look->same = look->same && look->bytes + part->data.len <= look->world->len &&
                 memcmp(look->world->data + look->bytes, part->data.data, part->data.len) == 0;
    look->bytes += part->data.len;
    look->parts++;
    look->last_remaining = part->remaining;
    assert_int_equal(part->done, look->bytes);
    assert_string_equal(part->version, "3.6.0");
    if (look->close_client)
        assert_int_equal(etcd_client_close(look->world->client, NULL), ETCD_OK);
    return look->cancel_after == 0 || look->parts < look->cancel_after;
}

static etcd_status read_all(struct world *world, struct look *look, int64_t timeout_ms,
                            etcd_backup_info *info, etcd_error *err)
{
    look->world = world;
    look->same = true;
    return etcd_backup_read(world->client,
                            ETCD_BACKUP_OPTS(.timeout_ms = timeout_ms, .on_part = look_at, .user_data = look),
                            info, err);
}

static void test_parts_come_in_order(void **state)
{
    struct world *world = *state;
    struct look look = {.parts = 0};
    etcd_backup_info info;
    etcd_error err;

    assert_status(read_all(world, &look, 0, &info, &err), ETCD_OK, &err);
    assert_true(look.same);
    assert_int_equal(look.bytes, world->len);
    assert_int_equal(look.parts, (world->len + PART - 1) / PART);
    assert_int_equal(look.last_remaining, 0);
    assert_int_equal(info.bytes, world->len);
    assert_int_equal(info.header.cluster_id, 0xfa4e);
    assert_string_equal(info.version, "3.6.0");
}

static void test_parts_come_byte_by_byte(void **state)
{
    struct world *world = *state;
    struct look look = {.parts = 0};
    etcd_error err;

    fake_etcd_set_snapshot(world->fake, world->data, 0);
    free(world->data);
    world->data = make_snapshot(70, &world->len);
    fake_etcd_set_snapshot(world->fake, world->data, world->len);
    fake_etcd_split(world->fake, true);
    assert_status(read_all(world, &look, 60000, NULL, &err), ETCD_OK, &err);
    assert_true(look.same);
    assert_int_equal(look.bytes, world->len);
}

/* Until the first part has come. */
static void test_tried_again_before_the_first_part(void **state)
{
    struct world *world = *state;
    const struct fake_step unavailable = {
        .what = STEP_STATUS, .code = 14, .message = "etcdserver: request timed out"};
    struct look look = {.parts = 0}, second = {.parts = 0};
    etcd_error err;

    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_CUT});
    fake_etcd_next(world->fake, "Snapshot", &unavailable);
    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_REFUSE});
    assert_status(read_all(world, &look, 0, NULL, &err), ETCD_OK, &err);
    assert_true(look.same);
    assert_int_equal(fake_etcd_calls(world->fake, "Snapshot"), 4);

    fake_etcd_next(
        world->fake, "Snapshot",
        &(struct fake_step){
            .what = STEP_STATUS_LATE, .size = 3, .code = 14, .message = "etcdserver: server stopped"});
    assert_status(read_all(world, &second, 0, NULL, &err), ETCD_E_UNAVAILABLE, &err);
    assert_has_text(err.message, "server stopped");
    assert_int_equal(second.parts, 3);
    assert_int_equal(fake_etcd_calls(world->fake, "Snapshot"), 5);
}

static void test_an_expired_token_is_renewed(void **state)
{
    struct world *world = *state;
    const etcd_client_opts opts = {.size = sizeof(opts), .username = "u", .password = ETCD_SECRET_TEXT("p")};
    struct look look = {.parts = 0};
    etcd_error err;

    etcd_client_free(world->client);
    fake_etcd_set_auth(world->fake, "u", "p");
    world->client = test_client_open(fake_etcd_endpoint(world->fake), &opts);
    assert_status(fake_put(world->client, 0, &err), ETCD_OK, &err);
    fake_etcd_expire_tokens(world->fake);
    assert_status(read_all(world, &look, 0, NULL, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_calls(world->fake, "Authenticate"), 2);
    assert_int_equal(fake_etcd_calls(world->fake, "Snapshot"), 2);
}

static void test_what_was_damaged_is_told(void **state)
{
    struct world *world = *state;
    struct look look = {.parts = 0}, cut = {.parts = 0}, none = {.parts = 0};
    etcd_error err;

    world->data[777] ^= 1;
    assert_status(read_all(world, &look, 0, NULL, &err), ETCD_E_CORRUPT, &err);
    assert_has_text(err.message, "digest");
    world->data[777] ^= 1;
    fake_etcd_set_snapshot(world->fake, world->data, world->len - 32);
    assert_status(read_all(world, &cut, 0, NULL, &err), ETCD_E_CORRUPT, &err);
    assert_has_text(err.message, "1024000 bytes");
    fake_etcd_set_snapshot(world->fake, world->data, 0);
    assert_status(read_all(world, &none, 0, NULL, &err), ETCD_E_CORRUPT, &err);
}

static void test_cancelled_half_way(void **state)
{
    struct world *world = *state;
    struct look look = {.cancel_after = 3}, silent = {.cancel_ticks = 2}, waits = {.parts = 0};
    etcd_error err;

    assert_status(read_all(world, &look, 0, NULL, &err), ETCD_E_CANCELLED, &err);
    assert_int_equal(look.parts, 3);
    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_HEADERS, .size = 2});
    assert_status(read_all(world, &silent, 0, NULL, &err), ETCD_E_CANCELLED, &err);
    assert_int_equal(silent.parts, 2);
    assert_int_equal(silent.ticks, 2);
    assert_status(fake_get(world->client, 0, &err), ETCD_OK, &err); /* over the same connection */
    assert_int_equal(fake_etcd_connections(world->fake), 1);

    etcd_client_cancel_waits(world->client);
    waits.world = world;
    assert_status(etcd_backup_read(world->client,
                                   ETCD_BACKUP_OPTS(.on_part = look_at, .user_data = &waits, .in_wait = true),
                                   NULL, &err),
                  ETCD_E_CANCELLED, &err);
}

static void test_time_is_over_half_way(void **state)
{
    struct world *world = *state;
    struct look look = {.parts = 0}, none = {.parts = 0};
    etcd_error err;

    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_HEADERS, .size = 2});
    assert_status(read_all(world, &look, 900, NULL, &err), ETCD_E_DEADLINE, &err);
    assert_int_equal(look.parts, 2);
    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_SILENT});
    assert_status(read_all(world, &none, 400, NULL, &err), ETCD_E_DEADLINE, &err);
    fake_etcd_listen(world->fake, false);
    fake_etcd_cut(world->fake);
    for (int i = 0; i < 500 && fake_etcd_open_connections(world->fake) > 0; i++)
        test_pump(world->client, 10);
    assert_status(read_all(world, &none, 400, NULL, &err), ETCD_E_UNAVAILABLE, &err);
    assert_has_text(err.message, fake_etcd_endpoint(world->fake));
}

static void test_the_client_is_closed_half_way(void **state)
{
    struct world *world = *state;
    struct look look = {.close_client = true};
    etcd_error err;

    assert_status(read_all(world, &look, 0, NULL, &err), ETCD_E_CLOSED, &err);
    assert_int_equal(look.parts, 1);
}

/* Waits in the first part until the server has sent all that it may. */
static bool be_slow(const etcd_backup_part *part, void *user_data)
{
    struct world *world = user_data;
    size_t held, before;

    if (part->done > PART)
        return true;
    do {
        before = fake_etcd_unsent(world->fake, "Snapshot");
        (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        held = fake_etcd_unsent(world->fake, "Snapshot");
    } while (held != before);
    assert_true(held + (10 << 20) > world->len);
    assert_true(held > world->len - (10 << 20));
    return true;
}

static void test_a_slow_reader_holds_the_server(void **state)
{
    struct world *world = *state;
    etcd_error err;

    free(world->data);
    world->data = make_snapshot(24 << 11, &world->len); /* 24 MiB */
    fake_etcd_set_snapshot(world->fake, world->data, world->len);
    assert_status(
        etcd_backup_read(world->client,
                         ETCD_BACKUP_OPTS(.timeout_ms = 60000, .on_part = be_slow, .user_data = world), NULL,
                         &err),
        ETCD_OK, &err);
}

/* ---- the file -------------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_file(const char *path, const void *data, size_t len)
{
    struct stat info;
    char *content = malloc(len + 1);
    FILE *file = fopen(path, "r");

    assert_non_null(content);
    assert_non_null(file);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, len);
    assert_int_equal(fread(content, 1, len, file), len);
    assert_memory_equal(content, data, len);
    (void)fclose(file);
    free(content);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static mode_t mode_of(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void test_saved_as_a_file(void **state)
{
    struct world *world = *state;
    struct look look = {.world = world, .same = true};
    etcd_backup_info info;
    etcd_error err;

    write_file(world->part, "what an earlier process left there");
    assert_int_equal(chmod(world->part, 0666), 0);
    assert_status(etcd_backup_save(world->client, world->path,
                                   ETCD_BACKUP_OPTS(.on_part = look_at, .user_data = &look), &info, &err),
                  ETCD_OK, &err);
    assert_file(world->path, world->data, world->len);
    assert_int_equal(mode_of(world->path), 0600);
    assert_false(exists(world->part));
    assert_true(look.same);
    assert_int_equal(info.bytes, world->len);

    assert_status(etcd_backup_save(world->client, world->path, ETCD_BACKUP_OPTS(.mode = 0640), NULL, &err),
                  ETCD_OK, &err);
    assert_int_equal(mode_of(world->path), 0640);
    assert_file(world->path, world->data, world->len);
}

static void assert_untouched(const struct world *world)
{
    assert_file(world->path, "the old one", 11);
    assert_false(exists(world->part));
}

static void test_the_old_file_stays_when_it_fails(void **state)
{
    struct world *world = *state;
    struct look look = {.world = world, .same = true, .cancel_after = 2};
    etcd_error err;

    write_file(world->path, "the old one");
    fake_etcd_next(world->fake, "Snapshot",
                   &(struct fake_step){.what = STEP_STATUS_LATE, .size = 3, .code = 14});
    assert_status(etcd_backup_save(world->client, world->path, NULL, NULL, &err), ETCD_E_UNAVAILABLE, &err);
    assert_untouched(world);
    assert_status(etcd_backup_save(world->client, world->path,
                                   ETCD_BACKUP_OPTS(.on_part = look_at, .user_data = &look), NULL, &err),
                  ETCD_E_CANCELLED, &err);
    assert_untouched(world);
    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_HEADERS, .size = 2});
    assert_status(
        etcd_backup_save(world->client, world->path, ETCD_BACKUP_OPTS(.timeout_ms = 900), NULL, &err),
        ETCD_E_DEADLINE, &err);
    assert_untouched(world);
    fake_etcd_next(world->fake, "Snapshot", &(struct fake_step){.what = STEP_ANSWER, .size = 3});
    assert_status(etcd_backup_save(world->client, world->path, NULL, NULL, &err), ETCD_E_CORRUPT, &err);
    assert_untouched(world);
}

static void assert_io(etcd_status status, int error, const char *path, const etcd_error *err)
{
    assert_status(status, ETCD_E_IO, err);
    assert_int_equal(err->sys_errno, error);
    assert_has_text(err->message, path);
}

static void test_files_that_cannot_be_written(void **state)
{
    struct world *world = *state;
    char path[160];
    etcd_error err;

    (void)snprintf(path, sizeof(path), "%s/no/db", world->dir);
    assert_io(etcd_backup_save(world->client, path, NULL, NULL, &err), ENOENT, world->dir, &err);
    assert_io(etcd_backup_save(world->client, world->dir, NULL, NULL, &err), EISDIR, world->dir, &err);
    write_file(world->path, "the old one");
    (void)snprintf(path, sizeof(path), "%s/db", world->path);
    assert_io(etcd_backup_save(world->client, path, NULL, NULL, &err), ENOTDIR, world->path, &err);
    assert_io(etcd_backup_save(world->client, "/proc/no-backup", NULL, NULL, &err), ENOENT, "/proc/no-backup",
              &err);
    assert_int_equal(fake_etcd_calls(world->fake, "Snapshot"), 0);
    assert_int_equal(symlink(world->path, world->part), 0); /* not through it */
    assert_io(etcd_backup_save(world->client, world->path, NULL, NULL, &err), ELOOP, world->part, &err);
    assert_int_equal(unlink(world->part), 0);
    assert_untouched(world);
}

/* A limit on the size of files stands for a disk that is full. */
static void test_a_full_disk(void **state)
{
    struct world *world = *state;
    struct rlimit old, small;
    void (*handler)(int);
    etcd_status st;
    etcd_error err;

    write_file(world->path, "the old one");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 300000;
    handler = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    st = etcd_backup_save(world->client, world->path, NULL, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    assert_io(st, EFBIG, world->part, &err);
    assert_untouched(world);
}

static void test_two_do_not_write_the_same_file(void **state)
{
    struct world *world = *state;
    etcd_error err;
    int fd;

    write_file(world->part, "another's");
    fd = open(world->part, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_status(etcd_backup_save(world->client, world->path, NULL, NULL, &err), ETCD_E_BUSY, &err);
    assert_file(world->part, "another's", 9);
    (void)close(fd);
    assert_status(etcd_backup_save(world->client, world->path, NULL, NULL, &err), ETCD_OK, &err);
    assert_file(world->path, world->data, world->len);
}

static void refused(etcd_status status, const etcd_error *err, const char *part)
{
    assert_status(status, ETCD_E_INVALID_ARGUMENT, err);
    assert_has_text(err->message, part);
}

static void test_bad_input_is_not_sent(void **state)
{
    struct world *world = *state;
    etcd_client *client = world->client;
    etcd_error err;

    refused(etcd_backup_read(client, NULL, NULL, &err), &err, "on_part is NULL");
    refused(etcd_backup_read(client, ETCD_BACKUP_OPTS(.on_part = look_at, .mode = 0600), NULL, &err), &err,
            "mode is 0600");
    refused(etcd_backup_save(client, NULL, NULL, NULL, &err), &err, "path is NULL");
    refused(etcd_backup_save(client, "", NULL, NULL, &err), &err, "path is empty");
    refused(etcd_backup_save(client, world->path, ETCD_BACKUP_OPTS(.mode = 0100600), NULL, &err), &err,
            "mode is 0100600");
    refused(etcd_backup_save(client, world->path, ETCD_BACKUP_OPTS(.timeout_ms = -1), NULL, &err), &err,
            "timeout_ms is -1");
    refused(etcd_backup_save(client, world->path, ETCD_BACKUP_OPTS(.endpoint = "x:0"), NULL, &err), &err,
            "x:0");
    refused(etcd_backup_save(NULL, world->path, NULL, NULL, &err), &err, "client is NULL");
    assert_false(exists(world->part));
    assert_int_equal(fake_etcd_calls(world->fake, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_parts_come_in_order),
        TEST(test_parts_come_byte_by_byte),
        TEST(test_tried_again_before_the_first_part),
        TEST(test_an_expired_token_is_renewed),
        TEST(test_what_was_damaged_is_told),
        TEST(test_cancelled_half_way),
        TEST(test_time_is_over_half_way),
        TEST(test_the_client_is_closed_half_way),
        TEST(test_a_slow_reader_holds_the_server),
        TEST(test_saved_as_a_file),
        TEST(test_the_old_file_stays_when_it_fails),
        TEST(test_files_that_cannot_be_written),
        TEST(test_a_full_disk),
        TEST(test_two_do_not_write_the_same_file),
        TEST(test_bad_input_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
