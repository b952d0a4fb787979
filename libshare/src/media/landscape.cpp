// SPDX-License-Identifier: MIT
#include "landscape.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace share::media {

namespace {

constexpr float horizon = 0.615F;
constexpr float sun_y = 0.455F;
constexpr float boat_y = 0.705F;

Rgb operator+(Rgb a, Rgb b) {
    return {a.r + b.r, a.g + b.g, a.b + b.b};
}
Rgb operator*(Rgb a, float k) {
    return {a.r * k, a.g * k, a.b * k};
}
Rgb mix(Rgb a, Rgb b, float t) {
    return a * (1 - t) + b * t;
}
float mix(float a, float b, float t) {
    return a + (b - a) * t;
}
float smooth(float from, float to, float x) {
    const float t = std::clamp((x - from) / (to - from), 0.0F, 1.0F);
    return t * t * (3 - 2 * t);
}

float random(std::int32_t x, std::int32_t y) { // 0 to 1, the same for the same place on every machine
    std::uint32_t h =
        static_cast<std::uint32_t>(x) * 0x8da6b343U ^ static_cast<std::uint32_t>(y) * 0xd8163841U;
    h = (h ^ (h >> 15)) * 0x2c1b3c6dU;
    h = (h ^ (h >> 12)) * 0x297a2d39U;
    return static_cast<float>((h ^ (h >> 15)) >> 8) * 0x1p-24F;
}

float noise(float x, float y) {
    const float fx = std::floor(x), fy = std::floor(y);
    const auto ix = static_cast<std::int32_t>(fx), iy = static_cast<std::int32_t>(fy);
    const float tx = smooth(0, 1, x - fx), ty = smooth(0, 1, y - fy);
    return mix(mix(random(ix, iy), random(ix + 1, iy), tx),
               mix(random(ix, iy + 1), random(ix + 1, iy + 1), tx), ty);
}

/// Octaves of noise, 0 to 1, around 0.5.
float clouds_of(float x, float y, int octaves) {
    float sum = 0, weight = 0.5F, total = 0;
    for (int i = 0; i < octaves; ++i) {
        sum += weight * noise(x, y);
        total += weight;
        weight *= 0.5F;
        const float turned = 0.8F * x - 0.6F * y; // so that the grids of octaves do not line up
        y = (0.6F * x + 0.8F * y) * 2.03F + 7.1F;
        x = turned * 2.03F + 3.7F;
    }
    return sum / total;
}

/// Sharp crests: mountains.
float crags_of(float x, float y, int octaves) {
    float sum = 0, weight = 0.5F, total = 0;
    for (int i = 0; i < octaves; ++i) {
        sum += weight * (1 - std::abs(2 * noise(x, y) - 1));
        total += weight;
        weight *= 0.48F;
        x = x * 2.11F + 5.3F;
        y = y * 2.11F + 1.9F;
    }
    return sum / total;
}

struct RidgeStyle {
    float base, rise, frequency, seed;
    bool crags;
    Rgb lit, shade;
    float haze;
};

constexpr std::array ridge_styles = {
    RidgeStyle{0.58F, 0.30F, 1.5F, 11.0F, true, {0.95F, 0.62F, 0.48F}, {0.16F, 0.18F, 0.33F}, 0.42F},
    RidgeStyle{0.60F, 0.17F, 2.1F, 57.3F, true, {0.42F, 0.27F, 0.20F}, {0.06F, 0.08F, 0.14F}, 0.28F},
    RidgeStyle{0.613F, 0.105F, 2.6F, 91.7F, false, {0.20F, 0.20F, 0.06F}, {0.020F, 0.042F, 0.030F}, 0.12F},
    RidgeStyle{0.617F, 0.050F, 4.5F, 23.9F, false, {0.090F, 0.105F, 0.026F}, {0.010F, 0.022F, 0.012F}, 0.03F},
};

constexpr std::array<std::array<std::uint8_t, 3>, 24> patches = {{
    {115, 82, 68},   {194, 150, 130}, {98, 122, 157},  {87, 108, 67},   {133, 128, 177}, {103, 189, 170},
    {214, 126, 44},  {80, 91, 166},   {193, 90, 99},   {94, 60, 108},   {157, 188, 64},  {224, 163, 46},
    {56, 61, 150},   {70, 148, 73},   {175, 54, 60},   {231, 199, 31},  {187, 86, 149},  {8, 133, 161},
    {243, 243, 242}, {200, 200, 200}, {160, 160, 160}, {122, 122, 121}, {85, 85, 85},    {52, 52, 52},
}};

float to_linear(std::uint8_t value) {
    return std::pow(static_cast<float>(value) / 255.0F, 2.2F);
}

std::uint8_t to_srgb(float linear) {
    const float encoded = std::pow(std::clamp(linear, 0.0F, 1.0F), 1 / 2.2F);
    return static_cast<std::uint8_t>(encoded * 255.0F + 0.5F);
}

/// Bright light rolls off as on film instead of being cut.
float film(float x) {
    return x * (2.51F * x + 0.03F) / (x * (2.43F * x + 0.59F) + 0.14F);
}

/// 1 within `half` of the segment a-b, 0 one pixel further.
float line(float x, float y, float ax, float ay, float bx, float by, float half, float pixel) {
    const float dx = bx - ax, dy = by - ay;
    const float t = std::clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0.0F, 1.0F);
    const float distance = std::hypot(x - ax - t * dx, y - ay - t * dy);
    return 1 - smooth(half, half + pixel, distance);
}

} // namespace

