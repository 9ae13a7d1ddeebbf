/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implementation notes. The message is copied into the arena with one byte to spare,
 * and keys and values stay where they are in the copy. A NUL has to follow each of them: it
 * overwrites the byte after, which is the first of the next field's tag. That is safe once that tag
 * has been read, so an element (a pair, an event) is finished only after the tag that follows it on
 * the outermost level was read, or at the end, where the spare byte is.
 */
#include "wire/bulk.h"

#include "wire/reader.h"

#include <string.h>

#define TAG_VARINT(field) ETCD__WIRE_TAG(field, ETCD__WIRE_VARINT)
#define TAG_BYTES(field) ETCD__WIRE_TAG(field, ETCD__WIRE_BYTES)

/* Passes over a field that this reader does not know; one it knows has the wrong wire type, an error. */
static bool skip_unknown(struct etcd__wire_reader *reader, uint64_t tag, uint64_t known_max)
{
    return tag >> 3 > known_max && etcd__wire_skip(reader, tag);
}

static bool read_header(struct etcd__wire_reader in, etcd_header *header)
{
    bool ok = true;

    while (ok && etcd__wire_left(&in) > 0) {
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag))
            return false;
        switch (tag) {
        case TAG_VARINT(1):
            ok = etcd__wire_read_varint(&in, &header->cluster_id);
            break;
        case TAG_VARINT(2):
            ok = etcd__wire_read_varint(&in, &header->member_id);
            break;
        case TAG_VARINT(3):
            ok = etcd__wire_read_int64(&in, &header->revision);
            break;
        case TAG_VARINT(4):
            ok = etcd__wire_read_varint(&in, &header->raft_term);
            break;
        default:
            ok = skip_unknown(&in, tag, 4);
        }
    }
    return ok;
}

static bool read_header_field(struct etcd__wire_reader *reader, etcd_header *header)
{
    struct etcd__wire_reader content;

    return etcd__wire_read_bytes(reader, &content) && read_header(content, header);
}

static bool read_view(struct etcd__wire_reader *reader, etcd_bytes *view)
{
    struct etcd__wire_reader content;

    if (!etcd__wire_read_bytes(reader, &content))
        return false;
    view->len = etcd__wire_left(&content);
    view->data = view->len == 0 ? "" : (const void *)content.pos;
    return true;
}

static etcd_kv empty_kv(void)
{
    return (etcd_kv){.key = {.data = "", .len = 0}, .value = {.data = "", .len = 0}};
}

static bool read_kv(struct etcd__wire_reader in, etcd_kv *kv)
{
    bool ok = true;

    while (ok && etcd__wire_left(&in) > 0) {
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag))
            return false;
        switch (tag) {
        case TAG_BYTES(1):
            ok = read_view(&in, &kv->key);
            break;
        case TAG_VARINT(2):
            ok = etcd__wire_read_int64(&in, &kv->create_revision);
            break;
        case TAG_VARINT(3):
            ok = etcd__wire_read_int64(&in, &kv->mod_revision);
            break;
        case TAG_VARINT(4):
            ok = etcd__wire_read_int64(&in, &kv->version);
            break;
        case TAG_BYTES(5):
            ok = read_view(&in, &kv->value);
            break;
        case TAG_VARINT(6):
            ok = etcd__wire_read_int64(&in, &kv->lease_id);
            break;
        default:
            ok = skip_unknown(&in, tag, 6);
        }
    }
    return ok;
}

static bool read_kv_field(struct etcd__wire_reader *reader, etcd_kv *kv)
{
    struct etcd__wire_reader content;

    return etcd__wire_read_bytes(reader, &content) && read_kv(content, kv);
}

/* The bytes lie in a message that is ours, which is const only to whoever looks at the pair. */
static void terminate(etcd_bytes view)
{
    union {
        const void *in;
        char *out;
    } data = {.in = view.data};

    if (view.len > 0)
        data.out[view.len] = '\0';
}

static void finish_kv(const etcd_kv *kv)
{
    terminate(kv->key);
    terminate(kv->value);
}

/* How often a bytes field occurs on the outermost level; false when that level is malformed. */
static bool count_fields(struct etcd__wire_reader in, uint64_t wanted, size_t *ret)
{
    *ret = 0;
    while (etcd__wire_left(&in) > 0) {
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag) || !etcd__wire_skip(&in, tag))
            return false;
        *ret += tag == wanted;
    }
    return true;
}

/* The copy to read from. An empty message gets one too, so that there is always something to point to. */
static bool copy_message(struct etcd__arena *arena, const uint8_t *data, size_t len, size_t elements_hint,
                         struct etcd__wire_reader *ret)
{
    if (arena->blocks == NULL && arena->next_size == 0 && len + elements_hint > 512)
        etcd__arena_init(arena, len + elements_hint + 64);
    ret->pos = etcd__arena_memdup(arena, data, len);
    if (ret->pos == NULL)
        return false;
    ret->end = ret->pos + len;
    return true;
}

