/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/call.h"

#include "grpc/transport.h"
#include "support/alloc_fail.h"
#include "support/grpc_world.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

static int start(void **state)
{
    static struct world world;

    alloc_fail_at(0);
    world_init(&world, 1);
    assert_true(world_open(&world));
    *state = &world;
    return 0;
}

static int stop(void **state)
{
    world_close(*state);
    assert_int_equal(alloc_live(), 0);
    return 0;
}

/* Ends as expected, and the request was released. */
static void assert_end(const struct world_call *call, enum etcd__grpc_code code, const char *message)
{
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->end.code, code);
    assert_string_equal(call->end.message, message);
    assert_null(call->outgoing.data);
    assert_false(etcd__call_alive(&call->call));
}

/* --- Answers that are not in order --- */

struct answer {
    const char *what;
    void (*act)(struct h2_server_stream *stream);
    enum etcd__grpc_code code;
    const char *message;
    bool from_server, malformed, too_large;
    enum etcd__sent sent;
};

static void trailers_only(struct h2_server_stream *stream)
{
    h2_reply_status(stream, 9, "etcdserver: no %E2%82%AC leader");
}

static void status_without_message(struct h2_server_stream *stream)
{
    h2_reply_headers(stream);
    h2_reply_status(stream, 14, NULL);
}

static void error_after_message(struct h2_server_stream *stream)
{
    h2_reply_message(stream, "m", 1);
    h2_reply_status(stream, 5, "late");
}

static void unknown_status(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {"grpc-status", "77", NULL};

    h2_reply_raw_trailers(stream, trailers);
}

static void broken_status(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {"grpc-status", "1x", "grpc-message", "hm", NULL};

    h2_reply_raw_trailers(stream, trailers);
}

static void empty_status(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {"grpc-status", "", NULL};

    h2_reply_raw_trailers(stream, trailers);
}

static void negative_status(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {"grpc-status", "-1", NULL};

    h2_reply_raw_trailers(stream, trailers);
}

static void endless_status(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {"grpc-status", "00000000000000000000000000000005", NULL};

    h2_reply_raw_trailers(stream, trailers);
}

/* The last one counts, as with Go's client. */
static void two_statuses(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {
        "grpc-status", "0", "grpc-message", "a", "grpc-status", "5", "grpc-message", "b", NULL};

    h2_reply_raw_trailers(stream, trailers);
}

static void broken_percents(struct h2_server_stream *stream)
{
    h2_reply_status(stream, 9, "%%zz%4%C3%28%00%");
}

/* A status in front of the body is none. */
static void early_status(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "200", "content-type", "application/grpc", "grpc-status",
                                         "0",       NULL};

    h2_reply_raw_headers(stream, false, fields);
    h2_reply_data(stream, "\0\0\0\0\1x", 6, true);
}

static void trailers_only_html(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "200", "content-type", "text/html", NULL};

    h2_reply_raw_headers(stream, true, fields);
}

static void trailers_only_without_type(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "200", "grpc-status", "5", "grpc-message", "x", NULL};

    h2_reply_raw_headers(stream, true, fields);
}

static void trailers_only_503(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "503", "content-type", "application/grpc", "grpc-status",
                                         "8",       NULL};

    h2_reply_raw_headers(stream, true, fields);
}

static void no_content_type(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "200", NULL};

    h2_reply_raw_headers(stream, false, fields);
    h2_reply_data(stream, "\0\0\0\0\1x", 6, true);
}

static void length_of_4_gib(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\0\xff\xff\xff\xff", 5, false);
}

static void a_header_of_three_bytes(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\0\0\0", 3, false);
    h2_reply_status(stream, 0, NULL);
}

static void bytes_behind_the_message(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\0\0\0\0\1x\0\0", 8, false);
    h2_reply_status(stream, 0, NULL);
}

static void empty_data(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "", 0, true);
}

static void no_status(struct h2_server_stream *stream)
{
    static const char *const trailers[] = {"x-other", "1", NULL};

    h2_reply_message(stream, "m", 1);
    h2_reply_raw_trailers(stream, trailers);
}

