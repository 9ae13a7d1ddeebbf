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
