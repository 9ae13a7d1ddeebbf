/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real etcd servers for tests: one member or several, on free loopback ports, in a temporary directory.
 * Nothing is left behind, however the program ends. Start them from a thread that lives as long as they do
 * (the main thread): the kernel ends them with it.
 *
 * Every function that returns bool or a pointer has printed the reason, with the end of the
 * server's log, when it returns false or NULL. All waiting is bounded.
 */
#ifndef ETCDC_TESTS_ETCD_SERVER_H
#define ETCDC_TESTS_ETCD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ETCD_SERVER_MEMBERS_MAX = 5 };
#define ETCD_SERVER_ALL ((size_t)-1)

enum etcd_server_tls {
    ETCD_SERVER_PLAIN,
    ETCD_SERVER_TLS,
    ETCD_SERVER_MTLS, /* clients need a certificate of the same authority */
};

/* The certificate that members of a TLS server show. */
enum etcd_server_cert {
    ETCD_SERVER_CERT_GOOD, /* for 127.0.0.1, ::1 and localhost */
    ETCD_SERVER_CERT_EXPIRED,
    ETCD_SERVER_CERT_OTHER_HOST, /* for other.example only */
};

/* A user with a role of the same name that may read and write everything below a prefix. */
struct etcd_server_user {
    const char *name;
    const char *password;
    const char *prefix;
};

struct etcd_server_options {
    /*
     * "3.4", "3.5.16", "3.5.30" …; NULL: the newest. The environment's ETCD_BIN, when set, names the program
     * to take instead, whatever the version asked for.
     */
    const char *version;
    size_t members; /* 0: one */
    enum etcd_server_tls tls;
    enum etcd_server_cert cert;
    bool auth;                            /* enable it: user root, password ETCD_SERVER_ROOT_PASSWORD */
    const struct etcd_server_user *users; /* with auth; ended by a NULL name; NULL: none but root */
    bool jwt;                             /* tokens are JWT, not simple ones */
    int token_ttl_s;                      /* 0: etcd's default (simple: 300) */
    bool partitions;                      /* etcd_server_partition() will be used */
    const char *const *args;              /* further flags, NULL-terminated; NULL: none */
};

#define ETCD_SERVER_ROOT_PASSWORD "root-password"

struct etcd_server;

/* Starts the members and waits until all answer; options NULL: one plain member of the newest version. */
struct etcd_server *etcd_server_start(const struct etcd_server_options *options);
/* Ends the members and removes everything. NULL is ignored. */
void etcd_server_free(struct etcd_server *server);

/* "127.0.0.1:32379", with the scheme https:// under TLS; and all of them, with commas between. */
const char *etcd_server_endpoint(const struct etcd_server *server, size_t member);
const char *etcd_server_endpoints(const struct etcd_server *server);
size_t etcd_server_members(const struct etcd_server *server);
/* "3.5.30"; and whether it is this version or a later one. */
const char *etcd_server_version(const struct etcd_server *server);
bool etcd_server_at_least(const struct etcd_server *server, int major, int minor, int patch);

/* The directory of everything; under TLS and JWT it holds the files that certs.h names. */
const char *etcd_server_dir(const struct etcd_server *server);
/* The path of a file in that directory, valid until the server is freed. */
const char *etcd_server_file(struct etcd_server *server, const char *name);
const char *etcd_server_log(const struct etcd_server *server, size_t member);
pid_t etcd_server_pid(const struct etcd_server *server, size_t member); /* 0: not running */

/* Ends a member at once, as a crash would. */
bool etcd_server_kill(struct etcd_server *server, size_t member);
/* Stops a member's process: its ports stay open and answer nothing. */
bool etcd_server_pause(struct etcd_server *server, size_t member);
bool etcd_server_resume(struct etcd_server *server, size_t member);
/*
 * Starts a killed member again on its ports, with its data, and does not wait. A member that
 * is alone or has its quorum is then waited for with etcd_server_wait().
 */
bool etcd_server_restart(struct etcd_server *server, size_t member);
/* As restart, but the member has lost its data: a cluster of one comes back empty, with the same ids. */
bool etcd_server_restart_empty(struct etcd_server *server, size_t member);
/* Waits until a member says that it is healthy, which takes a leader. */
bool etcd_server_wait(struct etcd_server *server, size_t member);

/*
 * Room for one more member, which does not run yet: returns its number. Once the cluster was told of it, by
 * etcd_server_peer_url(), etcd_server_restart() starts it. etcd_server_endpoints() is without it.
 */
size_t etcd_server_prepare(struct etcd_server *server);
/* "http://127.0.0.1:32380" */
const char *etcd_server_peer_url(const struct etcd_server *server, size_t member);

/*
 * Cuts a member off from the others, while clients still reach it; heal connects all again.
 * Only where options.partitions was set: the members then talk through a relay of ours.
 */
bool etcd_server_partition(struct etcd_server *server, size_t member);
bool etcd_server_heal(struct etcd_server *server);

/*
 * Runs etcdctl against one member or ETCD_SERVER_ALL, with the certificates and the root user it
 * needs (--user among the arguments names another). `args` is NULL-terminated. What it printed is put into
 * `output` (NUL-terminated, cut where too long); output may be NULL. Returns its exit status, -1 when it
 * could not be run.
 */
int etcd_server_ctl(struct etcd_server *server, size_t member, const char *const *args, char *output,
                    size_t output_size);

/*
 * The versions that are there, oldest first, as a NULL-terminated list that lives as long as
 * the program: one entry when ETCD_BIN is set.
 */
const char *const *etcd_server_versions(void);

#endif