/* NULL when out of memory; a valid pointer for none. */
static void *alloc_array(struct etcd__arena *arena, size_t count, size_t size)
{
    return count > SIZE_MAX / size ? NULL : etcd__arena_alloc(arena, count * size);
}

/* --- ranges --- */

static bool read_range_fields(struct etcd__wire_reader in, struct etcd__wire_range *ret)
{
    bool ok = true;
    size_t done = 0; /* pairs that are finished */

    while (ok && etcd__wire_left(&in) > 0) {
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag))
            return false;
        if (done < ret->kv_count)
            finish_kv(&ret->kvs[done++]);
        switch (tag) {
        case TAG_BYTES(1):
            ok = read_header_field(&in, &ret->header);
            break;
        case TAG_BYTES(2):
            ret->kvs[ret->kv_count] = empty_kv();
            ok = read_kv_field(&in, &ret->kvs[ret->kv_count++]);
            break;
        case TAG_VARINT(3):
            ok = etcd__wire_read_bool(&in, &ret->more);
            break;
        case TAG_VARINT(4):
            ok = etcd__wire_read_int64(&in, &ret->count);
            break;
        default:
            ok = skip_unknown(&in, tag, 4);
        }
    }
    if (ok && done < ret->kv_count)
        finish_kv(&ret->kvs[done]);
    return ok;
}

/* From a message that may be written to. */
static etcd_status read_range(struct etcd__arena *arena, struct etcd__wire_reader in, size_t count,
                              struct etcd__wire_range *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->kvs = alloc_array(arena, count, sizeof(*ret->kvs));
    if (ret->kvs == NULL)
        return ETCD_E_NO_MEMORY;
    return read_range_fields(in, ret) ? ETCD_OK : ETCD_E_PROTOCOL;
}

etcd_status etcd__wire_read_range(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                  struct etcd__wire_range *ret)
{
    struct etcd__wire_reader in = {.pos = data, .end = data + len};
    size_t count;

    if (!count_fields(in, TAG_BYTES(2), &count))
        return ETCD_E_PROTOCOL;
    if (!copy_message(arena, data, len, count * sizeof(*ret->kvs), &in))
        return ETCD_E_NO_MEMORY;
    return read_range(arena, in, count, ret);
}

etcd_status etcd__wire_read_range_in_place(struct etcd__arena *arena, uint8_t *data, size_t len,
                                           struct etcd__wire_range *ret)
{
    struct etcd__wire_reader in = {.pos = data, .end = data + len};
    size_t count;

    if (!count_fields(in, TAG_BYTES(2), &count))
        return ETCD_E_PROTOCOL;
    return read_range(arena, in, count, ret);
}

etcd_status etcd__wire_read_range_part(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                       struct etcd__wire_range *ret)
{
    struct etcd__wire_reader in = {.pos = data, .end = data + len};
    struct etcd__wire_reader range = {.pos = data, .end = data};
    bool has_range = false;

    while (etcd__wire_left(&in) > 0) {
        uint64_t tag;
        bool ok;

        if (!etcd__wire_read_tag(&in, &tag))
            return ETCD_E_PROTOCOL;
        if (tag == TAG_BYTES(1)) {
            ok = !has_range && etcd__wire_read_bytes(&in, &range);
            has_range = true;
        } else {
            ok = skip_unknown(&in, tag, 1);
        }
        if (!ok)
            return ETCD_E_PROTOCOL;
    }
    return etcd__wire_read_range(arena, range.pos, etcd__wire_left(&range), ret);
}

/* --- watch events --- */

static bool read_event_type(struct etcd__wire_reader *reader, etcd_event *event)
{
    uint64_t type;

    if (!etcd__wire_read_varint(reader, &type))
        return false;
    event->type = (etcd_event_type)(int32_t)type;
    return true;
}

static etcd_status read_prev_kv(struct etcd__wire_reader *reader, struct etcd__arena *arena,
                                etcd_event *event)
{
    etcd_kv *prev;

    prev = etcd__arena_alloc(arena, sizeof(*prev));
    if (prev == NULL)
        return ETCD_E_NO_MEMORY;
    *prev = event->prev_kv == NULL ? empty_kv() : *event->prev_kv;
    event->prev_kv = prev;
    return read_kv_field(reader, prev) ? ETCD_OK : ETCD_E_PROTOCOL;
}

static etcd_status read_event(struct etcd__wire_reader in, struct etcd__arena *arena, etcd_event *event)
{
    etcd_status status = ETCD_OK;

    while (status == ETCD_OK && etcd__wire_left(&in) > 0) {
        bool ok = true;
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag))
            return ETCD_E_PROTOCOL;
        switch (tag) {
        case TAG_VARINT(1):
            ok = read_event_type(&in, event);
            break;
        case TAG_BYTES(2):
            ok = read_kv_field(&in, &event->kv);
            break;
        case TAG_BYTES(3):
            status = read_prev_kv(&in, arena, event);
            break;
        default:
            ok = skip_unknown(&in, tag, 3);
        }
        if (!ok)
            status = ETCD_E_PROTOCOL;
    }
    return status;
}

