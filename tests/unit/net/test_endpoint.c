/* SPDX-License-Identifier: Apache-2.0 */
#include "net/endpoint.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include <stdio.h>

struct good {
    const char *text;
    const char *shown;
    const char *host;
    const char *authority;
    uint16_t port;
    bool is_address;
    enum etcd__endpoint_tls tls;
};

static const struct good goods[] = {
    {"localhost:2379", "localhost:2379", "localhost", "localhost:2379", 2379, false, ETCD__TLS_IF_CONFIGURED},
    {"localhost", "localhost:2379", "localhost", "localhost:2379", 2379, false, ETCD__TLS_IF_CONFIGURED},
    {"Etcd-1.Example.COM:1", "etcd-1.example.com:1", "etcd-1.example.com", "etcd-1.example.com:1", 1, false,
     ETCD__TLS_IF_CONFIGURED},
    {"my_host:65535", "my_host:65535", "my_host", "my_host:65535", 65535, false, ETCD__TLS_IF_CONFIGURED},
    {"example.com.:2379", "example.com.:2379", "example.com.", "example.com.:2379", 2379, false,
     ETCD__TLS_IF_CONFIGURED},
    {"10.0.0.1:23", "10.0.0.1:23", "10.0.0.1", "10.0.0.1:23", 23, true, ETCD__TLS_IF_CONFIGURED},
    {"3com.example", "3com.example:2379", "3com.example", "3com.example:2379", 2379, false,
     ETCD__TLS_IF_CONFIGURED},
    {"[::1]:2379", "[::1]:2379", "::1", "[::1]:2379", 2379, true, ETCD__TLS_IF_CONFIGURED},
    {"[::1]", "[::1]:2379", "::1", "[::1]:2379", 2379, true, ETCD__TLS_IF_CONFIGURED},
    {"https://[2001:DB8:0:0::1]:80", "https://[2001:db8::1]:80", "2001:db8::1", "[2001:db8::1]:80", 80, true,
     ETCD__TLS_ALWAYS},
    {"http://a:1", "http://a:1", "a", "a:1", 1, false, ETCD__TLS_NEVER},
    {"http://a:1/", "http://a:1", "a", "a:1", 1, false, ETCD__TLS_NEVER},
    {"HTTPS://a", "https://a:2379", "a", "a:2379", 2379, false, ETCD__TLS_ALWAYS},
    {"https://127.0.0.1:2379/", "https://127.0.0.1:2379", "127.0.0.1", "127.0.0.1:2379", 2379, true,
     ETCD__TLS_ALWAYS},
    /* No scheme, but hosts that are called like one. */
    {"http:1", "http:1", "http", "http:1", 1, false, ETCD__TLS_IF_CONFIGURED},
    {"https", "https:2379", "https", "https:2379", 2379, false, ETCD__TLS_IF_CONFIGURED},
    /* Sockets of this machine. */
    {"unix:///run/etcd.sock", "unix:///run/etcd.sock", "/run/etcd.sock", "etcd.sock", 0, false,
     ETCD__TLS_IF_CONFIGURED},
    {"unix:/run/etcd.sock", "unix:///run/etcd.sock", "/run/etcd.sock", "etcd.sock", 0, false,
     ETCD__TLS_IF_CONFIGURED},
    {"unix:etcd.sock", "unix:etcd.sock", "etcd.sock", "etcd.sock", 0, false, ETCD__TLS_IF_CONFIGURED},
    {"unix://localhost:m0", "unix:localhost:m0", "localhost:m0", "localhost", 0, false,
     ETCD__TLS_IF_CONFIGURED},
    {"UNIXS:///run/x+y", "unixs:///run/x+y", "/run/x+y", "localhost", 0, false, ETCD__TLS_ALWAYS},
    {"unixs://dir/a", "unixs:dir/a", "dir/a", "a", 0, false, ETCD__TLS_ALWAYS},
    {"unix:dir/", "unix:dir/", "dir/", "localhost", 0, false, ETCD__TLS_IF_CONFIGURED},
};

