// SPDX-License-Identifier: MIT
// Where every allocation of every heap passes: what the user wants is held against what the heap gives.
#include <share/heap.hpp>

#include <fmt/format.h>

#include <share/layout.hpp>

namespace share {
namespace {

CachePolicy policy_of(CacheChoice choice) noexcept {
    return choice == CacheChoice::cached ? CachePolicy::cached : CachePolicy::write_combined;
}

Result<void> check_options(const Heap& heap, const AllocateOptions& options, std::uint64_t size,
                           std::string_view name) {
    const auto operation = [&](std::string_view what) {
        return fmt::format("allocating {} {} bytes of {} for '{}'", size, what, heap.name(), name);
    };
    const Traits traits = heap.traits();
    if (options.device_only && options.cache != CacheChoice::any)
        return make_error(Code::invalid_argument, operation("device-only"),
                          "memory that no CPU maps has no cache policy to choose");
    if (options.device_only && traits.needs_mapping)
        return make_error(
            Code::unsupported, operation("device-only"),
            "the kernel keeps this memory only while it is mapped; this heap gives mapped memory, "
            "and udmabuf or a dma-heap can be device-only");
    if (options.cache == CacheChoice::any) return {};
    const auto wanted = policy_of(options.cache);
    if (!traits.mappable)
        return make_error(Code::unsupported, operation(to_string(wanted)),
                          "no CPU can map this heap's memory; it gives device-only memory");
    if (traits.cache == wanted) return {};
    return make_error(Code::unsupported, operation(to_string(wanted)),
                      traits.cache == CachePolicy::unknown
                          ? std::string("how this heap's memory is cached is not known here: neither "
                                        "declared nor to be measured; it gives any")
                          : fmt::format("this heap gives {} memory ({}) only; choose another heap",
                                        to_string(traits.cache), to_string(traits.cache_source)));
}

/// What `size` bytes of this heap count against the limits of the process.
Result<detail::Charge> charge_for(const Heap& heap, std::uint64_t size, std::string_view name) {
    return detail::Charge::take(size, heap.traits().swappable ? 0 : size,
                                fmt::format("allocating {} bytes of {} for '{}'", size, heap.name(), name));
}

} // namespace

std::string_view to_string(Privilege::Kind kind) noexcept {
    using enum Privilege::Kind;
    return kind == none ? "none" : kind == device_node ? "device node" : "setting";
}

Result<std::shared_ptr<Memory>> Heap::allocate(std::uint64_t size, std::string_view name,
                                               const AllocateOptions& options) {
    if (auto possible = check_options(*this, options, size, name); !possible)
        return std::move(possible).error();
    const auto expected = checked_align(size, traits().page_size).value_or(size);
    auto charge = charge_for(*this, expected, name);
    if (!charge) return std::move(charge).error();
    auto memory = do_allocate(size, name, options);
    if (!memory) return memory;
    if ((*memory)->size() != expected) { // devices have rules of their own
        *charge = detail::Charge();
        charge = charge_for(*this, (*memory)->size(), name);
        if (!charge) return std::move(charge).error();
    }
    (*memory)->charge_ = std::move(*charge);
    if (options.device_only) (*memory)->traits_.mappable = false;
    return memory;
}

} // namespace share
