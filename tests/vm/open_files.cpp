// SPDX-License-Identifier: MIT
#include "open_files.hpp"

#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <catch2/catch_test_macros.hpp>

#include "pagemap.hpp"

namespace testing {

namespace {

constexpr std::uint64_t page = 4096;

class Mapping {
public:
    Mapping(int fd, std::uint64_t offset, std::size_t size, std::uint64_t access)
        : fd_(fd), access_(access), skip_(offset % page), size_(size + skip_) {
        sync(DMA_BUF_SYNC_START);
        const int protection = access == DMA_BUF_SYNC_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
        address_ = mmap(nullptr, size_, protection, MAP_SHARED, fd, static_cast<off_t>(offset - skip_));
        if (address_ == MAP_FAILED) FAIL("mmap of fd " << fd << ": " << std::strerror(errno));
    }
    ~Mapping() {
        munmap(address_, size_);
        sync(DMA_BUF_SYNC_END);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    std::byte* bytes() const { return static_cast<std::byte*>(address_) + skip_; }

private:
    void sync(std::uint64_t step) const {
        dma_buf_sync request{step | access_};
        if (ioctl(fd_, DMA_BUF_IOCTL_SYNC, &request) != 0 && errno != ENOTTY)
            FAIL("DMA_BUF_IOCTL_SYNC of fd " << fd_ << ": " << std::strerror(errno));
    }
    int fd_;
    std::uint64_t access_;
    std::size_t skip_, size_;
    void* address_ = nullptr;
};

} // namespace

std::vector<OpenFile> open_files(pid_t pid, const std::string& prefix) {
    std::vector<OpenFile> found;
    std::error_code gone;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", gone)) {
        const auto path = std::filesystem::read_symlink(entry.path(), gone).string();
        struct stat status{};
        if (!path.starts_with(prefix) || stat(entry.path().c_str(), &status) != 0) continue;
        found.push_back({std::stoi(entry.path().filename().string()), status.st_ino, path});
    }
    return found;
}

std::vector<std::uint64_t> open_dmabufs(pid_t pid) {
    std::vector<std::uint64_t> inodes;
    for (const auto& file : open_files(pid, "/dmabuf:"))
        inodes.push_back(file.inode);
    return inodes;
}

std::vector<std::uint64_t> mapped_dmabufs(pid_t pid) {
    std::vector<std::uint64_t> inodes;
    for (const auto& entry : maps_of(pid))
        if (entry.path.starts_with("/dmabuf:")) inodes.push_back(entry.inode);
    return inodes;
}

share::UniqueFd take_fd(pid_t pid, int fd) {
    const share::UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    share::UniqueFd taken(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
    if (!taken) FAIL("pidfd_getfd(" << pid << ", " << fd << "): " << std::strerror(errno));
    return taken;
}

void write_bytes(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
    const Mapping mapping(fd, offset, bytes.size(), DMA_BUF_SYNC_WRITE);
    std::memcpy(mapping.bytes(), bytes.data(), bytes.size());
}

std::vector<std::byte> read_bytes(int fd, std::uint64_t offset, std::size_t size) {
    const Mapping mapping(fd, offset, size, DMA_BUF_SYNC_READ);
    return {mapping.bytes(), mapping.bytes() + size};
}

std::optional<std::vector<std::byte>> read_of(pid_t pid, std::uint64_t address, std::size_t size) {
    std::vector<std::byte> bytes(size);
    const iovec here{bytes.data(), size}, there{reinterpret_cast<void*>(address), size};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) != static_cast<ssize_t>(size)) return std::nullopt;
    return bytes;
}

} // namespace testing
