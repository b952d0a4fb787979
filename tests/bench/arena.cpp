// SPDX-License-Identifier: MIT
// What a pair of alloc and free costs at 1k, 10k and 100k live blocks, beside Boost.Interprocess' best fit.
//
// Both sides without a lock: a RangeAllocator, and rbtree_best_fit with null_mutex_family. Two kinds of pair:
// "the same" allocates a block and frees it; "another" frees a random live block and allocates one in its
// place, so that all of the tables (there: the memory itself) are walked through, as far as caches allow.
#define BOOST_DISABLE_ASSERTS // the peer at its best
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <share/range_allocator.hpp>

#include "bench.hpp"

namespace {

constexpr std::uint32_t unit = 64;
constexpr int pairs = 40000;

using Boost = boost::interprocess::rbtree_best_fit<boost::interprocess::null_mutex_family>;

/// Lengths in units, as packets, nodes and small pictures have: 64 bytes to 4 KiB, as many of each power of
/// two.
std::vector<std::uint32_t> some_lengths(std::size_t count) {
    std::mt19937 random(4711);
    std::uniform_real_distribution<double> power(0, 6);
    std::vector<std::uint32_t> all(count);
    for (auto& length : all)
        length = static_cast<std::uint32_t>(std::exp2(power(random)));
    return all;
}

class Ours {
public:
    Ours(std::uint64_t bytes, share::Fit fit) : ranges_(static_cast<std::uint32_t>(bytes / unit), fit) {}
    using Block = share::RangeId;
    Block get(std::uint32_t units) {
        const auto got = ranges_.allocate(units);
        return got ? got->id : throw std::bad_alloc();
    }
    void put(Block block) { ranges_.free(block); }

private:
    share::RangeAllocator ranges_;
};

class Theirs {
public:
    explicit Theirs(std::uint64_t bytes)
        : bytes_(bytes),
          memory_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
                       0)) {
        if (memory_ == MAP_FAILED) throw std::bad_alloc();
        heap_ = new (memory_) Boost(bytes, 0);
    }
    ~Theirs() { munmap(memory_, bytes_); }
    Theirs(const Theirs&) = delete;
    Theirs& operator=(const Theirs&) = delete;
    using Block = void*;
    /// Its header lies in the block: as much less is asked for, so that both divide alike.
    Block get(std::uint32_t units) { return heap_->allocate(std::size_t{units} * unit - 16); }
    void put(Block block) { heap_->deallocate(block); }

private:
    std::uint64_t bytes_;
    void* memory_;
    Boost* heap_ = nullptr;
};

/// `live` blocks with holes between them: 2 * live are made and each second one, at random, is freed.
template<class Heap>
class Load {
public:
    Load(std::unique_ptr<Heap> heap, std::size_t live) : heap_(std::move(heap)), lengths_(some_lengths(few)) {
        std::mt19937 random(42);
        for (std::size_t i = 0; i < 2 * live; ++i)
            blocks_.push_back(heap_->get(lengths_[i % few]));
        std::shuffle(blocks_.begin(), blocks_.end(), random);
        for (; blocks_.size() > live; blocks_.pop_back())
            heap_->put(blocks_.back());
        another(static_cast<int>(4 * live)); // until the holes are as the pairs themselves leave them
    }

    void same(int count) {
        for (int i = 0; i < count; ++i)
            heap_->put(heap_->get(lengths_[++at_ % few]));
    }
    void another(int count) {
        for (int i = 0; i < count; ++i) {
            random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
            auto& victim = blocks_[((random_ >> 32) * blocks_.size()) >> 32];
            heap_->put(victim);
            victim = heap_->get(lengths_[++at_ % few]);
        }
    }

private:
    std::unique_ptr<Heap> heap_;
    static constexpr std::size_t few = 4096; // so that the load itself takes little of the caches
    std::vector<std::uint32_t> lengths_;
    std::vector<typename Heap::Block> blocks_;
    std::size_t at_ = 0;
    std::uint64_t random_ = 1;
};

constexpr std::size_t lives[] = {1000, 10000, 100000};

struct Times {
    std::vector<double> best, good, boost;
};

Times measure(std::size_t live, void (Load<Ours>::*ours)(int), void (Load<Theirs>::*theirs)(int)) {
    const std::uint64_t bytes = std::uint64_t{live} * 2560;
    Load<Ours> best(std::make_unique<Ours>(bytes, share::Fit::best), live);
    Load<Ours> good(std::make_unique<Ours>(bytes, share::Fit::good), live);
    Load<Theirs> boost(std::make_unique<Theirs>(bytes), live);
    const auto times = bench::rounds(
        {[&] { (best.*ours)(pairs); }, [&] { (good.*ours)(pairs); }, [&] { (boost.*theirs)(pairs); }}, 15);
    const auto ns = [](const std::vector<double>& t) { return bench::spread(t).median * 1e9 / pairs; };
    const auto name = fmt::format("at {} live blocks", live);
    bench::print_ratio("best fit " + name, "Boost", times[0], times[2], 0.9);
    bench::print_ratio("good fit " + name, "Boost", times[1], times[2], 0.3);
    bench::print_value("ns a pair: best fit, good fit, Boost",
                       fmt::format("{:.1f}, {:.1f}, {:.1f}", ns(times[0]), ns(times[1]), ns(times[2])));
    return {times[0], times[1], times[2]};
}

void compare(const char* what, void (Load<Ours>::*ours)(int), void (Load<Theirs>::*theirs)(int),
             double best_target, double good_target) {
    fmt::print("alloc + free of {} block\n", what);
    std::vector<Times> all;
    for (const std::size_t live : lives)
        all.push_back(measure(live, ours, theirs));
    const auto &few = all.front(), &many = all.back();
    bench::print_ratio("best fit, 100k live blocks", "1k", many.best, few.best, best_target);
    bench::print_ratio("good fit, 100k live blocks", "1k", many.good, few.good, good_target);
    bench::print_ratio("Boost, 100k live blocks", "1k", many.boost, few.boost, 0);
}

} // namespace

int main() {
    compare("the same", &Load<Ours>::same, &Load<Theirs>::same, 3, 1.5);
    // Growth has no target here: it is that of the caches' misses, some ten lines of a table of 3 MiB each
    // time.
    compare("another", &Load<Ours>::another, &Load<Theirs>::another, 0, 0);
    return 0;
}
