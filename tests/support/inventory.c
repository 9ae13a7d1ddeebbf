/* SPDX-License-Identifier: Apache-2.0 */
#include "support/inventory.h"

#include "support/test.h"

#include <arpa/inet.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { AWAIT_MS = 15000, ENV_MAX = 10, ENV_SIZE = 512 };

/* ---- servers ------------------------------------------------------------------------------------------ */

/* examples/inventory/inventory, beside the folder that this program lies in. */
static bool find_program(char path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (len <= 0)
        return false;
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, PATH_MAX, "%.*s/examples/inventory/inventory", PATH_MAX - 64, self);
    return access(path, X_OK) == 0;
}

void inventory_world_start(struct inventory_world *world)
{
    static const struct etcd_server_user users[] = {{"inventory", INVENTORY_PASSWORD, "/services/"},
                                                    {NULL, NULL, NULL}};
    char program[PATH_MAX];

    if (!find_program(program))
        skip();
    world->stock = etcd_server_start(NULL);
    world->discovery = etcd_server_start(&(struct etcd_server_options){.auth = true, .users = users});
    assert_true(world->stock != NULL && world->discovery != NULL);
    assert_true(temp_dir_make(&world->dir, 1 << 20));
}

void inventory_world_end(struct inventory_world *world)
{
    etcd_server_free(world->stock);
    etcd_server_free(world->discovery);
    if (world->dir.keeper != 0)
        temp_dir_remove(&world->dir);
    *world = (struct inventory_world){0};
}

static void run_ctl(struct etcd_server *server, const char *const *args, char *output, size_t size)
{
    if (etcd_server_ctl(server, 0, args, output, size) != 0)
        fail_msg("etcdctl %s %s failed", args[0], args[1]);
}

#define CTL(server, output, size, ...) run_ctl(server, (const char *const[]){__VA_ARGS__, NULL}, output, size)

void inventory_world_clean(struct inventory_world *world)
{
    CTL(world->stock, NULL, 0, "del", "--prefix", "/");
    CTL(world->discovery, NULL, 0, "del", "--prefix", "/services/");
}

void inventory_value(struct etcd_server *server, const char *key, char *value, size_t size)
{
    CTL(server, value, size, "get", "--print-value-only", key);
    value[strcspn(value, "\n")] = '\0';
}

void inventory_await_value(struct etcd_server *server, const char *key, const char *expected)
{
    int64_t deadline_ms = test_deadline_ms(AWAIT_MS);
    char value[1024];

    do {
        inventory_value(server, key, value, sizeof(value));
        if (strcmp(value, expected) == 0)
            return;
    } while (test_poll_again(deadline_ms));
    fail_msg("%s is '%s', not '%s'", key, value, expected);
}

void inventory_put(struct etcd_server *server, const char *key, const char *value)
{
    CTL(server, NULL, 0, "put", "--", key, value);
}

/* ---- an instance -------------------------------------------------------------------------------------- */

void inventory_make(struct inventory *one, struct inventory_world *world, const char *name,
                    const char *settings)
{
    *one = (struct inventory){.world = world};
    snprintf(one->name, sizeof(one->name), "%s", name);
    snprintf(one->file, sizeof(one->file), "%s/%s.yaml", world->dir.path, name);
    snprintf(one->log, sizeof(one->log), "%s/%s.log", world->dir.path, name);
    unlink(one->log);
    assert_true(port_hold(&one->api) && port_hold(&one->status));
    inventory_write(one, settings);
}

void inventory_write(struct inventory *one, const char *settings)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s.new", one->file);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "instance:\n  listen: 127.0.0.1:%d\n  status: 127.0.0.1:%d\n  registration_ttl: 2s\n"
            "etcd:\n  clients:\n    discovery:\n      username: inventory\n"
            "      password: { env: INVENTORY_DISCOVERY_PASSWORD }\n%s",
            one->api.number, one->status.number, settings);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(path, one->file), 0);
}

struct environment {
    char text[ENV_MAX][ENV_SIZE];
    const char *list[ENV_MAX + 1];
};

static void make_environment(const struct inventory *one, struct environment *env)
{
    static const char prefix[] = "INVENTORY_ETCD__CLIENTS__";
    const char *stock = one->stock != NULL ? one->stock : etcd_server_endpoint(one->world->stock, 0);
    const char *const ld = getenv("LD_LIBRARY_PATH");
    size_t count = 0;

    *env = (struct environment){.list = {NULL}};
    snprintf(env->text[count++], ENV_SIZE, "%sDEFAULT__ENDPOINTS=%s", prefix, stock);
    snprintf(env->text[count++], ENV_SIZE, "%sCONFIG__ENDPOINTS=%s", prefix, stock);
    snprintf(env->text[count++], ENV_SIZE, "%sDISCOVERY__ENDPOINTS=%s", prefix,
             etcd_server_endpoint(one->world->discovery, 0));
    snprintf(env->text[count++], ENV_SIZE, "INVENTORY_DISCOVERY_PASSWORD=%s", INVENTORY_PASSWORD);
    snprintf(env->text[count++], ENV_SIZE, "INVENTORY_INSTANCE__NAME=%s", one->name);
    snprintf(env->text[count++], ENV_SIZE, "LD_LIBRARY_PATH=%s", ld == NULL ? "" : ld);
    if (one->notify != NULL) {
        snprintf(env->text[count++], ENV_SIZE, "NOTIFY_SOCKET=%s", one->notify);
        snprintf(env->text[count++], ENV_SIZE, "WATCHDOG_USEC=%d", INVENTORY_WATCHDOG_MS * 1000);
    }
    for (size_t i = 0; i < count; i++)
        env->list[i] = env->text[i];
}

