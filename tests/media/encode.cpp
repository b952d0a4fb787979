// SPDX-License-Identifier: MIT
// The encoders of pictures.hpp. Errors end the program: the pictures are ours.
#include "pictures.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

// clang-format off
#include <jpeglib.h>
// clang-format on
#include <lcms2.h>
#include <png.h>
#include <webp/encode.h>
#include <webp/mux.h>

namespace pictures {

namespace {

const unsigned char* raw(const Bytes& bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::vector<std::uint8_t> samples(const Picture& picture, std::uint32_t y, int components) {
    std::vector<std::uint8_t> row;
    for (std::uint32_t x = 0; x < picture.width; ++x) {
        const Pixel& p = picture.at(x, y);
        if (components == 1) row.push_back(p.r);
        if (components == 2) row.insert(row.end(), {p.r, p.a});
        if (components == 3) row.insert(row.end(), {p.r, p.g, p.b});
        if (components == 4) row.insert(row.end(), {p.r, p.g, p.b, p.a});
    }
    return row;
}

} // namespace

Bytes jpeg(const Picture& picture, const JpegOptions& options) {
    jpeg_compress_struct cinfo{};
    jpeg_error_mgr errors{};
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_compress(&cinfo);
    unsigned char* data = nullptr;
    unsigned long size = 0;
    jpeg_mem_dest(&cinfo, &data, &size);
    cinfo.image_width = picture.width;
    cinfo.image_height = picture.height;
    cinfo.input_components = options.components;
    cinfo.in_color_space = options.components == 1   ? JCS_GRAYSCALE
                           : options.components == 3 ? JCS_RGB
                                                     : JCS_CMYK;
    jpeg_set_defaults(&cinfo);
    if (options.color_space >= 0)
        jpeg_set_colorspace(&cinfo, static_cast<J_COLOR_SPACE>(options.color_space));
    jpeg_set_quality(&cinfo, options.quality, TRUE);
    if (options.components == 3 && cinfo.jpeg_color_space == JCS_YCbCr) {
        cinfo.comp_info[0].h_samp_factor = options.h;
        cinfo.comp_info[0].v_samp_factor = options.v;
    }
    cinfo.arith_code = options.arithmetic ? TRUE : FALSE;
    cinfo.restart_interval = static_cast<unsigned>(options.restart_interval);
    if (!options.adobe_marker) cinfo.write_Adobe_marker = FALSE;
    if (options.progressive) jpeg_simple_progression(&cinfo);
    jpeg_start_compress(&cinfo, TRUE);
    if (options.orientation != 0) {
        constexpr std::string_view start("Exif\0\0", 6);
        const Bytes tiff = exif(options.orientation, options.big_endian_exif);
        Bytes marker(start.size() + tiff.size());
        std::transform(start.begin(), start.end(), marker.begin(),
                       [](char c) { return static_cast<std::byte>(c); });
        std::copy(tiff.begin(), tiff.end(), marker.begin() + start.size());
        jpeg_write_marker(&cinfo, JPEG_APP0 + 1, raw(marker), static_cast<unsigned>(marker.size()));
    }
    if (!options.profile.empty())
        jpeg_write_icc_profile(&cinfo, raw(options.profile), static_cast<unsigned>(options.profile.size()));
    for (std::uint32_t y = 0; y < picture.height; ++y) {
        auto row = samples(picture, y, options.components);
        JSAMPROW at = row.data();
        jpeg_write_scanlines(&cinfo, &at, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    Bytes bytes(reinterpret_cast<std::byte*>(data), reinterpret_cast<std::byte*>(data) + size);
    std::free(data);
    return bytes;
}

Picture plain_jpeg(const Bytes& bytes) {
    jpeg_decompress_struct cinfo{};
    jpeg_error_mgr errors{};
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&cinfo);
    jpeg_mem_src(&cinfo, raw(bytes), bytes.size());
    jpeg_read_header(&cinfo, TRUE);
    cinfo.out_color_space = cinfo.num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&cinfo);
    Picture picture{cinfo.output_width, cinfo.output_height, {}};
    const std::size_t step = static_cast<std::size_t>(cinfo.output_components);
    std::vector<std::uint8_t> row(cinfo.output_width * step);
    while (cinfo.output_scanline < cinfo.output_height) {
        JSAMPROW at = row.data();
        jpeg_read_scanlines(&cinfo, &at, 1);
        for (std::size_t i = 0; i < row.size(); i += step)
            picture.pixels.push_back(
                {row[i], row[i + 1], row[i + 2], step == 4 ? row[i + 3] : std::uint8_t{255}});
    }
    jpeg_finish_decompress(&cinfo);
    jpeg_destroy_decompress(&cinfo);
    return picture;
}

namespace {

void append(png_structp png, png_bytep data, std::size_t size) {
    auto& out = *static_cast<Bytes*>(png_get_io_ptr(png));
    const auto* at = reinterpret_cast<const std::byte*>(data);
    out.insert(out.end(), at, at + size);
}

std::vector<Pixel> palette_of(const Picture& picture) {
    std::vector<Pixel> palette;
    for (const Pixel& p : picture.pixels)
        if (std::ranges::find(palette, p) == palette.end()) palette.push_back(p);
    if (palette.size() > 256) throw std::runtime_error("too many colours for a palette");
    return palette;
}

std::uint32_t component(const Picture& picture, const std::vector<Pixel>& palette, const PngOptions& options,
                        std::uint32_t x, std::uint32_t y, int c) {
    const Pixel& p = picture.at(x, y);
    if (options.color_type == PNG_COLOR_TYPE_PALETTE)
        return static_cast<std::uint32_t>(std::ranges::find(palette, p) - palette.begin());
    const bool alpha = (options.color_type & PNG_COLOR_MASK_ALPHA) != 0;
    const int colors = (options.color_type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
    const std::uint32_t value = alpha && c == colors ? p.a : c == 0 ? p.r : c == 1 ? p.g : p.b;
    // The low byte of 16 bits differs from the high one, so that a reader that drops it is not right by luck.
    return options.bit_depth == 16 ? value * 257 - (value > 128 ? 100 : 0) + (value > 128 ? 0 : 100) % 257
                                   : value >> (8 - options.bit_depth);
}

} // namespace

Bytes png(const Picture& picture, const PngOptions& options) {
    Bytes out;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &out, append, nullptr);
    png_set_IHDR(png, info, picture.width, picture.height, options.bit_depth, options.color_type,
                 options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    std::vector<Pixel> palette;
    if (options.color_type == PNG_COLOR_TYPE_PALETTE) {
        palette = palette_of(picture);
        std::vector<png_color> colors;
        std::vector<png_byte> alphas;
        for (const Pixel& p : palette) {
            colors.push_back({p.r, p.g, p.b});
            alphas.push_back(p.a);
        }
        png_set_PLTE(png, info, colors.data(), static_cast<int>(colors.size()));
        if (options.transparent_color)
            png_set_tRNS(png, info, alphas.data(), static_cast<int>(alphas.size()), nullptr);
    } else if (options.transparent_color) {
        png_color_16 color{};
        color.gray = color.red = static_cast<png_uint_16>(component(picture, palette, options, 0, 0, 0));
        color.green = static_cast<png_uint_16>(component(picture, palette, options, 0, 0, 1));
        color.blue = static_cast<png_uint_16>(component(picture, palette, options, 0, 0, 2));
        png_set_tRNS(png, info, nullptr, 0, &color);
    }
    if (!options.profile.empty())
        png_set_iCCP(png, info, "test", 0, raw(options.profile),
                     static_cast<png_uint_32>(options.profile.size()));
    Bytes tiff = exif(options.orientation);
    const auto put_exif = [&] {
        if (options.orientation == 0) return;
        png_write_chunk(png, reinterpret_cast<const png_byte*>("eXIf"), raw(tiff), tiff.size());
    };
    png_write_info(png, info);
    if (!options.exif_after_pixels) put_exif();
    const int channels = png_get_channels(png, info);
    std::vector<std::vector<std::uint8_t>> rows;
    for (std::uint32_t y = 0; y < picture.height; ++y) {
        std::vector<std::uint8_t> row(png_get_rowbytes(png, info));
        std::size_t bit = 0;
        for (std::uint32_t x = 0; x < picture.width; ++x)
            for (int c = 0; c < channels; ++c, bit += static_cast<std::size_t>(options.bit_depth)) {
                const std::uint32_t value = component(picture, palette, options, x, y, c);
                if (options.bit_depth == 16) {
                    row[bit / 8] = static_cast<std::uint8_t>(value >> 8);
                    row[bit / 8 + 1] = static_cast<std::uint8_t>(value);
                } else {
                    row[bit / 8] |= static_cast<std::uint8_t>(
                        value << (8 - options.bit_depth - static_cast<int>(bit % 8)));
                }
            }
        rows.push_back(std::move(row));
    }
    std::vector<png_bytep> pointers;
    for (auto& row : rows)
        pointers.push_back(row.data());
    png_write_image(png, pointers.data());
    if (options.exif_after_pixels) put_exif();
    png_write_end(png, nullptr);
    png_destroy_write_struct(&png, &info);
    return out;
}

namespace {

Bytes bitstream(const Picture& picture, bool lossless) {
    std::vector<std::uint8_t> rgba;
    for (std::uint32_t y = 0; y < picture.height; ++y) {
        const auto row = samples(picture, y, 4);
        rgba.insert(rgba.end(), row.begin(), row.end());
    }
    WebPConfig config;
    WebPPicture frame;
    WebPMemoryWriter writer;
    if (!WebPConfigInit(&config) || !WebPPictureInit(&frame)) throw std::runtime_error("libwebp");
    WebPMemoryWriterInit(&writer);
    config.lossless = lossless;
    config.exact = 1; // keeps colours under full transparency
    config.quality = 80;
    frame.use_argb = lossless;
    frame.width = static_cast<int>(picture.width);
    frame.height = static_cast<int>(picture.height);
    frame.writer = WebPMemoryWrite;
    frame.custom_ptr = &writer;
    if (!WebPPictureImportRGBA(&frame, rgba.data(), frame.width * 4) || !WebPEncode(&config, &frame))
        throw std::runtime_error("WebPEncode");
    WebPPictureFree(&frame);
    const auto* at = reinterpret_cast<const std::byte*>(writer.mem);
    Bytes bytes(at, at + writer.size);
    WebPMemoryWriterClear(&writer);
    return bytes;
}

Bytes assembled(WebPMux* mux) {
    WebPData out{};
    if (WebPMuxAssemble(mux, &out) != WEBP_MUX_OK) throw std::runtime_error("WebPMuxAssemble");
    WebPMuxDelete(mux);
    const auto* at = reinterpret_cast<const std::byte*>(out.bytes);
    Bytes bytes(at, at + out.size);
    WebPDataClear(&out);
    return bytes;
}

} // namespace

Bytes webp(const Picture& picture, bool lossless, int orientation, const Bytes& profile) {
    const Bytes stream = bitstream(picture, lossless);
    if (orientation == 0 && profile.empty()) return stream;
    WebPMux* mux = WebPMuxNew();
    const WebPData image{raw(stream), stream.size()};
    WebPMuxSetImage(mux, &image, 1);
    const Bytes tiff = exif(orientation);
    const WebPData exif_data{raw(tiff), tiff.size()}, icc{raw(profile), profile.size()};
    if (orientation != 0) WebPMuxSetChunk(mux, "EXIF", &exif_data, 1);
    if (!profile.empty()) WebPMuxSetChunk(mux, "ICCP", &icc, 1);
    return assembled(mux);
}

Bytes animated_webp(const Picture& first, std::uint32_t width, std::uint32_t height) {
    WebPMux* mux = WebPMuxNew();
    WebPMuxSetCanvasSize(mux, static_cast<int>(width), static_cast<int>(height));
    const Bytes stream = bitstream(first, true);
    for (int i = 0; i < 2; ++i) {
        WebPMuxFrameInfo frame{};
        frame.bitstream = {raw(stream), stream.size()};
        frame.x_offset = 2 + 2 * i;
        frame.y_offset = 4;
        frame.duration = 100;
        frame.id = WEBP_CHUNK_ANMF;
        if (WebPMuxPushFrame(mux, &frame, 1) != WEBP_MUX_OK) throw std::runtime_error("WebPMuxPushFrame");
    }
    const WebPMuxAnimParams params{0, 0};
    WebPMuxSetAnimationParams(mux, &params);
    return assembled(mux);
}

namespace {

Bytes saved(cmsHPROFILE profile) {
    cmsUInt32Number size = 0;
    cmsSaveProfileToMem(profile, nullptr, &size);
    Bytes bytes(size);
    cmsSaveProfileToMem(profile, bytes.data(), &size);
    cmsCloseProfile(profile);
    return bytes;
}

} // namespace

Bytes swapped_profile() {
    cmsHPROFILE profile = cmsCreate_sRGBProfile();
    const auto copy = [&](cmsTagSignature tag) { return *static_cast<cmsCIEXYZ*>(cmsReadTag(profile, tag)); };
    cmsCIEXYZ red = copy(cmsSigRedColorantTag), green = copy(cmsSigGreenColorantTag);
    cmsWriteTag(profile, cmsSigRedColorantTag, &green);
    cmsWriteTag(profile, cmsSigGreenColorantTag, &red);
    return saved(profile);
}

Bytes srgb_profile() {
    return saved(cmsCreate_sRGBProfile());
}

Bytes gray_profile(double gamma) {
    cmsToneCurve* curve = cmsBuildGamma(nullptr, gamma);
    cmsHPROFILE profile = cmsCreateGrayProfile(cmsD50_xyY(), curve);
    cmsFreeToneCurve(curve);
    return saved(profile);
}

} // namespace pictures
