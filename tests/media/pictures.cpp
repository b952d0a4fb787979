// SPDX-License-Identifier: MIT
#include "pictures.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace pictures {

Picture painted(std::uint32_t width, std::uint32_t height, bool alpha) {
    Picture picture{width, height, std::vector<Pixel>(std::size_t{width} * height)};
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x) {
            Pixel& p = picture.at(x, y);
            p.r = static_cast<std::uint8_t>(x * 255 / std::max(1U, width - 1));
            p.g = static_cast<std::uint8_t>(y * 255 / std::max(1U, height - 1));
            p.b = static_cast<std::uint8_t>((x * 3 + y * 5) % 256 / 2 +
                                            (x < width / 2 && y < height / 2 ? 100 : 0));
            if (alpha) p.a = static_cast<std::uint8_t>((x * 7 + y * 11) % 256);
        }
    return picture;
}

Picture premultiplied(Picture picture) {
    for (Pixel& p : picture.pixels)
        for (std::uint8_t* c : {&p.r, &p.g, &p.b})
            *c = static_cast<std::uint8_t>((*c * p.a * 2 + 255) / 510);
    return picture;
}

Picture gray_of(Picture picture) {
    for (Pixel& p : picture.pixels)
        p.g = p.b = p.r;
    return picture;
}

Picture shown(const Picture& stored, int orientation) {
    const bool turned = orientation >= 5;
    Picture out{turned ? stored.height : stored.width, turned ? stored.width : stored.height, {}};
    out.pixels.resize(stored.pixels.size());
    // Row 0 is at: 1 top 2 top 3 bottom 4 bottom 5 left 6 right 7 right 8 left;
    // column 0 is at: 1 left 2 right 3 right 4 left 5 top 6 top 7 bottom 8 bottom.
    const bool row_far = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const bool column_far = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    for (std::uint32_t y = 0; y < stored.height; ++y)
        for (std::uint32_t x = 0; x < stored.width; ++x) {
            const std::uint32_t a = row_far ? stored.height - 1 - y : y;
            const std::uint32_t b = column_far ? stored.width - 1 - x : x;
            (turned ? out.at(a, b) : out.at(b, a)) = stored.at(x, y);
        }
    return out;
}

int difference(const Picture& a, const Picture& b) {
    if (a.width != b.width || a.height != b.height) return 256;
    int largest = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) {
        const Pixel &p = a.pixels[i], &q = b.pixels[i];
        largest = std::max(
            {largest, std::abs(p.r - q.r), std::abs(p.g - q.g), std::abs(p.b - q.b), std::abs(p.a - q.a)});
    }
    return largest;
}

Bytes exif(int orientation, bool big_endian) {
    Bytes out;
    const auto put = [&](std::uint32_t value, int bytes) {
        for (int i = 0; i < bytes; ++i)
            out.push_back(static_cast<std::byte>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
    };
    for (int i = 0; i < 2; ++i)
        out.push_back(static_cast<std::byte>(big_endian ? 'M' : 'I'));
    put(42, 2), put(8, 4);
    put(2, 2);
    put(0x010f, 2), put(2, 2), put(4, 4), put(0x00414141, 4); // a maker, to be passed over
    put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<std::uint32_t>(orientation), 2), put(0, 2);
    put(0, 4);
    return out;
}

share::Result<Shown> show(share::Source& source, share::Fourcc format) {
    const share::SourceInfo& info = source.info();
    if (format == 0) format = info.formats.front();
    auto layout = share::Layout::linear(info.width, info.height, format);
    if (!layout) return layout.error();
    static share::HeapTable heaps = share::HeapTable::probe();
    auto heap = heaps.find("memfd");
    if (!heap) return heap.error();
    auto memory = (*heap)->allocate(layout->size(), "media test");
    if (!memory) return memory.error();
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    if (!buffer) return buffer.error();
    auto mapping = (*buffer)->map(share::Access::read_write, share::Deadline::in(std::chrono::seconds(1)));
    if (!mapping) return mapping.error();
    auto everything = (*memory)->view(share::Access::read_write);
    if (!everything) return everything.error();
    constexpr auto mark = static_cast<std::byte>(0xa5);
    std::ranges::fill(*everything, mark);

    Shown shown{info, {info.width, info.height, {}}, {}, true};
    share::FrameRecord record;
    if (auto done = source.read(*mapping, record); !done) return done.error();
    if (record.steps.size() != 1) throw std::runtime_error("one step expected");
    shown.step = record.steps.front();
    const bool bgr = format == share::format::xrgb8888 || format == share::format::argb8888;
    for (std::uint32_t y = 0; y < info.height; ++y) {
        const auto row = mapping->row(0, y);
        for (std::uint32_t x = 0; x < info.width; ++x) {
            const auto* p = reinterpret_cast<const std::uint8_t*>(row.data()) + 4 * std::size_t{x};
            shown.picture.pixels.push_back({p[bgr ? 2 : 0], p[1], p[bgr ? 0 : 2], p[3]});
        }
        const std::size_t stride = layout->plane(0).stride;
        for (std::size_t i = y * stride + layout->row_bytes(0);
             i < (y + 1) * stride && i < everything->size(); ++i)
            shown.padding_kept = shown.padding_kept && (*everything)[i] == mark;
    }
    for (std::size_t i = layout->plane_bytes(0); i < everything->size(); ++i)
        shown.padding_kept = shown.padding_kept && (*everything)[i] == mark;
    return shown;
}

share::Result<Shown> show(const Bytes& bytes, share::Fourcc format,
                          const share::media::OpenOptions& options) {
    auto source = share::media::open_image(bytes, "test picture", options);
    if (!source) return source.error();
    return show(**source, format);
}

void save(const std::string& path, const Bytes& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Bytes load(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto* at = reinterpret_cast<const std::byte*>(text.data());
    return {at, at + text.size()};
}

} // namespace pictures
