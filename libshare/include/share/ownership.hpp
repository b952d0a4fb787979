// SPDX-License-Identifier: MIT
// Ownership between processes: the kernel's record locks keep honest processes out of each other's way.
//
// After share_ownership() or join_ownership(), Buffer::map() and attach() take turns with all other processes
// that did the same for these bytes: a read hold is a shared lock, a write hold an exclusive one, on the byte
// range of the buffer. Their deadline holds for everything together. A process that dies gives up what it
// held. There is no daemon and no shared page that a peer could scribble on; the locks are advisory: they
// order honest parties, and protect nothing from others.
//
// Where the memory's own file can be opened again (memfd, hugetlbfs, tmpfs: also the heaps udmabuf and
// memfd-huge), it carries the locks: whoever has received its fd calls share_ownership(). Elsewhere
// (dma-heap, dumb, gbm, System V, and who has only the udmabuf) an OwnershipHandle travels beside the memory.
//
// A frame in flight: the producer ends its write by Mapping::hand_over() or Attachment::hand_over(), sends
// word, and releases the read hold that this gave it once wait_until_taken() says that the consumer has its
// own. Any process that holds the buffer satisfies wait_until_taken(): where there are several readers, let
// the consumer say itself that it has it.
//
// Only exclusive buffers. Before anybody maps or attaches it. Cost: one system call at each end of a hold.
// Fairness: as inside a process; a process that does not wait may be let in for 10 ms more.
// Thread: any. Units: bytes. Source: fcntl(2) (F_OFD_SETLK), proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/deadline.hpp>
#include <share/unique_fd.hpp>

namespace share {

/// Which bytes of which file stand for a buffer; one part per Memory. The fds are open file descriptions of
/// their own: send them, keep none. Who receives them gets no lock by that, and must join.
/// Where the file is the memory itself, its receiver can map all of that memory.
struct OwnershipHandle {
    struct Part {
        UniqueFd fd;
        ByteRange range; ///< in that file, possibly beyond its end
    };
    std::vector<Part> parts; ///< 1 to max_planes
};

/// For who allocated the memory, and for who received the memory's own fd. Again: nothing changes.
/// Errors: busy (somebody holds the buffer), unsupported (it is consistent; foreign memory that needs a
/// handle: the text says so), unavailable (/proc is missing), denied.
SHARE_API Result<void> share_ownership(Buffer& buffer);

/// For peers that receive the memory in a form that cannot be locked. Shares the ownership first, where that
/// has not been done. Errors: as share_ownership, limit (no more fds).
SHARE_API Result<OwnershipHandle> export_ownership(Buffer& buffer);

/// The other end of export_ownership(). A handle is from outside: it is checked. Errors: as share_ownership,
/// invalid_argument (no sensible range, too many parts), unsupported (an fd is no memory file), busy (also: it
/// is shared already, by other locks than these).
SHARE_API Result<void> join_ownership(Buffer& buffer, OwnershipHandle handle);

/// Whether another process holds some of the buffer now, for reading or writing.
/// Errors: unsupported (the ownership is not shared).
SHARE_API Result<bool> held_elsewhere(Buffer& buffer);
/// Waits until another process holds some of the buffer. Errors: also timed_out.
SHARE_API Result<void> wait_until_taken(Buffer& buffer, Deadline deadline);

/// A process that holds some of a buffer.
struct ProcessHolder {
    pid_t pid = 0;
    std::string name; ///< of the program, printable
    bool writes = false;
};
/// Another process that keeps us from `access`, where it is of our user (or we are root). Reads /proc, for a
/// quarter of a second at most, so not for every frame. Nothing: there is none, or it cannot be known.
SHARE_API std::optional<ProcessHolder> other_holder(Buffer& buffer, Access access);

} // namespace share
