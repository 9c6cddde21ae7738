#!/bin/sh
# The linker of build.sh: zig, which brings WASI's C library. Words of rustc that it does not know, and the stack's size,
# which $HYBRIDSERVE_WASM_CC sets, are left out.
for word; do
  shift
  case $word in
    --target=* | -Wl,--stack-first | -Wl,--no-demangle | -Wl,-z | -Wl,stack-size=*) ;;
    *) set -- "$@" "$word" ;;
  esac
done
exec $HYBRIDSERVE_WASM_CC "$@"