Landscape::Landscape(std::uint32_t width, std::uint32_t height)
    : width_(width),
      height_(height),
      land_height_(height - height / 12),
      aspect_(static_cast<float>(width) / static_cast<float>(land_height_)),
      pixel_(1.0F / static_cast<float>(land_height_)),
      sun_x_(aspect_ * 0.665F),
      boat_x_(aspect_ * 0.36F) {
    for (const RidgeStyle& style : ridge_styles) {
        Ridge ridge;
        for (std::uint32_t i = 0; i < width; ++i) {
            const float x = static_cast<float>(i) * pixel_;
            const float shape = style.crags ? crags_of(x * style.frequency + style.seed, style.seed, 7)
                                            : clouds_of(x * style.frequency + style.seed, style.seed, 4);
            float y = style.base - style.rise * std::pow(shape, style.crags ? 2.0F : 1.0F);
            // Tree tops.
            if (!style.crags)
                y -= 0.006F * std::pow(noise(x * 160 + style.seed, 3.3F), 2.0F) +
                     0.003F * noise(x * 420, 9.1F);
            ridge.crest.push_back(y);
        }
        ridges_.push_back(std::move(ridge));
    }
}

float Landscape::crest(std::size_t ridge, float x) const {
    const float column = std::clamp(x / pixel_, 0.0F, static_cast<float>(width_ - 1));
    return ridges_[ridge].crest[static_cast<std::size_t>(column)];
}

Rgb Landscape::sky(float x, float y) const {
    const float t = std::clamp(y / horizon, 0.0F, 1.0F);
    Rgb color = mix({0.035F, 0.11F, 0.36F}, {0.20F, 0.37F, 0.62F}, smooth(0.0F, 0.55F, t));
    color = mix(color, {0.98F, 0.56F, 0.30F}, smooth(0.35F, 1.0F, t) * 0.85F);
    const float dx = x - sun_x_, dy = (y - sun_y) * 1.15F;
    const float far = std::hypot(dx, dy);
    color = color + Rgb{1.0F, 0.50F, 0.17F} * (0.85F * std::exp(-far * 4.2F)) +
            Rgb{1.0F, 0.78F, 0.45F} * (1.1F * std::exp(-far * 17.0F));
    // Two layers of cloud: thin streaks high up, heaps further down; lit on the side of the sun.
    const float streaks = clouds_of(x * 1.6F + 20, y * 7.5F + x * 0.9F, 6);
    const float heaps = clouds_of(x * 2.6F + 4, y * 6.2F, 6);
    const float towards =
        clouds_of(x * 2.6F + 4 + 0.10F * std::clamp(-6 * dx, -1.0F, 1.0F), y * 6.2F + 0.16F, 6);
    const float light = std::clamp(0.5F + (heaps - towards) * 4.0F, 0.0F, 1.0F);
    const float near = std::exp(-far * 2.2F);
    const Rgb bright = mix({1.0F, 0.80F, 0.70F}, {1.7F, 1.05F, 0.55F}, near);
    const Rgb dark = mix({0.26F, 0.29F, 0.43F}, {0.75F, 0.33F, 0.25F}, near);
    color = mix(color, bright, 0.55F * smooth(0.50F, 0.78F, streaks) * (1 - smooth(0.55F, 0.95F, t)));
    color = mix(color, mix(dark, bright, light),
                0.80F * smooth(0.52F, 0.72F, heaps) * smooth(0.12F, 0.45F, t) *
                    (1 - 0.5F * smooth(0.7F, 1.0F, t)));
    const float disc = 1 - smooth(0.030F, 0.030F + 2 * pixel_ + 0.0015F, std::hypot(dx, y - sun_y));
    return mix(color, {4.2F, 3.2F, 1.9F}, disc);
}