static void understands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        const struct good *good = &goods[i];
        struct etcd__endpoint endpoint;
        etcd_error err = {0};

        if (etcd__endpoint_parse(good->text, &endpoint, &err) != ETCD_OK)
            fail_msg("%s: %s", good->text, err.message);
        assert_string_equal(endpoint.text, good->shown);
        assert_string_equal(endpoint.host, good->host);
        assert_string_equal(endpoint.authority, good->authority);
        assert_int_equal(endpoint.port, good->port);
        assert_int_equal(endpoint.is_address, good->is_address);
        assert_int_equal(endpoint.is_unix, good->port == 0);
        assert_int_equal(endpoint.tls, good->tls);
        etcd__endpoint_deinit(&endpoint);
    }
}

/* What is shown is understood again, as the same endpoint. */
static void shown_text_is_an_endpoint(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        struct etcd__endpoint first, second;

        assert_int_equal(etcd__endpoint_parse(goods[i].text, &first, NULL), ETCD_OK);
        assert_int_equal(etcd__endpoint_parse(first.text, &second, NULL), ETCD_OK);
        assert_true(etcd__endpoint_equal(&first, &second));
        assert_string_equal(first.text, second.text);
        etcd__endpoint_deinit(&first);
        etcd__endpoint_deinit(&second);
    }
}

struct bad {
    const char *text;
    const char *message;
};

#define PORT "the port is not a decimal number from 1 to 65535 without leading zeros"
#define CREDENTIALS "credentials do not belong here; use the username and password options"
#define SCHEME "the scheme is not one of http, https, unix, unixs"
#define LETTERS "the host name may have letters, digits, '-', '_' and '.' only"
#define COLONS "has more than one colon; an IPv6 address goes in brackets, as in [::1]:2379"

