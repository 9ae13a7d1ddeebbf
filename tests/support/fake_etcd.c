/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_etcd_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *ptr)
{
    if (ptr == NULL)
        abort();
    return ptr;
}

static void lock(struct fake_etcd *fake)
{
    (void)pthread_mutex_lock(&fake->mutex);
}

static void unlock(struct fake_etcd *fake)
{
    (void)pthread_mutex_unlock(&fake->mutex);
}

/* ---- methods --------------------------------------------------------------------------------------------
 */

static struct fake_method *method_of(struct fake_etcd *fake, const char *name)
{
    struct fake_method *method;

    for (size_t i = 0; i < fake->method_count; i++) {
        if (strcmp(fake->methods[i].name, name) == 0)
            return &fake->methods[i];
    }
    if (fake->method_count == FAKE_METHODS)
        abort();
    method = &fake->methods[fake->method_count++];
    (void)snprintf(method->name, sizeof(method->name), "%s", name);
    return method;
}

static const char *last_name(const char *path)
{
    const char *slash = path == NULL ? NULL : strrchr(path, '/');

    return slash == NULL ? "" : slash + 1;
}

static void record_fields(struct fake_method *method, const struct h2_server_stream *stream)
{
    method->field_count = 0;
    for (size_t i = 0; i < stream->field_count && i < FAKE_FIELDS; i++) {
        (void)snprintf(method->names[i], sizeof(method->names[i]), "%s", stream->fields[i].name);
        (void)snprintf(method->values[i], sizeof(method->values[i]), "%s", stream->fields[i].value);
        method->field_count++;
    }
}

static void record_request(struct fake_method *method, const uint8_t *data, size_t len)
{
    method->request_len = len;
    if (len > 0)
        memcpy(method->request, data, len < FAKE_REQUEST ? len : FAKE_REQUEST);
}

static struct fake_step next_step(struct fake_method *method)
{
    if (method->next_pos == method->next_count)
        return method->always;
    return method->next[method->next_pos++];
}

/* ---- answers --------------------------------------------------------------------------------------------
 */

static struct fake_answer_bytes carry_out(struct fake_line *line, struct fake_method *method,
                                          const struct h2_server_stream *stream, const uint8_t *data,
                                          size_t len)
{
    struct fake_answer_bytes answer = fake_store_call(line->fake->store, method->name,
                                                      h2_server_field(stream, "token"), data, len);

    if (answer.code == 0)
        method->done++;
    return answer;
}

static void answer_whole(struct h2_server_stream *stream, const struct fake_answer_bytes *answer)
{
    if (answer->code == 0)
        h2_reply_message(stream, answer->data, answer->len);
    h2_reply_status(stream, answer->code, answer->message);
}

static void answer_framed(struct h2_server_stream *stream, uint8_t flag, const void *data, size_t len,
                          size_t claimed)
{
    const uint8_t header[] = {flag, (uint8_t)(claimed >> 24), (uint8_t)(claimed >> 16),
                              (uint8_t)(claimed >> 8), (uint8_t)claimed};

    h2_reply_data(stream, header, sizeof(header), false);
    h2_reply_data(stream, data, len, false);
    h2_reply_status(stream, 0, NULL);
}

static void answer_http(struct h2_server_stream *stream, int code)
{
    static const char page[] = "<html>no etcd here</html>";
    char text[16];
    const char *fields[] = {":status", text, "content-type", "text/html", NULL};

    (void)snprintf(text, sizeof(text), "%d", code);
    h2_reply_raw_headers(stream, false, fields);
    h2_reply_data(stream, page, sizeof(page) - 1, true);
}

