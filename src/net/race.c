/* SPDX-License-Identifier: Apache-2.0 */
#include "net/race.h"

#include "base/mem.h"
#include "net/addr.h"

#include <assert.h>
#include <stdio.h>

struct etcd__race_attempt {
    struct etcd__io io;
    struct etcd__race *race;
    struct sockaddr_storage addr;
    int fd;
    bool running;
};

/* ---- the order ---- */

static size_t find_family(const struct etcd__addresses *addresses, size_t from, bool same, sa_family_t family)
{
    while (from < addresses->count && (addresses->list[from].ss_family == family) != same)
        from++;
    return from;
}

/* Takes turns between the family of the first address and the others, each in the resolver's order. */
static void interleave(struct etcd__race *race, const struct etcd__addresses *addresses)
{
    sa_family_t family = addresses->list[0].ss_family;
    size_t positions[2] = {find_family(addresses, 0, false, family), find_family(addresses, 0, true, family)};
    bool turn = true; /* whose turn it is: the first family's */

    for (size_t i = 0; i < race->count; i++) {
        if (positions[turn] == addresses->count)
            turn = !turn;
        race->attempts[i].race = race;
        race->attempts[i].addr = addresses->list[positions[turn]];
        positions[turn] = find_family(addresses, positions[turn] + 1, turn, family);
        turn = !turn;
    }
}

/* ---- attempts ---- */

static const struct etcd__env *race_env(const struct etcd__race *race)
{
    return &race->reactor->env;
}

static void stop_attempt(struct etcd__race_attempt *attempt)
{
    if (!attempt->running)
        return;
    etcd__io_stop(&attempt->io);
    attempt->running = false;
    attempt->race->running--;
}

static void abandon_attempt(struct etcd__race_attempt *attempt)
{
    const struct etcd__env *env = race_env(attempt->race);

    if (!attempt->running)
        return;
    stop_attempt(attempt);
    env->ops->close(env->self, attempt->fd);
}

/* Gives everything back but the error, which the receiver of the end may look at. */
static void clear_race(struct etcd__race *race)
{
    for (size_t i = 0; i < race->next; i++)
        abandon_attempt(&race->attempts[i]);
    etcd__timer_disarm(race->reactor, &race->stagger);
    etcd__task_cancel(&race->finish);
    etcd__free(race->attempts);
    race->attempts = NULL;
}

static void record_failure(struct etcd__race *race, const struct sockaddr_storage *addr, int error)
{
    char address[ETCD__ADDR_TEXT_SIZE];
    char reason[128];
    char note[64] = "";

    if (race->count > 1)
        (void)snprintf(note, sizeof(note), " (the last of %zu addresses)", race->count);
    etcd__fail(&race->error, ETCD_E_UNAVAILABLE, "connect to %s: %s%s",
               etcd__addr_text(address, sizeof(address), addr),
               etcd__errno_text(reason, sizeof(reason), error), note);
    race->error.sys_errno = error;
}

static void on_attempt_ready(struct etcd__io *io, unsigned events);

/* 0, or a negative errno when the attempt failed at once. */
static int start_attempt(struct etcd__race_attempt *attempt)
{
    struct etcd__race *race = attempt->race;
    const struct etcd__env *env = race_env(race);
    int fd = -1;
    int ret;

    ret = env->ops->connect(env->self, (const struct sockaddr *)&attempt->addr,
                            etcd__addr_len(&attempt->addr), &fd);
    if (ret < 0)
        return ret;
    attempt->io.on_ready = on_attempt_ready;
    ret = etcd__io_start(race->reactor, &attempt->io, fd, ETCD__WRITABLE);
    if (ret < 0) {
        env->ops->close(env->self, fd);
        return ret;
    }
    attempt->fd = fd;
    attempt->running = true;
    race->running++;
    return 0;
}

/* Starts the next address that can be started. Without one, and with none under way, the race is lost. */
static void start_next(struct etcd__race *race)
{
    while (race->next < race->count) {
        struct etcd__race_attempt *attempt = &race->attempts[race->next++];
        int ret = start_attempt(attempt);

        if (ret == 0)
            break;
        record_failure(race, &attempt->addr, -ret);
    }
    if (race->running == 0)
        etcd__task_post(race->reactor, &race->finish);
    else if (race->next < race->count)
        etcd__timer_arm(race->reactor, &race->stagger, race->reactor->now_ms + ETCD__RACE_STAGGER_MS);
    else
        etcd__timer_disarm(race->reactor, &race->stagger);
}

static void on_stagger(struct etcd__timer *timer)
{
    start_next(ETCD__CONTAINER(timer, struct etcd__race, stagger));
}

static void on_lost(struct etcd__task *task)
{
    struct etcd__race *race = ETCD__CONTAINER(task, struct etcd__race, finish);
    etcd_error error = race->error;

    clear_race(race);
    race->on_done(race, -1, NULL, &error);
}

static void on_won(struct etcd__race_attempt *attempt)
{
    struct etcd__race *race = attempt->race;
    struct sockaddr_storage addr = attempt->addr;
    int fd = attempt->fd;

    stop_attempt(attempt);
    clear_race(race);
    race->on_done(race, fd, &addr, NULL);
}

static void on_attempt_ready(struct etcd__io *io, unsigned events)
{
    struct etcd__race_attempt *attempt = ETCD__CONTAINER(io, struct etcd__race_attempt, io);
    struct etcd__race *race = attempt->race;
    const struct etcd__env *env = race_env(race);
    int ret = env->ops->connect_result(env->self, attempt->fd);

    (void)events;
    if (ret == 0) {
        on_won(attempt);
        return;
    }
    record_failure(race, &attempt->addr, -ret);
    abandon_attempt(attempt);
    start_next(race);
}

/* ---- the race ---- */

etcd_status etcd__race_start(struct etcd__race *race, struct etcd__reactor *reactor,
                             const struct etcd__addresses *addresses, etcd__race_done_fn *on_done,
                             etcd_error *reterr)
{
    size_t count = addresses->count;

    assert(race->attempts == NULL && count > 0);
    if (count > ETCD__RACE_ADDRESSES_MAX)
        count = ETCD__RACE_ADDRESSES_MAX;
    *race = (struct etcd__race){.reactor = reactor, .on_done = on_done, .count = count};
    race->stagger.on_expire = on_stagger;
    race->finish.run = on_lost;
    race->attempts = etcd__calloc(count, sizeof(*race->attempts));
    if (race->attempts == NULL)
        return etcd__fail_memory(reterr);
    interleave(race, addresses);
    start_next(race);
    return ETCD_OK;
}

void etcd__race_cancel(struct etcd__race *race)
{
    if (race->attempts != NULL)
        clear_race(race);
}

const struct sockaddr_storage *etcd__race_current(const struct etcd__race *race)
{
    return race->attempts == NULL ? NULL : &race->attempts[race->next - 1].addr;
}