static void no_trailers(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\0\0\0\0\0", 5, true);
}

static void ok_without_message(struct h2_server_stream *stream)
{
    h2_reply_status(stream, 0, NULL);
}

static void ok_without_message_in_trailers(struct h2_server_stream *stream)
{
    h2_reply_headers(stream);
    h2_reply_status(stream, 0, NULL);
}

static void two_messages(struct h2_server_stream *stream)
{
    h2_reply_message(stream, "a", 1);
    h2_reply_message(stream, "b", 1);
    h2_reply_status(stream, 0, NULL);
}

static void half_a_message(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\0\0\0\0\5he", 7, false);
    h2_reply_status(stream, 0, NULL);
}

static void compressed_message(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\1\0\0\0\1x", 6, false);
    h2_reply_status(stream, 0, NULL);
}

static void large_message(struct h2_server_stream *stream)
{
    h2_reply_data(stream, "\0\0\x10\0\1......", 11, false);
}

static void http_status(struct h2_server_stream *stream, const char *status, bool end)
{
    const char *fields[] = {":status", status, "content-type", "text/html", NULL};

    h2_reply_raw_headers(stream, end, fields);
    if (!end)
        h2_reply_data(stream, "<html>", 6, true);
}

static void http_404(struct h2_server_stream *stream)
{
    http_status(stream, "404", false);
}

static void http_503(struct h2_server_stream *stream)
{
    http_status(stream, "503", true);
}

static void http_200_html(struct h2_server_stream *stream)
{
    http_status(stream, "200", false);
}

static void grpc_like_content_type(struct h2_server_stream *stream)
{
    static const char *const fields[] = {":status", "200", "content-type", "application/grpc-web", NULL};

    h2_reply_raw_headers(stream, false, fields);
    h2_reply_status(stream, 0, NULL);
}

static void reset_refused(struct h2_server_stream *stream)
{
    h2_reply_reset(stream, ETCD__H2_REFUSED_STREAM);
}

static void answer_then_refuse(struct h2_server_stream *stream)
{
    h2_reply_headers(stream);
    world_push(h2_server_user(stream->server));
    h2_reply_reset(stream, ETCD__H2_REFUSED_STREAM);
}

static void reset_cancel(struct h2_server_stream *stream)
{
    h2_reply_reset(stream, ETCD__H2_CANCEL);
}

static void reset_calm(struct h2_server_stream *stream)
{
    h2_reply_reset(stream, ETCD__H2_ENHANCE_YOUR_CALM);
}

static void reset_internal(struct h2_server_stream *stream)
{
    h2_reply_message(stream, "m", 1);
    world_push(h2_server_user(stream->server));
    h2_reply_reset(stream, 2);
}

/* Small on the wire, since HPACK repeats a field with one byte. */
static void huge_headers(struct h2_server_stream *stream)
{
    static char value[3000];
    const char *fields[2 * 26 + 1] = {":status", "200", "content-type", "application/grpc"};

    memset(value, 'v', sizeof value - 1);
    for (size_t i = 2; i < 26; i++) {
        fields[2 * i] = "x-large";
        fields[2 * i + 1] = value;
    }
    h2_reply_raw_headers(stream, false, fields);
}

