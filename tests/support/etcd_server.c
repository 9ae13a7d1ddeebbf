/* SPDX-License-Identifier: Apache-2.0 */
#include "support/etcd_server.h"

#include "support/certs.h"
#include "support/etcd_binary.h"
#include "support/health.h"
#include "support/peer_relay.h"
#include "support/ports.h"
#include "support/process.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    ARGS_MAX = 64,
    START_TRIES = 3,
    READY_MS = 30000,
    CTL_MS = 15000,
    STOP_MS = 5000,
    TAIL_LINES = 30,
};

/* Room for the write-ahead log, which etcd allocates in advance: two files of 64 MB, and the store. */
static const size_t member_room = (size_t)256 << 20;

struct member {
    struct port client, peer, metrics;
    struct port relay; /* with partitions: what the others are told instead of `peer` */
    pid_t pid;         /* 0: not running */
    char *args[ARGS_MAX];
    size_t arg_count;
    bool joins; /* a cluster that runs already */
    char endpoint[48];
    char peer_url[48];
    char log[PATH_MAX];
    char data[PATH_MAX];
};

struct etcd_server {
    struct etcd_server_options options;
    struct etcd_binary binary;
    struct temp_dir dir;
    struct member members[ETCD_SERVER_MEMBERS_MAX];
    size_t member_count;
    struct peer_relay *relay;
    char endpoints[48 * ETCD_SERVER_MEMBERS_MAX];
    char *files[16]; /* paths that were handed out */
    size_t file_count;
    bool auth_enabled;
};

/* ---- the command line of a member ---- */

static __attribute__((format(printf, 2, 3))) void add(struct member *member, const char *format, ...)
{
    assert(member->arg_count + 1 < ARGS_MAX);
    va_list args;
    va_start(args, format);
    if (vasprintf(&member->args[member->arg_count++], format, args) < 0)
        abort(); /* a test without memory for its command line */
    va_end(args);
}

static const char *cert_file(enum etcd_server_cert cert)
{
    static const char *const names[] = {CERTS_SERVER, CERTS_EXPIRED, CERTS_OTHER_HOST};
    return names[cert];
}

static const char *key_file(enum etcd_server_cert cert)
{
    static const char *const names[] = {CERTS_SERVER_KEY, CERTS_EXPIRED_KEY, CERTS_OTHER_HOST_KEY};
    return names[cert];
}

static void add_tls(const struct etcd_server *server, struct member *member)
{
    const struct etcd_server_options *options = &server->options;
    if (options->tls == ETCD_SERVER_PLAIN)
        return;
    add(member, "--cert-file=%s/%s", server->dir.path, cert_file(options->cert));
    add(member, "--key-file=%s/%s", server->dir.path, key_file(options->cert));
    if (options->tls == ETCD_SERVER_MTLS) {
        add(member, "--client-cert-auth");
        add(member, "--trusted-ca-file=%s/%s", server->dir.path, CERTS_CA);
    }
}

static void add_tokens(const struct etcd_server *server, struct member *member)
{
    const struct etcd_server_options *options = &server->options;
    const char *dir = server->dir.path;
    int ttl_s = options->token_ttl_s != 0 ? options->token_ttl_s : 300;
    if (options->jwt)
        add(member, "--auth-token=jwt,pub-key=%s/%s,priv-key=%s/%s,sign-method=RS256,ttl=%ds", dir,
            CERTS_JWT_PUBLIC, dir, CERTS_JWT_KEY, ttl_s);
    else
        add(member, "--auth-token-ttl=%d", ttl_s);
    add(member, "--bcrypt-cost=4"); /* the least: logins are tested, not bcrypt */
}

static uint16_t advertised_peer(const struct member *member)
{
    return member->relay.number != 0 ? member->relay.number : member->peer.number;
}

