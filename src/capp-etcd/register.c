/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a client gets into a factory: its name is reserved, it is opened, it waits for a server if it is to,
 * and it becomes a member. Whatever fails on the way, the reservation goes again.
 */
#include "base/error.h"
#include "base/str.h"
#include "factory.h"

#include <assert.h>
#include <string.h>

/* ---- reserving the name ---------------------------------------------------------------------------- */

static const char *taken_in(const struct etcd__list *list, const char *name)
{
    ETCD__LIST_FOREACH(node, list)
    {
        const struct capp__etcd_member *member = ETCD__CONTAINER(node, struct capp__etcd_member, node);

        if (capp__etcd_name_same(member->name, name))
            return member->name;
    }
    return NULL;
}

static capp_status check_free_locked(const capp_etcd_factory *factory, const char *name, capp_error *reterr)
{
    const char *other = taken_in(&factory->shared.members, name);

    if (factory->shared.phase != CAPP__ETCD_OPEN)
        return capp_fail(reterr, CAPP_E_CLOSED, "client '%s': the factory is closed", name);
    if (other == NULL)
        other = taken_in(&factory->shared.pending, name);
    if (other == NULL)
        return CAPP_OK;
    if (strcmp(other, name) == 0)
        return capp_fail(reterr, CAPP_E_DUPLICATE, "client '%s' is added twice", name);
    return capp_fail(reterr, CAPP_E_DUPLICATE,
                     "client '%s' is added already as '%s': case, '-' and '_' make no difference", name,
                     other);
}

/* A pending member without a client. */
static capp_status reserve(capp_etcd_factory *factory, const char *name,
                           struct capp__etcd_member **ret_member, capp_error *reterr)
{
    capp_status status = capp__etcd_name_check(name, reterr);

    if (status != CAPP_OK)
        return status;
    struct capp__etcd_member *member = ETCD__NEW(struct capp__etcd_member);
    if (member == NULL)
        return capp_fail(reterr, CAPP_E_NO_MEMORY, "out of memory");
    memcpy(member->name, name, strlen(name) + 1);
    member->logger = factory->logger;
    capp__etcd_lock(factory);
    status = check_free_locked(factory, name, reterr);
    if (status == CAPP_OK)
        etcd__list_push(&factory->shared.pending, &member->node);
    capp__etcd_unlock(factory);
    if (status == CAPP_OK)
        *ret_member = member;
    else
        etcd__free(member);
    return status;
}

/* Nobody else has seen the client: it can go. */
static void withdraw(capp_etcd_factory *factory, struct capp__etcd_member *member)
{
    capp__etcd_lock(factory);
    etcd__node_unlink(&member->node);
    capp__etcd_unlock(factory);
    etcd_client_free(member->client);
    etcd__free(member);
}

/* ---- opening the client ---------------------------------------------------------------------------- */

/* Most errors of the client layer name the client already. */
static capp_status failed(const struct capp__etcd_member *member, etcd_error *err, capp_error *reterr)
{
    static const char named[] = "client '";

    if (strncmp(err->message, named, sizeof(named) - 1) != 0)
        etcd__error_prefix(err, "client '%s'", member->name);
    return capp_error_from_etcd(err, reterr);
}

static etcd_status shared_loop(capp_etcd_factory *factory, etcd_loop **ret_loop, etcd_error *reterr)
{
    etcd_status st = ETCD_OK;

    capp__etcd_lock(factory);
    if (factory->shared.loop == NULL)
        st = etcd_loop_new(NULL, &factory->shared.loop, reterr);
    *ret_loop = factory->shared.loop;
    capp__etcd_unlock(factory);
    return st;
}

/* The caller's options as far as we know them. */
static capp_status import_opts(const struct capp__etcd_adding *adding, struct capp__etcd_member *member,
                               etcd_client_opts *opts, capp_error *reterr)
{
    capp_etcd_client_opts client_opts = CAPP_ETCD_CLIENT_INIT;
    etcd_error err;
    etcd_status st = etcd__opts_import(opts, sizeof(*opts), adding->opts, "its", &err);

    if (st == ETCD_OK)
        st = etcd__opts_import(&client_opts, sizeof(client_opts), adding->client_opts, "its module", &err);
    if (st == ETCD_OK && (unsigned)client_opts.start > CAPP_ETCD_LAZY)
        st = etcd__fail(&err, ETCD_E_INVALID_ARGUMENT, "start is %d", (int)client_opts.start);
    if (st == ETCD_OK && (unsigned)client_opts.health > CAPP_ETCD_HEALTH_DEGRADED)
        st = etcd__fail(&err, ETCD_E_INVALID_ARGUMENT, "health is %d", (int)client_opts.health);
    if (st == ETCD_OK && opts->name != NULL && strcmp(opts->name, member->name) != 0)
        st = etcd__fail(&err, ETCD_E_INVALID_ARGUMENT, "name is '%s' in its options: leave it out there",
                        opts->name);
    if (st != ETCD_OK)
        return failed(member, &err, reterr);
    opts->name = member->name;
    member->start = client_opts.start;
    member->health = client_opts.health;
    return CAPP_OK;
}

