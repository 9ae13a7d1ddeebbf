/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any answers on watch streams, for three watches of one client on a scripted network. The input is a list
 * of steps: a byte that says what the server does, a byte that says with which watch, and one number or, for
 * raw messages, a length and so many bytes. Revisions of a watch never go back, its end is told once, nothing
 * leaks, nothing hangs.
 */
#include "support/alloc_fail.h"
#include "support/test.h"
#include "support/watch_world.h"

#include <stdlib.h>

enum { WATCHES = 3, STEPS_MAX = 48, CONNECTIONS_MAX = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *pos, *end;
};

struct watched {
    etcd_watch *watch;
    int64_t revision;
    bool ended;
};

static uint8_t take(struct input *input)
{
    return input->pos < input->end ? *input->pos++ : 0;
}

static void read_all(struct watched *watched)
{
    etcd_events *events = NULL;
    etcd_status st;

    while ((st = etcd_watch_next(watched->watch, 0, &events, NULL)) == ETCD_OK) {
        if (watched->ended || etcd_events_count(events) == 0)
            abort();
        for (size_t i = 0; i < etcd_events_count(events); i++) {
            int64_t revision = etcd_events_at(events, i)->kv.mod_revision;

            if (revision < watched->revision)
                abort();
            watched->revision = revision;
        }
        etcd_events_free(events);
    }
    if (watched->ended && st == ETCD_E_DEADLINE)
        abort();
    watched->ended = st != ETCD_E_DEADLINE;
}

static void send_raw(struct watch_world *world, struct ww_stream *stream, struct input *input)
{
    size_t len = take(input);

    if (len > (size_t)(input->end - input->pos))
        len = (size_t)(input->end - input->pos);
    ww_message(world, stream, input->pos, len);
    input->pos += len;
}

static struct ww_stream *open_stream(struct watch_world *world, uint8_t which)
{
    size_t open = ww_open_streams(world), skip = open == 0 ? 0 : which / 8 % open;

    for (size_t i = 0; open > 0 && i < world->stream_count; i++) {
        if (world->streams[i]->h2 != NULL && skip-- == 0)
            return world->streams[i];
    }
    return NULL;
}

static void act(struct watch_world *world, struct watched *watched, struct input *input)
{
    uint8_t what = take(input), which = take(input);
    struct ww_stream *stream = open_stream(world, which);
    int64_t id = stream != NULL && stream->create_count > 0 ? stream->creates[which % stream->create_count].id
                                                            : which;
    int64_t revision = 90 + take(input) % 40;

    switch (stream == NULL ? 11 : what % 12) {
    case 0:
        ww_created(world, stream, id);
        break;
    case 1:
        ww_created(world, stream, which);
        break;
    case 2:
        ww_refused(world, stream,
                   what < 128 ? "etcdserver: permission denied" : "etcdserver: invalid auth token");
        break;
    case 3:
        ww_canceled(world, stream, id, what < 128 ? "" : "etcdserver: no leader", revision - 100);
        break;
    case 4:
        ww_events(world, stream, id, revision, revision + which % 4);
        break;
    case 5:
        ww_fragment(world, stream, id, revision, 2, what < 128);
        break;
    case 6:
        ww_progress(world, stream, what < 128 ? id : -1, revision);
        break;
    case 7:
        ww_status(world, stream, which % 17, "etcdserver: no leader");
        break;
    case 8:
        if (world->line_count < CONNECTIONS_MAX)
            ww_cut(world);
        break;
    case 9:
        world->cluster_id = 7 + (which == 9);
        break;
    case 10:
        send_raw(world, stream, input);
        break;
    default:
        etcd_watch_cancel(watched[what / 12 % WATCHES].watch);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.pos = data, .end = data + size};
    struct watched watched[WATCHES] = {{0}};
    size_t live = alloc_live();
    uint8_t how = take(&input);

    ww_open(&ww, NULL);
    ww.automatic = how % 2 != 0;
    for (int i = 0; i < WATCHES; i++)
        watched[i].watch = ww_watch("k", i == 2 ? 0 : 95 + i);
    ww_run(&ww, 10);
    for (int step = 0; step < STEPS_MAX && input.pos < input.end; step++) {
        act(&ww, watched, &input);
        ww_run(&ww, step % 4 == 3 ? 300 : 1);
        for (int i = 0; i < WATCHES; i++)
            read_all(&watched[i]);
        if (ww.stream_count > WW_STREAMS / 2 || ww.line_count > CONNECTIONS_MAX)
            break;
    }
    for (int i = 0; i < WATCHES; i++)
        etcd_watch_close(watched[i].watch);
    ww_close(&ww);
    if (alloc_live() != live)
        abort();
    return 0;
}
