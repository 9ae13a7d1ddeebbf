/* SPDX-License-Identifier: Apache-2.0 */
/** @file capp.h  All of the application host. Modules have headers of their own, such as capp/etcd.h. */
#ifndef CAPP_H
#define CAPP_H

#include <capp/app.h>
#include <capp/builder.h>
#include <capp/cancel.h>
#include <capp/config.h>
#include <capp/describe.h>
#include <capp/error.h>
#include <capp/export.h>
#include <capp/health.h>
#include <capp/log.h>
#include <capp/metrics.h>
#include <capp/module.h>
#include <capp/monitor.h>
#include <capp/options.h>
#include <capp/scope.h>
#include <capp/service.h>
#include <capp/source.h>
#include <capp/type.h>
#include <capp/worker.h>

#endif
