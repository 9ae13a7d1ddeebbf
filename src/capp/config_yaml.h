/* SPDX-License-Identifier: Apache-2.0 */
/* Files of configuration, YAML or JSON, into trees. */
#ifndef CAPP__CONFIG_YAML_H
#define CAPP__CONFIG_YAML_H

#include "config_tree.h"
#include "mistakes.h"

enum { CAPP__FILE_MAX = 4 * 1024 * 1024, CAPP__DEPTH_MAX = 32 };

/*
 * Reads a text into an empty tree. Everything that is wrong with it is noted as a mistake with
 * line and column; `name` is the source in messages and places, and must live as long as the tree. A text
 * that begins with a brace may be JSON, and is read as that.
 */
void capp__yaml_read(const char *name, const char *text, size_t len, struct capp__tree *tree,
                     struct capp__mistakes *mistakes);

#endif
