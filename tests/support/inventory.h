/* SPDX-License-Identifier: Apache-2.0 */
/*
 * examples/inventory as its operators run it: the real program, on two real servers - one for stock and
 * settings, one with users for discovery - with a file of settings, environment, signals and its two HTTP
 * ports. All functions fail the test when they cannot do what they say.
 */
#ifndef ETCDC_TESTS_INVENTORY_H
#define ETCDC_TESTS_INVENTORY_H

#include "support/etcd_server.h"
#include "support/ports.h"
#include "support/process.h"

/* The password of the client "discovery": must never be seen. */
#define INVENTORY_PASSWORD "c4n4ry-of-the-inventory"
#define INVENTORY_PREFIX "/inventory/"

enum { INVENTORY_WATCHDOG_MS = 400 };

struct inventory_world {
    struct etcd_server *stock, *discovery;
    struct temp_dir dir;
};

/* Skips the test where the examples are not built. */
void inventory_world_start(struct inventory_world *world);
void inventory_world_end(struct inventory_world *world);
/* Without keys and leases, for the next test. */
void inventory_world_clean(struct inventory_world *world);

/* One instance; zeroed memory is none. */
struct inventory {
    struct inventory_world *world;
    char name[32];
    char file[128], log[128];
    struct port api, status;
    pid_t pid;
    const char *notify; /* NOTIFY_SOCKET, and with it a watchdog of INVENTORY_WATCHDOG_MS; NULL: none */
    const char *stock;  /* where the stock is; NULL: the server itself */
};

/* Makes ready an instance that is not running: its ports, and its file with `settings` (YAML; "" for none).
 */
void inventory_make(struct inventory *one, struct inventory_world *world, const char *name,
                    const char *settings);
/* Replaces the settings in the file; tells nobody. */
void inventory_write(struct inventory *one, const char *settings);
/* Asks the program something by one more argument: its exit status, and what it said. */
int inventory_ask(const struct inventory *one, const char *question, char *answer, size_t size);
/* Starts the program, its log appended to; and waits until it is ready. */
void inventory_start(struct inventory *one);
void inventory_start_ready(struct inventory *one);
void inventory_signal(const struct inventory *one, int signal_number);
/* Waits for the end: the exit status, or 128 + signal. */
int inventory_wait(struct inventory *one);
/* Kills it if it runs, and gives back its ports. */
void inventory_end(struct inventory *one);

/* ---- what can be seen of it --------------------------------------------------------------------------- */

enum { INVENTORY_TEXT_SIZE = 65536 };

/* A request of HTTP: the code of the answer, its content into `text`; 0: no answer. */
int inventory_http(const struct port *port, const char *method, const char *target, const char *key,
                   char text[INVENTORY_TEXT_SIZE]);
/* Waits until GET of the status port's `target` answers so; `part` of the content may be NULL. */
void inventory_await(const struct inventory *one, const char *target, int code, const char *part);
/* Whether the log has it; waits until it has; how often. */
bool inventory_logged(const struct inventory *one, const char *part);
void inventory_await_log(const struct inventory *one, const char *part);
/* The value of a key, by etcdctl; "" when there is none. */
void inventory_value(struct etcd_server *server, const char *key, char *value, size_t size);
void inventory_await_value(struct etcd_server *server, const char *key, const char *value);
/* What the log says last between `begin` and the end of its line; fails when it says nothing. */
void inventory_last(const struct inventory *one, const char *begin, char *rest, size_t size);
/* Puts a key, by etcdctl. */
void inventory_put(struct etcd_server *server, const char *key, const char *value);

#endif
