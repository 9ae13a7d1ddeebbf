/* SPDX-License-Identifier: Apache-2.0 */
/** @file version.h  The version of the headers, and of the library that is loaded. */
#ifndef ETCDC_VERSION_H
#define ETCDC_VERSION_H

#include <etcdc/export.h>

ETCD_BEGIN_DECLS

/** The same in numbers, for the preprocessor. */
#define ETCDC_VERSION_MAJOR 0
#define ETCDC_VERSION_MINOR 1
#define ETCDC_VERSION_PATCH 0
/** The version of these headers. */
#define ETCDC_VERSION "0.1.0"

/** The version of the library that is loaded; a constant. @since 0.1 */
ETCD_API const char *etcd_version(void);

ETCD_END_DECLS

#endif
