// SPDX-License-Identifier: MIT
// Shm: a wl_shm of our own, version 2, for files that may shrink, be shorter than claimed or be no files.
//
// A pool is one read-only mapping, made when the pool is created or grows, and shared by the buffers made
// from it then; buffers outlive the pool. No client fd is ever sealed. A file shorter than its pool is legal
// until it is read: read through with_guard() (guarded_read.hpp), or inside a share::GuardedRegion.
// Pools are memfds, files of tmpfs or hugetlbfs, and dma-bufs. Thread: the display's.
// Errors of the client: wl_shm's own enum, on the object that was asked. Source: wayland.xml (wl_shm).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <share/buffer.hpp>
#include <share/wayland_server/client_buffer.hpp>

namespace share::wayland_server {

struct ShmConfig {
    /// What one client may hold; more is wl_display.no_memory for that client.
    std::uint64_t mappings = 1024;            ///< each holds an fd: a server raises RLIMIT_NOFILE
    std::uint64_t mapped_bytes = 64ULL << 30; ///< address space: sparse pools are legal
    std::uint64_t buffers = 8192;
    std::uint64_t buffer_bytes = 32ULL << 30; ///< of all its buffers: what reading can make resident
    /// Also take regular files of other file systems, whose pages may come from a network or a user-space
    /// server that never answers.
    bool accept_disk_files = false;
};

class SHARE_API Shm {
public:
    /// XRGB8888 and ARGB8888 are always advertised, as wl_shm demands; formats that Layout does not know are
    /// left out. Errors: out_of_memory.
    static Result<std::unique_ptr<Shm>> create(wl_display* display, std::span<const Fourcc> formats,
                                               const ShmConfig& config = {});
    ~Shm();
    Shm(const Shm&) = delete;
    Shm& operator=(const Shm&) = delete;
    std::span<const Fourcc> formats() const noexcept;

    struct State;

private:
    explicit Shm(std::shared_ptr<State> state) noexcept;
    void bind(wl_client* client, std::uint32_t version, std::uint32_t id);
    std::shared_ptr<State> state_;
    Global global_;
};

/// wl_shm's code of a format: the fourcc but for ARGB8888 (0) and XRGB8888 (1). And back.
constexpr std::uint32_t shm_format(Fourcc format) noexcept {
    if (format == format::argb8888) return 0;
    return format == format::xrgb8888 ? 1 : format;
}
constexpr Fourcc shm_fourcc(std::uint32_t code) noexcept {
    if (code == 0) return format::argb8888;
    return code == 1 ? format::xrgb8888 : code;
}

} // namespace share::wayland_server