/* Answers that need the request carried out. */
static void do_and(struct fake_line *line, struct h2_server_stream *stream, const struct fake_step *step,
                   const struct fake_answer_bytes *answer)
{
    switch (step->what) {
    case STEP_DO_AND_CUT:
        line->cut = true;
        break;
    case STEP_DO_AND_RESET:
        h2_reply_reset(stream, (uint32_t)step->code);
        break;
    case STEP_DO_AND_GOAWAY:
        h2_server_goaway(line->server, stream->id, 0, "");
        answer_whole(stream, answer);
        break;
    case STEP_COMPRESSED:
        answer_framed(stream, 1, answer->data, answer->len, answer->len);
        break;
    case STEP_MESSAGE:
        answer_framed(stream, 0, step->message, step->size, step->size);
        break;
    case STEP_HALF:
        answer_framed(stream, 0, answer->data, answer->len / 2, answer->len);
        break;
    case STEP_NO_TRAILERS:
        h2_reply_message(stream, answer->data, answer->len);
        h2_reply_data(stream, "", 0, true);
        break;
    case STEP_TWICE:
        h2_reply_message(stream, answer->data, answer->len);
        answer_whole(stream, answer);
        break;
    default:
        answer_whole(stream, answer);
        break;
    }
}

static void answer_huge(struct fake_line *line, struct h2_server_stream *stream, size_t size)
{
    struct fake_answer_bytes answer = fake_store_huge(line->fake->store, size);

    answer_whole(stream, &answer);
    free(answer.data);
}

/* Answers that carry nothing out; false: it is none of these. */
static bool do_not(struct fake_line *line, struct h2_server_stream *stream, const struct fake_step *step)
{
    enum { REFUSED_STREAM = 7 };

    switch (step->what) {
    case STEP_SILENT:
        return true;
    case STEP_HEADERS:
        h2_reply_headers(stream);
        return true;
    case STEP_STATUS_LATE:
        h2_reply_headers(stream);
        h2_reply_status(stream, step->code, step->message);
        return true;
    case STEP_STATUS:
        h2_reply_status(stream, step->code, step->message);
        return true;
    case STEP_CUT:
        line->cut = true;
        return true;
    case STEP_REFUSE:
        h2_reply_reset(stream, REFUSED_STREAM);
        return true;
    case STEP_RESET:
        h2_reply_reset(stream, (uint32_t)step->code);
        return true;
    case STEP_GOAWAY:
        h2_server_goaway(line->server, stream->id - 2 > 0 ? stream->id - 2 : 0, 0, "");
        return true;
    case STEP_GARBAGE:
        answer_framed(stream, 0, "\xff\xff\xff\xff", 4, 4);
        return true;
    case STEP_NOISE:
        line->noise = true;
        return true;
    case STEP_HUGE:
        answer_huge(line, stream, step->size);
        return true;
    case STEP_EMPTY:
        h2_reply_headers(stream);
        h2_reply_status(stream, 0, NULL);
        return true;
    case STEP_HTTP:
        answer_http(stream, step->code);
        return true;
    case STEP_BYTES:
        h2_reply_message(stream, step->data, step->size);
        h2_reply_status(stream, 0, NULL);
        return true;
    default:
        return false;
    }
}

static void run_step(struct fake_line *line, struct h2_server_stream *stream, struct fake_method *method,
                     const struct fake_step *step, const uint8_t *data, size_t len)
{
    struct fake_answer_bytes answer;

    if (fake_stream_run(line, stream, method, step, data, len) || do_not(line, stream, step))
        return;
    answer = carry_out(line, method, stream, data, len);
    do_and(line, stream, step, &answer);
    free(answer.data);
}

static void add_later(struct fake_line *line, const struct h2_server_stream *stream,
                      struct fake_method *method, const struct fake_step *step, const uint8_t *data,
                      size_t len)
{
    struct fake_etcd *fake = line->fake;
    struct fake_later *later = must(calloc(1, sizeof(*later)));

    *later = (struct fake_later){
        .next = fake->later,
        .line = line,
        .stream = stream->id,
        .at_ms = fake->now_ms(fake) + step->delay_ms,
        .step = *step,
        .method = method,
        .data = must(malloc(len + 1)),
        .len = len,
    };
    if (len > 0)
        memcpy(later->data, data, len);
    fake->later = later;
    fake->remind(fake, later->at_ms);
}

