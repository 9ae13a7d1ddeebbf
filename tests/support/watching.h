/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of watches share: a server with a client, and readers that check what a watch promises. */
#ifndef TESTS_SUPPORT_WATCHING_H
#define TESTS_SUPPORT_WATCHING_H

#include "support/etcd_server.h"

#include <etcdc.h>

struct watching {
    struct etcd_server *server;
    etcd_client *client;
};

/* Set-up and tear-down for cmocka. */
int watching_set_up(void **state);
int watching_tear_down(void **state);
etcd_client *watching_client(void **state);
struct etcd_server *watching_server(void **state);

/* These fail the test when the call fails. */
void watch_ok(etcd_status status, const etcd_error *err);
int64_t watch_put(etcd_client *client, const char *key, const char *value); /* returns the revision */
int64_t watch_delete(etcd_client *client, const char *key);
/* The revision that the server has now. */
int64_t watch_revision(etcd_client *client);
etcd_watch *watch_open(etcd_client *client, const char *key, const etcd_watch_opts *opts);
/* The next batch, within a time that a sound watch never needs. */
etcd_events *watch_next(etcd_watch *watch);
/* The final status; batches before it are dropped. */
etcd_status watch_end(etcd_watch *watch, etcd_error *err);

/*
 * Reads until `last` was delivered: every revision from `first` to `last` has to come once, in order, with
 * one event each.
 */
void watch_expect_each(etcd_watch *watch, int64_t first, int64_t last);
/* The same, but there may be more behind it; returns the revision that comes next. */
int64_t watch_expect_until(etcd_watch *watch, int64_t first, int64_t until);

/* What member 0 counts, by the name that its metrics have for it, labels included; -1: it does not. */
int server_metric(struct etcd_server *server, const char *series);
/* What member 0 counts: "watcher" (watches that it serves) or "watch_stream" (streams that carry them). */
int watch_metric(struct etcd_server *server, const char *what);
/* Waits until it counts so many, and drives the client meanwhile. */
void watch_wait_metric(struct watching *watching, const char *what, int wanted);

#endif
