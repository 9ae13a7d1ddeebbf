/* SPDX-License-Identifier: Apache-2.0 */
/* A range page by page: what is asked for, what comes of failures half way, streams where there are any. */
#include "support/fake_client.h"

#include "wire/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 300 };

static int start(void **state)
{
    *state = fake_etcd_start();
    return 0;
}

static int stop(void **state)
{
    fake_etcd_free(*state);
    return 0;
}

/* "k000" ... , each with a value of so many bytes. */
static etcd_client *open_filled(struct fake_etcd *fake, size_t pairs, size_t value_len,
                                const etcd_client_opts *opts)
{
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), opts);
    char *value = malloc(value_len + 1);
    char key[16];
    etcd_error err;

    assert_non_null(value);
    memset(value, 'v', value_len + 1);
    for (size_t i = 0; i < pairs; i++) {
        (void)snprintf(key, sizeof(key), "k%03zu", i);
        assert_status(etcd_put(client, etcd_cstr(key), etcd_bytes_of(value, value_len), NULL, NULL, &err),
                      ETCD_OK, &err);
    }
    free(value);
    return client;
}

static etcd_range *open_range(etcd_client *client, const etcd_range_opts *opts)
{
    etcd_range *range = NULL;
    etcd_error err;

    assert_status(etcd_range_open(client, etcd_cstr("k"), opts, &range, &err), ETCD_OK, &err);
    return range;
}

/* Looks at a page that is to begin with this pair; frees it and returns the number of the next pair. */
static size_t check_page(etcd_get_result *page, size_t next)
{
    char key[16];

    assert_non_null(page);
    assert_true(etcd_get_result_count(page) > 0);
    for (size_t i = 0; i < etcd_get_result_count(page); i++) {
        (void)snprintf(key, sizeof(key), "k%03zu", next++);
        assert_string_equal(etcd_get_result_kv(page, i)->key.data, key);
    }
    assert_int_equal(etcd_get_result_header(page)->cluster_id, 0xfa4e);
    etcd_get_result_free(page);
    return next;
}

static size_t read_page(etcd_range *range, size_t next)
{
    etcd_get_result *page = NULL;
    etcd_error err;

    assert_status(etcd_range_next(range, &page, &err), ETCD_OK, &err);
    return check_page(page, next);
}

/* Reads what is left, from this pair on; returns how many pages that took. */
static size_t read_rest(etcd_range *range, size_t next, size_t end)
{
    etcd_get_result *page = NULL;
    size_t pages = 0;
    etcd_error err;

    for (;;) {
        assert_status(etcd_range_next(range, &page, &err), ETCD_OK, &err);
        if (page == NULL)
            break;
        next = check_page(page, next);
        page = NULL;
        pages++;
    }
    assert_int_equal(next, end);
    assert_status(etcd_range_next(range, &page, &err), ETCD_OK, &err); /* the end stays the end */
    assert_null(page);
    return pages;
}

static Etcd__Pb__RangeRequest *last_request(struct fake_etcd *fake, const char *method)
{
    uint8_t bytes[512];
    size_t len = fake_etcd_request(fake, method, bytes, sizeof(bytes));
    ProtobufCMessage *message = protobuf_c_message_unpack(&etcd__pb__range_request__descriptor, NULL, len,
                                                          bytes);

    assert_non_null(message);
    return (Etcd__Pb__RangeRequest *)message;
}

