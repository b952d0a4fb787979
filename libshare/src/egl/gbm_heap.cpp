// SPDX-License-Identifier: MIT
#include <share/egl/gbm_heap.hpp>

#include <drm.h>
#include <fcntl.h>
#include <gbm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <vector>

#include <fmt/format.h>

#include <share/cache_probe.hpp>

namespace share::egl {
namespace {

constexpr std::uint64_t most = std::uint64_t{1} << 30U;
constexpr std::uint32_t most_rows = 16384;

/// A gbm_device and the node that it is open on. libgbm leaves locking to its users.
class Device {
public:
    static Result<std::shared_ptr<Device>> open(const std::string& node) {
        UniqueFd fd(::open(node.c_str(), O_RDWR | O_CLOEXEC));
        if (!fd)
            return error_from_errno(errno, fmt::format("opening {}", node),
                                    errno == EACCES ? "join its group (render or video) or log in at the seat"
                                                    : "");
        // Whoever opens a primary node first becomes the display's master: that is for who drives the
        // display.
        ::ioctl(fd.get(), DRM_IOCTL_DROP_MASTER, nullptr);
        auto* device = gbm_create_device(fd.get());
        if (!device)
            return make_error(Code::unsupported, fmt::format("opening {} as GBM device", node),
                              "no driver of this machine's Mesa (or another GBM backend) is for it");
        return std::shared_ptr<Device>(new Device(std::move(fd), device, node));
    }
    ~Device() { gbm_device_destroy(device_); }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const std::string& node() const noexcept { return node_; }
    int fd() const noexcept { return fd_.get(); }
    gbm_bo* create(std::uint32_t width, std::uint32_t height) {
        const std::lock_guard lock(lock_);
        return gbm_bo_create(device_, width, height, GBM_FORMAT_XRGB8888, GBM_BO_USE_LINEAR);
    }
    void destroy(gbm_bo* bo) noexcept {
        const std::lock_guard lock(lock_);
        gbm_bo_destroy(bo);
    }
    /// Whoever exports an object first decides whether the CPU may write to the dma-buf, and libgbm does not
    /// ask for that: the kernel is asked first. libgbm's own export then marks the object as shared, so that
    /// the driver does not recycle it.
    Result<UniqueFd> export_dmabuf(gbm_bo* bo) {
        const std::lock_guard lock(lock_);
        drm_prime_handle request{};
        request.handle = gbm_bo_get_handle(bo).u32;
        request.flags = DRM_CLOEXEC | DRM_RDWR;
        int done = 0;
        do
            done = ::ioctl(fd_.get(), DRM_IOCTL_PRIME_HANDLE_TO_FD, &request);
        while (done < 0 && (errno == EINTR || errno == EAGAIN));
        UniqueFd writable(done == 0 ? request.fd : -1);
        UniqueFd marked(gbm_bo_get_fd(bo));
        if (!marked)
            return error_from_errno(errno, fmt::format("exporting a buffer object of {}", node_),
                                    "gbm_bo_get_fd");
        return writable ? std::move(writable) : std::move(marked);
    }

private:
    Device(UniqueFd fd, gbm_device* device, std::string node)
        : fd_(std::move(fd)), device_(device), node_(std::move(node)) {}
    UniqueFd fd_;
    gbm_device* device_;
    std::string node_;
    std::mutex lock_;
};

/// A buffer object that goes with its scope.
class Object {
public:
    Object(std::shared_ptr<Device> device, gbm_bo* bo) noexcept : device_(std::move(device)), bo_(bo) {}
    Object(Object&& other) noexcept
        : device_(std::move(other.device_)), bo_(std::exchange(other.bo_, nullptr)) {}
    Object& operator=(Object&&) = delete;
    ~Object() {
        if (bo_) device_->destroy(bo_);
    }
    gbm_bo* get() const noexcept { return bo_; }

private:
    std::shared_ptr<Device> device_;
    gbm_bo* bo_;
};

class GbmMemory final : public Memory {
public:
    GbmMemory(Object object, UniqueFd dmabuf, std::uint64_t size, std::string heap, std::string name,
              const Traits& traits)
        : Memory(size, std::move(heap), std::move(name), traits),
          object_(std::move(object)),
          dmabuf_(std::move(dmabuf)) {}
    int fd() const noexcept override { return dmabuf_.get(); }
    Result<UniqueFd> export_dmabuf(std::uint64_t, std::uint64_t) override {
        UniqueFd copy(::fcntl(dmabuf_.get(), F_DUPFD_CLOEXEC, 3));
        if (!copy) return error_from_errno(errno, fmt::format("duplicating dma-buf fd {}", dmabuf_.get()));
        return copy;
    }

protected:
    Result<std::span<std::byte>> do_map(Access) override {
        void* address = ::mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf_.get(), 0);
        if (address == MAP_FAILED) // NOLINT(performance-no-int-to-ptr)
            return error_from_errno(errno, fmt::format("mapping {} bytes of {}", size(), heap()), "mmap");
        return std::span(static_cast<std::byte*>(address), size());
    }

private:
    Object object_; ///< the driver must not take the pages for another buffer
    UniqueFd dmabuf_;
};

class GbmHeap final : public Heap {
public:
    explicit GbmHeap(std::shared_ptr<Device> device)
        : device_(std::move(device)),
          name_("gbm:" + std::filesystem::path(device_->node()).filename().string()) {
        traits_.kind = MemoryKind::dmabuf;
        traits_.page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        traits_.exports = Exports::dmabuf;
    }
    std::string_view name() const noexcept override { return name_; }
    Traits traits() const noexcept override { return traits_; }
    Privilege privilege() const override { return {Privilege::Kind::device_node, device_->node()}; }
    void set_unmappable() noexcept { traits_.mappable = false; }
    void measure() { measure_cache(*this, traits_); }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override;

private:
    std::shared_ptr<Device> device_;
    std::string name_;
    Traits traits_;
};

/// The narrowest rows, from a page on, of which a driver takes that many; a display reads no further.
std::uint64_t row_bytes_for(std::uint64_t size, std::uint64_t page) noexcept {
    std::uint64_t row = page;
    while ((size + row - 1) / row > most_rows)
        row *= 2;
    return row;
}

Result<std::shared_ptr<Memory>> GbmHeap::do_allocate(std::uint64_t size, std::string_view name,
                                                     const AllocateOptions&) {
    const auto operation = [&] {
        return fmt::format("allocating {} bytes of {} for '{}'", size, name_, name);
    };
    if (size == 0)
        return make_error(Code::invalid_argument, operation(), "a memory of no bytes cannot be shared");
    if (size > most)
        return make_error(
            Code::limit, operation(),
            fmt::format("a buffer object has at most {} bytes; use several, or another heap", most));
    const auto row = row_bytes_for(size, std::max<std::uint64_t>(traits_.page_size, 4096));
    const auto rows = static_cast<std::uint32_t>((size + row - 1) / row);
    Object object(device_, device_->create(static_cast<std::uint32_t>(row / 4), rows));
    if (!object.get())
        return error_from_errno(
            errno == 0 ? EIO : errno, operation(),
            "gbm_bo_create (linear); without a GPU only a primary node (card) makes buffers");
    auto dmabuf = device_->export_dmabuf(object.get());
    if (!dmabuf) return std::move(dmabuf).error();
    // What counts is the dma-buf's own size, whatever stride the driver chose.
    const auto end = ::lseek(dmabuf->get(), 0, SEEK_END);
    if (end < 0 || static_cast<std::uint64_t>(end) < size)
        return make_error(Code::io, operation(), fmt::format("the driver gave {} bytes only", end));
    return std::shared_ptr<Memory>(std::make_shared<GbmMemory>(std::move(object), std::move(*dmabuf),
                                                               static_cast<std::uint64_t>(end), name_,
                                                               std::string(name), traits_));
}

std::vector<std::string> nodes() {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/dri", ignored)) {
        const auto name = entry.path().filename().string();
        if (name.starts_with("card") || name.starts_with("renderD")) found.push_back(entry.path());
    }
    // Render nodes first: whoever may open one needs no seat.
    std::sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
        const bool a_card = a.find("card") != std::string::npos, b_card = b.find("card") != std::string::npos;
        return a_card != b_card ? b_card : a < b;
    });
    return found;
}

} // namespace

Result<std::unique_ptr<Heap>> open_gbm_heap(const std::string& node) {
    auto device = Device::open(node);
    if (!device) return std::move(device).error();
    auto heap = std::make_unique<GbmHeap>(std::move(*device));
    auto page = heap->allocate(1, "share-probe");
    if (!page) return std::move(page).error();
    if (auto view = (*page)->view(Access::read_write)) {
        // A mapping that faults would have killed us here and not in the middle of a frame.
        view->front() = std::byte{0x5a};
        heap->measure();
    } else {
        heap->set_unmappable();
    }
    return std::unique_ptr<Heap>(std::move(heap));
}

void add_gbm_heaps(HeapTable& table) {
    const auto all = nodes();
    for (const auto& node : all) {
        std::string name = "gbm:" + std::filesystem::path(node).filename().string();
        auto heap = open_gbm_heap(node);
        if (heap)
            table.add({std::move(name), std::move(*heap), {}});
        else
            table.add({std::move(name), nullptr, std::move(heap).error()});
    }
    if (all.empty())
        table.add(
            {"gbm", nullptr,
             make_error(Code::unavailable, "opening /dev/dri/renderD128",
                        "this machine has no DRM node: no GPU and no display controller, or no driver")});
}

} // namespace share::egl
