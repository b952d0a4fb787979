// SPDX-License-Identifier: MIT
#include "hostile_fds.hpp"

#include <drm.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "process.hpp"

namespace testing {

namespace {

using share::Code;
using share::UniqueFd;

constexpr unsigned seal_future_write = 0x0010;

UniqueFd memfd(unsigned seals, std::uint64_t size = hostile_bytes) {
    UniqueFd fd(memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const std::vector<std::uint8_t> bytes(size, hostile_fill);
    if (pwrite(fd.get(), bytes.data(), size, 0) != static_cast<ssize_t>(size)) return {};
    if (seals != 0 && fcntl(fd.get(), F_ADD_SEALS, seals) != 0) return {};
    return fd;
}

UniqueFd reopened(int fd, int flags) {
    return UniqueFd(open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags | O_CLOEXEC));
}

UniqueFd opened(const std::string& path, int flags) {
    return UniqueFd(open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

UniqueFd file_of_size(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd || ftruncate(fd.get(), static_cast<off_t>(hostile_bytes)) != 0) return {};
    unlink(path.c_str());
    return fd;
}

void fill(int fd, std::uint64_t offset) {
    void* bytes =
        mmap(nullptr, hostile_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (bytes == MAP_FAILED) return;
    std::memset(bytes, hostile_fill, hostile_bytes);
    munmap(bytes, hostile_bytes);
}

UniqueFd udmabuf(std::uint64_t size) {
    const UniqueFd device = opened("/dev/udmabuf", O_RDWR);
    const UniqueFd pages = memfd(F_SEAL_SHRINK, size);
    udmabuf_create request{};
    request.memfd = static_cast<std::uint32_t>(pages.get());
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = size;
    return UniqueFd(ioctl(device.get(), UDMABUF_CREATE, &request));
}

UniqueFd dma_heap(unsigned access) {
    const UniqueFd device = opened("/dev/dma_heap/system", O_RDWR);
    dma_heap_allocation_data request{};
    request.len = hostile_bytes;
    request.fd_flags = access | O_CLOEXEC;
    if (ioctl(device.get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0) return {};
    UniqueFd fd(static_cast<int>(request.fd));
    if (access == O_RDWR) fill(fd.get(), 0);
    return fd;
}

/// A dumb buffer of a DRM node as dma-buf; `flags`: DRM_RDWR or 0, which gives a read-only fd.
UniqueFd dumb(const std::string& node, unsigned flags) {
    const UniqueFd device = opened(node, O_RDWR);
    drm_mode_create_dumb create{};
    create.width = create.height = hostile_side;
    create.bpp = 32;
    if (ioctl(device.get(), DRM_IOCTL_MODE_CREATE_DUMB, &create) != 0) return {};
    drm_mode_map_dumb map{};
    map.handle = create.handle;
    if (ioctl(device.get(), DRM_IOCTL_MODE_MAP_DUMB, &map) != 0) return {};
    fill(device.get(), map.offset);
    drm_prime_handle prime{};
    prime.handle = create.handle;
    prime.flags = flags | DRM_CLOEXEC;
    if (ioctl(device.get(), DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) != 0) return {};
    return UniqueFd(prime.fd);
}

/// A buffer of a V4L2 queue as dma-buf.
UniqueFd v4l2_buffer(const std::string& node) {
    const UniqueFd device = opened(node, O_RDWR);
    v4l2_format format{};
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (ioctl(device.get(), VIDIOC_G_FMT, &format) != 0) return {};
    v4l2_requestbuffers request{};
    request.count = 1;
    request.type = format.type;
    request.memory = V4L2_MEMORY_MMAP;
    if (ioctl(device.get(), VIDIOC_REQBUFS, &request) != 0) return {};
    v4l2_exportbuffer exported{};
    exported.type = format.type;
    exported.flags = O_CLOEXEC | O_RDWR;
    if (ioctl(device.get(), VIDIOC_EXPBUF, &exported) != 0) return {};
    return UniqueFd(exported.fd);
}

UniqueFd pipe_end(int which) {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    close(ends[static_cast<std::size_t>(1 - which)]);
    return UniqueFd(ends[static_cast<std::size_t>(which)]);
}

std::vector<std::string> devices(const std::string& folder, const std::string& prefix) {
    std::vector<std::string> found;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none))
        if (entry.path().filename().string().starts_with(prefix) &&
            (entry.is_character_file(none) || entry.is_block_file(none)))
            found.push_back(entry.path());
    return found;
}

HostileFd refused(std::string name, std::function<UniqueFd()> make, Code code = Code::unsupported) {
    return {std::move(name), Verdict::refused, code, std::move(make)};
}

void add_kernel_objects(std::vector<HostileFd>& all) {
    all.push_back(refused("the reading end of a pipe", [] { return pipe_end(0); }));
    all.push_back(refused("the writing end of a pipe", [] { return pipe_end(1); }));
    all.push_back(
        refused("a socket", [] { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }));
    all.push_back(refused("an eventfd", [] { return UniqueFd(eventfd(0, EFD_CLOEXEC)); }));
    all.push_back(refused("an epoll", [] { return UniqueFd(epoll_create1(EPOLL_CLOEXEC)); }));
    all.push_back(
        refused("a timerfd", [] { return UniqueFd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)); }));
    all.push_back(refused("an inotify", [] { return UniqueFd(inotify_init1(IN_CLOEXEC)); }));
    all.push_back(refused("a signalfd", [] {
        sigset_t none;
        sigemptyset(&none);
        return UniqueFd(signalfd(-1, &none, SFD_CLOEXEC));
    }));
    all.push_back(
        refused("a pidfd", [] { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))); }));
    all.push_back(refused("a userfaultfd", [] {
        return UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
    }));
    all.push_back(refused("a fence", [] {
        const UniqueFd buffer = udmabuf(4096);
        dma_buf_export_sync_file request{DMA_BUF_SYNC_RW, -1};
        if (ioctl(buffer.get(), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) != 0) return UniqueFd();
        return UniqueFd(request.fd);
    }));
    all.push_back(refused("secret memory", [] {
        UniqueFd fd(static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC)));
        if (fd && ftruncate(fd.get(), static_cast<off_t>(hostile_bytes)) != 0) return UniqueFd();
        return fd;
    }));
}