/* What is shown, the application's log decides, whose levels can change while it runs. */
static void use_log(const struct capp__etcd_member *member, etcd_client_opts *opts)
{
    if (opts->log_fn != NULL || opts->log_record_fn != NULL || member->logger == NULL)
        return;
    opts->log_record_fn = capp__etcd_log;
    opts->log_user_data = (void *)(uintptr_t)member->logger; /* the log functions take it const again */
    if (opts->log_level == ETCD_LOG_DEFAULT)
        opts->log_level = ETCD_LOG_TRACE;
}

/* The host stops clients on a thread of its own, which a loop that the program drives cannot have. */
static capp_status check_drive(const struct capp__etcd_adding *adding, const etcd_client *client,
                               capp_error *reterr)
{
    if (!adding->configured || etcd_client_drive(client) == ETCD_DRIVE_THREAD)
        return CAPP_OK;
    return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT,
                     "client '%s': loop is one of caller drive: an application cannot drive it",
                     adding->name);
}

static capp_status open_with(capp_etcd_factory *factory, const struct capp__etcd_adding *adding,
                             struct capp__etcd_member *member, etcd_client_opts *opts, capp_error *reterr)
{
    etcd_status st = ETCD_OK;
    etcd_error err;

    use_log(member, opts);
    if (opts->loop == NULL)
        st = shared_loop(factory, &opts->loop, &err);
    if (st == ETCD_OK)
        st = etcd_client_open(opts, &member->client, &err);
    if (st != ETCD_OK)
        return failed(member, &err, reterr);
    return check_drive(adding, member->client, reterr);
}

static capp_status open_client(capp_etcd_factory *factory, const struct capp__etcd_adding *adding,
                               struct capp__etcd_member *member, capp_error *reterr)
{
    etcd_client_opts opts = ETCD_CLIENT_OPTS_INIT;
    capp_status status = import_opts(adding, member, &opts, reterr);

    return status == CAPP_OK ? open_with(factory, adding, member, &opts, reterr) : status;
}

/* ---- becoming a member ----------------------------------------------------------------------------- */

static void log_added(const struct capp__etcd_member *member)
{
    char endpoints[512];

    if (!capp_log_category_on(member->logger, CAPP_LOG_INFO, "etcd"))
        return;
    (void)etcd_client_endpoints(member->client, endpoints, sizeof(endpoints));
    capp_log_with(
        member->logger, CAPP_LOG_INFO, "etcd",
        CAPP_LOG_FIELDS(CAPP_LOG_TEXT("client", member->name), CAPP_LOG_TEXT("endpoints", endpoints)),
        "client '%s': added, for %s", member->name, endpoints);
}

/* Fails when the factory was closed meanwhile. */
static capp_status admit(capp_etcd_factory *factory, struct capp__etcd_member *member, capp_error *reterr)
{
    capp_status status = CAPP_OK;

    capp__etcd_lock(factory);
    bool stopping = factory->shared.stopping;
    if (factory->shared.phase == CAPP__ETCD_OPEN) {
        etcd__node_unlink(&member->node);
        etcd__list_push(&factory->shared.members, &member->node);
    } else {
        status = capp_fail(reterr, CAPP_E_CLOSED, "client '%s': the factory was closed", member->name);
    }
    capp__etcd_unlock(factory);
    if (status != CAPP_OK)
        return status;
    if (stopping)
        etcd_client_cancel_waits(member->client);
    log_added(member);
    return CAPP_OK;
}

static capp_status add(capp_etcd_factory *factory, const struct capp__etcd_adding *adding, bool connect,
                       struct capp__etcd_member **ret_member, capp_error *reterr)
{
    struct capp__etcd_member *member = NULL;
    capp_status status = reserve(factory, adding->name, &member, reterr);

    if (status != CAPP_OK)
        return status;
    status = open_client(factory, adding, member, reterr);
    if (status == CAPP_OK && connect)
        status = capp__etcd_connect_begin(factory, member, reterr);
    if (status == CAPP_OK)
        status = capp__etcd_connect_end(factory, member, reterr);
    if (status == CAPP_OK)
        status = admit(factory, member, reterr);
    if (status != CAPP_OK)
        withdraw(factory, member);
    else
        *ret_member = member;
    return status;
}

capp_status capp__etcd_add(capp_etcd_factory *factory, const struct capp__etcd_adding *adding,
                           struct capp__etcd_member **ret_member, capp_error *reterr)
{
    *ret_member = NULL;
    return add(factory, adding, false, ret_member, reterr);
}

capp_status capp_etcd_factory_register(capp_etcd_factory *factory, const char *name,
                                       const etcd_client_opts *opts, const capp_etcd_client_opts *client_opts,
                                       capp_error *reterr)
{
    const struct capp__etcd_adding adding = {.name = name, .opts = opts, .client_opts = client_opts};
    struct capp__etcd_member *member;

    if (factory == NULL)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "capp_etcd_factory_register: factory is NULL");
    return add(factory, &adding, true, &member, reterr);
}
