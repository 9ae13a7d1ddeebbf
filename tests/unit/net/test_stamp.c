/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stamp.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void tells_files_apart(void **state)
{
    char first[] = "/tmp/etcdc-stamp-XXXXXX";
    char second[] = "/tmp/etcdc-stamp-XXXXXX";
    const struct etcd__stamp none = {0};
    struct etcd__stamp before, after;
    int fd = mkstemp(first);
    int other = mkstemp(second);

    (void)state;
    assert_true(fd >= 0 && other >= 0);
    before = etcd__stamp_of(first);
    assert_false(etcd__stamp_equal(&before, &none));
    after = etcd__stamp_of(first);
    assert_true(etcd__stamp_equal(&before, &after));

    assert_int_equal(write(fd, "x", 1), 1); /* changed */
    after = etcd__stamp_of(first);
    assert_false(etcd__stamp_equal(&before, &after));

    before = after;
    assert_int_equal(write(other, "x", 1), 1); /* replaced by one of the same size */
    assert_int_equal(rename(second, first), 0);
    after = etcd__stamp_of(first);
    assert_false(etcd__stamp_equal(&before, &after));

    assert_int_equal(unlink(first), 0);
    after = etcd__stamp_of(first);
    assert_true(etcd__stamp_equal(&after, &none));
    after = etcd__stamp_of(NULL);
    assert_true(etcd__stamp_equal(&after, &none));
    close(fd);
    close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_files_apart)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