static void on_message(struct h2_server_stream *stream, const uint8_t *data, size_t len)
{
    struct fake_line *line = h2_server_user(stream->server);
    struct fake_method *method = method_of(line->fake, last_name(h2_server_field(stream, ":path")));
    struct fake_step step;

    if (stream->messages > 1)
        return; /* of a stream: one script, one answer */
    method->calls++;
    record_fields(method, stream);
    record_request(method, data, len);
    step = next_step(method);
    if (step.delay_ms > 0)
        add_later(line, stream, method, &step, data, len);
    else
        run_step(line, stream, method, &step, data, len);
}

static const struct h2_server_ops server_ops = {.on_message = on_message};

/* ---- lines ----------------------------------------------------------------------------------------------
 */

struct fake_etcd *fake_core_new(void)
{
    struct fake_etcd *fake = must(calloc(1, sizeof(*fake)));

    (void)pthread_mutex_init(&fake->mutex, NULL);
    fake->store = fake_store_new();
    return fake;
}

void fake_core_add_line(struct fake_etcd *fake, struct fake_line *line)
{
    *line = (struct fake_line){.fake = fake, .next = fake->lines};
    line->server = h2_server_new(NULL, &server_ops, line);
    fake->lines = line;
    fake->connections++;
}

static void free_later(struct fake_later *later)
{
    free(later->data);
    free(later);
}

void fake_core_drop_line(struct fake_line *line)
{
    struct fake_etcd *fake = line->fake;
    struct fake_line **place = &fake->lines;
    struct fake_later **later = &fake->later;

    while (*place != line)
        place = &(*place)->next;
    *place = line->next;
    while (*later != NULL) {
        struct fake_later *item = *later;

        if (item->line != line) {
            later = &item->next;
            continue;
        }
        *later = item->next;
        free_later(item);
    }
    fake->resets += h2_server_resets(line->server);
    h2_server_free(line->server);
}

bool fake_core_feed(struct fake_line *line, const void *data, size_t len)
{
    return h2_server_feed(line->server, data, len) && !line->cut && !line->noise;
}

static struct h2_server_stream *find_stream(const struct fake_line *line, int32_t id)
{
    struct h2_server_stream *stream = h2_server_streams(line->server);

    while (stream != NULL && stream->id != id)
        stream = stream->next;
    return stream;
}

void fake_core_run_due(struct fake_etcd *fake)
{
    struct fake_later **place = &fake->later;
    int64_t now_ms = fake->now_ms(fake);

    while (*place != NULL) {
        struct fake_later *later = *place;
        struct h2_server_stream *stream;

        if (later->at_ms > now_ms) {
            place = &later->next;
            continue;
        }
        *place = later->next;
        stream = find_stream(later->line, later->stream);
        if (stream != NULL) /* else the client gave the call up */
            run_step(later->line, stream, later->method, &later->step, later->data, later->len);
        free_later(later);
    }
}

int64_t fake_core_next_ms(const struct fake_etcd *fake)
{
    int64_t next_ms = INT64_MAX;

    for (const struct fake_later *later = fake->later; later != NULL; later = later->next)
        next_ms = later->at_ms < next_ms ? later->at_ms : next_ms;
    return next_ms;
}

/* ---- for tests ------------------------------------------------------------------------------------------
 */

void fake_etcd_free(struct fake_etcd *fake)
{
    if (fake == NULL)
        return;
    fake->free_network(fake);
    fake_store_free(fake->store);
    (void)pthread_mutex_destroy(&fake->mutex);
    free(fake);
}

const char *fake_etcd_endpoint(const struct fake_etcd *fake)
{
    return fake->endpoint;
}

void fake_etcd_next(struct fake_etcd *fake, const char *method, const struct fake_step *step)
{
    struct fake_method *found;

    lock(fake);
    found = method_of(fake, method);
    if (found->next_pos == found->next_count)
        found->next_pos = found->next_count = 0;
    if (found->next_count == FAKE_STEPS)
        abort();
    found->next[found->next_count++] = *step;
    unlock(fake);
}

void fake_etcd_always(struct fake_etcd *fake, const char *method, const struct fake_step *step)
{
    lock(fake);
    method_of(fake, method)->always = step == NULL ? (struct fake_step){.what = STEP_ANSWER} : *step;
    unlock(fake);
}

