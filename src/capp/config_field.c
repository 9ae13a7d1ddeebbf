/* SPDX-License-Identifier: Apache-2.0 */
/* One field of a struct of options: its size, its value as text, and whether it says the same as another. */
#include "config_field.h"

#include "base/buf.h"
#include "base/str.h"

#include <inttypes.h>
#include <string.h>

size_t capp__field_size(capp_option_kind kind)
{
    static const size_t sizes[] = {
        [CAPP_KIND_TEXT] = sizeof(const char *), [CAPP_KIND_BOOL] = sizeof(bool),
        [CAPP_KIND_INT] = sizeof(int64_t),       [CAPP_KIND_DURATION] = sizeof(int64_t),
        [CAPP_KIND_SIZE] = sizeof(size_t),       [CAPP_KIND_LIST] = sizeof(const char *const *),
        [CAPP_KIND_CHOICE] = sizeof(int),        [CAPP_KIND_SECRET] = sizeof(capp_secret),
    };

    return sizes[kind];
}

/* ---- as text --------------------------------------------------------------------------------------- */

void capp__show_number(capp_option_kind kind, int64_t number, char dst[CAPP__VALUE_SIZE])
{
    if (kind == CAPP_KIND_DURATION)
        capp__show_duration(number, dst);
    else if (kind == CAPP_KIND_SIZE)
        capp__show_size((uint64_t)number, dst);
    else
        etcd__format(dst, CAPP__VALUE_SIZE, "%" PRId64, number);
}

static bool write_list(struct etcd__buf *text, const char *const *list)
{
    bool ok = etcd__buf_printf(text, "[");

    for (size_t i = 0; list != NULL && list[i] != NULL && ok; i++) {
        char shown[512];

        ok = etcd__buf_printf(text, "%s\"%s\"", i == 0 ? "" : ", ",
                              etcd__escape(shown, sizeof(shown), list[i], strlen(list[i])));
    }
    return ok && etcd__buf_printf(text, "]");
}

static bool write_text(struct etcd__buf *text, const char *value)
{
    char shown[1024];

    return value == NULL ||
           etcd__buf_printf(text, "\"%s\"", etcd__escape(shown, sizeof(shown), value, strlen(value)));
}

static bool write_secret(struct etcd__buf *text, const capp_secret *secret)
{
    switch (secret->kind) {
    case CAPP_SECRET_TEXT:
        return etcd__buf_printf(text, "\"***\"");
    case CAPP_SECRET_ENV:
    case CAPP_SECRET_FILE:
        return etcd__buf_printf(text, "{%s: ", secret->kind == CAPP_SECRET_ENV ? "env" : "file") &&
               write_text(text, secret->ref) && etcd__buf_printf(text, "}");
    default:
        return true;
    }
}

static bool write_choice(struct etcd__buf *text, const capp_option *option, int value)
{
    for (size_t i = 0; i < option->choice_count; i++) {
        if (option->choices[i].value == value)
            return etcd__buf_printf(text, "%s", option->choices[i].name);
    }
    return true;
}

bool capp__field_write(const capp_option *option, const void *field, struct etcd__buf *text)
{
    char number[CAPP__VALUE_SIZE];

    switch (option->kind) {
    case CAPP_KIND_TEXT:
        return write_text(text, *(const char *const *)field);
    case CAPP_KIND_BOOL:
        return etcd__buf_printf(text, "%s", *(const bool *)field ? "true" : "false");
    case CAPP_KIND_LIST:
        return write_list(text, *(const char *const *const *)field);
    case CAPP_KIND_CHOICE:
        return write_choice(text, option, *(const int *)field);
    case CAPP_KIND_SECRET:
        return write_secret(text, field);
    case CAPP_KIND_SIZE:
        capp__show_number(option->kind, (int64_t) * (const size_t *)field, number);
        return etcd__buf_printf(text, "%s", number);
    default:
        capp__show_number(option->kind, *(const int64_t *)field, number);
        return etcd__buf_printf(text, "%s", number);
    }
}

/* ---- the same or not ------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_list(const char *const *a, const char *const *b)
{
    size_t i = 0;

    if (a == NULL || b == NULL)
        return a == b;
    while (a[i] != NULL && b[i] != NULL && strcmp(a[i], b[i]) == 0)
        i++;
    return a[i] == b[i]; /* both ended */
}

bool capp__field_same(const capp_option *option, const void *a, const void *b)
{
    const capp_secret *secret = a, *other = b;

    switch (option->kind) {
    case CAPP_KIND_TEXT:
        return same_text(*(const char *const *)a, *(const char *const *)b);
    case CAPP_KIND_LIST:
        return same_list(*(const char *const *const *)a, *(const char *const *const *)b);
    case CAPP_KIND_SECRET:
        return secret->kind == other->kind && same_text(secret->ref, other->ref);
    default:
        return memcmp(a, b, capp__field_size(option->kind)) == 0;
    }
}
