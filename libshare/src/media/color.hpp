// SPDX-License-Identifier: MIT
// Color: finishes rows of four-byte pixels in place: embedded profile to sRGB, CMYK to RGB, premultiplied
// alpha. One per picture; thread: as its Source. Sources: ICC.1 (profiles, by Little CMS); Adobe technical
// note 5116 (inverted CMYK).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace share::media {

/// What the codec puts into the four bytes of a pixel.
enum class Channels : std::uint8_t {
    gray,          ///< the grey value three times (as BGR or RGB), then alpha or 0xff
    rgb,           ///< BGR or RGB, then alpha or 0xff
    cmyk,          ///< 255 is full ink
    cmyk_inverted, ///< 0 is full ink, as Adobe's programs write it
};

/// The order of bytes in memory.
enum class Order : std::uint8_t { bgr, rgb };

class Color {
public:
    /// `profile` may be empty or broken: note() says what became of it.
    Color(Channels channels, bool alpha, std::span<const std::byte> profile);
    ~Color();
    Color(const Color&) = delete;
    Color& operator=(const Color&) = delete;

    /// For the reason of the step: "ICC profile 'Display P3' to sRGB"; empty when there is nothing to say.
    const std::string& note() const noexcept { return note_; }
    /// Makes ready for rows of this order. False when the profile turned out not to work: it is then ignored.
    void prepare(Order order);
    /// True when apply() changes rows.
    bool rewrites() const noexcept;
    /// Rewrites `pixels` pixels in place.
    void apply(std::byte* row, std::uint32_t pixels) const noexcept;

private:
    struct Engine;
    void adopt_profile(std::span<const std::byte> profile);
    Channels channels_;
    bool alpha_;
    Order order_ = Order::bgr;
    std::string note_;
    std::unique_ptr<Engine> engine_; ///< null without a profile that is to be applied
};

} // namespace share::media
