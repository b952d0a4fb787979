// SPDX-License-Identifier: MIT
// A search tree, built by one process in shared memory and walked by another that has it at another address.
//
// The tree is a Boost.Intrusive set whose links are Boost.Interprocess offset pointers: distances, not
// addresses. Where its nodes lie is decided by an allocator that keeps its own books outside of the memory.
// The reader believes nothing: it checks the whole tree before it walks it, and refuses a damaged one.
#include <share/share.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "shared_tree.hpp"

using namespace share;

static int fail(const Error& error) {
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return 1;
}

/// The other process: only the fd is common.
static int read_tree(int fd, const void* writers_address) {
    auto memory = import_fd(UniqueFd(dup(fd)));
    if (!memory) return fail(memory.error());
    auto bytes = (*memory)->view(Access::read);
    if (!bytes) return fail(bytes.error());
    std::printf("reader: the memory is at %p here, at %p there\n", static_cast<void*>(bytes->data()),
                writers_address);
    auto tree = trust(*bytes);
    if (!tree) return fail(tree.error());
    for (const City& city : **tree)
        std::printf("reader: %9u %.20s\n", city.population, city.name);
    return bytes->data() == writers_address ? 1 : 0;
}

static int in_another_process(int fd, const void* address) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        const int status = read_tree(fd, address);
        std::fflush(nullptr);
        _exit(status);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int main() {
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("memfd");
    if (!heap) return fail(heap.error());
    auto memory = (*heap)->allocate(64 * 1024, "shared tree");
    if (!memory) return fail(memory.error());
    auto arena = Arena::create(*memory);
    if (!arena) return fail(arena.error());
    auto block = arena->allocate((*memory)->size(), "tree");
    if (!block) return fail(block.error());
    auto resource = BlockResource::create(*block);
    if (!resource) return fail(resource.error());

    std::pmr::polymorphic_allocator<std::byte> nodes(resource->get());
    auto* tree = nodes.new_object<Tree>(); // the first allocation: at the start of the memory
    const struct {
        unsigned population;
        const char* name;
    } cities[] = {
        {873965, "Marseille"}, {2102650, "Paris"}, {520774, "Lyon"}, {504078, "Toulouse"}, {353701, "Nice"}};
    for (const auto& [population, name] : cities) {
        auto* city = nodes.new_object<City>();
        city->population = population;
        std::strncpy(city->name, name, sizeof city->name - 1);
        tree->insert(*city);
    }
    const int fd = (*memory)->fd();
    if (in_another_process(fd, tree) != 0) return 1;

    tree->root()->right_ += 1 << 20; // what a broken or evil writer may leave behind
    std::printf("writer: bent a link\n");
    return in_another_process(fd, tree) == 1 ? 0 : 1;
}
