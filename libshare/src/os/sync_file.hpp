// SPDX-License-Identifier: MIT
// The ioctls of sync_files, and those that put them into dma-bufs and take them out. Thin; no policy.
// Thread: any. Source: sync_file.rst, dma-buf.rst.
#pragma once

#include <string>

#include <share/deadline.hpp>
#include <share/memory.hpp>

namespace share::os {

/// 1: all signalled; 0: some are not; a negative errno: one ended with that error.
/// Errors: invalid_argument (not a sync_file).
Result<int> sync_file_status(int fd);
Result<UniqueFd> merge_sync_files(int a, int b, const std::string& name);
/// False when the deadline passed first.
Result<bool> wait_sync_file(int fd, Deadline deadline);

/// What must be done before `access`: writers' work before reading, everybody's before writing.
/// Errors: unsupported (before Linux 6.0).
Result<UniqueFd> export_sync_file(int dmabuf, Access access);
/// Others wait for `sync_file` before they touch the dma-buf: `access` is what its work does.
Result<void> import_sync_file(int dmabuf, int sync_file, Access access);

} // namespace share::os
