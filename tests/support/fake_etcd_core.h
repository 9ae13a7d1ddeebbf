/* SPDX-License-Identifier: Apache-2.0 */
/* Between fake_etcd.c (scripts) and its two networks. All of it under the lock. */
#ifndef TESTS_SUPPORT_FAKE_ETCD_CORE_H
#define TESTS_SUPPORT_FAKE_ETCD_CORE_H

#include "support/fake_etcd.h"
#include "support/h2_server.h"

#include <pthread.h>

enum { FAKE_METHODS = 32, FAKE_STEPS = 128, FAKE_FIELDS = 24, FAKE_REQUEST = 512 };

struct fake_method {
    char name[32];
    size_t calls, done;
    struct fake_step always, next[FAKE_STEPS];
    size_t next_pos, next_count;
    char names[FAKE_FIELDS][32], values[FAKE_FIELDS][320];
    size_t field_count;
    uint8_t request[FAKE_REQUEST]; /* the front of the newest */
    size_t request_len;
};

/* One connection. Its network embeds it. */
struct fake_line {
    struct fake_etcd *fake;
    struct h2_server *server;
    struct fake_line *next;
    bool cut;   /* to be closed */
    bool noise; /* write bytes that mean nothing, then close */
};

/* A step that waits for its time. */
struct fake_later {
    struct fake_later *next;
    struct fake_line *line;
    int32_t stream;
    int64_t at_ms;
    struct fake_step step;
    struct fake_method *method;
    uint8_t *data;
    size_t len;
};

struct fake_network; /* of either kind */

struct fake_etcd {
    pthread_mutex_t mutex;
    struct fake_store *store;
    struct fake_method methods[FAKE_METHODS];
    size_t method_count;
    struct fake_line *lines;
    struct fake_later *later;
    size_t connections, resets;
    size_t range_pairs; /* in a part of RangeStream */
    const uint8_t *snapshot;
    size_t snapshot_len;
    char endpoint[32];
    int64_t (*now_ms)(struct fake_etcd *fake);
    /* A step waits: call fake_core_run_due() at that time. */
    void (*remind)(struct fake_etcd *fake, int64_t at_ms);
    void (*free_network)(struct fake_etcd *fake);
    struct fake_network *network;
};

struct fake_etcd *fake_core_new(void);
/* fake_stream.c: answers a request whose answer is a stream; false: it is none of these. */
bool fake_stream_run(struct fake_line *line, struct h2_server_stream *stream, struct fake_method *method,
                     const struct fake_step *step, const uint8_t *data, size_t len);
void fake_core_add_line(struct fake_etcd *fake, struct fake_line *line);
/* Takes the line out and frees its server. */
void fake_core_drop_line(struct fake_line *line);
/* What came in; false: the line is to be closed once its output is written. */
bool fake_core_feed(struct fake_line *line, const void *data, size_t len);
void fake_core_run_due(struct fake_etcd *fake);
/* When the next step is due; INT64_MAX: none. */
int64_t fake_core_next_ms(const struct fake_etcd *fake);

#endif