/* Who joins names those who run, and itself. */
static void add_cluster(const struct etcd_server *server, struct member *member)
{
    char cluster[64 * ETCD_SERVER_MEMBERS_MAX];
    int len = 0;
    for (size_t i = 0; i < server->member_count; i++) {
        const struct member *other = &server->members[i];
        if (!member->joins || other->pid != 0 || other == member)
            len += snprintf(cluster + len, sizeof(cluster) - (size_t)len, "%sm%zu=%s", len == 0 ? "" : ",", i,
                            other->peer_url);
    }
    add(member, "--initial-cluster=%s", cluster);
    add(member, "--initial-cluster-token=%s", strrchr(server->dir.path, '/') + 1);
    add(member, "--initial-cluster-state=%s", member->joins ? "existing" : "new");
    add(member, "--listen-peer-urls=http://127.0.0.1:%u", (unsigned)member->peer.number);
    add(member, "--initial-advertise-peer-urls=%s", member->peer_url);
}

static void make_args(const struct etcd_server *server, size_t index, struct member *member)
{
    const char *scheme = server->options.tls == ETCD_SERVER_PLAIN ? "http" : "https";
    add(member, "%s", server->binary.etcd);
    add(member, "--name=m%zu", index);
    add(member, "--data-dir=%s", member->data);
    add(member, "--listen-client-urls=%s://127.0.0.1:%u", scheme, (unsigned)member->client.number);
    add(member, "--advertise-client-urls=%s://127.0.0.1:%u", scheme, (unsigned)member->client.number);
    add(member, "--listen-metrics-urls=http://127.0.0.1:%u", (unsigned)member->metrics.number);
    add(member, "--logger=zap");
    add(member, "--log-outputs=stderr");
    if (etcd_binary_at_least(&server->binary, 3, 5, 0))
        add(member, "--unsafe-no-fsync");
    add_cluster(server, member);
    add_tls(server, member);
    add_tokens(server, member);
    for (const char *const *arg = server->options.args; arg != NULL && *arg != NULL; arg++)
        add(member, "%s", *arg);
    member->args[member->arg_count] = NULL;
}

/* ---- ports and processes ---- */

static void release_ports(struct etcd_server *server)
{
    for (size_t i = 0; i < server->member_count; i++) {
        struct member *member = &server->members[i];
        port_release(&member->client);
        port_release(&member->peer);
        port_release(&member->metrics);
        port_release(&member->relay);
        for (size_t arg = 0; arg < member->arg_count; arg++)
            free(member->args[arg]);
        member->arg_count = 0;
    }
}

static bool hold_member_ports(const struct etcd_server *server, struct member *member)
{
    const char *scheme = server->options.tls == ETCD_SERVER_PLAIN ? "" : "https://";
    if (!port_hold(&member->client) || !port_hold(&member->peer) || !port_hold(&member->metrics) ||
        (server->options.partitions && !port_hold(&member->relay)))
        return false;
    snprintf(member->endpoint, sizeof(member->endpoint), "%s127.0.0.1:%u", scheme,
             (unsigned)member->client.number);
    snprintf(member->peer_url, sizeof(member->peer_url), "http://127.0.0.1:%u",
             (unsigned)advertised_peer(member));
    return true;
}

static bool hold_ports(struct etcd_server *server)
{
    int len = 0;
    for (size_t i = 0; i < server->member_count; i++) {
        struct member *member = &server->members[i];
        if (!hold_member_ports(server, member))
            return false;
        len += snprintf(server->endpoints + len, sizeof(server->endpoints) - (size_t)len, "%s%s",
                        i == 0 ? "" : ",", member->endpoint);
    }
    return true;
}

static bool start_relay(struct etcd_server *server)
{
    if (!server->options.partitions)
        return true;
    struct peer_route routes[ETCD_SERVER_MEMBERS_MAX];
    for (size_t i = 0; i < server->member_count; i++)
        routes[i] = (struct peer_route){server->members[i].relay.number, server->members[i].peer.number};
    server->relay = peer_relay_start(routes, server->member_count);
    return server->relay != NULL;
}

