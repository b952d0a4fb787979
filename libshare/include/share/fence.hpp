// SPDX-License-Identifier: MIT
// Fence: when somebody else's work on a buffer will be done.
//
// Carried by a kernel sync_file, which can be sent to other processes as an fd, or by nothing at all: a fence
// without a file is done. A Fence is a snapshot: work that is added to a dma-buf later is not in it.
// Owner: whoever holds it; copies share the file. Thread: any; a Fence does not change.
// Errors: a fence may never signal (a hung device, a peer that forgot it), so every wait has a deadline.
// Source: sync_file.rst, dma-buf.rst (DMA_BUF_IOCTL_EXPORT_SYNC_FILE, _IMPORT_SYNC_FILE; Linux 6.0).
#pragma once

#include <memory>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace share {

class SHARE_API Fence {
public:
    /// One that is done.
    Fence() noexcept = default;
    /// Takes the fd. Errors: invalid_argument (the kernel does not know it as a sync_file).
    static Result<Fence> from_sync_file(UniqueFd fd);
    /// Done when both are. `name` is for debugfs; at most 31 bytes are kept. Errors: as the kernel.
    static Result<Fence> merge(const Fence& a, const Fence& b, const std::string& name = "libshare");

    /// Asks; never waits. True for work that ended with an error too: wait() tells that one.
    Result<bool> signalled() const;
    /// Errors: timed_out; io (the work ended with an error: the pixels cannot be trusted).
    Result<void> wait(Deadline deadline) const;
    /// Borrowed, for event loops: readable (POLLIN) once the work is done. -1: there is nothing to wait for.
    int fd() const noexcept { return file_ ? file_->get() : -1; }
    /// For a peer. Errors: invalid_argument when there is no file.
    Result<UniqueFd> export_sync_file() const;

private:
    explicit Fence(UniqueFd fd) : file_(std::make_shared<const UniqueFd>(std::move(fd))) {}
    std::shared_ptr<const UniqueFd> file_;
};

} // namespace share
