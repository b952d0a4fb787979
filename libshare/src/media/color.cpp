// SPDX-License-Identifier: MIT
#include "color.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>
#include <lcms2.h>

namespace share::media {

namespace {

struct ContextCloser {
    void operator()(cmsContext context) const noexcept { cmsDeleteContext(context); }
};
struct ProfileCloser {
    void operator()(cmsHPROFILE profile) const noexcept { cmsCloseProfile(profile); }
};
struct TransformCloser {
    void operator()(cmsHTRANSFORM transform) const noexcept { cmsDeleteTransform(transform); }
};
using Context = std::unique_ptr<std::remove_pointer_t<cmsContext>, ContextCloser>;
using Profile = std::unique_ptr<std::remove_pointer_t<cmsHPROFILE>, ProfileCloser>;
using Transform = std::unique_ptr<std::remove_pointer_t<cmsHTRANSFORM>, TransformCloser>;

cmsColorSpaceSignature space_of(Channels channels) noexcept {
    switch (channels) {
    case Channels::gray:
        return cmsSigGrayData;
    case Channels::rgb:
        return cmsSigRgbData;
    case Channels::cmyk:
    case Channels::cmyk_inverted:
        return cmsSigCmykData;
    }
    return cmsSigRgbData;
}

cmsUInt32Number input_format(Channels channels, Order order) noexcept {
    switch (channels) {
    case Channels::gray:
        return TYPE_GRAY_8;
    case Channels::rgb:
        return order == Order::bgr ? TYPE_BGRA_8 : TYPE_RGBA_8;
    case Channels::cmyk:
        return TYPE_CMYK_8;
    case Channels::cmyk_inverted:
        return TYPE_CMYK_8_REV;
    }
    return TYPE_RGBA_8;
}

std::string description_of(cmsHPROFILE profile) {
    std::array<char, 128> text{};
    cmsGetProfileInfoASCII(profile, cmsInfoDescription, "en", "US", text.data(), text.size());
    text.back() = '\0';
    std::string name(text.data());
    for (char& c : name)
        if (c < 0x20 || c > 0x7e || c == '\'') c = '?';
    return name.empty() ? "unnamed" : name;
}

/// The farthest that the transform moves any of a grid of colours, in steps of 255. `Transform` is RGBA to
/// RGBA.
int farthest_move(cmsHTRANSFORM transform) {
    constexpr int steps = 9;
    int farthest = 0;
    std::array<std::uint8_t, 4 * steps> before{}, after{};
    for (int r = 0; r < steps; ++r)
        for (int g = 0; g < steps; ++g) {
            for (int b = 0; b < steps; ++b)
                for (int c = 0; c < 3; ++c)
                    before[4 * b + c] = static_cast<std::uint8_t>((c == 0   ? r
                                                                   : c == 1 ? g
                                                                            : b) *
                                                                  255 / (steps - 1));
            cmsDoTransform(transform, before.data(), after.data(), steps);
            for (std::size_t i = 0; i < before.size(); ++i)
                if (i % 4 != 3) farthest = std::max(farthest, std::abs(before[i] - after[i]));
        }
    return farthest;
}

constexpr std::uint8_t times(unsigned a, unsigned b) noexcept { // a * b / 255, rounded
    const unsigned t = a * b + 128;
    return static_cast<std::uint8_t>((t + (t >> 8)) >> 8);
}

void plain_cmyk(std::uint8_t* p, std::uint32_t pixels, bool inverted, Order order) noexcept {
    const unsigned flip = inverted ? 0 : 255;
    for (std::uint32_t i = 0; i < pixels; ++i, p += 4) {
        const unsigned c = p[0] ^ flip, m = p[1] ^ flip, y = p[2] ^ flip, k = p[3] ^ flip;
        const std::uint8_t r = times(c, k), g = times(m, k), b = times(y, k);
        p[0] = order == Order::bgr ? b : r;
        p[1] = g;
        p[2] = order == Order::bgr ? r : b;
        p[3] = 0xff;
    }
}

void premultiply(std::uint8_t* p, std::uint32_t pixels) noexcept {
    for (std::uint32_t i = 0; i < pixels; ++i, p += 4) {
        const unsigned a = p[3];
        if (a == 0xff) continue;
        p[0] = times(p[0], a);
        p[1] = times(p[1], a);
        p[2] = times(p[2], a);
    }
}

} // namespace

struct Color::Engine {
    Context context;
    Profile from, srgb;
    Transform transform;
    std::optional<Order> made_for;
    std::array<std::array<std::uint8_t, 3>, 256> grays{}; ///< for Channels::gray