static bool start_member(struct etcd_server *server, struct member *member)
{
    /* Nothing of our environment: etcd takes every ETCD_ variable for a setting. */
    char home[PATH_MAX + 8];
    snprintf(home, sizeof(home), "HOME=%s", server->dir.path);
    const char *const env[] = {"PATH=/usr/bin:/bin", "ETCD_UNSUPPORTED_ARCH=arm64", home, NULL};
    member->pid = process_start((const char *const *)member->args, env, member->log);
    return member->pid != 0;
}

static void end_member(struct member *member)
{
    if (member->pid == 0)
        return;
    kill(member->pid, SIGKILL);
    process_wait(member->pid);
    member->pid = 0;
}

static bool start_members(struct etcd_server *server)
{
    if (!hold_ports(server) || !start_relay(server))
        return false;
    for (size_t i = 0; i < server->member_count; i++)
        make_args(server, i, &server->members[i]);
    for (size_t i = 0; i < server->member_count; i++)
        if (!start_member(server, &server->members[i]))
            return false;
    for (size_t i = 0; i < server->member_count; i++)
        if (!etcd_server_wait(server, i))
            return false;
    return true;
}

static void end_members(struct etcd_server *server)
{
    for (size_t i = 0; i < server->member_count; i++)
        end_member(&server->members[i]);
    peer_relay_stop(server->relay);
    server->relay = NULL;
    release_ports(server);
}

/* Whether a program outside of the tests was faster to take one of the ports. */
static bool lost_a_port(const struct etcd_server *server)
{
    for (size_t i = 0; i < server->member_count; i++) {
        char line[4096];
        FILE *log = fopen(server->members[i].log, "re");
        bool lost = false;
        while (log != NULL && !lost && fgets(line, sizeof(line), log) != NULL)
            lost = strstr(line, "address already in use") != NULL;
        if (log != NULL)
            fclose(log);
        if (lost)
            return true;
    }
    return false;
}

static bool start_with_retries(struct etcd_server *server)
{
    for (int try = 0; try < START_TRIES; try++) {
        for (size_t i = 0; i < server->member_count; i++) {
            struct member *member = &server->members[i];
            snprintf(member->data, sizeof(member->data), "%s/m%zu.%d", server->dir.path, i, try);
            snprintf(member->log, sizeof(member->log), "%s/m%zu.%d.log", server->dir.path, i, try);
        }
        if (start_members(server))
            return true;
        bool again = lost_a_port(server);
        end_members(server);
        if (!again)
            return false;
    }
    return false;
}

/* ---- authentication ---- */

#define CTL(server, ...) \
    (etcd_server_ctl(server, ETCD_SERVER_ALL, (const char *const[]){__VA_ARGS__, NULL}, NULL, 0) == 0)

static bool add_user(struct etcd_server *server, const struct etcd_server_user *user)
{
    char credentials[256];
    snprintf(credentials, sizeof(credentials), "%s:%s", user->name, user->password);
    return CTL(server, "user", "add", credentials) && CTL(server, "role", "add", user->name) &&
           CTL(server, "role", "grant-permission", "--prefix=true", user->name, "readwrite", user->prefix) &&
           CTL(server, "user", "grant-role", user->name, user->name);
}

static bool enable_auth(struct etcd_server *server)
{
    if (!server->options.auth)
        return true;
    bool ok = CTL(server, "user", "add", "root:" ETCD_SERVER_ROOT_PASSWORD) &&
              CTL(server, "user", "grant-role", "root", "root");
    for (const struct etcd_server_user *user = server->options.users;
         ok && user != NULL && user->name != NULL; user++)
        ok = add_user(server, user);
    server->auth_enabled = ok && CTL(server, "auth", "enable");
    if (!server->auth_enabled)
        fprintf(stderr, "authentication cannot be enabled\n");
    return server->auth_enabled;
}

/* ---- the life of a server ---- */