Rgb Landscape::above_water(float x, float y) const {
    Rgb color = sky(x, y);
    const Rgb haze =
        mix({0.52F, 0.42F, 0.46F}, {1.05F, 0.58F, 0.30F}, std::exp(-std::abs(x - sun_x_) * 2.2F));
    for (std::size_t i = 0; i < ridge_styles.size(); ++i) {
        const RidgeStyle& style = ridge_styles[i];
        const float top = crest(i, x);
        const float inside = smooth(-pixel_, pixel_, y - top);
        if (inside <= 0) continue;
        const float scale = style.crags ? 9.0F : 38.0F;
        const float lean = std::clamp(6 * (sun_x_ - x), -1.0F, 1.0F) * 0.35F;
        const auto surface = [&](float u, float w) {
            return style.crags ? crags_of(u, w * 0.6F, 5) : clouds_of(u, w, 6);
        };
        const float here = surface(x * scale + style.seed, y * scale * 1.5F);
        const float there = surface(x * scale + style.seed + lean, y * scale * 1.5F - 0.2F);
        float light = std::clamp(0.42F + (here - there) * 2.6F, 0.0F, 1.0F);
        light *= 1 - 0.6F * smooth(0, style.rise, y - top);
        Rgb ground = mix(style.shade, style.lit, light);
        if (i == 0) { // snow near the crests
            const float snow =
                smooth(0.43F, 0.36F, y + 0.07F * (here - 0.5F)) * smooth(0.30F, 0.55F, light + 0.2F);
            ground = mix(ground, mix({0.42F, 0.46F, 0.68F}, {1.25F, 0.92F, 0.74F}, light), 0.85F * snow);
        }
        const float mist = style.haze + 0.45F * style.haze * smooth(top, horizon, y) * 2;
        color = mix(color, mix(ground, haze, std::min(mist, 0.85F)), inside);
    }
    return color;
}

Rgb Landscape::water(float x, float y) const {
    const float depth = y - horizon; // 0 far away, about 0.38 at our feet
    const float scale = 1 / (depth + 0.012F);
    const float wave = clouds_of(x * 3.2F * std::sqrt(scale) + 8, scale * 9.0F, 4) - 0.5F;
    const float ripple = noise(x * 26 * std::sqrt(scale), scale * 42.0F) - 0.5F;
    const float up =
        horizon - depth * 1.25F + (wave * 0.16F + ripple * 0.05F) * std::sqrt(depth) * 1.1F - 0.002F;
    Rgb color = above_water(x + wave * 0.05F * depth, std::clamp(up, 0.0F, horizon - 0.0005F));
    const float face = smooth(0.0F, 0.36F, depth);
    color = mix(color * 0.86F, {0.012F, 0.050F, 0.085F}, 0.22F + 0.42F * face);
    // The sun's road: flashes on the ripples that face it.
    const float road = std::exp(-std::pow((x - sun_x_) / (0.030F + 0.20F * depth), 2.0F));
    const float flash = smooth(
        0.50F, 0.78F, noise(x * 60 * std::sqrt(scale) * 0.5F, scale * 70.0F) * 0.6F + (wave + 0.5F) * 0.45F);
    color = color + Rgb{2.3F, 1.25F, 0.50F} * (road * (0.10F + 0.9F * flash) * 0.75F);
    return color +
           Rgb{0.9F, 0.62F, 0.42F} * (0.25F * std::exp(-depth * 90)); // a thread of light on the far shore
}