static const struct bad bads[] = {
    {"", "endpoint \"\": the text is empty"},
    {" ", "endpoint \" \": contains a space"},
    {" localhost:1", "endpoint \" localhost:1\": contains a space"},
    {"localhost:1\n", "endpoint \"localhost:1\\x0A\": contains a space"},
    {"local\001host", "endpoint \"local\\x01host\": contains a control character"},
    {"host:0", "endpoint \"host:0\": " PORT},
    {"host:65536", "endpoint \"host:65536\": " PORT},
    {"host:99999999999999999999999", "endpoint \"host:99999999999999999999999\": " PORT},
    {"host:abc", "endpoint \"host:abc\": " PORT},
    {"host:+1", "endpoint \"host:+1\": " PORT},
    {"host:-1", "endpoint \"host:-1\": " PORT},
    {"host:02379", "endpoint \"host:02379\": " PORT},
    {"host:0x10", "endpoint \"host:0x10\": " PORT},
    {"host:", "endpoint \"host:\": the port after the colon is missing"},
    {"[::1]:", "endpoint \"[::1]:\": the port after the colon is missing"},
    {":2379", "endpoint \":2379\": the host is missing"},
    {"http://", "endpoint \"http://\": the host is missing"},
    {"http:///", "endpoint \"http:///\": the host is missing"},
    {"2379", "endpoint \"2379\": the host is neither a name nor an IPv4 address"},
    {"10.0.0.256:1", "endpoint \"10.0.0.256:1\": the host is neither a name nor an IPv4 address"},
    {"10.0.1:1", "endpoint \"10.0.1:1\": the host is neither a name nor an IPv4 address"},
    {"1.2.3.4.5", "endpoint \"1.2.3.4.5\": the host is neither a name nor an IPv4 address"},
    {"::1", "endpoint \"::1\": " COLONS},
    {"http://fe80::1:2379", "endpoint \"http://fe80::1:2379\": " COLONS},
    {"host:1:2", "endpoint \"host:1:2\": " COLONS},
    {"[::1", "endpoint \"[::1\": the closing bracket of the IPv6 address is missing"},
    {"[::1]2379", "endpoint \"[::1]2379\": only a port can follow the bracket"},
    {"[]:1", "endpoint \"[]:1\": the host is missing"},
    {"[127.0.0.1]:1", "endpoint \"[127.0.0.1]:1\": what stands in brackets is not an IPv6 address"},
    {"[name]:1", "endpoint \"[name]:1\": what stands in brackets is not an IPv6 address"},
    {"[fe80::1%eth0]:1",
     "endpoint \"[fe80::1%eth0]:1\": an IPv6 zone is not supported; use an address that is not link-local"},
    {"ho$t:1", "endpoint \"ho$t:1\": " LETTERS},
    {"h\303\266st:1", "endpoint \"h\303\266st:1\": " LETTERS},
    {"a..b:1", "endpoint \"a..b:1\": the host name has an empty label"},
    {".a:1", "endpoint \".a:1\": the host name has an empty label"},
    {".", "endpoint \".\": the host name has an empty label"},
    {"a:1,b:1", "endpoint \"a:1,b:1\": contains a comma; give each endpoint as an element of its own"},
    {"host:1/", "endpoint \"host:1/\": has a path"},
    {"http://host:1//", "endpoint \"http://host:1//\": has a path"},
    {"http://host:1/v3", "endpoint \"http://host:1/v3\": has a path"},
    {"http:/host:1", "endpoint \"http:/host:1\": has a path"},
    {"http://host:1?x", "endpoint \"http://host:1?***\": has a query or a fragment"},
    {"http://host:1#x", "endpoint \"http://host:1?***\": has a query or a fragment"},
    {"ftp://host:1", "endpoint \"ftp://host:1\": " SCHEME},
    {"etcd-endpoints://1/host", "endpoint \"etcd-endpoints://1/host\": " SCHEME},
    {"dns:///host", "endpoint \"dns:///host\": " SCHEME},
    {"://host", "endpoint \"://host\": " SCHEME},
    {"unix:", "endpoint \"unix:\": the path of the socket is missing"},
    {"unixs://", "endpoint \"unixs://\": the path of the socket is missing"},
    /* Nothing before the last '@' is shown, whatever it looks like. */
    {"root:s3cret@host:1", "endpoint \"***@host:1\": " CREDENTIALS},
    {"http://root:s3cret@host:1", "endpoint \"http://***@host:1\": " CREDENTIALS},
    {"https://s3cret@host", "endpoint \"https://***@host\": " CREDENTIALS},
    {"http://root:s3c@ret@host:1", "endpoint \"http://***@host:1\": " CREDENTIALS},
    {"http://root:s3c/ret@host:1", "endpoint \"http://***@host:1\": " CREDENTIALS},
    {"http://root:s3c ret@host:1", "endpoint \"http://***@host:1\": contains a space"},
    {"root:s3cret://x@host:1", "endpoint \"***@host:1\": " CREDENTIALS},
    {"root:s3cret@", "endpoint \"***@\": " CREDENTIALS},
    {"http://host:1?password=s3cret", "endpoint \"http://host:1?***\": has a query or a fragment"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        struct etcd__endpoint endpoint = {.port = 7};
        etcd_error err = {0};

        if (etcd__endpoint_parse(bads[i].text, &endpoint, &err) != ETCD_E_INVALID_ARGUMENT)
            fail_msg("\"%s\" was taken", bads[i].text);
        assert_string_equal(err.message, bads[i].message);
        assert_null(strstr(err.message, "s3c"));
        assert_int_equal(endpoint.port, 7);
        assert_int_equal(etcd__endpoint_parse(bads[i].text, &endpoint, NULL), ETCD_E_INVALID_ARGUMENT);
    }
}

/* Writes `count` letters into text, with a dot after every `label` of them, and ends it. */
static void make_name(char *text, size_t count, size_t label)
{
    for (size_t i = 0; i < count; i++)
        text[i] = (i + 1) % (label + 1) == 0 ? '.' : 'a';
    text[count] = '\0';
}

