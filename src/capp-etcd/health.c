/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's reports say of clients: whether each works, and what all have counted. */
#include "base/mem.h"
#include "factory.h"

void capp__etcd_look(void *self, capp_health *health)
{
    const struct capp__etcd_member *member = self;
    etcd_error err;

    if (etcd_client_state_now(member->client) == ETCD_CLIENT_IDLE)
        capp_health_set(health, CAPP_HEALTH_UP, "not used yet");
    else if (etcd_client_trouble(member->client, &err) != ETCD_OK)
        capp_health_set(health,
                        member->health == CAPP_ETCD_HEALTH_DOWN ? CAPP_HEALTH_DOWN : CAPP_HEALTH_DEGRADED,
                        "%s", err.message);
}

/* Those that there are now: others may be registered meanwhile. NULL: out of memory, or there is none. */
static const etcd_client **clients_of(capp_etcd_factory *factory, size_t *ret_count)
{
    size_t room = capp_etcd_factory_list(factory, NULL, 0), count = 0;
    const etcd_client **clients = room == 0 ? NULL : etcd__calloc(room, sizeof(const etcd_client *));
    struct capp__etcd_member *member = NULL;

    while (clients != NULL && count < room && (member = capp__etcd_next(factory, member)) != NULL)
        clients[count++] = member->client;
    *ret_count = count;
    return clients;
}

/* Short of memory the numbers are left out, for this time. */
void capp__etcd_write_metrics(void *self, capp_metrics *out)
{
    size_t count, size;
    const etcd_client **clients = clients_of(self, &count);
    char *text;

    if (clients == NULL)
        return;
    size = etcd_metrics_text(clients, count, NULL, 0) + 1024; /* numbers grow while they are read */
    text = etcd__malloc(size);
    if (text != NULL) {
        (void)etcd_metrics_text(clients, count, text, size);
        capp_metrics_printf(out, "%s", text);
    }
    etcd__free(text);
    etcd__free(clients);
}
