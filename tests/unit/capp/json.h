/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader of JSON (RFC 8259) for tests: whether a text is one, and what a member at the top says. */
#ifndef TESTS_CAPP_JSON_H
#define TESTS_CAPP_JSON_H

#include "base/str.h"
#include "fixture.h"

#include <ctype.h>

static const char *json_value(const char *at);

/* Behind the string that begins at `at`; NULL when it is none. `dst` gets what it says, if wanted. */
static const char *json_string(const char *at, char *dst, size_t size)
{
    size_t len = 0;

    if (*at++ != '"')
        return NULL;
    while (*at != '"') {
        size_t step = etcd__utf8_len(at, strnlen(at, 4));
        char c = *at;

        if (step == 0 || (unsigned char)c < 0x20)
            return NULL;
        if (c == '\\') {
            const char *known = strchr("\"\\/", at[1]);

            /* The host writes no other escapes. */
            if (at[1] == '\0' || known == NULL)
                return NULL;
            at++;
        }
        for (size_t i = 0; i < step && dst != NULL && len + 1 < size; i++)
            dst[len++] = at[i];
        at += step;
    }
    if (dst != NULL)
        dst[len] = '\0';
    return at + 1;
}

static const char *json_number(const char *at)
{
    at += *at == '-';
    if (!isdigit((unsigned char)*at) || (*at == '0' && isdigit((unsigned char)at[1])))
        return NULL;
    while (isdigit((unsigned char)*at))
        at++;
    if (*at == '.' && isdigit((unsigned char)at[1])) {
        at++;
        while (isdigit((unsigned char)*at))
            at++;
    }
    return at;
}

static const char *json_list(const char *at, char end, bool names)
{
    if (*at == end)
        return at + 1;
    for (;;) {
        if (names) {
            at = json_string(at, NULL, 0);
            if (at == NULL || *at++ != ':')
                return NULL;
        }
        at = json_value(at);
        if (at == NULL || (*at != ',' && *at != end))
            return NULL;
        if (*at++ == end)
            return at;
    }
}

static const char *json_value(const char *at)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < 3; i++) {
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    }
    switch (*at) {
    case '"':
        return json_string(at, NULL, 0);
    case '{':
        return json_list(at + 1, '}', true);
    case '[':
        return json_list(at + 1, ']', false);
    default:
        return json_number(at);
    }
}

/* Whether the whole text is one object. */
__attribute__((unused)) static bool json_is_object(const char *text)
{
    const char *end = *text == '{' ? json_value(text) : NULL;

    return end != NULL && *end == '\0';
}

/* Where the value of a member of the object begins; NULL when there is none. Fails when there are two. */
__attribute__((unused)) static const char *json_member(const char *text, const char *name)
{
    const char *at = text + 1, *found = NULL;
    char key[256];

    assert_true(json_is_object(text));
    while (*at == '"') {
        at = json_string(at, key, sizeof(key)) + 1;
        if (strcmp(key, name) == 0) {
            if (found != NULL)
                fail_msg("%s is in it twice: %s", name, text);
            found = at;
        }
        at = json_value(at);
        at += *at == ',';
    }
    return found;
}

/* The text of such a member. */
__attribute__((unused)) static const char *json_text(const char *text, const char *name, char *dst,
                                                     size_t size)
{
    const char *at = json_member(text, name);

    assert_non_null(at);
    assert_non_null(json_string(at, dst, size));
    return dst;
}

#endif