static void names_have_limits(void **state)
{
    struct etcd__endpoint endpoint;
    char text[400];
    etcd_error err;

    (void)state;
    make_name(text, 253, 63);
    assert_int_equal(etcd__endpoint_parse(text, &endpoint, NULL), ETCD_OK);
    etcd__endpoint_deinit(&endpoint);
    make_name(text, 254, 62);
    assert_int_equal(etcd__endpoint_parse(text, &endpoint, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "...\": the host name is longer than 253 characters"));
    make_name(text, 64, 64);
    assert_int_equal(etcd__endpoint_parse(text, &endpoint, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\": a label of the host name is longer than 63 characters"));

    snprintf(text, sizeof(text), "unix:/");
    make_name(text + 6, 106, 106);
    assert_int_equal(etcd__endpoint_parse(text, &endpoint, NULL), ETCD_OK);
    etcd__endpoint_deinit(&endpoint);
    make_name(text + 6, 107, 107);
    assert_int_equal(etcd__endpoint_parse(text, &endpoint, &err), ETCD_E_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\": the path is too long for a unix socket"));
}

struct pair {
    const char *a, *b;
    bool equal;
};

static void compares(void **state)
{
    static const struct pair pairs[] = {
        {"a:1", "A:1", true},
        {"a", "a:2379", true},
        {"[::1]:1", "[0:0::1]:1", true},
        {"http://a:1", "http://a:1/", true},
        {"unix:/a", "unix:///a", true},
        {"a:1", "a:2", false},
        {"a:1", "b:1", false},
        {"a:1", "http://a:1", false},
        {"https://a:1", "http://a:1", false},
        {"unix:a", "a:1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct etcd__endpoint a, b;

        assert_int_equal(etcd__endpoint_parse(pairs[i].a, &a, NULL), ETCD_OK);
        assert_int_equal(etcd__endpoint_parse(pairs[i].b, &b, NULL), ETCD_OK);
        assert_int_equal(etcd__endpoint_equal(&a, &b), pairs[i].equal);
        etcd__endpoint_deinit(&a);
        etcd__endpoint_deinit(&b);
    }
}

static void copies(void **state)
{
    struct etcd__endpoint a, b;

    (void)state;
    assert_int_equal(etcd__endpoint_parse("https://[::1]:5", &a, NULL), ETCD_OK);
    assert_int_equal(etcd__endpoint_copy(&a, &b, NULL), ETCD_OK);
    assert_true(etcd__endpoint_equal(&a, &b));
    etcd__endpoint_deinit(&a);
    assert_string_equal(b.text, "https://[::1]:5");
    assert_string_equal(b.authority, "[::1]:5");
    assert_int_equal(b.tls, ETCD__TLS_ALWAYS);
    etcd__endpoint_deinit(&b);
}

static void parse_and_copy(size_t n, void *text)
{
    struct etcd__endpoint a = {0}, b = {0};
    etcd_error err = {0};
    etcd_status st = etcd__endpoint_parse(text, &a, &err);

    (void)n;
    if (st == ETCD_OK)
        st = etcd__endpoint_copy(&a, &b, &err);
    if (alloc_count() >= n)
        assert_int_equal(st, ETCD_E_NO_MEMORY);
    else
        assert_int_equal(st, ETCD_OK);
    etcd__endpoint_deinit(&a);
    etcd__endpoint_deinit(&b);
}

static void survives_lack_of_memory(void **state)
{
    static char v6[] = "https://[::1]:5", name[] = "a", path[] = "unix:///a+";

    (void)state;
    assert_true(alloc_fail_each(parse_and_copy, v6) >= 7);
    assert_true(alloc_fail_each(parse_and_copy, name) >= 6);
    assert_true(alloc_fail_each(parse_and_copy, path) >= 6);
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands),
        cmocka_unit_test(shown_text_is_an_endpoint),
        cmocka_unit_test(refuses),
        cmocka_unit_test(names_have_limits),
        cmocka_unit_test(compares),
        cmocka_unit_test(copies),
        cmocka_unit_test(survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
