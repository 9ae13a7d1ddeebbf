/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/pick.h"

#include <limits.h>

enum {
    /* In 1/8 ms. What differs by less is the same: those take turns. */
    SAME = 8,
};

static bool wanted(const struct etcd__subchannel *subchannel, const struct etcd__call_config *config)
{
    return subchannel != config->avoid && etcd__subchannel_usable(subchannel);
}

/* ---- in turn --------------------------------------------------------------------------------------- */

/* 0 is best. What the call avoids it has reason to; what others found wrong with an endpoint may have passed.
 */
static int rank_of(const struct etcd__subchannel *subchannel, const struct etcd__call_config *config)
{
    int rank = subchannel == config->avoid ? 2 : 0;

    if (etcd__subchannel_stalled(subchannel))
        return rank + 4;
    return rank + (etcd__subchannel_aside(subchannel) ? 1 : 0);
}

static struct etcd__subchannel *pick_in_turn(const struct etcd__choice *choice,
                                             const struct etcd__call_config *config)
{
    struct etcd__subchannel *best = NULL;
    int best_rank = INT_MAX;
    size_t index = *choice->next;

    for (size_t i = 0; i < choice->count && best_rank > 0; i++) {
        struct etcd__subchannel *subchannel;

        if (index >= choice->count)
            index = 0;
        subchannel = choice->list[index++];
        if (etcd__subchannel_ready(subchannel) && rank_of(subchannel, config) < best_rank) {
            best = subchannel;
            best_rank = rank_of(subchannel, config);
            *choice->next = index;
        }
    }
    return best;
}

/* ---- the nearest ----------------------------------------------------------------------------------- */

static bool is_measured(const struct etcd__choice *choice, const struct etcd__subchannel *subchannel)
{
    return subchannel->asked_ms != 0 && choice->now_ms - subchannel->asked_ms < ETCD__MEASURE_EVERY_MS;
}

/* One whose answer time has to be found out. Calls that follow do not wait for the result. */
static struct etcd__subchannel *pick_to_measure(const struct etcd__choice *choice,
                                                const struct etcd__call_config *config)
{
    for (size_t i = 0; i < choice->count; i++) {
        struct etcd__subchannel *subchannel = choice->list[i];

        if (wanted(subchannel, config) && !is_measured(choice, subchannel)) {
            subchannel->asked_ms = choice->now_ms;
            return subchannel;
        }
    }
    return NULL;
}

static int64_t least_taken(const struct etcd__choice *choice, const struct etcd__call_config *config)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < choice->count; i++) {
        const struct etcd__subchannel *subchannel = choice->list[i];

        if (wanted(subchannel, config) && subchannel->took >= 0 && subchannel->took < least)
            least = subchannel->took;
    }
    return least;
}

static struct etcd__subchannel *pick_nearest(const struct etcd__choice *choice,
                                             const struct etcd__call_config *config)
{
    struct etcd__subchannel *subchannel = pick_to_measure(choice, config);
    int64_t least = least_taken(choice, config);
    size_t index = *choice->next;

    if (subchannel != NULL || least == INT64_MAX)
        return subchannel;
    for (size_t i = 0; i < choice->count; i++) {
        if (index >= choice->count)
            index = 0;
        subchannel = choice->list[index++];
        if (wanted(subchannel, config) && subchannel->took >= 0 && subchannel->took - least < SAME) {
            *choice->next = index;
            return subchannel;
        }
    }
    return NULL;
}

/* ---- by the route ---------------------------------------------------------------------------------- */

struct etcd__subchannel *etcd__pick(const struct etcd__choice *choice, const struct etcd__call_config *config)
{
    struct etcd__subchannel *subchannel = NULL;

    if (config->route == ETCD__ROUTE_LEADER && choice->leader != NULL && wanted(choice->leader, config))
        subchannel = choice->leader;
    else if (config->route == ETCD__ROUTE_NEAREST)
        subchannel = pick_nearest(choice, config);
    return subchannel != NULL ? subchannel : pick_in_turn(choice, config);
}
