/* SPDX-License-Identifier: Apache-2.0 */
/* Where lines go to: files that are opened again, the system's log, disks that are full, FIFOs that nobody
 * reads. */
#include "json.h"

#include "capp/host.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/capp-log-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static int setup_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    DIR *dir = opendir(folder);

    (void)state;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlink(path_of(entry->d_name));
    closedir(dir);
    return rmdir(folder);
}

/* The whole file with a NUL; to be freed. */
static char *read_whole(const char *path)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &about), 0);
    char *text = malloc((size_t)about.st_size + 1);
    assert_non_null(text);
    assert_int_equal(read(fd, text, (size_t)about.st_size), about.st_size);
    text[about.st_size] = '\0';
    close(fd);
    return text;
}

/* An application that logs into this file. */
static capp_app *app_with_file(const char *path, capp_log_format format)
{
    capp_builder *builder = capp_builder_new();
    capp_app *app = NULL;
    capp_error error;

    capp_use_log_file(builder, path);
    capp_use_log_format(builder, format);
    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static void a_file_is_appended_to(void **state)
{
    const char *path = path_of("append.log");
    struct stat about;
    size_t before = open_fds();
    char *text;

    (void)state;
    for (int i = 0; i < 2; i++) {
        capp_app *app = app_with_file(path, CAPP_LOG_FORMAT_TEXT);

        capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "run %d", i);
        assert_int_equal(fcntl(app->logger.sink.fd, F_GETFD), FD_CLOEXEC);
        capp_free(app);
    }
    text = read_whole(path);
    assert_has(text, " INFO  app: run 0\n");
    assert_has(text, " INFO  app: run 1\n");
    free(text);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0137, 0); /* 0640 at most: a log is not for everybody */
    assert_int_equal(open_fds(), before);
}

/* ---- many threads -----------------------------------------------------------------------------------------
 */

enum { THREADS = 8, LINES = 1000 };

struct writer {
    const capp_logger *logger;
    int number;
};

static void *write_lines(void *arg)
{
    const struct writer *writer = arg;
    char filler[900];

    for (int i = 0; i < LINES; i++) {
        size_t len = (size_t)(i * 7 + writer->number) % (sizeof(filler) - 1);

        memset(filler, 'a' + writer->number, len);
        filler[len] = '\0';
        capp_log_with(writer->logger, CAPP_LOG_INFO, "app",
                      CAPP_LOG_FIELDS(CAPP_LOG_INT("thread", writer->number), CAPP_LOG_INT("line", i),
                                      CAPP_LOG_TEXT("filler", filler)),
                      "line");
    }
    return NULL;
}

/* Each line is whole, and each thread's lines are all there, in order; `next` goes on over several files. */
static void check_lines(char *text, int next[THREADS])
{
    for (char *line = text, *end; *line != '\0'; line = end + 1) {
        char filler[900];

        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        long thread = strtol(json_member(line, "thread"), NULL, 10);
        long number = strtol(json_member(line, "line"), NULL, 10);
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(number, next[thread]);
        next[thread]++;
        json_text(line, "filler", filler, sizeof(filler));
        assert_int_equal(strlen(filler), (size_t)(number * 7 + thread) % (sizeof(filler) - 1));
    }
}

static void start_writers(pthread_t threads[THREADS], struct writer writers[THREADS],
                          const capp_logger *logger)
{
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){logger, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &writers[i]), 0);
    }
}

static void lines_of_threads_stay_whole(void **state)
{
    const char *path = path_of("threads.log");
    capp_app *app = app_with_file(path, CAPP_LOG_FORMAT_JSON);
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    int next[THREADS] = {0};

    (void)state;
    start_writers(threads, writers, capp_app_logger(app));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(app->logger.records[CAPP_LOG_INFO], THREADS * LINES);
    assert_int_equal(app->logger.sink.lost, 0);
    capp_free(app);
    char *text = read_whole(path);
    check_lines(text, next);
    free(text);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LINES);
}