static void test_pages_are_of_one_revision(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, PAIRS, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 70));
    Etcd__Pb__RangeRequest *request;
    size_t next;

    assert_int_equal(etcd_range_revision(range), 0);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 0); /* opening sends nothing */
    next = read_page(range, 0);
    assert_int_equal(next, 70);
    request = last_request(fake, "Range");
    assert_int_equal(request->revision, 0);
    assert_int_equal(request->limit, 70);
    protobuf_c_message_free_unpacked(&request->base, NULL);
    assert_int_equal(etcd_range_revision(range), PAIRS + 1);

    assert_int_equal(read_rest(range, next, PAIRS), 4);
    request = last_request(fake, "Range");
    assert_int_equal(request->revision, PAIRS + 1);
    assert_int_equal(request->key.len, 5); /* "k279" and a zero byte */
    assert_memory_equal(request->key.data, "k279", 5);
    assert_int_equal(request->sort_order, ETCD__PB__RANGE_REQUEST__SORT_ORDER__UNSORTED);
    protobuf_c_message_free_unpacked(&request->base, NULL);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 5);
    assert_int_equal(fake_etcd_calls(fake, "RangeStream"), 1); /* asked once, and remembered */
    etcd_range_close(range);

    range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 150));
    assert_int_equal(read_rest(range, 0, PAIRS), 2);
    assert_int_equal(fake_etcd_calls(fake, "RangeStream"), 1);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_limits_and_bounds(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 100, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 30, .limit = 75));
    etcd_get_result *page = NULL;
    etcd_error err;

    assert_int_equal(read_rest(range, 0, 75), 3);
    etcd_range_close(range);

    fake_etcd_stream_ranges(fake, 7);
    range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 30, .limit = 75));
    (void)read_rest(range, 0, 75);
    etcd_range_close(range);

    range = open_range(client, ETCD_RANGE_OPTS(.range_end = etcd_cstr("k050"), .page_size = 30));
    (void)read_rest(range, 0, 50);
    etcd_range_close(range);

    range = open_range(client, ETCD_RANGE_OPTS(.from_key = true, .keys_only = true));
    assert_int_equal(read_rest(range, 0, 100), 1);
    etcd_range_close(range);

    assert_status(
        etcd_range_open(client, etcd_cstr("nothing/"), ETCD_RANGE_OPTS(.prefix = true), &range, &err),
        ETCD_OK, &err);
    assert_status(etcd_range_next(range, &page, &err), ETCD_OK, &err);
    assert_null(page);
    assert_int_equal(etcd_range_revision(range), 101);
    etcd_range_close(range);
    etcd_range_close(NULL);
    etcd_client_free(client);
}

/* 100 pairs of 2 KiB, and room for 40 KiB in an answer. */
static void test_pages_that_are_too_large_are_halved(void **state)
{
    struct fake_etcd *fake = *state;
    const etcd_client_opts opts = {
        .size = sizeof(opts), .max_recv_bytes = 40 << 10, .max_send_bytes = 40 << 10};
    etcd_client *client = open_filled(fake, 100, 2048, &opts);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true));
    size_t calls;

    calls = read_rest(range, 0, 100);
    assert_in_range(calls, 6, 30);
    etcd_range_close(range);

    /* The parts of a stream can be too large as well. */
    fake_etcd_stream_ranges(fake, 60);
    range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 10));
    (void)read_rest(range, 0, 100);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_one_pair_that_is_too_large(void **state)
{
    struct fake_etcd *fake = *state;
    const etcd_client_opts opts = {.size = sizeof(opts), .max_recv_bytes = 1024};
    etcd_client *client = open_filled(fake, 1, 2048, NULL);
    etcd_client *small = test_client_open(fake_etcd_endpoint(fake), &opts);
    etcd_range *range = open_range(small, ETCD_RANGE_OPTS(.prefix = true));
    etcd_get_result *page = NULL;
    etcd_error err;

    assert_status(etcd_range_next(range, &page, &err), ETCD_E_TOO_LARGE, &err);
    etcd_range_close(range);
    etcd_client_free(small);
    etcd_client_free(client);
}