static bool set_up(struct etcd_server *server)
{
    if (server->options.tls != ETCD_SERVER_PLAIN && !certs_write(server->dir.path))
        return false;
    if (server->options.jwt && !certs_write_jwt(server->dir.path))
        return false;
    return start_with_retries(server) && enable_auth(server);
}

struct etcd_server *etcd_server_start(const struct etcd_server_options *options)
{
    struct etcd_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return NULL;
    if (options != NULL)
        server->options = *options;
    server->member_count = server->options.members != 0 ? server->options.members : 1;
    assert(server->member_count <= ETCD_SERVER_MEMBERS_MAX);
    if (!etcd_binary_find(server->options.version, &server->binary) ||
        !temp_dir_make(&server->dir, member_room * server->member_count)) {
        free(server);
        return NULL;
    }
    if (set_up(server))
        return server;
    fprintf(stderr, "etcd %s did not start\n", server->binary.version);
    etcd_server_free(server);
    return NULL;
}

void etcd_server_free(struct etcd_server *server)
{
    if (server == NULL)
        return;
    end_members(server);
    temp_dir_remove(&server->dir);
    for (size_t i = 0; i < server->file_count; i++)
        free(server->files[i]);
    free(server);
}

static struct member *member_at(struct etcd_server *server, size_t member)
{
    assert(member < server->member_count);
    return &server->members[member];
}

bool etcd_server_wait(struct etcd_server *server, size_t index)
{
    struct member *member = member_at(server, index);
    int64_t deadline = test_deadline_ms(READY_MS);
    while (!health_is_good(member->metrics.number)) {
        if (member->pid == 0 || process_ended(member->pid)) {
            member->pid = 0;
            fprintf(stderr, "etcd member %zu has ended\n", index);
        } else if (test_poll_again(deadline)) {
            continue;
        } else {
            fprintf(stderr, "etcd member %zu is not healthy after %d ms\n", index,
                    READY_MS * ETCDC_TIME_SCALE);
        }
        print_tail(member->log, TAIL_LINES);
        return false;
    }
    return true;
}

static bool signal_member(struct etcd_server *server, size_t index, int signal_number)
{
    struct member *member = member_at(server, index);
    if (member->pid != 0 && kill(member->pid, signal_number) == 0)
        return true;
    fprintf(stderr, "etcd member %zu is not running\n", index);
    return false;
}

bool etcd_server_kill(struct etcd_server *server, size_t member)
{
    if (!signal_member(server, member, SIGKILL))
        return false;
    process_wait(server->members[member].pid);
    server->members[member].pid = 0;
    return true;
}

/* On a busy machine a process runs on for a while after it was sent the signal. */
static bool wait_stopped(pid_t pid)
{
    int64_t deadline_ms = test_deadline_ms(STOP_MS);
    siginfo_t info;

    do {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) != 0)
            return false;
        if (info.si_pid == pid)
            return true;
    } while (test_poll_again(deadline_ms));
    fprintf(stderr, "etcd_server: process %d does not stop\n", (int)pid);
    return false;
}

bool etcd_server_pause(struct etcd_server *server, size_t member)
{
    return signal_member(server, member, SIGSTOP) && wait_stopped(server->members[member].pid);
}

bool etcd_server_resume(struct etcd_server *server, size_t member)
{
    return signal_member(server, member, SIGCONT);
}

bool etcd_server_restart(struct etcd_server *server, size_t index)
{
    struct member *member = member_at(server, index);
    end_member(member);
    return start_member(server, member);
}

bool etcd_server_restart_empty(struct etcd_server *server, size_t index)
{
    struct member *member = member_at(server, index);
    end_member(member);
    static const char *const env[] = {NULL};
    const char *const argv[] = {"/bin/rm", "-rf", "--", member->data, NULL};
    return process_run(argv, env, CTL_MS, NULL, 0) == 0 && start_member(server, member);
}