static const struct answer answers[] = {
    {"trailers only", trailers_only, ETCD__GRPC_FAILED_PRECONDITION, "etcdserver: no \xe2\x82\xac leader",
     .from_server = true, .sent = ETCD__MAYBE_SENT},
    {"status without message", status_without_message, ETCD__GRPC_UNAVAILABLE, "", .from_server = true,
     .sent = ETCD__MAYBE_SENT},
    {"error after message", error_after_message, ETCD__GRPC_NOT_FOUND, "late", .from_server = true,
     .sent = ETCD__MAYBE_SENT},
    {"unknown status", unknown_status, ETCD__GRPC_UNKNOWN, "", .from_server = true, .sent = ETCD__MAYBE_SENT},
    {"broken status", broken_status, ETCD__GRPC_UNKNOWN, "hm", .from_server = true, .sent = ETCD__MAYBE_SENT},
    {"empty status", empty_status, ETCD__GRPC_UNKNOWN, "", .from_server = true, .sent = ETCD__MAYBE_SENT},
    {"negative status", negative_status, ETCD__GRPC_UNKNOWN, "", .from_server = true,
     .sent = ETCD__MAYBE_SENT},
    {"endless status", endless_status, ETCD__GRPC_UNKNOWN, "", .from_server = true, .sent = ETCD__MAYBE_SENT},
    {"two statuses", two_statuses, ETCD__GRPC_NOT_FOUND, "b", .from_server = true, .sent = ETCD__MAYBE_SENT},
    {"broken percents", broken_percents, ETCD__GRPC_FAILED_PRECONDITION, "%%zz%4?(?%", .from_server = true,
     .sent = ETCD__MAYBE_SENT},
    {"status too early", early_status, ETCD__GRPC_UNKNOWN, "the answer ended without a status",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"html, trailers only", trailers_only_html, ETCD__GRPC_UNKNOWN,
     "the answer is not gRPC (HTTP status 200)", .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"trailers only without a type", trailers_only_without_type, ETCD__GRPC_UNKNOWN,
     "the answer is not gRPC (HTTP status 200)", .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"trailers only with 503", trailers_only_503, ETCD__GRPC_UNAVAILABLE,
     "the answer is not gRPC (HTTP status 503)", .sent = ETCD__MAYBE_SENT},
    {"no content-type", no_content_type, ETCD__GRPC_UNKNOWN, "the answer is not gRPC (HTTP status 200)",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"4 GiB", length_of_4_gib, ETCD__GRPC_RESOURCE_EXHAUSTED,
     "the answer is larger than the receive limit of 1048576 bytes", .too_large = true,
     .sent = ETCD__MAYBE_SENT},
    {"three bytes", a_header_of_three_bytes, ETCD__GRPC_INTERNAL, "the answer ended within a message",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"bytes behind the message", bytes_behind_the_message, ETCD__GRPC_INTERNAL,
     "the answer ended within a message", .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"no data", empty_data, ETCD__GRPC_UNKNOWN, "the answer ended without a status", .malformed = true,
     .sent = ETCD__MAYBE_SENT},
    {"no status", no_status, ETCD__GRPC_UNKNOWN, "the answer ended without a status", .malformed = true,
     .sent = ETCD__MAYBE_SENT},
    {"no trailers", no_trailers, ETCD__GRPC_UNKNOWN, "the answer ended without a status", .malformed = true,
     .sent = ETCD__MAYBE_SENT},
    {"ok without message", ok_without_message, ETCD__GRPC_INTERNAL, "success without an answer",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"ok without message in trailers", ok_without_message_in_trailers, ETCD__GRPC_INTERNAL,
     "success without an answer", .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"two messages", two_messages, ETCD__GRPC_INTERNAL, "two answers to one request", .malformed = true,
     .sent = ETCD__MAYBE_SENT},
    {"half a message", half_a_message, ETCD__GRPC_INTERNAL, "the answer ended within a message",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"compressed", compressed_message, ETCD__GRPC_INTERNAL, "a compressed message, which was not asked for",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"too large", large_message, ETCD__GRPC_RESOURCE_EXHAUSTED,
     "the answer is larger than the receive limit of 1048576 bytes", .too_large = true,
     .sent = ETCD__MAYBE_SENT},
    {"404", http_404, ETCD__GRPC_UNIMPLEMENTED, "the answer is not gRPC (HTTP status 404)",
     .sent = ETCD__MAYBE_SENT},
    {"503", http_503, ETCD__GRPC_UNAVAILABLE, "the answer is not gRPC (HTTP status 503)",
     .sent = ETCD__MAYBE_SENT},
    {"html", http_200_html, ETCD__GRPC_UNKNOWN, "the answer is not gRPC (HTTP status 200)", .malformed = true,
     .sent = ETCD__MAYBE_SENT},
    {"grpc-web", grpc_like_content_type, ETCD__GRPC_UNKNOWN, "the answer is not gRPC (HTTP status 200)",
     .malformed = true, .sent = ETCD__MAYBE_SENT},
    {"refused", reset_refused, ETCD__GRPC_UNAVAILABLE, "the server refused the request unprocessed",
     .sent = ETCD__NOT_SENT},
    {"answered, then refused", answer_then_refuse, ETCD__GRPC_UNAVAILABLE,
     "the stream was reset with HTTP/2 error 7", .sent = ETCD__MAYBE_SENT},
    {"cancel", reset_cancel, ETCD__GRPC_CANCELLED, "the stream was reset with HTTP/2 error 8",
     .sent = ETCD__MAYBE_SENT},
    {"calm", reset_calm, ETCD__GRPC_RESOURCE_EXHAUSTED, "the stream was reset with HTTP/2 error 11",
     .sent = ETCD__MAYBE_SENT},
    {"internal", reset_internal, ETCD__GRPC_INTERNAL, "the stream was reset with HTTP/2 error 2",
     .sent = ETCD__MAYBE_SENT},
    {"huge headers", huge_headers, ETCD__GRPC_RESOURCE_EXHAUSTED, "the stream was reset with HTTP/2 error 11",
     .sent = ETCD__MAYBE_SENT},
};

