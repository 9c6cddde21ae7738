// For ThreadSanitizer. The engine is Rust that is compiled without it, so how its threads take
// turns is not seen, and what they hand each other through malloc and memcpy looks like a race.
// Stacks hold instrumented functions and their callers only: what our own code does in a host
// function is still checked.
extern "C" const char* __tsan_default_suppressions() {
  return "race:wasmtime\nrace:cranelift\nrace:regalloc2\nrace:rayon\nrace:crossbeam\n"
         "race:_ZN5alloc\nrace:_ZN4core\nrace:_ZN3std\nrace:_R\n"
         "race:hashbrown\nrace:smallvec\nrace:postcard\nrace:object\n";
}
