// SPDX-License-Identifier: MIT
#include "memory/foreign.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace share {
namespace {

struct FileSystem {
    std::uint64_t magic;
    std::string_view name;
    enum class Kind : std::uint8_t { disk, network, pseudo, anonymous } kind;
};
using enum FileSystem::Kind;
constexpr FileSystem known[] = {
    {0xef53, "ext2, ext3 or ext4", disk},
    {0x58465342, "xfs", disk},
    {0x9123683e, "btrfs", disk},
    {0x794c7630, "overlayfs", disk},
    {0x4d44, "vfat", disk},
    {0xf2f52010, "f2fs", disk},
    {0x2fc12fc1, "zfs", disk},
    {0x73717368, "squashfs", disk},
    {0x2011bab0, "exfat", disk},
    {0x5346544e, "ntfs", disk},
    {0x9660, "iso9660", disk},
    {0xca451a4e, "bcachefs", disk},
    {0xe0f5e1e2, "erofs", disk},
    {0x00c0ffee, "hostfs", disk},
    {0x6969, "NFS", network},
    {0xff534d42, "CIFS", network},
    {0xfe534d42, "SMB", network},
    {0x517b, "SMB", network},
    {0x01021997, "9p", network},
    {0x00c36400, "Ceph", network},
    {0x5346414f, "AFS", network},
    {0x65735546, "FUSE", network},
    {0x9fa0, "/proc", pseudo},
    {0x62656572, "/sys", pseudo},
    {0x64626720, "debugfs", pseudo},
    {0x27e0eb, "cgroup", pseudo},
    {0x63677270, "cgroup2", pseudo},
    {0x09041934, "", anonymous},
    {0x50494446, "", anonymous},
    {0x6e736673, "", anonymous},
};

const FileSystem* file_system(std::uint64_t magic) {
    const auto* at = std::ranges::find(known, magic, &FileSystem::magic);
    return at == std::end(known) ? nullptr : at;
}

constexpr std::uint64_t fs_secretmem = 0x5345434d;
constexpr const char* take_memory = "give a dma-buf, a memfd or a file of tmpfs or hugetlbfs";

/// The name behind an fd, fit for a text: whoever made the file chose it.
std::string shown(std::string_view link) {
    constexpr std::size_t most = 80;
    std::string text(link.substr(0, most));
    std::ranges::replace_if(text, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return text;
}

std::string of_file(const os::Status& status, const std::string& link) {
    const auto* fs = file_system(status.fs_type);
    if (fs && fs->name == "/proc" && link.ends_with("/mem"))
        return fmt::format(
            "it is a process's memory as a file ({}), which that process did not share; let it "
            "give a memfd or a dma-buf",
            shown(link));
    if (fs && fs->kind == network)
        return fmt::format(
            "it is a file of a network file system or of a user's own ({}): its pages here are a "
            "copy that others do not see; copy it into a memfd",
            fs->name);
    if (fs && fs->kind == disk)
        return fmt::format(
            "it is a file of a disk ({}), not memory; copy it into a memfd, or put it on a tmpfs "
            "such as /dev/shm",
            fs->name);
    if (fs && fs->kind == pseudo)
        return fmt::format("it is a file of {}, which has no pages to share; {}", fs->name, take_memory);
    if (fs) return fmt::format("it is an anonymous kernel object, no memory; {}", take_memory);
    return fmt::format("it is a file of the file system {:#x}, which is none of memory; copy it into a memfd",
                       status.fs_type);
}

std::string of_device(const char* what, const std::string& link) {
    const bool makes_memory = link.starts_with("/dev/dri/") || link.starts_with("/dev/dma_heap/") ||
                              link.starts_with("/dev/video") || link == "/dev/udmabuf";
    return fmt::format("it is {} ({}), not memory; {}", what, shown(link),
                       makes_memory ? "let it make or export a dma-buf and give that" : take_memory);
}

/// Shared memory that nobody gave away as a file: a name of the kernel's own on its own tmpfs.
std::optional<std::string> of_mapping(const os::Status& status, const std::string& link) {
    if (link.starts_with("/dev/zero (deleted)"))
        return "it is another process's anonymous mapping, reached through /proc/PID/map_files; let that "
               "process "
               "put the bytes into a memfd";
    if (link.starts_with("/SYSV") && link.ends_with("(deleted)"))
        return fmt::format("it is the System V segment {} as a file; take it by its id (import_sysv)",
                           status.inode);
    return std::nullopt;
}

} // namespace

std::optional<std::string> refusal_of(int fd, const os::Status& status) {
    const auto link = os::link_of(fd);
    switch (status.mode & S_IFMT) {
    case S_IFDIR:
        return fmt::format("it is a directory; open a file of tmpfs in it, or {}", take_memory);
    case S_IFCHR:
        return of_device("a character device", link);
    case S_IFBLK:
        return of_device("a block device", link);
    case S_IFIFO:
        return fmt::format("it is a pipe or FIFO, which passes bytes on and keeps none; {}", take_memory);
    case S_IFSOCK:
        return "it is a socket; send a memfd or a dma-buf through it (SCM_RIGHTS) and give that";
    default:
        break;
    }
    if (status.fs_type == fs_secretmem)
        return "it is secret memory (memfd_secret), which the kernel keeps from everybody else; use a memfd";
    if ((status.mode & S_IFMT) != S_IFREG)
        return fmt::format("it is an anonymous kernel object ({}), no memory; {}", shown(link), take_memory);
    if (status.fs_type == os::fs_tmpfs) return of_mapping(status, link);
    if (status.fs_type == os::fs_hugetlbfs) return std::nullopt;
    return of_file(status, link);
}

} // namespace share
