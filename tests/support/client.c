/* SPDX-License-Identifier: Apache-2.0 */
#include "support/client.h"

#include "support/matrix.h"
#include "support/process.h"
#include "support/test.h"

#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ENDPOINTS_MAX = 16 };

static size_t split(char *text, const char **list)
{
    size_t count = 0;
    char *rest = NULL;

    for (char *part = strtok_r(text, ",", &rest); part != NULL && count < ENDPOINTS_MAX;
         part = strtok_r(NULL, ",", &rest))
        list[count++] = part;
    list[count] = NULL;
    return count;
}

etcd_client *test_client_open(const char *endpoints, const etcd_client_opts *opts)
{
    etcd_client_opts own = ETCD_CLIENT_OPTS_INIT;
    const char *list[ENDPOINTS_MAX + 1];
    char *copy = NULL;
    etcd_client *client = NULL;
    etcd_loop *loop = NULL;
    etcd_error err = {.status = ETCD_OK};

    if (opts != NULL)
        own = *opts;
    if (own.endpoints == NULL && own.discovery_srv == NULL) {
        copy = strdup(endpoints);
        assert_non_null(copy);
        (void)split(copy, list);
        own.endpoints = list;
    }
    if (own.loop == NULL && test_caller_drive()) {
        assert_int_equal(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &loop, &err), ETCD_OK);
        own.loop = loop;
    }
    if (etcd_client_open(&own, &client, &err) != ETCD_OK)
        fail_msg("cannot open a client: %s", err.message);
    etcd_loop_free(loop); /* the client keeps it */
    free(copy);
    return client;
}

void test_pump(etcd_client *client, int64_t ms)
{
    int64_t until_ms = test_now_ms() + ms;

    for (int64_t left = ms; left > 0; left = until_ms - test_now_ms()) {
        if (etcd_client_drive(client) == ETCD_DRIVE_CALLER) {
            assert_int_equal(etcd_loop_wait(client->loop, left, NULL), ETCD_OK);
        } else {
            struct timespec pause = {.tv_sec = (time_t)(left / 1000),
                                     .tv_nsec = (long)(left % 1000) * 1000000L};

            (void)nanosleep(&pause, NULL);
        }
    }
}
