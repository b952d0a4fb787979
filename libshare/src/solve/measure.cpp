// SPDX-License-Identifier: MIT
#include <share/measure.hpp>

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <share/joined.hpp>

namespace share {
namespace {

/// What AMD's devices want of linear strides; few want more.
constexpr std::uint32_t usual = 256, strongest = 4096;
/// Rows of padding are tried upwards: most parties want none.
constexpr std::array<std::uint32_t, 7> paddings{1, 2, 4, 8, 16, 32, 64};
constexpr std::uint32_t page = 4096;
constexpr std::uint64_t large = 1U << 20;

/// The smallest odd multiple of `align` that holds `least`: aligned to it and to nothing more.
std::uint32_t just_aligned(std::uint32_t least, std::uint32_t align) noexcept {
    const std::uint32_t rounded = (least + align - 1) / align * align;
    return (rounded / align) % 2 == 1 ? rounded : rounded + align;
}

struct Shape {
    std::uint32_t width = 0, height = 0, stride = 0;
    std::uint64_t offset = 0;
    std::uint32_t rows = 0;   ///< with padding
    bool to_the_byte = false; ///< no room behind the last row
};

/// What a search found: nothing in `value` when not even the strongest was taken.
struct Found {
    std::optional<std::uint32_t> value;
    ProbeState state = ProbeState::unprobeable;
    std::string text;
};

class Search {
public:
    Search(FormatModifier pair, const Attempt& attempt, const MeasureOptions& options)
        : pair_(pair), attempt_(attempt), options_(options) {}

    std::uint32_t pixel() const noexcept { return find_format(pair_.format)->planes[0].block_bytes; }
    std::uint32_t row() const noexcept { return options_.width * pixel(); }

    /// Rows for those who pad, and twice the stride for those who round it up; of large pictures nobody reads
    /// that far.
    static std::uint64_t with_room(const Shape& shape) noexcept {
        const std::uint32_t rows = (shape.rows + paddings.back() - 1) / paddings.back() * paddings.back();
        const std::uint64_t bytes = shape.offset + std::uint64_t{shape.stride} * rows + page;
        return bytes < large ? 2 * bytes : bytes;
    }

    Result<std::string> attempt(const Shape& shape) const {
        const std::uint64_t bytes = shape.offset + std::uint64_t{shape.stride} * shape.rows;
        const std::array planes{Plane{shape.offset, shape.stride}};
        auto layout = Layout::describe(shape.width, shape.height, pair_.format, pair_.modifier, planes,
                                       shape.to_the_byte ? bytes : with_room(shape));
        if (!layout) return std::move(layout).error();
        return attempt_(*layout);
    }

    /// From what most devices take to weaker ones until one is refused, or to stronger ones until one is
    /// taken.
    template<class ShapeOf>
    Result<Found> weakest(std::string_view what, ShapeOf shape_of) const {
        Found found;
        std::string refused;
        std::uint32_t align = usual;
        while (align >= pixel() && align <= strongest) {
            if (options_.deadline.passed()) {
                found.text += found.text.empty() ? "no time was left" : ", no time for weaker ones";
                found.state = ProbeState::unprobeable; // the next weaker one was never refused
                return found;
            }
            auto said = attempt(shape_of(align));
            if (!said) return std::move(said).error();
            if (said->empty()) {
                found = {align, ProbeState::good, fmt::format("{} of {} right", what, align)};
                if (!refused.empty()) found.text += fmt::format(", of {} not: {}", align / 2, refused);
                if (!refused.empty() || align == 1) return found;
                align /= 2;
            } else if (found.value) {
                found.text += fmt::format(", of {} not: {}", align, *said);
                return found;
            } else {
                refused = *said;
                align *= 2;
            }
        }
        if (!found.value) found.text = fmt::format("not even {} of {}: {}", what, strongest, refused);
        return found;
    }

