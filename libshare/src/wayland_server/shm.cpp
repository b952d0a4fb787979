// SPDX-License-Identifier: MIT
#include <share/wayland_server/shm.hpp>

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "account.hpp"
#include "shm_memory.hpp"

namespace share::wayland_server {

namespace {

Limits limits_of(const ShmConfig& config) {
    Limits limits{};
    limits[static_cast<std::size_t>(Use::mappings)] = config.mappings;
    limits[static_cast<std::size_t>(Use::mapped_bytes)] = config.mapped_bytes;
    limits[static_cast<std::size_t>(Use::buffers)] = config.buffers;
    limits[static_cast<std::size_t>(Use::bytes)] = config.buffer_bytes;
    return limits;
}

} // namespace

struct Shm::State {
    State(std::vector<Fourcc> f, const ShmConfig& c)
        : formats(std::move(f)), config(c), accounts(limits_of(c)) {}
    std::vector<Fourcc> formats;
    ShmConfig config;
    Accounts<Account> accounts;
};

namespace {

using StatePtr = std::shared_ptr<Shm::State>;

/// A mapping, or the refusal that the client gets.
struct Mapped {
    std::shared_ptr<ShmMemory> memory;
    Outcome refusal;
};

Mapped map_file(Shm::State& state, wl_client* client, const std::shared_ptr<const UniqueFd>& file,
                std::uint64_t size) {
    auto traits = shm_traits(file->get(), size, state.config.accept_disk_files);
    if (!traits) return {nullptr, refuse(WL_SHM_ERROR_INVALID_FD, traits.error().text())};
    const auto account = state.accounts.of(client);
    auto mapping = Charge::make(account, Use::mappings);
    if (!mapping)
        return {nullptr,
                refuse_no_memory(fmt::format("wl_shm: limit of {} mappings", state.config.mappings))};
    auto bytes = Charge::make(account, Use::mapped_bytes, size);
    if (!bytes)
        return {nullptr,
                refuse_no_memory(fmt::format("wl_shm: limit of {} mapped bytes", state.config.mapped_bytes))};
    auto memory = std::make_shared<ShmMemory>(file, size, *traits, std::move(*mapping), std::move(*bytes));
    // Mapped now and not when first read: an fd that cannot be mapped is this request's error.
    if (auto view = memory->view(Access::read); !view) {
        if (view.error().code == Code::out_of_memory) return {nullptr, refuse_no_memory(view.error().text())};
        return {nullptr, refuse(WL_SHM_ERROR_INVALID_FD, view.error().text())};
    }
    return {std::move(memory), accepted};
}

/// Where the planes of a wl_shm buffer lie: one after the other, strides in proportion to the first one's (as
/// other servers read them). Empty when it overflows.
std::optional<std::vector<Plane>> planes_of(const FormatInfo& info, std::uint32_t height,
                                            std::uint32_t stride) {
    std::vector<Plane> planes;
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < info.plane_count; ++i) {
        const FormatPlane& p = info.planes[i];
        const std::uint64_t pitch =
            std::uint64_t{stride} * p.block_bytes / (info.planes[0].block_bytes * p.hsub);
        if (pitch > UINT32_MAX) return std::nullopt;
        planes.push_back({at, static_cast<std::uint32_t>(pitch)});
        const std::uint64_t rows = (std::uint64_t{height} + p.vsub - 1) / p.vsub;
        const auto length = checked_mul(pitch, rows);
        const auto end = length ? checked_add(at, *length) : std::nullopt;
        if (!end) return std::nullopt;
        at = *end;
    }
    return planes;
}

class ShmPool : public Resource<ShmPool, &wl_shm_pool_interface, struct wl_shm_pool_interface> {
public:
    static const Requests requests;
    ShmPool(NewResource resource, StatePtr state, std::shared_ptr<const UniqueFd> file,
            std::shared_ptr<ShmMemory> memory)
        : Resource(resource), state_(std::move(state)), file_(std::move(file)), memory_(std::move(memory)) {}

private:
    Outcome create_buffer(std::uint32_t id, std::int32_t offset, std::int32_t width, std::int32_t height,
                          std::int32_t stride, std::uint32_t format);
    Outcome resize(std::int32_t size);
    Result<Layout> describe(std::int32_t offset, std::int32_t width, std::int32_t height, std::int32_t stride,
                            Fourcc format) const;

    StatePtr state_;
    std::shared_ptr<const UniqueFd> file_;
    std::shared_ptr<ShmMemory> memory_; ///< of the pool's present size
};
const ShmPool::Requests ShmPool::requests{{.create_buffer = request<&ShmPool::create_buffer>,
                                           .destroy = request<&ShmPool::destroy>,
                                           .resize = request<&ShmPool::resize>}};

Result<Layout> ShmPool::describe(std::int32_t offset, std::int32_t width, std::int32_t height,
                                 std::int32_t stride, Fourcc format) const {
    const auto refuse_numbers = [&](const char* why) {
        return make_error(Code::invalid_argument,
                          fmt::format("wl_shm buffer {}x{} stride {} at {}", width, height, stride, offset),
                          why);
    };
    if (width <= 0 || height <= 0 || stride <= 0 || offset < 0)
        return refuse_numbers("sizes must be positive and the offset not negative");
    const auto start = static_cast<std::uint64_t>(offset);
    if (start >= memory_->size()) return refuse_numbers("the offset lies beyond the pool");
    const auto planes = planes_of(*find_format(format), static_cast<std::uint32_t>(height),
                                  static_cast<std::uint32_t>(stride));
    if (!planes) return refuse_numbers("the size overflows");
    return Layout::describe(static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), format,
                            modifier::linear, *planes, memory_->size() - start);
}