    Transform make(Channels channels, Order order) const {
        const cmsUInt32Number to = channels == Channels::gray
                                       ? (order == Order::bgr ? TYPE_BGR_8 : TYPE_RGB_8)
                                   : order == Order::bgr ? TYPE_BGRA_8
                                                         : TYPE_RGBA_8;
        return Transform(cmsCreateTransformTHR(context.get(), from.get(), input_format(channels, order),
                                               srgb.get(), to, INTENT_PERCEPTUAL, 0));
    }
};

Color::Color(Channels channels, bool alpha, std::span<const std::byte> profile)
    : channels_(channels), alpha_(alpha) {
    if (!profile.empty()) adopt_profile(profile);
}

Color::~Color() = default;

void Color::adopt_profile(std::span<const std::byte> profile) {
    auto engine = std::make_unique<Engine>();
    engine->context.reset(cmsCreateContext(nullptr, nullptr));
    if (!engine->context) throw std::bad_alloc();
    cmsSetLogErrorHandlerTHR(engine->context.get(), [](cmsContext, cmsUInt32Number, const char*) {});
    engine->from.reset(cmsOpenProfileFromMemTHR(engine->context.get(), profile.data(),
                                                static_cast<cmsUInt32Number>(profile.size())));
    engine->srgb.reset(cmsCreate_sRGBProfileTHR(engine->context.get()));
    if (!engine->from || !engine->srgb) {
        note_ = "damaged ICC profile ignored";
        return;
    }
    const std::string name = description_of(engine->from.get());
    if (cmsGetColorSpace(engine->from.get()) != space_of(channels_)) {
        note_ = fmt::format("ICC profile '{}' ignored: it is for another kind of colour", name);
        return;
    }
    Transform probe = engine->make(channels_, Order::rgb);
    if (!probe) {
        note_ = fmt::format("damaged ICC profile '{}' ignored", name);
        return;
    }
    // Most embedded profiles are sRGB under one of many names: what they do tells, not what they are called.
    if (channels_ == Channels::rgb && farthest_move(probe.get()) <= 1) return;
    note_ = fmt::format("ICC profile '{}' converted to sRGB", name);
    engine_ = std::move(engine);
}

void Color::prepare(Order order) {
    order_ = order;
    if (!engine_ || engine_->made_for == order) return;
    engine_->transform = engine_->make(channels_, order);
    if (!engine_->transform) throw std::bad_alloc(); // it worked for the other order
    engine_->made_for = order;
    if (channels_ != Channels::gray) return;
    for (unsigned i = 0; i < 256; ++i) {
        const auto value = static_cast<std::uint8_t>(i);
        cmsDoTransform(engine_->transform.get(), &value, engine_->grays[i].data(), 1);
    }
}

bool Color::rewrites() const noexcept {
    return engine_ || alpha_ || channels_ == Channels::cmyk || channels_ == Channels::cmyk_inverted;
}

void Color::apply(std::byte* row, std::uint32_t pixels) const noexcept {
    auto* p = reinterpret_cast<std::uint8_t*>(row);
    const bool inks = channels_ == Channels::cmyk || channels_ == Channels::cmyk_inverted;
    if (engine_ && channels_ == Channels::gray) {
        for (std::uint32_t i = 0; i < pixels; ++i)
            std::copy_n(engine_->grays[p[4 * i]].data(), 3, p + 4 * i);
    } else if (engine_) {
        // In place is allowed where both formats have the same size; the fourth byte of RGB stays as it is.
        cmsDoTransform(engine_->transform.get(), p, p, pixels);
        for (std::uint32_t i = 0; inks && i < pixels; ++i)
            p[4 * i + 3] = 0xff;
    } else if (inks) {
        plain_cmyk(p, pixels, channels_ == Channels::cmyk_inverted, order_);
    }
    if (alpha_) premultiply(p, pixels);
}

} // namespace share::media