    /// Without padding first.
    Result<Found> pad() const {
        Found found;
        std::string refused;
        for (const std::uint32_t align : paddings) {
            if (options_.deadline.passed()) return Found{{}, ProbeState::unprobeable, "no time was left"};
            Shape shape = plain();
            // Memory comes in pages: only rows of whole pages end where the memory ends.
            shape.stride = (row() + page - 1) / page * page;
            shape.rows = (shape.height + align - 1) / align * align;
            shape.to_the_byte = true;
            auto said = attempt(shape);
            if (!said) return std::move(said).error();
            if (said->empty())
                return Found{
                    align, ProbeState::good,
                    align == 1
                        ? fmt::format("memory of {} rows for {} right", shape.rows, shape.height)
                        : fmt::format("rows padded to {} right, to {} not: {}", align, align / 2, refused)};
            refused = *said;
        }
        return Found{{}, ProbeState::unprobeable, "no number of rows was taken: " + refused};
    }

    Result<void> note(Requirements& party, Need need, std::uint32_t& field,
                      const Result<Found>& found) const {
        if (!found) return found.error();
        if (found->value) field = *found->value;
        set_known(party, need, found->state,
                  fmt::format("{} {}: {}", options_.how, fourcc_text(pair_.format), found->text));
        return {};
    }

    Shape plain() const noexcept {
        return {options_.width, options_.height, just_aligned(row(), 256), 0, options_.height, false};
    }

private:
    FormatModifier pair_;
    const Attempt& attempt_;
    const MeasureOptions& options_;
};

/// Pictures `most` long, half as long while they are refused. 0: none was taken.
Result<Found> longest(std::uint32_t most, const MeasureOptions& options,
                      const std::function<Result<std::string>(std::uint32_t)>& attempt) {
    std::string refused;
    for (std::uint32_t length = most; length > 0; length /= 2) {
        if (options.deadline.passed()) return Found{{}, ProbeState::unprobeable, "no time was left"};
        auto said = attempt(length);
        if (!said) return std::move(said).error();
        if (said->empty())
            return Found{length, ProbeState::good,
                         refused.empty() ? fmt::format("{} is claimed, and was right", most)
                                         : fmt::format("{} right, {} not: {}", length, length * 2, refused)};
        refused = *said;
    }
    return Found{{}, ProbeState::unprobeable, "no length was taken: " + refused};
}

bool one_plane_of_pixels(FormatModifier pair) noexcept {
    const FormatInfo* info = find_format(pair.format);
    return info && info->plane_count == 1 && info->planes[0].block_width == 1 &&
           (pair.modifier == modifier::linear || pair.modifier == modifier::none);
}

Error no_such_pair(const Requirements& party, FormatModifier pair) {
    return make_error(Code::invalid_argument, fmt::format("measuring what {} takes", party.party),
                      fmt::format("{} {} is no format of one plane in rows", fourcc_text(pair.format),
                                  modifier_text(pair.modifier)));
}

} // namespace

Result<Requirements> measured_once(const ProbeCache* cache, const ProbeKey& key, std::string party,
                                   std::string device, Deadline deadline,
                                   const std::function<Result<Requirements>()>& measure) {
    if (!cache) return measure();
    if (auto found = cache->get(key)) {
        found->party = std::move(party);
        found->device = std::move(device);
        return *std::move(found);
    }
    auto measured = measure();
    if (measured && !deadline.passed()) (void)cache->put(key, *measured);
    return measured;
}

Result<std::shared_ptr<Memory>> scattered_memory(const HeapTable& heaps, std::uint64_t bytes) {
    auto heap = heaps.find("memfd");
    if (!heap) return std::move(heap).error();
    const std::uint64_t least = (bytes + page - 1) / page;
    constexpr std::uint64_t most_pieces = 64;
    const std::uint64_t piece = (least + most_pieces - 1) / most_pieces * page;
    const std::uint64_t pieces = std::max<std::uint64_t>((least * page + piece - 1) / piece, 4);
    auto memory = (*heap)->allocate(piece * pieces, "share probe");
    if (!memory) return std::move(memory).error();
    // A page comes into being when it is first touched: in the file's order, before the list below asks for
    // them in another one.
    const auto bytes_of_file = (*memory)->view(Access::read_write);
    if (!bytes_of_file) return bytes_of_file.error();
    for (std::size_t at = 0; at < bytes_of_file->size(); at += page)
        *const_cast<volatile std::byte*>(bytes_of_file->data() + at) = std::byte{0};
    std::vector<MemoryRange> ranges;
    for (const std::uint64_t first : {1U, 0U})
        for (std::uint64_t i = first; i < pieces; i += 2)
            ranges.push_back({*memory, i * piece, piece});
    return join(ranges, "share probe");
}

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "unknown";
}

