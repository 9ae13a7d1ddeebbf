/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch.h"

#include "client/watch_stream.h"

#include <assert.h>
#include <inttypes.h>

enum {
    PAUSE_FIRST_MS = 50,
    PAUSE_MAX_MS = 2000,
};

static struct etcd_watch *watch_at(struct etcd__node *place)
{
    return ETCD__CONTAINER(place, struct etcd_watch, place);
}

/* ---- counting -------------------------------------------------------------------------------------- */

void etcd__watch_count(struct etcd_watch *watch)
{
    struct etcd_client *client = watch->client;
    struct etcd__watch_hub *hub = &client->watches;

    etcd__list_push(&hub->watches, &watch->in_hub);
    hub->count++;
    etcd__count(&client->metrics.watches, 1);
    if (hub->warned || hub->count <= client->config.warn_watches)
        return;
    hub->warned = true;
    etcd__log(&client->log, ETCD_LOG_WARN, "watch",
              "client '%s': more than %" PRIu32 " watches are open (warn_watches)",
              etcd__client_label(client), client->config.warn_watches);
}

void etcd__watch_uncount(struct etcd_watch *watch)
{
    struct etcd__watch_hub *hub = &watch->client->watches;

    if (!etcd__node_linked(&watch->in_hub))
        return; /* it never began */
    etcd__node_unlink(&watch->in_hub);
    etcd__count_down(&watch->client->metrics.watches);
    if (--hub->count <= watch->client->config.warn_watches)
        hub->warned = false;
}

/* ---- pauses ---------------------------------------------------------------------------------------- */

int64_t etcd__watch_pause_ms(struct etcd__reactor *reactor, unsigned failures)
{
    int64_t pause_ms = PAUSE_FIRST_MS;

    if (failures == 0)
        return 0;
    for (unsigned i = 1; i < failures && pause_ms < PAUSE_MAX_MS; i++)
        pause_ms = pause_ms * 8 / 5;
    /* 80 % to 120 %, and never above the limit. */
    pause_ms = pause_ms * (int64_t)(80 + etcd__reactor_random(reactor, 41)) / 100;
    return pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
}

bool etcd__watch_passing(etcd_status status)
{
    return etcd__status_retryable(status);
}

/* Arms the timer for the first of those that rest. */
static void arm_rest_timer(struct etcd__watch_hub *hub)
{
    struct etcd__reactor *reactor = etcd__client_reactor(hub->client);
    int64_t first_ms = INT64_MAX;

    ETCD__LIST_FOREACH(node, &hub->resting)
    {
        int64_t due_ms = watch_at(node)->at.due_ms;

        if (due_ms < first_ms)
            first_ms = due_ms;
    }
    if (first_ms == INT64_MAX)
        etcd__timer_disarm(reactor, &hub->rest_timer);
    else
        etcd__timer_arm(reactor, &hub->rest_timer, first_ms);
}

static void on_rest_timer(struct etcd__timer *timer)
{
    struct etcd__watch_hub *hub = ETCD__CONTAINER(timer, struct etcd__watch_hub, rest_timer);
    int64_t now_ms = etcd__client_reactor(hub->client)->now_ms;
    struct etcd__list due;
    struct etcd__node *node;

    etcd__list_init(&due);
    ETCD__LIST_FOREACH_SAFE(each, &hub->resting)
    {
        if (watch_at(each)->at.due_ms <= now_ms) {
            etcd__node_unlink(each);
            etcd__list_push(&due, each);
        }
    }
    while ((node = etcd__list_pop(&due)) != NULL)
        etcd__watch_place(watch_at(node));
    arm_rest_timer(hub);
}

void etcd__watch_rest_for(struct etcd_watch *watch, int64_t pause_ms)
{
    struct etcd__watch_hub *hub = &watch->client->watches;
    struct etcd__reactor *reactor = etcd__client_reactor(watch->client);
    int64_t due_ms = pause_ms > INT64_MAX - reactor->now_ms ? INT64_MAX : reactor->now_ms + pause_ms;

    watch->state = ETCD__WATCH_RESTING;
    watch->at.due_ms = due_ms;
    etcd__list_push(&hub->resting, &watch->place);
    if (!etcd__timer_armed(&hub->rest_timer) || due_ms < hub->rest_timer.heap.key)
        etcd__timer_arm(reactor, &hub->rest_timer, due_ms);
}

void etcd__watch_rest(struct etcd_watch *watch)
{
    etcd__watch_rest_for(watch, etcd__watch_pause_ms(etcd__client_reactor(watch->client), watch->failures));
}

/* ---- places ---------------------------------------------------------------------------------------- */

static void place_on(struct etcd__watch_stream *stream, struct etcd_watch *watch)
{
    if (stream != NULL) {
        etcd__watch_stream_add(stream, watch);
        return;
    }
    watch->at.stream = NULL;
    etcd__watch_end(watch, ETCD_E_NO_MEMORY, NULL);
}

void etcd__watch_place(struct etcd_watch *watch)
{
    struct etcd__watch_hub *hub = &watch->client->watches;

    watch->state = ETCD__WATCH_QUEUED;
    if (hub->shared == NULL)
        hub->shared = etcd__watch_stream_new(hub);
    place_on(hub->shared, watch);
}

void etcd__watch_place_alone(struct etcd_watch *watch)
{
    watch->state = ETCD__WATCH_QUEUED;
    place_on(etcd__watch_stream_new(&watch->client->watches), watch);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

void etcd__watch_hub_init(struct etcd__watch_hub *hub, struct etcd_client *client)
{
    *hub = (struct etcd__watch_hub){.client = client};
    etcd__list_init(&hub->watches);
    etcd__list_init(&hub->streams);
    etcd__list_init(&hub->resting);
    hub->rest_timer.on_expire = on_rest_timer;
    etcd__watch_learn_init(hub);
    etcd__watch_verify_init(hub);
}

void etcd__watch_hub_end_all(struct etcd__watch_hub *hub, etcd_status status)
{
    struct etcd__node *node;

    while ((node = etcd__list_first(&hub->watches)) != NULL)
        etcd__watch_end(ETCD__CONTAINER(node, struct etcd_watch, in_hub), status, NULL);
    while ((node = etcd__list_first(&hub->streams)) != NULL)
        etcd__watch_stream_free(ETCD__CONTAINER(node, struct etcd__watch_stream, node));
    etcd__watch_verify_close(hub);
    etcd__task_cancel(&hub->read_task);
    etcd__timer_disarm(etcd__client_reactor(hub->client), &hub->rest_timer);
    assert(etcd__list_empty(&hub->newcomers) && etcd__list_empty(&hub->reads) &&
           etcd__list_empty(&hub->resting));
}