void add_files(std::vector<HostileFd>& all, const std::string& disk) {
    all.push_back(refused("a file of ext4", [disk] { return file_of_size(disk + "/file"); }));
    all.push_back(
        refused("a file of overlayfs or a disk", [] { return file_of_size("/var/tmp/share-hostile"); }));
    all.push_back(refused("this program", [] { return opened("/proc/self/exe", O_RDONLY); }));
    all.push_back(refused("a file of /proc", [] { return opened("/proc/self/maps", O_RDONLY); }));
    all.push_back(refused("a file of /sys",
                          [] { return opened("/sys/module/udmabuf/parameters/list_limit", O_RDONLY); }));
    all.push_back(refused("a directory", [] { return opened("/", O_RDONLY | O_DIRECTORY); }));
    all.push_back(refused("a directory of tmpfs", [] { return opened("/dev/shm", O_RDONLY | O_DIRECTORY); }));
    for (const auto* name : {"/dev/zero", "/dev/null", "/dev/full", "/dev/ptmx", "/dev/udmabuf",
                             "/dev/dma_heap/system", "/sys/kernel/debug/sync/sw_sync", "/dev/kmsg"})
        all.push_back(refused(name, [name] { return opened(name, O_RDWR); }));
    for (const auto& [folder, prefix] :
         {std::pair{"/dev/dri", ""}, {"/dev", "video"}, {"/dev", "loop"}, {"/dev", "fb"}})
        for (const auto& path : devices(folder, prefix))
            all.push_back(refused(path, [path] { return opened(path, O_RDWR); }));
}