/* What fails is asked for again by the next call. */
static void test_a_failure_leaves_it_where_it_stood(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 100, 3, NULL);
    etcd_range *range = open_range(client,
                                   ETCD_RANGE_OPTS(.prefix = true, .page_size = 30, .timeout_ms = 800));
    const struct fake_step denied = {
        .what = STEP_STATUS, .code = 7, .message = "etcdserver: permission denied"};
    etcd_get_result *page = NULL;
    etcd_error err;
    size_t next;

    fake_etcd_next(fake, "Range", &denied);
    assert_status(etcd_range_next(range, &page, &err), ETCD_E_DENIED, &err);
    next = read_page(range, 0);
    fake_etcd_always(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_range_next(range, &page, &err), ETCD_E_DEADLINE, &err);
    assert_has_text(err.message, "range");
    fake_etcd_always(fake, "Range", NULL);
    next = read_page(range, next);
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_CUT}); /* repeated without a word */
    (void)read_rest(range, next, 100);
    assert_null(page);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_the_whole_has_a_time_limit_too(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 100, 3, NULL);
    etcd_range *range = open_range(client,
                                   ETCD_RANGE_OPTS(.prefix = true, .page_size = 30, .total_timeout_ms = 400));
    etcd_get_result *page = NULL;
    etcd_error err;

    (void)read_page(range, 0);
    fake_etcd_always(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_range_next(range, &page, &err), ETCD_E_DEADLINE, &err);
    assert_status(etcd_range_next(range, &page, &err), ETCD_E_DEADLINE, &err);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_compaction_ends_it(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 100, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 30));
    etcd_get_result *page = NULL;
    etcd_error err;

    (void)read_page(range, 0);
    assert_status(fake_put(client, 0, &err), ETCD_OK, &err);
    assert_status(etcd_compact(client, 102, NULL, &err), ETCD_OK, &err);
    for (int i = 0; i < 2; i++)
        assert_status(etcd_range_next(range, &page, &err), ETCD_E_COMPACTED, &err);
    assert_int_equal(etcd_range_revision(range), 101);
    etcd_range_close(range);
    etcd_client_free(client);
}

/* ---- the stream ------------------------------------------------------------------------------------ */

static void test_what_follows_is_a_stream(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, PAIRS, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 100));
    Etcd__Pb__RangeRequest *request;

    fake_etcd_stream_ranges(fake, 40);
    assert_int_equal(read_rest(range, 0, PAIRS), 6);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 1);
    assert_int_equal(fake_etcd_calls(fake, "RangeStream"), 1);
    request = last_request(fake, "RangeStream");
    assert_int_equal(request->revision, PAIRS + 1);
    assert_int_equal(request->limit, 0);
    assert_memory_equal(request->key.data, "k099", 5);
    assert_int_equal(request->sort_order, ETCD__PB__RANGE_REQUEST__SORT_ORDER__UNSORTED);
    protobuf_c_message_free_unpacked(&request->base, NULL);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_a_stream_byte_by_byte(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 60, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 10));

    fake_etcd_stream_ranges(fake, 7);
    fake_etcd_split(fake, true);
    assert_int_equal(read_rest(range, 0, 60), 9);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 1);
    etcd_range_close(range);
    etcd_client_free(client);
}

/* After so many parts it breaks in this way; pages bring the rest. */
static void broken_stream(struct fake_etcd *fake, size_t parts, const struct fake_step *step)
{
    etcd_client *client = open_filled(fake, PAIRS, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 50));
    struct fake_step own = *step;
    size_t before = fake_etcd_calls(fake, "Range");

    own.size = parts;
    fake_etcd_stream_ranges(fake, 20);
    fake_etcd_next(fake, "RangeStream", &own);
    (void)read_rest(range, 0, PAIRS);
    assert_true(fake_etcd_calls(fake, "Range") > before + 1);
    assert_int_equal(fake_etcd_calls(fake, "RangeStream"), 1);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_a_stream_that_fails_after_some_parts(void **state)
{
    broken_stream(*state, 3,
                  &(struct fake_step){.what = STEP_STATUS_LATE, .code = 14, .message = "server stopped"});
}

static void test_a_stream_that_is_refused(void **state)
{
    broken_stream(*state, 0, &(struct fake_step){.what = STEP_REFUSE});
}

static void test_a_stream_that_is_garbage(void **state)
{
    broken_stream(*state, 0, &(struct fake_step){.what = STEP_GARBAGE});
}

static void test_a_connection_that_breaks_under_a_stream(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, PAIRS, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 50));
    size_t next;

    fake_etcd_stream_ranges(fake, 20);
    fake_etcd_next(fake, "RangeStream", &(struct fake_step){.what = STEP_HEADERS, .size = 3});
    next = read_page(range, 0);
    next = read_page(range, next);
    fake_etcd_cut(fake);
    (void)read_rest(range, next, PAIRS);
    etcd_range_close(range);
    etcd_client_free(client);
}