void Landscape::paint_boat(Rgb& color, float x, float y) const {
    const bool mirrored = y > boat_y + 0.006F;
    const float v = mirrored ? 2 * (boat_y + 0.006F) - y + 0.012F * (noise(x * 55, y * 160) - 0.5F) : y;
    const float u = x - boat_x_ + (mirrored ? 0.010F * (noise(x * 9 + 5, y * 120) - 0.5F) : 0.0F);
    if (u < -0.075F || u > 0.085F || v < boat_y - 0.17F) return;
    const float strength = mirrored ? 0.55F * (1 - smooth(0.0F, 0.15F, y - boat_y)) : 1.0F;
    const auto lay = [&](Rgb paint, float cover) { color = mix(color, paint, cover * strength); };
    const auto edge = [&](float inside) { return smooth(-0.5F * pixel_, 0.5F * pixel_, inside); };
    const float k = (v - (boat_y - 0.158F)) / 0.148F; // 0 at the mast's top, 1 at the boom
    if (k > 0) {
        const float belly = 0.010F * std::sin(3.1F * std::min(k, 1.0F));
        const float main = edge(u - 0.003F) * edge(0.003F + 0.060F * k + belly - u) * edge(0.90F - k);
        lay(mix({1.35F, 1.02F, 0.78F}, {0.72F, 0.60F, 0.58F}, smooth(0, 0.065F, u)) *
                (0.93F + 0.07F * std::cos(k * 60)),
            main); // battens
        const float jib = edge(-0.002F - u) * edge(u + 0.050F * (k - 0.12F) + belly * 0.6F) *
                          edge(0.86F - k) * edge(k - 0.12F);
        lay({1.05F, 0.36F, 0.16F}, jib);
    }
    const float hull_top = boat_y - 0.012F - 0.10F * std::pow(std::abs(u) / 0.075F, 3.0F) * 0.08F;
    const float half = 0.068F - 0.9F * std::max(0.0F, v - hull_top);
    lay(v < hull_top + 0.0045F ? Rgb{0.85F, 0.74F, 0.58F} : Rgb{0.075F, 0.030F, 0.026F},
        edge(v - hull_top) * edge(boat_y + 0.006F - v) * edge(half - std::abs(u)));
    const float thin = 0.4F * pixel_;
    lay({0.10F, 0.06F, 0.04F}, line(u, v, 0, boat_y - 0.163F, 0, boat_y - 0.01F, 0.0011F, pixel_));
    lay({0.05F, 0.04F, 0.04F}, 0.8F * line(u, v, 0, boat_y - 0.158F, -0.066F, boat_y - 0.014F, thin, pixel_));
    lay({0.05F, 0.04F, 0.04F}, 0.8F * line(u, v, 0, boat_y - 0.158F, 0.068F, boat_y - 0.014F, thin, pixel_));
}

void Landscape::paint_birds(Rgb& color, float x, float y) const {
    static constexpr std::array<std::array<float, 3>, 7> flock = {{{0.17F, 0.20F, 1.0F},
                                                                   {0.205F, 0.185F, 0.8F},
                                                                   {0.225F, 0.215F, 0.9F},
                                                                   {0.25F, 0.175F, 0.65F},
                                                                   {0.19F, 0.235F, 0.7F},
                                                                   {0.275F, 0.20F, 0.6F},
                                                                   {0.14F, 0.18F, 0.6F}}};
    for (const auto& [at, height, size] : flock) {
        const float u = (x - at * aspect_) / (0.016F * size), v = (y - height) / (0.016F * size);
        if (std::abs(u) > 1.1F || std::abs(v) > 1) continue;
        const float wing = -0.42F * std::sin(3.0F * std::min(std::abs(u), 1.0F)) + 0.15F * u;
        const float thick = 0.10F * (1.05F - std::abs(u));
        const float soft = pixel_ / (0.016F * size);
        const float cover =
            (1 - smooth(thick, thick + soft, std::abs(v - wing))) * (std::abs(u) <= 1 ? 1.0F : 0.0F);
        color = mix(color, {0.02F, 0.025F, 0.05F}, 0.9F * cover);
    }
}