static void check_answer(struct world *world, const struct answer *answer, size_t io)
{
    struct world_call call = {0};
    struct world_call after = {0};

    world->hosts[0].ops = (struct h2_server_ops){.on_half_close = answer->act};
    fake_limit_io(world->fake, io, io);
    world_unary_call(world, &call, "x");
    world_until(world, &call.ends, 1000);
    if (call.end.code != answer->code || strcmp(call.end.message, answer->message) != 0)
        fail_msg("%s: %s \"%s\"", answer->what, etcd__grpc_code_name(call.end.code), call.end.message);
    assert_int_equal(call.end.from_server, answer->from_server);
    assert_int_equal(call.end.malformed, answer->malformed);
    assert_int_equal(call.end.too_large, answer->too_large);
    assert_int_equal(call.end.sent, answer->sent);
    assert_false(call.end.no_memory);
    assert_int_equal(call.releases, 1);
    assert_null(call.call.message);

    /* The connection goes on, without a trace of the stream. */
    world_settle(world);
    assert_int_equal(world_streams(&world->hosts[0]), 0);
    world_newest(&world->hosts[0])->host->ops = (struct h2_server_ops){.on_half_close = trailers_only};
    world_unary_call(world, &after, "x");
    world_until(world, &after.ends, 1000);
    assert_int_equal(world->hosts[0].count, 1);
}

static void every_answer_ends_the_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < ETCD__COUNT(answers); i++) {
        for (int bytewise = 0; bytewise <= 1; bytewise++) {
            struct world world;

            world_init(&world, 1);
            assert_true(world_open(&world));
            check_answer(&world, &answers[i], bytewise ? 1 : SIZE_MAX);
            world_close(&world);
        }
    }
    assert_int_equal(alloc_live(), 0);
}

static void answer_before_the_request_is_complete(struct h2_server_stream *stream)
{
    h2_reply_status(stream, 3, "no need to hear more");
}

/* The server ends a stream whose request is still going out: our side is given up, nothing hangs. */
static void the_servers_end_is_the_end(void **state)
{
    struct world *world = *state;
    struct world_call call = {0};

    world->hosts[0].ops = (struct h2_server_ops){.on_request = answer_before_the_request_is_complete};
    world_start(world, &call, &world_stream);
    world_until(world, &call.ends, 1000);
    assert_end(&call, ETCD__GRPC_INVALID_ARGUMENT, "no need to hear more");
    world_settle(world);
    assert_int_equal(world_streams(&world->hosts[0]), 0);
    assert_int_equal(h2_server_resets(world_newest(&world->hosts[0])->server), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_ends_the_call),
        cmocka_unit_test_setup_teardown(the_servers_end_is_the_end, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