/* It goes silent: the step fails in time, and pages go on. */
static void test_a_stream_that_goes_silent(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, PAIRS, 3, NULL);
    etcd_range *range = open_range(client,
                                   ETCD_RANGE_OPTS(.prefix = true, .page_size = 50, .timeout_ms = 800));
    etcd_get_result *page = NULL;
    etcd_error err;
    size_t next;

    fake_etcd_stream_ranges(fake, 20);
    fake_etcd_next(fake, "RangeStream", &(struct fake_step){.what = STEP_HEADERS, .size = 1});
    next = read_page(range, 0);
    next = read_page(range, next);
    assert_status(etcd_range_next(range, &page, &err), ETCD_E_DEADLINE, &err);
    (void)read_rest(range, next, PAIRS);
    etcd_range_close(range);
    etcd_client_free(client);
}

/* 300 parts of 64 KiB: 19 MiB, of which the windows let 4 MiB through. */
static void test_flow_control_holds_the_server(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, PAIRS, 64 << 10, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 10));
    size_t held, next, before;

    fake_etcd_stream_ranges(fake, 1);
    next = read_page(range, 0);
    next = read_page(range, next);
    do {
        before = fake_etcd_unsent(fake, "RangeStream");
        test_pump(client, 200);
        held = fake_etcd_unsent(fake, "RangeStream");
    } while (held != before);
    assert_in_range(held, 13 << 20, 16 << 20);
    (void)read_rest(range, next, PAIRS);
    assert_int_equal(fake_etcd_calls(fake, "Range"), 1);
    etcd_range_close(range);
    etcd_client_free(client);
}

/* Nothing waits at the server for a reader that has gone. */
static void test_one_that_is_left_is_reset(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, PAIRS, 64 << 10, NULL);
    etcd_range *range = open_range(client,
                                   ETCD_RANGE_OPTS(.prefix = true, .page_size = 10, .timeout_ms = 60000));
    size_t resets = fake_etcd_resets(fake);
    int64_t until_ms = test_deadline_ms(5000);
    etcd_error err;

    fake_etcd_stream_ranges(fake, 1);
    (void)read_page(range, read_page(range, 0));
    etcd_range_close(range);
    while (fake_etcd_resets(fake) == resets) {
        assert_true(test_poll_again(until_ms));
        test_pump(client, 1);
    }
    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_int_equal(fake_etcd_connections(fake), 1);
    etcd_client_free(client);
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static void count_it(etcd_op *op, void *user_data)
{
    (void)op;
    __atomic_fetch_add((volatile size_t *)user_data, 1, __ATOMIC_RELEASE);
}

static void test_steps_are_operations(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 100, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 60));
    etcd_op *op = NULL, *second = NULL;
    etcd_get_result *page = NULL;
    volatile size_t called = 0;
    etcd_error err;
    size_t next;

    assert_status(etcd_range_next_async(range, count_it, (void *)&called, &op, &err), ETCD_OK, &err);
    fake_await_count(client, &called, 1);
    assert_status(etcd_range_take(op, &page, &err), ETCD_OK, &err);
    etcd_op_free(op);
    next = check_page(page, 0);

    /* Cancelled, and two at once. */
    fake_etcd_next(fake, "RangeStream", &(struct fake_step){.what = STEP_SILENT});
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_range_next_async(range, NULL, NULL, &op, &err), ETCD_OK, &err);
    fake_await_calls(client, fake, "RangeStream", 1);
    assert_status(etcd_range_next_async(range, NULL, NULL, &second, &err), ETCD_OK, &err);
    fake_await_op(client, second);
    assert_int_equal(etcd_op_status(second, &err), ETCD_E_BUSY);
    assert_false(etcd_op_done(op));
    etcd_op_cancel(op);
    fake_await_op(client, op);
    assert_int_equal(etcd_op_status(op, &err), ETCD_E_CANCELLED);
    assert_int_equal(etcd_range_take(op, &page, &err), ETCD_E_CANCELLED);
    etcd_op_free(op);
    etcd_op_free(second);
    fake_etcd_next(fake, "Range", &(struct fake_step){.what = STEP_ANSWER});
    assert_status(etcd_range_next_async(range, NULL, NULL, &op, &err), ETCD_OK, &err);
    fake_await_calls(client, fake, "Range", 2);
    etcd_op_cancel(op);
    fake_await_op(client, op);
    etcd_op_free(op);

    /* Not taken: it comes again. */
    assert_status(etcd_range_next_async(range, NULL, NULL, &op, &err), ETCD_OK, &err);
    fake_await_op(client, op);
    assert_int_equal(etcd_op_status(op, NULL), ETCD_OK);
    etcd_op_free(op);
    (void)read_rest(range, next, 100);
    etcd_range_close(range);
    etcd_client_free(client);
}