/* As logrotate does it: the file is renamed, then opened again, while everybody writes. */
static void rotation_loses_and_tears_nothing(void **state)
{
    enum { ROTATIONS = 40 };
    const char *path = path_of("rotated.log");
    capp_app *app = app_with_file(path, CAPP_LOG_FORMAT_JSON);
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    int next[THREADS] = {0};
    char old[300];

    (void)state;
    start_writers(threads, writers, capp_app_logger(app));
    for (int i = 0; i < ROTATIONS; i++) {
        snprintf(old, sizeof(old), "%s/rotated.%d", folder, i);
        assert_int_equal(rename(path, old), 0);
        capp__logger_reopen(app);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capp_free(app);
    for (int i = 0; i <= ROTATIONS; i++) {
        snprintf(old, sizeof(old), "%s/rotated.%d", folder, i);
        char *text = read_whole(i < ROTATIONS ? old : path);
        check_lines(text, next);
        free(text);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LINES);
}

static void the_old_file_stays_when_the_new_one_fails(void **state)
{
    const char *path = path_of("stays.log"), *away = path_of("stays.away");
    capp_app *app = app_with_file(path, CAPP_LOG_FORMAT_TEXT);

    (void)state;
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    capp__logger_reopen(app);
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "still here");
    assert_int_equal(rmdir(path), 0);
    capp_free(app);
    char *text = read_whole(away);
    assert_has(text, " WARN  log: log file '");
    assert_has(text, "stays.log': cannot open it: Is a directory; the old one stays in use\n");
    assert_has(text, " INFO  app: still here\n");
    free(text);
}

/* ---- what cannot be written
 * ---------------------------------------------------------------------------------- */

static void a_full_disk_costs_records_and_nothing_else(void **state)
{
    const char *path = path_of("full.log"), *real = path_of("real.log");
    int64_t began = now_ms();

    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(symlink("/dev/full", path), 0);
    capp_app *app = app_with_file(path, CAPP_LOG_FORMAT_TEXT);
    for (int i = 0; i < 3; i++)
        capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "lost %d", i);
    assert_int_equal(app->logger.sink.lost, 3);
    assert_int_equal(app->logger.sink.unsaid, 3);
    /* There is room again. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(real, path), 0);
    capp__logger_reopen(app);
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "found");
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "app", "and again");
    assert_int_equal(app->logger.sink.lost, 3);
    capp_free(app);
    char *text = read_whole(real);
    char *report = strstr(text, " WARN  log: 3 records were lost: No space left on device\n");
    assert_non_null(report);
    assert_null(strstr(strchr(report, '\n'), "were lost"));
    assert_true(strstr(text, "found") < report);
    assert_true(strstr(text, "and again") > report);
    free(text);
    assert_true(now_ms() - began < 5000 * ETCDC_TIME_SCALE);
}

/* The first half of a line gets through, then the disk is full: what follows begins on a line of its own. */
static void a_torn_line_is_ended(void **state)
{
    struct capp__sink sink = {.fd = -1};
    int fds[2];
    char filler[4096 + 1], line[8192 + 2], text[16384];

    (void)state;
    /* A pipe that has room for less than the line. */
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 8192) >= 8192);
    memset(filler, 'f', sizeof(filler));
    assert_int_equal(write(fds[1], filler, 4096), 4096);
    sink.fd = fds[1];
    memset(line, 'x', sizeof(line));
    line[8192] = '\n';
    assert_false(capp__sink_write(&sink, line, 8192));
    assert_int_equal(sink.lost, 1);
    assert_true(sink.torn);
    assert_int_equal(read(fds[0], text, 4096), 4096);
    ssize_t torn = read(fds[0], text, sizeof(text));
    assert_in_range(torn, 1, 8191);
    memcpy(line, "?whole\n", 7);
    assert_true(capp__sink_write(&sink, line, 6));
    assert_int_equal(read(fds[0], text, sizeof(text)), 7);
    assert_memory_equal(text, "\nwhole\n", 7);
    memcpy(line, "?whole\n", 7);
    assert_true(capp__sink_write(&sink, line, 6));
    assert_int_equal(read(fds[0], text, sizeof(text)), 6);
    assert_memory_equal(text, "whole\n", 6);
    close(fds[0]);
    /* And now nobody reads: no SIGPIPE. */
    assert_false(capp__sink_write(&sink, line, 6));
    assert_int_equal(sink.cause, EPIPE);
    assert_false(sink.torn);
    capp__sink_close(&sink);
}

static void a_fifo_that_nobody_reads_is_refused(void **state)
{
    struct capp__sink sink = {.fd = -1};
    const char *path = path_of("fifo");
    capp_error error;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(capp__sink_open_file(&sink, path, &error), CAPP_E_IO);
    assert_int_equal(error.sys_errno, ENXIO);
}

/* ---- the system's log
 * ------------------------------------------------------------------------------------------ */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void expect_datagram(int fd, const char *head, const char *tail)
{
    char text[4096], pid[32];
    ssize_t len = recv(fd, text, sizeof(text) - 1, 0);

    assert_true(len > 0);
    text[len] = '\0';
    assert_memory_equal(text, head, strlen(head));
    snprintf(pid, sizeof(pid), "[%ld]: ", (long)getpid());
    const char *message = strstr(text, pid);
    assert_non_null(message);
    assert_string_equal(message + strlen(pid), tail);
}

