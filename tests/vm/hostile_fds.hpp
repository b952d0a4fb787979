// SPDX-License-Identifier: MIT
// Every kind of fd that a peer can send, and what libshare and a compositor have to make of it.
//
// A kind that this machine cannot make (no such device, no such kernel object) gives an invalid fd and says
// why. Source: memfd_create(2), dma-buf.rst, dma-heap.h, udmabuf.h, drm_mode.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace testing {

/// What is asked of each: room for 64x64 pixels of XRGB8888.
inline constexpr std::uint32_t hostile_side = 64;
inline constexpr std::uint64_t hostile_bytes = hostile_side * hostile_side * 4;
/// Every byte of what is sound memory, where anybody can write it beforehand.
inline constexpr std::uint8_t hostile_fill = 0x5a;

enum class Verdict {
    memory,     ///< sound: imported, shown
    shrinkable, ///< memory that its owner can take away: imported by who asks for that, refused by others
    too_small,  ///< sound, but not for this layout
    refused,    ///< no memory, or none that can be read
};

struct HostileFd {
    std::string name;
    Verdict verdict = Verdict::refused;
    share::Code code = share::Code::unsupported; ///< of the refusal
    std::function<share::UniqueFd()> make;
    std::uint8_t fill = hostile_fill;
    /// What its owner does once it was given away: truncates it.
    std::function<void(int fd)> afterwards = {};
};

/// `folder`: on a disk file system of its own (ext4).
std::vector<HostileFd> hostile_fds(const std::string& folder);

/// Every exporter of dma-bufs that this machine has: name and a buffer of hostile_bytes.
struct Exporter {
    std::string name;
    share::UniqueFd dmabuf;
};
std::vector<Exporter> dmabuf_exporters();

/// An ext4 of its own on a loop device, mounted while the object lives.
class Ext4 {
public:
    explicit Ext4(std::string folder);
    ~Ext4();
    Ext4(const Ext4&) = delete;
    Ext4& operator=(const Ext4&) = delete;
    const std::string& root() const { return root_; }
    /// Empty when it is mounted.
    const std::string& problem() const { return problem_; }

private:
    std::string root_, problem_;
};

} // namespace testing
