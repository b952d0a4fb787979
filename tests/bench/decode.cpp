// SPDX-License-Identifier: MIT
// Baseline JPEG into the shared buffer, against what a program without the toolkit would do: bare
// libjpeg-turbo into warm private memory, and the same plus the copy into a recycled shared buffer.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include <jpeglib.h>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/media/image.hpp>
#include <share/media/test_card.hpp>
#include <share/pool.hpp>

#include "bench.hpp"
#include "process.hpp"

using namespace share;

namespace {

template<class T>
T must(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "bench-decode: {}\n", result.error().text());
        std::exit(1);
    }
    return std::move(result).value();
}

/// The plainest loop of libjpeg-turbo's own example, one row a call, to BGRX.
void bare_decode(const std::vector<unsigned char>& file, std::vector<unsigned char>& into,
                 std::size_t stride) {
    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    info.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, file.data(), file.size());
    jpeg_read_header(&info, TRUE);
    info.out_color_space = JCS_EXT_BGRX;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = into.data() + info.output_scanline * stride;
        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
}

void measure(std::uint32_t width, std::uint32_t height, int rounds) {
    const testing::TempDir dir;
    const std::string path = dir / "card.jpg";
    if (auto written = media::write_test_card(path, width, height); !written) must<int>(written.error());
    std::ifstream in(path, std::ios::binary);
    const std::vector<unsigned char> file((std::istreambuf_iterator<char>(in)), {});

    auto table = HeapTable::probe();
    Heap& heap = *must(table.find("memfd"));
    auto source = must(media::open_image(path));
    const auto layout = must(Layout::linear(width, height, format::xrgb8888));
    Pool pool = must(Pool::create(heap, layout, 3, "bench"));
    // In turn through all buffers, as a display would hold them.
    std::uint32_t turn = 0;
    const auto next = [&] { return pool.buffer(turn++ % pool.slot_count()); };

    const std::size_t stride = layout.plane(0).stride;
    std::vector<std::vector<unsigned char>> warm(3, std::vector<unsigned char>(stride * height));
    std::size_t warm_turn = 0;

    const auto times =
        bench::rounds({
                          [&] {
                              auto mapping = must(next()->map(Access::write, Deadline::none()));
                              FrameRecord record;
                              if (auto read = source->read(mapping, record); !read) must<int>(read.error());
                          },
                          [&] { bare_decode(file, warm[warm_turn++ % warm.size()], stride); },
                          [&] {
                              auto& from = warm[warm_turn++ % warm.size()];
                              bare_decode(file, from, stride);
                              auto mapping = must(next()->map(Access::write, Deadline::none()));
                              std::memcpy(mapping.plane(0).data(), from.data(), mapping.plane(0).size());
                          },
                      },
                      rounds);
    fmt::print("JPEG {}x{}, {} kB, {} rounds, CPU time, median (quartiles)\n", width, height,
               file.size() / 1024, rounds);
    bench::print_ratio("decode into the shared buffer", "bare libjpeg-turbo into warm memory", times[0],
                       times[1], 1.03);
    bench::print_ratio("decode into the shared buffer", "decode privately + copy to shared", times[0],
                       times[2], 0.95);
}

} // namespace

int main() {
    measure(1920, 1080, 60);
    measure(3840, 2160, 30);
}
