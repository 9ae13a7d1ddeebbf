/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_client_server_version(): which release of etcd the members are. */
#include "base/str.h"
#include "client/client.h"
#include "etcdc/maintenance.h"
#include "runtime/op.h"

#include <inttypes.h>
#include <string.h>

enum {
    OTHERS_MS = 1000, /* how long the other members have, once one has answered */
    VERSION_SIZE = 32,
    PARTS = 3,
};

/* "3.5.30" to numbers; what follows, "-rc.0" say, does not count. */
static void parse(const char *text, uint64_t parts[PARTS])
{
    memset(parts, 0, PARTS * sizeof(parts[0]));
    for (size_t i = 0; i < PARTS; i++) {
        size_t len = strspn(text, "0123456789");

        if (!etcd__parse_u64(text, len, 0, UINT32_MAX, &parts[i]) || text[len] != '.')
            return;
        text += len + 1;
    }
}

static bool is_lower(const char *text, const char *than)
{
    uint64_t a[PARTS], b[PARTS];

    parse(text, a);
    parse(than, b);
    for (size_t i = 0; i < PARTS; i++) {
        if (a[i] != b[i])
            return a[i] < b[i];
    }
    return false;
}

static void keep_lowest(char lowest[VERSION_SIZE], const etcd_member_status_result *status)
{
    if (lowest[0] == '\0' || is_lower(status->version, lowest))
        (void)etcd__format(lowest, VERSION_SIZE, "%s", status->version);
}

/* ---- the other members ----------------------------------------------------------------------------- */

struct others {
    char *endpoints; /* NULL: out of memory */
    etcd_op **ops;
    size_t count;
};

static void start_all(etcd_client *client, struct others *others, int64_t timeout_ms)
{
    char *rest = NULL;

    for (char *one = strtok_r(others->endpoints, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        if (etcd_member_status_async(client, one,
                                     ETCD_ADMIN_OPTS(.timeout_ms = timeout_ms, .fail_fast = true), NULL, NULL,
                                     &others->ops[others->count], NULL) == ETCD_OK)
            others->count++;
    }
}

static void await_all(struct others *others, int64_t deadline_ms, char lowest[VERSION_SIZE])
{
    for (size_t i = 0; i < others->count; i++) {
        etcd_member_status_result *status = NULL;

        /* Each ends by its own deadline, and all began together. */
        if (etcd__op_wait_overdue(others->ops[i], deadline_ms, "server_version", NULL) == ETCD_OK &&
            etcd_member_status_take(others->ops[i], &status, NULL) == ETCD_OK)
            keep_lowest(lowest, status);
        etcd_member_status_result_free(status);
        etcd_op_free(others->ops[i]);
    }
}

/* Those that do not answer have no say. */
static etcd_status ask_others(etcd_client *client, int64_t deadline_ms, char lowest[VERSION_SIZE],
                              etcd_error *reterr)
{
    size_t size = etcd_client_endpoints(client, NULL, 0) + 1;
    int64_t left_ms = deadline_ms - etcd__loop_after_ms(client->loop, 0);
    struct others others = {.endpoints = etcd__calloc(1, size),
                            .ops = etcd__calloc(size / 2 + 1, sizeof(etcd_op *))};
    etcd_status st = ETCD_OK;

    if (left_ms > OTHERS_MS)
        left_ms = OTHERS_MS;
    if (others.endpoints == NULL || others.ops == NULL) {
        st = etcd__fail_memory(reterr);
    } else if (left_ms > 0) {
        /* The list may grow meanwhile: then it is cut, and its last entry may be nonsense. */
        (void)etcd_client_endpoints(client, others.endpoints, size);
        start_all(client, &others, left_ms);
        await_all(&others, etcd__loop_after_ms(client->loop, left_ms), lowest);
    }
    etcd__free(others.ops);
    etcd__free(others.endpoints);
    return st;
}

/* ---- */

etcd_status etcd_client_server_version(etcd_client *client, int64_t timeout_ms, char *dst, size_t size,
                                       etcd_error *reterr)
{
    char lowest[VERSION_SIZE] = "";
    etcd_member_status_result *status = NULL;
    int64_t deadline_ms;
    etcd_status st = etcd__client_check(client, reterr);

    if (st != ETCD_OK)
        return st;
    if (dst == NULL || size == 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "server_version: %s",
                          dst == NULL ? "dst is NULL" : "size is 0");
    if (timeout_ms < 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "server_version: timeout_ms is %" PRId64,
                          timeout_ms);
    deadline_ms = etcd__loop_after_ms(client->loop, timeout_ms == 0 ? client->config.timeout_ms : timeout_ms);
    /* Whoever can be reached first: also finds endpoints, connects and logs in. */
    st = etcd_member_status(client, NULL, ETCD_ADMIN_OPTS(.timeout_ms = timeout_ms), &status, reterr);
    if (st != ETCD_OK)
        return st;
    keep_lowest(lowest, status);
    etcd_member_status_result_free(status);
    st = ask_others(client, deadline_ms, lowest, reterr);
    if (st == ETCD_OK)
        (void)etcd__text_give(dst, size, lowest, strlen(lowest));
    return st;
}
