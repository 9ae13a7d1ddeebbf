/* SPDX-License-Identifier: Apache-2.0 */
#include "support/real.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { ENDPOINTS_MAX = 5, TEXT_MAX = 512, TURN_MS = 10 };

bool real_failed(etcd_status status, const etcd_error *err)
{
    if (status == ETCD_OK)
        return false;
    fprintf(stderr, "%s: %s\n", etcd_status_name(status), err->message);
    return true;
}

/* Cuts the text at its commas. */
static void split(char *text, const char *list[ENDPOINTS_MAX + 1])
{
    size_t count = 0;

    for (char *part = strtok(text, ","); part != NULL && count < ENDPOINTS_MAX; part = strtok(NULL, ","))
        list[count++] = part;
    list[count] = NULL;
}

bool real_open_in(struct real *real, const char *endpoints, etcd_bytes space)
{
    const char *list[ENDPOINTS_MAX + 1];
    char text[TEXT_MAX];
    etcd_error err;

    memset(real, 0, sizeof(*real));
    snprintf(text, sizeof(text), "%s", endpoints);
    split(text, list);
    if (test_caller_drive() &&
        real_failed(etcd_loop_new(ETCD_LOOP_OPTS(.drive = ETCD_DRIVE_CALLER), &real->loop, &err), &err))
        return false;
    if (!real_failed(etcd_client_open(ETCD_CLIENT_OPTS(.name = "test", .endpoints = list, .loop = real->loop,
                                                       .key_namespace = space),
                                      &real->client, &err),
                     &err))
        return true;
    real_close(real);
    return false;
}

bool real_open(struct real *real, const char *endpoints)
{
    return real_open_in(real, endpoints, (etcd_bytes){NULL, 0});
}

void real_close(struct real *real)
{
    etcd_client_free(real->client);
    etcd_loop_free(real->loop);
    memset(real, 0, sizeof(*real));
}

/* One turn of waiting. */
static void turn(struct real *real)
{
    if (real->loop != NULL)
        (void)etcd_loop_wait(real->loop, TURN_MS, NULL);
    else
        poll(NULL, 0, TURN_MS);
}

bool real_wait(struct real *real, bool (*done)(void *arg), void *arg, int64_t ms)
{
    int64_t deadline = test_deadline_ms(ms);

    while (!done(arg)) {
        if (test_now_ms() >= deadline)
            return false;
        turn(real);
    }
    return true;
}

void real_idle(struct real *real, int64_t ms)
{
    int64_t until = test_now_ms() + ms;

    while (test_now_ms() < until)
        turn(real);
}

int real_keys(struct real *real, const char *prefix)
{
    etcd_get_result *result = NULL;
    etcd_error err;
    int64_t count;

    if (real_failed(etcd_get(real->client, etcd_cstr(prefix),
                             ETCD_GET_OPTS(.prefix = true, .count_only = true), &result, &err),
                    &err))
        return -1;
    count = etcd_get_result_total(result);
    etcd_get_result_free(result);
    return (int)count;
}

struct keys_wait {
    struct real *real;
    const char *prefix;
    int count;
};

static bool has_keys(void *arg)
{
    const struct keys_wait *wait = arg;

    return real_keys(wait->real, wait->prefix) == wait->count;
}

bool real_wait_keys(struct real *real, const char *prefix, int count, int64_t ms)
{
    struct keys_wait wait = {.real = real, .prefix = prefix, .count = count};

    return real_wait(real, has_keys, &wait, ms);
}