Outcome ShmPool::create_buffer(std::uint32_t id, std::int32_t offset, std::int32_t width, std::int32_t height,
                               std::int32_t stride, std::uint32_t format) {
    const Fourcc code = shm_fourcc(format);
    if (std::ranges::find(state_->formats, code) == state_->formats.end() || format == format::argb8888 ||
        format == format::xrgb8888)
        return refuse(WL_SHM_ERROR_INVALID_FORMAT, fmt::format("format {:#x} was not advertised", format));
    auto layout = describe(offset, width, height, stride, code);
    if (!layout) return refuse(WL_SHM_ERROR_INVALID_STRIDE, layout.error().text());
    auto buffer = Buffer::create(memory_, static_cast<std::uint64_t>(offset), *layout);
    if (!buffer) return refuse(WL_SHM_ERROR_INVALID_STRIDE, buffer.error().text());

    const auto account = state_->accounts.of(client());
    auto one = Charge::make(account, Use::buffers);
    auto bytes = Charge::make(account, Use::bytes, layout->pixel_bytes());
    if (!one || !bytes)
        return refuse_no_memory(fmt::format("wl_shm: limit of {} buffers or {} bytes in them",
                                            state_->config.buffers, state_->config.buffer_bytes));
    auto keep = std::make_shared<std::pair<Charge, Charge>>(std::move(*one), std::move(*bytes));
    ClientBuffer::create(client(), 1, id,
                         ClientBuffer::Facts{.kind = ClientBuffer::Kind::shm,
                                             .buffer = std::move(*buffer),
                                             .keep = std::move(keep)});
    return accepted;
}

Outcome ShmPool::resize(std::int32_t size) {
    if (size <= 0 || static_cast<std::uint64_t>(size) < memory_->size())
        return refuse(WL_SHM_ERROR_INVALID_FD,
                      fmt::format("a pool of {} bytes cannot shrink to {}", memory_->size(), size));
    if (static_cast<std::uint64_t>(size) == memory_->size()) return accepted;
    // Buffers made so far keep the old mapping: they may be being read.
    auto mapped = map_file(*state_, client(), file_, static_cast<std::uint64_t>(size));
    if (mapped.refusal) return mapped.refusal;
    memory_ = std::move(mapped.memory);
    return accepted;
}

class ShmObject : public Resource<ShmObject, &wl_shm_interface, struct wl_shm_interface> {
public:
    static const Requests requests;
    ShmObject(NewResource resource, StatePtr state) : Resource(resource), state_(std::move(state)) {}

private:
    Outcome create_pool(std::uint32_t id, UniqueFd fd, std::int32_t size) {
        if (size <= 0)
            return refuse(WL_SHM_ERROR_INVALID_STRIDE, fmt::format("a pool of {} bytes cannot be", size));
        auto file = std::make_shared<const UniqueFd>(std::move(fd));
        auto mapped = map_file(*state_, client(), file, static_cast<std::uint64_t>(size));
        if (mapped.refusal) return mapped.refusal;
        ShmPool::create(client(), version(), id, state_, std::move(file), std::move(mapped.memory));
        return accepted;
    }
    StatePtr state_;
};
const ShmObject::Requests ShmObject::requests{
    {.create_pool = request<&ShmObject::create_pool>, .release = request<&ShmObject::destroy>}};

} // namespace

Shm::Shm(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
Shm::~Shm() = default;

Result<std::unique_ptr<Shm>> Shm::create(wl_display* display, std::span<const Fourcc> formats,
                                         const ShmConfig& config) {
    std::vector<Fourcc> known{format::argb8888, format::xrgb8888};
    for (const Fourcc format : formats)
        if (find_format(format) && std::ranges::find(known, format) == known.end()) known.push_back(format);
    std::unique_ptr<Shm> shm(new Shm(std::make_shared<State>(std::move(known), config)));
    shm->global_ = Global::create<&Shm::bind>(display, wl_shm_interface, 2, *shm);
    if (!shm->global_)
        return make_error(Code::out_of_memory, "creating the global wl_shm", "libwayland refused");
    return shm;
}

std::span<const Fourcc> Shm::formats() const noexcept {
    return state_->formats;
}

void Shm::bind(wl_client* client, std::uint32_t version, std::uint32_t id) {
    const auto* object = ShmObject::create(client, version, id, state_);
    if (!object) return;
    for (const Fourcc format : state_->formats)
        wl_shm_send_format(object->resource(), shm_format(format));
}

} // namespace share::wayland_server
