// SPDX-License-Identifier: MIT
// For test programs with a plain libwayland client of their own: wl_display_disconnect() frees no proxy, and
// a client that was ended by a protocol error, as these tests want it, has no chance to destroy its own. Only
// what libwayland-client itself allocated is excused; our client library is tested without this file.

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libwayland-client.so\n";
}