void Landscape::paint_bank(Rgb& color, float x, float y) const {
    const float lie = 0.965F - 0.10F * smooth(0.55F, 0.0F, x / aspect_) -
                      0.055F * smooth(0.72F, 1.0F, x / aspect_) + 0.018F * (clouds_of(x * 5, 2.2F, 3) - 0.5F);
    // Three rows of blades, each leaning its own way, the nearest darkest.
    for (int row = 0; row < 3; ++row) {
        const float r = static_cast<float>(row);
        const float foot = lie + 0.020F * r;
        const float rise = foot - y;
        const float lean = (clouds_of(x * 6 + r * 31, 1.7F, 2) - 0.35F) * 0.9F;
        const float at = (x + std::max(rise, 0.0F) * lean) * (230.0F - 55.0F * r);
        const auto blade = static_cast<std::int32_t>(std::floor(at));
        const float length = (0.010F + 0.045F * std::pow(random(blade, 77 + row), 2.5F)) * (1 + 0.45F * r);
        const float middle = std::abs(at - std::floor(at) - 0.5F) * 2;
        const float cover = rise <= 0 ? 1.0F : smooth(0.0F, 0.35F, 1 - rise / length - middle * 0.9F);
        if (cover <= 0) continue;
        const float tip = std::clamp(rise / length, 0.0F, 1.0F);
        const float warm = std::exp(-std::abs(x - sun_x_) * 1.1F) * (1 - 0.25F * r);
        const float shade = 0.35F + 0.65F * random(blade, 5 + row);
        const Rgb root{0.008F, 0.016F, 0.006F};
        const Rgb leaf = mix({0.055F, 0.095F, 0.020F}, {0.62F, 0.42F, 0.07F}, 0.75F * warm) * shade;
        color = mix(color, mix(root, leaf, 0.25F + 0.75F * tip), cover);
    }
}

Rgb Landscape::strip(std::uint32_t column, std::uint32_t row) const {
    const std::uint32_t tall = height_ - land_height_;
    const Rgb frame{0.012F, 0.013F, 0.016F};
    const std::uint32_t gap = std::max(1U, tall / 14);
    if (row < gap || row >= tall - gap) return frame;
    const float place = static_cast<float>(column) / static_cast<float>(width_) * (patches.size() + 4.0F);
    const auto patch = static_cast<std::size_t>(place);
    const auto into = static_cast<std::uint32_t>((place - std::floor(place)) * static_cast<float>(width_) /
                                                 (patches.size() + 4.0F));
    if (patch < patches.size()) {
        if (into < gap) return frame;
        return {to_linear(patches[patch][0]), to_linear(patches[patch][1]), to_linear(patches[patch][2])};
    }
    // Lines of 1, 2 and 4 pixels, upright above and level below, then a ramp of grey.
    const float end = place - patches.size();
    if (end < 2) {
        const std::uint32_t step = end < 0.67F ? 1 : end < 1.33F ? 2 : 4;
        const bool light = (row < tall / 2 ? column : row) / step % 2 == 0;
        return light ? Rgb{0.9F, 0.9F, 0.9F} : Rgb{0.01F, 0.01F, 0.01F};
    }
    const float ramp = std::pow((end - 2) / 2, 2.2F);
    return {ramp, ramp, ramp};
}

void Landscape::paint_row(std::uint32_t y, std::span<std::uint8_t> rgb) const {
    const float v = (static_cast<float>(y) + 0.5F) * pixel_;
    for (std::uint32_t i = 0; i < width_; ++i) {
        Rgb color;
        if (y >= land_height_) {
            color = strip(i, y - land_height_);
        } else {
            const float x = (static_cast<float>(i) + 0.5F) * pixel_;
            color = v < horizon ? above_water(x, v) : water(x, v);
            paint_birds(color, x, v);
            paint_boat(color, x, v);
            paint_bank(color, x, v);
            color = {film(color.r * 0.62F), film(color.g * 0.62F), film(color.b * 0.62F)};
        }
        rgb[3 * i] = to_srgb(color.r);
        rgb[3 * i + 1] = to_srgb(color.g);
        rgb[3 * i + 2] = to_srgb(color.b);
    }
}

} // namespace share::media
