// Of builds with AddressSanitizer. It frees a thread's alternate signal stack when the thread ends,
// also the one that Wasmer put in its place and has freed already. And nothing in the jail may be
// traced, which its search for leaks needs.
extern "C" const char* __asan_default_options() {  // NOLINT: the name is the sanitizer's.
  return "use_sigaltstack=0:detect_leaks=0";
}