size_t fake_etcd_calls(struct fake_etcd *fake, const char *method)
{
    size_t calls = 0;

    lock(fake);
    for (size_t i = 0; i < fake->method_count; i++)
        calls += method == NULL || strcmp(fake->methods[i].name, method) == 0 ? fake->methods[i].calls : 0;
    unlock(fake);
    return calls;
}

size_t fake_etcd_done(struct fake_etcd *fake, const char *method)
{
    size_t done;

    lock(fake);
    done = method_of(fake, method)->done;
    unlock(fake);
    return done;
}

size_t fake_etcd_connections(struct fake_etcd *fake)
{
    size_t count;

    lock(fake);
    count = fake->connections;
    unlock(fake);
    return count;
}

size_t fake_etcd_open_connections(struct fake_etcd *fake)
{
    size_t count = 0;

    lock(fake);
    for (const struct fake_line *line = fake->lines; line != NULL; line = line->next)
        count++;
    unlock(fake);
    return count;
}

size_t fake_etcd_resets(struct fake_etcd *fake)
{
    size_t count;

    lock(fake);
    count = fake->resets;
    for (const struct fake_line *line = fake->lines; line != NULL; line = line->next)
        count += h2_server_resets(line->server);
    unlock(fake);
    return count;
}

bool fake_etcd_field(struct fake_etcd *fake, const char *method, const char *name, char *dst, size_t size)
{
    const struct fake_method *found;
    bool has = false;

    lock(fake);
    found = method_of(fake, method);
    for (size_t i = 0; i < found->field_count && !has; i++) {
        has = strcmp(found->names[i], name) == 0;
        if (has)
            (void)snprintf(dst, size, "%s", found->values[i]);
    }
    unlock(fake);
    return has;
}

size_t fake_etcd_request(struct fake_etcd *fake, const char *method, void *dst, size_t size)
{
    const struct fake_method *found;
    size_t len;

    lock(fake);
    found = method_of(fake, method);
    len = found->request_len;
    if (size > FAKE_REQUEST)
        size = FAKE_REQUEST;
    memcpy(dst, found->request, len < size ? len : size);
    unlock(fake);
    return len;
}

void fake_etcd_set_auth(struct fake_etcd *fake, const char *user, const char *password)
{
    lock(fake);
    fake_store_set_auth(fake->store, user, password);
    unlock(fake);
}

void fake_etcd_expire_tokens(struct fake_etcd *fake)
{
    lock(fake);
    fake_store_expire_tokens(fake->store);
    unlock(fake);
}

void fake_etcd_set_members(struct fake_etcd *fake, const struct fake_member *members, size_t count)
{
    lock(fake);
    fake_store_set_members(fake->store, members, count);
    unlock(fake);
}

void fake_etcd_set_status(struct fake_etcd *fake, const struct fake_status *status)
{
    lock(fake);
    fake_store_set_status(fake->store, status);
    unlock(fake);
}

void fake_etcd_set_alarms(struct fake_etcd *fake, const struct fake_alarm *alarms, size_t count)
{
    lock(fake);
    fake_store_set_alarms(fake->store, alarms, count);
    unlock(fake);
}

void fake_etcd_stream_ranges(struct fake_etcd *fake, size_t pairs)
{
    lock(fake);
    fake->range_pairs = pairs;
    unlock(fake);
}

void fake_etcd_set_snapshot(struct fake_etcd *fake, const void *data, size_t len)
{
    lock(fake);
    fake->snapshot = data;
    fake->snapshot_len = len;
    unlock(fake);
}

size_t fake_etcd_unsent(struct fake_etcd *fake, const char *method)
{
    size_t unsent = 0;

    lock(fake);
    for (const struct fake_line *line = fake->lines; line != NULL; line = line->next) {
        for (struct h2_server_stream *stream = h2_server_streams(line->server); stream != NULL;
             stream = stream->next) {
            if (strcmp(last_name(h2_server_field(stream, ":path")), method) == 0)
                unsent = stream->out_len - stream->out_pos;
        }
    }
    unlock(fake);
    return unsent;
}