static etcd_status add_event(struct etcd__wire_reader *reader, struct etcd__arena *arena,
                             struct etcd__wire_watch *ret)
{
    etcd_event *event = &ret->events[ret->event_count];
    struct etcd__wire_reader content;

    if (!etcd__wire_read_bytes(reader, &content))
        return ETCD_E_PROTOCOL;
    *event = (etcd_event){.kv = empty_kv()};
    ret->event_count++;
    return read_event(content, arena, event);
}

static void finish_event(const etcd_event *event)
{
    finish_kv(&event->kv);
    if (event->prev_kv != NULL)
        finish_kv(event->prev_kv);
}

static etcd_status read_reason(struct etcd__wire_reader *reader, struct etcd__arena *arena, const char **ret)
{
    struct etcd__wire_reader content;

    if (!etcd__wire_read_bytes(reader, &content))
        return ETCD_E_PROTOCOL;
    *ret = etcd__arena_memdup(arena, content.pos, etcd__wire_left(&content));
    return *ret == NULL ? ETCD_E_NO_MEMORY : ETCD_OK;
}

static etcd_status status_of(bool ok)
{
    return ok ? ETCD_OK : ETCD_E_PROTOCOL;
}

static etcd_status read_watch_field(struct etcd__wire_reader *in, uint64_t tag, struct etcd__arena *arena,
                                    struct etcd__wire_watch *ret)
{
    switch (tag) {
    case TAG_BYTES(1):
        return status_of(read_header_field(in, &ret->header));
    case TAG_VARINT(2):
        return status_of(etcd__wire_read_int64(in, &ret->watch_id));
    case TAG_VARINT(3):
        return status_of(etcd__wire_read_bool(in, &ret->created));
    case TAG_VARINT(4):
        return status_of(etcd__wire_read_bool(in, &ret->canceled));
    case TAG_VARINT(5):
        return status_of(etcd__wire_read_int64(in, &ret->compact_revision));
    case TAG_BYTES(6):
        return read_reason(in, arena, &ret->cancel_reason);
    case TAG_VARINT(7):
        return status_of(etcd__wire_read_bool(in, &ret->fragment));
    case TAG_BYTES(11):
        return add_event(in, arena, ret);
    default:
        /* 8 to 10 are free, and everything above 11. */
        return status_of(tag >> 3 != 11 && skip_unknown(in, tag, 7));
    }
}

static etcd_status read_watch_fields(struct etcd__wire_reader in, struct etcd__arena *arena,
                                     struct etcd__wire_watch *ret)
{
    etcd_status status = ETCD_OK;
    size_t done = 0; /* events that are finished */

    while (status == ETCD_OK && etcd__wire_left(&in) > 0) {
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag))
            return ETCD_E_PROTOCOL;
        if (done < ret->event_count)
            finish_event(&ret->events[done++]);
        status = read_watch_field(&in, tag, arena, ret);
    }
    if (status == ETCD_OK && done < ret->event_count)
        finish_event(&ret->events[done]);
    return status;
}

etcd_status etcd__wire_read_watch(struct etcd__arena *arena, const uint8_t *data, size_t len,
                                  struct etcd__wire_watch *ret)
{
    struct etcd__wire_reader in = {.pos = data, .end = data + len};
    size_t count;

    memset(ret, 0, sizeof(*ret));
    ret->cancel_reason = "";
    if (!count_fields(in, TAG_BYTES(11), &count))
        return ETCD_E_PROTOCOL;
    if (!copy_message(arena, data, len, count * sizeof(*ret->events), &in))
        return ETCD_E_NO_MEMORY;
    ret->events = alloc_array(arena, count, sizeof(*ret->events));
    if (ret->events == NULL)
        return ETCD_E_NO_MEMORY;
    return read_watch_fields(in, arena, ret);
}

/* --- leases --- */

etcd_status etcd__wire_read_lease(const uint8_t *data, size_t len, struct etcd__wire_lease *ret)
{
    struct etcd__wire_reader in = {.pos = data, .end = data + len};
    bool ok = true;

    memset(ret, 0, sizeof(*ret));
    while (ok && etcd__wire_left(&in) > 0) {
        uint64_t tag;

        if (!etcd__wire_read_tag(&in, &tag))
            return ETCD_E_PROTOCOL;
        switch (tag) {
        case TAG_BYTES(1):
            ok = read_header_field(&in, &ret->header);
            break;
        case TAG_VARINT(2):
            ok = etcd__wire_read_int64(&in, &ret->id);
            break;
        case TAG_VARINT(3):
            ok = etcd__wire_read_int64(&in, &ret->ttl_s);
            break;
        default:
            ok = skip_unknown(&in, tag, 3); /* a grant's 4, an error, has never been set */
        }
    }
    return status_of(ok);
}
