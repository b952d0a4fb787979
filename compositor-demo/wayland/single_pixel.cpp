// SPDX-License-Identifier: MIT
#include "wayland/single_pixel.hpp"

namespace compositor::wayland {

const SinglePixelBuffer::Requests SinglePixelBuffer::requests{
    {.destroy = request<&SinglePixelBuffer::destroy>}};
const SinglePixelManager::Requests SinglePixelManager::requests{
    {.destroy = request<&SinglePixelManager::destroy>,
     .create_u32_rgba_buffer = request<&SinglePixelManager::create_u32_rgba_buffer>}};

Outcome SinglePixelManager::create_u32_rgba_buffer(std::uint32_t id, std::uint32_t r, std::uint32_t g,
                                                   std::uint32_t b, std::uint32_t a) {
    auto token = context_.quota.take(client(), Quota::Kind::buffer);
    if (!token) return Quota::refusal(Quota::Kind::buffer);
    const auto unit = [](std::uint32_t v) { return static_cast<float>(v / 4294967295.0); };
    SinglePixelBuffer::create(client(), 1, id, scene::Color{unit(r), unit(g), unit(b), unit(a)},
                              std::move(token));
    return accepted;
}

} // namespace compositor::wayland
