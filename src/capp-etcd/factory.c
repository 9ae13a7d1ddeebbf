/* SPDX-License-Identifier: Apache-2.0 */
#include "factory.h"

#include "base/str.h"

#include <string.h>

CAPP_TYPE_DEFINE(etcd_client);
CAPP_TYPE_DEFINE(capp_etcd_factory);

void capp__etcd_lock(capp_etcd_factory *factory)
{
    (void)pthread_mutex_lock(&factory->shared.mutex);
}

void capp__etcd_unlock(capp_etcd_factory *factory)
{
    (void)pthread_mutex_unlock(&factory->shared.mutex);
}

static struct capp__etcd_member *member_of(struct etcd__node *node)
{
    return ETCD__CONTAINER(node, struct capp__etcd_member, node);
}

struct capp__etcd_member *capp__etcd_next(capp_etcd_factory *factory, struct capp__etcd_member *member)
{
    struct etcd__list *members = &factory->shared.members;

    capp__etcd_lock(factory);
    struct etcd__node *node = member == NULL ? members->head.next : member->node.next;
    struct capp__etcd_member *next = node == &members->head ? NULL : member_of(node);
    capp__etcd_unlock(factory);
    return next;
}

/* ---- making and freeing ---------------------------------------------------------------------------- */

/* Waits on the monotonic clock: somebody may set the other one. */
static int init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int error = pthread_condattr_init(&attr);

    if (error != 0)
        return error;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    error = pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    return error;
}

static bool init_shared(capp_etcd_factory *factory)
{
    if (pthread_mutex_init(&factory->shared.mutex, NULL) != 0)
        return false;
    if (init_cond(&factory->shared.closed) != 0) {
        (void)pthread_mutex_destroy(&factory->shared.mutex);
        return false;
    }
    etcd__list_init(&factory->shared.members);
    etcd__list_init(&factory->shared.pending);
    return true;
}

capp_status capp_etcd_factory_new(const capp_logger *logger, capp_etcd_factory **ret_factory,
                                  capp_error *reterr)
{
    if (ret_factory == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_etcd_factory_new: ret_factory is NULL");
    capp_etcd_factory *factory = ETCD__NEW(capp_etcd_factory);
    if (factory == NULL || !init_shared(factory)) {
        etcd__free(factory);
        return capp_fail(reterr, CAPP_E_NO_MEMORY, "out of memory");
    }
    factory->logger = logger;
    *ret_factory = factory;
    return CAPP_OK;
}

void capp_etcd_factory_free(capp_etcd_factory *factory)
{
    struct etcd__node *node;

    if (factory == NULL)
        return;
    (void)capp_etcd_factory_close(factory, 0, NULL);
    while ((node = etcd__list_pop(&factory->shared.members)) != NULL) {
        etcd_client_free(member_of(node)->client);
        etcd__free(member_of(node));
    }
    etcd_loop_free(factory->shared.loop);
    (void)pthread_cond_destroy(&factory->shared.closed);
    (void)pthread_mutex_destroy(&factory->shared.mutex);
    etcd__free(factory);
}

/* ---- looking --------------------------------------------------------------------------------------- */

static struct capp__etcd_member *find_locked(const capp_etcd_factory *factory, const char *name)
{
    ETCD__LIST_FOREACH(node, &factory->shared.members)
    {
        if (strcmp(member_of(node)->name, name) == 0)
            return member_of(node);
    }
    return NULL;
}

static capp_status not_found_locked(const capp_etcd_factory *factory, const char *name, capp_error *reterr)
{
    char shown[CAPP__ETCD_NAME_SIZE + 16], known[256];
    size_t len = 0;

    known[0] = '\0';
    ETCD__LIST_FOREACH(node, &factory->shared.members)
    {
        len += etcd__format(known + len, sizeof(known) - len, "%s'%s'", len == 0 ? "" : ", ",
                            member_of(node)->name);
    }
    etcd__escape(shown, sizeof(shown), name, strlen(name));
    if (len == 0)
        return capp_fail(reterr, CAPP_E_NOT_FOUND, "there is no etcd client '%s'; there is none at all",
                         shown);
    return capp_fail(reterr, CAPP_E_NOT_FOUND, "there is no etcd client '%s'; there are: %s", shown, known);
}

static capp_status get_locked(const capp_etcd_factory *factory, const char *name, etcd_client **ret_client,
                              capp_error *reterr)
{
    if (factory->shared.phase != CAPP__ETCD_OPEN)
        return capp_fail(reterr, CAPP_E_CLOSED, "the etcd clients are closed");
    const struct capp__etcd_member *member = find_locked(factory, name);
    if (member == NULL)
        return not_found_locked(factory, name, reterr);
    *ret_client = member->client;
    return CAPP_OK;
}

capp_status capp_etcd_factory_get(capp_etcd_factory *factory, const char *name, etcd_client **ret_client,
                                  capp_error *reterr)
{
    if (ret_client == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_etcd_factory_get: ret_client is NULL");
    *ret_client = NULL;
    if (factory == NULL || name == NULL || name[0] == '\0')
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_etcd_factory_get: %s",
                         factory == NULL ? "factory is NULL"
                         : name == NULL  ? "name is NULL"
                                         : "name is empty");
    capp__etcd_lock(factory);
    capp_status status = get_locked(factory, name, ret_client, reterr);
    capp__etcd_unlock(factory);
    return status;
}

bool capp_etcd_factory_has(capp_etcd_factory *factory, const char *name)
{
    etcd_client *client;

    return capp_etcd_factory_get(factory, name, &client, NULL) == CAPP_OK;
}

size_t capp_etcd_factory_list(capp_etcd_factory *factory, const char **names, size_t capacity)
{
    size_t count = 0;

    if (factory == NULL)
        return 0;
    capp__etcd_lock(factory);
    ETCD__LIST_FOREACH(node, &factory->shared.members)
    {
        if (count < capacity)
            names[count] = member_of(node)->name;
        count++;
    }
    capp__etcd_unlock(factory);
    return count;
}

void capp_etcd_factory_each(capp_etcd_factory *factory, capp_etcd_each_fn *fn, void *user_data)
{
    struct capp__etcd_member *member = NULL;

    if (factory == NULL || fn == NULL)
        return;
    while ((member = capp__etcd_next(factory, member)) != NULL) {
        if (!fn(member->name, member->client, user_data))
            return;
    }
}
