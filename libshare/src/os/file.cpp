// SPDX-License-Identifier: MIT
#include "os/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include <fmt/format.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U // Linux 6.3
#endif

namespace share::os {

Result<Status> status(int fd) {
    const auto failed = [&](const char* call) {
        return error_from_errno(errno, fmt::format("asking what fd {} is", fd), call);
    };
    Status result;
    result.flags = ::fcntl(fd, F_GETFL);
    if (result.flags < 0) return failed("fcntl(F_GETFL)");
    struct stat st{};
    if (::fstat(fd, &st) < 0) return failed("fstat");
    struct statfs fs{};
    if (::fstatfs(fd, &fs) < 0) return failed("fstatfs");
    result.device = st.st_dev;
    result.inode = st.st_ino;
    result.size = st.st_size > 0 ? static_cast<std::uint64_t>(st.st_size) : 0;
    result.mode = st.st_mode;
    result.fs_type = static_cast<std::uint64_t>(fs.f_type);
    result.fs_block = static_cast<std::uint64_t>(fs.f_bsize);
    return result;
}

Result<std::uint64_t> seek_end(int fd) {
    const off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < 0) return error_from_errno(errno, fmt::format("asking the size of dma-buf fd {}", fd), "lseek");
    return static_cast<std::uint64_t>(end);
}

Result<UniqueFd> create_memfd(const std::string& name, std::uint64_t size, unsigned seals, unsigned flags) {
    const auto operation = [&] { return fmt::format("creating memfd '{}' of {} bytes", name, size); };
    flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
    UniqueFd fd(::memfd_create(name.c_str(), flags | MFD_NOEXEC_SEAL));
    if (!fd && errno == EINVAL) fd.reset(::memfd_create(name.c_str(), flags));
    if (!fd) return error_from_errno(errno, operation(), "memfd_create");
    if (size > static_cast<std::uint64_t>(INT64_MAX) || ::ftruncate(fd.get(), static_cast<off_t>(size)) < 0)
        return error_from_errno(size > static_cast<std::uint64_t>(INT64_MAX) ? EFBIG : errno, operation(),
                                "ftruncate");
    if (auto sealed = add_seals(fd.get(), seals); !sealed) return std::move(sealed).error();
    return fd;
}

unsigned seals(int fd) noexcept {
    const int saved = errno;
    const int seals = ::fcntl(fd, F_GET_SEALS);
    errno = saved;
    return seals < 0 ? 0U : static_cast<unsigned>(seals);
}

Result<void> add_seals(int fd, unsigned seals) {
    if (::fcntl(fd, F_ADD_SEALS, seals) < 0)
        return error_from_errno(errno, fmt::format("sealing fd {}", fd),
                                "its owner must allow it: MFD_ALLOW_SEALING");
    return {};
}

Result<UniqueFd> duplicate(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); // 3: never land on a closed standard stream
    if (!copy)
        return error_from_errno(errno, fmt::format("duplicating fd {}", fd),
                                errno == EMFILE ? "raise the limit of open files (ulimit -n)" : "");
    return copy;
}

std::string link_of(int fd) {
    std::string link(4096, '\0');
    const auto length = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), link.data(), link.size());
    link.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return link;
}

Result<UniqueFd> open_device(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!fd) return error_from_errno(errno, fmt::format("opening {}", path));
    return fd;
}

std::size_t page_size() noexcept {
    static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return size;
}

std::optional<std::uint64_t> available_memory() {
    std::ifstream file("/proc/meminfo");
    std::string key;
    std::uint64_t kib = 0;
    while (file >> key >> kib) {
        if (key == "MemAvailable:") return kib * 1024;
        file.ignore(64, '\n');
    }
    return std::nullopt;
}

} // namespace share::os
