// Linked into programs that run in a jail, where they are built with AddressSanitizer: at its end a
// process is searched for leaks by a tracer, and a jail has none.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
