/* SPDX-License-Identifier: Apache-2.0 */
#include "mistakes.h"

#include "base/str.h"
#include "fail.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };

struct capp__mistake {
    capp_status status;
    char text[];
};

static const struct capp__mistake *at(const struct capp__mistakes *mistakes, size_t i)
{
    return mistakes->list.items[i];
}

void capp__mistakes_deinit(struct capp__mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->list.count; i++)
        etcd__free(mistakes->list.items[i]);
    capp__ptrs_deinit(&mistakes->list);
}

bool capp__mistakes_any(const struct capp__mistakes *mistakes)
{
    return mistakes->list.count > 0 || mistakes->no_memory;
}

void capp__mistakes_get(const struct capp__mistakes *mistakes, size_t i, capp_error *ret_error)
{
    capp_fail(ret_error, at(mistakes, i)->status, "%s", at(mistakes, i)->text);
}

static void note(struct capp__mistakes *mistakes, capp_status status, const char *text)
{
    size_t len = strlen(text);
    struct capp__mistake *mistake = etcd__malloc(sizeof(*mistake) + len + 1);

    if (mistake == NULL || !capp__ptrs_push(&mistakes->list, mistake)) {
        etcd__free(mistake);
        mistakes->no_memory = true;
        return;
    }
    mistake->status = status;
    memcpy(mistake->text, text, len + 1);
}

capp_status capp__mistakes_vadd(struct capp__mistakes *mistakes, const char *origin, capp_status status,
                                const char *format, va_list args)
{
    char text[TEXT_SIZE];
    size_t len = 0;

    if (origin[0] != '\0')
        len = etcd__format(text, sizeof(text), "%s: ", origin);
    etcd__vformat(text + len, sizeof(text) - len, format, args);
    if (status == CAPP_E_NO_MEMORY)
        mistakes->no_memory = true;
    else
        note(mistakes, status, text);
    return status;
}

capp_status capp__mistakes_add(struct capp__mistakes *mistakes, const char *origin, capp_status status,
                               const char *format, ...)
{
    va_list args;

    va_start(args, format);
    capp__mistakes_vadd(mistakes, origin, status, format, args);
    va_end(args);
    return status;
}

/* "3 mistakes: first; second; third", cut at the end; one alone stands for itself. */
static void list_all(const struct capp__mistakes *mistakes, char *dst, size_t size)
{
    const size_t count = mistakes->list.count;
    size_t len = count == 1 ? 0 : etcd__format(dst, size, "%zu mistakes: ", count);

    for (size_t i = 0; i < count; i++) {
        const char *text = at(mistakes, i)->text;
        size_t text_len = strlen(text);
        size_t cut = etcd__utf8_cut(text, text_len, size - len - 1);

        memcpy(dst + len, text, cut);
        len += cut;
        dst[len] = '\0';
        if (cut < text_len)
            return;
        if (i + 1 < count)
            len += etcd__format(dst + len, size - len, "; ");
    }
}

capp_status capp__mistakes_report(const struct capp__mistakes *mistakes, const capp_logger *logger,
                                  capp_log_level level, const char *category, capp_error *reterr)
{
    char all[CAPP_ERROR_MESSAGE_SIZE];

    assert(capp__mistakes_any(mistakes));
    for (size_t i = 0; i < mistakes->list.count; i++)
        capp_log(logger, level, category, "%s", at(mistakes, i)->text);
    if (mistakes->no_memory)
        return capp__fail_memory(reterr);
    list_all(mistakes, all, sizeof(all));
    return capp_fail(reterr, at(mistakes, 0)->status, "%s", all);
}
