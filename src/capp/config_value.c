/* SPDX-License-Identifier: Apache-2.0 */
#include "config_value.h"

#include "base/mem.h"
#include "base/str.h"

#include <inttypes.h>
#include <string.h>

enum { DISTANCE_MAX_LEN = 95 };

/* ---- yes or no ------------------------------------------------------------------------------------- */

bool capp__read_bool(const char *text, bool *ret)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};

    for (size_t i = 0; i < ETCD__COUNT(words); i++) {
        if (etcd__equal_nocase(text, strlen(text), words[i].text)) {
            *ret = words[i].value;
            return true;
        }
    }
    return false;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

bool capp__read_int(const char *text, int64_t *ret)
{
    bool negative = text[0] == '-';
    uint64_t value;

    if (!etcd__parse_u64(text + negative, strlen(text + negative), 0, (uint64_t)INT64_MAX + negative, &value))
        return false;
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* In ascending order: a text is shown in the largest unit that fits. */
static const struct unit times[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};
static const struct unit sizes[] = {
    {"B", 1},         {"kB", 1000},       {"KiB", 1024},       {"MB", 1000000},
    {"MiB", 1048576}, {"GB", 1000000000}, {"GiB", 1073741824},
};

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (etcd__equal_nocase(name, len, units[i].name))
            return &units[i];
    }
    return NULL;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* value += whole * factor, or false when that is above INT64_MAX. */
static bool add_whole(const char *text, size_t len, uint64_t factor, uint64_t *value)
{
    uint64_t whole, product;

    return etcd__parse_u64(text, len, 0, UINT64_MAX, &whole) &&
           !__builtin_mul_overflow(whole, factor, &product) &&
           !__builtin_add_overflow(*value, product, value) && *value <= INT64_MAX;
}

/* The digits behind a point; what is below one is dropped. */
static void add_fraction(const char *text, size_t len, uint64_t factor, uint64_t *value)
{
    uint64_t part = factor;

    for (size_t i = 0; i < len && part >= 10; i++) {
        part /= 10;
        *value += part * (uint64_t)(text[i] - '0');
    }
}

/* One number with its unit; moves on behind it. */
static bool read_part(const char **text, const struct unit *units, size_t count, uint64_t *value)
{
    const char *whole = *text;
    size_t whole_len = digits(whole);
    const char *fraction = whole + whole_len + (whole[whole_len] == '.');
    size_t fraction_len = whole[whole_len] == '.' ? digits(fraction) : 0;
    const char *name = fraction + fraction_len;
    size_t name_len = strcspn(name, "0123456789. ");
    const struct unit *unit = find_unit(units, count, name, name_len);

    if (whole_len == 0 || unit == NULL || (whole[whole_len] == '.' && fraction_len == 0) ||
        !add_whole(whole, whole_len, unit->factor, value))
        return false;
    add_fraction(fraction, fraction_len, unit->factor, value);
    *text = name + name_len;
    return true;
}

bool capp__read_duration(const char *text, int64_t *ret_ms)
{
    uint64_t value = 0;

    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    do {
        if (!read_part(&text, times, ETCD__COUNT(times), &value))
            return false;
    } while (text[0] != '\0');
    if (value > (uint64_t)INT64_MAX)
        return false;
    *ret_ms = (int64_t)value;
    return true;
}

bool capp__read_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t value = 0;

    if (text[digits(text)] == '\0')
        return etcd__parse_u64(text, strlen(text), 0, INT64_MAX, ret_bytes);
    if (strchr(text, '.') != NULL || !read_part(&text, sizes, ETCD__COUNT(sizes), &value) || text[0] != '\0')
        return false;
    *ret_bytes = value;
    return true;
}

/* ---- back ------------------------------------------------------------------------------------------ */

static char *show(uint64_t value, const struct unit *units, size_t count, char dst[CAPP__VALUE_SIZE])
{
    const struct unit *best = &units[0];

    for (size_t i = 1; i < count && value > 0; i++) {
        if (value % units[i].factor == 0)
            best = &units[i];
    }
    etcd__format(dst, CAPP__VALUE_SIZE, "%" PRIu64 "%s", value / best->factor, best->name);
    return dst;
}

char *capp__show_duration(int64_t ms, char dst[CAPP__VALUE_SIZE])
{
    if (ms == 0)
        etcd__format(dst, CAPP__VALUE_SIZE, "0");
    else
        show((uint64_t)ms, times, ETCD__COUNT(times), dst);
    return dst;
}

char *capp__show_size(uint64_t bytes, char dst[CAPP__VALUE_SIZE])
{
    return show(bytes, sizes, ETCD__COUNT(sizes), dst);
}

/* ---- distance -------------------------------------------------------------------------------------- */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

static bool same(char a, char b)
{
    char text[2] = {b == '-' ? '_' : b, '\0'};
    char other = a == '-' ? '_' : a;

    return etcd__equal_nocase(&other, 1, text);
}

size_t capp__distance(const char *a, const char *b)
{
    size_t row[DISTANCE_MAX_LEN + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > DISTANCE_MAX_LEN || b_len > DISTANCE_MAX_LEN)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];

            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + !same(a[i - 1], b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}