static capp_status build_with_syslog(const char *path, capp_app **ret_app, capp_error *error)
{
    capp_builder *builder = capp_builder_new();

    capp_use_name(builder, "shop");
    capp_use_log_syslog(builder, CAPP_LOG_FACILITY_LOCAL0);
    builder->app->logger.syslog_path = path;
    return capp_build(builder, ret_app, error);
}

static void the_system_gets_datagrams(void **state)
{
    const char *path = path_of("devlog");
    size_t before = open_fds();
    int fd = listen_at(path);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    assert_int_equal(build_with_syslog(path, &app, &error), CAPP_OK);
    capp_log_with(capp_app_logger(app), CAPP_LOG_WARN, "orders", CAPP_LOG_FIELDS(CAPP_LOG_INT("n", 1)),
                  "hello");
    expect_datagram(fd, "<132>", "orders: hello n=1");
    /* It was restarted: the next record finds the new one. */
    close(fd);
    fd = listen_at(path);
    capp_log(capp_app_logger(app), CAPP_LOG_ERROR, "orders", "again");
    expect_datagram(fd, "<131>", "orders: again");
    assert_int_equal(app->logger.sink.lost, 0);
    /* It is away for a while. */
    close(fd);
    unlink(path);
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "orders", "lost");
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "orders", "lost");
    assert_int_equal(app->logger.sink.lost, 2);
    fd = listen_at(path);
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "orders", "back");
    expect_datagram(fd, "<134>", "orders: back");
    expect_datagram(fd, "<132>", "log: 2 records were lost: No such file or directory");
    capp_free(app);
    close(fd);
    assert_int_equal(open_fds(), before);
}

/* By configuration, in JSON: the object is the message. */
static void options_choose_the_system(void **state)
{
    const char *path = path_of("chosen");
    int fd = listen_at(path);
    capp_builder *builder = capp_builder_new();
    capp_app *app = NULL;
    char text[1024], message[64];

    (void)state;
    capp_use_config_value(builder, "app.log.output", "syslog");
    capp_use_config_value(builder, "app.log.facility", "local3");
    capp_use_config_value(builder, "app.log.format", "json");
    builder->app->logger.syslog_path = path;
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_log(capp_app_logger(app), CAPP_LOG_INFO, "orders", "chosen");
    ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
    assert_true(len > 0);
    text[len] = '\0';
    assert_memory_equal(text, "<158>", 5);
    assert_non_null(strchr(text, '{'));
    assert_string_equal(json_text(strchr(text, '{'), "message", message, sizeof(message)), "chosen");
    capp_free(app);
    close(fd);
}

static void a_system_that_does_not_read_holds_nobody_up(void **state)
{
    const char *path = path_of("slow");
    int fd = listen_at(path);
    capp_app *app = NULL;
    capp_error error;
    int64_t began = now_ms();

    (void)state;
    assert_int_equal(build_with_syslog(path, &app, &error), CAPP_OK);
    for (int i = 0; i < 5000; i++)
        capp_log(capp_app_logger(app), CAPP_LOG_INFO, "orders", "one of many");
    assert_true(app->logger.sink.lost > 0);
    assert_int_equal(app->logger.sink.cause, EAGAIN);
    assert_true(now_ms() - began < 5000 * ETCDC_TIME_SCALE);
    capp_free(app);
    close(fd);
}

static void a_system_without_a_log_is_a_mistake(void **state)
{
    const char *path = path_of("no-such-log");
    char expected[512];
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    assert_int_equal(build_with_syslog(path, &app, &error), CAPP_E_IO);
    snprintf(expected, sizeof(expected),
             "capp_use_log_syslog: the system's log '%s': cannot open it: No such file or directory", path);
    assert_string_equal(error.message, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_appended_to),
        cmocka_unit_test(lines_of_threads_stay_whole),
        cmocka_unit_test(rotation_loses_and_tears_nothing),
        cmocka_unit_test(the_old_file_stays_when_the_new_one_fails),
        cmocka_unit_test(a_full_disk_costs_records_and_nothing_else),
        cmocka_unit_test(a_torn_line_is_ended),
        cmocka_unit_test(a_fifo_that_nobody_reads_is_refused),
        cmocka_unit_test(the_system_gets_datagrams),
        cmocka_unit_test(options_choose_the_system),
        cmocka_unit_test(a_system_that_does_not_read_holds_nobody_up),
        cmocka_unit_test(a_system_without_a_log_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, setup_folder, remove_folder);
}