void inventory_start(struct inventory *one)
{
    char program[PATH_MAX];
    struct environment env;

    assert_true(find_program(program));
    make_environment(one, &env);
    one->pid = process_start((const char *const[]){program, "--config", one->file, NULL}, env.list, one->log);
    assert_true(one->pid > 0);
}

int inventory_ask(const struct inventory *one, const char *question, char *answer, size_t size)
{
    char program[PATH_MAX];
    struct environment env;

    assert_true(find_program(program));
    make_environment(one, &env);
    return process_run((const char *const[]){program, "--config", one->file, question, NULL}, env.list,
                       test_deadline_ms(AWAIT_MS) - test_now_ms(), answer, size);
}

void inventory_start_ready(struct inventory *one)
{
    inventory_start(one);
    inventory_await(one, "/ready", 200, NULL);
}

void inventory_signal(const struct inventory *one, int signal_number)
{
    assert_true(one->pid > 0);
    assert_int_equal(kill(one->pid, signal_number), 0);
}

int inventory_wait(struct inventory *one)
{
    int status = process_wait(one->pid);

    one->pid = 0;
    return status;
}

void inventory_end(struct inventory *one)
{
    if (one->pid > 0) {
        kill(one->pid, SIGKILL);
        (void)inventory_wait(one);
    }
    if (one->api.number != 0)
        port_release(&one->api);
    if (one->status.number != 0)
        port_release(&one->status);
    *one = (struct inventory){0};
}

/* ---- what can be seen --------------------------------------------------------------------------------- */

static int connect_to(const struct port *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port->number), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = AWAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

int inventory_http(const struct port *port, const char *method, const char *target, const char *key,
                   char text[INVENTORY_TEXT_SIZE])
{
    char request[1024];
    size_t len = 0;
    ssize_t got = 0;
    int fd = connect_to(port);

    text[0] = '\0';
    if (fd < 0)
        return 0;
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n", method, target,
             key == NULL ? "" : "Idempotency-Key: ", key == NULL ? "" : key, key == NULL ? "" : "\r\n");
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request)) {
        while (len < INVENTORY_TEXT_SIZE - 1 &&
               (got = recv(fd, text + len, INVENTORY_TEXT_SIZE - 1 - len, 0)) > 0)
            len += (size_t)got;
    }
    close(fd);
    text[len] = '\0';
    char *content = strstr(text, "\r\n\r\n");
    if (content == NULL)
        return 0;
    int code = (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
    memmove(text, content + 4, strlen(content + 4) + 1);
    return code;
}

void inventory_await(const struct inventory *one, const char *target, int code, const char *part)
{
    static char text[INVENTORY_TEXT_SIZE];
    int64_t deadline_ms = test_deadline_ms(AWAIT_MS);
    int answered;

    do {
        answered = inventory_http(&one->status, "GET", target, NULL, text);
        if (answered == code && (part == NULL || strstr(text, part) != NULL))
            return;
        if (process_ended(one->pid))
            break;
    } while (test_poll_again(deadline_ms));
    print_tail(one->log, 40);
    fail_msg("%s: GET %s: %d instead of %d '%s':\n%s", one->name, target, answered, code,
             part == NULL ? "" : part, text);
}

/* To be freed. */
static char *read_log(const struct inventory *one)
{
    FILE *file = fopen(one->log, "r");
    char *text = NULL;
    size_t len = 0;

    assert_non_null(file);
    FILE *copy = open_memstream(&text, &len);
    assert_non_null(copy);
    for (int c = fgetc(file); c != EOF; c = fgetc(file))
        fputc(c, copy);
    fclose(file);
    assert_int_equal(fclose(copy), 0);
    return text;
}

bool inventory_logged(const struct inventory *one, const char *part)
{
    char *text = read_log(one);
    bool found = strstr(text, part) != NULL;

    free(text);
    return found;
}

void inventory_await_log(const struct inventory *one, const char *part)
{
    int64_t deadline_ms = test_deadline_ms(AWAIT_MS);

    do {
        if (inventory_logged(one, part))
            return;
    } while (test_poll_again(deadline_ms));
    print_tail(one->log, 40);
    fail_msg("'%s' is not in the log of %s", part, one->name);
}

void inventory_last(const struct inventory *one, const char *begin, char *rest, size_t size)
{
    char *text = read_log(one);
    const char *last = NULL;

    for (const char *at = strstr(text, begin); at != NULL; at = strstr(at + 1, begin))
        last = at + strlen(begin);
    if (last == NULL)
        fail_msg("'%s' is not in the log of %s", begin, one->name);
    snprintf(rest, size, "%.*s", (int)strcspn(last, "\n"), last);
    free(text);
}
