#!/bin/sh
# Builds the Wasmer engine (shim/, a static library) and puts it into the cache folder:
# ${XDG_CACHE_HOME:-~/.cache}/hybridserve/wasmer-prefix. Its LLVM compiler is left out where Debian's
# llvm-22-dev is not installed. Does nothing when what lies there was built from the same sources, by
# the same compiler, with the same LLVM. Usage: executors/wasmer/build-engine.sh
set -eu
cd "$(dirname "$0")/shim"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hybridserve
prefix=$cache/wasmer-prefix
llvm=/usr/lib/llvm-22
features=
[ ! -x $llvm/bin/llvm-config ] || features=llvm
key=$({ rustc --version; echo "features: $features"; [ -z "$features" ] || $llvm/bin/llvm-config --version
        cat ../build-engine.sh Cargo.toml Cargo.lock src/*.rs; } | sha256sum | cut -d' ' -f1)
[ "$(cat "$prefix/key" 2>/dev/null)" = "$key" ] && exit 0

echo "setup: building the Wasm engine Wasmer${features:+ with LLVM} (ten minutes, once)"
mkdir -p "$cache"
log=$cache/wasmer-build.log
CARGO_TARGET_DIR=$cache/wasmer-target LLVM_SYS_221_PREFIX=$llvm \
  cargo build --release --locked ${features:+--features "$features"} 2>"$log" ||
  { tail -40 "$log" >&2; exit 1; }
new=$prefix.new.$$
rm -rf "$new"
mkdir -p "$new/lib"
library=$new/lib/libhybridserve_wasmer.a
cp "$cache/wasmer-target/release/libhybridserve_wasmer.a" "$library"
# The functions that it wants of LLVM.
nm -g --format=posix "$library" 2>/dev/null | awk '
  $1 ~ /^LLVM/ && $2 == "U" { wanted[$1] }
  $1 ~ /^LLVM/ && $2 != "U" { own[$1] }
  END { for (name in wanted) if (!(name in own)) print name }' | LC_ALL=C sort >"$new/llvm-functions"
echo "$features" >"$new/features"
echo "$key" >"$new/key"
rm -rf "$prefix"
mv "$new" "$prefix"