static void test_closing_ends_a_step(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = open_filled(fake, 100, 3, NULL);
    etcd_range *range = open_range(client, ETCD_RANGE_OPTS(.prefix = true, .page_size = 60));
    etcd_get_result *page = NULL;
    etcd_op *op = NULL;
    etcd_error err;

    fake_etcd_always(fake, "Range", &(struct fake_step){.what = STEP_SILENT});
    assert_status(etcd_range_next_async(range, NULL, NULL, &op, &err), ETCD_OK, &err);
    fake_await_calls(client, fake, "Range", 1);
    etcd_range_close(range);
    assert_int_equal(etcd_op_status(op, &err), ETCD_E_CANCELLED);
    etcd_op_free(op);

    range = open_range(client, ETCD_RANGE_OPTS(.prefix = true));
    assert_status(etcd_range_next_async(range, NULL, NULL, &op, &err), ETCD_OK, &err);
    fake_await_calls(client, fake, "Range", 2);
    assert_int_equal(etcd_client_close(client, NULL), ETCD_OK);
    assert_int_equal(etcd_op_status(op, &err), ETCD_E_CLOSED);
    etcd_op_free(op);
    assert_int_equal(etcd_range_next(range, &page, &err), ETCD_E_CLOSED);
    etcd_client_free(client);
    etcd_range_close(range); /* outlives its client */
}

static void refused(etcd_client *client, const char *key, const etcd_range_opts *opts, const char *part)
{
    etcd_range *range = NULL;
    etcd_error err;

    assert_status(etcd_range_open(client, etcd_cstr(key), opts, &range, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, part);
    assert_null(range);
}

static void test_bad_input_is_not_sent(void **state)
{
    struct fake_etcd *fake = *state;
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_range *range = NULL;
    etcd_error err;

    refused(client, "", NULL, "key is empty");
    refused(client, "k", ETCD_RANGE_OPTS(.prefix = true, .from_key = true), "only one of");
    refused(client, "k", ETCD_RANGE_OPTS(.prefix = true, .range_end = etcd_cstr("l")), "only one of");
    refused(client, "k", ETCD_RANGE_OPTS(.limit = -1), "limit is -1");
    refused(client, "k", ETCD_RANGE_OPTS(.page_size = -2), "page_size is -2");
    refused(client, "k", ETCD_RANGE_OPTS(.revision = -3), "revision is -3");
    refused(client, "k", ETCD_RANGE_OPTS(.timeout_ms = -4), "timeout_ms is -4");
    refused(client, "k", ETCD_RANGE_OPTS(.total_timeout_ms = -5), "total_timeout_ms is -5");
    refused(NULL, "k", NULL, "client is NULL");
    assert_int_equal(etcd_range_open(client, etcd_cstr("k"), NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_status(etcd_range_open(client, etcd_cstr("k"), NULL, &range, &err), ETCD_OK, &err);
    assert_int_equal(etcd_range_next(range, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    assert_int_equal(etcd_range_next(NULL, NULL, &err), ETCD_E_INVALID_ARGUMENT);
    etcd_range_close(range);
    assert_int_equal(fake_etcd_calls(fake, NULL), 0);
    etcd_client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_pages_are_of_one_revision),
        TEST(test_limits_and_bounds),
        TEST(test_pages_that_are_too_large_are_halved),
        TEST(test_one_pair_that_is_too_large),
        TEST(test_a_failure_leaves_it_where_it_stood),
        TEST(test_the_whole_has_a_time_limit_too),
        TEST(test_compaction_ends_it),
        TEST(test_what_follows_is_a_stream),
        TEST(test_a_stream_byte_by_byte),
        TEST(test_a_stream_that_fails_after_some_parts),
        TEST(test_a_stream_that_is_refused),
        TEST(test_a_stream_that_is_garbage),
        TEST(test_a_connection_that_breaks_under_a_stream),
        TEST(test_a_stream_that_goes_silent),
        TEST(test_flow_control_holds_the_server),
        TEST(test_one_that_is_left_is_reset),
        TEST(test_steps_are_operations),
        TEST(test_closing_ends_a_step),
        TEST(test_bad_input_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