void add_memory(std::vector<HostileFd>& all) {
    constexpr unsigned sound = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    const auto add = [&](std::string name, Verdict verdict, Code code, std::function<UniqueFd()> make) {
        all.push_back({std::move(name), verdict, code, std::move(make)});
    };
    add("a sealed memfd", Verdict::memory, {}, [] { return memfd(sound); });
    add("a memfd sealed against writing", Verdict::memory, {},
        [] { return memfd(sound | seal_future_write); });
    add("a sealed memfd, opened for reading", Verdict::memory, {},
        [] { return reopened(memfd(sound).get(), O_RDONLY); });
    add("a sealed memfd, opened for writing only", Verdict::refused, Code::denied,
        [] { return reopened(memfd(sound).get(), O_WRONLY); });
    add("a memfd by O_PATH", Verdict::refused, Code::invalid_argument,
        [] { return reopened(memfd(sound).get(), O_PATH); });
    add("a sealed memfd that is too small", Verdict::too_small, Code::invalid_argument,
        [] { return memfd(F_SEAL_SHRINK, hostile_bytes - 4096); });
    add("an empty memfd", Verdict::refused, Code::invalid_argument, [] { return memfd(F_SEAL_SHRINK, 0); });
    add("a memfd without seals", Verdict::shrinkable, Code::unsupported, [] { return memfd(0); });
    add("a memfd without seals, then truncated", Verdict::shrinkable, Code::unsupported,
        [] { return memfd(0); });
    all.back().afterwards = [](int fd) { (void)!ftruncate(fd, 0); };
    add("a file of tmpfs", Verdict::shrinkable, Code::unsupported,
        [] { return file_of_size("/dev/shm/share-hostile"); });
    add("a file of tmpfs, opened for reading", Verdict::shrinkable, Code::unsupported,
        [] { return reopened(file_of_size("/dev/shm/share-hostile").get(), O_RDONLY); });
    add("a memfd of huge pages", Verdict::shrinkable, Code::unsupported, [] {
        UniqueFd fd(memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING));
        if (!fd || ftruncate(fd.get(), 2 << 20) != 0) return UniqueFd();
        return fd;
    });
}

void add_dmabufs(std::vector<HostileFd>& all) {
    const auto add = [&](std::string name, Verdict verdict, Code code, std::function<UniqueFd()> make) {
        all.push_back({std::move(name), verdict, code, std::move(make)});
    };
    add("a udmabuf", Verdict::memory, {}, [] { return udmabuf(hostile_bytes); });
    add("a udmabuf that is too small", Verdict::too_small, Code::invalid_argument,
        [] { return udmabuf(hostile_bytes - 4096); });
    add("a dma-heap buffer", Verdict::memory, {}, [] { return dma_heap(O_RDWR); });
    add("a dma-heap buffer, for reading", Verdict::memory, {}, [] { return dma_heap(O_RDONLY); });
    all.back().fill = 0; // no fd that writes it was ever made
    add("a dma-heap buffer, for writing only", Verdict::refused, Code::denied,
        [] { return dma_heap(O_WRONLY); });
    for (const auto& node : devices("/dev/dri", "card")) {
        add("a dumb buffer of " + node, Verdict::memory, {}, [node] { return dumb(node, DRM_RDWR); });
        add("a dumb buffer of " + node + ", for reading", Verdict::memory, {},
            [node] { return dumb(node, 0); });
    }
}

} // namespace

std::vector<HostileFd> hostile_fds(const std::string& folder) {
    std::vector<HostileFd> all;
    add_kernel_objects(all);
    add_files(all, folder);
    add_memory(all);
    add_dmabufs(all);
    return all;
}

std::vector<Exporter> dmabuf_exporters() {
    std::vector<Exporter> all;
    const auto add = [&](std::string name, UniqueFd fd) {
        if (fd) all.push_back({std::move(name), std::move(fd)});
    };
    add("udmabuf", udmabuf(hostile_bytes));
    add("dma-heap system", dma_heap(O_RDWR));
    for (const auto& node : devices("/dev/dri", ""))
        add(node, dumb(node, DRM_RDWR));
    for (const auto& node : devices("/dev", "video"))
        add(node, v4l2_buffer(node));
    return all;
}

Ext4::Ext4(std::string folder) : root_(folder + "/ext4") {
    const std::string image = "/dev/shm/share-hostile.img"; // a loop device on the VM's overlay is not sound
    // The loop device goes with the mount: it is detached as soon as it is in use.
    const auto command = "truncate -s 8M " + image + " && mkfs.ext4 -q " + image + " && mkdir " + root_ +
                         " && loop=$(losetup -f --show " + image + ") && mount -t ext4 $loop " + root_ +
                         "; losetup -d $loop; rm " + image + "; mountpoint -q " + root_;
    const auto done = run({.env = {}, .args = {"sh", "-c", command}, .keep_fds = {}});
    if (done.status != 0) problem_ = "no ext4 could be mounted: " + done.err;
}

Ext4::~Ext4() {
    if (problem_.empty()) umount2(root_.c_str(), 0);
}

} // namespace testing