void set_known(Requirements& party, Need need, ProbeState state, std::string from) {
    std::erase_if(party.known, [need](const Known& known) { return known.need == need; });
    party.known.push_back({need, state, std::move(from)});
}

const Known* find_known(const Requirements& party, Need need) noexcept {
    const auto at = std::find_if(party.known.begin(), party.known.end(),
                                 [need](const Known& known) { return known.need == need; });
    return at == party.known.end() ? nullptr : &*at;
}

Result<void> measure_layout(Requirements& party, FormatModifier pair, const Attempt& attempt,
                            const MeasureOptions& options) {
    if (!one_plane_of_pixels(pair)) return no_such_pair(party, pair);
    const Search search(pair, attempt, options);
    const auto strides = search.weakest("a stride", [&](std::uint32_t align) {
        Shape shape = search.plain();
        shape.stride = just_aligned(search.row(), align);
        return shape;
    });
    if (auto noted = search.note(party, Need::stride, party.stride_align, strides); !noted) return noted;
    // Where no stride was taken, one that is no multiple of a pixel would say nothing of offsets either.
    const std::uint32_t align = strides->value ? *strides->value : std::max(party.stride_align, usual);
    const std::uint32_t stride = just_aligned(search.row(), align);
    if (auto offsets = measure_offset(party, pair, stride, attempt, options); !offsets) return offsets;
    return search.note(party, Need::height_padding, party.height_align, search.pad());
}

Result<void> measure_offset(Requirements& party, FormatModifier pair, std::uint32_t stride,
                            const Attempt& attempt, const MeasureOptions& options) {
    if (!one_plane_of_pixels(pair)) return no_such_pair(party, pair);
    const Search search(pair, attempt, options);
    const auto offsets = search.weakest("a first byte", [&](std::uint32_t align) {
        Shape shape = search.plain();
        shape.stride = stride; // the offset alone is in question
        shape.offset = align;
        return shape;
    });
    return search.note(party, Need::offset, party.offset_align, offsets);
}

Result<void> measure_extent(Requirements& party, FormatModifier pair, const ClaimedExtent& claimed,
                            const Attempt& attempt, const MeasureOptions& options) {
    if (!one_plane_of_pixels(pair)) return no_such_pair(party, pair);
    const Search search(pair, attempt, options);
    const auto try_size = [&](std::uint32_t width, std::uint32_t height) {
        const std::uint32_t align = std::max<std::uint32_t>(party.stride_align, 256);
        const std::uint32_t row = width * search.pixel();
        return search.attempt({width, height, (row + align - 1) / align * align, 0, height, false});
    };
    struct Side {
        std::uint32_t claimed;
        std::uint32_t* field;
        const char* word;
    };
    std::string texts;
    ProbeState state = ProbeState::good;
    for (const auto& [most, field, word] : {Side{claimed.max_width, &party.max_width, "width"},
                                            Side{claimed.max_height, &party.max_height, "height"}}) {
        const bool wide = field == &party.max_width;
        const std::uint32_t length = std::min(most, Layout::max_dimension);
        Found found{{}, ProbeState::unprobeable, "nothing is claimed"};
        if (length > 0) {
            auto tried = longest(length, options, [&](std::uint32_t value) {
                return wide ? try_size(value, claimed.least_height) : try_size(claimed.least_width, value);
            });
            if (!tried) return std::move(tried).error();
            found = *std::move(tried);
        }
        if (found.value)
            *field = *found.value;
        else if (length > 0)
            *field = length; // its word is all there is
        if (found.state != ProbeState::good) state = ProbeState::unprobeable;
        texts += fmt::format("{}{} {}", texts.empty() ? "" : "; ", word, found.text);
    }
    set_known(party, Need::max_picture, state,
              fmt::format("{} {}: {}", options.how, fourcc_text(pair.format), texts));
    return {};
}

} // namespace share
