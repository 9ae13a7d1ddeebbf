/* SPDX-License-Identifier: Apache-2.0 */
#include "support/matrix.h"

#include <stdlib.h>
#include <string.h>

const char *test_version(void)
{
    return getenv("ETCDC_TEST_VERSION");
}

bool test_caller_drive(void)
{
    const char *drive = getenv("ETCDC_TEST_DRIVE");
    return drive != NULL && strcmp(drive, "caller") == 0;
}

static bool is_named(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

int test_run_group(const struct CMUnitTest *tests, size_t count, const char *const *need_threads,
                   CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    struct CMUnitTest *kept = calloc(count, sizeof(*kept));
    size_t kept_count = 0;
    int failed;

    if (kept == NULL)
        return 1;
    for (size_t i = 0; i < count; i++) {
        if (!test_caller_drive() || !is_named(need_threads, tests[i].name))
            kept[kept_count++] = tests[i];
    }
    failed = kept_count == 0 ? 0 : _cmocka_run_group_tests("tests", kept, kept_count, set_up, tear_down);
    free(kept);
    return failed;
}