size_t etcd_server_prepare(struct etcd_server *server)
{
    assert(server->member_count < ETCD_SERVER_MEMBERS_MAX && server->relay == NULL);
    size_t index = server->member_count++;
    struct member *member = &server->members[index];
    member->joins = true;
    snprintf(member->data, sizeof(member->data), "%s/m%zu", server->dir.path, index);
    snprintf(member->log, sizeof(member->log), "%s/m%zu.log", server->dir.path, index);
    if (!hold_member_ports(server, member))
        abort(); /* no port left on the whole machine */
    make_args(server, index, member);
    return index;
}

const char *etcd_server_peer_url(const struct etcd_server *server, size_t member)
{
    assert(member < server->member_count);
    return server->members[member].peer_url;
}

bool etcd_server_partition(struct etcd_server *server, size_t member)
{
    assert(server->relay != NULL && member < server->member_count);
    return peer_relay_cut(server->relay, member);
}

bool etcd_server_heal(struct etcd_server *server)
{
    assert(server->relay != NULL);
    return peer_relay_heal(server->relay);
}

/* ---- what tests ask ---- */

const char *etcd_server_endpoint(const struct etcd_server *server, size_t member)
{
    assert(member < server->member_count);
    return server->members[member].endpoint;
}

const char *etcd_server_endpoints(const struct etcd_server *server)
{
    return server->endpoints;
}

size_t etcd_server_members(const struct etcd_server *server)
{
    return server->member_count;
}

const char *etcd_server_version(const struct etcd_server *server)
{
    return server->binary.version;
}

bool etcd_server_at_least(const struct etcd_server *server, int major, int minor, int patch)
{
    return etcd_binary_at_least(&server->binary, major, minor, patch);
}

const char *etcd_server_dir(const struct etcd_server *server)
{
    return server->dir.path;
}

const char *etcd_server_file(struct etcd_server *server, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", server->dir.path, name) < 0)
        return NULL;
    for (size_t i = 0; i < server->file_count; i++) {
        if (strcmp(server->files[i], path) == 0) {
            free(path);
            return server->files[i];
        }
    }
    assert(server->file_count < sizeof(server->files) / sizeof(server->files[0]));
    server->files[server->file_count++] = path;
    return path;
}

const char *etcd_server_log(const struct etcd_server *server, size_t member)
{
    assert(member < server->member_count);
    return server->members[member].log;
}

pid_t etcd_server_pid(const struct etcd_server *server, size_t member)
{
    assert(member < server->member_count);
    return server->members[member].pid;
}

int etcd_server_ctl(struct etcd_server *server, size_t member, const char *const *args, char *output,
                    size_t output_size)
{
    const char *endpoints = member == ETCD_SERVER_ALL ? server->endpoints
                                                      : etcd_server_endpoint(server, member);
    const char *argv[ARGS_MAX] = {server->binary.etcdctl, "--endpoints", endpoints};
    size_t count = 3;
    if (server->options.tls != ETCD_SERVER_PLAIN) {
        const char *const tls[] = {"--cacert", etcd_server_file(server, CERTS_CA),
                                   "--cert",   etcd_server_file(server, CERTS_CLIENT),
                                   "--key",    etcd_server_file(server, CERTS_CLIENT_KEY)};
        memcpy(argv + count, tls, sizeof(tls));
        count += sizeof(tls) / sizeof(tls[0]);
    }
    if (server->auth_enabled) {
        argv[count++] = "--user";
        argv[count++] = "root:" ETCD_SERVER_ROOT_PASSWORD;
    }
    for (; *args != NULL && count + 1 < ARGS_MAX; args++)
        argv[count++] = *args;
    argv[count] = NULL;

    static const char *const env[] = {"PATH=/usr/bin:/bin", "ETCDCTL_API=3", NULL};
    char unread[4096];
    char *text = output != NULL ? output : unread;
    int status = process_run(argv, env, CTL_MS, text, output != NULL ? output_size : sizeof(unread));
    if (status != 0 && output == NULL)
        fprintf(stderr, "etcdctl ended with %d: %s\n", status, text);
    return status;
}
