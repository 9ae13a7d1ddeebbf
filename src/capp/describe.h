/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAPP__DESCRIBE_H
#define CAPP__DESCRIBE_H

#include "base/buf.h"
#include "capp/describe.h"

/* Appends the description of an application whose graph has been checked; false when out of memory. */
bool capp__describe_app(const capp_app *app, capp_describe_format format, struct etcd__buf *text);

#endif
