#!/bin/sh
# Builds build/slug.wasm. With rustup's standard library for the target (rustup target add wasm32-wasip1) that is a plain
# cargo build; else Debian's rustc builds it from rust-web-src, once a machine, and zig links.
set -eu
target=wasm32-wasip1
export CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/hybridserve/rust-example
if [ -d "$(rustc --print target-libdir --target $target 2>/dev/null)" ]; then
  cargo build --quiet --locked --release --target $target
elif [ -d /usr/lib/rustlib/src/rust/library/std ] && [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ]; then
  # Found by its name alone, so that another checkout does not build the library anew.
  export PATH="$PWD:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
  export RUSTFLAGS="-Z unstable-options -C linker=link.sh -C linker-flavor=wasm-lld-cc -C link-self-contained=no"
  /usr/bin/cargo build --quiet --locked --release --target $target -Z build-std=std,panic_abort
else
  echo "Rust for $target: rustup target add $target, or Debian's cargo-web, rustc-web and rust-web-src"
  exit 77
fi
cp "$CARGO_TARGET_DIR/$target/release/slug.wasm" build/slug.wasm
